"""The evaluation's own arithmetic: holes, metrics, intervals, comparisons and the page, and the asking in between."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qwen_lsp.backend.backend import ModelBackend
from qwen_lsp.core import prices
from qwen_lsp.core.config import PriceSettings, Settings
from qwen_lsp.core.context import Window
from qwen_lsp.core.model import Api, Ghost, Reason, Request, Route, Service, Skip, Snapshot, Snippet
from qwen_lsp.engine.engine import Engine
from qwen_lsp.evaluation import compare, report, rows
from qwen_lsp.evaluation.choice import Listed, holes, sources
from qwen_lsp.evaluation.figures import FIGURES, groups, reasons
from qwen_lsp.evaluation.hole import Hole, Kind, Source
from qwen_lsp.evaluation.intervals import bootstrap, quantile, wilson
from qwen_lsp.evaluation.metrics import Score, common, repeats, score, similarity
from qwen_lsp.evaluation.page import page, worst
from qwen_lsp.evaluation.places import cut, places
from qwen_lsp.evaluation.report import Run
from qwen_lsp.evaluation.rows import Row, Tokens
from qwen_lsp.evaluation.run import MOST_FAILURES, Pipeline, ProviderError, complete
from tests.fake_dashscope import FAILURES, Answer, FakeService, Received

SOURCE = '''\
"""A shop, in one long docstring.

It has items = [1, 2], of course(this is prose).
"""
import math  # for rounding

# total(items) is below
def total(items, rate):
    """Sum(all) of it."""
    amount = 0
    for item in items:
        amount += item.price
        amount -= item.rebate
    else:
        pass

    return round(
        amount * rate,
        digits,
    )
'''
PLACES = {
    Kind.LINE_END: {
        "def ⟦total(items, rate):⟧",
        "def total⟦(items, rate):⟧",
        "def total(⟦items, rate):⟧",
        "def total(items⟦, rate):⟧",
        "def total(items, ⟦rate):⟧",
        "    for ⟦item in items:⟧",
        "    for item ⟦in items:⟧",
        "    for item in ⟦items:⟧",
        "        amount ⟦+= item.price⟧",
        "        amount += ⟦item.price⟧",
        "        amount += item⟦.price⟧",
        "        amount += item.⟦price⟧",
        "        amount -= item⟦.rebate⟧",
        "        amount ⟦-= item.rebate⟧",
        "        amount -= ⟦item.rebate⟧",
        "        amount -= item.⟦rebate⟧",
        "    return ⟦round(⟧",
        "        amount * ⟦rate,⟧",
        "        amount ⟦* rate,⟧",
    },
    Kind.LINE: {
        "⟦def total(items, rate):⟧",
        "    ⟦for item in items:⟧",
        "        ⟦amount += item.price⟧",
        "        ⟦amount -= item.rebate⟧",
        "        ⟦amount * rate,⟧",
    },
    Kind.BLOCK: {
        "        ⟦amount += item.price\n        amount -= item.rebate⟧",
        "        ⟦amount * rate,\n        digits,⟧",
        "    ⟦" + SOURCE[SOURCE.index("for item") : SOURCE.index("pass") + 4] + "⟧",
        "    ⟦return round(\n        amount * rate,\n        digits,\n    )⟧",
    },
    Kind.ARGUMENTS: set(),
}
CALLS = """\
int main(int count, char **names) {
    print(format(width, "a)b"), stderr);
    if (ready(now)) return add(1, two);
    /* call(this) */ log("nothing to do, and a long story of it");
    s = "call(that, too)"; done();
}
"""


def kind_of_place(hole: Hole) -> str:
    """The hole's lines, what is cut out between `⟦ ⟧`, the rest of the last one only if it is short."""
    head = hole.before.rpartition("\n")[2]
    return f"{head}⟦{hole.expected}⟧"


def found(text: str, kind: Kind, language: str = "python", seed: int = 0) -> set[str]:
    source = Source("shop.py", language, text)
    return {kind_of_place(cut(source, kind, span)) for span in places(source, kind, random.Random(seed))}


@pytest.mark.parametrize("kind", [Kind.LINE, Kind.BLOCK, Kind.ARGUMENTS], ids=lambda kind: kind.value)
def test_holes_are_where_a_person_thinks(kind: Kind) -> None:
    """Neither comments, docstrings and blank lines are cut, nor `else:`, nor half of a bracket."""
    assert found(SOURCE, kind) == PLACES[kind]


