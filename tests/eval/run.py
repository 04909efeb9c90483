"""Predictions: each item through the whole pipeline, or asked plainly, one line of JSON each as the scorer wants it.

What is done is on the disk at once, so that an interrupted run goes on where it was.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Self

from tests.eval.driver import Said, Server, serving
from tests.eval.edit import edit
from tests.eval.items import Item, Workspaces
from tests.eval.model import Event
from tests.eval.places import Place, place
from tests.eval.proxy import Exchange, Proxy
from tests.eval.recording import MOST, Recording, Source

Prediction = dict[str, Any]
_Heard = tuple[Said, Sequence[Exchange]]
PLAIN_TOKENS = 64
_PLAIN_BEFORE, _PLAIN_AFTER = 1500 * 3 // 4, 1500 // 4
"""Tokens of the plain prompt: the baseline of the sets' own `run_plain.py`."""
_CHARACTERS = 6
"""A token is taken to have no more; longer text is cut before it is counted."""


class Predictions:
    """A file of predictions by id."""

    def __init__(self, path: Path, *, fresh: bool) -> None:
        self.path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        if fresh:
            path.unlink(missing_ok=True)
        self.done: dict[str, Prediction] = {}
        text = path.read_text(encoding="utf-8") if path.exists() else ""
        if text and not text.endswith("\n"):  # of a run that was killed
            with path.open("a") as file:
                file.write("\n")
        for line in text.split("\n"):
            with contextlib.suppress(ValueError):
                prediction = json.loads(line)
                self.done[prediction["id"]] = prediction

    def add(self, prediction: Prediction) -> None:
        self.done[prediction["id"]] = prediction
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(prediction) + "\n")


class Pipeline:
    """Items through the real server.

    `wanted` are settings, `unpacked` is where the repositories lie, `timed` says that nothing else is going on, `share`
    that a server may have several items. Shared servers run while it is entered.
    """

    def __init__(
        self,
        source: Source,
        proxy: Proxy,
        wanted: Mapping[str, Any],
        *,
        encoding: str = "utf-16",
        timed: bool = True,
        share: bool = False,
        unpacked: Path | None = None,
        workspaces: Workspaces | None = None,
    ) -> None:
        self._source, self._proxy, self._wanted = source, proxy, wanted
        self._encoding, self._unpacked, self._workspaces = encoding, unpacked, workspaces
        self._timed = timed
        self._share = share
        self._idle: list[tuple[str, Server]] = []
        self._stack = contextlib.AsyncExitStack()
        self._number = 0
        self._repositories: dict[str, asyncio.Lock] = {}

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_error: object) -> None:
        await self._stack.aclose()

    async def predict(self, item: Item) -> Prediction:
        alone = self._repositories.setdefault(item.repo, asyncio.Lock()) if item.repo else contextlib.nullcontext()
        async with alone:
            with place(item, self._unpacked, self._workspaces) as where:
                try:
                    said, exchanges = await (self._by_any(item, where) if self._share else self._by_new(item, where))
                except RuntimeError as error:
                    return {"id": item.id, "completion": None, "error": str(error)}
        return await self._prediction(item, said, exchanges)

    async def _by_new(self, item: Item, where: Place) -> _Heard:
        """By a server of its own, so that nothing of another item (where the answer may stand) is known."""
        name, settings = self._named()
        wait = bool(item.repo or item.snippets) and settings.get("snippets", True)
        async with serving(settings, self._encoding, where.root) as server:
            said = await server.complete(item, where, wait=wait)
        return said, await self._proxy.heard(name)

    async def _by_any(self, item: Item, where: Place) -> _Heard:
        """By a server that knows no folder of another item any more; half a second is saved."""
        if not self._idle:
            name, settings = self._named()
            self._idle.append((name, await self._stack.enter_async_context(serving(settings, self._encoding, None))))
        name, server = self._idle.pop()
        said = await server.complete(item, where, wait=False)
        self._idle.append((name, server))
        return said, await self._proxy.heard(name)

    def _named(self) -> tuple[str, dict[str, Any]]:
        """A name at the proxy, and settings with its address."""
        self._number += 1
        name = str(self._number)
        return name, {**self._wanted, "baseUrl": self._proxy.url(name), "model": self._source.served}

    async def _prediction(self, item: Item, said: Said, exchanges: Sequence[Exchange]) -> Prediction:
        change = edit(said.item, item.prefix, item.suffix, said.encoding)
        replayed = any(exchange.replayed for exchange in exchanges)
        prediction: Prediction = {
            "id": item.id,
            "completion": change.text,
            "replace_before": change.before,
            "replace_after": change.after,
            "shown_tokens": len(await self._source.tokens(change.shown)),
            "generated_tokens": _generated(said, exchanges),
            "inside": change.inside,
            "requests": len(exchanges),
            "replayed": replayed,
            "log": said.log,
        }
        if exchanges:
            first = exchanges[0]
            text = first.pieces[: said.pieces] if first.replayed and len(exchanges) == 1 else first.pieces
            prediction |= {"raw": "".join(text), "prompt": first.prompt} | _prompt_figures(exchanges)
        if self._timed and not replayed:
            prediction["latency_ms"] = said.ms
            if exchanges and exchanges[0].first:
                prediction["ttft_ms"] = 1000 * (exchanges[0].first - said.asked)
        errors = [exchange.error for exchange in exchanges if exchange.error]
        # A server that is broken says so in its log, and answers with nothing.
        errors += [line for line in said.log if " ERROR " in line]
        if errors:
            prediction["error"] = errors[0]
        return prediction


