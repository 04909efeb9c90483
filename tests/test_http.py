"""Exchanges over real loopback HTTP: what comes, what fails and how, and that stopping leaves nothing behind."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import random
import socket
import ssl
import subprocess
import sys
import traceback
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace

import httpcore
import httpx
import pytest

from qwen_lsp.backend import exchange as exchange_module
from qwen_lsp.backend import httpx_wire
from qwen_lsp.backend.exchange import pause_before_retry
from qwen_lsp.backend.http import Http
from qwen_lsp.backend.httpx_wire import HttpxWire
from qwen_lsp.backend.loopback_wire import LoopbackWire
from qwen_lsp.backend.severing import SeverableStream, current_line
from qwen_lsp.backend.wire import Ask, Line, Reply, checked_url, origin
from qwen_lsp.core.hosts import is_loopback
from qwen_lsp.core.model import Api, BackendError, Delta, Kind, Prompt, Route, Secret, Service
from tests.fake_dashscope import (
    CUT,
    CUT_MID_CHUNK,
    CUT_MID_EVENT,
    FAILURES,
    STALL,
    Answer,
    FakeService,
    Fault,
)
from tests.tls import relayed, trusting

KEY = "sk-canary-key-4711"
PROMPT = Prompt(
    prefix="def canary_prefix():\n    ",
    suffix="\ncanary_suffix = 1\n",
    language="python",
    path="f.py",
    max_tokens=16,
    temperature=0.2,
)


def serviced(fake: FakeService, **changes) -> Service:
    service = Service(
        provider="openai",
        base_url=fake.openai,
        model="qwen-coder-turbo",
        route=Route.FIM,
        api=Api.COMPLETIONS,
        key=Secret(KEY),
    )
    return replace(service, **changes)


@pytest.fixture
async def fake() -> AsyncIterator[FakeService]:
    async with FakeService(key=KEY) as service:
        yield service


@pytest.fixture(params=["loopback", "httpx"])
def wire(request) -> HttpxWire | None:
    """Each of the two wires; None leaves it to the address, which nearly always is this machine's."""
    return HttpxWire() if request.param == "httpx" else None


@pytest.fixture
async def http(wire) -> AsyncIterator[Http]:
    http = Http(wire, jitter=lambda: 0.0)
    yield http
    await http.close()


async def text_of(exchange) -> str:
    return "".join([delta.text async for delta in exchange])


async def failure_of(exchange) -> BackendError:
    with pytest.raises(BackendError) as caught:
        await asyncio.wait_for(text_of(exchange), 5)
    return caught.value


async def soon(what: Awaitable[object]) -> None:
    """A bound for what must happen, generous for a slow machine."""
    await asyncio.wait_for(what, 2)


def pools(http: Http) -> list:
    wire = http._far_wire
    clients = [*wire._clients.values(), *wire._retired] if isinstance(wire, HttpxWire) else []
    return [client._transport._pool for client in clients]


def kept(http: Http) -> int:
    """How many connections wait for the next request."""
    near = http._near_wire
    idle = sum(map(len, near._idle.values())) if isinstance(near, LoopbackWire) else 0
    return idle + sum(len(pool.connections) for pool in pools(http))


async def settled(http: Http) -> None:
    """Waits for the exchanges' tasks; then no request is in a pool, and no connection is in use."""
    if http._tasks:
        await soon(asyncio.wait(set(http._tasks)))
    await asyncio.sleep(0)
    assert not http._tasks
    for pool in pools(http):
        assert pool._requests == []
        assert [c for c in pool.connections if not (c.is_idle() or c.is_closed())] == []


async def hung_up_on_all_but(fake: FakeService, count: int) -> None:
    while fake.open_connections > count:  # noqa: ASYNC110 - the fake service tells nobody of an end
        await asyncio.sleep(0.005)


@contextlib.asynccontextmanager
async def raw_server(
    reply: Callable[[asyncio.StreamWriter], Awaitable[None]], head: bytes = b"\r\n\r\n"
) -> AsyncIterator[FakeService]:
    """A server that says what no HTTP library would; `reply` is called once `head` has come."""
    tasks: set[asyncio.Task] = set()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            await reader.readuntil(head)
            await reply(writer)
        writer.transport.abort()

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.ensure_future(handle(reader, writer))
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    address = FakeService()
    address.port = server.sockets[0].getsockname()[1]
    try:
        yield address
    finally:
        server.close()
        for task in list(tasks):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


# --- What goes out and comes in


