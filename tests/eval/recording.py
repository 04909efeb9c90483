"""What a model wrote, kept by prompt in an SQLite file, so that a change of rules is measured without the model.

Table `r`: key SHA-256 of `model|most tokens|prompt`, value JSON `{pieces, finish, timings, wall}`: the whole stream
at temperature 0 up to its own end or the most tokens. Table `memo`: what the tokenizer said.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import sqlite3
import time
from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from tests.eval.model import Event, Model

MOST = 96
"""Tokens of a recorded stream, if no more were asked for."""
STOPS = tuple(
    f"<|{name}|>"
    for name in (
        "endoftext",
        "fim_pad",
        "fim_prefix",
        "fim_suffix",
        "fim_middle",
        "file_sep",
        "repo_name",
        "im_end",
        "im_start",
    )
)
"""Control tokens, none of which any rule would let pass."""


@dataclass(slots=True)
class Recording:
    """A stream: its pieces (tokens, nearly), why it ended, llama.cpp's timings, seconds in all."""

    pieces: list[str] = field(default_factory=list)
    finish: str = ""
    timings: Mapping[str, Any] | None = None
    wall: float = 0.0

    def first(self, limit: int) -> Recording:
        """The stream as it would have been with fewer tokens."""
        if len(self.pieces) <= limit:
            return self
        return Recording(self.pieces[:limit], "length", self.timings, self.wall)

    @property
    def prompt_tokens(self) -> int | None:
        times = self.timings or {}
        return times["cache_n"] + times["prompt_n"] if "prompt_n" in times else None


class Store:
    """The file. Several programs may use it at once."""

    def __init__(self, path: Path) -> None:
        self._database = sqlite3.connect(path, timeout=60)
        for table in ("r", "memo"):
            self._database.execute(f"create table if not exists {table} (k text primary key, v text)")

    def get(self, model: str, most: int, prompt: str) -> Recording | None:
        value = self._read("r", f"{model}|{most}|{prompt}")
        return None if value is None else Recording(**value)

    def put(self, model: str, most: int, prompt: str, recording: Recording) -> None:
        self._write("r", f"{model}|{most}|{prompt}", asdict(recording))

    def memo(self, key: str) -> Any:
        return self._read("memo", key)

    def remember(self, key: str, value: object) -> None:
        self._write("memo", key, value)

    def close(self) -> None:
        self._database.close()

    def _read(self, table: str, key: str) -> Any:
        row = self._database.execute(f"select v from {table} where k = ?", (_hash(key),)).fetchone()  # noqa: S608 - ours
        return None if row is None else json.loads(row[0])

    def _write(self, table: str, key: str, value: object) -> None:
        with self._database:
            self._database.execute(
                f"insert or replace into {table} values (?, ?)",  # noqa: S608 - one of two names
                (_hash(key), json.dumps(value)),
            )


class Source:
    """A model whose streams are recorded and repeated, if there is a store. One question at a time."""

    def __init__(self, name: str, model: Model, store: Store | None, *, served: str = "") -> None:
        self.name = name
        self.served = served or name
        """The name that the server asks it by: what it does may depend on that."""
        self._model, self._store = model, store
        self._turn = asyncio.Lock()

    @property
    def records(self) -> bool:
        """Streams should be taken to their end, whoever has left."""
        return self._store is not None

    def recorded(self, prompt: str, limit: int) -> Recording | None:
        if self._store is None:
            return None
        found = self._store.get(self.name, max(MOST, limit), prompt)
        return found and found.first(limit)

    async def live(
        self, prompt: str, limit: int, *, stop: Sequence[str] = STOPS, temperature: float = 0.0
    ) -> AsyncGenerator[Event, None]:
        """Asks the model; what is recorded are streams at temperature 0 that were heard to the end.

        With a store the stream may be longer than `limit`: cutting it is the caller's. Without one the model reads
        the prompt from its beginning, as after opening a file: times are then true, whatever was asked before.
        """
        keep = self.records and not temperature
        if keep:
            limit, stop = max(MOST, limit), STOPS
        made, began = Recording(), time.monotonic()
        async with (
            self._turn,
            contextlib.aclosing(
                self._model.stream(prompt, limit, stop=stop, temperature=temperature, cached=self.records)
            ) as events,
        ):
            async for event in events:
                if event.text:
                    made.pieces.append(event.text)
                made.finish = event.finish or made.finish
                made.timings = event.timings or made.timings
                yield event
        if keep and self._store is not None and made.finish:
            made.wall = time.monotonic() - began
            self._store.put(self.name, limit, prompt, made)

    async def tokens(self, text: str) -> list[int]:
        if not text:
            return []
        tokens: list[int] = await self._remembered("tokenize", text, self._model.tokenize(text))
        return tokens

    async def text(self, tokens: Sequence[int]) -> str:
        text: str = await self._remembered("detokenize", json.dumps(tokens), self._model.detokenize(tokens))
        return text

    async def close(self) -> None:
        await self._model.close()

    async def _remembered(self, what: str, about: str, answer: Any) -> Any:
        """An answer of the tokenizer, which is asked only for what is not known."""
        key = f"{self.name}|{what}|{about}"
        if self._store is not None and (known := self._store.memo(key)) is not None:
            answer.close()
            return known
        found = await answer
        if self._store is not None:
            self._store.remember(key, found)
        return found


def _hash(key: str) -> str:
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()