def test_the_end_of_a_line_begins_with_a_word_or_a_sign() -> None:
    """One column of a line is taken, by chance; over many seeds all good ones come, and no other."""
    seen = set().union(*(found(SOURCE, Kind.LINE_END, seed=seed) for seed in range(200)))
    assert seen == PLACES[Kind.LINE_END]
    assert len(found(SOURCE, Kind.LINE_END)) < len(SOURCE.splitlines())


def test_arguments_are_those_of_calls() -> None:
    """Declarations and keywords have brackets too; a bracket in a string closes nothing; nothing in a comment calls."""
    seen = set().union(*(found(CALLS, Kind.ARGUMENTS, "c", seed=seed) for seed in range(50)))
    assert seen == {
        '    print(⟦format(width, "a)b"), stderr⟧',
        '    print(format(⟦width, "a)b"⟧',
        "    if (ready(⟦now⟧",
        "    if (ready(now)) return add(⟦1, two⟧",
    }


def test_a_comment_within_a_line_is_no_code() -> None:
    """Nobody can guess what a remark says: neither a line of it alone nor one that ends in it is cut."""
    text = "/* the sum of both */\nint sum = add(a, b);\nint more = add(sum, 1); /* and one */\n"
    assert found(text, Kind.LINE, "c") == {"⟦int sum = add(a, b);⟧"}


ANY_TEXT = st.text(st.sampled_from("ab(1, )\n\t {}[]:#\"'=.\r/*é😀"), max_size=120)


@given(ANY_TEXT, st.sampled_from(["python", "c", "yaml", "rust", "nothing"]), st.sampled_from(Kind))
def test_a_hole_and_what_was_cut_out_are_the_file(text: str, language: str, kind: Kind) -> None:
    """Whatever the file, nothing of it is lost, the hole is not empty, and the cursor is where it was cut."""
    source = Source("a/b.py", language, text)
    for span in places(source, kind, random.Random(1)):
        hole = cut(source, kind, span)
        assert hole.before + hole.expected + hole.after == text
        assert hole.expected.strip()
        lines = hole.snapshot("file:///a/b.py").lines
        assert "".join(lines) == hole.before + hole.after
        assert "".join(lines[: hole.line]) + lines[hole.line][: hole.column] == hole.before


TREE = {
    "a.py": "".join(f"def f{n}(x, y):\n    value = call{n}(x, {n})\n    return value + y\n\n\n" for n in range(6)),
    "sub/b.go": "".join(f"func f{n}(x int) int {{\n\tvalue := call{n}(x, {n})\n\treturn value\n}}\n" for n in range(6)),
    "README.md": "# Call this(one, two)\n" * 9,
    "data.json": '{"some": "value", "other": 1}\n' * 9_000,
}
LISTED = [Listed(path, len(text)) for path, text in TREE.items()]


def test_the_seed_decides_and_nothing_else() -> None:
    """The same files and seed give the same holes in any order of listing; another seed gives others."""
    first = holes(LISTED, TREE.get, 12, seed=1)
    assert first == holes(LISTED[::-1], TREE.get, 12, seed=1)
    assert first != holes(LISTED, TREE.get, 12, seed=2)
    assert first[:5] == holes(LISTED, TREE.get, 5, seed=1)


def test_kinds_take_turns_and_no_line_is_cut_twice() -> None:
    """A run that is stopped early has some of every kind, and no two holes of a sample overlap."""
    sample = holes(LISTED, TREE.get, 100)
    assert [hole.kind for hole in sample[:8]] == [*Kind, *Kind]
    taken = [
        (hole.path, line) for hole in sample for line in range(hole.line, hole.line + hole.expected.count("\n") + 1)
    ]
    assert len(taken) == len(set(taken))
    assert {hole.language for hole in sample} == {"python", "go"}
    assert len(sample) < 100  # there is no more room


def test_only_code_is_a_source() -> None:
    """Prose and data say nothing of code; what can't be read is as if it was not there."""
    assert [file.path for file in sources(LISTED)] == ["a.py", "sub/b.go"]
    assert {hole.path for hole in holes(LISTED, {"a.py": TREE["a.py"]}.get, 9)} == {"a.py"}
    assert holes(LISTED, lambda _path: None, 9) == []
    assert {hole.kind for hole in holes(LISTED, TREE.get, 9, kinds=[Kind.BLOCK])} == {Kind.BLOCK}