async def test_deltas_come_in_order_and_the_key_goes_into_one_header(fake, http):
    """The deltas of an answer come in order, with its finish and usage; the key is a bearer token."""
    fake.script(Answer(["return ", "a + b", "  # é你😋\u2028"], finish="length"))

    deltas = [delta async for delta in http.generate(serviced(fake), PROMPT, timeout=5)]

    assert "".join(delta.text for delta in deltas) == "return a + b  # é你😋\u2028"
    assert [delta.finish for delta in deltas if delta.finish] == ["length"]
    assert [delta.usage is not None for delta in deltas][-1]
    (request,) = fake.generations
    assert request.headers["authorization"] == f"Bearer {KEY}"
    assert request.headers["accept-encoding"] == "identity"


async def test_answers_read_to_their_end_share_one_connection(fake, http):
    """Ten answers, one after the other, need one connection: each body is read to its end."""
    for _ in range(10):
        assert await text_of(http.generate(serviced(fake), PROMPT, timeout=5)) == "pass"
        await settled(http)
    assert fake.connections == 1


async def test_a_finished_answer_keeps_its_connection_though_it_is_stopped(fake, http):
    """Stopping after the model has finished (before `[DONE]` has come) does not cost the connection."""
    for _ in range(3):
        exchange = http.generate(serviced(fake), PROMPT, timeout=5)
        async for delta in exchange:
            if delta.finish:
                exchange.stop()
        await settled(http)
    assert fake.connections == 1


async def test_half_an_emoji_is_no_reason_to_fail(fake, http):
    """A lone surrogate in the document, which JSON text over the wire can't hold, goes out as a question mark."""
    prompt = replace(PROMPT, prefix="x = '\ud83d")

    assert await text_of(http.generate(serviced(fake), prompt, timeout=5)) == "pass"

    assert "x = '?" in fake.generations[0].json["prompt"]


async def test_a_server_that_cannot_stream_is_understood(fake, http):
    """An answer that comes in one piece, as JSON, is an answer."""
    body = b'{"choices": [{"text": "return 1", "finish_reason": "stop"}]}'
    fake.script(Answer(body=body))

    assert await text_of(http.generate(serviced(fake), PROMPT, timeout=5)) == "return 1"


async def test_a_cancelled_consumer_loses_nothing(fake, http):
    """A consumer cancelled while it waits may iterate again and gets all the rest."""
    gate = asyncio.Event()
    fake.script(Answer(["a", gate, "b"]))
    exchange = http.generate(serviced(fake), PROMPT, timeout=5)
    deltas: list[Delta] = [await anext(exchange)]

    waiting = asyncio.ensure_future(anext(exchange))
    await asyncio.sleep(0)
    waiting.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        deltas.append(await waiting)
    gate.set()

    assert "".join(d.text for d in deltas) + await text_of(exchange) == "ab"


# --- Stopping


@pytest.mark.parametrize("warmed_up", [False, True], ids=["new connection", "kept connection"])
async def test_stop_before_the_head_of_the_reply_is_heard_by_the_server(fake, http, warmed_up):
    """Stopped before the server has said a word, iteration ends at once and the server is hung up on."""
    if warmed_up:
        await text_of(http.generate(serviced(fake), PROMPT, timeout=5))
        await settled(http)
    fake.script(Answer("never", hold=asyncio.Event()))
    exchange = http.generate(serviced(fake), PROMPT, timeout=30)
    request = await fake.until(1 + warmed_up)
    assert request.connection == 1

    exchange.stop()

    assert await text_of(exchange) == ""
    await soon(request.gone.wait())
    await settled(http)


async def test_stop_in_mid_stream_near_by_is_heard_by_the_server(fake, http):
    """An engine on this machine is hung up on in mid-stream, whatever it still has to say."""
    fake.script(Answer(["a", STALL]))
    exchange = http.generate(serviced(fake), PROMPT, timeout=30)
    assert (await anext(exchange)).text == "a"

    exchange.stop()

    assert await text_of(exchange) == ""
    await soon(fake.generations[0].gone.wait())
    await settled(http)


async def test_stop_in_mid_stream_far_away_waits_a_moment_for_the_end(fake, wire):
    """A far server's short rest is read, so that the connection stays; a long one is hung up on."""
    http = Http(wire, near=lambda _: False)
    gate = asyncio.Event()
    fake.script(Answer(["a", gate, "b"]), Answer(["a", STALL]))

    exchange = http.generate(serviced(fake), PROMPT, timeout=30)
    await anext(exchange)
    exchange.stop()
    gate.set()
    await settled(http)
    exchange = http.generate(serviced(fake), PROMPT, timeout=30)
    await anext(exchange)
    exchange.stop()
    await settled(http)

    first, second = fake.generations
    await soon(second.gone.wait())
    assert not first.hung_up
    assert fake.connections == 1
    await http.close()


