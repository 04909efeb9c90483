"""What of a document a model is shown."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qwen_lsp.core import context
from qwen_lsp.core.config import LocalSettings, Settings
from qwen_lsp.core.context import Budget, Window, budget, density_near, sticky, window
from qwen_lsp.core.model import Api, Request, Route, Selected, Service, Snippet
from tests.marks import CURSOR, at

WIDE = Budget(1000, 1000)
LOCAL = Service("local", "http://127.0.0.1:9/v1", "qwen2.5-coder-1.5b", Route.FIM, Api.COMPLETIONS)
NEARBY = Service("openai", "http://localhost:9/v1", "qwen-coder", Route.FIM, Api.COMPLETIONS)
CLOUD = Service("dashscope", "https://models.example/v1", "qwen-coder-turbo", Route.FIM, Api.COMPLETIONS)


@pytest.mark.parametrize(("nearer", "further"), [(LOCAL, NEARBY), (NEARBY, CLOUD)])
def test_the_nearer_the_processor_the_shorter_the_prompt(nearer: Service, further: Service) -> None:
    """Reading a prompt costs time on the person's own machine, and most of all on its processor."""
    sizes = [budget(service, Settings()) for service in (nearer, further)]
    assert sizes[0].before < sizes[1].before
    assert sizes[0].after < sizes[1].after
    assert sizes[0].snippets < sizes[1].snippets


@pytest.mark.parametrize("speed", [None, 5, 30, 75, 120, 300, 1000, 50_000])
@pytest.mark.parametrize("service", [LOCAL, NEARBY])
def test_a_budget_is_what_can_be_read_in_time_within_bounds(service: Service, speed: float | None) -> None:
    """The suffix in about a second, all else in about six; never less than a model needs, never beyond the context."""
    size = budget(service, Settings(), speed)
    before = size.before + size.snippets
    assert 96 <= size.after <= 768
    assert before >= 512
    assert before + size.after + Settings().max_tokens < LocalSettings().context
    if speed is not None and service is LOCAL:
        assert size.after <= max(speed, 96)
        assert before <= max(6 * speed, 512)
        assert f"{speed:.0f} tokens a second" in size.why


def test_a_service_that_bills_is_bounded_by_tokens_at_any_speed() -> None:
    """A fast cloud is no reason to pay for more."""
    assert budget(CLOUD, Settings(), 50_000) == budget(CLOUD, Settings())


@pytest.mark.parametrize("service", [LOCAL, NEARBY, CLOUD])
@pytest.mark.parametrize("tokens", [256, 1000, 3000, 32_768])
def test_a_person_may_say_how_much_it_is(service: Service, tokens: int) -> None:
    """`qwen.promptTokens` is the whole prompt, as far as the embedded model's context goes."""
    size = budget(service, Settings(prompt_tokens=tokens), 50)
    whole = size.before + size.after + size.snippets
    assert whole == (min(tokens, 4096 - 128 - 64) if service is LOCAL else tokens)
    assert min(size.before, size.after, size.snippets) > 0


def test_without_snippets_the_document_has_their_room_where_time_bounds_it() -> None:
    """`qwen.snippets` off, or nobody to ask for them."""
    for size in (budget(LOCAL, Settings(snippets=False), 100), budget(LOCAL, Settings(), 100, snippets=False)):
        assert size.snippets == 0
        assert size.before == 600


def test_a_small_document_is_shown_whole() -> None:
    """Everything before and after the cursor is in the window, with line feeds as line ends."""
    assert window(at("a\r\nb█c\rd\n"), WIDE) == Window("a\nb", "c\nd\n", 0)


def test_a_selected_menu_entry_counts_as_typed() -> None:
    """The model continues the entry that the menu would put in."""
    request = at("os.pa█\nx")
    chosen = Request(request.snapshot, request.line, request.column, selected=Selected(3, 5, "path"))
    assert window(chosen, WIDE) == Window("os.path", "\nx", 0)


def test_a_neighbour_of_a_megabyte_is_looked_at_in_part(monkeypatch: pytest.MonkeyPatch) -> None:
    """Minified text beside the cursor costs no more than other lines."""
    seen: list[int] = []
    monkeypatch.setattr(context, "density", lambda text, *_: seen.append(len(text)) or 4.0)
    density_near(at(f"{'x' * 1_000_000}\ny = {CURSOR}\n"))
    assert 0 < seen[0] < 1000


@given(st.lists(st.text("ab ", max_size=30), max_size=60), st.data(), st.sampled_from([1.0, 0.5, 2.0]))
def test_the_window_is_a_part_of_the_document_within_its_budget(
    rows: list[str], data: st.DataObject, per_token: float
) -> None:
    """Prefix and suffix are what stands next to the cursor, never more than the budget allows, from a line's start."""
    text = "\n".join(rows)
    offset = data.draw(st.integers(0, len(text)))
    size = Budget(80, 40)
    shown = window(at(text[:offset] + CURSOR + text[offset:]), size, per_token)
    assert text[:offset].endswith(shown.prefix)
    assert text[offset:].startswith(shown.suffix)
    assert len(shown.prefix) <= size.before * per_token
    assert len(shown.suffix) <= size.after * per_token
    beginning = offset - len(shown.prefix)
    assert text[:beginning].count("\n") == shown.first
    assert not beginning or text[beginning - 1] == "\n" or "\n" not in shown.prefix
    end = offset + len(shown.suffix)
    assert end == len(text) or text[end - 1] == "\n" or "\n" not in shown.suffix


