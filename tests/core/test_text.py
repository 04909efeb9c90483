"""core/text.py against a naive model of what LSP says."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from qwen_lsp.core import text
from qwen_lsp.core.lines import Lines

HOSTILE = ["a", " ", "\r\n", "\n", "\r", "\f", "\v", "\x1c", "\x85", "\u2028", "é", "你", "😋", "\ud83d", "\udc4b"]
texts = st.lists(st.sampled_from(HOSTILE), max_size=12).map("".join)
numbers = st.one_of(st.integers(-3, 14), st.sampled_from([-(2**70), 2**31, 2**70]))
places = st.tuples(numbers, numbers)
encodings = st.sampled_from(["utf-8", "utf-16", "utf-32"])


def naive_lines(document: str) -> list[str]:
    """Character by character, as the specification is worded."""
    lines, line, at = [], "", 0
    while at < len(document):
        end = next((end for end in ("\r\n", "\n", "\r") if document.startswith(end, at)), "")
        line += end or document[at]
        at += len(end) or 1
        if end:
            lines.append(line)
            line = ""
    return [*lines, line]


def naive_offset(document: str, place: tuple[int, int], encoding: str) -> int:
    """The place's index in the whole text."""
    line, units = (max(0, number) for number in place)
    lines = naive_lines(document)
    if line >= len(lines):
        return len(document)
    offset = sum(map(len, lines[:line]))
    for char in lines[line].rstrip("\r\n"):
        units -= (
            len(char.encode(f"{encoding}-le" if encoding != "utf-8" else encoding, "surrogatepass"))
            // ({"utf-8": 1, "utf-16": 2, "utf-32": 4}[encoding])
        )
        if units < 0:
            break
        offset += 1
    return offset


class Editing(RuleBasedStateMachine):
    """An editor's edits, applied to our lines and to a plain string."""

    def __init__(self):
        super().__init__()
        self.lines, self.model = Lines.of(text.split("")), ""

    @initialize(document=texts)
    def open(self, document):
        self.lines, self.model = Lines.of(text.split(document)), document

    @rule(start=places, end=places, new=texts, encoding=encodings)
    def edit(self, start, end, new, encoding):
        self.lines = text.edit(self.lines, start, end, new, encoding)
        left, right = sorted(naive_offset(self.model, place, encoding) for place in (start, end))
        self.model = self.model[:left] + new + self.model[right:]

    @rule(start=places, end=places, new=texts)
    def edit_unclamped(self, start, end, new):
        self.lines = text.edit(self.lines, start, end, new)
        left, right = sorted(naive_offset(self.model, place, "utf-32") for place in (start, end))
        self.model = self.model[:left] + new + self.model[right:]

    @invariant()
    def same(self):
        assert list(self.lines) == naive_lines(self.model)


Editing.TestCase.settings = settings(max_examples=150, stateful_step_count=12, deadline=None)
TestEditing = Editing.TestCase


@given(texts)
def test_lines_are_split_at_crlf_lf_and_cr_only(document):
    """A text's lines are those of the specification, and joined they are the text again."""
    assert text.split(document) == naive_lines(document)
    assert "".join(text.split(document)) == document


@given(texts, places, encodings)
def test_a_place_is_where_the_specification_puts_it(document, place, encoding):
    """Any pair of integers is a place: clamped to its line, to the document, or to the character it would cut."""
    lines = text.split(document)
    line, column = text.place(lines, *place, encoding)
    assert sum(map(len, lines[:line])) + column == naive_offset(document, place, encoding)


@given(texts, encodings)
def test_units_and_columns_are_each_other_s_inverse(document, encoding):
    """Going from a column to the editor's units and back ends where it began."""
    for line in text.split(document):
        for column in range(text.length(line) + 1):
            assert text.column(line, text.units(line, column, encoding), encoding) == column


@pytest.mark.parametrize(
    ("line", "units", "encoding", "column"),
    [
        ("a😋b", 2, "utf-16", 1),
        ("a😋b", 3, "utf-16", 2),
        ("a😋b", 4, "utf-8", 1),
        ("a😋b", 5, "utf-8", 2),
        ("a😋b", 2, "utf-32", 2),
        ("é\r\n", 1, "utf-8", 0),
        ("é\r\n", 9, "utf-8", 1),
        ("ab\r", 3, "utf-16", 2),
        ("ab", -1, "utf-16", 0),
    ],
)
def test_a_position_inside_a_character_is_rounded_down(line, units, encoding, column):
    """A position in the middle of a character is the place before it; one past the end is the line's end."""
    assert text.column(line, units, encoding) == column


def test_an_edit_touches_only_its_own_lines():
    """Lines that an edit does not reach stay the same objects: its cost does not grow with the document."""
    before = Lines.of(text.split("".join(f"line {number}\n" for number in range(1000))))
    lines = text.edit(before, (500, 5), (501, 0), "x\ny\n")
    assert all(ours is old for ours, old in zip(lines[:500], before[:500], strict=True))
    assert lines[500:503] == ("line x\n", "y\n", "line 501\n")
    assert all(ours is old for ours, old in zip(lines[503:], before[502:], strict=True))


def test_an_lf_typed_behind_a_cr_makes_one_line_end_of_both():
    """CR + LF is one line end even when the two arrive by different edits."""
    lines = text.edit(Lines.of(["a\r", "b"]), (1, 0), (1, 0), "\n")
    assert lines == ["a\r\n", "b"]
