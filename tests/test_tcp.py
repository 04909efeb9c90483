"""`qwen-lsp serve --tcp`: only who has the key is served, and nothing is done for anybody else."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import sys
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qwen_lsp.lsp.session import LONGEST_FIRST, PATIENCE, lacking, over_tcp
from qwen_lsp.lsp.transport import FrameDecoder, framed
from tests.session_desk import Desk
from tests.test_cli import environment

KEY = "canary-key-3c1f"
EXIT = framed(b'{"jsonrpc":"2.0","method":"exit"}')
GOODBYE = framed(b'{"jsonrpc":"2.0","id":9,"method":"shutdown"}') + EXIT
SOON = 20.0
"""Seconds for what comes at once; never waited for otherwise."""


def initialize(options: object, **more: object) -> dict[str, Any]:
    params = {"capabilities": {}, "initializationOptions": options} | more
    return {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": params}


def frame(message: object) -> bytes:
    return framed(json.dumps(message).encode())


HELLO = frame(initialize({"tcpKey": KEY}))


@dataclass
class Port:
    """A port in this process, and the sessions that were begun on it."""

    number: int
    sessions: list[Desk]
    serving: asyncio.Future[int]

    @contextlib.asynccontextmanager
    async def connected(self) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.number)
        try:
            async with asyncio.timeout(SOON):
                yield reader, writer
        finally:
            writer.close()

    async def answer(self, sent: bytes) -> list[dict[str, Any]]:
        """All that a client is told until it is hung up on."""
        async with self.connected() as (reader, writer):
            heard = b""
            with contextlib.suppress(ConnectionError):  # there was more to read than was read
                writer.write(sent)
                while data := await reader.read(1 << 16):
                    heard += data
            return [json.loads(body) for body in FrameDecoder().feed(heard)]

    async def serves(self) -> bool:
        """Whether a client with the key is served, for it alone a session is begun, and the port lives on."""
        before = len(self.sessions)
        async with self.connected() as (reader, writer):
            writer.write(HELLO)
            (reply,) = [json.loads(body) for body in FrameDecoder().feed(await reader.read(1 << 16))]
        return "result" in reply and len(self.sessions) == before + 1 and not self.serving.done()


@contextlib.asynccontextmanager
async def port(**options: float) -> AsyncIterator[Port]:
    sessions: list[Desk] = []

    def make_server() -> Any:
        sessions.append(Desk())
        return sessions[-1].server

    told = asyncio.get_running_loop().create_future()
    serving = asyncio.ensure_future(over_tcp(make_server, ("127.0.0.1", 0), KEY, told.set_result, **options))
    number = int((await told).rpartition(":")[2])
    yield Port(number, sessions, serving)
    serving.cancel()
    await asyncio.gather(serving, return_exceptions=True)


# Who is admitted


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(["method", "params", "initializationOptions", "tcpKey"]), inner, max_size=4
            )
        ),
    )
)
def test_no_message_without_the_key_is_admitted(message):
    """Whatever JSON it is, also as the params or the options of an `initialize`."""
    for said in (message, initialize(message), initialize({"tcpKey": message}), initialize({}) | {"params": message}):
        assert lacking(said, KEY)


@pytest.mark.parametrize("key", [KEY, "schlüssel", "\udc80"])
def test_the_key_may_be_any_string(key):
    """An environment variable need not be ASCII, nor even text."""
    assert not lacking(initialize({"tcpKey": key}), key)
    assert lacking(initialize({"tcpKey": key + "x"}), key)


REQUESTS = {
    "no options": initialize(None),
    "no params": {"jsonrpc": "2.0", "id": 1, "method": "initialize"},
    "options of another type": initialize([KEY]),
    "no key": initialize({"provider": "local"}),
    "an empty key": initialize({"tcpKey": ""}),
    "a wrong key": initialize({"tcpKey": "guess-5d20"}),
    "the key's beginning": initialize({"tcpKey": KEY[:-1]}),
    "more than the key": initialize({"tcpKey": KEY + "x"}),
    "a list": initialize({"tcpKey": [KEY]}),
    "a number": initialize({"tcpKey": 7}),
    "true": initialize({"tcpKey": True}),
    "the key elsewhere": initialize({}, tcpKey=KEY),
    "another method": initialize({"tcpKey": KEY}) | {"method": "shutdown"},
    "no method": initialize({"tcpKey": KEY}) | {"method": None},
}


@pytest.mark.parametrize("case", REQUESTS)
async def test_a_request_without_the_key_is_told_what_is_lacking(case, caplog):
    """It gets one error of one line and is hung up on; what follows it, the key included, is not looked at."""
    async with port() as opened:
        (reply,) = await opened.answer(frame(REQUESTS[case]) + HELLO + GOODBYE)
        assert (reply["id"], reply["error"]["code"]) == (1, -32600)
        assert "initializationOptions.tcpKey" in reply["error"]["message"]
        assert not opened.sessions
        assert await opened.serves()
    for said in (json.dumps(reply), caplog.text):
        assert KEY not in said
        assert "guess-5d20" not in said


PAGE = b"POST / HTTP/1.1\r\nHost: 127.0.0.1:2087\r\nOrigin: http://evil.example\r\nContent-Type: text/plain\r\n"
SILENCED = {
    "exit": EXIT,
    "shutdown as a notification": frame({"jsonrpc": "2.0", "method": "shutdown"}) + EXIT,
    "an initialize that asks nothing": frame({"jsonrpc": "2.0", "method": "initialize"}),
    "a reply": frame({"jsonrpc": "2.0", "id": None, "result": None}),
    "a batch": frame([initialize({"tcpKey": KEY})]),
    "no JSON": framed(b"{"),
    "brackets": framed(b"[" * 100_000),
    "a web page": PAGE + b"Content-Length: %d\r\n\r\n" % len(HELLO) + HELLO,
    "a web page that has our framing in its headers": PAGE + HELLO,
    "a web page that knows our framing, of another site by its name": PAGE.replace(b"127.0.0.1", b"evil.example")
    + HELLO,
    "a web socket": b"GET / HTTP/1.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n" + HELLO,
    "TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    "10 MB": frame(initialize({"tcpKey": KEY, "padding": "x" * 10_000_000})),
    "10 MB of empty headers": b"\r\n" * 5_000_000,
}


@pytest.mark.parametrize("case", SILENCED)
async def test_what_asks_nothing_is_hung_up_on(case):
    """Without a word, without a session, and without an end of the server."""
    async with port() as opened:
        assert await opened.answer(SILENCED[case]) == []
        assert not opened.sessions
        assert await opened.serves()


async def test_a_long_first_message_is_read():
    """As long as a message may be before the key is known."""
    async with port() as opened, opened.connected() as (reader, writer):
        writer.write(frame(initialize({"tcpKey": KEY, "padding": "x" * (LONGEST_FIRST - 1000)})))
        assert await reader.readuntil(b"\r\n\r\n")


@pytest.mark.parametrize("says", ["nothing", "something now and then"])
async def test_who_does_not_show_the_key_keeps_nobody_out(says):
    """Others are served meanwhile, and soon it is hung up on."""
    async with port(patience=0.5) as opened, opened.connected() as (reader, writer):
        began = time.monotonic()
        assert await opened.serves()
        for byte in HELLO if says == "something now and then" else b"":
            writer.write(bytes([byte]))
            await asyncio.sleep(0.05)
            if reader.at_eof():
                break
        with contextlib.suppress(ConnectionError):
            assert await reader.read() == b""
        assert 0.4 < time.monotonic() - began < SOON


async def test_two_clients_with_the_key_are_one_too_many():
    """The first is served on; the second, which came while the first had not begun, gets no session."""
    async with port() as opened, opened.connected() as (slow, late), opened.connected() as (reader, writer):
        late.write(HELLO[:-1])
        await asyncio.sleep(0)
        writer.write(HELLO)
        await reader.readuntil(b"\r\n\r\n")
        late.write(HELLO[-1:])
        with contextlib.suppress(ConnectionError):
            assert await slow.read() == b""
        assert len(opened.sessions) == 1
        writer.write(frame({"jsonrpc": "2.0", "id": 5, "method": "shutdown"}))
        await hears(reader, b'"id":5')


async def test_what_comes_with_the_first_message_is_handled():
    """A client need not wait for the reply to its `initialize`."""
    async with port() as opened:
        replies = await opened.answer(HELLO + GOODBYE)
        assert [reply["id"] for reply in replies] == [1, 9]
        async with asyncio.timeout(SOON):
            assert await opened.serving == 0


# The command


@contextlib.asynccontextmanager
async def command(
    *arguments: str, home: Path, **env: str
) -> AsyncIterator[tuple[int, str, asyncio.subprocess.Process]]:
    """The real server on a port of its choice: the port, the line that says it, the process."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "qwen_lsp", "serve", "--tcp", "127.0.0.1:0", *arguments,
        stderr=asyncio.subprocess.PIPE, env=environment(home, **env),
    )  # fmt: skip
    try:
        assert process.stderr
        async with asyncio.timeout(SOON):
            line = (await process.stderr.readline()).decode()
        found = re.fullmatch(r"qwen-lsp: listening on 127\.0\.0\.1:(\d+); initializationOptions\.tcpKey .*\n", line)
        assert found
        yield int(found[1]), line, process
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()


