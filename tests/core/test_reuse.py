"""Answers that still fit."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qwen_lsp.core.context import Budget, window
from qwen_lsp.core.reuse import LIFETIME, NEAR, REJECTED_AFTER, Known, Place, Reuse, is_rejection
from tests.marks import at

SIZE = Budget(600, 80)


def here(text: str, *, service: str = "model", size: Budget = SIZE) -> Place:
    request = at(text)
    return Place(request.snapshot.uri, service, window(request, size))


def knowing(text: str, answer: str) -> Reuse:
    reuse = Reuse(lambda: 0.0)
    reuse.put(here(text), Known(answer))
    return reuse


lines = st.text(alphabet="ab\n ", max_size=60)


@given(lines, st.text(alphabet="ab\n (", min_size=1, max_size=40), lines, st.data())
def test_what_was_typed_of_an_answer_leaves_the_rest_of_it(
    before: str, answer: str, after: str, data: st.DataObject
) -> None:
    """After typing any beginning of an answer the rest of it is known (invariant 6)."""
    typed = data.draw(st.integers(0, len(answer) - 1))
    reuse = knowing(f"{before}█{after}", answer)
    assert reuse.rest(here(f"{before}{answer[:typed]}█{after}")) == Known(answer[typed:])


def test_the_rest_is_found_after_the_window_has_moved() -> None:
    """Accepting many lines moves the window's beginning; the rest of the answer is still known."""
    before = "".join(f"line_{n} = {n}\n" for n in range(60))
    answer = "".join(f"more_{n} = {n}\n" for n in range(20))
    reuse = knowing(before + "█", answer)
    typed = "".join(answer.splitlines(keepends=True)[:12])
    later = here(before + typed + "█")
    assert later.window.first > here(before + "█").window.first
    assert reuse.rest(later) == Known(answer[len(typed) :])


def test_another_text_has_no_rest() -> None:
    """What was typed instead of the answer, a changed line above or below, another file or model: nothing fits."""
    reuse = knowing("a\nx = █\nb\n", "1 + 2")
    assert reuse.rest(here("a\nx = 2█\nb\n")) is None
    assert reuse.rest(here("A\nx = 1█\nb\n")) is None
    assert reuse.rest(here("a\nx = 1█\nB\n")) is None
    assert reuse.rest(here("a\nx = 1█\nb\n", service="other")) is None
    assert reuse.rest(here("a\nx =█\nb\n")) is None


def test_backspacing_to_the_place_of_an_answer_finds_it_again() -> None:
    """A person who types on and goes back sees the same text again."""
    reuse = knowing("x = █\n", "1 + 2")
    assert reuse.rest(here("x = 1 █\n")) == Known("+ 2")
    assert reuse.rest(here("x = █\n")) == Known("1 + 2")


def test_an_empty_answer_is_remembered_for_its_place_only() -> None:
    """Where the model had nothing to add nobody asks again, but one key further they may."""
    reuse = knowing("x = █\n", "")
    assert reuse.rest(here("x = █\n")) == Known("")
    assert reuse.rest(here("x = 1█\n")) is None


def test_a_slip_leaves_the_answer_and_going_on_rejects_it() -> None:
    """A wrong key is taken back a moment later; who types on wants something else."""
    reuse = knowing("x = █\n", "compute()")
    assert reuse.rest(here("x = comq█\n")) is None
    assert reuse.rest(here("x = com█\n")) == Known("pute()")
    assert reuse.rest(here("x = compare(█\n")) is None
    assert reuse.rest(here("x = com█\n")) is None


def test_what_is_rejected_takes_no_ones_place() -> None:
    """Only so many answers are compared with; those that are not wanted any more do not push the others out."""
    wanted = "a" * (REJECTED_AFTER * NEAR + 10)
    reuse = knowing("x = █\n", wanted)
    for key in range(NEAR):
        at_key = REJECTED_AFTER * key + 1
        reuse.put(here(f"x = {wanted[:at_key]}█\n"), Known("something else"))
        typed = wanted[: at_key + REJECTED_AFTER]
        assert reuse.rest(here(f"x = {typed}█\n")) == Known(wanted[len(typed) :])


@pytest.mark.parametrize(
    ("answer", "typed", "rejected"),
    [
        ("abcdef", "abc", False), ("abc", "abcdef", False), ("abc", "xyz", False), ("abc", "abxyz", False),
        ("abc", "wxyz", True), ("abc", "x\n", True), ("", "wxyz", False),
    ],
)  # fmt: skip
def test_only_something_else_is_a_rejection(answer: str, typed: str, rejected: bool) -> None:  # noqa: FBT001 - a column
    """Typing the answer, or on behind it, is none; neither is a slip."""
    assert is_rejection(answer, typed) is rejected


def test_answers_grow_old() -> None:
    """After five minutes an answer is forgotten."""
    now = 0.0
    reuse = Reuse(lambda: now)
    reuse.put(here("x = █\n"), Known("1"))
    now = LIFETIME + 1
    assert reuse.rest(here("x = █\n")) is None


def test_a_closed_document_is_forgotten() -> None:
    """Nothing is kept of a document that the editor has closed."""
    reuse = knowing("x = █\n", "1")
    reuse.forget("file:///src/app.py")
    assert reuse.rest(here("x = █\n")) is None