async def test_stop_before_the_first_step_asks_nothing(fake, http):
    """Stopped in the same breath, a question is never sent."""
    await http.warm(fake.openai)
    exchange = http.generate(serviced(fake), PROMPT, timeout=5)

    exchange.stop()

    assert await text_of(exchange) == ""
    await settled(http)
    assert fake.requests == []


async def test_stop_after_the_end_leaves_the_next_request_alone(fake, http):
    """Stopping an exchange that is over does not hang up on the one that uses its connection now."""
    over = http.generate(serviced(fake), PROMPT, timeout=5)
    await text_of(over)
    await settled(http)
    gate = asyncio.Event()
    fake.script(Answer([gate, "b"]))
    current = http.generate(serviced(fake), PROMPT, timeout=5)
    await fake.until(2)

    over.stop()
    over.stop(drain=False)
    gate.set()

    assert await text_of(current) == "b"
    assert fake.connections == 1


async def test_only_the_request_that_uses_a_connection_can_end_it():
    """A late cut for a request that is over does not reach the connection's next user."""
    here, there = socket.socketpair()

    class Inner(httpcore.AsyncNetworkStream):
        async def write(self, buffer: bytes, timeout: float | None = None) -> None:  # noqa: ASYNC109
            here.send(buffer)

        def get_extra_info(self, info: str) -> socket.socket:
            return here

    stream, first, second = SeverableStream(Inner()), Line(), Line()
    for line in (first, second):
        current_line.set(line)
        await stream.write(b"x")
    first.cut()
    await stream.write(b"y")
    assert (first.reused, second.reused, there.recv(9)) == (False, True, b"xxy")

    second.cut()
    assert there.recv(9) == b""
    here.close()
    there.close()


@pytest.mark.parametrize("seed", range(3))
async def test_two_hundred_random_stops_leave_no_active_connection(fake, http, seed):
    """After 200 stops and cancels at random moments, no task and no connection in use is left (invariant 10)."""
    chance = random.Random(seed)
    fake.default = lambda _: Answer(
        ["x"] * chance.randint(1, 12),
        delay=chance.choice([0, 0, 0.002, 0.01]),
        close=chance.random() < 0.2,
        cut=chance.random() < 0.05,
    )

    async def one() -> None:
        exchange = http.generate(serviced(fake), PROMPT, timeout=5)
        consumer = asyncio.ensure_future(text_of(exchange))
        await asyncio.sleep(chance.choice([0, 0, 0.001, 0.005, 0.03]) * chance.random())
        for _ in range(chance.randint(0, 2)):
            consumer.cancel()
            if chance.random() < 0.5:
                await asyncio.sleep(0)
        if chance.random() < 0.9:
            exchange.stop(drain=chance.random() < 0.8)
        with contextlib.suppress(asyncio.CancelledError, BackendError):
            await consumer

    for _ in range(20):
        await asyncio.gather(*(one() for _ in range(10)))
    await settled(http)
    await soon(hung_up_on_all_but(fake, kept(http)))

    fake.default = "still here"
    assert await text_of(http.generate(serviced(fake), PROMPT, timeout=5)) == "still here"
    await http.close()
    await fake.stop()
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_close_ends_everything_at_once(fake, http):
    """Closing hangs up on whoever has not answered and ends all iteration; nothing is left."""
    fake.script(*(Answer("never", hold=asyncio.Event()) for _ in range(5)))
    exchanges = [http.generate(serviced(fake), PROMPT, timeout=30) for _ in range(5)]
    probe = asyncio.ensure_future(http.get_json(f"{fake.url}/v1/models", key=Secret(KEY), timeout=30))
    await fake.until(5)

    await soon(http.close())

    assert [await text_of(exchange) for exchange in exchanges] == [""] * 5
    assert not http._tasks
    with contextlib.suppress(BackendError):
        await probe
    assert (await failure_of(http.generate(serviced(fake), PROMPT, timeout=5))).kind is Kind.NETWORK


# --- Failures

KINDS = {
    "parameters": Kind.BAD_REQUEST,
    "length": Kind.BAD_REQUEST,
    "inspection": Kind.BAD_REQUEST,
    "arrearage": Kind.QUOTA,
    "overdue": Kind.QUOTA,
    "key": Kind.AUTH,
    "denied": Kind.AUTH,
    "free tier": Kind.QUOTA,
    "model": Kind.MODEL,
    "rate": Kind.RATE,
    "burst": Kind.RATE,
    "tokens": Kind.RATE,
    "tokens, compatible": Kind.RATE,
    "quota": Kind.QUOTA,
    "internal": Kind.OVERLOADED,
    "overloaded": Kind.OVERLOADED,
    "html": Kind.OVERLOADED,
    "garbage": Kind.PROTOCOL,
}