async def said(number: int, sent: bytes) -> bytes:
    """What the server says to one client until the end."""
    reader, writer = await asyncio.open_connection("127.0.0.1", number)
    writer.write(sent)
    try:
        async with asyncio.timeout(SOON):
            return await reader.read()
    finally:
        writer.close()


async def hears(reader: asyncio.StreamReader, *words: bytes) -> bytes:
    """What is said until all these words are in it."""
    heard = b""
    async with asyncio.timeout(SOON):
        while not all(word in heard for word in words):
            data = await reader.read(1 << 16)
            assert data, "hung up on"
            heard += data
    return heard


async def test_a_made_up_key_is_said_once_and_lets_in(tmp_path):
    """It stands in the one line on standard error, is another one each time, and the session is a usual one."""
    keys = set()
    for _ in range(2):
        async with command(home=tmp_path) as (number, line, process):
            keys.add(key := line.split()[-1])
            assert b"error" in await said(number, HELLO + GOODBYE)
            heard = await said(number, frame(initialize({"tcpKey": key})) + GOODBYE)
            assert json.loads(FrameDecoder().feed(heard)[0])["result"]["serverInfo"]["name"] == "qwen-lsp"
            async with asyncio.timeout(SOON):
                assert await process.wait() == 0
                assert key not in (await process.stderr.read()).decode()
    assert len(keys) == 2
    assert min(map(len, keys)) >= 32


