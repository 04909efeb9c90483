"""What of a document a model is shown."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qwen_lsp.core.context import Budget, Window, budget, window
from qwen_lsp.core.model import Api, Request, Route, Selected, Service
from tests.marks import CURSOR, at

WIDE = Budget(1000, 1000)


@pytest.mark.parametrize(
    ("nearer", "further"),
    [
        (("local", "http://127.0.0.1:9/v1"), ("openai", "http://127.0.0.1:9/v1")),
        (("openai", "http://localhost:9/v1"), ("openai", "https://models.example/v1")),
    ],
)
def test_the_nearer_the_processor_the_shorter_the_prompt(nearer: tuple[str, str], further: tuple[str, str]) -> None:
    """Reading a prompt costs time on the person's own machine, and most of all on its processor."""
    sizes = [
        budget(Service(provider, url, "qwen-coder", Route.FIM, Api.COMPLETIONS)) for provider, url in (nearer, further)
    ]
    assert sizes[0].before < sizes[1].before
    assert sizes[0].after < sizes[1].after


def test_a_small_document_is_shown_whole() -> None:
    """Everything before and after the cursor is in the window, with line feeds as line ends."""
    assert window(at("a\r\nb█c\rd\n"), WIDE) == Window("a\nb", "c\nd\n", 0)


def test_a_selected_menu_entry_counts_as_typed() -> None:
    """The model continues the entry that the menu would put in."""
    request = at("os.pa█\nx")
    chosen = Request(request.snapshot, request.line, request.column, selected=Selected(3, 5, "path"))
    assert window(chosen, WIDE) == Window("os.path", "\nx", 0)


@given(st.lists(st.text("ab ", max_size=30), max_size=60), st.data())
def test_the_window_is_a_part_of_the_document_within_its_budget(rows: list[str], data: st.DataObject) -> None:
    """Prefix and suffix are what stands next to the cursor, never more than the budget allows."""
    text = "\n".join(rows)
    offset = data.draw(st.integers(0, len(text)))
    size = Budget(80, 40)
    shown = window(at(text[:offset] + CURSOR + text[offset:]), size)
    assert text[:offset].endswith(shown.prefix)
    assert text[offset:].startswith(shown.suffix)
    assert len(shown.prefix) <= size.before
    assert len(shown.suffix) <= size.after


def test_the_beginning_stays_while_a_person_types() -> None:
    """Most new lines leave the window's beginning where it was, so that prompt caches hit."""
    before = "".join(f"name_{n} = {n}\n" for n in range(100))
    beginnings = []
    for typed in range(32):
        request = at(before + "x = 1\n" * typed + CURSOR)
        beginnings.append(window(request, Budget(800, 100)).first)
    assert len(set(beginnings)) <= 4
    assert beginnings == sorted(beginnings)