@pytest.mark.parametrize("name", FAILURES)
async def test_each_failure_of_the_service_has_its_kind(fake, http, name):
    """Every row of the services' error table becomes one error of the right kind, told in one line."""
    fake.default = FAILURES[name]
    service = serviced(
        fake, provider="dashscope", base_url=fake.dashscope, region="cn-beijing", model="qwen-coder-turbo"
    )

    error = await failure_of(http.generate(service, PROMPT, timeout=5))

    assert error.kind is KINDS[name]
    assert error.message
    assert error.message.isprintable()
    await settled(http)


async def test_on_error_hears_of_a_failure_that_nobody_waits_for(fake, http):
    """A failure reaches `on_error` though nobody iterates; a stopped exchange has none to tell."""
    heard: list[Kind] = []
    fake.default = FAILURES["key"]
    http.generate(serviced(fake), PROMPT, timeout=5, on_error=lambda error: heard.append(error.kind))
    await settled(http)
    stopped = http.generate(serviced(fake), PROMPT, timeout=5, on_error=lambda error: heard.append(error.kind))
    stopped.stop()
    await settled(http)

    assert heard == [Kind.AUTH]


async def test_a_failing_service_is_asked_once_more_and_no_more(fake, http):
    """A server's own failure is retried once: the second try may answer, and a second failure is told."""
    fake.script(FAILURES["internal"], "fine", FAILURES["internal"], FAILURES["internal"], "too late")

    assert await text_of(http.generate(serviced(fake), PROMPT, timeout=5)) == "fine"
    assert (await failure_of(http.generate(serviced(fake), PROMPT, timeout=5))).kind is Kind.OVERLOADED
    assert len(fake.generations) == 4


@pytest.mark.parametrize(
    ("kind", "retry_after", "pause"),
    [
        (Kind.NETWORK, None, 0.25),
        (Kind.OVERLOADED, None, 0.25),
        (Kind.OVERLOADED, 1.5, 1.5),
        (Kind.OVERLOADED, 30.0, None),
        (Kind.RATE, 1.0, None),
        (Kind.AUTH, None, None),
        (Kind.TIMEOUT, None, None),
    ],
)
def test_the_pause_before_a_retry(kind, retry_after, pause):
    """Only the kinds that the table names are retried, after a moment, or after the short wait they ask for."""
    assert pause_before_retry(BackendError(kind, "x", retry_after=retry_after), 0.5) == pause


async def test_stop_while_waiting_to_retry_ends_the_exchange(fake, http):
    """A stop interrupts the pause before a retry, and there is no retry."""
    fake.script(Answer(status=500, fault=Fault("internal_error"), headers={"Retry-After": "2"}))
    exchange = http.generate(serviced(fake), PROMPT, timeout=30)
    await (await fake.until(1)).ended.wait()

    exchange.stop()

    await settled(http)
    assert len(fake.generations) == 1


async def test_a_kept_connection_that_went_stale_is_no_failure(fake, http):
    """A server that hangs up on a kept connection is asked again at once on others, as often as it takes."""
    gate = asyncio.Event()
    fake.script(*[Answer([gate, "x"])] * 3, *[Answer(cut=True)] * 3, "fine")
    exchanges = [http.generate(serviced(fake), PROMPT, timeout=5) for _ in range(3)]
    await fake.until(3)
    gate.set()
    for exchange in exchanges:
        await text_of(exchange)
    await settled(http)

    assert await text_of(http.generate(serviced(fake), PROMPT, timeout=5)) == "fine"
    asked_on = [request.connection for request in fake.generations]
    assert [asked_on[:3], sorted(asked_on[3:6]), asked_on[6:]] == [[1, 2, 3], [1, 2, 3], [4]]


async def test_a_server_that_always_hangs_up_is_a_network_error(fake, http):
    """Hanging up on a fresh connection is a failure, asked once more."""
    fake.default = Answer(cut=True)

    error = await failure_of(http.generate(serviced(fake), PROMPT, timeout=5))

    assert error.kind is Kind.NETWORK
    assert "without a reply" in error.message
    assert len(fake.generations) == 2


@pytest.mark.parametrize("act", [CUT, CUT_MID_CHUNK, CUT_MID_EVENT], ids=lambda act: act.name)
async def test_a_broken_answer_gives_what_came_and_is_not_asked_again(fake, http, act):
    """When the connection breaks in mid-answer, what came is delivered, then the error; there is no retry."""
    fake.script(Answer(["half", act]))
    exchange = http.generate(serviced(fake), PROMPT, timeout=5)

    assert (await anext(exchange)).text == "half"
    error = await failure_of(exchange)

    assert error.kind is Kind.NETWORK
    assert "broke off" in error.message
    assert len(fake.generations) == 1
    await settled(http)


