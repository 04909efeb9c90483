"""A session from its first byte to its last: over standard input and output, or over TCP for debugging.

Promises: when the input ends, the client says `exit`, or a signal asks for it, everything is closed and the exit
status is known within 2 s, whatever still runs. Decides nothing about messages.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
from collections.abc import Callable
from typing import Any

from qwen_lsp.lsp.greeting import Start
from qwen_lsp.lsp.protocol import fault
from qwen_lsp.lsp.server import Server
from qwen_lsp.lsp.transport import FrameDecoder, Output, read_all

logger = logging.getLogger(__name__)

CLOSING = 1.5
"""Seconds that closing may take; editors kill what still runs 2 s after the end."""
_DRAINING = 0.3
_HUNG_UP = -1


async def over_stdio(make_server: Callable[[], Server], start: Start, stdin: int, stdout: int) -> int:
    """Serves one client until its end; returns the exit status. `start` is what was read already."""
    server, output = make_server(), Output(stdout)
    ended = _begin(server, output)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        with contextlib.suppress(NotImplementedError):  # Windows
            loop.add_signal_handler(number, _end, ended, 128 + number)
    if start.params is not None:
        server.initialize(start.params)
    feed = _feeder(server, start.decoder)
    for body in start.bodies:
        server.protocol.receive(body)
    reading = asyncio.ensure_future(read_all(stdin, feed))
    reading.add_done_callback(lambda _: _end(ended, 0))
    status = await ended
    await _closed(server)
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(_DRAINING):
            await output.drained()
    return status


async def over_tcp(make_server: Callable[[], Server], host: str, port: int) -> int:
    """Serves one client after the other until one says `exit`; returns its exit status.

    Raises:
        OSError: the address can't be listened on.
    """
    busy = asyncio.Lock()
    over: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    async def client(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if busy.locked():
            logger.warning("a second client was turned away: one at a time")
            writer.close()
            return
        async with busy:
            server = make_server()
            ended = _begin(server, writer)
            feed = _feeder(server, FrameDecoder(strict=True))  # web pages can reach this port
            reading = asyncio.ensure_future(_read_stream(reader, feed))
            reading.add_done_callback(lambda _: _end(ended, _HUNG_UP))
            status = await ended
            await _closed(server)
            writer.close()
            if status != _HUNG_UP:
                _end(over, status)

    listener = await asyncio.start_server(client, host, port)
    logger.info("listening on %s", ", ".join(str(socket.getsockname()) for socket in listener.sockets))
    async with listener:
        return await over


async def _read_stream(reader: asyncio.StreamReader, feed: Callable[[bytes], None]) -> None:
    with contextlib.suppress(OSError):
        while data := await reader.read(1 << 16):
            feed(data)


def _begin(server: Server, writer: Output | asyncio.StreamWriter) -> asyncio.Future[int]:
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(_unhandled)
    ended: asyncio.Future[int] = loop.create_future()
    server.protocol.exit_code = ended
    server.protocol.set_writer(writer)
    return ended


def _unhandled(_loop: object, context: dict[str, Any]) -> None:
    """In place of asyncio's own, which prints exceptions' messages; they may quote code."""
    error = context.get("exception")
    logger.error("%s: %s", context.get("message"), fault(error) if error else "no exception")


def _end(ended: asyncio.Future[int], status: int) -> None:
    if not ended.done():
        ended.set_result(status)


def _feeder(server: Server, decoder: FrameDecoder) -> Callable[[bytes], None]:
    def feed(data: bytes) -> None:
        for body in decoder.feed(data):
            server.protocol.receive(body)

    return feed


async def _closed(server: Server) -> None:
    """Closes a server, at most for `CLOSING` seconds."""
    try:
        async with asyncio.timeout(CLOSING):
            await server.stop()
    except TimeoutError:
        logger.warning("closing took longer than %.1f s; left as it is", CLOSING)
    except Exception as error:  # noqa: BLE001 - the process ends all the same
        logger.error("closing failed: %s", fault(error))  # noqa: TRY400 - the message may quote code
