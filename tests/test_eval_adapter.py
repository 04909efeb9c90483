"""The evaluation's instruments: a figure is worth what they are. No real model, and none of the real sets."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import math
import sqlite3
import textwrap
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.eval import scores, table
from tests.eval.__main__ import main
from tests.eval.driver import Server
from tests.eval.edit import Edit, edit, offset
from tests.eval.items import Item, Sets, chosen, item, position, units
from tests.eval.model import Event
from tests.eval.places import Place
from tests.eval.proxy import Proxy
from tests.eval.recording import MOST, Recording, Source, Store
from tests.eval.run import Plain, Predictions, plain_prompt, run

ENCODINGS = ("utf-8", "utf-16", "utf-32")
DOCUMENT = st.text(st.sampled_from("ab \t\r\n😀é\u2028"), max_size=40)


class Scripted:
    """A model that writes the same pieces at every prompt. `hold` keeps it after the first."""

    def __init__(self, *pieces: str, finish: str = "stop", hold: asyncio.Event | None = None) -> None:
        self.pieces, self.finish, self.hold = pieces, finish, hold
        self.asked: list[str] = []
        self.said = 0
        self.ended = asyncio.Event()

    async def stream(self, prompt, limit, *, stop, temperature, cached):
        self.asked.append(prompt)
        try:
            for piece in self.pieces[:limit]:
                yield Event(piece)
                self.said += 1
                if self.hold:
                    await self.hold.wait()
            yield Event(finish=self.finish, timings={"cache_n": 2, "prompt_n": 5})
        finally:
            self.ended.set()

    async def tokenize(self, text: str) -> list[int]:
        return [ord(letter) for letter in text]

    async def detokenize(self, tokens: Sequence[int]) -> str:
        return "".join(map(chr, tokens))

    async def close(self) -> None:
        pass


def made(ident: str = "A/1", prefix: str = "a = ", suffix: str = "\n", **more: object) -> Item:
    return Item(ident, "python", "a.py", prefix, suffix, **more)


def suggestion(text: str, start: int, end: int, line: int = 0) -> dict[str, object]:
    edges = {"start": {"line": line, "character": start}, "end": {"line": line, "character": end}}
    return {"insertText": text, "range": edges}


def split(marked: str) -> tuple[str, str]:
    """The texts before and after █."""
    prefix, _, suffix = marked.partition("█")
    return prefix, suffix


@pytest.mark.parametrize(
    ("prefix", "encoding", "line", "character"),
    [
        ("", "utf-16", 0, 0),
        ("a\r\nbc", "utf-16", 1, 2),
        ("a\rb\n", "utf-16", 2, 0),
        ("x = '😀é", "utf-8", 0, 11),
        ("x = '😀é", "utf-16", 0, 8),
        ("x = '😀é", "utf-32", 0, 7),
    ],
)
def test_a_position_counts_lines_and_the_encodings_units(prefix: str, encoding: str, line: int, character: int) -> None:
    """As the editor would say it."""
    assert position(prefix, encoding) == {"line": line, "character": character}


@given(prefix=DOCUMENT, suffix=DOCUMENT, encoding=st.sampled_from(ENCODINGS))
def test_a_position_leads_back_to_its_place(prefix: str, suffix: str, encoding: str) -> None:
    """In every document and encoding, unless the position would split a CRLF."""
    if not (prefix.endswith("\r") and suffix.startswith("\n")):
        assert offset(prefix + suffix, position(prefix, encoding), encoding) == len(prefix)


@given(DOCUMENT)
def test_units_are_what_the_codecs_count(text: str) -> None:
    """UTF-8 bytes, UTF-16 code units, code points."""
    sizes = [len(text.encode("utf-8")), len(text.encode("utf-16-le")) // 2, len(text)]
    assert [units(text, encoding) for encoding in ENCODINGS] == sizes


@pytest.mark.parametrize(
    ("marked", "said", "expected"),
    [
        ("a█", None, Edit(None)),
        ("a = █", {"insertText": "1"}, Edit("1", shown="1")),
        ("a = █", {"insertText": {"kind": "snippet", "value": "1"}}, Edit("1", shown="1")),
        ("f(█)\n", suggestion("x)", 2, 3), Edit("x)", 0, 1, shown="x)")),
        ("ret█\n", suggestion("return", 0, 3), Edit("return", 3, 0, shown="urn")),
        ("a\n  😀 = █;", suggestion("😀 = 1;", 2, 8, line=1), Edit("😀 = 1;", 4, 1, shown="1;")),
        ("ret█\n", suggestion("xyz", 0, 3), Edit("xyz", 3, 0, shown="xyz")),
        ("ab█\n", suggestion("x", 0, 1), Edit("x", 2, 0, inside=False, shown="x")),
        ("ab█\n", suggestion("x", 0, 0, line=5), Edit("x", inside=False, shown="x")),
        ("ab█\n", suggestion("x", 2, 9), Edit("x", inside=False, shown="x")),
        ("😀b█\n", suggestion("x", 1, 3), Edit("x", inside=False, shown="x")),
    ],
)
def test_an_edit_is_told_in_code_points_around_the_cursor(marked: str, said: object, expected: Edit) -> None:
    """A range off the cursor, off the line or in the midst of a letter is not inside; what is shown is what is new."""
    assert edit(said, *split(marked), "utf-16") == expected


def test_an_edit_over_lines_is_not_inside() -> None:
    """A ghost stays on its line."""
    said = {
        "insertText": "x",
        "range": {"start": {"line": 0, "character": 1}, "end": {"line": 1, "character": 1}},
    }
    assert edit(said, "a", "b\ncd", "utf-16") == Edit("x", 0, 3, inside=False, shown="x")


def test_passages_of_one_file_are_one_document() -> None:
    """They keep their order, and the item's own file is opened as itself only."""
    one = made(snippets=(("b.py", "1"), ("a.py", "own"), ("c.py", "2"), ("b.py", "3")))
    assert one.opened == {"b.py": "1\n3", "c.py": "2"}


