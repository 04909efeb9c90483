"""From what a model wrote to what is worth showing."""

from __future__ import annotations

import pytest

from qwen_lsp.core.model import Reason
from qwen_lsp.core.polish import polish, worth_showing
from tests.marks import around

FILTERS = [
    ("control characters", "x = █\n", "1\x00 +\x1b 2\r\n", "1 + 2"),
    ("own tokens", "x = '█'\n", "<¦fim_pad¦>", "<|fim_pad|>"),
    ("trailing blanks", "x = █\n", "1  \n\n", "1"),
    ("own indentation", "if a:\n\tif b:\n\t\t█\n", "c()\n        d()", "c()\n\t\td()"),
    ("own indentation", "if a:\n    if b:\n        █\n", "c()\n\t\td()", "c()\n        d()"),
    ("doubled indentation", "def f():\n    a = 1\n    █\n", "    b = 2", "b = 2"),
    ("doubled indentation", "def f():\n    █\n", "    b = 2", "b = 2"),
    ("doubled blank", "x = █\n", " 1", "1"),
    ("line above", "def f():\n    a = 1\n    █\n", "a = 1\n    b = 2", "b = 2"),
    ("within the string", 'x = f("the █")\n', 'end", 1)', "end"),
    ("within the string", 'x = f("the █")\n', '\\"end\\"")', '\\"end\\"'),
    ("unreachable end", "def f():\n    █\n    b = 2\n", "a = 1\n    return a", "a = 1"),
    ("torn block", "for a in b:\n    c = a\n█\n    go(c)\n", "    d = c\nif d:\n    c = d", "    d = c"),
    ("dangling head", "def f():\n    █\n    b = 2\n", "a = 1\n    if a:", "a = 1"),
    ("partners", "f(\n    █\n)\n", "a,\n    g(b,\n", "a,"),
]
UNCHANGED = [
    ("a jump at the end of a block", "def f():\n    if a:\n        █\n    b = 2\n", "return a"),
    ("a jump before another case", "switch (a) {\n  █\n  case 2:\n", "break;"),
    ("a head before its block", "for a in b:\n█\n        go(a)\n", "    if a:"),
    ("a head that is typed", "def f():\n    if █\n    b = 2\n", "a:"),
    ("a deeper line in a block just opened", "def f():\n█\n", "    b = 2"),
    ("a bracket for what follows", "g(f(\n█\n    )\n)\n", "    h("),
    ("a closer that is missing", "g(\n    f(█\n)\n", "a)"),
    ("quotes in a string that the person closes", 'x = "the █\n', 'end"'),
    ("a line with a tab in a file that has both", "if a:\n\tb\nif c:\n    █\n", "d\n\te"),
]


@pytest.mark.parametrize(("name", "before", "answer", "shown"), FILTERS, ids=[case[0] for case in FILTERS])
def test_each_filter_does_its_one_thing_and_is_named(name: str, before: str, answer: str, shown: str) -> None:
    """A filter that changed the text stands in the record by its name."""
    result = polish(answer, around(before))
    assert result.text == shown
    assert name in result.changed


@pytest.mark.parametrize(("before", "answer"), [case[1:] for case in UNCHANGED], ids=[case[0] for case in UNCHANGED])
def test_what_is_right_stays_as_it_is(before: str, answer: str) -> None:
    """Next to what each filter takes out stands what looks like it and is wanted."""
    result = polish(answer, around(before, language="javascript" if "switch" in before else "python"))
    assert (result.text, result.changed) == (answer, ())


def test_a_line_cut_off_by_the_token_limit_is_left_out() -> None:
    """After finish reason "length" only whole lines are shown, when there is one."""
    scene = around("█\n")
    assert polish("a = 1\nb = ", scene, finish="length").text == "a = 1"
    assert polish("a = 1\nb = 2", scene, finish="stop").text == "a = 1\nb = 2"
    assert polish("a = ", scene, finish="length").text == "a ="


@pytest.mark.parametrize(
    ("before", "answer", "reason"),
    [
        ("x = █\n", "  \n", Reason.EMPTY),
        ("f(█)\n", ")", Reason.FILTERED),
        ("f() {\n█\n}\n", "}", Reason.FILTERED),
        ("go()\n█\n", "go()", Reason.FILTERED),
    ],
    ids=["blanks", "the closer right of the cursor", "the closer below", "the line above"],
)
def test_what_adds_nothing_is_not_shown(before: str, answer: str, reason: Reason) -> None:
    """Blanks, closers that are there and the line above again are no suggestions."""
    skip = worth_showing(answer, around(before))
    assert skip is not None
    assert skip.reason is reason


@pytest.mark.parametrize(("before", "answer"), [("f(█\n", ")"), ("f() {\n  █\n}\n", "g();"), ("x = █\n", "1")])
def test_what_adds_something_is_shown(before: str, answer: str) -> None:
    """A closer that is missing is worth showing, and so is any code."""
    assert worth_showing(answer, around(before)) is None
