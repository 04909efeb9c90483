"""The wire for servers on this machine, and the HTTP/1.1 below it; what it shares with httpx is in test_http.py."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qwen_lsp.backend.http11 import LONGEST_HEAD, NotHttp, ReplyDecoder
from qwen_lsp.backend.loopback_wire import LoopbackWire, takes
from qwen_lsp.backend.wire import Ask, Line, Stale
from qwen_lsp.core.model import BackendError, Kind

Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def decoded(*pieces: bytes, ended: bool = False) -> tuple[ReplyDecoder, bytes]:
    decoder = ReplyDecoder()
    body = b"".join([decoder.feed(piece) for piece in pieces])
    if ended:
        decoder.end()
    return decoder, body


# --- The decoder


@st.composite
def replies(draw: st.DrawFn) -> tuple[bytes, bytes, bool]:
    """A reply's bytes, its body, and whether the end of the connection is its end."""
    body = draw(st.binary(max_size=60))
    interim = draw(
        st.sampled_from([b"", b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 103 Hints\r\nLink: </a>\r\n\r\n"])
    )
    end = draw(st.sampled_from([b"\r\n", b"\n"]))
    framing = draw(st.sampled_from(["length", "chunked", "end"]))
    lines = [b"HTTP/1.1 200 OK", b"X-A: 1", b"x-a:  2 "]
    content = body
    if framing == "length":
        lines.append(b"Content-Length: %d" % len(body))
    if framing == "chunked":
        lines.append(b"Transfer-Encoding: Chunked")
        sizes = draw(st.lists(st.integers(1, 20), min_size=1))
        content, at = b"", 0
        while at < len(body):
            part = body[at : at + sizes[at % len(sizes)]]
            content += draw(st.sampled_from([b"%x", b"%X;name=value", b"00%x "])) % len(part) + end + part + end
            at += len(part)
        content += b"0" + end + draw(st.sampled_from([b"", b"X-Trailer: 1" + end])) + end
    return interim + end.join([*lines, b"", b""]) + content, body, framing == "end"


@given(replies(), st.data())
def test_any_cut_of_the_same_bytes_is_the_same_reply(reply, data):
    """However the bytes arrive, head, body and end are the same (RFC 9112)."""
    raw, body, ended = reply
    cuts = sorted(data.draw(st.lists(st.integers(0, len(raw)), max_size=8)))
    pieces = [raw[start:stop] for start, stop in zip([0, *cuts], [*cuts, len(raw)], strict=True)]

    decoder, found = decoded(*pieces, ended=ended)

    assert decoder.head is not None
    assert (decoder.head.status, decoder.head.headers["x-a"]) == (200, "1, 2")
    assert (found, decoder.complete) == (body, True)
    assert ended or decoder.reusable


@given(replies())
def test_a_reply_is_not_complete_before_its_last_byte(reply):
    """Without its last byte no reply counts as complete, and no connection as free."""
    raw, _, ended = reply
    decoder, _ = decoded(raw[:-1])
    assert ended or not (decoder.complete or decoder.reusable)


@pytest.mark.parametrize(
    ("raw", "reusable"),
    [
        (b"HTTP/1.1 204 No Content\r\n\r\n", True),
        (b"HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n", True),
        (b"HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n", True),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2, 2\r\n\r\nab", True),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 9\r\n\r\n0\r\n\r\n", True),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nX: a\r\n b\r\n\r\nx", True),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nxy", False),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nConnection: keep-alive, Close\r\n\r\nx", False),
        (b"HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\nx", False),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nHTTP/1.1 200 OK\r\n\r\n", False),
    ],
)
def test_when_a_connection_can_be_used_again(raw, reusable):
    """A complete reply frees its connection unless the server says otherwise, or has said more than the reply."""
    decoder, _ = decoded(raw)
    assert (decoder.complete, decoder.reusable) == (True, reusable)


@pytest.mark.parametrize(
    "raw",
    [
        b"SSH-2.0",
        b"{",
        b"HTTP/2 200\r\n\r\n",
        b"HTTP/1.1 OK\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nno field\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nName : x\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1, 2\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: " + b"9" * 5000 + b"\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nabc\r\n",
        b"HTTP/1.1 200 OK\r\nX: " + b"x" * LONGEST_HEAD,
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1;" + b"x" * LONGEST_HEAD,
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX: " + b"x" * LONGEST_HEAD,
    ],
    ids=lambda raw: repr(raw[-30:]),
)
def test_what_is_no_http_is_refused_at_once(raw):
    """Bytes that no reply has are refused as soon as that is sure, and nothing grows without bound."""
    with pytest.raises(NotHttp):
        decoded(raw)


# --- The wire


@contextlib.asynccontextmanager
async def serving(handler: Handler, host: str = "127.0.0.1") -> AsyncIterator[Ask]:
    """A server, and a request for it."""
    tasks: set[asyncio.Task] = set()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        tasks.add(asyncio.current_task())
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            await handler(reader, writer)
        writer.transport.abort()

    server = await asyncio.start_server(handle, host, 0)
    port = server.sockets[0].getsockname()[1]
    try:
        yield Ask("POST", f"http://127.0.0.1:{port}/v1/x", {"a": "b"}, b"{}", 5.0)
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