def test_an_item_can_not_leave_its_workspace() -> None:
    """Whatever path the set says."""
    raw = {"id": "1", "language": "python", "path": "../x.py", "prefix": "", "suffix": ""}
    with pytest.raises(ValueError, match="leads out"):
        item(raw)


def test_items_are_chosen_in_their_order() -> None:
    """The short run's, those asked for by the beginning of their ids, the first so many."""
    items = [made("A/1"), made("A/2", core=True), made("B/1"), made("B/2", core=True)]
    assert [one.id for one in chosen(items, core=True, ids=[], limit=None)] == ["A/2", "B/2"]
    assert [one.id for one in chosen(items, core=False, ids=["B/", "A/1"], limit=2)] == ["A/1", "B/1"]
    assert len(chosen(items[:1], core=True, ids=[], limit=None)) == 1


class Messages:
    """An editor that only remembers what it is told to send."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, str]] = []
        self.log = b"of another item"

    def notify(self, method: str, params: dict) -> None:
        document = params.get("textDocument") or (params["event"]["added"] + params["event"]["removed"])[0]
        self.sent.append((method.rpartition("/")[2], document["uri"].rpartition("/")[2]))

    async def asked(self, method: str, params: dict, patience: float) -> tuple[object, float]:
        self.sent.append((method.rpartition("/")[2], params["textDocument"]["uri"].rpartition("/")[2]))
        return {"items": [{"insertText": "1"}]}, 2.0

    async def caught_up(self) -> None:
        self.sent.append(("caught up", ""))


async def test_a_shared_server_has_one_item_at_a_time() -> None:
    """Its folder and documents come before the request, and are gone before the next item's."""
    editor = Messages()
    server = Server(editor, "utf-16", Path("/nothing"))
    where = Place(Path("/x/project"), Path("/x/project/a.py"), {Path("/x/project/b.py"): "b"})
    said = await server.complete(made(), where, wait=False)
    assert (said.item, said.ms, said.log) == ({"insertText": "1"}, 2.0, ())
    assert editor.sent == [
        ("didChangeWorkspaceFolders", "project"),
        ("didOpen", "b.py"),
        ("didOpen", "a.py"),
        ("caught up", ""),
        ("inlineCompletion", "a.py"),
        ("didClose", "b.py"),
        ("didClose", "a.py"),
        ("didChangeWorkspaceFolders", "project"),
        ("caught up", ""),
    ]


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with contextlib.closing(Store(tmp_path / "recording.db")) as store:
        yield store


