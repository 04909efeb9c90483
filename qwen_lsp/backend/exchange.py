"""One question to a model service and its streamed answer.

The exchange runs in one task (`run`) that is *never cancelled* (see `wire.Line`): it is told to stop, its
consumer is released at once, and the task ends by itself. The consumer may be cancelled at any await
without harm. There is one retry at most, and only while nothing of an answer has come. What a reply means
is for core/dialects to say.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial

from qwen_lsp.backend.wire import Ask, Line, Reply, origin
from qwen_lsp.core import dialects
from qwen_lsp.core.dialects.errors import POLICIES
from qwen_lsp.core.model import BackendError, Delta, Kind, Service
from qwen_lsp.core.sse import SseDecoder

log = logging.getLogger(__name__)

MAX_STREAM = 16 * 1024 * 1024
"""Bytes of one streamed reply: 8,192 tokens of 400 bytes each are 3 MiB."""
MAX_TEXT = 256 * 1024
"""Characters of one answer: 8,192 tokens of 32 each. Judging what never ends would hold up everything else."""
MAX_PIECES = 8192
"""Of one answer: a piece for each token."""
MAX_WHOLE = 256 * 1024
"""Bytes of a reply that is no stream: an error, or an answer in one piece."""
LONGEST_PAUSE = 2.0
"""Seconds that a service may ask us to wait and still be asked again for the same place."""
DRAIN_SECONDS = 0.25
DRAIN_BYTES = 64 * 1024
"""What a reply that nobody needs may still cost, because a reply read to its end leaves a connection to use
again."""


class Exchange:
    """Iterate it once for the deltas; fits the engine's `Generation`. Made by `Http.generate`."""

    def __init__(  # noqa: PLR0913 - effects are arguments
        self,
        service: Service,
        ask: Callable[[], Ask],
        send: Callable[[Ask, Line], Awaitable[Reply]],
        *,
        timeout: float,
        near: bool,
        jitter: Callable[[], float],
        on_error: Callable[[BackendError], None],
    ) -> None:
        self._service = service
        self._ask = ask
        self._send = send
        self._timeout = timeout
        self._near = near
        self._jitter = jitter
        self._on_error = on_error
        self._deadline = asyncio.get_running_loop().time() + timeout
        self._line = Line()
        self._deltas: deque[Delta] = deque()
        self._error: BackendError | None = None
        self._news = asyncio.Event()
        self._over = asyncio.Event()
        """Nothing more is for the consumer, though the task may still be reading."""
        self._answered = False
        """A byte of an answer has come."""
        self._finishing = False
        """The model has stopped writing; what is left of the reply is short."""
        self._events = 0
        self._text = self._pieces = 0
        """Characters of the answer so far, and pieces they came in."""
        self._drain: asyncio.TimerHandle | None = None

    def __aiter__(self) -> Exchange:
        return self

    async def __anext__(self) -> Delta:
        while not self._deltas:
            if self._error is not None:
                error, self._error = self._error, None
                raise error
            if self._over.is_set():
                raise StopAsyncIteration
            self._news.clear()
            await self._news.wait()
        return self._deltas.popleft()

    def stop(self, *, drain: bool = True) -> None:
        """Nobody needs the rest. Iteration ends at once; the server hears of it within 0.25 s.

        It hears at once when it has not begun to answer, and when it is near: then a connection costs nothing,
        and computing costs the person's own processor.
        """
        self._deltas.clear()
        self._error = None
        short = self._finishing or (self._answered and not self._near)
        self._finish()
        if not (drain and short):
            self._line.cut()

    async def run(self) -> None:
        """The exchange itself, for a task of its own. Never raises."""
        timer = asyncio.get_running_loop().call_at(self._deadline, self._expire)
        try:
            await self._attempts()
        except BackendError as error:
            self._fail(error)
        except Exception as error:  # noqa: BLE001 - whoever waits must be told, whatever went wrong
            # Not the exception itself: its text may quote the reply.
            log.error("exchange failed: %s", type(error).__name__)  # noqa: TRY400 - as said
            self._fail(BackendError(Kind.PROTOCOL, f"the reply of {self._where()} was not understood"))
        finally:
            self._finish()
            timer.cancel()
            if self._drain is not None:
                self._drain.cancel()

    async def _attempts(self) -> None:
        retried = False
        while not self._over.is_set():
            try:
                await self._attempt()
            except BackendError as error:
                pause = None if retried or self._answered else pause_before_retry(error, self._jitter())
                if pause is None or asyncio.get_running_loop().time() + pause >= self._deadline:
                    raise
                retried = True
                log.debug("retry kind=%s pause=%.2f", error.kind.value, pause)
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._over.wait(), pause)
            else:
                return

    async def _attempt(self) -> None:
        self._line = Line()
        reply = await self._send(self._ask(), self._line)
        try:
            media = reply.headers.get("content-type", "").partition(";")[0].strip().lower()
            if not 200 <= reply.status < 300:
                raise await self._refusal(reply)
            if "json" in media or "html" in media:
                await self._whole(reply, media)
            else:
                await self._stream(reply)
        finally:
            await reply.close()

    async def _stream(self, reply: Reply) -> None:
        """Reads to the end of the body; the loop is never left early, or httpx's generators would linger."""
        decoder, size, unneeded = SseDecoder(), 0, 0
        async for chunk in reply.chunks():
            self._answered = True
            size += len(chunk)
            if self._over.is_set():
                unneeded += len(chunk)
                if unneeded > DRAIN_BYTES:
                    self._line.cut()
            elif size > MAX_STREAM:
                self._fail(self._endless())
            else:
                self._take(partial(decoder.feed, chunk))
        if not self._over.is_set():
            self._take(decoder.close)
        if not self._events:
            self._fail(self._empty())

    def _take(self, events: Callable[[], list[str]]) -> None:
        try:
            for data in events():
                self._events += 1
                delta = dialects.delta(self._service, data)
                if delta is None:
                    self._finishing = True
                    self._finish()
                    return
                self._text += len(delta.text)
                self._pieces += bool(delta.text)
                if self._text > MAX_TEXT or self._pieces > MAX_PIECES:
                    raise self._endless()
                self._finishing = self._finishing or delta.finish is not None
                self._deltas.append(delta)
                self._news.set()
        except BackendError as error:
            self._fail(error)
        except ValueError:
            self._fail(BackendError(Kind.PROTOCOL, f"an event in the reply of {self._where()} is too large"))

    async def _refusal(self, reply: Reply) -> BackendError:
        if reply.status < 400:
            text = f"{self._where()} redirects to another address; set qwen.baseUrl to that one"
            return BackendError(Kind.CONFIG, text)
        body = await read_body(reply, self._line, MAX_WHOLE)
        return dialects.failure(self._service, reply.status, reply.headers, body)

    async def _whole(self, reply: Reply, media: str) -> None:
        """A reply in one piece: an error, or the answer of a server that can't stream."""
        body = await read_body(reply, self._line, MAX_WHOLE)
        if "html" in media:
            text = f"{self._where()} answered with a web page; check qwen.baseUrl"
            raise BackendError(Kind.PROTOCOL, text)
        if not body.strip():
            raise self._empty()
        self._answered = True
        self._take(lambda: [body.decode("utf-8", "replace")])

    def _empty(self) -> BackendError:
        return BackendError(Kind.PROTOCOL, f"{self._where()} sent an empty reply; check qwen.baseUrl")

    def _endless(self) -> BackendError:
        return BackendError(Kind.PROTOCOL, f"the reply of {self._where()} does not end")

    def _expire(self) -> None:
        if not self._over.is_set():
            text = f"no complete answer from {self._where()} within {self._timeout:g} s (qwen.timeout)"
            self._fail(BackendError(Kind.TIMEOUT, text))
        self._line.cut()

    def _fail(self, error: BackendError) -> None:
        if not self._over.is_set():
            self._error = error
            self._finish()
            self._on_error(error)

    def _finish(self) -> None:
        """Releases the consumer; what is left of the reply has a moment to end by itself."""
        if not self._over.is_set():
            self._over.set()
            self._news.set()
            self._drain = asyncio.get_running_loop().call_later(DRAIN_SECONDS, self._line.cut)

    def _where(self) -> str:
        return origin(self._service.base_url)


def pause_before_retry(error: BackendError, jitter: float) -> float | None:
    """Seconds to wait before the one retry that the table of policies allows, or None when there is none."""
    if not POLICIES[error.kind].retry:
        return None
    if error.retry_after is None:
        return 0.1 + 0.3 * jitter
    return error.retry_after if error.retry_after <= LONGEST_PAUSE else None


async def read_body(reply: Reply, line: Line, limit: int) -> bytes:
    """The body, cut at `limit` bytes; what a connection gave before it broke is better than nothing."""
    body = bytearray()
    with suppress(BackendError):
        async for chunk in reply.chunks():
            body += chunk[: limit - len(body)]
            if len(body) >= limit:
                line.cut()
    return bytes(body)
