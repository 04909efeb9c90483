"""The `Wire` that httpx moves: the only module that imports httpx, itself imported at the first request.

Connections are kept and used again, HTTP/1.1 only (with HTTP/2, httpcore tells the server nothing when a
reply is no longer wanted). Proxies of the environment are honoured, but never for this machine's own
addresses.

To end a request from outside (`Line.cut`) its socket must be known even while a kept connection waits for
the head of a reply; httpx shows it only afterwards. So every pool gets a network backend that wraps
httpcore's own and notes who uses which connection. Tested by `tests/test_http.py`: 200 random stops leave
no active connection.
"""

from __future__ import annotations

import asyncio
import importlib
import logging
import ssl
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import contextmanager, suppress

import httpx

from qwen_lsp.backend.severing import SeveringBackend, current_line
from qwen_lsp.backend.wire import (
    CONNECT_TIMEOUT,
    Ask,
    Line,
    Stale,
    check_plain,
    garbled,
    hung_up,
    not_connected,
    origin,
    silent,
    unaskable,
)
from qwen_lsp.core.hosts import is_loopback
from qwen_lsp.core.model import BackendError, Kind

# At DEBUG these print the heads of replies, at INFO every address: none of it is theirs to log.
for _name in ("httpx", "httpcore"):
    logging.getLogger(_name).setLevel(logging.WARNING)

_LAZY = ("anyio._backends._asyncio", "anyio.streams.tls")
"""What httpcore's first connection would import on the event loop."""
_POOL_TIMEOUT = 1.0
_WRITE_TIMEOUT = 5.0
_KEPT = 8
"""Idle connections that are kept."""
_KEPT_SECONDS_LOOPBACK = 4.0
"""llama.cpp's server closes an idle connection after 5 s without a word."""
_KEPT_SECONDS = 60.0
"""A new TLS connection costs a distant region's user two or three round trips."""


class HttpxWire:
    """See `Wire`. One client for each way to connect, made when it is first needed.

    `trust` holds the certificates to trust; without it they are certifi's, or those that SSL_CERT_FILE names.
    """

    def __init__(self, *, max_connections: int = 64, trust: ssl.SSLContext | None = None) -> None:
        self._max_connections = max_connections
        self._trust = trust
        self._clients: dict[tuple[bool, bool], httpx.AsyncClient] = {}
        self._retired: list[httpx.AsyncClient] = []

    async def send(self, ask: Ask, line: Line) -> _HttpxReply:
        """See `Wire.send`. A pool that has no connection left is replaced."""
        for last in (False, True):
            try:
                return await self._send(ask, line)
            except httpx.PoolTimeout:
                retired = self._clients.pop(_way(ask.url), None)
                if retired is not None:
                    self._retired.append(retired)
                if last:
                    break
        raise BackendError(Kind.NETWORK, f"no free connection to {origin(ask.url)}; try again")

    async def warm(self, url: str) -> None:
        """See `Wire.warm`: certificates and lazy imports took the first request 45 ms, and now 4."""
        way = _way(url)
        if way not in self._clients:
            client = await asyncio.to_thread(self._warm_client, *way)
            self._clients.setdefault(way, client)

    async def close(self) -> None:
        """See `Wire.close`."""
        clients = [*self._clients.values(), *self._retired]
        self._clients.clear()
        self._retired.clear()
        for client in clients:
            await client.aclose()

    async def _send(self, ask: Ask, line: Line) -> _HttpxReply:
        current_line.set(line)
        way = _way(ask.url)
        if way not in self._clients:
            self._clients[way] = self._client(*way)
        client = self._clients[way]
        with _in_words(ask, line):
            timeout = httpx.Timeout(
                connect=min(CONNECT_TIMEOUT, ask.patience),
                read=ask.patience,
                write=_WRITE_TIMEOUT,
                pool=_POOL_TIMEOUT,
            )
            request = client.build_request(
                ask.method, ask.url, headers=dict(ask.headers), content=ask.content, timeout=timeout
            )
            reply = _HttpxReply(await client.send(request, stream=True), ask, line)
        try:
            check_plain(ask, reply.headers)
        except BackendError:
            await reply.close()
            raise
        return reply

    def _warm_client(self, tls: bool, loopback: bool) -> httpx.AsyncClient:  # noqa: FBT001 - from `_way`
        for module in _LAZY:
            with suppress(ImportError):
                importlib.import_module(module)
        return self._client(tls, loopback)

    def _client(self, tls: bool, loopback: bool) -> httpx.AsyncClient:  # noqa: FBT001 - from `_way`
        try:
            client = self._plain_client(tls, loopback)
        except (ImportError, ValueError, httpx.InvalidURL):
            message = "the environment's proxy can't be used; check HTTPS_PROXY, HTTP_PROXY and ALL_PROXY"
            raise BackendError(Kind.CONFIG, message) from None
        for transport in (client._transport, *client._mounts.values()):  # noqa: SLF001 - no public way
            pool = getattr(transport, "_pool", None)
            if pool is not None:
                pool._network_backend = SeveringBackend(pool._network_backend)  # noqa: SLF001 - as above
        return client

    def _plain_client(self, tls: bool, loopback: bool) -> httpx.AsyncClient:  # noqa: FBT001 - as above
        # Without TLS the certificates need not be read: a context that trusts nobody.
        trust = self._trust or True if tls else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        return httpx.AsyncClient(
            verify=trust,
            trust_env=not loopback,
            follow_redirects=False,
            limits=httpx.Limits(
                max_connections=self._max_connections,
                max_keepalive_connections=_KEPT,
                keepalive_expiry=_KEPT_SECONDS_LOOPBACK if loopback else _KEPT_SECONDS,
            ),
        )