async def text_of(source: Source, prompt: str, limit: int = 4, **more: object) -> str:
    return "".join([event.text async for event in source.live(prompt, limit, **more)])


async def test_a_stream_that_is_heard_to_the_end_is_recorded(store: Store, tmp_path: Path) -> None:
    """Under a key and in a form that other programs can share."""
    source = Source("m", Scripted("a", "b"), store)
    assert await text_of(source, "p") == "ab"
    key = hashlib.sha256(f"m|{MOST}|p".encode()).hexdigest()
    with contextlib.closing(sqlite3.connect(tmp_path / "recording.db")) as database:
        (value,) = database.execute("select v from r where k = ?", (key,)).fetchone()
    assert json.loads(value).items() >= {"pieces": ["a", "b"], "finish": "stop"}.items()
    assert source.recorded("p", 4) == Recording(**json.loads(value))
    assert source.recorded("p", 1).pieces == ["a"]
    assert (source.recorded("p", 1).finish, source.recorded("p", 4).prompt_tokens) == ("length", 7)
    assert source.recorded("q", 4) is None


async def test_a_part_of_a_stream_is_not_recorded(store: Store) -> None:
    """Nor is one that just breaks off, nor one with a temperature, nor anything without a file."""
    await text_of(Source("m", Scripted("a", finish=""), store), "broken")
    assert Source("m", Scripted(), store).recorded("broken", 4) is None
    source = Source("m", Scripted("a", "b"), store)
    async with contextlib.aclosing(source.live("p", 4)) as events:
        await anext(events)
    await text_of(source, "warm", temperature=0.5)
    assert source.recorded("p", 4) is source.recorded("warm", 4) is None
    assert Source("m", Scripted(), None).recorded("p", 4) is None


async def test_the_tokenizer_is_asked_once(store: Store, tmp_path: Path) -> None:
    """Its answers are recorded too, so that a repeated run needs no engine."""
    assert await Source("m", Scripted(), store).tokens("ab") == [97, 98]
    with contextlib.closing(Store(tmp_path / "recording.db")) as again:
        assert again.memo("m|tokenize|ab") == [97, 98]


async def post(url: str, body: object) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    host, _, path = url.removeprefix("http://").partition("/")
    reader, writer = await asyncio.open_connection(*host.split(":"))
    data = json.dumps(body).encode()
    writer.write(f"POST /{path}/completions HTTP/1.1\r\nContent-Length: {len(data)}\r\n\r\n".encode() + data)
    return reader, writer


async def listed(url: str) -> list[str]:
    """The models that are offered."""
    host, _, path = url.removeprefix("http://").partition("/")
    reader, writer = await asyncio.open_connection(*host.split(":"))
    writer.write(f"GET /{path}/models HTTP/1.1\r\n\r\n".encode())
    head = await reader.readuntil(b"\r\n\r\n")
    body = json.loads(await reader.readexactly(int(head.split(b"Content-Length: ")[1].split(b"\r\n")[0])))
    writer.close()
    return [one["id"] for one in body["data"]]


async def test_the_model_is_offered_by_the_name_it_is_served_by() -> None:
    """What a server does may depend on the model's name."""
    async with Proxy.started(Source("m", Scripted(), None, served="qwen2.5-coder-m")) as proxy:
        assert await listed(proxy.url("x")) == ["qwen2.5-coder-m"]


async def test_the_proxy_passes_pieces_on_at_once(store: Store) -> None:
    """The first is there while the model still writes the second."""
    hold = asyncio.Event()
    model = Scripted("one", "two", hold=hold)
    async with Proxy.started(Source("m", model, None)) as proxy:
        reader, writer = await post(proxy.url("x"), {"prompt": "p", "max_tokens": 9})
        await reader.readuntil(b'"one"')
        hold.set()
        await reader.readuntil(b"[DONE]")
        (exchange,) = await proxy.heard("x")
        writer.close()
    assert (exchange.pieces, exchange.whole, exchange.finish) == (["one", "two"], True, "stop")