@pytest.fixture
async def wire() -> AsyncIterator[LoopbackWire]:
    wire = LoopbackWire()
    yield wire
    await wire.close()


async def got(wire: LoopbackWire, ask: Ask, line: Line | None = None) -> bytes:
    reply = await wire.send(ask, line or Line())
    try:
        return b"".join([chunk async for chunk in reply.chunks()])
    finally:
        await reply.close()


async def refusal(wire: LoopbackWire, ask: Ask) -> BackendError:
    with pytest.raises(BackendError) as caught:
        await got(wire, ask)
    return caught.value


def saying(*replies: bytes, heard: list[bytes] | None = None) -> Handler:
    """Answers each request on a connection with the next of these, then hangs up."""

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for reply in replies:
            head = await reader.readuntil(b"\r\n\r\n")
            if b"content-length" in head:
                await reader.readexactly(2)
            if heard is not None:
                heard.append(head)
            writer.write(reply)
            await writer.drain()

    return handler


OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


async def test_a_request_as_it_goes_out(wire):
    """One request is one write: a head with the host and the length, its odd characters encoded, then the body."""
    heard: list[bytes] = []
    async with serving(saying(OK, OK, heard=heard)) as ask:
        port = ask.url.split(":")[2].split("/")[0]
        assert await got(wire, replace(ask, url=f"http://127.0.0.1:{port}/v1/ä b%20?q=ü#part")) == b"ok"
        assert await got(wire, replace(ask, method="GET", url=f"http://127.0.0.1:{port}", content=None)) == b"ok"
    host = f"host: 127.0.0.1:{port}\r\n"
    assert heard[0].decode() == f"POST /v1/%C3%A4%20b%20?q=%C3%BC HTTP/1.1\r\n{host}a: b\r\ncontent-length: 2\r\n\r\n"
    assert heard[1].decode() == f"GET / HTTP/1.1\r\n{host}a: b\r\n\r\n"


@pytest.mark.parametrize(
    "change",
    [{"url": "http://127.0.0.1:99999/"}, {"headers": {"a": "b\r\nc: d"}}, {"headers": {"a": "é"}}, {"method": "GET\n"}],
    ids=str,
)
async def test_what_is_no_request_is_not_sent(wire, change):
    """What could smuggle a second header in, or is no address, is a CONFIG error."""
    error = await refusal(wire, replace(Ask("GET", "http://127.0.0.1:1/", {}, None, 5.0), **change))
    assert (error.kind, "can't be asked" in error.message) == (Kind.CONFIG, True)


async def test_interim_replies_are_passed_over(wire):
    """A "100 Continue" or "103 Early Hints" before the reply is not the reply."""
    interim = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n"
    async with serving(saying(interim + OK)) as ask:
        assert await got(wire, ask) == b"ok"


async def test_a_body_may_end_with_its_connection(wire):
    """A server that does not say how much it sends has sent all when it hangs up."""
    async with serving(saying(b"HTTP/1.1 200 OK\r\n\r\nall of it")) as ask:
        assert await got(wire, ask) == b"all of it"


