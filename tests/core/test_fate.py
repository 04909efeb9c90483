"""core/fate.py: what became of a suggestion, told from the document alone."""

from __future__ import annotations

import pytest

from qwen_lsp.core.fate import Fate, Fates
from qwen_lsp.core.model import Ghost
from tests.marks import at


def fates(before: str, insert: str, *after: str) -> list[Fate]:
    """A suggestion shown at the `█` of a document, then a request at each of these."""
    found, request = Fates(), at(before)
    found.shown(request, Ghost(request.line, request.column, request.column, insert, insert))
    return [ended[0] for text in after if (ended := found.asked(at(text)))]


@pytest.mark.parametrize(
    ("after", "fate"),
    [
        (["x = add(1, 2)█\n"], [Fate.TAKEN]),
        (["x = a█\n", "x = ad█\n", "x = add(1, 2)█\n"], [Fate.TAKEN]),
        ([f"x = {'add(1, 2)'[:end]}█\n" for end in range(1, 10)], [Fate.TYPED]),
        (["x = add█\n"], [Fate.BY_WORD]),
        (["x = add█\n", "x = add(1, █\n", "x = add(1, 2)█\n"], [Fate.BY_WORD, Fate.BY_WORD, Fate.TAKEN]),
        (["x = add█\n", "x = add(█\n", "x = add(7█\n"], [Fate.BY_WORD]),
        (["x = s█\n"], [Fate.LEFT]),
        (["x = a█\n", "x = as█\n", "x = ask█\n"], [Fate.LEFT]),
        (["x =█\n"], [Fate.LEFT]),
        (["x = \ny█\n"], [Fate.LEFT]),
        (["y = add█\n"], [Fate.LEFT]),
        (["x = █\n", "x = █\n"], []),
    ],
)
def test_what_became_of_a_suggestion(after: list[str], fate: list[Fate]) -> None:
    """Taken in one step to its end, typed key by key, by word to a word's end; anything else leaves it."""
    assert fates("x = █\n", "add(1, 2)", *after) == fate


def test_a_line_of_several_is_taken_by_line() -> None:
    """With or without its end."""
    before, insert = "if x:\n    █\n", "go()\n    stop()"
    assert fates(before, insert, "if x:\n    go()█\n") == [Fate.BY_LINE]
    assert fates(before, insert, "if x:\n    go()\n█\n") == [Fate.BY_LINE]
    assert fates(before, insert, "if x:\n    go()\n    stop()█\n") == [Fate.TAKEN]


def test_the_rest_of_a_suggestion_is_the_same_one() -> None:
    """Shown again at each key, it is counted once."""
    found, whole = Fates(), "add(1, 2)"
    for end in range(len(whole)):
        request = at(f"x = {whole[:end]}█\n")
        assert found.asked(request) is None
        rest = whole[end:]
        found.shown(request, Ghost(0, request.column, request.column, rest, rest))
    assert found.asked(at(f"x = {whole}█\n")) == (Fate.TYPED, Ghost(0, 4, 4, whole, whole))


def test_another_suggestion_has_a_fate_of_its_own() -> None:
    """The first was left before."""
    found = Fates()
    request = at("x = █\n")
    found.shown(request, Ghost(0, 4, 4, "add(1, 2)", "add(1, 2)"))
    request = at("x = s█\n")
    assert (found.asked(request) or "")[0] is Fate.LEFT
    found.shown(request, Ghost(0, 5, 5, "um(y)", "um(y)"))
    assert (found.asked(at("x = sum(y)█\n")) or "")[0] is Fate.TAKEN


def test_nothing_is_told_of_a_document_that_was_closed() -> None:
    """Nor of one in which nothing was shown."""
    found, request = Fates(), at("x = █\n")
    assert found.asked(request) is None
    found.shown(request, Ghost(0, 4, 4, "y", "y"))
    found.closed(request.snapshot.uri)
    assert found.asked(at("x = z█\n")) is None