HOLE = Hole("a.py", "python", Kind.LINE_END, "def f(a, b):\n    return ", "a + b", "\n\n\nprint(f(1, 2))\n")


@pytest.mark.parametrize(
    ("shown", "expected"),
    [
        ("a + b", Score(exact=True, first_line=True, similarity=1.0, valid=True, duplicates=False)),
        ("a + b  \r\n", Score(exact=True, first_line=True, similarity=1.0, valid=True, duplicates=False)),
        ("a + b\n\nf(3)", Score(exact=False, first_line=True, similarity=10 / 16, valid=True, duplicates=False)),
        ("a - b", Score(exact=False, first_line=False, similarity=0.8, valid=True, duplicates=False)),
        ("(a", Score(exact=False, first_line=False, similarity=2 / 7, valid=False, duplicates=False)),
        (
            "a + b\n\n\nprint(f(1, 2))",
            Score(exact=False, first_line=True, similarity=10 / 27, valid=True, duplicates=True),
        ),
    ],
    ids=["right", "blanks", "one line more", "another sign", "broken", "doubled"],
)
def test_scores_by_hand(shown: str, expected: Score) -> None:
    """Every figure of one completion, computed by hand."""
    got = score(HOLE, shown)
    assert got.similarity == pytest.approx(expected.similarity)
    assert replace(got, similarity=0.0) == replace(expected, similarity=0.0)


def test_what_a_completion_replaces_is_expected_of_it() -> None:
    """A closing bracket that the editor put there may be written again, where it is replaced."""
    hole = Hole("a.py", "python", Kind.ARGUMENTS, "f(", "a, b", ")\n")
    assert score(hole, "a, b)", covered=1).exact
    assert not score(hole, "a, b)").exact
    assert score(hole, "a, b)").valid is False
    ghost = Ghost(line=0, start=1, end=3, insert="(a, b)", filter="(a, b)")
    assert rows.placed(ghost, hole) == ("a, b)", 1)


def test_syntax_is_judged_where_it_was_right() -> None:
    """A file that was broken before says nothing; other languages are told by their brackets and strings."""
    broken = replace(HOLE, after=HOLE.after + "def (:\n")
    assert score(broken, "a + b").valid is None
    rust = Hole("a.rs", "rust", Kind.LINE_END, "fn f() { ", 'g("}")', " }\n")
    assert score(rust, 'g("{")').valid is True
    assert score(rust, 'g("}"').valid is False
    toml = Hole("a.toml", "toml", Kind.LINE_END, "a = ", "[1, 2]", "\n")
    assert score(toml, "[1").valid is False
    assert score(toml, "3").valid is True


@pytest.mark.parametrize(
    ("before", "shown", "after", "expected"),
    [
        ("x = ", "one", "\ny = two\n", False),
        ("x = ", "one\ny = two", "\ny = two\n", True),
        ("x = ", "one\n\n    y = two", "\n\n\ny = two\nz = 3\n", True),
        ("x = f(", "a, name)", ", name)\n", True),
        ("x = f(", "a", ")\n", False),
        ("if x:\n    ", "a = 1\n}\nstop()", "\n}\nstop()\n", True),
        ("if x:\n    ", "a = 1\n}", "\n}\n", False),
        ("", "", "\nname\n", False),
    ],
)
def test_what_counts_as_a_repetition(before: str, shown: str, after: str, *, expected: bool) -> None:
    """Lines that follow anyway are, a bracket alone is not."""
    assert repeats(before, shown, after) is expected


SHORT = st.text(st.sampled_from("abc\n"), max_size=12)


@given(SHORT, SHORT)
def test_similarity_is_by_the_longest_common_subsequence(one: str, other: str) -> None:
    """The quick way gives what the textbook's table gives, in both directions."""
    table = [[0] * (len(other) + 1) for _ in range(len(one) + 1)]
    for at, left in enumerate(one):
        for index, right in enumerate(other):
            longer = max(table[at][index + 1], table[at + 1][index])
            table[at + 1][index + 1] = table[at][index] + 1 if left == right else longer
    assert common(one, other) == common(other, one) == table[-1][-1]
    assert similarity(one, one) == 1.0


