"""core/questions.py: what a service is asked to get to know it, and what its answers show."""

from __future__ import annotations

import pytest

from qwen_lsp.core.model import Route
from qwen_lsp.core.prompt import fim_text
from qwen_lsp.core.questions import FIM, PARTIAL, form, opening, works


@pytest.mark.parametrize("text", ["4711", " 4711\n", "4711  # the port\n\n", "4711<|fim_pad|>", "\n4711;"])
def test_who_fills_in_writes_the_number_that_follows(text: str) -> None:
    """However it goes on: only what follows the cursor says which number it is."""
    assert works(Route.FIM, text)


@pytest.mark.parametrize("text", ["", "1", "47110", "harbour = 4711", "```python\n4711\n```", "Sure! 4711"])
def test_anything_else_was_not_filled_in(text: str) -> None:
    """A guess, an echo, a chat."""
    assert not works(Route.FIM, text)


@pytest.mark.parametrize(("text", "good"), [(" + b", True), ("+ b\n", True), ("return a + b", False), ("", False)])
def test_who_continues_goes_on_with_an_operator(text: str, *, good: bool) -> None:
    """Who begins anew does not."""
    assert works(Route.PARTIAL, text) is good


@pytest.mark.parametrize("route", [*Route])
def test_a_question_does_not_hold_its_answer_before_the_cursor(route: Route) -> None:
    """Else an echo would be right; it is short, for it may be billed."""
    prompt = opening(route)
    assert not works(route, prompt.prefix)
    assert len(fim_text(prompt)) < 150


def test_faults_of_form_are_named() -> None:
    """Control tokens, what stands before the cursor, fences and sentences."""
    assert form(FIM, "4711").faults == ""
    assert form(FIM, "4711<|endoftext|>").leaks
    assert form(PARTIAL, "def add(a, b):\n    return a + b").echoes
    assert form(FIM, "```\n4711\n```").fences
