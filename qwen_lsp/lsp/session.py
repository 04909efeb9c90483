"""A session from its first byte to its last: over standard input and output, or over TCP for debugging.

Promises: when the input ends, the client says `exit`, or a signal asks for it, everything is closed and the exit
status is known within 2 s, whatever still runs. Over TCP nothing is done for a client that has not shown the key.
Decides nothing else about messages.
"""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import json
import logging
import signal
from collections.abc import Callable
from typing import Any

from qwen_lsp.core import codec
from qwen_lsp.lsp.greeting import Start
from qwen_lsp.lsp.leaving import ended as ended_process
from qwen_lsp.lsp.protocol import INVALID_REQUEST, fault
from qwen_lsp.lsp.server import Server
from qwen_lsp.lsp.transport import FrameDecoder, Output, framed, read_all

logger = logging.getLogger(__name__)

CLOSING = 1.5
"""Seconds that closing may take; editors kill what still runs 2 s after the end."""
PATIENCE = 5.0
"""Seconds in which a TCP client must have shown the key."""
LONGEST_FIRST = 1 << 20
"""Bytes that are read of a TCP client before it has shown the key; editors begin with some 10,000."""
_DRAINING = 0.3
_HUNG_UP = -1
_WHERE = "the right one is on the server's standard error, or is what QWEN_LSP_TCP_KEY held as it started"


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
    if start.editor is not None:
        # Its end of our input may live on, held by a child of its.
        watching = asyncio.ensure_future(ended_process(start.editor))
        watching.add_done_callback(lambda _: _end(ended, 0))
    status = await ended
    await _closed(server)
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(_DRAINING):
            await output.drained()
    return status


async def over_tcp(
    make_server: Callable[[], Server],
    address: tuple[str, int],
    key: str,
    on_listening: Callable[[str], None],
    *,
    patience: float = PATIENCE,
) -> int:
    """Serves one client after the other, each with the key, until one says `exit`; returns its exit status.

    Raises:
        OSError: the address can't be listened on.
    """
    busy = asyncio.Lock()
    over: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    async def client(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        decoder = FrameDecoder(strict=True)  # web pages can reach this port
        with contextlib.closing(writer), contextlib.suppress(asyncio.CancelledError):  # the end, which asyncio logs
            bodies = [] if busy.locked() else await _first(reader, writer, decoder, key, patience)
            if busy.locked():
                logger.warning("a second client was turned away: one at a time")
            elif bodies:
                async with busy:
                    await serve(reader, writer, decoder, bodies)

    async def serve(
        reader: asyncio.StreamReader, writer: asyncio.StreamWriter, decoder: FrameDecoder, bodies: list[bytes]
    ) -> None:
        server = make_server()
        ended = _begin(server, writer)
        for body in bodies:
            server.protocol.receive(body)
        reading = asyncio.ensure_future(_read_stream(reader, _feeder(server, decoder)))
        reading.add_done_callback(lambda _: _end(ended, _HUNG_UP))
        status = await ended
        await _closed(server)
        if status != _HUNG_UP:
            _end(over, status)

    listener = await asyncio.start_server(client, *address)
    try:
        on_listening(", ".join(_shown(socket.getsockname()) for socket in listener.sockets))
        return await over
    finally:
        listener.close()  # who is connected is not waited for


def lacking(message: object, key: str) -> str:
    """What a TCP client's first message has to have and has not; nothing if the client is admitted."""
    if not isinstance(message, dict) or message.get("method") != "initialize":
        return "the first message has to be initialize, with the key in initializationOptions.tcpKey"
    within: object = message
    for name in ("params", "initializationOptions", "tcpKey"):
        within = within.get(name) if isinstance(within, dict) else None
    if not isinstance(within, str):
        return f"initializationOptions.tcpKey is lacking; {_WHERE}"
    if not hmac.compare_digest(_bytes(within), _bytes(key)):
        return f"initializationOptions.tcpKey is wrong; {_WHERE}"
    return ""


def _bytes(key: str) -> bytes:
    return key.encode("utf-8", "surrogatepass")  # an environment's and JSON's strings need not be text


async def _first(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, decoder: FrameDecoder, key: str, patience: float
) -> list[bytes]:
    """What a client says first, without the key; nothing if it has not the key, which it is told if it asked."""
    bodies: list[bytes] = []
    size = 0
    with contextlib.suppress(OSError):  # it has gone, speaks something else, or says nothing for too long
        async with asyncio.timeout(patience):
            while not bodies and size <= LONGEST_FIRST and (data := await reader.read(1 << 16)):
                size += len(data)
                bodies = decoder.feed(data)
    message: Any = None
    with contextlib.suppress(ValueError, RecursionError):
        message = codec.decode(bodies[0]) if bodies else None
    if lacks := lacking(message, key):
        logger.warning("a client was hung up on: %s", lacks if bodies else "it said nothing that can be read")
        if isinstance(message, dict) and type(message.get("id")) in (int, str):
            error = {"code": INVALID_REQUEST, "message": lacks}
            writer.write(framed(json.dumps({"jsonrpc": "2.0", "id": message["id"], "error": error}).encode()))
        return []
    del message["params"]["initializationOptions"]["tcpKey"]
    return [json.dumps(message).encode(), *bodies[1:]]


def _shown(address: tuple[Any, ...]) -> str:
    host, port = address[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


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
