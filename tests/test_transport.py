"""lsp/transport.py: frames out of any stream of bytes, and into any."""

from __future__ import annotations

import asyncio
import itertools
import os
import socket
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qwen_lsp.lsp.transport import LONGEST, FrameDecoder, Output, framed, read_all

bodies = st.lists(st.binary(max_size=40), max_size=6)
garbage = st.sampled_from([b"", b"\r\n\r\n", b"X: 1\r\n\r\n", b"Content-Length: -1\r\n\r\n", b"\xff\x00 junk \n"])


def decoded(stream: bytes, cuts: list[int]) -> list[bytes]:
    decoder, found, places = FrameDecoder(), [], [0, *sorted(cut % (len(stream) + 1) for cut in cuts), len(stream)]
    for start, end in itertools.pairwise(places):
        found += decoder.feed(stream[start:end])
    return found


@given(bodies, st.lists(garbage, min_size=6, max_size=6), st.lists(st.integers(0, 10_000), max_size=8))
def test_any_chunking_of_the_same_bytes_gives_the_same_messages(wanted, between, cuts):
    """Frames are found wherever reads end, and whatever stands between them."""
    stream = b"".join(junk + framed(body) for junk, body in zip(between, wanted, strict=False))
    assert decoded(stream, cuts) == wanted


@given(st.binary(max_size=300), st.lists(st.integers(0, 300), max_size=8))
def test_no_bytes_break_the_decoder(stream, cuts):
    """Whatever comes, the same bytes give the same messages, and nothing is raised."""
    assert decoded(stream, cuts) == decoded(stream, [])


def test_a_message_too_long_is_skipped_without_being_kept():
    """The session stays in step after a body that is larger than any document."""
    decoder = FrameDecoder()
    assert decoder.feed(b"Content-Length: %d\r\n\r\n" % (LONGEST + 5)) == []
    chunk = bytes(1 << 20)
    for _ in range(LONGEST >> 20):
        assert decoder.feed(chunk) == []
    assert decoder.feed(b"12345" + framed(b"next")) == [b"next"]


def test_endless_garbage_takes_no_memory():
    """Bytes that never become a header are forgotten, and the next header is found all the same."""
    decoder = FrameDecoder()
    for _ in range(100):
        assert decoder.feed(b"x" * 10_000) == []
    assert len(decoder._buffer) < 100_000
    assert decoder.feed(framed(b"next")) == [b"next"]


@pytest.fixture
def ends() -> Iterator[tuple[socket.socket, socket.socket]]:
    """Our end and the editor's of one socket that is input and output at once, as small as the system allows."""
    ours, theirs = socket.socketpair()
    ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1)
    with ours, theirs:
        theirs.setblocking(False)
        yield ours, theirs


async def test_an_editor_that_does_not_read_holds_nothing_up(ends):
    """What it does not take is kept, in order, and written once it reads."""
    ours, theirs = ends
    output = Output(os.dup(ours.fileno()))
    sent = [framed(b"%d" % number * 1000) for number in range(300)]
    for data in sent:
        output.write(data)
    received = bytearray()
    loop = asyncio.get_running_loop()
    while len(received) < sum(map(len, sent)):
        received += await loop.sock_recv(theirs, 1 << 16)
    assert received == b"".join(sent)
    await output.drained()


async def test_output_goes_on_while_the_same_socket_brings_input(ends):
    """One socket may be standard input and output at once."""
    ours, theirs = ends
    output, heard = Output(os.dup(ours.fileno())), asyncio.Event()
    reading = asyncio.ensure_future(read_all(os.dup(ours.fileno()), lambda _data: heard.set()))
    theirs.send(b"x")
    await heard.wait()
    output.write(framed(b"reply"))
    assert await asyncio.get_running_loop().sock_recv(theirs, 100) == framed(b"reply")
    theirs.close()
    await reading


async def test_an_editor_that_has_gone_is_no_error(ends):
    """Frames to nobody are dropped, those that wait included."""
    ours, theirs = ends
    output = Output(os.dup(ours.fileno()))
    output.write(bytes(1 << 20))
    theirs.close()
    output.write(b"more")
    await output.drained()
    output.write(b"more")