@pytest.mark.parametrize("records", [False, True])
async def test_a_hang_up_stops_the_model_unless_it_is_recorded(store: Store, *, records: bool) -> None:
    """For the recording it goes on to its end; what was sent counts all the same."""
    hold = asyncio.Event()
    model = Scripted("one", "two", "three", hold=hold)
    async with Proxy.started(Source("m", model, store if records else None)) as proxy:
        reader, writer = await post(proxy.url("x"), {"prompt": "p", "max_tokens": 9})
        await reader.readuntil(b'"one"')
        writer.transport.abort()
        if records:
            await proxy.hung_up("x")
            await listed(proxy.url("y"))
            assert not model.ended.is_set()
            hold.set()
        else:
            await model.ended.wait()
        (exchange,) = await proxy.heard("x")
    assert exchange.pieces == ["one"]
    assert not exchange.whole
    recorded = store.get("m", MOST, "p")
    assert (recorded.pieces if recorded else None) == (["one", "two", "three"] if records else None)


async def test_a_recorded_answer_is_repeated_without_the_model(store: Store) -> None:
    """As far as the tokens asked for reach."""
    store.put("m", MOST, "p", Recording(["a", "b", "c"], "stop"))
    model = Scripted("other")
    async with Proxy.started(Source("m", model, store)) as proxy:
        reader, writer = await post(proxy.url("x"), {"prompt": "p", "max_tokens": 2})
        said = await reader.readuntil(b"[DONE]")
        (exchange,) = await proxy.heard("x")
        writer.close()
    assert (exchange.pieces, exchange.finish, exchange.replayed) == (["a", "b"], "length", True)
    assert b'"length"' in said
    assert model.asked == []


async def test_the_plain_prompt_is_cut_around_the_cursor() -> None:
    """Three quarters of its tokens before the cursor, a quarter after."""
    source = Source("m", Scripted(), None)
    prompt = await plain_prompt(source, made(prefix="b" * 2000 + "c", suffix="d" * 2000))
    assert prompt == f"<|fim_prefix|>{'b' * 1124}c<|fim_suffix|>{'d' * 375}<|fim_middle|>"


async def test_the_plain_answer_has_64_tokens_whatever_was_recorded(store: Store) -> None:
    """The first of a longer recording are the same text."""
    model = Scripted(*["x\n"] * 70, finish="length")
    plain = Plain(Source("m", model, store))
    for _ in range(2):
        prediction = await plain.predict(made())
        assert (prediction["completion"], prediction["generated_tokens"]) == ("x\n" * 64, 64)
    assert len(model.asked) == 1
    first = await plain.first_line(prediction)
    assert (first["completion"], first["generated_tokens"], first["shown_tokens"]) == ("x", 64, 1)


async def test_a_run_goes_on_where_it_was(tmp_path: Path) -> None:
    """What is kept is not asked again; what failed, or was half written when the run was killed, is."""
    path = tmp_path / "kept.jsonl"
    path.write_text('{"id": "A/1", "completion": "x"}\n{"id": "A/2", "error": "no"}\n{"id": "A/3", "comple')
    asked = []

    async def predict(one: Item) -> dict[str, object]:
        asked.append(one.id)
        return {"id": one.id, "completion": "y"}

    items = [made(f"A/{number}") for number in (1, 2, 3)]
    await run(items, predict, Predictions(path, fresh=False), jobs=2, on_done=lambda _: None)
    assert sorted(asked) == ["A/2", "A/3"]
    again = Predictions(path, fresh=False).done
    assert {ident: one.get("completion") for ident, one in again.items()} == {"A/1": "x", "A/2": "y", "A/3": "y"}


def test_shares_have_wilsons_interval() -> None:
    """Known values; of nothing there is none."""
    figure = scores.share([True] * 8 + [False] * 2)
    assert [round(figure[key], 1) for key in ("value", "low", "high")] == [80.0, 49.0, 94.3]
    assert scores.share([])["n"] == 0


def test_means_have_a_bootstrap_interval_that_is_the_same_at_every_run() -> None:
    """And contains the mean."""
    figure = scores.mean([1.0, 2.0, 3.0, 10.0])
    assert figure == scores.mean([1.0, 2.0, 3.0, 10.0])
    assert figure["low"] < figure["value"] == 4.0 < figure["high"]
    assert scores.mean([5.0, 5.0])["low"] == scores.mean([5.0, 5.0])["high"] == 5.0


