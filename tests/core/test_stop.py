"""When an answer has said enough."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qwen_lsp.core.model import Route
from qwen_lsp.core.prompt import SPECIAL_TOKENS
from qwen_lsp.core.stop import MAX_LINES, Stopper, cut
from tests.marks import around

CASES = [
    ("ends with the stream", "x = █\n", "1 + 2", "1 + 2", None),
    ("a control token", "x = █\n", "1<|endoftext|>junk", "1", "control token"),
    ("a bracket the editor closed", "f(█)\n", "a,\n    b", "a,", "one line"),
    ("the braces of an empty block may be torn open", "f() {█}\n", "\n  g();\n", "\n  g();\n", None),
    ("lines up to the code right of the cursor", "a = 1█+ 2\n", "\nb = 3 ", "\nb = 3 ", None),
    (
        "the code right of the cursor is reached",
        "for i in l█i) > 1:\n    pass\n",
        "st:\n    if f(i) > 1:\n        pass\n    return",
        "st:\n    if f(i) > 1:",
        "reaches what follows",
    ),
    (
        "the next line of the document",
        "def f():\n    █\n    return y\n",
        "y = 1\n    return y\n",
        "y = 1",
        "repeats what follows",
    ),
    (
        "the same words deeper down are not the next line",
        "def f(x):\n    █\n    return y\n",
        "if x:\n        return y\n    y = 1",
        "if x:\n        return y\n    y = 1",
        None,
    ),
    ("the closer that is there", "f() {\n  █\n}\n", "g();\n}\n", "g();", "repeats what follows"),
    (
        "two lines that come further down",
        "def f(a):\n█\n    b = a\n    for c in b:\n        go(c)\n    return b\n",
        "    a = a or []\n    for c in b:\n        go(c)\n    return b\n",
        "    a = a or []",
        "copies what follows",
    ),
    ("a fence ends an answer that runs on", "█\n", "a = 1\nb = 2\n```\nThis sets", "a = 1", "fence"),
    ("two blank lines", "█\n", "x = 1\ny = 2\n\n\nz = 3", "x = 1\ny = 2\n", "two blank lines"),
    ("the rest of a statement", "x = f(█\n", "1,\n  2)\ny = 3\n", "1,\n  2)\ny = 3\n", None),
    ("the end of a statement", "x = █\n", "f(1)\ny = 3\n", "f(1)", "end of the statement"),
    (
        "a head whose block stands there without its opening bracket, which comes on a line of its own",
        "{\n    int add(█\n        return a + b;\n    }\n}\n",
        "int a, int b)\n    {\n        return a + b;\n    }\n",
        "int a, int b)\n    {",
        "its block is opened",
    ),
    ("a statement goes on in brackets", "x = █\n", "f(\n  1)\n", "f(\n  1)\n", None),
    (
        "the head of a block that is there",
        "for a in b:\n    if █\n        go(a)\n",
        "a:\n        a += 1\n",
        "a:",
        "the block is there",
    ),
    ("a head opens its block", "if █\n\nx = 1\n", "a:\n    go()\n", "a:\n    go()\n", None),
    ("the end of a comment", "# adds █\nx = 1\n", "two\n# numbers\n", "two", "end of the comment"),
    ("code after a comment", "# adds two numbers█\n", "\nx = 1 + 2\n", "\nx = 1 + 2\n", None),
    (
        "a paragraph of a docstring",
        'def f():\n    """Does █\n    """\n',
        "this\n    and that.\n\n    Also.",
        "this\n    and that.",
        "two blank lines",
    ),
    (
        "the end of an indented block",
        "def f():\n    █\n",
        "return 1\n\nprint(f())\n",
        "return 1\n",
        "end of the block",
    ),
    (
        "what follows is not torn from its block",
        "for a in b:\n    c = a\n    █\n    go(c)\n",
        "d = c\nprint(d)\n",
        "d = c",
        "end of the block",
    ),
    (
        "a head may open the block of what follows",
        "for a in b:\n    c = a\n█\n    go(c)\n",
        "for c in a:\n",
        "for c in a:\n",
        None,
    ),
    (
        "no last alternative before another one",
        "if a:\n    █\nelif b:\n    go()\n",
        "stop()\nelse:\n    wait()\n",
        "stop()",
        "end of the block",
    ),
    (
        "the next definition",
        "class A:\n    def f(self):\n        █\n",
        "go()\n\n    def g(self):\n",
        "go()\n",
        "next definition",
    ),
    ("a closer in column 0 belongs to the block", "x = [\n    █\n", "1,\n]\n", "1,\n]\n", None),
    ("a loop", "█\n", "run(1)\nrun(1)\nrun(1)\nrun(1)\n", "run(1)", "repeats itself"),
    (
        "the same line in different places is no loop",
        "█\n",
        "if a:\n    return 0\nif b:\n    return 0\nif c:\n    return 0",
        "if a:\n    return 0\nif b:\n    return 0\nif c:\n    return 0",
        None,
    ),
    ("closers that come again are no loop", "█\n", "[[[\n]\n]\n]", "[[[\n]\n]\n]", None),
    ("the head of a snippet", "█\n", "x = 1\n# Path: src/a.py\n", "x = 1", "prompt echo"),
]


@pytest.mark.parametrize(("before", "answer", "kept", "rule"), [case[1:] for case in CASES], ids=[c[0] for c in CASES])
def test_an_answer_is_kept_up_to_where_it_has_said_enough(
    before: str, answer: str, kept: str, rule: str | None
) -> None:
    """Each rule ends an answer at its place, and lets through what a person would keep."""
    result = cut(answer, around(before), ended=True)
    assert (result.text, result.rule) == (kept, rule)


def test_nothing_longer_than_a_person_reads_is_shown() -> None:
    """An answer of many different lines is cut at the most that is shown."""
    answer = "\n".join(f"x{n} = {n}" for n in range(30))
    assert len(cut(answer, around("█\n")).text.split("\n")) == MAX_LINES


pieces = st.lists(
    st.sampled_from(
        [
            *SPECIAL_TOKENS,
            "```",
            "```py\n",
            "<think>",
            "</think>",
            "\n",
            "\n\n",
            "    ",
            "def f():\n",
            "f(",
            "return y",
            "run(1)",
            "}",
            ")",
            "x",
            "é😋",
            "<|fim_",
            "pad|>",
        ]
    ),
    max_size=25,
).map("".join)
JAVASCRIPT = [
    (
        "closes what is closed",
        "function f() {\n  if (a) {\n    █\n  }\n}\n",
        "go();\n    }\n    stop();\n",
        "go();",
        "closes what is closed",
    ),
    ("closes what is open", "function f() {\n  if (a) {\n    █\n}\n", "go();\n  }\n", "go();\n  }\n", None),
]


@pytest.mark.parametrize(
    ("before", "answer", "kept", "rule"), [case[1:] for case in JAVASCRIPT], ids=[case[0] for case in JAVASCRIPT]
)
def test_a_bracket_is_closed_once(before: str, answer: str, kept: str, rule: str | None) -> None:
    """A closer ends the answer where the document has it already, and belongs to it where it is missing."""
    result = cut(answer, around(before, language="javascript"), ended=True)
    assert (result.text, result.rule) == (kept, rule)


documents = st.sampled_from(
    [
        "█\n",
        "# a █\n",
        'x = """█\n"""\n',
        "x = f(█\n",
        "for a in b:\n    if █\n        return y\n    run(1)\n",
        "f(█)\n",
        "def f():\n    █\n    return y\n",
        "f() {\n  █\n}\n",
        "f() {█}\n",
    ]
)


@given(documents, pieces, st.sampled_from(Route), st.data())
def test_every_chunking_of_an_answer_is_cut_alike(before: str, answer: str, route: Route, data: st.DataObject) -> None:
    """How a service cuts its stream into pieces changes nothing (invariant 5)."""
    scene = around(before, route=route)
    whole, parts = Stopper(scene), Stopper(scene)
    whole.feed(answer)
    whole.end()
    cuts = sorted(data.draw(st.lists(st.integers(0, len(answer)), max_size=8)))
    for start, end in zip([0, *cuts], [*cuts, len(answer)], strict=True):
        parts.feed(answer[start:end])
    parts.end()
    assert (parts.text, parts.rule) == (whole.text, whole.rule)
