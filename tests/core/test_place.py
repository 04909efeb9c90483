"""Where a text goes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qwen_lsp.core.model import Ghost, Request, Selected
from qwen_lsp.core.place import place
from tests.marks import CURSOR, accepted, at

CASES = [
    ("at the end of a line", "x = █\n", "1", "x = ⟦1⟧\n"),
    ("a block", "def f():\n    █\n", "a = 1\n    return a", "def f():\n    ⟦a = 1\n    return a⟧\n"),
    ("blanks right of the cursor", "x = █  \n", "1", "x = ⟦1⟧\n"),
    ("the bracket is there already", "f(█)\n", "a, b)", "f(⟦a, b⟧)\n"),
    ("a bracket of its own is not the one that is there", "f(█)\n", "g(x)", "f(⟦g(x)⟧)\n"),
    ("two brackets are there", "f(g(█))\n", "x))", "f(g(⟦x⟧))\n"),
    ("one of its own, one that is there", "f(█)\n", "g(x))", "f(⟦g(x)⟧)\n"),
    ("a quote is there already", 'print("█")\n', 'hello")', 'print("⟦hello⟧")\n'),
    ("a quoted word of its own", 'f("a", █)\n', '"b"', 'f("a", ⟦"b"⟧)\n'),
    ("it goes on behind the bracket", "def f(█)\n", "a, b):", "def f(⟦a, b):⟧\n"),
    ("it goes on behind two brackets", "if (f(█))\n", "x)) {", "if (f(⟦x)) {⟧\n"),
    ("the rest of the line is there already", "x = █ + 1\n", "y + 1", "x = ⟦y⟧ + 1\n"),
    ("code right of the cursor stays", "x = █ + 1\n", "y", "x = ⟦y⟧ + 1\n"),
    (
        "lines up to the rest of the line",
        "for a in █.b:\n",
        "c:\n    for d in a.b:",
        "for a in ⟦c:\n    for d in a⟧.b:\n",
    ),
    ("blanks that keep lines apart", "a = █ b = 2\n", "1\nc = 3\n ", "a = ⟦1\nc = 3\n ⟧ b = 2\n"),
    ("a block torn open", "f() {█}\n", "\n  g();\n", "f() {⟦\n  g();\n⟧}\n"),
    ("CRLF", "x = █\r\ny\r\n", "1", "x = ⟦1⟧\r\ny\r\n"),
]


@pytest.mark.parametrize(("before", "text", "after"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_accepting_doubles_nothing_and_loses_nothing(before: str, text: str, after: str) -> None:
    """The document after accepting is what a person would have typed."""
    request = at(before)
    ghost = place(text, request)
    assert ghost is not None
    assert accepted(request, ghost) == after


def test_a_selected_menu_entry_is_part_of_the_suggestion() -> None:
    """With an entry selected the range is the entry's and the text begins with it."""
    request = at("import os\nos.pa█\n")
    chosen = Request(request.snapshot, request.line, request.column, selected=Selected(3, 5, "path"))
    ghost = place(".join(a, b)", chosen)
    assert ghost is not None
    assert (ghost.start, ghost.end, ghost.insert) == (3, 5, "path.join(a, b)")
    assert accepted(chosen, ghost) == "import os\nos.⟦path.join(a, b)⟧\n"


def test_what_stands_there_already_is_no_suggestion() -> None:
    """A text of which nothing is left gives no ghost."""
    assert place(")", at("f(█)\n")) is None


code = st.text(alphabet="ab(){}[]\"' ,:;+é😋", max_size=12)


@given(code, code, code)
def test_a_ghost_stays_on_its_line_and_round_its_cursor(head: str, rest: str, text: str) -> None:
    """The range contains the cursor, and the text in it is a prefix of the filter text (invariant 3)."""
    ghost, request = _ghost(head, rest, text)
    if ghost is None:
        return
    line = request.snapshot.lines[request.line]
    assert 0 <= ghost.start <= request.column <= ghost.end <= len(line)
    assert ghost.filter.startswith(line[ghost.start : ghost.end])
    assert ghost.insert.startswith(line[ghost.start : request.column])


@given(code, code, code)
def test_accepting_changes_nothing_outside_the_range(head: str, rest: str, text: str) -> None:
    """All that stood outside the range stands there still, and no character that was there is lost (invariant 4)."""
    ghost, request = _ghost(head, rest, text)
    if ghost is None:
        return
    line = request.snapshot.lines[request.line]
    after = accepted(request, ghost)
    assert after.startswith(line[: ghost.start] + "⟦")
    assert after.endswith("⟧" + line[ghost.end :])
    kept = iter(ghost.insert)
    assert all(character in kept for character in line[ghost.start : ghost.end] if not character.isspace())


def _ghost(head: str, rest: str, text: str) -> tuple[Ghost | None, Request]:
    request = at(head + CURSOR + rest)
    return place(text, request), request