@pytest.mark.parametrize(("first", "second", "p"), [(0, 0, 1.0), (5, 0, 0.0625), (3, 3, 1.0), (10, 1, 0.01171875)])
def test_mcnemars_exact_test(first: int, second: int, p: float) -> None:
    """Known values."""
    assert math.isclose(scores.mcnemar(first, second), p)


def test_generated_per_shown_is_of_the_sums() -> None:
    """What was generated for nothing counts too; latency only where it was measured."""
    predictions = [
        {"id": "1", "completion": "a", "inside": True, "generated_tokens": 6, "shown_tokens": 4, "latency_ms": 10},
        {"id": "2", "completion": None, "inside": True, "generated_tokens": 2, "shown_tokens": 0},
        {"id": "3", "completion": "b", "inside": False, "generated_tokens": None, "shown_tokens": 9},
    ]
    found = scores.figures({}, [], predictions)
    assert found["generated_per_shown"]["value"] == 2.0
    assert (found["inside_range"]["value"], found["inside_range"]["n"]) == (50.0, 2)
    assert (found["latency_ms"]["value"], found["latency_ms"]["n"]) == (10, 1)
    assert "es" not in found


def test_variants_are_compared_item_by_item() -> None:
    """In points, ours less the other's."""
    ours = [{"em": True, "es": 100.0}, {"em": True, "es": 90.0}, {}]
    other = [{"em": False, "es": 50.0}, {"em": True, "es": 80.0}, {"em": True}]
    found = scores.compared(ours, other)
    assert (found["em"]["value"], found["em"]["n"], found["em"]["p"]) == (50.0, 2, 1.0)
    assert found["es"]["value"] == 30.0


def test_the_table_has_a_row_for_each_figure_and_a_column_for_each_variant() -> None:
    """With the number of items and the intervals; what was not measured is a dash."""
    figure = {"value": 50.0, "low": 25.0, "high": 75.04, "n": 8}
    none = {"value": math.nan, "low": math.nan, "high": math.nan, "n": 0}
    sets = {
        "B": {
            "n": 8,
            "variants": {"plain": {"em": none}, "ours": {"em": figure, "fences": none}},
            "compared": {"plain": {"em": figure}},
        }
    }
    assert table.render({"command": "c", "models": {"m": sets}}) == (
        "`c`\n\n"
        "| m | plain | ours |\n| --- | ---: | ---: |\n"
        "| B, whole repository: exact match, % (8) | - | 50.0 (25.0 to 75.0) |\n\n"
        "B, ours less plain, points: exact match +50.0 (+25.0 to +75.0).\n"
    )


SCORER = """
import json, sys
lines = [json.loads(line) for line in open(sys.argv[-1] if "--strip-set" in sys.argv else sys.argv[1])]
if "--strip-set" in sys.argv:
    for line in lines:
        line.pop("expected")
        print(json.dumps(line))
else:
    said = {one["id"]: one["completion"] for one in map(json.loads, open(sys.argv[2]))}
    rows = [{"id": one["id"], "em": said[one["id"]] == one["expected"], "es": 1.0} for one in lines]
    right = 100 * sum(row["em"] for row in rows) / len(rows)
    total = {"em": {"pct": right, "ci95": [0, 100], "n": len(rows)}}
    json.dump({"groups": {"ALL": total}}, open(sys.argv[sys.argv.index("--json") + 1], "w"))
    open(sys.argv[sys.argv.index("--details") + 1], "w").write("".join(json.dumps(row) + "\\n" for row in rows))
"""
WORKSPACE = """
import contextlib, pathlib
def unpack(split, out):
    (pathlib.Path(out) / "repo").mkdir(parents=True)
    (pathlib.Path(out) / "repo/main.py").write_text("with the answer")
@contextlib.contextmanager
def opened(item, out):
    file = pathlib.Path(out) / item["repo"] / item["path"]
    file.write_text(item["prefix"] + item["suffix"])
    yield str(file.parent), str(file)
"""


