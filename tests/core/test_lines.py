"""core/lines.py against a plain list."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from qwen_lsp.core.lines import Lines

COUNTS = st.sampled_from([1, 2, 3, 127, 128, 129, 256, 257, 600])
NUMBERS = st.integers(-700, 1500)


def numbered(count: int, prefix: str = "") -> list[str]:
    return [f"{prefix}{number}\n" for number in range(count)]


class Replacing(RuleBasedStateMachine):
    """Any lines replaced by any others, again and again, and every version that was looked at."""

    def __init__(self):
        super().__init__()
        self.lines, self.model = Lines.of([""]), [""]
        self.older: list[tuple[Lines, list[str]]] = []

    @initialize(count=COUNTS)
    def begin(self, count):
        self.lines, self.model = Lines.of(numbered(count)), numbered(count)

    @rule(at=st.integers(0, 2000), gone=COUNTS, count=st.one_of(st.just(0), COUNTS))
    def replace(self, at, gone, count):
        start = at % len(self.model)
        stop = min(start + gone, len(self.model))
        new = numbered(count, "new ") or ([] if stop - start < len(self.model) else ["only\n"])
        self.older.append((self.lines, list(self.model)))
        self.lines = self.lines.replaced(start, stop, new)
        self.model[start:stop] = new

    @rule(start=NUMBERS, stop=NUMBERS)
    def slice(self, start, stop):
        assert self.lines[start:stop] == tuple(self.model[start:stop])

    @rule(at=NUMBERS)
    def look(self, at):
        if -len(self.model) <= at < len(self.model):
            assert self.lines[at] == self.model[at]
        else:
            with pytest.raises(IndexError):
                self.lines[at]

    @invariant()
    def same(self):
        assert list(self.lines) == self.model
        assert len(self.lines) == len(self.model)
        assert self.lines == self.model

    def teardown(self):
        for lines, model in self.older:
            assert list(lines) == model


Replacing.TestCase.settings = settings(max_examples=60, stateful_step_count=15, deadline=None)
TestReplacing = Replacing.TestCase


def test_a_changed_version_shares_what_is_not_near_the_change():
    """One key in a large document makes a few hundred new references, not twenty thousand."""
    before = Lines.of(numbered(20_000))
    after = before.replaced(10_000, 10_001, ["x\n"])
    shared = {id(block) for block in before._blocks} & {id(block) for block in after._blocks}
    assert len(shared) == len(before._blocks) - 1


def test_lines_do_not_fall_to_pieces():
    """After many edits, large and small, the blocks are still few."""
    lines = Lines.of(numbered(1000))
    for number in range(500):
        lines = lines.replaced(number, number + 1, ["a\n", "b\n"])
    assert len(lines) == 1500
    assert len(lines._blocks) <= 1500 / 64


@given(st.lists(st.text(max_size=3), min_size=1, max_size=5), st.lists(st.text(max_size=3), min_size=1, max_size=5))
def test_equality_is_that_of_the_lines(one, other):
    """Lines equal any sequence of the same lines, and have one hash when they are equal."""
    assert (Lines.of(one) == Lines.of(other)) == (one == other)
    assert (Lines.of(one) == tuple(other)) == (one == other)
    assert Lines.of(one) != 7
    assert hash(Lines.of(one)) == hash(Lines.of(list(one)))
