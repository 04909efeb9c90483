"""The command line: runs what is asked for, model by model and set by set, then prints the tables.

python -m tests.eval --sets DIR [--set A B C D] [--model 1.5b 0.5b] [--core] [--limit N] [--ids ID ...]
    [--plain] [--no-snippets] [--record FILE] [--share] [--out DIR] [--fresh] [--settings JSON] [--table] [--json]
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import shlex
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from qwen_lsp.backend import weights
from qwen_lsp.cli import paths
from tests.eval import scores, table
from tests.eval.items import FILES, Item, Sets, chosen
from tests.eval.model import Engine, Model
from tests.eval.proxy import Proxy
from tests.eval.recording import MOST, Source, Store
from tests.eval.run import Pipeline, Plain, Prediction, Predictions, run

SETTINGS: Mapping[str, Any] = {
    "provider": "openai",
    "route": "fim",
    "temperature": 0,
    "candidates": 1,
    "promptTokens": 2048,
    "maxTokens": MOST,
    "prefetch": False,
    "timeout": 120_000,
    "debounce": 0,
    "logLevel": "debug",
}
"""What every item is asked with; the log says how many pieces of a stream were looked at."""
VARIANTS = ("plain", "first line", "ours", "no snippets")
_WITH_SNIPPETS = ("B", "D")
"""Sets with other files."""
_TELL_EVERY = 10


def options(arguments: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.eval", description=__doc__.partition("\n")[0])
    parser.add_argument("--sets", type=Path, default=os.environ.get("QWEN_LSP_EVAL_SETS"), help="where the sets lie")
    parser.add_argument("--split", default="dev", help="the folder of the split below it (dev)")
    parser.add_argument("--set", nargs="+", choices=FILES, default=list(FILES), metavar="A", help="which sets")
    parser.add_argument("--model", nargs="+", default=["1.5b"], help="names of weights, or paths")
    parser.add_argument("--core", action="store_true", help="the short run's items")
    parser.add_argument("--limit", type=int, help="the first so many of each set")
    parser.add_argument("--ids", nargs="+", default=[], help="items with these ids, or such beginnings of one")
    parser.add_argument("--plain", action="store_true", help="also the plain prompt, whole and its first line")
    parser.add_argument("--no-snippets", action="store_true", help="also B and D without text from other files")
    parser.add_argument("--not-ours", action="store_true", help="only what is compared with")
    parser.add_argument("--record", type=Path, help="repeat what this file has, record what it has not")
    parser.add_argument("--settings", type=json.loads, default={}, help="more of qwen-lsp's settings, as JSON")
    parser.add_argument("--encoding", choices=("utf-8", "utf-16", "utf-32"), default="utf-16", help="of positions")
    parser.add_argument("--jobs", type=int, help="items at a time (2 with --record, else 1: times are then true)")
    parser.add_argument("--share", action="store_true", help="one server for many items of A and C: faster")
    parser.add_argument("--threads", type=int, default=0, help="of the engine; 0 takes the physical cores")
    parser.add_argument("--engine", action="append", default=[], metavar="MODEL=URL", help="a llama.cpp that runs")
    parser.add_argument("--out", type=Path, help="keeps the predictions; run again to go on")
    parser.add_argument("--fresh", action="store_true", help="forget the predictions that are kept")
    parser.add_argument("--table", action="store_true", help="run nothing, score what --out keeps")
    parser.add_argument("--json", action="store_true", help="one object instead of the tables")
    chosen_ = parser.parse_args(arguments)
    if chosen_.sets is None:
        parser.error("--sets is needed, or QWEN_LSP_EVAL_SETS")
    if chosen_.table and chosen_.out is None:
        parser.error("--table needs --out")
    return chosen_


def same_conditions(asked: argparse.Namespace, out: Path) -> None:
    """Makes sure that what is kept was made as what is to come.

    Raises:
        SystemExit: it was made with other settings.
    """
    now = {"settings": {**SETTINGS, **asked.settings}, "encoding": asked.encoding, "split": asked.split}
    out.mkdir(parents=True, exist_ok=True)
    file = out / "conditions.json"
    if file.exists() and not asked.fresh and json.loads(file.read_text()) != now:
        sys.exit(f"{out} was made with other settings; add --fresh to begin anew")
    file.write_text(json.dumps(now, indent=1) + "\n")


def find_model(asked: argparse.Namespace, name: str) -> Model:
    """The engine for a model's name.

    Raises:
        SystemExit: its weights are not here.
    """
    running = dict(pair.split("=", 1) for pair in asked.engine)
    path = weights.find(name, paths.cache_dir(os.environ))
    if path is None and name not in running:
        sys.exit(f"{name} is not here; run `qwen-lsp model pull {name}`")
    return Engine(path or Path(name), threads=asked.threads, url=running.get(name, ""))


class Evaluation:
    """One run: models one after the other, for each the sets, for each what is compared."""

    def __init__(self, asked: argparse.Namespace, out: Path, model: Callable[[argparse.Namespace, str], Model]) -> None:
        self.sets = Sets.at(Path(asked.sets), asked.split)
        self._asked, self._out, self._model = asked, out, model
        self.items = {
            name: chosen(self.sets.items(name), core=asked.core, ids=asked.ids, limit=asked.limit)
            for name in asked.set
            if self.sets.file(name).is_file()
        }

    async def run(self) -> None:
        store = Store(self._asked.record) if self._asked.record else None
        try:
            for name in self._asked.model:
                known = weights.known(name)
                source = Source(name, self._model(self._asked, name), store, served=known.name if known else "")
                try:
                    async with Proxy.started(source) as proxy:
                        await self._run_model(source, proxy)
                finally:
                    await source.close()
        finally:
            if store is not None:
                store.close()

    def results(self) -> dict[str, Any]:
        """The figures of what is kept."""
        models = {}
        for model in self._asked.model:
            sets = {}
            for name in self.items:
                kept = {variant: self.kept(model, name, variant) for variant in VARIANTS}
                kept = {variant: file for variant, file in kept.items() if file.done}
                if kept:
                    sets[name] = scores.score(self.sets, name, [item.id for item in self.items[name]], kept)
            models[model] = sets
        return {"command": _command(), "models": models}

    def kept(self, model: str, name: str, variant: str, *, fresh: bool = False) -> Predictions:
        path = self._out / Path(model).name / f"{name}-{variant.replace(' ', '-')}.jsonl"
        return Predictions(path, fresh=fresh)

    @property
    def _jobs(self) -> int:
        return self._asked.jobs or (2 if self._asked.record else 1)

    async def _run_model(self, source: Source, proxy: Proxy) -> None:
        asked = self._asked
        settings = {**SETTINGS, **asked.settings}
        # A recording goes on after the answer, and two at a time wait for each other: that is no latency.
        timed = self._jobs == 1 and not source.records
        for name, items in self.items.items():
            with tempfile.TemporaryDirectory(prefix="eval-repos-", ignore_cleanup_errors=True) as unpacked:
                if asked.plain:
                    plain = Plain(source, timed=timed)
                    await self._one(source.name, name, "plain", items, plain.predict)
                    await self._first_lines(source.name, name, plain)
                workspaces = None
                if repositories := {item.repo for item in items if item.repo}:
                    kept = self._out / "repositories"
                    workspaces = await asyncio.to_thread(self.sets.repositories, kept, repositories, Path(unpacked))
                for variant in ("ours", "no snippets"):
                    if asked.not_ours if variant == "ours" else not (asked.no_snippets and name in _WITH_SNIPPETS):
                        continue
                    async with Pipeline(
                        source,
                        proxy,
                        settings if variant == "ours" else {**settings, "snippets": False},
                        encoding=asked.encoding,
                        timed=timed,
                        share=asked.share and not any(item.repo or item.snippets for item in items),
                        unpacked=Path(unpacked),
                        workspaces=workspaces,
                    ) as pipeline:
                        await self._one(source.name, name, variant, items, pipeline.predict)

    async def _one(
        self, model: str, name: str, variant: str, items: list[Item], predict: Callable[[Item], Any]
    ) -> None:
        kept = self.kept(model, name, variant, fresh=self._asked.fresh)
        line = Line(f"{model} {name} {variant}", len(items), sum(item.id in kept.done for item in items))
        try:
            await run(items, predict, kept, jobs=self._jobs, on_done=line.done)
        finally:
            line.end()

    async def _first_lines(self, model: str, name: str, plain: Plain) -> None:
        derived = self.kept(model, name, "first line", fresh=True)
        for prediction in self.kept(model, name, "plain").done.values():
            derived.add(await plain.first_line(prediction))


class Line:
    """How far one column is: a line that is written over on a terminal, a line every so often elsewhere."""

    def __init__(self, what: str, total: int, done: int) -> None:
        self._what, self._total, self._done, self._replayed, self._failed = what, total, done, 0, 0
        self._terminal = sys.stderr.isatty()

    def done(self, prediction: Prediction) -> None:
        self._done += 1
        self._replayed += bool(prediction.get("replayed"))
        self._failed += bool(prediction.get("error"))
        if self._terminal:
            sys.stderr.write(f"\r\x1b[K{self._text()}")
            sys.stderr.flush()
        elif self._done % _TELL_EVERY == 0:
            sys.stderr.write(self._text() + "\n")

    def end(self) -> None:
        sys.stderr.write(f"\r\x1b[K{self._text()}\n" if self._terminal else self._text() + "\n")

    def _text(self) -> str:
        failed = f", {self._failed} failed" if self._failed else ""
        return f"{self._what}: {self._done} of {self._total}, {self._replayed} replayed{failed}"


def _command() -> str:
    return shlex.join(["python", "-m", "tests.eval", *sys.argv[1:]])


def main(
    arguments: list[str] | None = None, model: Callable[[argparse.Namespace, str], Model] = find_model
) -> dict[str, Any]:
    """Runs, prints, and returns the figures."""
    asked = options(arguments)
    with contextlib.ExitStack() as stack:
        out = asked.out or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="eval-out-")))
        evaluation = Evaluation(asked, out, model)
        if not asked.table:
            same_conditions(asked, out)
            try:
                asyncio.run(evaluation.run())
            except KeyboardInterrupt:
                sys.stderr.write(
                    f"interrupted; {'what is done is kept' if asked.out else 'without --out nothing is kept'}\n"
                )
        results = evaluation.results()
    sys.stdout.write(json.dumps(results, indent=1) + "\n" if asked.json else table.render(results))
    return results


if __name__ == "__main__":
    main()