async def test_a_connection_that_its_server_closed_is_not_tried(wire):
    """The end of an idle connection is noticed while it is idle: the next request goes to another at once."""
    connections = 0
    closed = asyncio.Event()

    async def once(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        await saying(OK)(reader, writer)
        writer.close()
        closed.set()

    async with serving(once) as ask:
        assert await got(wire, ask) == b"ok"
        await closed.wait()
        for _ in range(3):
            await asyncio.sleep(0)
        line = Line()
        assert await got(wire, ask, line) == b"ok"
    assert (connections, line.reused) == (2, False)


async def test_what_nobody_asked_for_is_no_reply(wire):
    """A server that says something on an idle connection has that dropped, not taken for the next request's reply."""
    spoken = asyncio.Event()

    async def talkative(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await saying(OK)(reader, writer)
        await asyncio.sleep(0.02)
        writer.write(OK.replace(b"ok", b"no"))
        await writer.drain()
        spoken.set()
        await reader.read()

    async with serving(talkative) as ask:
        assert await got(wire, ask) == b"ok"
        await spoken.wait()
        await asyncio.sleep(0)
        assert await got(wire, ask) == b"ok"


async def test_a_stale_connection_says_so(wire):
    """A kept connection that ends without a word is `Stale`; a new one that does is an error."""
    async with serving(saying(OK, b"")) as ask:
        await got(wire, ask)
        with pytest.raises(Stale):
            await got(wire, ask)
    async with serving(saying(b"")) as ask:
        assert "without a reply" in (await refusal(wire, ask)).message


async def test_silence_is_told_with_how_long_it_lasted(wire):
    """A server that says nothing for as long as the request is patient is hung up on: TIMEOUT."""
    gone = asyncio.Event()

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n")
        await reader.read()
        gone.set()

    async with serving(silent) as ask:
        error = await refusal(wire, replace(ask, patience=0.05))
        await asyncio.wait_for(gone.wait(), 2)
    assert (error.kind, "said nothing for 0.05 s" in error.message) == (Kind.TIMEOUT, True)


@pytest.mark.parametrize(
    ("said", "words"),
    [(b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n", "compresses"), (b"SSH-2.0\r\n", "HTTP/1.1")],
    ids=["compressed", "no HTTP"],
)
async def test_a_reply_that_cannot_be_read_ends_its_connection(wire, said, words):
    """A body that is compressed though it was asked for plain, or no HTTP, is a PROTOCOL error; the server hears it."""
    gone = asyncio.Event()

    async def odd(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await saying(said)(reader, writer)
        with contextlib.suppress(ConnectionError):
            await reader.read()
        gone.set()

    async with serving(odd) as ask:
        error = await refusal(wire, ask)
        await asyncio.wait_for(gone.wait(), 2)
    assert (error.kind, words in error.message) == (Kind.PROTOCOL, True)


async def test_a_request_that_was_cut_before_it_began_costs_nothing(wire):
    """A cut that comes first: nothing goes out, and a kept connection stays."""
    heard: list[bytes] = []
    async with serving(saying(OK, OK, heard=heard)) as ask:
        await got(wire, ask)
        line, next_one = Line(), Line()
        line.cut()
        with pytest.raises(BackendError):
            await wire.send(ask, line)
        await got(wire, ask, next_one)
    assert (len(heard), next_one.reused) == (2, True)


async def test_a_request_that_is_cut_while_it_connects_is_not_sent(wire):
    """A cut during the connection's making ends it as soon as it is made."""
    heard: list[bytes] = []
    async with serving(saying(OK, heard=heard)) as ask:
        line = Line()
        sending = asyncio.ensure_future(wire.send(ask, line))
        await asyncio.sleep(0)
        line.cut()
        with pytest.raises(BackendError):
            await sending
        await asyncio.sleep(0.02)
    assert heard == []


async def test_a_cut_is_not_the_end_of_a_body(wire):
    """A body that would end with its connection is not complete because its request was cut."""

    async def endless(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\n\r\nhalf of")
        await reader.read()

    async with serving(endless) as ask:
        line = Line()
        reply = await wire.send(ask, line)
        line.cut()
        with pytest.raises(BackendError):
            [chunk async for chunk in reply.chunks()]
        await reply.close()


async def test_a_slow_reader_makes_the_server_wait(wire):
    """What is not read is not taken from the network without bound."""
    written = 0

    async def flood(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal written
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        while True:
            writer.write(b"x" * 65536)
            await writer.drain()
            written += 65536

    async with serving(flood) as ask:
        reply = await wire.send(ask, Line())
        before = -1
        while written > before:
            before = written
            await asyncio.sleep(0.05)
        assert len(reply._connection._unread) < 1024 * 1024
        async for chunk in reply.chunks():
            before -= len(chunk)
            if before < -1024 * 1024:
                break
        await reply.close()


async def test_idle_connections_are_few(wire):
    """After many requests at a time, only some connections are kept."""
    gate = asyncio.Event()

    async def held(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        await gate.wait()
        writer.write(OK)
        await reader.read()

    async with serving(held) as ask:
        requests = [asyncio.ensure_future(got(wire, ask)) for _ in range(20)]
        await asyncio.sleep(0.05)
        gate.set()
        assert await asyncio.gather(*requests) == [b"ok"] * 20
        assert sum(map(len, wire._idle.values())) == 8


@pytest.mark.parametrize("name", ["localhost", "LOCALHOST", "model.localhost", "localhost."])
async def test_localhost_is_asked_of_nobody(wire, name):
    """Names of this machine lead to it, without a name server (RFC 6761)."""
    async with serving(saying(OK)) as ask:
        assert await got(wire, replace(ask, url=ask.url.replace("127.0.0.1", name))) == b"ok"


async def test_a_server_on_the_other_loopback_address_is_found(wire):
    """Some servers listen on ::1 only, and "localhost" means them, too."""
    with contextlib.closing(socket.socket(socket.AF_INET6)) as probe:
        try:
            probe.bind(("::1", 0))
        except OSError:
            return  # a machine without IPv6 has no such server
    async with serving(saying(OK), "::1") as ask:
        for host in ("localhost", "[::1]"):
            assert await got(wire, replace(ask, url=ask.url.replace("127.0.0.1", host))) == b"ok"


@pytest.mark.parametrize(
    ("url", "taken"),
    [
        ("http://127.0.0.1:8080/v1", True),
        ("http://localhost/v1", True),
        ("http://[::1]:8080/v1", True),
        ("https://127.0.0.1:8080/v1", False),
        ("http://192.168.0.2:8080/v1", False),
        ("http://user:password@127.0.0.1:8080/v1", False),
        ("http://localhost.example.com/v1", False),
    ],
)
def test_which_addresses_are_for_this_wire(url, taken):
    """Plain HTTP to this machine without a password; all else is for httpx."""
    assert takes(url) is taken