async def test_an_error_inside_a_stream_has_its_kind(fake, http):
    """An error event after a good beginning is raised after the text that came before it."""
    fake.script(Answer(["a", Fault("Throttling.RateQuota", "Requests rate limit exceeded.")]))
    exchange = http.generate(serviced(fake), PROMPT, timeout=5)

    assert (await anext(exchange)).text == "a"
    assert (await failure_of(exchange)).kind is Kind.RATE
    await settled(http)


@pytest.mark.parametrize(
    "answer",
    [lambda _: Answer("never", hold=asyncio.Event()), lambda _: Answer(["a", STALL])],
    ids=["no head", "silence in mid-stream"],
)
async def test_the_deadline_covers_the_whole_exchange(fake, http, answer):
    """An answer that is not complete in time is a TIMEOUT, and the server is hung up on."""
    fake.script(answer)

    error = await failure_of(http.generate(serviced(fake), PROMPT, timeout=0.2))

    assert error.kind is Kind.TIMEOUT
    assert "0.2 s" in error.message
    await soon(fake.generations[0].gone.wait())
    await settled(http)


async def test_nobody_there_names_the_address_and_the_fix(fake, http):
    """A refused connection names scheme, host and port, and asks whether the server is running."""
    url = f"http://127.0.0.1:{free_port()}"

    error = await failure_of(http.generate(serviced(fake, base_url=f"{url}/v1"), PROMPT, timeout=5))

    assert error.kind is Kind.NETWORK
    assert error.message == f"nothing answers at {url}; is the server running?"


