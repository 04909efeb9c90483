"""Bytes in and bytes out: the framing of LSP's base protocol, standard input and output, and TCP for debugging.

Promises: any chunking of the same bytes gives the same messages; garbage between messages is skipped and memory is
bounded; standard output carries frames and nothing else. Uses the standard library only, so that the first message
can be read before anything heavy is loaded. Knows nothing of what a message says.
"""

from __future__ import annotations

import os
import re
import selectors
import sys
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import asyncio

LONGEST = 64 * 1024 * 1024
"""Bytes of a message; a longer one is skipped. A document of that size is no code a person types."""
_LONGEST_HEADER = 16 * 1024
_CHUNK = 256 * 1024
_END = re.compile(rb"\r?\n\r?\n")
_NAME = b"content-"
_OURS = re.compile(
    # Whole lines of ours, then as much as there is of another one, or of the empty one.
    rb"(?:content-[a-z]+[ \t]*:[^\r\n]*\r?\n)*(?:\r?\n|\r?\Z|content-[^\r\n]*\r?\Z|"
    + b"|".join(_NAME[:length] + rb"\Z" for length in range(1, len(_NAME)))
    + rb")",
    re.IGNORECASE,
)
_LENGTH = re.compile(rb"content-length[ \t]*:[ \t]*(\d{1,18})[ \t]*\r?$", re.IGNORECASE | re.MULTILINE)


class Foreign(ConnectionError):  # noqa: N818 - a verdict on the other side
    """Who has connected speaks another protocol."""


class FrameDecoder:
    """Cuts a stream into message bodies. Sans-IO.

    The last Content-Length before an empty line counts, whatever stands before it: so headers may come in any
    number, order and case, and after garbage the next whole header is found again.

    With `strict`, for ports that web pages can reach, headers are LSP's own and nothing stands before them: a page
    can make a browser send an HTTP request whose body is a message, or any number of them.
    """

    def __init__(self, *, strict: bool = False) -> None:
        self._strict = strict
        self._buffer = bytearray()
        self._wanted: int | None = None
        self._skipping = 0

    def feed(self, data: bytes) -> list[bytes]:
        """The bodies that are complete now, in order.

        Raises:
            Foreign: `strict`, and it is no LSP; nothing after the last good message is read.
        """
        self._buffer += data
        bodies = []
        while (body := self._next()) is not None:
            bodies.append(body)
        return bodies

    def _next(self) -> bytes | None:
        buffer = self._buffer
        while True:
            if self._skipping:
                skipped = min(self._skipping, len(buffer))
                del buffer[:skipped]
                self._skipping -= skipped
                if self._skipping:
                    return None
            if self._wanted is None and not self._header():
                return None
            if self._wanted is not None:
                break
        if len(buffer) < self._wanted:
            return None
        body = bytes(buffer[: self._wanted])
        del buffer[: self._wanted]
        self._wanted = None
        return body

    def _header(self) -> bool:
        """Takes one header off the buffer, if it is complete."""
        buffer = self._buffer
        if self._strict and not _OURS.match(buffer[:_LONGEST_HEADER]):
            raise Foreign
        end = _END.search(buffer)
        if end is None:
            if len(buffer) > _LONGEST_HEADER:
                del buffer[: -_LONGEST_HEADER // 2]
            return False
        lengths = _LENGTH.findall(bytes(buffer[: end.start()]))
        del buffer[: end.end()]
        if lengths:
            length = int(lengths[-1])
            if length > LONGEST:
                self._skipping = length
            else:
                self._wanted = length
        return True


def framed(body: bytes) -> bytes:
    """A body as it goes on the wire."""
    return b"Content-Length: %d\r\n\r\n%b" % (len(body), body)


def claim_stdout() -> int:
    """Takes standard output for the protocol alone: what anything else prints goes to standard error from now on.

    Returns the file descriptor to write frames to.
    """
    sys.stdout.flush()
    private = os.dup(1)
    try:
        os.dup2(2, 1)
    except OSError:  # standard error is closed
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, 1)
        os.close(nowhere)
    return private


