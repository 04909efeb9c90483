"""The `Wire` for servers on this machine that speak plain HTTP: asyncio and nothing else.

A model near by answers in milliseconds, of which httpx would take one or two for itself, its import 0.1 s and
7 MiB. Connections are kept and used again; one that its server closes is noticed at once. Asks nobody what
"localhost" means, knows no proxies, passwords in addresses, redirects or compression: httpx_wire.py does.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import cast
from urllib.parse import quote, urlsplit

from qwen_lsp.backend.http11 import Head, NotHttp, ReplyDecoder
from qwen_lsp.backend.wire import (
    CONNECT_TIMEOUT,
    Ask,
    Line,
    check_plain,
    garbled,
    hung_up,
    not_connected,
    silent,
    unaskable,
)
from qwen_lsp.core.hosts import is_loopback

_KEPT = 8
"""Idle connections that are kept for one address."""
_MOST_UNREAD = 256 * 1024
"""Bytes that wait to be read before the server has to wait, too."""


def takes(url: str) -> bool:
    """Whether an address is one for this wire."""
    return url.startswith("http://") and is_loopback(url) and "@" not in urlsplit(url).netloc


@dataclass(frozen=True, slots=True)
class _Target:
    """An address, taken apart."""

    hosts: tuple[str, ...]
    """To be tried in this order."""
    port: int
    host_header: str
    path: str


class LoopbackWire:
    """See `Wire`."""

    def __init__(self) -> None:
        self._idle: dict[str, list[_Connection]] = {}

    async def send(self, ask: Ask, line: Line) -> _LoopbackReply:
        """See `Wire.send`."""
        try:
            target = _target(ask.url)
            head = _request_head(ask, target)
        except ValueError:
            raise unaskable(ask) from None
        if line.cut_off:
            raise hung_up(ask, line)
        kept = self._kept(target)
        connection = kept.pop() if kept else await _connected(ask, target)
        line.attach(connection.abort, reused=connection.served)
        reply = _LoopbackReply(ask, line, connection, kept)
        connection.write(head + (ask.content or b""))
        try:
            await reply.begin()
        except BaseException:
            await reply.close()
            raise
        return reply

    async def warm(self, url: str) -> None:
        """See `Wire.warm`: there is nothing to do."""

    async def close(self) -> None:
        """See `Wire.close`."""
        for kept in self._idle.values():
            for connection in kept:
                connection.abort()
            kept.clear()
        await asyncio.sleep(0)  # in which the sockets are closed

    def _kept(self, target: _Target) -> list[_Connection]:
        """The idle connections to an address, the one used last at the end."""
        kept = self._idle.setdefault(target.host_header, [])
        for connection in [connection for connection in kept if not connection.idle()]:
            kept.remove(connection)
            connection.abort()
        return kept


class _LoopbackReply:
    """See `Reply`."""

    status: int
    headers: Mapping[str, str]

    def __init__(self, ask: Ask, line: Line, connection: _Connection, kept: list[_Connection]) -> None:
        self._ask = ask
        self._line = line
        self._connection = connection
        self._kept = kept
        self._decoder = ReplyDecoder()
        self._first = b""
        """What of the body came together with the head."""

    async def begin(self) -> None:
        """Waits for the head."""
        head: Head | None = None
        while head is None:
            self._first = await self._read()
            head = self._decoder.head
        self.status, self.headers = head.status, head.headers
        check_plain(self._ask, self.headers)

    async def chunks(self) -> AsyncIterator[bytes]:
        part = self._first
        while True:
            if part:
                yield part
            if self._decoder.complete:
                return
            part = await self._read()

    async def close(self) -> None:
        self._line.detach()
        if self._decoder.reusable and self._connection.idle() and len(self._kept) < _KEPT:
            self._connection.served = True
            self._kept.append(self._connection)
        else:
            self._connection.abort()

    async def _read(self) -> bytes:
        """What has come of the body since the last time; it may be nothing."""
        connection, decoder = self._connection, self._decoder
        data = await connection.read(self._ask.patience)
        try:
            if data:
                self._line.heard = True
                return decoder.feed(data)
        except NotHttp:
            raise garbled(self._ask) from None
        if connection.silent:
            raise silent(self._ask)
        decoder.end()
        if self._line.cut_off or not decoder.complete:
            raise hung_up(self._ask, self._line)
        return b""


class _Connection(asyncio.Protocol):
    """One connection, read by one request at a time."""

    def __init__(self) -> None:
        self.served = False
        """It has served a request before."""
        self.silent = False
        """It was given up because nothing came for too long."""
        self._transport: asyncio.Transport | None = None
        self._unread = bytearray()
        self._ended = False
        self._news = asyncio.Event()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        self._unread += data
        self._news.set()
        if len(self._unread) > _MOST_UNREAD and self._transport is not None:
            self._transport.pause_reading()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's signature
        self._transport = None
        self._ended = True
        self._news.set()

    def idle(self) -> bool:
        """Whether it is open and has said nothing that was not asked for."""
        return not self._ended and not self._unread

    def write(self, data: bytes) -> None:
        """Sends; at the latest the reader hears that it could not."""
        if self._transport is not None:
            self._transport.write(data)

    async def read(self, patience: float) -> bytes:
        """Waits for some bytes; none at the end, or when nothing comes for `patience` seconds."""
        if not self._unread and not self._ended:
            self._news.clear()
            timer = asyncio.get_running_loop().call_later(patience, self._give_up)
            try:
                await self._news.wait()
            finally:
                timer.cancel()
        data = bytes(self._unread)
        self._unread.clear()
        if len(data) > _MOST_UNREAD and self._transport is not None:
            self._transport.resume_reading()
        return data

    def abort(self) -> None:
        """Ends it, now; what was not read is dropped. Idempotent."""
        self._unread.clear()
        self._ended = True
        self._news.set()
        if self._transport is not None:
            self._transport.abort()

    def _give_up(self) -> None:
        self.silent = True
        self.abort()


async def _connected(ask: Ask, target: _Target) -> _Connection:
    failures: list[OSError] = []
    loop = asyncio.get_running_loop()
    for host in target.hosts:
        try:
            async with asyncio.timeout(min(CONNECT_TIMEOUT, ask.patience)):
                _, connection = await loop.create_connection(_Connection, host, target.port)
        except OSError as failure:
            failures.append(failure)
        else:
            return connection
    raise not_connected(ask.url, failures)


@lru_cache(maxsize=32)
def _target(url: str) -> _Target:
    """Raises ValueError for what is no address."""
    parts = urlsplit(url)
    host = (parts.hostname or "").rstrip(".")
    named = not host.replace(".", "").isdigit() and ":" not in host
    path = quote(parts.path or "/", safe="/%:@!$&'()*+,;=~")
    query = quote(parts.query, safe="/%:@!$&'()*+,;=~?")
    return _Target(
        # A name below "localhost" is this machine's, whatever a name server says (RFC 6761, section 6.3).
        hosts=("127.0.0.1", "::1") if named else (host,),
        port=parts.port or 80,
        host_header=parts.netloc,
        path=f"{path}?{query}" if query else path,
    )


def _request_head(ask: Ask, target: _Target) -> bytes:
    """Raises ValueError for what can't be written as a request."""
    fields = {"host": target.host_header, **ask.headers}
    if ask.content is not None:
        fields["content-length"] = str(len(ask.content))
    lines = [f"{ask.method} {target.path} HTTP/1.1", *(f"{name}: {value}" for name, value in fields.items())]
    if not all(line.isprintable() for line in lines):
        raise ValueError
    return "\r\n".join([*lines, "", ""]).encode("ascii")
