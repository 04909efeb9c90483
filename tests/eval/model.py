"""The real model: llama.cpp's server as the product starts it, over HTTP on loopback.

The engine is started at the first question and killed by `close`. Nothing is kept here; `recording.py` does that.
"""

from __future__ import annotations

import asyncio
import json
import secrets
import sys
from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import httpx

from qwen_lsp.backend import engine_worker

CONTEXT = 8192
_LOADING = 180.0


@dataclass(frozen=True, slots=True)
class Event:
    """A part of a stream: text, the reason of its end, llama.cpp's timings."""

    text: str = ""
    finish: str | None = None
    timings: Mapping[str, Any] | None = None


class Model(Protocol):
    """Whoever writes text."""

    def stream(
        self, prompt: str, limit: int, *, stop: Sequence[str], temperature: float, cached: bool
    ) -> AsyncGenerator[Event, None]:
        """Continues a raw prompt, token by token; ends the work when it is closed."""

    async def tokenize(self, text: str) -> list[int]:
        """Plain text's tokens."""

    async def detokenize(self, tokens: Sequence[int]) -> str:
        """The text of these tokens."""

    async def close(self) -> None:
        """Ends it."""


class Engine:
    """One llama.cpp, of this run alone, or one that runs already (`url`)."""

    def __init__(self, weights: Path, *, threads: int = 0, url: str = "") -> None:
        self._weights, self._threads, self._url = weights, threads, url
        self._key = "" if url else secrets.token_hex(16)
        self._process: asyncio.subprocess.Process | None = None
        self._starting = asyncio.Lock()
        self._client = httpx.AsyncClient(timeout=None, trust_env=False)  # noqa: S113 - a slow machine reads for minutes

    async def stream(
        self, prompt: str, limit: int, *, stop: Sequence[str], temperature: float, cached: bool
    ) -> AsyncGenerator[Event, None]:
        body = {
            "prompt": prompt,
            "max_tokens": limit,
            "temperature": temperature,
            "stop": list(stop),
            "cache_prompt": cached,
            "stream": True,
            # So that the prompt's tokens are known of streams that are stopped.
            "timings_per_token": True,
        }
        url = await self._ready()
        async with self._client.stream("POST", f"{url}/v1/completions", json=body, headers=self._headers) as reply:
            reply.raise_for_status()
            async for line in reply.aiter_lines():
                if line.startswith("data: {"):
                    yield _event(json.loads(line[6:]))

    async def tokenize(self, text: str) -> list[int]:
        tokens: list[int] = (await self._ask("/tokenize", {"content": text, "parse_special": False}))["tokens"]
        return tokens

    async def detokenize(self, tokens: Sequence[int]) -> str:
        text: str = (await self._ask("/detokenize", {"tokens": list(tokens)}))["content"]
        return text

    async def close(self) -> None:
        await self._client.aclose()
        if self._process is not None and self._process.returncode is None:
            self._process.kill()
            await self._process.wait()

    @property
    def _headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self._key}"} if self._key else {}

    async def _ask(self, path: str, body: Mapping[str, Any]) -> Any:
        reply = await self._client.post(await self._ready() + path, json=body, headers=self._headers)
        return reply.raise_for_status().json()

    async def _ready(self) -> str:
        """The engine's address, once it is loaded."""
        async with self._starting:
            if not self._url:
                self._url = await self._start()
        return self._url

    async def _start(self) -> str:
        pipe, nothing = asyncio.subprocess.PIPE, asyncio.subprocess.DEVNULL
        command = (sys.executable, engine_worker.__file__)
        self._process = await asyncio.create_subprocess_exec(*command, stdin=pipe, stdout=pipe, stderr=nothing)
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        params = {"model": str(self._weights), "context": CONTEXT, "threads": self._threads, "gpu_layers": -1}
        self._process.stdin.write(json.dumps(params | {"key": self._key}).encode() + b"\n")
        async with asyncio.timeout(_LOADING):
            line = (await self._process.stdout.readline()).decode()
            if not line.startswith("ready "):
                raise RuntimeError(f"the engine did not load {self._weights.name}")
        return line.split()[1]


def _event(payload: Mapping[str, Any]) -> Event:
    choice = (payload.get("choices") or [{}])[0]
    return Event(choice.get("text") or "", choice.get("finish_reason"), payload.get("timings"))
