"""What is being written at the cursor, and what a text says of a name."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qwen_lsp.core.evidence import evidence
from qwen_lsp.core.expressions import Chain, calls, expression, receiver


def written(chain: Chain) -> str:
    return ".".join(link.name + "()" * link.called for link in chain)


@pytest.mark.parametrize(
    ("prefix", "expected"),
    [
        ("x = self.queue.get(1).na", "self.queue.get() | na"),
        ("Client.builder(host)\n\t\t.", "Client.builder() | "),
        ("let a = foo::<T>(x)?.", "foo() | "),
        ("y = foo(a, b.", "b | "),
        ("new X<Y>(q).z", "X() | z"),
        ("a?.b!.c", "a.b | c"),
        ("rows[1].", "rows | "),
        ("std::vec::", "std.vec | "),
        ("node->", "node | "),
        ("x = na", " | na"),
        ('"text".', " | "),
        ("0..", " | "),
        ("", " | "),
    ],
)
def test_the_receiver_is_what_stands_before_the_last_separator(prefix: str, expected: str) -> None:
    """Calls, indexes, type arguments and line breaks in it are stepped over."""
    chain, partial = receiver(prefix)
    assert f"{written(chain)} | {partial}" == expected


@pytest.mark.parametrize(
    ("prefix", "expected"),
    [
        ("foo(a, Bar{b: 1, c: qux(3), d: ", ["Bar {", "foo ("]),
        ("a.send(\n    data, ", ["a.send ("]),
        ("let o: Options = { ", ["o ="]),
        ("options = {\n  a: 1,\n  ", ["options ="]),
        ("def f(a, ", []),
        ("if (a && ", []),
        ("router.post('/', async (req) => {\n  ", []),
        ("f(x, () => {", []),
        ("for x in rows {\n  y(", ["y ("]),
        ("x = (1 + ", []),
        ('print("(", ', ["print ("]),
    ],
)
def test_calls_are_the_brackets_that_are_open(prefix: str, expected: list[str]) -> None:
    """The innermost first, up to the block that the cursor stands in."""
    assert [f"{written(chain)} {bracket}" for chain, bracket in calls(prefix)] == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("await Client(model, tok", "Client()"),
        ("pkg.New(x)", "pkg.New()"),
        ("Foo", "Foo"),
        ("Omit<Full, 'id'> &", "Omit"),
        ("rows)", "rows"),
        ("{", ""),
    ],
)
def test_an_expression_is_read_from_its_end(text: str, expected: str) -> None:
    """What a value is given tells what it is, whole or half-written."""
    assert written(expression(text)) == expected


@pytest.mark.parametrize(
    ("language", "name", "text", "expected"),
    [
        ("python", "gen", "def f(gen: Gen, x):\n  gen = Foo(1)\n  with open(p) as gen:", ["open(p)", "Foo(1)", "Gen"]),
        ("python", "c", "elif isinstance(c, Image):", ["Image"]),
        ("python", "row", "for row in self.rows:", ["self.rows"]),
        ("python", "gen", "# gen: what makes text\nself.gen = Gen()", ["Gen()"]),
        ("python", "name", "other.name = Foo()\nnames = Bar()", []),
        ("go", "c", "func f(ctx context.Context, c *Client) {\n\tc, err := NewClient(x)", ["NewClient(x)", "*Client"]),
        (
            "rust",
            "r",
            "fn f(r: &Router) {\n let mut r = Router::new();",
            ["Router::new();", "Router::new();", "&Router"],
        ),
        ("java", "c", "private final Client<String> c;\nreturn c;", ["Client<String>"]),
        ("cpp", "q", "Queue* q = make();", ["Queue", "make();"]),
        ("cpp", "q", "void f(net::Queue& q) {", ["net::Queue"]),
        ("typescript", "o", "let o: Options = {};\nfor (const o of rows) {}", ["rows)", "Options", "{};"]),
    ],
)
def test_evidence_is_what_lines_say_the_last_first(language: str, name: str, text: str, expected: list[str]) -> None:
    """Annotations and assignments of the name itself; comments and other things' members say nothing."""
    assert list(evidence(name, text, language)) == expected


@given(
    st.text(alphabet="ab.()[]{}<>=:,-> \n\"'?!&*", max_size=120),
    st.sampled_from(["python", "go", "rust", "java", "typescript", "lua"]),
)
def test_no_text_fails(text: str, language: str) -> None:
    """Code that is being typed is mostly broken."""
    receiver(text)
    expression(text)
    assert all(chain for chain, _ in calls(text))
    assert all(told for told in evidence("a", text, language))