@pytest.fixture
def sets(tmp_path: Path) -> Path:
    """A made-up split with two items of set A and one of set B, and tools like the real ones."""
    folder = tmp_path / "sets"
    (folder / "dev").mkdir(parents=True)
    (folder / "score.py").write_text(textwrap.dedent(SCORER))
    (folder / "workspace.py").write_text(WORKSPACE)
    rows = {
        "A_singlefile.jsonl": [("A/1", "total = ", "\nprint(total)\n", "secret(1)"), ("A/2", "x = 1\n", "", "answer")],
        "B_repo.jsonl": [("B/1", "total = ", "\nprint(total)\n", "compute(items)")],
    }
    for name, items in rows.items():
        raw = [
            {"id": ident, "language": "python", "path": "main.py", "prefix": prefix, "suffix": suffix}
            | {"expected": expected}
            | ({"repo": "repo"} if name[0] == "B" else {})
            for ident, prefix, suffix, expected in items
        ]
        (folder / "dev" / name).write_text("".join(json.dumps(one) + "\n" for one in raw))
    return folder


def test_the_real_server_is_driven_and_scored(sets: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Both sets from the command line to the table, and once more from the recording, without asking the model."""
    model = Scripted("compute", "(items", ")", "\n", "print", "(total", ")", "\n", "more")
    command = ["--sets", str(sets), "--set", "A", "B", "--model", "m", "--plain", "--out", str(tmp_path / "out")]
    command += ["--record", str(tmp_path / "recording.db")]
    results = main(command, lambda _asked, _name: model)
    figures = results["models"]["m"]
    assert figures["B"]["variants"]["ours"]["em"]["value"] == 100.0
    assert figures["B"]["variants"]["plain"]["em"]["value"] == 0.0
    assert figures["B"]["variants"]["first line"]["em"]["value"] == 100.0
    assert figures["A"]["variants"]["ours"]["errors"]["value"] == 0.0
    assert figures["A"]["variants"]["ours"]["inside_range"] == scores.share([True, True])
    assert "| B, whole repository: exact match, % (1) | 0.0 (0.0 to 100.0) |" in capsys.readouterr().out
    # The first item's answer was replayed: the plain prompt had asked for the same.
    (shown,) = Predictions(tmp_path / "out" / "m" / "B-ours.jsonl", fresh=False).done.values()
    assert (shown["completion"], shown["shown_tokens"]) == ("compute(items)", len("compute(items)"))
    assert not any(word in prompt for prompt in model.asked for word in ("secret", "answer"))

    assert (tmp_path / "out" / "m" / "B-ours.rows").read_text() == '{"id": "B/1", "em": true, "es": 1.0}\n'

    asked, before = len(model.asked), Predictions(tmp_path / "out" / "m" / "A-ours.jsonl", fresh=False).done
    main([*command, "--set", "A", "--share", "--jobs", "1", "--fresh"], lambda _asked, _name: model)
    after = Predictions(tmp_path / "out" / "m" / "A-ours.jsonl", fresh=False).done
    assert len(model.asked) == asked
    for ident, again in after.items():
        assert again["replayed"]
        # One server for both items knows no more at the second than a new one.
        assert [again[key] for key in ("prompt", "completion")] == [
            before[ident][key] for key in ("prompt", "completion")
        ]
    # Only the server can say how much of a replay it needed; it says so in its log.
    assert 0 < after["A/1"]["generated_tokens"] < len(model.pieces)


def test_what_was_made_with_other_settings_is_not_mixed_in(sets: Path, tmp_path: Path) -> None:
    """One table is of one set of settings."""
    command = ["--sets", str(sets), "--model", "m", "--not-ours", "--out", str(tmp_path / "out")]
    main(command, lambda _asked, _name: Scripted())
    with pytest.raises(SystemExit, match="other settings"):
        main([*command, "--settings", '{"maxTokens": 5}'], lambda _asked, _name: Scripted())


def test_sets_without_a_scorer_are_refused(tmp_path: Path) -> None:
    """There is nothing to strip the answers with."""
    (tmp_path / "A_singlefile.jsonl").write_text("")
    with pytest.raises(FileNotFoundError):
        Sets.at(tmp_path, "dev")
