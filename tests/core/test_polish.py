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
]


@pytest.mark.parametrize(("name", "before", "answer", "shown"), FILTERS, ids=[case[0] for case in FILTERS])
def test_each_filter_does_its_one_thing_and_is_named(name: str, before: str, answer: str, shown: str) -> None:
    """A filter that changed the text stands in the record by its name."""
    result = polish(answer, around(before))
    assert result.text == shown
    assert name in result.changed


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
