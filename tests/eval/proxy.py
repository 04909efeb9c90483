"""The model as our server meets it: an OpenAI-compatible service on loopback that knows who asked what.

Each item has an address of its own (`/NAME/v1`). What is recorded is said at once; what is not comes from the model
token by token, and is taken to its end for the recording even when the server has hung up.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import defaultdict
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.eval.model import Event
from tests.eval.recording import Source
from tests.fake_wire import Connection, dumps, read_request

_DEFAULT_TOKENS = 16


@dataclass(slots=True)
class Exchange:
    """One question for text. Times are time.monotonic(); 0 until then."""

    prompt: str
    began: float
    replayed: bool = False
    first: float = 0.0
    pieces: list[str] = field(default_factory=list)
    """What was sent before the end, or before the server hung up."""
    whole: bool = False
    """The server heard it to the end."""
    finish: str = ""
    timings: Mapping[str, Any] | None = None
    error: str = ""


class Proxy:
    """Serves while it is entered."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._exchanges: dict[str, list[Exchange]] = defaultdict(list)
        self._tasks: set[asyncio.Task[None]] = set()
        self._busy: dict[tuple[str, int], Connection] = {}
        self._idle = asyncio.Condition()
        self._port = 0

    @classmethod
    @contextlib.asynccontextmanager
    async def started(cls, source: Source) -> AsyncIterator[Proxy]:
        proxy = cls(source)
        loop = asyncio.get_running_loop()
        server = await loop.create_server(lambda: Connection(proxy._accept), "127.0.0.1", 0)
        proxy._port = server.sockets[0].getsockname()[1]
        try:
            yield proxy
        finally:
            server.close()
            for task in proxy._tasks:
                task.cancel()
            await asyncio.gather(*proxy._tasks, return_exceptions=True)

    def url(self, name: str) -> str:
        """The base URL of an item."""
        return f"http://127.0.0.1:{self._port}/{name}/v1"

    async def hung_up(self, name: str) -> None:
        """Waits until the server has left all of the item's questions that still run."""
        for connection in [connection for (busy, _), connection in self._busy.items() if busy == name]:
            await connection.gone.wait()

    async def heard(self, name: str) -> list[Exchange]:
        """The item's questions, once all of them have ended."""
        async with self._idle:
            await self._idle.wait_for(lambda: not any(busy == name for busy, _ in self._busy))
        return self._exchanges.pop(name, [])

    def _accept(self, connection: Connection) -> None:
        task = asyncio.get_running_loop().create_task(self._serve(connection))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, connection: Connection) -> None:
        while request := await read_request(connection, 0):
            _, name, *path = request.path.split("/")
            if request.method == "POST" and path == ["v1", "completions"]:
                await self._exchange(connection, name, request.json)
            elif path == ["v1", "models"]:
                listed = [{"id": self._source.served, "object": "model"}]
                _whole(connection, "200 OK", {"object": "list", "data": listed})
            else:
                _whole(connection, "404 Not Found", {"error": {"message": "no such path", "code": "404"}})
        connection.transport.close()

    async def _exchange(self, connection: Connection, name: str, body: Mapping[str, Any]) -> None:
        exchange = Exchange(body["prompt"], time.monotonic())
        self._exchanges[name].append(exchange)
        mark = (name, id(exchange))
        self._busy[mark] = connection
        try:
            await self._answer(connection, exchange, body)
        except ConnectionResetError:
            pass
        except Exception as error:  # noqa: BLE001 - the model's failure is the service's, and the item's
            exchange.error = f"{type(error).__name__}: {error}"
            if exchange.pieces:
                connection.transport.abort()
            else:
                failed = {"error": {"message": "the model failed", "code": "500"}}
                _whole(connection, "500 Internal Server Error", failed)
        finally:
            del self._busy[mark]
            async with self._idle:
                self._idle.notify_all()

    async def _answer(self, connection: Connection, exchange: Exchange, body: Mapping[str, Any]) -> None:
        limit = body.get("max_tokens") or _DEFAULT_TOKENS
        temperature = body.get("temperature") or 0
        known = None if temperature else self._source.recorded(exchange.prompt, limit)
        answer = _Stream(connection, exchange, limit)
        if known is not None:
            exchange.replayed, exchange.timings = True, known.timings
            for piece in known.pieces:
                answer.say(Event(piece))
            answer.say(Event(finish=known.finish))
            return
        events = self._source.live(exchange.prompt, limit, stop=body.get("stop") or (), temperature=temperature)
        telling = self._tell(events, answer)
        await (telling if self._source.records else connection.unless_gone(telling))

    async def _tell(self, events: AsyncGenerator[Event, None], answer: _Stream) -> None:
        async with contextlib.aclosing(events) as stream:
            async for event in stream:
                answer.say(event)


class _Stream:
    """The reply to one question; falls silent when the server has hung up."""

    def __init__(self, connection: Connection, exchange: Exchange, limit: int) -> None:
        self._connection, self._exchange, self._limit = connection, exchange, limit
        self._begun = False

    def say(self, event: Event) -> None:
        """Sends a part of the model's stream; one that goes beyond the limit ends it."""
        exchange = self._exchange
        exchange.timings = event.timings or exchange.timings
        if exchange.whole or self._connection.gone.is_set():
            return
        if event.text and len(exchange.pieces) == self._limit:
            self._end("length")
            return
        if event.text:
            exchange.first = exchange.first or time.monotonic()
            exchange.pieces.append(event.text)
            self._event(_choice(event.text, None))
        if event.finish:
            self._end(event.finish)

    def _end(self, finish: str) -> None:
        self._exchange.whole, self._exchange.finish = True, finish
        self._event(_choice("", finish))
        self._chunk(b"data: [DONE]\n\n")
        self._connection.write(b"0\r\n\r\n")

    def _event(self, payload: object) -> None:
        if not self._begun:
            self._begun = True
            head = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
            self._connection.write(head)
        self._chunk(b"data: " + dumps(payload) + b"\n\n")

    def _chunk(self, data: bytes) -> None:
        self._connection.write(b"%x\r\n%s\r\n" % (len(data), data))


def _whole(connection: Connection, status: str, payload: object) -> None:
    body = dumps(payload)
    head = f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    connection.write(head.encode() + body)


def _choice(text: str, finish: str | None) -> dict[str, Any]:
    return {"id": "1", "object": "text_completion", "choices": [{"index": 0, "text": text, "finish_reason": finish}]}
