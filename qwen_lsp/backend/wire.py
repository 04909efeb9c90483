"""The seam between what an exchange means (http.py) and who moves its bytes (loopback_wire.py, httpx_wire.py).

A `Wire` sends one request and hands out the reply's bytes. It retries nothing, adds no key and reads no
meaning into a body. Its failures are `BackendError`s in a person's words, or `Stale`.
"""

from __future__ import annotations

import socket
import ssl
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Protocol
from urllib.parse import urlsplit

from qwen_lsp.core.model import BackendError, Kind

CONNECT_TIMEOUT = 3.0


class Stale(Exception):  # noqa: N818 - a state of a connection, not yet an error
    """The server had closed a kept-alive connection when it was used again: nothing was asked, ask again."""


@dataclass(frozen=True, slots=True)
class Ask:
    """One HTTP request. `patience` is the most seconds between two pieces of the reply."""

    method: str
    url: str
    headers: Mapping[str, str]
    content: bytes | None
    patience: float


class Line:
    """What one request holds of the network, so that others can end it without touching its task.

    A task that talks through httpx must never be cancelled: httpcore 1.0.9 then keeps connections for ever.
    Nor may others close its connection object, whose state belongs to that task. `cut` therefore only shuts
    the *socket* down: the task sees what it would see had the server hung up, and cleans up by itself; the
    server sees the end of the connection within a round trip.
    """

    __slots__ = ("_hang_up", "cut_off", "heard", "reused")

    def __init__(self) -> None:
        self.cut_off = False
        self.heard = False
        """A byte of the reply has come."""
        self.reused = False
        """The connection served another request before."""
        self._hang_up: Callable[[], None] | None = None

    def attach(self, hang_up: Callable[[], None], *, reused: bool) -> None:
        """The request is about to be written to a connection that `hang_up` ends."""
        self.reused = reused
        self._hang_up = hang_up
        if self.cut_off:
            hang_up()

    def detach(self) -> None:
        """The connection is not this request's any more: from now on a cut is no business of it."""
        self._hang_up = None

    def cut(self) -> None:
        """Ends the request, now or as soon as it has a connection. Idempotent, harmless after the end."""
        self.cut_off = True
        if self._hang_up is not None:
            self._hang_up()


def not_connected(url: str, causes: Iterable[BaseException]) -> BackendError:
    """No connection was made; the first cause that is known decides what is said."""
    known = list(causes)
    for kind, text in (
        (socket.gaierror, "the host name of {} is not known; check its spelling and the network"),
        (
            ssl.SSLCertVerificationError,
            "the certificate of {} is not trusted; behind a company proxy set SSL_CERT_FILE to its file",
        ),
        (ssl.SSLError, "{} does not speak TLS; is it an http:// address?"),
        (ConnectionRefusedError, "nothing answers at {}; is the server running?"),
        (TimeoutError, "no connection to {} in time; check address and network"),
    ):
        if any(isinstance(cause, kind) for cause in known):
            return BackendError(Kind.NETWORK, text.format(origin(url)))
    return BackendError(Kind.NETWORK, f"no connection to {origin(url)}; check the address and the network")


def hung_up(ask: Ask, line: Line) -> BackendError | Stale:
    """The connection ended before the reply did."""
    if line.reused and not line.heard and not line.cut_off:
        return Stale()
    how = "broke off in the middle of its reply" if line.heard else "closed the connection without a reply"
    return BackendError(Kind.NETWORK, f"{origin(ask.url)} {how}; try again")


def silent(ask: Ask) -> BackendError:
    """Nothing came for as long as the request is patient."""
    text = f"{origin(ask.url)} said nothing for {ask.patience:g} s; qwen.timeout sets how long to wait"
    return BackendError(Kind.TIMEOUT, text)


def garbled(ask: Ask) -> BackendError:
    """What came is no HTTP/1.1."""
    return BackendError(Kind.PROTOCOL, f"{origin(ask.url)} does not speak proper HTTP/1.1; check qwen.baseUrl")


def check_plain(ask: Ask, headers: Mapping[str, str]) -> None:
    """Compression is never asked for; what is compressed all the same might be a few bytes that become gigabytes.

    Raises:
        BackendError: kind PROTOCOL: it is compressed.
    """
    if headers.get("content-encoding", "identity").strip().lower() not in ("", "identity"):
        where = origin(ask.url)
        raise BackendError(Kind.PROTOCOL, f"{where} compresses what was asked for plain; check qwen.baseUrl")


def unaskable(ask: Ask) -> BackendError:
    """No request can be made for such an address."""
    return BackendError(Kind.CONFIG, f"{origin(ask.url)} can't be asked; check qwen.baseUrl")


class Reply(Protocol):
    """A reply whose head has come."""

    status: int
    headers: Mapping[str, str]
    """Names in lower case."""

    def chunks(self) -> AsyncIterator[bytes]:
        """The body, decoded, as it comes. Read to its end, the connection is kept for the next request.

        Raises:
            BackendError: the connection broke or went silent.
        """

    async def close(self) -> None:
        """Gives the connection back, or closes it if the body was not read to its end. Never raises."""


class Wire(Protocol):
    """Who moves the bytes of requests."""

    async def send(self, ask: Ask, line: Line) -> Reply:
        """Sends the request and waits for the head of its reply. Redirects are not followed.

        Raises:
            BackendError: kind NETWORK, TIMEOUT, PROTOCOL or CONFIG.
            Stale: see there.
        """

    async def warm(self, url: str) -> None:
        """Does what the first request to this address would have to wait for, off the event loop."""

    async def close(self) -> None:
        """Closes every connection; no request may be under way."""


def origin(url: str) -> str:
    """Scheme, host and port: what a message may show of an address (the rest might hold a password)."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"


def checked_url(url: str, setting: str = "qwen.baseUrl") -> str:
    """The address without spaces around it and slashes after it.

    Raises:
        BackendError: kind CONFIG, naming the setting, when it is no http or https address with a host.
    """
    url = url.strip().rstrip("/")
    try:
        parts = urlsplit(url)
        good = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:
        good = False
    if good and url.isprintable() and " " not in url:
        return url
    shown = ascii(url if len(url) <= 60 else url[:57] + "...")
    raise BackendError(Kind.CONFIG, f"{setting}: expected a URL such as http://127.0.0.1:8080/v1, got {shown}")
