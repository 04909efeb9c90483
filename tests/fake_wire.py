"""HTTP/1.1 as the fake service speaks it: requests off the wire, answers onto it in awkward pieces."""

from __future__ import annotations

import asyncio
import itertools
import json
import random
import socket
import struct
from collections.abc import Callable, Mapping
from typing import Any

from tests.fake_script import CUT_MID_CHUNK, CUT_MID_EVENT, RESET, STALL, Act, Answer, Fault, Received, Repeat, Step

NATIVE = "/api/v1/services/aigc/text-generation/generation"


class Reply:
    """Writes one answer in the form that the request's path asks for."""

    def __init__(self, connection: Connection, request: Received, answer: Answer, chance: random.Random) -> None:
        self._connection, self._request, self._answer, self._random = connection, request, answer, chance
        self._native = request.path == NATIVE
        self._chat = request.path.endswith("/chat/completions")
        self._written = ""
        self._line_end = chance.choice(["\n", "\r\n"])

    async def send(self) -> None:
        answer = self._answer
        if answer.raw is not None:
            for step in answer.raw:
                await self._raw(step)
        elif answer.fault is not None:
            self._whole(dumps(self._error(answer.fault)))
        elif answer.body is not None:
            self._whole(answer.body)
        elif self._streams():
            await self._stream()
        else:
            await self._unstreamed()

    async def _raw(self, step: Step) -> None:
        if isinstance(step, bytes):
            step = Repeat(step, 1)
        if not isinstance(step, Repeat):
            await self._wait_or_collect(step)
            return
        for _ in itertools.count() if step.times is None else range(step.times):
            self._connection.write(step.piece)
            await self._flush()

    def _streams(self) -> bool:
        asked = self._request.json or {}
        return self._request.headers.get("x-dashscope-sse") == "enable" if self._native else bool(asked.get("stream"))

    def _head(self, extra: Mapping[str, str]) -> None:
        headers = {**extra, **self._answer.headers}
        lines = [
            f"HTTP/1.1 {self._answer.status} Status",
            *(f"{name}: {value}" for name, value in headers.items()),
        ]
        self._connection.write(("\r\n".join(lines) + "\r\n\r\n").encode())

    def _whole(self, body: bytes) -> None:
        self._head({"Content-Type": "application/json", "Content-Length": str(len(body))})
        self._connection.write(body)

    async def _unstreamed(self) -> None:
        for step in self._answer.steps:
            await self._wait_or_collect(step)
        self._whole(dumps(self._event(self._written, self._answer.finish, whole=True) | self._usage()))

    async def _wait_or_collect(self, step: Step) -> None:
        """Waits, cuts or stalls as the step says; text is added to what has been written."""
        if isinstance(step, str):
            self._written += step
        elif isinstance(step, int | float):
            await self._connection.unless_gone(asyncio.sleep(step))
        elif isinstance(step, asyncio.Event):
            await self._connection.unless_gone(step.wait())
        elif step is STALL:
            await self._connection.unless_gone(asyncio.Event().wait())
        elif step is RESET:
            self._connection.reset()
            raise ConnectionResetError(step.name)
        elif isinstance(step, Act):
            raise ConnectionResetError(step.name)

    async def _stream(self) -> None:
        self._head({"Content-Type": "text/event-stream;charset=UTF-8", "Transfer-Encoding": "chunked"})
        if not self._native and self._chat:
            await self._send_event(self._event("", None, role=True))
        for step in self._answer.steps:
            if isinstance(step, str) and self._answer.delay:
                await self._connection.unless_gone(asyncio.sleep(self._answer.delay))
            await self._step(step)
        await self._end()

    async def _step(self, step: Step) -> None:
        if isinstance(step, bytes):
            await self._body(step)
        elif isinstance(step, Fault):
            await self._send_event(self._error(step))
        elif step is CUT_MID_CHUNK:
            self._connection.write(b"40\r\ndata: {")
            await self._flush()
        elif step is CUT_MID_EVENT:
            await self._body(b'data: {"choices": [{"del')
        await self._wait_or_collect(step)
        if isinstance(step, str):
            await self._send_event(self._event(step, None) | (self._usage() if self._native else {}))

    async def _end(self) -> None:
        if self._native:
            await self._send_event(self._event("", self._answer.finish) | self._usage())
        else:
            await self._send_event(self._event("", self._answer.finish))
            if ((self._request.json or {}).get("stream_options") or {}).get("include_usage"):
                await self._send_event({"choices": [], "object": "chat.completion.chunk", **self._usage()})
            if self._answer.done:
                await self._body(f"data: [DONE]{self._line_end * 2}".encode())
        self._connection.write(b"0\r\n\r\n")

    async def _send_event(self, payload: dict[str, Any]) -> None:
        end = self._line_end
        head = f"id:1{end}event:result{end}:HTTP_STATUS/200{end}data:" if self._native else "data: "
        comment = f": keep-alive{end * 2}" if self._random.random() < 0.1 else ""
        await self._body((comment + head).encode() + dumps(payload) + (end * 2).encode())

    async def _body(self, data: bytes) -> None:
        """Body bytes as HTTP chunks, cut anywhere: sometimes into single bytes, sometimes not at all."""
        longest = self._random.choice([1, 2, 7, 40, 4096])
        while data and not self._connection.gone.is_set():
            size = self._random.randint(1, longest)
            part, data = data[:size], data[size:]
            self._connection.write(b"%x\r\n%s\r\n" % (len(part), part))
        await self._flush()

    async def _flush(self) -> None:
        await asyncio.sleep(0)
        if not self._connection.writable.is_set():
            await self._connection.unless_gone(self._connection.writable.wait())
        if self._connection.gone.is_set():
            raise ConnectionResetError("the client hung up")

    def _event(self, text: str, finish: str | None, *, whole: bool = False, role: bool = False) -> dict[str, Any]:
        if self._native:
            native = {"message": {"role": "assistant", "content": text}, "finish_reason": finish or "null"}
            return {"output": {"choices": [native]}, "request_id": "1"}
        kind = "chat.completion" if self._chat else "text_completion"
        said: dict[str, Any] = {"text": text, "logprobs": None}
        if self._chat:
            message = {"role": "assistant", "content": None} if role else {"content": text}
            said = {"message" if whole else "delta": message}
        choice: dict[str, Any] = {"index": 0, **said, "finish_reason": finish}
        return {"id": "1", "object": kind, "model": "m", "choices": [choice], "usage": None}

    def _usage(self) -> dict[str, Any]:
        prompt, completion = max(1, len(self._request.body) // 4), max(1, len(self._written) // 4)
        names = ("input_tokens", "output_tokens") if self._native else ("prompt_tokens", "completion_tokens")
        counts: dict[str, Any] = {**dict(zip(names, (prompt, completion), strict=True))}
        counts["total_tokens"] = prompt + completion
        return {"usage": {**counts, "prompt_tokens_details": {"cached_tokens": self._answer.cached}}}

    def _error(self, fault: Fault) -> dict[str, Any]:
        if self._native:
            return {"code": fault.code, "message": fault.message, "request_id": "1"}
        error = {"message": fault.message, "type": fault.kind, "param": None, "code": fault.code}
        return {"error": error, "request_id": "1"}


class Connection(asyncio.Protocol):
    """Bytes of one client, and whether it is still there."""

    transport: asyncio.Transport

    def __init__(self, accept: Callable[[Connection], None]) -> None:
        self._accept = accept
        self.received = bytearray()
        self.news = asyncio.Event()
        self.gone = asyncio.Event()
        self.writable = asyncio.Event()
        """The client keeps up with what it is sent."""
        self.writable.set()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self._accept(self)

    def data_received(self, data: bytes) -> None:
        self.received += data
        self.news.set()

    def eof_received(self) -> None:
        self.connection_lost(None)

    def connection_lost(self, exc: Exception | None) -> None:
        self.gone.set()
        self.news.set()

    def write(self, data: bytes) -> None:
        if not self.gone.is_set():
            self.transport.write(data)

    def pause_writing(self) -> None:
        self.writable.clear()

    def resume_writing(self) -> None:
        self.writable.set()

    def reset(self) -> None:
        """Hangs up with an RST in place of a FIN."""
        linger = struct.pack("ii", 1, 0)
        self.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self.transport.abort()

    async def unless_gone(self, what: Any) -> None:
        """Waits for `what` or the end of the connection, whichever comes first.

        Raises:
            ConnectionResetError: the client hung up.
        """
        tasks = {asyncio.ensure_future(what), asyncio.ensure_future(self.gone.wait())}
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        if self.gone.is_set():
            raise ConnectionResetError("the client hung up")

    async def more(self) -> bool:
        """Waits for bytes; false if none will come."""
        self.news.clear()
        if not self.gone.is_set():
            await self.news.wait()
        return not self.gone.is_set()


async def read_request(connection: Connection, number: int) -> Received | None:
    """The next request, or None when the client has no more."""
    while b"\r\n\r\n" not in connection.received:
        if not await connection.more():
            return None
    head, _, _ = bytes(connection.received).partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    method, target, _ = first.split(" ", 2)
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    size = len(head) + 4 + int(headers.get("content-length", 0))
    while len(connection.received) < size:
        if not await connection.more():
            return None
    body = bytes(connection.received[len(head) + 4 : size])
    del connection.received[:size]
    now = asyncio.get_running_loop().time()
    return Received(method, target.partition("?")[0], headers, body, now, number)


def dumps(value: object) -> bytes:
    """JSON as services write it: raw UTF-8, U+2028 and all."""
    return json.dumps(value, ensure_ascii=False).encode("utf-8", "surrogatepass")