def test_intervals_of_shares_are_wilsons() -> None:
    """Against the values of Newcombe's paper (1998): 0 of 10, 15 of 148, 81 of 263."""
    assert wilson(0, 10) == pytest.approx((0.0, 0.2775), abs=1e-4)
    assert wilson(15, 148) == pytest.approx((0.0624, 0.1605), abs=1e-4)
    assert wilson(81, 263) == pytest.approx((0.2553, 0.3662), abs=1e-4)
    assert wilson(0, 0) == (0.0, 1.0)


def test_a_bootstrap_says_how_sure_a_mean_is() -> None:
    """It is near the textbook's interval, the same for the same seed, a point for a constant, and none for nothing."""

    def mean(values: Sequence[float]) -> float:
        return sum(values) / len(values)

    chance = random.Random(4)
    sample = [chance.gauss(10, 2) for _ in range(100)]
    low, high = bootstrap(sample, mean) or (0, 0)
    assert low == pytest.approx(mean(sample) - 0.39, abs=0.08)
    assert high == pytest.approx(mean(sample) + 0.39, abs=0.08)
    assert bootstrap(sample, mean) == (low, high)
    assert bootstrap([3.0] * 9, mean) == (3.0, 3.0)
    assert bootstrap([], mean) is None
    assert quantile([4.0, 1.0, 2.0, 3.0], 0.5) == 2.5


def made(number: int, *, exact: bool = True, shown: str | None = "x", ms: float = 100.0, **more: object) -> Row:
    """A row of a run that never was."""
    hole = Hole(f"{number}.py", "python", list(Kind)[number % 4], "a = ", "x", "\n")
    given = Score(exact=exact, first_line=exact, similarity=float(exact), valid=True, duplicates=False)
    tokens = Tokens(prompt=1_000, cached=100, generated=20, shown=10.0)
    plain = Row(hole, given, shown, latency_ms=ms, first_token_ms=ms / 2, tokens=tokens, cost=0.01)
    return replace(plain, **more)


def run_of(some: Sequence[Row], price: prices.Price | None = prices.FREE) -> Run:
    service = Service("dashscope", "https://example.test/v1", "m", Route.FIM, Api.COMPLETIONS, region="cn-beijing")
    return Run(service, price, some, asked=len(some), seed=7)


def value(key: str, some: Sequence[Row]) -> float | None:
    return next(figure for figure in FIGURES if figure.key == key).of(some)


def test_figures_by_hand() -> None:
    """What is silent counts as wrong, but neither as broken nor as doubled; tokens are a completion's on average."""
    silent = made(2, exact=False, shown=None, ms=400.0, reason=Reason.EMPTY)
    silent = replace(silent, score=Score(exact=False, first_line=False, similarity=0.0))
    some = [made(0), made(1, exact=False, ms=200.0), silent]
    assert value("exact", some) == pytest.approx(1 / 3)
    assert value("silent", some) == pytest.approx(1 / 3)
    assert value("valid", some) == 1.0
    assert value("latencyP50", some) == 200.0
    assert value("promptTokens", some) == 1_000
    assert value("generatedPerShown", some) == 2.0
    assert value("cost", some) == pytest.approx(10.0)
    assert list(groups(some)) == ["all", "line-end", "line", "block", "in python"]
    assert reasons(some) == {"empty": 1}


def test_what_the_service_did_not_answer_counts_in_no_figure() -> None:
    """It is told beside the tables, with the service's message."""
    run = run_of([made(0), made(1, shown=None, exact=False, reason=Reason.ERROR, detail="no way")])
    text = report.as_text(run)
    assert text.splitlines()[0] == "m (dashscope in cn-beijing, fim): 2 of 2 holes, seed 7"
    assert "100 [21-100]" in text
    assert "Failed, and left out: 1 (no way)." in text
    said = report.as_json(run)
    assert (said["holes"], said["failed"], said["groups"]["all"]["holes"]) == (2, 1, 1)
    assert said["rows"][1]["outcome"] == "failed"
    assert "expected" not in said["rows"][0]


