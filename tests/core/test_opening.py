"""What an answer begins with, and is no part of the code."""

from __future__ import annotations

import pytest

from qwen_lsp.core.model import Route
from qwen_lsp.core.opening import opening
from qwen_lsp.core.stop import Stopper
from tests.marks import around

BEGINNINGS = [
    ("the whole prefix", "def f():\n    return █\n", "def f():\n    return 1", "1"),
    ("the last line", "def f():\n    return █\n", "    return 1", "1"),
    ("the last line without its indentation", "def f():\n    return █\n", "return 1", "1"),
    ("the last two lines", "a = 1\nb = 2\nc = █\n", "b = 2\nc = 3", "3"),
    ("the indentation", "def f():\n    █\n", "    return 1", "return 1"),
    ("half of the indentation", "def f():\n    █\n", "  return 1", "return 1"),
    ("a deeper indentation", "def f():\n  █\n", "    return 1", "  return 1"),
    ("the blank before the cursor", "x = █\n", " 1", "1"),
    ("a fence", "x = █\n", "```python\n1\n```\nThat is it.", "1"),
    ("a fence and an echo", "def f():\n    return █\n", "```python\ndef f():\n    return 1\n```", "1"),
    ("a thought", "x = █\n", "<think>What is x?</think>\n\n1", "1"),
    ("nothing", "def f():\n    return █\n", "1", "1"),
    ("a beginning too short to be an echo", "y = 2\nx█\n", "x = 1", "x = 1"),
]


@pytest.mark.parametrize(
    ("before", "answer", "shown"), [case[1:] for case in BEGINNINGS], ids=[c[0] for c in BEGINNINGS]
)
def test_partial_mode_shows_only_what_is_new(before: str, answer: str, shown: str) -> None:
    """Chat models begin again where the person began, in a fence, after a thought; only new code is shown."""
    stopper = Stopper(around(before, route=Route.PARTIAL))
    stopper.feed(answer)
    stopper.end()
    assert stopper.text == shown


def test_fill_in_the_middle_answers_are_not_taken_for_echoes() -> None:
    """A FIM model continues at the cursor, so a repeated word is meant, and so is a blank."""
    scene = around("def f():\n    return █\n")
    for answer in ("return 1", " return 1"):
        found = opening(answer, scene)
        assert found is not None
        assert found.skip == 0


@pytest.mark.parametrize("so_far", ["", "`", "``", "```py", "<thi", "<think>hm", "def f", "def f():\n  ", "  "])
def test_nothing_is_shown_of_what_may_be_a_beginning(so_far: str) -> None:
    """While more of the stream may show that it is an echo, a fence or a thought, it waits."""
    assert opening(so_far, around("def f():\n    return █\n", route=Route.PARTIAL)) is None


def test_markdown_may_have_fences() -> None:
    """In a markdown document a fence is text like any other."""
    found = opening("```py\n1\n", around("█\n", language="markdown"))
    assert found is not None
    assert found.skip == 0