async def test_tls_to_a_plain_server_says_so(http):
    """An https address of a server without TLS is told as that."""

    async def plain(writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        await writer.drain()

    async with raw_server(plain, head=b"\x16\x03") as fake:
        service = serviced(fake, base_url=fake.openai.replace("http:", "https:"))
        error = await failure_of(http.generate(service, PROMPT, timeout=5))

    assert (error.kind, "does not speak TLS" in error.message) == (Kind.NETWORK, True)
    await settled(http)


@pytest.mark.parametrize(
    ("cause", "words"),
    [
        (socket.gaierror(-2, "Name or service not known"), "host name"),
        (ssl.SSLCertVerificationError("self-signed certificate"), "not trusted"),
        (OSError("All connection attempts failed"), "no connection"),
        (ExceptionGroup("tried", [ConnectionRefusedError(), ConnectionRefusedError()]), "nothing answers"),
    ],
)
def test_why_there_is_no_connection(cause, words):
    """The cause of a failed connection, however deep httpx hides it, decides what is said."""
    error = httpx.ConnectError("")
    error.__cause__ = RuntimeError()
    error.__cause__.__context__ = cause

    told = httpx_wire._told(error, Ask("GET", "https://host.example/v1", {}, None, 3), Line())

    assert isinstance(told, BackendError)
    assert words in told.message
    assert "https://host.example" in told.message


async def test_redirects_are_not_followed(fake, http):
    """A redirect, which would carry prompt and key elsewhere, is an error that names the setting."""
    async with FakeService() as elsewhere:
        fake.script(Answer(status=307, body=b"", headers={"Location": f"{elsewhere.openai}/completions"}))

        error = await failure_of(http.generate(serviced(fake), PROMPT, timeout=5))

        assert (error.kind, "qwen.baseUrl" in error.message) == (Kind.CONFIG, True)
        assert elsewhere.requests == []


@pytest.mark.parametrize(
    ("answer", "kind", "words"),
    [
        (
            Answer(body=b"<html>login</html>", headers={"Content-Type": "text/html; charset=utf-8"}),
            Kind.PROTOCOL,
            "web page",
        ),
        (
            Answer(body=b'{"error": {"code": "invalid_api_key", "message": "no"}}'),
            Kind.AUTH,
            "key",
        ),
        (Answer(body=b"[1, 2]"), Kind.PROTOCOL, "qwen.baseUrl"),
        (Answer(body=b"", headers={"Content-Type": "text/event-stream"}), Kind.PROTOCOL, "empty"),
        (
            Answer(body=b"data: <p>\n\n", headers={"Content-Type": "text/event-stream"}),
            Kind.PROTOCOL,
            "qwen.baseUrl",
        ),
        (Answer(body=b"\x1f\x8bnothing", headers={"Content-Encoding": "gzip"}), Kind.PROTOCOL, ""),
    ],
    ids=["html", "json error", "json", "empty", "no json", "broken gzip"],
)
async def test_a_good_status_with_something_else_than_a_stream(fake, http, answer, kind, words):
    """A 200 that is no stream is told for what it is."""
    fake.default = answer

    error = await failure_of(http.generate(serviced(fake), PROMPT, timeout=5))

    assert (error.kind, words in error.message) == (kind, True), error.message
    await settled(http)


HEAD = b"HTTP/1.1 %s\r\nContent-Type: %s\r\n\r\n"


@pytest.mark.parametrize(
    ("head", "line"),
    [
        (HEAD % (b"200 OK", b"text/event-stream"), b'data: {"choices": [{"text": "' + b"x" * 900 + b'"}]}\n\n'),
        (HEAD % (b"200 OK", b"text/event-stream"), b"x" * 1000),
        (HEAD % (b"200 OK", b"application/json"), b'[{"a": "' + b"x" * 1000 + b'"},'),
        (HEAD % (b"500 Oops", b"text/plain"), b"x" * 1000),
        (b"", b"this is no HTTP\r\n" * 60),
        (b"HTTP/1.1 200 OK\r\n", b"X-Header: " + b"y" * 900 + b"\r\n"),
    ],
    ids=["events", "one line", "json", "error body", "no HTTP", "headers"],
)
async def test_a_reply_without_end_is_given_up(http, head, line):
    """A server that never stops sending is hung up on; no more than a bounded part is kept."""
    sent = 0

    async def endless(writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        writer.write(head)
        while True:
            writer.write(line * 64)
            await writer.drain()
            sent += len(line) * 64

    async with raw_server(endless) as fake:
        exchange = http.generate(serviced(fake), PROMPT, timeout=30)
        with pytest.raises(BackendError):
            await text_of(exchange)
        await settled(http)

    # Twice, for a 500 is asked again; and what lies in the system's buffers was sent, too.
    assert sent < 2 * (exchange_module.MAX_STREAM + 8 * 1024 * 1024)


async def test_what_only_looks_like_http_is_told(http):
    """A server that speaks another protocol is a PROTOCOL error."""

    async def ssh(writer: asyncio.StreamWriter) -> None:
        writer.write(b"SSH-2.0-OpenSSH_9.6\r\n\r\n")
        await writer.drain()

    async with raw_server(ssh) as fake:
        error = await failure_of(http.generate(serviced(fake), PROMPT, timeout=5))
    assert (error.kind, "HTTP/1.1" in error.message) == (Kind.PROTOCOL, True)


async def test_a_pool_without_a_free_connection_is_replaced(fake):
    """When all connections are taken for too long, new ones are made beside them."""
    http = Http(HttpxWire(max_connections=1))
    gate = asyncio.Event()
    fake.script(Answer([gate, "first"]), "second")
    first = http.generate(serviced(fake), PROMPT, timeout=10)
    await fake.until(1)

    assert await text_of(http.generate(serviced(fake), PROMPT, timeout=10)) == "second"
    gate.set()
    assert await text_of(first) == "first"

    await settled(http)
    await http.close()


# --- TLS


async def test_over_tls_connections_are_kept_and_ended_as_without(fake, tmp_path):
    """Over TLS, as to every service far away: one connection for many answers, and a stop that the server hears."""
    http = Http(HttpxWire(trust=trusting()), jitter=lambda: 0.0)
    async with relayed(fake.port, tmp_path) as port:
        service = serviced(fake, base_url=f"https://127.0.0.1:{port}/v1")
        for count in range(3):
            fake.script("text", Answer("never", hold=asyncio.Event()))
            assert await text_of(http.generate(service, PROMPT, timeout=5)) == "text"
            await settled(http)
            exchange = http.generate(service, PROMPT, timeout=30)
            request = await fake.until(2 * count + 2)
            exchange.stop()
            await soon(request.gone.wait())
            await settled(http)
        assert [request.connection for request in fake.generations] == [1, 1, 2, 2, 3, 3]

        fake.default = Answer(cut=True)
        assert (await failure_of(http.generate(service, PROMPT, timeout=5))).kind is Kind.NETWORK
        assert len(fake.generations) == 8
        await settled(http)
        await http.close()


async def test_a_certificate_that_nobody_vouches_for_is_refused(fake, http, tmp_path):
    """A certificate that is not trusted ends the exchange before anything is sent, and is told as that."""
    async with relayed(fake.port, tmp_path) as port:
        service = serviced(fake, base_url=f"https://127.0.0.1:{port}/v1")
        error = await failure_of(http.generate(service, PROMPT, timeout=5))
    assert (error.kind, "not trusted" in error.message) == (Kind.NETWORK, True)
    assert fake.requests == []


# --- Keys, proxies, addresses


@pytest.mark.parametrize("key", ["sk-\nx", "sk-é", "sk x", "sk-\x7f"])
async def test_a_key_that_cannot_be_one_is_not_quoted(fake, http, key):
    """A key with characters that no header takes is an AUTH error which does not show it."""
    error = await failure_of(http.generate(serviced(fake, key=Secret(key)), PROMPT, timeout=5))

    assert error.kind is Kind.AUTH
    assert key not in error.message
    assert fake.requests == []


async def test_no_log_and_no_message_holds_key_prompt_or_answer(fake, http, caplog):
    """With every logger at DEBUG, and whatever goes wrong, no canary appears (invariant 9)."""
    caplog.set_level(logging.DEBUG)
    for name in ("asyncio", "anyio", "qwen_lsp"):
        logging.getLogger(name).setLevel(logging.DEBUG)
    answer, echo = "canary-answer", f"You sent canary_prefix with {KEY}"
    messages = []
    fake.script(
        answer,
        Answer([answer, CUT_MID_CHUNK]),
        Answer([answer, Fault(KEY, echo)]),
        Answer(status=400, fault=Fault(KEY, echo, KEY)),
        Answer(status=500, body=echo.encode(), headers={"X-Echo": KEY, "Set-Cookie": f"a={KEY}"}),
        Answer(body=echo.encode()),
        Answer(status=302, body=b"", headers={"Location": f"http://127.0.0.1/{KEY}"}),
        Answer(["data", b"data: canary_prefix\n\n"]),
    )
    for _ in range(9):
        try:
            await text_of(http.generate(serviced(fake), PROMPT, timeout=5))
        except BackendError as error:
            messages.append("".join(traceback.format_exception(error)) + error.message)
    nobody = serviced(fake, base_url=f"http://user:{KEY}@127.0.0.1:{free_port()}/{KEY}")
    messages.append((await failure_of(http.generate(nobody, PROMPT, timeout=5))).message)
    await http.get_json(f"{fake.url}/v1/models", key=Secret(KEY), timeout=5)

    told = caplog.text + "".join(messages)
    assert len(messages) >= 7
    assert "canary" not in told, told


def test_the_loggers_of_httpx_stay_quiet():
    """Neither httpx nor httpcore logs below WARNING: they would print addresses and headers."""
    for name in ("httpx", "httpcore", "httpcore.http11", "httpcore.connection"):
        assert not logging.getLogger(name).isEnabledFor(logging.INFO)


@pytest.mark.parametrize("wire", ["None", "HttpxWire()"])
async def test_a_proxy_never_sees_loopback_traffic(fake, wire):
    """With proxies in the environment, requests to this machine go straight to it, and need no httpx."""
    code = (
        "import asyncio, sys\n"
        "from qwen_lsp.backend.http import Http\n"
        "assert 'httpx' not in sys.modules\n"
        f"if {wire != 'None'}: from qwen_lsp.backend.httpx_wire import HttpxWire\n"
        "async def main():\n"
        f"    http = Http({wire})\n"
        "    await http.warm(sys.argv[1])\n"
        "    print(await http.get_json(sys.argv[1], key=None, timeout=5))\n"
        "    await http.close()\n"
        "asyncio.run(main())\n"
        f"assert ('httpx' in sys.modules) == {wire != 'None'}\n"
    )
    proxy = f"http://127.0.0.1:{free_port()}"
    env = {
        **{name: value for name, value in os.environ.items() if "proxy" not in name.lower()},
        **dict.fromkeys(("HTTP_PROXY", "http_proxy", "ALL_PROXY", "HTTPS_PROXY"), proxy),
    }
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", code, f"{fake.url}/health"),
        env=env,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    out, err = await asyncio.wait_for(process.communicate(), 20)

    assert out.decode().strip() == "(200, {'status': 'ok'})", err.decode()


@pytest.mark.parametrize(
    ("url", "near"),
    [
        ("http://127.0.0.1:8080/v1", True),
        ("http://127.9.9.9/v1", True),
        ("http://localhost:1234", True),
        ("http://LocalHost./v1", True),
        ("http://[::1]:8080/v1", True),
        ("http://127.0.0.1.example.com/v1", False),
        ("http://localhost.example.com/v1", False),
        ("https://dashscope.aliyuncs.com/v1", False),
        ("http://user@127.0.0.1:1@example.com/v1", False),
        ("http://192.168.0.2/v1", False),
        ("http://llm.localhost:11434/v1", False),
        ("http://[::1/v1", False),
    ],
)
def test_which_addresses_are_this_machines_own(url, near):
    """Loopback is decided by how the host is written, not by how the address begins."""
    assert is_loopback(url) is near


@pytest.mark.parametrize(
    "url", ["127.0.0.1:8080/v1", "localhost:8080", "ftp://host/v1", "http://", "http://h:port/v1", "http://a b/"]
)
def test_an_address_without_scheme_is_named_with_the_fix(url):
    """What is no http or https URL is a CONFIG error with an example and what was given."""
    with pytest.raises(BackendError) as caught:
        checked_url(url)

    expected = "qwen.baseUrl: expected a URL such as http://127.0.0.1:8080/v1, got "
    assert caught.value.kind is Kind.CONFIG
    assert caught.value.message.startswith(expected + repr(url.rstrip("/"))[:6])


def test_an_address_is_cleaned_and_shown_without_password():
    """Spaces around an address and slashes after it go; messages show neither user nor path."""
    assert checked_url(" https://h.example/v1/ ") == "https://h.example/v1"
    assert origin("https://me:secret@h.example:8443/v1?key=secret") == "https://h.example:8443"


# --- get_json


async def test_get_json_gives_status_and_body(fake, http):
    """A GET gives status and body, refusals too; what is no JSON is None. One connection serves them all."""
    url = f"{fake.url}/v1/models"
    fake.overrides["/text"] = Answer(body=b"hello")

    status, body = await http.get_json(url, key=Secret(KEY), timeout=5)
    assert (status, body["object"]) == (200, "list")
    assert (await http.get_json(url, key=None, timeout=5))[0] == 401
    assert await http.get_json(f"{fake.url}/text", key=None, timeout=5) == (200, None)

    await settled(http)
    assert fake.connections == 1


async def test_get_json_gives_up_in_time_and_hangs_up(fake, http):
    """A server that does not answer a GET in time is a TIMEOUT; it is hung up on."""
    fake.overrides["/v1/models"] = Answer("", hold=asyncio.Event())

    with pytest.raises(BackendError) as caught:
        await http.get_json(f"{fake.url}/v1/models", key=None, timeout=0.2)

    assert caught.value.kind is Kind.TIMEOUT
    await soon(fake.requests[0].gone.wait())
    await settled(http)


async def test_get_json_may_be_cancelled(fake, http):
    """A caller of `get_json` may be cancelled: its request ends, and no connection is left in use."""
    asked = asyncio.Event()

    def silent(_) -> Answer:
        asked.set()
        return Answer("", hold=asyncio.Event())

    fake.overrides["/v1/models"] = silent
    caller = asyncio.ensure_future(http.get_json(f"{fake.url}/v1/models", key=None, timeout=30))
    await asked.wait()

    caller.cancel()
    await asyncio.gather(caller, return_exceptions=True)

    assert caller.cancelled()
    await soon(fake.requests[0].gone.wait())
    await settled(http)


class Recording:
    """A network that writes down where requests go, and lets none get there."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    async def send(self, ask: Ask, _line: Line) -> Reply:
        self.asked.append(ask.url)
        raise BackendError(Kind.NETWORK, "recorded")

    async def warm(self, url: str) -> None:
        self.asked.append(url)

    async def close(self) -> None:
        pass


@pytest.mark.parametrize(
    "away",
    [
        "https://dashscope.aliyuncs.com/compatible-mode/v1",
        "http://192.168.0.2:8080/v1",
        "http://127.0.0.1.example.com/v1",
        "http://localhost.example.com/v1",
        "http://127.0.0.1@example.com/v1",
        "http://[2001:db8::1]/v1",
        "http://0x7f.1:80/v1",
    ],
)
async def test_with_local_only_nothing_goes_to_another_machine(away):
    """Not for text, a list of models, or to warm up: the network is never reached, and the message says why."""
    network = Recording()
    http = Http(network, local_only=True)
    service = Service("openai", away, "m", Route.FIM, Api.COMPLETIONS)
    failure = await failure_of(http.generate(service, PROMPT, timeout=1))
    assert (failure.kind, "qwen.localOnly is on" in failure.message) == (Kind.CONFIG, True)
    for work in (http.get_json(away + "/models", key=None, timeout=1), http.warm(away)):
        with pytest.raises(BackendError, match="localOnly"):
            await work
    assert network.asked == []
    await http.close()


async def test_with_local_only_this_machine_is_asked():
    """By its names and its numbers."""
    network = Recording()
    http = Http(network, local_only=True)
    for here in ("http://127.0.0.1:1/v1", "http://localhost:1/v1", "http://[::1]:1/v1"):
        service = Service("openai", here, "m", Route.FIM, Api.COMPLETIONS)
        await failure_of(http.generate(service, PROMPT, timeout=1))
    assert len(set(network.asked)) == 3
    await http.close()