def write_all(descriptor: int, data: bytes) -> None:
    """Writes every byte, waiting for the reader."""
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]


class Output:
    """Frames to a file descriptor, without ever waiting for the reader where the platform can do that.

    Not asyncio's write transport: that one takes data coming in for the reader's end, and where one socket is both
    input and output (`socat EXEC:…`) there is such data. Needs a running event loop.
    """

    def __init__(self, descriptor: int) -> None:
        import asyncio  # noqa: PLC0415 - 40 ms that the first reply does not wait for

        self._descriptor = descriptor
        self._loop = asyncio.get_running_loop()
        self._unwritten = bytearray()
        self._written = asyncio.Event()
        self._gone = False
        self._patient = not _can_be_waited_for(descriptor, selectors.EVENT_WRITE)
        """Regular files, and Windows' pipes: they are written to directly."""
        if not self._patient:
            os.set_blocking(descriptor, False)

    def write(self, data: bytes) -> None:
        """Sends one frame. Once the reader is gone it is dropped: the end of input ends the session."""
        if self._unwritten or self._patient:
            self._unwritten += data
            if self._patient:
                self._flush()
            return
        written = self._attempt(data)
        if written < len(data) and not self._gone:
            self._unwritten += data[written:]
            self._written.clear()
            self._loop.add_writer(self._descriptor, self._flush)

    def close(self) -> None:
        """For pygls; the descriptor lives as long as the process."""

    async def drained(self) -> None:
        """Waits until everything is written, or nobody reads any more."""
        if self._unwritten:
            await self._written.wait()

    def _flush(self) -> None:
        while self._unwritten and not self._gone:
            written = self._attempt(self._unwritten)
            del self._unwritten[:written]
            if not written:
                break
        if self._gone or not self._unwritten:
            self._unwritten.clear()
            self._written.set()
            if not self._patient:
                self._loop.remove_writer(self._descriptor)

    def _attempt(self, data: bytes | bytearray) -> int:
        if self._gone:
            return 0
        try:
            return os.write(self._descriptor, data)
        except BlockingIOError:
            return 0
        except OSError:
            self._gone = True
            return 0


async def read_all(descriptor: int, feed: Callable[[bytes], None]) -> None:
    """Feeds what is read from a descriptor until its end, on the event loop's thread.

    Pipes, sockets and terminals are read by the event loop itself, which saves three thread changes a message;
    regular files and Windows' pipes by a thread.
    """
    import asyncio  # noqa: PLC0415 - as above

    loop = asyncio.get_running_loop()
    ended: asyncio.Future[None] = loop.create_future()

    def end() -> None:
        if not ended.done():
            ended.set_result(None)

    class Input(asyncio.Protocol):
        def data_received(self, data: bytes) -> None:
            feed(data)

        def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's signature
            end()

    if _can_be_waited_for(descriptor, selectors.EVENT_READ):
        await loop.connect_read_pipe(Input, os.fdopen(descriptor, "rb", buffering=0, closefd=False))
    else:
        threading.Thread(target=_pump, args=(descriptor, loop, feed, end), daemon=True).start()
    await ended


def _can_be_waited_for(descriptor: int, event: int) -> bool:
    """Whether an event loop can wait for a descriptor; it can't for files, the null device, and pipes of Windows."""
    if os.name == "nt":
        return False
    try:
        with selectors.DefaultSelector() as probe:
            probe.register(descriptor, event)
    except (ValueError, OSError):
        return False
    return True


def _pump(
    descriptor: int, loop: asyncio.AbstractEventLoop, feed: Callable[[bytes], None], end: Callable[[], None]
) -> None:
    try:
        while data := os.read(descriptor, _CHUNK):
            loop.call_soon_threadsafe(feed, data)
        loop.call_soon_threadsafe(end)
    except (OSError, RuntimeError):  # the input broke, or the loop is closed
        if not loop.is_closed():
            loop.call_soon_threadsafe(end)
