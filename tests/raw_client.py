"""A JSON-RPC client that sends whatever it is told to, for traffic that no library would send.

async with RawClient.started(env=env) as client:
    await client.initialize()
    reply = await client.ask("textDocument/inlineCompletion", {...})
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import os
import sys
from collections.abc import AsyncIterator, Mapping
from typing import Any

PATIENCE = 20.0
"""Seconds until a reply that does not come fails the test; never waited for otherwise."""


class RawClient:
    """One server process. `messages` holds everything it has sent, `stderr` what it has logged."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.messages: list[dict[str, Any]] = []
        self.stderr = b""
        self._news = asyncio.Condition()
        self._ids = itertools.count(1000)
        self._tasks = [asyncio.ensure_future(self._listen()), asyncio.ensure_future(self._collect())]

    @classmethod
    @contextlib.asynccontextmanager
    async def started(cls, *arguments: str, env: Mapping[str, str] | None = None) -> AsyncIterator[RawClient]:
        """A client of `python -m qwen_lsp serve`, whose process is gone afterwards."""
        command = (sys.executable, "-m", "qwen_lsp", "serve", *arguments)
        pipe = asyncio.subprocess.PIPE
        process = await asyncio.create_subprocess_exec(
            *command, stdin=pipe, stdout=pipe, stderr=pipe, env={**os.environ, **(env or {})}
        )
        client = cls(process)
        try:
            yield client
        finally:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await asyncio.gather(process.wait(), *client._tasks)

    def send(self, message: object) -> None:
        self.send_body(json.dumps(message).encode())

    def send_body(self, body: bytes) -> None:
        self.send_bytes(b"Content-Length: %d\r\n\r\n%b" % (len(body), body))

    def send_bytes(self, data: bytes) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(data)

    def notify(self, method: str, params: object = None) -> None:
        self.send({"jsonrpc": "2.0", "method": method, "params": params})

    def request(self, method: str, params: object = None, ident: object = None) -> object:
        ident = next(self._ids) if ident is None else ident
        self.send({"jsonrpc": "2.0", "id": ident, "method": method, "params": params})
        return ident

    async def ask(
        self, method: str, params: object = None, ident: object = None, *, patience: float = PATIENCE
    ) -> dict[str, Any]:
        """Sends a request and waits for its reply."""
        return await self.reply(self.request(method, params, ident), patience=patience)

    async def reply(self, ident: object, nth: int = 1, *, patience: float = PATIENCE) -> dict[str, Any]:
        """The nth reply with an id."""
        await self.until(lambda: len(self.replies(ident)) >= nth, patience)
        return self.replies(ident)[nth - 1]

    def replies(self, ident: object) -> list[dict[str, Any]]:
        return [m for m in self.messages if "method" not in m and m["id"] == ident]

    async def until(self, holds: Any, patience: float = PATIENCE) -> None:
        """Waits until something holds of the messages received."""
        async with asyncio.timeout(patience), self._news:
            await self._news.wait_for(holds)

    async def initialize(self, **params: Any) -> dict[str, Any]:
        """The usual beginning of a session; returns the result."""
        reply = await self.ask("initialize", {"processId": None, "rootUri": None, "capabilities": {}} | params)
        self.notify("initialized", {})
        return reply["result"]

    def open(self, uri: str, text: str, language: str = "python") -> None:
        item = {"uri": uri, "languageId": language, "version": 1, "text": text}
        self.notify("textDocument/didOpen", {"textDocument": item})

    async def exited(self) -> int:
        """The exit status, once the process is gone."""
        async with asyncio.timeout(PATIENCE):
            return await self.process.wait()

    async def _listen(self) -> None:
        reader = self.process.stdout
        assert reader is not None
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                header = await reader.readuntil(b"\r\n\r\n")
                body = await reader.readexactly(int(header.split(b":")[1]))
                async with self._news:
                    self.messages.append(json.loads(body))
                    self._news.notify_all()

    async def _collect(self) -> None:
        assert self.process.stderr is not None
        while chunk := await self.process.stderr.read(1 << 16):
            self.stderr += chunk
