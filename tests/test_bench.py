"""The benchmark's pure parts: a figure is worth what its instrument is."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.bench import table
from tests.bench.client import Reply
from tests.bench.editor import MisfitError, Reader, View, shown, still_fits
from tests.bench.known_file import KnownFile, limited, tokens
from tests.bench.measure import added, percentile
from tests.bench.service import Exchange
from tests.bench.typing_trace import SOURCES, Act, document, make, source

BODY = "\n".join(f"    value_{n} = compute(first_{n}, second_{n})" for n in range(12))
FILE = f'"""A module."""\n\n\ndef work(self):\n    """Works."""\n{BODY}\n\n\ndef rest():\n    pass\n'


def view(marked: str) -> View:
    """A document with the cursor at █."""
    return View(marked.replace("█", ""), marked.index("█"))


def item(text: str, start: int, end: int, line: int = 0, **more: str) -> dict[str, object]:
    edges = {"start": {"line": line, "character": start}, "end": {"line": line, "character": end}}
    return {"items": [{"insertText": text, "range": edges, **more}]}


@pytest.mark.parametrize("module", SOURCES)
@pytest.mark.parametrize("seed", [1, 2])
def test_a_trace_types_back_what_was_cut_out(module: str, seed: int) -> None:
    """Whatever slips and wrong turns come in between, the document is the true file at the end."""
    trace = make(module, source(module), seed=seed, rate=8, length=40)
    now = View(trace.before, trace.start)
    for key in trace.keys:
        if key.act is Act.BACK:
            now, _ = now.deleted()
        elif key.act is Act.TYPE:
            assert key.astray or key.at == now.offset
            now, _ = now.typed(key.text)
    assert now == View(trace.truth, trace.end)


def test_a_trace_depends_on_its_seed_alone() -> None:
    """The same seed gives the same keys, another seed gives others."""
    one, same, other = (make("work", FILE, seed=seed, rate=8, length=20) for seed in (1, 1, 2))
    assert one == same
    assert one.keys != other.keys


def test_a_trace_has_all_that_people_do() -> None:
    """Slips, wishes to take a suggestion, and Enter with an indentation, at about the rate asked for."""
    text = source("argparse")
    keys = [key for seed in range(4) for key in make("argparse", text, seed=seed, rate=8, length=200).keys]
    assert {key.act for key in keys} == set(Act)
    assert any(key.text.startswith("\n ") for key in keys)
    assert 1 / 16 < sum(key.pause for key in keys) / len(keys) < 1 / 4


@given(st.text())
def test_tokens_joined_are_the_text(text: str) -> None:
    """Nothing is lost between tokens."""
    assert "".join(tokens(text)) == text


@given(at=st.integers(len(FILE) - len(BODY), len(FILE) - 1), seed=st.integers(0, 9))
def test_a_model_that_is_never_wrong_writes_the_truth(at: int, seed: int) -> None:
    """The answer is what the file has after the prefix."""
    assert FILE.startswith(KnownFile(FILE, near=at, seed=seed).answer(FILE[:at]), at)


@given(at=st.integers(100, 400), seed=st.integers(0, 9))
def test_a_wrong_guess_goes_on_while_it_is_typed_through(at: int, seed: int) -> None:
    """Within a word, a mistake made at one key is made at the next key too."""
    model = KnownFile(FILE, near=100, wrong=1.0, seed=seed)
    guess = model.answer(FILE[:at])
    if FILE[at].isalnum() and guess.startswith(FILE[at]) and FILE[at - 1].isalnum():
        assert model.answer(FILE[: at + 1]) == guess[1:]
    assert not FILE.startswith(guess, at)


def test_the_share_of_wrong_places_is_as_told() -> None:
    """Over the places of a real file, about so many guesses are wrong."""
    text = source("argparse")
    places = [at for at in range(1, 40_000) if text[at].isalpha() and text[at - 1] == " "]
    right = [text.startswith(KnownFile(text, at, 0.3).answer(text[:at]), at) for at in places]
    assert sum(right) / len(right) == pytest.approx(0.7, abs=0.05)


def test_a_prefix_that_the_file_does_not_have_gets_something_useless() -> None:
    """A model knows no way on from a slip."""
    model = KnownFile(FILE, near=60)
    assert model.find(FILE[:60] + "zz") is None
    assert model.answer(FILE[:60] + "zz") not in FILE


def test_an_answer_ends_at_a_stop_string_or_at_the_most_tokens() -> None:
    """As services cut it."""
    assert list(limited("a = b; c", ["<x>", ";"], 9)) == ["a", " =", " b"]
    assert list(limited("a = b; c", [], 2)) == ["a", " ="]


@pytest.mark.parametrize(
    ("marked", "answer", "text"),
    [
        ("ret█", {"items": []}, None),
        ("ret█", None, None),
        ("ret█", {"items": [{"insertText": "urn 1"}]}, "urn 1"),
        ("ret█", item("return 1", 0, 3), "urn 1"),
        ("f(█)", item("a)", 2, 3, filterText=")a)"), "a)"),
        ("a\n😀 = █", item("1", 5, 5, line=1), "1"),
    ],
)
def test_what_an_answer_shows(marked: str, answer: object, text: str | None) -> None:
    """The item's text less what its range holds before the cursor; the filter text defaults to the item's text."""
    seen = shown(answer, view(marked))
    assert (None if seen is None else seen.text) == text


@pytest.mark.parametrize(
    ("marked", "answer", "reason"),
    [
        ("a\nb█", item("c", 1, 1, line=0), "line"),
        ("abc█", item("d", 1, 2), "contain"),
        ("abc█", item("d", 3, 4), "contain"),
        ("😀█", item("d", 1, 2), "contain"),
        ("f(█)", item("a)", 2, 3), "filterText"),
        ("ret█", item("xyz", 0, 3, filterText="ret"), "typed"),
    ],
)
def test_an_answer_that_does_not_fit_is_seen(marked: str, answer: object, reason: str) -> None:
    """A range off the cursor or a text that does not begin with what stands in it counts against the server."""
    with pytest.raises(MisfitError, match=reason):
        shown(answer, view(marked))


def test_a_late_answer_fits_only_if_it_can_be_typed_through() -> None:
    """The document may have moved on along the suggestion, and not otherwise."""
    asked = view("x = █\n")
    assert still_fits("value", asked, view("x = val█\n"))
    assert not still_fits("value", asked, view("x = vam█\n"))
    assert not still_fits("value", asked, view("y = val█\n"))
    assert not still_fits("value", asked, view("x = █"))


def test_a_reader_sees_what_changes_while_it_is_typed_through() -> None:
    """A longer or a shorter form of what is shown is no change; another text is one."""
    reader = Reader(0)
    reader.answered("return a")
    reader.typed("r")
    reader.answered("eturn a + b")
    reader.typed("e")
    reader.answered("turn")
    assert (reader.visible, reader.changed) == ("turn a + b", 0)
    reader.typed("t")
    reader.answered("urns")
    assert (reader.visible, reader.changed) == ("urns", 1)
    reader.typed("x")
    reader.answered("y")
    assert reader.changed == 1


def test_tokens_shown_count_once_and_used_when_typed_through() -> None:
    """A suggestion that goes and comes back is no more tokens; a token is used when its last character is."""
    reader = Reader(10)
    reader.answered("return first")
    reader.typed("ret")
    reader.typed("z")
    reader.deleted()
    reader.answered("urn first")
    assert (len(reader.shown), len(reader.used)) == (2, 0)
    reader.typed("urn")
    assert (len(reader.shown), len(reader.used)) == (2, 1)


def test_percentiles_lie_between_the_values() -> None:
    """They are interpolated, whatever the order; of nothing there is none."""
    assert [percentile([3, 1, 2], share) for share in (0, 0.5, 0.75, 1)] == [1, 2, 2.5, 3]
    assert math.isnan(percentile([], 0.5))


def test_added_latency_leaves_out_what_the_service_took() -> None:
    """Overlapping exchanges count once, and only within the time of the reply."""
    reply = Reply(1, sent=10.0)
    reply.got = 11.0
    log = [Exchange(10.2, 10.5), Exchange(10.4, 10.6), Exchange(9.0, 10.1), Exchange(10.9)]
    assert added(reply, log) == pytest.approx(0.4)
    assert added(reply, []) == pytest.approx(1.0)


def test_a_document_has_the_lines_asked_for() -> None:
    """No more and no fewer."""
    assert [len(document(lines).splitlines()) for lines in (1, 100, 2000)] == [1, 100, 2000]


def test_the_table_has_a_row_for_each_figure_and_a_column_for_each_server() -> None:
    """Measurements that were not made have no rows, figures that are unknown a dash."""
    results = {"idle": {"naive": {"cpu": 1.0, "wakeups": math.nan}, "ours": {"cpu": 0.25, "wakeups": 0.0}}}
    assert table.render(results, ["naive", "ours"]) == (
        "| figure                       | naive | ours |\n"
        "|------------------------------|------:|-----:|\n"
        "| idle: processor, % of a core |  1.00 | 0.25 |\n"
        "| idle: wake-ups a second      |     - |  0.0 |\n"
    )