async def test_who_says_nothing_does_not_hold_the_end_up(tmp_path):
    """When another client ends the server, it ends, as quietly as ever."""
    async with command(home=tmp_path, QWEN_LSP_TCP_KEY=KEY) as (number, _line, process):
        _, silent = await asyncio.open_connection("127.0.0.1", number)
        await said(number, HELLO + GOODBYE)
        async with asyncio.timeout(PATIENCE / 2):
            assert await process.wait() == 0
            assert (await process.stderr.read()).decode() == ""
        silent.close()


async def test_a_given_key_stands_nowhere(tmp_path):
    """Not on standard error, not in the log at its wordiest, not in what the server says or writes, nor in its notices.

    Nor is what strangers tried.
    """
    log = tmp_path / "own.log"
    more = ("--log-level", "debug", "--log-file", str(log))
    async with command(*more, home=tmp_path, QWEN_LSP_TCP_KEY=KEY) as (number, line, process):
        assert b"is wrong" in await said(number, frame(initialize({"tcpKey": "guess-5d20"})) + GOODBYE)
        reader, writer = await asyncio.open_connection("127.0.0.1", number)
        writer.write(frame(initialize({"tcpKey": KEY, "nonsense": 1})))
        for method in ("initialized", "x/unknown"):
            writer.write(frame({"jsonrpc": "2.0", "method": method, "params": {}}))
        writer.write(frame(initialize({"tcpKey": KEY}) | {"id": 2}))
        writer.write(frame({"jsonrpc": "2.0", "id": 3, "method": "initialize", "params": {"tcpKey": KEY}}))
        heard = await hears(reader, b"qwen.nonsense", b'"id":3')
        writer.write(GOODBYE)
        async with asyncio.timeout(SOON):
            heard += await reader.read()
            assert await process.wait() == 0
            stderr = (await process.stderr.read()).decode()
        writer.close()
    assert "QWEN_LSP_TCP_KEY" in line
    assert "x/unknown" in log.read_text()
    written = [file.read_bytes() for file in tmp_path.rglob("*") if file.is_file()]
    for text in (line.encode(), stderr.encode(), heard, *written):
        assert KEY.encode() not in text
        assert b"guess-5d20" not in text
    assert b"qwen.tcpKey" not in heard + stderr.encode()


async def test_no_child_is_given_the_key(tmp_path):
    """A command of the person's, here the one for the API key, has no use for it."""
    left = tmp_path / "env"
    options = {
        "provider": "openai",
        "baseUrl": "http://127.0.0.1:9/v1",
        "apiKeyCommand": f"sh -c 'env > {left}; echo k'",
    }
    document = {"uri": "file:///w/a.py", "languageId": "python", "version": 1, "text": "x = \n"}
    place = {"textDocument": {"uri": "file:///w/a.py"}, "position": {"line": 0, "character": 4}}
    async with command(home=tmp_path, QWEN_LSP_TCP_KEY=KEY) as (number, _line, _process):
        reader, writer = await asyncio.open_connection("127.0.0.1", number)
        writer.write(frame(initialize({"tcpKey": KEY} | options)))
        writer.write(frame({"jsonrpc": "2.0", "method": "initialized", "params": {}}))
        writer.write(frame({"jsonrpc": "2.0", "method": "textDocument/didOpen", "params": {"textDocument": document}}))
        writer.write(frame({"jsonrpc": "2.0", "id": 2, "method": "textDocument/inlineCompletion", "params": place}))
        await hears(reader, b'"id":2')
        writer.close()
    assert "HOME=" in left.read_text()
    assert KEY not in left.read_text()
