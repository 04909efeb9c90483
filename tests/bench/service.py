"""The loopback model service, in a process of its own: OpenAI-style `/v1/completions`, streamed or whole.

    python -m tests.bench.service      # writes {"port": N}, then obeys lines of JSON on standard input

    {"behave": {"text": "a = 1"}}      from now on: a fixed text, or the truth of a known file; times, errors
    {"take": true}                     answers with the log since the last take, and forgets it

Each request for text is logged with monotonic times, which are the same in every process of a machine, and with
the tokens made until it ended or the client hung up. It goes when its standard input ends.
"""

from __future__ import annotations

import asyncio
import json
import random
import sys
import time
from dataclasses import asdict, dataclass
from typing import Any

from tests.bench.known_file import KnownFile, limited
from tests.fake_wire import Connection, dumps, read_request

LONGEST_LINE = 1 << 26
_DEFAULT_TOKENS = 128


@dataclass(frozen=True, slots=True)
class Behaviour:
    """How the service answers: with `text`, or, given a `truth`, with what follows there. Times in seconds."""

    text: str = ""
    truth: str = ""
    near: int = 0
    wrong: float = 0.0
    first_token: float = 0.0
    per_token: float = 0.0
    errors: float = 0.0
    """The share of requests that fail: every other one with 503, the rest by a cut in the midst of the answer."""
    seed: int = 0

    def answer(self, prefix: str) -> str:
        if not self.truth:
            return self.text
        return KnownFile(self.truth, self.near, self.wrong, self.seed).answer(prefix)


@dataclass(slots=True)
class Exchange:
    """One request for text as the log has it. `ended` is 0 while it runs."""

    began: float
    ended: float = 0.0
    tokens: int = 0
    aborted: bool = False
    failed: bool = False


class Line(Connection):
    """A connection that knows when the request it is reading began to arrive."""

    began = 0.0

    def data_received(self, data: bytes) -> None:
        if not self.received:
            self.began = time.monotonic()
        super().data_received(data)


class Service:
    """Answers on loopback as it was last told to behave."""

    def __init__(self) -> None:
        self.log: list[Exchange] = []
        self._behaviour = Behaviour()
        self._random = random.Random(0)
        self._tasks: set[asyncio.Task[None]] = set()

    async def listen(self) -> int:
        server = await asyncio.get_running_loop().create_server(lambda: Line(self._accept), "127.0.0.1", 0)
        return int(server.sockets[0].getsockname()[1])

    def obey(self, order: dict[str, Any]) -> object:
        if "behave" in order:
            self._behaviour = Behaviour(**order["behave"])
            self._random = random.Random(self._behaviour.seed)
            return {}
        taken, self.log = self.log, [exchange for exchange in self.log if not exchange.ended]
        return [asdict(exchange) for exchange in taken]

    def _accept(self, connection: Connection) -> None:
        assert isinstance(connection, Line)
        task = asyncio.get_running_loop().create_task(self._serve(connection))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, connection: Line) -> None:
        while request := await read_request(connection, 0):
            if request.method != "POST" or not request.path.endswith("/completions"):
                listed = {"object": "list", "data": [{"id": request.path, "object": "model"}]}
                _whole(connection, "200 OK" if request.path.endswith("/models") else "404 Not Found", listed)
                continue
            exchange = Exchange(connection.began)
            self.log.append(exchange)
            try:
                await self._complete(connection, request.json, exchange)
            except ConnectionError:
                exchange.aborted = connection.gone.is_set()
                break
            finally:
                exchange.ended = time.monotonic()
        connection.transport.close()

    async def _complete(self, connection: Line, body: dict[str, Any], exchange: Exchange) -> None:
        behaviour = self._behaviour
        prefix = body["prompt"].rpartition("<|fim_suffix|>")[0].rpartition("<|fim_prefix|>")[2]
        pieces = list(limited(behaviour.answer(prefix), body.get("stop", []), body.get("max_tokens", _DEFAULT_TOKENS)))
        exchange.failed = self._random.random() < behaviour.errors
        if exchange.failed and self._random.random() < 1 / 2:
            _whole(connection, "503 Service Unavailable", {"error": {"message": "busy", "code": "503"}})
            return
        cut_at = self._random.randint(0, len(pieces)) if exchange.failed else -1
        # Against a schedule, so that the slack of timers does not add up.
        first = time.monotonic() + behaviour.first_token
        for index, piece in enumerate(pieces):
            if behaviour.first_token or behaviour.per_token:
                await _until(connection, first + index * behaviour.per_token)
            if index == cut_at:
                raise ConnectionResetError("cut on purpose")
            if body.get("stream"):
                _head(connection) if index == 0 else None
                _event(connection, piece, None)
            exchange.tokens += 1
        if not body.get("stream"):
            _whole(connection, "200 OK", _choice("".join(pieces), "stop"))
            return
        if not pieces:
            _head(connection)
        _event(connection, "", "stop")
        _chunk(connection, b"data: [DONE]\n\n")
        connection.write(b"0\r\n\r\n")


async def _until(connection: Line, when: float) -> None:
    """Waits until a time, or raises ConnectionResetError when the client hangs up before."""
    try:
        async with asyncio.timeout(max(0.0, when - time.monotonic())):
            await connection.gone.wait()
    except TimeoutError:
        return
    raise ConnectionResetError("the client hung up")


def _head(connection: Line) -> None:
    connection.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n")


def _event(connection: Line, text: str, finish: str | None) -> None:
    _chunk(connection, b"data: " + dumps(_choice(text, finish)) + b"\n\n")


def _chunk(connection: Line, data: bytes) -> None:
    connection.write(b"%x\r\n%s\r\n" % (len(data), data))


def _whole(connection: Line, status: str, payload: object) -> None:
    body = dumps(payload)
    head = f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    connection.write(head.encode() + body)


def _choice(text: str, finish: str | None) -> dict[str, Any]:
    return {"id": "1", "object": "text_completion", "choices": [{"index": 0, "text": text, "finish_reason": finish}]}


async def _main() -> None:
    service = Service()
    port = await service.listen()
    orders = asyncio.StreamReader(limit=LONGEST_LINE)
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(orders), sys.stdin)
    _say({"port": port})
    while line := await orders.readline():
        _say(service.obey(json.loads(line)))


def _say(reply: object) -> None:
    sys.stdout.write(json.dumps(reply) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    asyncio.run(_main())