def test_a_price_depends_on_region_model_and_length() -> None:
    """By the list: snapshots cost what the stable version does, cached tokens a fifth, and what is unknown is None."""
    here = Service("dashscope", "https://x.test", "qwen3-coder-flash", Route.PARTIAL, Api.CHAT, region="cn-beijing")
    price = prices.price(here)
    assert price is not None
    assert price.of(1_000_000, 1_000) == pytest.approx(5.025)
    assert price.of(10_000, 100, cached=5_000) == pytest.approx((6_000 * 1 + 100 * 4) / 1e6)
    assert prices.price(replace(here, model="qwen3-coder-flash-2025-07-28")) == price
    assert prices.price(replace(here, region="ap-southeast-1", model="qwen3-coder-plus")).currency == "$"
    assert prices.price(replace(here, region="us-east-1")) is None
    assert prices.price(replace(here, model="qwen9")) is None
    assert prices.is_paid(replace(here, base_url="http://127.0.0.1:1/v1"))


def test_ones_own_price_comes_before_the_lists_and_says_when_it_was_read() -> None:
    """Snapshots too; what costs nothing goes on costing nothing."""
    here = Service("dashscope", "https://x.test", "qwen3-coder-flash-2027-01-01", Route.PARTIAL, Api.CHAT, region="x")
    own = {"qwen3-coder": PriceSettings(input=9), "qwen3-coder-flash": PriceSettings(input=2, as_of="2026-11")}
    price = prices.price(here, own)
    assert price is not None
    assert price.of(1_000_000, 0) == 2
    assert prices.dated(price) == "the list prices of 2026-11"
    assert prices.dated(prices.price(here, {"qwen3-coder-flash": PriceSettings()})) == "the prices in qwen.prices"
    assert prices.price(replace(here, provider="local"), own) == prices.FREE


@pytest.mark.parametrize(
    ("address", "paid"),
    [
        ("http://127.0.0.1:8080/v1", False),
        ("http://192.168.1.7/v1", False),
        ("http://[::1]:1/v1", False),
        ("http://localhost/v1", False),
        ("https://api.example.com/v1", True),
        ("https://8.8.8.8/v1", True),
    ],
)
def test_a_server_of_your_own_costs_nothing(address: str, *, paid: bool) -> None:
    """What stands on this machine or in its network sends no bill; for all others you are asked."""
    service = Service("openai", address, "qwen-coder-turbo", Route.FIM, Api.COMPLETIONS)
    assert prices.is_paid(service) is paid
    assert prices.price(service) == (None if paid else prices.FREE)


def test_a_comparison_tells_what_is_real() -> None:
    """Every third hole better is no accident in 60; one in 60 may be; slower is worse although it is more."""
    a = run_of([made(n, exact=n % 3 == 0, ms=100.0 + n) for n in range(60)])
    b = run_of([made(n, exact=n % 3 < 2, ms=120.0 + n) for n in range(60)])
    real = {each.figure.key: each for each in compare.differences(a, b)}
    assert (real["exact"].real, real["exact"].better) == (True, "b")
    assert real["exact"].amount == pytest.approx(1 / 3)
    assert 0.2 < real["exact"].low < 1 / 3 < real["exact"].high < 0.47
    assert (real["latencyP50"].better, real["valid"].better) == ("a", None)
    nearly = run_of([replace(row, score=made(0).score) if n == 1 else row for n, row in enumerate(a.rows)])
    assert not next(each for each in compare.differences(a, nearly) if each.figure.key == "exact").real
    text = compare.as_text(a, b)
    assert "exact match, %" in text
    assert "yes, B is better" in text
    assert compare.as_json(a, b)["pairs"] == 60


def test_a_hole_that_one_did_not_answer_is_compared_for_none() -> None:
    """Pairs stay pairs, and two currencies are not compared."""
    yen, dollar = prices.Price("¥", ((1, 1, 1),)), prices.Price("$", ((1, 1, 1),))
    a = run_of([made(0), made(1), made(2)], yen)
    b = run_of([made(0), made(1, reason=Reason.ERROR), made(2)], dollar)
    assert [left.hole.path for left, _ in compare.pairs(a.rows, b.rows)] == ["0.py", "2.py"]
    assert "cost" not in {each.figure.key for each in compare.differences(a, b)}
    assert "cost" in {each.figure.key for each in compare.differences(a, replace(b, price=yen))}


