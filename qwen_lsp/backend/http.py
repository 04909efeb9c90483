"""All exchanges with model services, and the only place where a key enters a request.

Every request runs in a task of its own that is *never cancelled* (see `wire.Line`). Callers may be
cancelled at any await without harm. No message and no log line holds a key, a prompt or an answer. How
bytes move is not known here (wire.py, loopback_wire.py, httpx_wire.py), nor what they mean to a service
(core/dialects).
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from qwen_lsp import __version__
from qwen_lsp.backend import loopback_wire
from qwen_lsp.backend.exchange import Exchange, read_body
from qwen_lsp.backend.loopback_wire import LoopbackWire
from qwen_lsp.backend.wire import Ask, Line, Reply, Stale, Wire, origin
from qwen_lsp.core import codec, dialects
from qwen_lsp.core.hosts import is_loopback
from qwen_lsp.core.model import BackendError, Kind, Prompt, Secret, Service

log = logging.getLogger(__name__)

MAX_JSON = 4 * 1024 * 1024
"""Bytes of a reply to `get_json`: the longest lists of models known are 1 MiB."""
_STALE_RETRIES = 10
"""More than there may be idle connections, all gone stale together."""
_CLOSE_SECONDS = 1.0

T = TypeVar("T")


class Http:
    """All exchanges and their connections. `jitter` is from 0 to 1; `near` tells addresses of this machine.

    `wire` moves all bytes; without it one wire does for plain HTTP to this machine, and httpx for everything else.
    With `local_only` nothing is sent to any other machine (`qwen.localOnly`).
    """

    def __init__(
        self,
        wire: Wire | None = None,
        *,
        near: Callable[[str], bool] = is_loopback,
        jitter: Callable[[], float] = random.random,
        local_only: bool = False,
    ) -> None:
        self._local_only = local_only
        self._near_wire: Wire = wire or LoopbackWire()
        self._far_wire: Wire | None = wire
        self._near = near
        self._jitter = jitter
        self._tasks: set[asyncio.Task[Any]] = set()
        self._exchanges: set[Exchange] = set()
        self._lines: set[Line] = set()
        self._closed = False

    def generate(
        self,
        service: Service,
        prompt: Prompt,
        *,
        timeout: float,
        on_error: Callable[[BackendError], None] = lambda _: None,
    ) -> Exchange:
        """Starts to ask the service; `timeout` is the most seconds the whole exchange may take.

        `on_error` hears of a failure even if nobody iterates the exchange.
        """
        exchange = Exchange(
            service,
            lambda: _ask(service, prompt, timeout),
            self._send,
            timeout=timeout,
            near=self._near(service.base_url),
            jitter=self._jitter,
            on_error=on_error,
        )
        self._exchanges.add(exchange)
        self._own(exchange.run()).add_done_callback(lambda _: self._exchanges.discard(exchange))
        return exchange

    async def get_json(
        self,
        url: str,
        *,
        key: Secret | None,
        timeout: float,  # noqa: ASYNC109 - the request must not be cancelled, so a timeout outside won't do
    ) -> tuple[int, object]:
        """Status and decoded body of a GET; the body is None when it is not JSON.

        Raises:
            BackendError: kind NETWORK, TIMEOUT, PROTOCOL, CONFIG, or AUTH for a key that can't be one.
        """
        line = Line()
        self._lines.add(line)
        task = self._own(self._get(url, key, timeout, line))
        try:
            await asyncio.wait({task}, timeout=timeout)
        finally:
            line.cut()
            self._lines.discard(line)
        if task.done():
            return task.result()
        raise BackendError(Kind.TIMEOUT, f"no answer from {origin(url)} within {timeout:g} s")

    async def warm(self, url: str) -> None:
        """Imports and sets up, off the event loop, what the first request to this address needs."""
        self._check(url)
        await (await self._wire_for(url)).warm(url)

    async def close(self) -> None:
        """Stops every exchange, waits a second at most, and closes all connections. Idempotent."""
        self._closed = True
        for exchange in list(self._exchanges):
            exchange.stop(drain=False)
        for line in list(self._lines):
            line.cut()
        if self._tasks:
            _, late = await asyncio.wait(self._tasks, timeout=_CLOSE_SECONDS)
            # Only now, when the pools that this spoils are thrown away.
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)
        for wire in (self._near_wire, self._far_wire):
            if wire is not None:
                await wire.close()

    async def _get(self, url: str, key: Secret | None, patience: float, line: Line) -> tuple[int, object]:
        ask = Ask("GET", url, _headers({"accept": "application/json"}, key), None, patience)
        reply = await self._send(ask, line)
        try:
            body = await read_body(reply, line, MAX_JSON)
        finally:
            await reply.close()
        if len(body) >= MAX_JSON:
            raise BackendError(Kind.PROTOCOL, f"the reply of {origin(url)} does not end")
        try:
            return reply.status, codec.decode(body)
        except (ValueError, RecursionError):
            return reply.status, None

    async def _send(self, ask: Ask, line: Line) -> Reply:
        """One request; connections that the server closed while they were idle are passed over."""
        self._check(ask.url)
        wire = await self._wire_for(ask.url)
        for _ in range(_STALE_RETRIES):
            if self._closed:
                raise BackendError(Kind.NETWORK, "qwen-lsp is shutting down")
            try:
                return await wire.send(ask, line)
            except Stale:
                log.debug("stale connection passed over")
        raise BackendError(Kind.NETWORK, f"{origin(ask.url)} closes every connection without a reply")

    def _check(self, url: str) -> None:
        """The one place where `qwen.localOnly` holds.

        Raises:
            BackendError: kind CONFIG: this address may not be asked.
        """
        if self._local_only and not is_loopback(url):
            raise BackendError(
                Kind.CONFIG,
                f"qwen.localOnly is on and {origin(url)} is not this machine: set qwen.provider to local, or "
                "qwen.baseUrl to a server here; a mistake in the settings turns it on too (`qwen-lsp doctor`)",
            )

    async def _wire_for(self, url: str) -> Wire:
        if loopback_wire.takes(url):
            return self._near_wire
        if self._far_wire is None:
            # Importing httpx takes 0.1 to 0.2 s: not on the event loop.
            wire = await asyncio.to_thread(_httpx_wire)
            self._far_wire = self._far_wire or wire
        return self._far_wire

    def _own(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._gone)
        return task

    def _gone(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled():
            task.exception()  # Looked at, so that asyncio does not report it when its caller has gone.


def _ask(service: Service, prompt: Prompt, patience: float) -> Ask:
    call = dialects.call(service, prompt)
    headers = {"accept": "text/event-stream", "content-type": "application/json", **call.headers}
    return Ask("POST", call.url, _headers(headers, service.key), codec.encode(call.body, exact=False), patience)


def _headers(headers: dict[str, str], key: Secret | None) -> dict[str, str]:
    """The headers of a request, the key's among them."""
    # Compressed streams come in bursts, when the compressor's buffer is full.
    common = {"user-agent": f"qwen-lsp/{__version__}", "accept-encoding": "identity"}
    if key is None:
        return {**common, **headers}
    value = key.reveal()
    if not (value.isascii() and value.isprintable()) or " " in value:
        raise BackendError(
            Kind.AUTH,
            "the API key holds characters that no key has; check how it was copied (DASHSCOPE_API_KEY)",
        )
    return {**common, **headers, "authorization": f"Bearer {value}"}


def _httpx_wire() -> Wire:
    from qwen_lsp.backend.httpx_wire import HttpxWire  # noqa: PLC0415 - the first far request pays for httpx

    return HttpxWire()