@pytest.mark.parametrize("size", [Budget(800, 100), Budget(200, 50), Budget(3000, 100)])
def test_the_beginning_stays_while_a_person_types(size: Budget) -> None:
    """Most new lines leave the window's beginning where it was, so that prompt caches hit; keys always do."""
    before = "".join(f"name_{n} = {n}\n" for n in range(300))
    beginnings, ends = [], set()
    for typed in range(32):
        for key in ("", "x", "x = ", "x = 1"):
            shown = window(at(before + "x = 1\n" * typed + key + CURSOR + "\n" + before), size)
            beginnings.append(shown.first)
            ends.add(shown.suffix)
    assert len(set(beginnings)) <= 4
    assert beginnings == sorted(beginnings)
    assert len(ends) == 1


def test_few_long_lines_are_not_given_up_for_a_step() -> None:
    """Where only a dozen lines fit, the beginning moves more often rather than half of them away."""
    before = "".join(f"{n:03}" + "x" * 96 + "\n" for n in range(100))
    for lines in range(8):
        shown = window(at(before + "y\n" * lines + CURSOR), Budget(1200, 10))
        assert len(shown.prefix) >= 0.6 * 1200


CELLS = (Snippet("cell", "import numpy", source="python"), Snippet("cell", "# Load\nit", source="markdown"))


def test_cells_of_a_notebook_are_code_around_this_one() -> None:
    """Those of the same language as they are, the others as comments, in their order."""
    request = at("x = █1\ny\n")
    snapshot = replace(request.snapshot, before=CELLS, after=(CELLS[1], CELLS[0]))
    shown = window(replace(request, snapshot=snapshot), WIDE)
    assert shown.prefix == "import numpy\n# # Load\n# it\nx = "
    assert shown.suffix == "1\ny\n\n# # Load\n# it\nimport numpy\n"


def test_cells_get_what_room_the_document_leaves() -> None:
    """The nearest come first, cut at line starts, and are left out where the document fills the window."""
    request = at("x = █\n")
    cells = tuple(Snippet("cell", f"a{n} = {n}\nb{n} = {n}", source="python") for n in range(50))
    shown = window(replace(request, snapshot=replace(request.snapshot, before=cells, after=cells)), Budget(40, 30))
    assert shown.prefix.endswith("a49 = 49\nb49 = 49\nx = ")
    assert shown.suffix.startswith("\n\na0 = 0\nb0 = 0\n")
    assert len(shown.prefix) <= 40
    assert len(shown.suffix) <= 30
    assert shown.first == 100 - shown.prefix.count("\n")
    long = at("y = 2\n" * 500 + CURSOR)
    shown = window(replace(long, snapshot=replace(long.snapshot, before=cells)), Budget(40, 30))
    assert "a49" not in shown.prefix


def test_the_density_of_a_document_does_not_change_from_key_to_key() -> None:
    """It is told from the lines around the cursor, and held."""
    text = "".join(f"    value_{n} = compute({n}, factor=3)\n" for n in range(60))
    held = density_near(at(text + CURSOR))
    for typed in ("value", "value = 1234567890", "x\n", "class Thing:\n    pass\n"):
        assert density_near(at(text + typed + CURSOR), 1.0, held) == held
    assert density_near(at("x█")) == pytest.approx(4)


def snippet(name: str, size: int = 20) -> Snippet:
    return Snippet(name, name[0] * (size - len(name) - 1), 0.5, "similar")


A, B, C, D = (snippet(name) for name in ("a.py", "b.py", "c.py", "d.py"))


@pytest.mark.parametrize(
    ("old", "fresh", "shown"),
    [
        ([], [A, B, C], [C, B, A]),
        ([C, B, A], [A, B, C], [C, B, A]),
        ([C, B, A], [B, A, C], [C, B, A]),
        ([C, B, A], [D, A, B, C], [B, A, D]),
        ([C, B, A], [D], [D]),
        ([C, B, A], [], []),
    ],
    ids=["the best last", "the same again", "another order", "a new one", "only a new one", "none"],
)
def test_snippets_stay_in_their_places_as_long_as_they_help(
    old: list[Snippet], fresh: list[Snippet], shown: list[Snippet]
) -> None:
    """What is still of use keeps its place, so that the prompt begins alike; what helps most is always shown."""
    assert sticky(old, fresh, 60) == tuple(shown)


@given(st.lists(st.sampled_from([A, B, C, D]), unique=True), st.permutations([A, B, C, D]), st.integers(0, 100))
def test_snippets_fit_their_room(old: list[Snippet], fresh: list[Snippet], room: int) -> None:
    """Never more than there is room for, never one twice, none that is of no use now; the best one if it fits."""
    shown = sticky(old, fresh, room)
    assert sum(len(each.path) + len(each.text) + 1 for each in shown) <= room
    assert len(set(shown)) == len(shown)
    assert set(shown) <= set(fresh)
    assert fresh[0] in shown or room < 20