class Tags(HTMLParser):
    """Every tag and attribute of a page, and its text."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs

    def handle_data(self, data: str) -> None:
        self.text += data


def test_the_page_holds_code_as_text_only() -> None:
    """No file and no model can put a tag, a script or an address into the page; it loads nothing from anywhere."""
    evil = "</pre><script src='https://evil.test/x.js'>alert(1)</script>&amp;\x00\u202e\""
    hole = Hole(f"{evil}.py", "python", Kind.LINE, evil, evil, evil)
    bad = Row(hole, Score(exact=False, first_line=False, similarity=0.1), evil, detail=evil)
    html = page([run_of([bad, made(1)]), run_of([bad, made(1, ms=9.0)])], evil)
    parsed = Tags()
    parsed.feed(html)
    assert "script" not in parsed.tags
    assert not {name for name, _ in parsed.attributes} & {"src", "href", "onload", "onclick", "style"}
    assert parsed.text.count("<script src='https://evil.test/x.js'>") >= 6
    assert "\x00" not in html
    assert "\u202e" not in html
    assert "prefers-color-scheme: dark" in html
    assert "default-src 'none'" in html
    assert parsed.tags.count("svg") == 4


def test_the_worst_come_first() -> None:
    """Broken files before repetitions, those before texts far off, nothing shown at the end; right ones nowhere."""
    broken = made(0, exact=False, score=Score(exact=False, first_line=False, similarity=0.9, valid=False))
    doubled = replace(broken, score=replace(broken.score, valid=True, duplicates=True))
    far = replace(broken, score=replace(broken.score, valid=True, similarity=0.1))
    silent = replace(far, shown=None)
    assert worst([made(1), silent, far, doubled, broken]) == [broken, doubled, far, silent]


def service_of(fake: FakeService, tmp_path: Path) -> ModelBackend:
    settings = Settings(provider="openai", base_url=fake.openai, model="qwen-coder-turbo", prefetch=False)
    return ModelBackend(settings, {}, state_dir=tmp_path, cache_dir=tmp_path, on_notice=lambda _notice: None)


class Waits:
    """A clock that a test may put forward, and the pauses that were wanted."""

    def __init__(self) -> None:
        self.now = 0.0
        self.pauses: list[float] = []

    def __call__(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.now += seconds
        self.pauses.append(seconds)


class Open:
    """A workspace that writes down what it is told, and gives what it was given."""

    def __init__(self, *found: Snippet) -> None:
        self.found = found
        self.told: list[str] = []
        self.texts: list[str] = []

    def opened(self, snapshot: Snapshot) -> None:
        self.told.append("opened")
        self.texts.append("".join(snapshot.lines))

    async def ready(self) -> None:
        self.told.append("ready")

    def closed(self, uri: str) -> None:
        self.told.append("closed")

    def repository(self, uri: str) -> tuple[str, str]:
        return "tree", uri.removeprefix("file:///tree/")

    def shows(self, uri: str, path: str) -> bool:
        return True

    def refusal(self, uri: str) -> Skip | None:
        return None

    async def snippets(self, request: Request, around: Window, room: int) -> Sequence[Snippet]:
        return self.found


async def asked(
    fake: FakeService, tmp_path: Path, count: int = 6, waits: Waits | None = None, desk: Open | None = None
) -> list[Row]:
    """The rows that one pipeline gives for holes of the tree."""
    waits = waits or Waits()
    backend = service_of(fake, tmp_path)
    engine = Engine(backend, Settings(prefetch=False, candidates=1), clock=waits, sources=desk)
    rows: list[Row] = []
    try:
        await complete(
            holes(LISTED, TREE.get, count),
            [Pipeline(engine, prices.FREE, desk)],
            uri=lambda hole: f"file:///tree/{hole.path}",
            on_rows=rows.extend,
            sleep=waits.sleep,
        )
    finally:
        await engine.close()
    return rows


def answering(sample: Sequence[Hole]) -> object:
    """A model that knows every answer: by what stands before the hole."""

    def answer(request: Received) -> Answer | str:
        prompt = request.json["prompt"].partition("<|fim_suffix|>")[0]
        return next((hole.expected for hole in sample if prompt.endswith(hole.before[-60:])), "")

    return answer


async def test_a_model_that_knows_everything_is_right_everywhere(tmp_path: Path) -> None:
    """Through the whole pipeline what was cut out comes back; each file is open, with its hole, and closed."""
    desk = Open()
    async with FakeService(default=answering(holes(LISTED, TREE.get, 12))) as fake:
        got = await asked(fake, tmp_path, 12, desk=desk)
    assert [row.shown for row in got] == [row.hole.expected for row in got]
    assert all(row.score.exact and row.score.valid is not False for row in got)
    assert all(row.tokens.prompt > 0 and row.tokens.generated > 0 and not row.leaked for row in got)
    assert desk.told == ["opened", "ready", "closed"] * 12
    assert all(text == row.hole.before + row.hole.after for text, row in zip(desk.texts, got, strict=True))


async def test_no_answer_serves_two_holes(tmp_path: Path) -> None:
    """What an editor would be given again without asking is asked again: each hole measures a whole completion."""
    (hole,) = holes(LISTED, TREE.get, 1)
    async with FakeService() as fake:
        engine = Engine(service_of(fake, tmp_path), Settings(prefetch=False, candidates=1))
        got: list[Row] = []
        await complete(
            [hole, hole],
            [Pipeline(engine, None)],
            uri=lambda _hole: "file:///a.py",
            on_rows=got.extend,
            sleep=Waits().sleep,
        )
        await engine.close()
        assert len(fake.generations) == 2
    assert [row.shown for row in got] == ["pass", "pass"]


async def test_an_answer_in_the_prompt_is_noticed(tmp_path: Path) -> None:
    """If a passage of the hole's own file held what was cut out, all figures would be lies; other files may."""
    (hole,) = holes(LISTED, TREE.get, 1)
    leak = Snippet(hole.path, f"before {hole.expected} after", 1.0, "similar")
    async with FakeService() as fake:
        (row,) = await asked(fake, tmp_path, 1, desk=Open(leak))
        assert hole.expected in fake.generations[0].json["prompt"]
        assert row.leaked
        (row,) = await asked(fake, tmp_path, 1, desk=Open(replace(leak, path="other.py")))
        assert not row.leaked
    assert "a fault of qwen-lsp" in report.as_text(run_of([replace(row, leaked=True)]))