class Plain:
    """Items asked by the plain prompt, the answer as it comes. `timed`: nothing else is going on."""

    def __init__(self, source: Source, *, timed: bool = True) -> None:
        self._source, self._timed = source, timed

    async def first_line(self, prediction: Prediction) -> Prediction:
        """A prediction's first line only, at the price of all of it."""
        text = (prediction["completion"] or "").partition("\n")[0]
        return {**prediction, "completion": text or None, "shown_tokens": len(await self._source.tokens(text))}

    async def predict(self, item: Item) -> Prediction:
        prompt = await plain_prompt(self._source, item)
        asked = time.monotonic()
        known = self._source.recorded(prompt, PLAIN_TOKENS)
        made = known or await heard(self._source.live(prompt, PLAIN_TOKENS))
        first = made.first(PLAIN_TOKENS)
        text = "".join(first.pieces)
        prediction: Prediction = {
            "id": item.id,
            "completion": text or None,
            "raw": text,
            "prompt": prompt,
            "prompt_tokens": made.prompt_tokens,
            "generated_tokens": _tokens_of(first, limit=PLAIN_TOKENS),
            "shown_tokens": len(await self._source.tokens(text)),
            "replayed": known is not None,
        }
        if self._timed and known is None:
            prediction["latency_ms"] = 1000 * (time.monotonic() - asked)
        return prediction


async def plain_prompt(source: Source, item: Item) -> str:
    """The document around the cursor within the baseline's budget, without a word about the file."""
    before = await _cut(source, item.prefix, _PLAIN_BEFORE, last=True)
    after = await _cut(source, item.suffix, _PLAIN_AFTER, last=False)
    return f"<|fim_prefix|>{before}<|fim_suffix|>{after}<|fim_middle|>"


async def heard(events: AsyncGenerator[Event, None]) -> Recording:
    """A stream, heard to its end."""
    made = Recording()
    async for event in events:
        if event.text:
            made.pieces.append(event.text)
        made.finish = event.finish or made.finish
        made.timings = event.timings or made.timings
    return made


async def run(
    items: Sequence[Item],
    predict: Callable[[Item], Any],
    kept: Predictions,
    *,
    jobs: int,
    on_done: Callable[[Prediction], None],
) -> None:
    """Predicts what is not kept yet or has failed, `jobs` items at a time."""
    todo = iter([item for item in items if kept.done.get(item.id, {"error": "not done"}).get("error")])

    async def work() -> None:
        for item in todo:
            prediction = await predict(item)
            kept.add(prediction)
            on_done(prediction)

    async with asyncio.TaskGroup() as group:
        for _ in range(jobs):
            group.create_task(work())


async def _cut(source: Source, text: str, most: int, *, last: bool) -> str:
    text = text[-most * _CHARACTERS :] if last else text[: most * _CHARACTERS]
    tokens = await source.tokens(text)
    if len(tokens) <= most:
        return text
    return (await source.text(tokens[-most:] if last else tokens[:most])).replace("\ufffd", "")


def _generated(said: Said, exchanges: Sequence[Exchange]) -> int | None:
    """Tokens made for an item: what the model wrote until it was stopped, or of a replay what was looked at.

    A replay is sent at once, so only the server can say how much of it it needed.
    """
    if not any(exchange.replayed for exchange in exchanges):
        return sum(_made(exchange) for exchange in exchanges)
    if said.pieces is None:
        return None
    ended = sum(exchange.finish == "stop" and exchange.whole for exchange in exchanges)
    everything = sum(len(exchange.pieces) for exchange in exchanges)
    return said.pieces + (ended if said.pieces >= everything else 0)


def _made(exchange: Exchange) -> int:
    """A model that stops by itself has made one token more: the last, which is no text."""
    return len(exchange.pieces) + (exchange.whole and exchange.finish == "stop")


def _tokens_of(made: Recording, *, limit: int) -> int:
    return min(limit, len(made.pieces) + (made.finish == "stop"))


def _prompt_figures(exchanges: Sequence[Exchange]) -> Prediction:
    times = [exchange.timings for exchange in exchanges if exchange.timings and "prompt_n" in exchange.timings]
    if not times:
        return {}
    cached = sum(one["cache_n"] for one in times)
    return {"prompt_tokens": cached + sum(one["prompt_n"] for one in times), "cached_tokens": cached}


assert PLAIN_TOKENS <= MOST