class _HttpxReply:
    """See `Reply`."""

    def __init__(self, response: httpx.Response, ask: Ask, line: Line) -> None:
        self.status = response.status_code
        self.headers: Mapping[str, str] = {name.lower(): value for name, value in response.headers.items()}
        self._response = response
        self._ask = ask
        self._line = line

    async def chunks(self) -> AsyncIterator[bytes]:
        with _in_words(self._ask, self._line):
            async for chunk in self._response.aiter_bytes():
                yield chunk

    async def close(self) -> None:
        with suppress(httpx.HTTPError):
            await self._response.aclose()
        self._line.detach()


def _way(url: str) -> tuple[bool, bool]:
    """What decides about the client: TLS, and whether the address is this machine's own."""
    return url.startswith("https:"), is_loopback(url)


@contextmanager
def _in_words(ask: Ask, line: Line) -> Iterator[None]:
    """Raises httpx's exceptions as ours. The originals are dropped: some quote a header, which may be the key."""
    try:
        yield
    except httpx.PoolTimeout:
        raise
    except httpx.HTTPError as error:
        told = _told(error, ask, line)
    except (httpx.InvalidURL, UnicodeError):
        told = unaskable(ask)
    else:
        return
    raise told from None


def _told(error: httpx.HTTPError, ask: Ask, line: Line) -> BackendError | Stale:
    where = origin(ask.url)
    match error:
        case httpx.ConnectTimeout():
            return not_connected(ask.url, [TimeoutError()])
        case httpx.ConnectError():
            return not_connected(ask.url, _causes(error))
        case httpx.TimeoutException():
            return silent(ask)
        case httpx.ProxyError():
            text = f"the proxy does not connect to {where}; check HTTPS_PROXY and NO_PROXY"
            return BackendError(Kind.NETWORK, text)
        case httpx.UnsupportedProtocol() | httpx.LocalProtocolError():
            return unaskable(ask)
        case httpx.RemoteProtocolError() if line.heard and not _broke_off(error):
            return garbled(ask)
    return hung_up(ask, line)


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    """The exceptions behind one, those of groups (tried addresses) included."""
    seen: list[BaseException] = []
    queue = [error]
    while queue:
        cause = queue.pop()
        if cause is None or any(cause is other for other in seen):
            continue
        seen.append(cause)
        yield cause
        queue += [cause.__cause__, cause.__context__]
        if isinstance(cause, BaseExceptionGroup):
            queue += cause.exceptions


def _broke_off(error: httpx.RemoteProtocolError) -> bool:
    text = str(error)
    return "peer closed connection" in text or "disconnected" in text