async def test_a_service_that_asks_for_patience_gets_it(tmp_path: Path) -> None:
    """A refusal for rate is waited for and asked again; it is no failure."""
    waits = Waits()
    async with FakeService() as fake:
        fake.script("pass", FAILURES["rate"], "pass")
        got = await asked(fake, tmp_path, 3, waits)
    assert not any(row.failed for row in got)
    assert sum(waits.pauses) >= 2


async def test_a_provider_that_fails_again_and_again_ends_the_run(tmp_path: Path) -> None:
    """After five failures in a row nobody is asked any more; one that is followed by an answer ends nothing."""
    async with FakeService(default=FAILURES["key"]) as fake:
        with pytest.raises(ProviderError, match="QWEN_LSP_API_KEY"):
            await asked(fake, tmp_path, 20)
        assert len(fake.generations) == MOST_FAILURES
    async with FakeService() as fake:
        fake.script(*[FAILURES["inspection"], "pass"] * 4)
        got = await asked(fake, tmp_path, 8)
    assert sum(row.failed for row in got) == 4


async def test_two_pipelines_take_turns_at_being_first(tmp_path: Path) -> None:
    """Each hole is asked of both before the next, and what the first leaves in a cache helps each of them equally."""
    order: list[str] = []

    def answer(name: str) -> object:
        def said(_request: Received) -> str:
            order.append(name)
            return "pass"

        return said

    async with FakeService(default=answer("a")) as one, FakeService(default=answer("b")) as other:
        engines = [Engine(service_of(fake, tmp_path), Settings(prefetch=False, candidates=1)) for fake in (one, other)]
        pairs: list[Sequence[Row]] = []
        await complete(
            holes(LISTED, TREE.get, 4),
            [Pipeline(engine, None) for engine in engines],
            uri=lambda hole: f"file:///{hole.path}",
            on_rows=pairs.append,
            sleep=Waits().sleep,
        )
        for engine in engines:
            await engine.close()
    assert "".join(order) == "abbaabba"
    assert all(a.hole == b.hole for a, b in pairs)
    assert pairs[0][0].cost is None
