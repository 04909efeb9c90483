"""Connections of httpcore's that can be ended from outside, by shutting their socket down and nothing else.

Promises that only the request which uses a connection at the moment can end it, and that httpcore's own state is
touched by nobody but httpcore, in the task that reads: it sees the end of the socket, and cleans up.
"""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterable
from contextlib import suppress
from contextvars import ContextVar
from typing import Any

import httpcore

from qwen_lsp.backend.wire import Line

current_line: ContextVar[Line | None] = ContextVar("current_line", default=None)
"""The request that the current task makes."""


class SeverableStream(httpcore.AsyncNetworkStream):
    """A connection that knows which request uses it, and can be hung up only on behalf of that one."""

    def __init__(self, inner: httpcore.AsyncNetworkStream) -> None:
        self._inner = inner
        self._owner: Line | None = None
        self._served = False

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:  # noqa: ASYNC109 - httpcore's
        """Sends; refuses for a request that was cut."""
        self._take_over()
        await self._inner.write(buffer, timeout)

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ASYNC109 - httpcore's
        """Receives; what comes for a request that was cut is dropped."""
        owner = self._take_over()
        data = await self._inner.read(max_bytes, timeout)
        if owner is not None:
            if owner.cut_off:
                raise httpcore.ReadError
            owner.heard = owner.heard or bool(data)
        return data

    async def aclose(self) -> None:
        """Closes."""
        await self._inner.aclose()

    async def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,  # noqa: ASYNC109 - httpcore's
    ) -> httpcore.AsyncNetworkStream:
        """The same connection with TLS."""
        line = self._take_over()
        stream = SeverableStream(await self._inner.start_tls(ssl_context, server_hostname, timeout))
        if line is not None:
            stream._belong_to(line, reused=line.reused)
        self._owner = None
        return stream

    def get_extra_info(self, info: str) -> Any:  # noqa: ANN401 - httpcore's
        """What httpcore's own stream knows."""
        return self._inner.get_extra_info(info)

    def _take_over(self) -> Line | None:
        line = current_line.get()
        if line is None:
            return None
        if line.cut_off:
            raise httpcore.WriteError
        if self._owner is not line:
            self._belong_to(line, reused=self._served)
        return line

    def _belong_to(self, line: Line, *, reused: bool) -> None:
        line.attach(lambda: self._hang_up(line), reused=reused)
        self._owner, self._served = line, True

    def _hang_up(self, line: Line) -> None:
        """Only the socket: the task that reads it finds it at its end and closes the rest itself."""
        sock = self._inner.get_extra_info("socket") if self._owner is line else None
        if sock is not None:
            with suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)


class SeveringBackend(httpcore.AsyncNetworkBackend):
    """httpcore's own network backend, its connections wrapped."""

    def __init__(self, inner: httpcore.AsyncNetworkBackend) -> None:
        self._inner = inner

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 - httpcore's
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """Connects; does not for a request that was cut."""
        line = current_line.get()
        if line is not None and line.cut_off:
            raise httpcore.ConnectError
        return SeverableStream(await self._inner.connect_tcp(host, port, timeout, local_address, socket_options))

    async def sleep(self, seconds: float) -> None:
        """Waits."""
        await self._inner.sleep(seconds)
