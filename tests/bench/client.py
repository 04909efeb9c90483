"""A plain LSP client over stdio: it sends what it is told, and knows to the moment when the bytes of a reply came.

Times are time.monotonic(), seconds, and the same in every process of a machine. It answers the server's own
requests as an editor does: `workspace/configuration` with the settings, everything else with null.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import os
import signal
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

PATIENCE = 30.0
_GOODBYE = 3.0


class Reply:
    """What became of one request. `got` is when its last bytes arrived; 0 until then."""

    def __init__(self, ident: int, sent: float) -> None:
        self.ident, self.sent, self.got = ident, sent, 0.0
        self.result: Any = None
        self.error: Any = None
        self.came = asyncio.Event()


class Client(asyncio.SubprocessProtocol):
    """One server process in a session of its own."""

    def __init__(self, settings: Mapping[str, Any] | None = None) -> None:
        self.settings = settings
        self.spawned = 0.0
        self.stderr = b""
        self.notices: list[str] = []
        """What the server has told the person, by window/showMessage."""
        self._buffer = bytearray()
        self._waiting: dict[int, Reply] = {}
        self._ids = itertools.count(1)
        self._ended = asyncio.Event()
        self._transport: asyncio.SubprocessTransport

    @classmethod
    async def start(
        cls, command: Sequence[str], env: Mapping[str, str], cwd: Path, settings: Mapping[str, Any] | None = None
    ) -> Client:
        client = cls(settings)
        client.spawned = time.monotonic()
        client._transport, _ = await asyncio.get_running_loop().subprocess_exec(
            lambda: client, *command, env=dict(env), cwd=cwd, start_new_session=True
        )
        return client

    @property
    def pid(self) -> int:
        return self._transport.get_pid()

    def notify(self, method: str, params: object) -> None:
        self._send({"method": method, "params": params})

    def request(self, method: str, params: object, *, after: Sequence[tuple[str, object]] = ()) -> Reply:
        """Sends notifications and then a request in one write, as editors do at a key."""
        ident = next(self._ids)
        messages: list[dict[str, object]] = [{"method": name, "params": said} for name, said in after]
        reply = self._waiting[ident] = Reply(ident, time.monotonic())
        self._send(*messages, {"id": ident, "method": method, "params": params})
        return reply

    async def ask(self, method: str, params: object, *, after: Sequence[tuple[str, object]] = ()) -> Reply:
        """Sends a request and waits for its reply.

        Raises:
            RuntimeError: none came; the message ends with what the server wrote to standard error.
        """
        reply = self.request(method, params, after=after)
        try:
            async with asyncio.timeout(PATIENCE):
                await reply.came.wait()
        except TimeoutError:
            reply.error = "no reply in time"
        if not reply.got:
            raise RuntimeError(f"{method}: {reply.error}\n{self.stderr.decode(errors='replace')[-2000:]}")
        return reply

    async def stop(self) -> None:
        """Says goodbye; then ends what is left of the server's session."""
        with contextlib.suppress(RuntimeError):
            await self.ask("shutdown", None)
            self.notify("exit", None)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_GOODBYE):
                await self._ended.wait()
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)  # its session is its own: only what was started here
        await self._ended.wait()
        self._transport.close()

    def pipe_data_received(self, fd: int, data: bytes) -> None:
        now = time.monotonic()
        if fd == 2:
            self.stderr = (self.stderr + data)[-100_000:]
            return
        self._buffer += data
        while (body := self._next()) is not None:
            self._receive(json.loads(body), now)

    def process_exited(self) -> None:
        self._ended.set()
        for reply in self._waiting.values():
            reply.error = "the server has ended"
            reply.came.set()
        self._waiting.clear()

    def _next(self) -> bytes | None:
        """The next whole message's body."""
        head, found, _ = self._buffer.partition(b"\r\n\r\n")
        if not found:
            return None
        lengths = [line for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")]
        start = len(head) + 4
        end = start + int(lengths[0].partition(b":")[2])
        if len(self._buffer) < end:
            return None
        body = bytes(self._buffer[start:end])
        del self._buffer[:end]
        return body

    def _receive(self, message: dict[str, Any], now: float) -> None:
        if "method" in message:
            if message["method"] == "window/showMessage":
                self.notices.append(message["params"]["message"])
            if "id" in message:
                self._send({"id": message["id"], "result": self._answer(message)})
            return
        reply = self._waiting.pop(message["id"], None)
        if reply is not None:
            reply.got, reply.result, reply.error = now, message.get("result"), message.get("error")
            reply.came.set()

    def _answer(self, message: dict[str, Any]) -> object:
        if message["method"] == "workspace/configuration":
            return [self.settings if item.get("section") == "qwen" else None for item in message["params"]["items"]]
        return None

    def _send(self, *messages: dict[str, object]) -> None:
        pipe = self._transport.get_pipe_transport(0)
        if not isinstance(pipe, asyncio.WriteTransport) or pipe.is_closing():
            return
        bodies = [json.dumps({"jsonrpc": "2.0", **message}).encode() for message in messages]
        pipe.write(b"".join(b"Content-Length: %d\r\n\r\n%s" % (len(body), body) for body in bodies))
