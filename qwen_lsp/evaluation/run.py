"""Asks for every hole through the whole pipeline, one after the other, and hands over each row as it is there.

Of two pipelines each hole is asked of both before the next one, so that whatever else the machine does hits both, and
they take turns at being first: the second may find the prompt in a cache that the first has filled. What is done is
the caller's, who may end this at any time by cancelling it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from qwen_lsp.core.model import Kind, Reason, Request, Skip, Snapshot
from qwen_lsp.core.prices import Price
from qwen_lsp.engine.record import Answer
from qwen_lsp.evaluation.hole import Hole, request
from qwen_lsp.evaluation.rows import Row, row

MOST_FAILURES = 5
"""Failures in a row after which a provider will not answer the next one either."""
PAUSES = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0)
"""Seconds to wait, one after the other, while the engine leaves a service alone that has refused (core/guard.py)."""
BILL = 0.02
"""Seconds between two looks for the service's count of tokens, which comes a moment after its last word."""
LOOKS = 10

_WAITING = frozenset({Reason.COOLING_DOWN, Reason.RATE_LIMITED})


class Asked(Protocol):
    """The engine, as far as it is needed here."""

    async def complete(self, request: Request) -> Answer:
        """Answers a request; never raises for an ordinary failure."""

    def closed(self, uri: str) -> None:
        """Nothing of a document is needed any more."""


class Desk(Protocol):
    """Whoever knows which documents are open: the workspace, from which passages of other files come."""

    def opened(self, snapshot: Snapshot) -> None:
        """A document is open, and what is on disk of it does not count."""

    def closed(self, uri: str) -> None:
        """It is not any more."""

    def repository(self, uri: str) -> tuple[str, str]:
        """The name of the workspace folder that a file lies in, and its path in there."""

    async def ready(self) -> None:
        """Waits until that is known wherever it matters."""


@dataclass(frozen=True, slots=True)
class Pipeline:
    """One configuration that is evaluated."""

    engine: Asked
    price: Price | None
    desk: Desk | None = None


class ProviderError(Exception):
    """The provider does not answer. `str()` is its message, one line."""


async def complete(
    holes: Sequence[Hole],
    pipelines: Sequence[Pipeline],
    *,
    uri: Callable[[Hole], str],
    on_rows: Callable[[Sequence[Row]], None],
    sleep: Callable[[float], Awaitable[None]],
) -> None:
    """Completes every hole with every pipeline. `on_rows` gets a hole's rows, in the order of the pipelines.

    Raises:
        ProviderError: one of the providers has failed `MOST_FAILURES` times in a row, or there is none.
    """
    failures = [0] * len(pipelines)
    for number, hole in enumerate(holes):
        order = list(range(len(pipelines)))
        if number % 2:
            order.reverse()
        rows: dict[int, Row] = {}
        for index in order:
            rows[index] = found = await _completed(hole, pipelines[index], uri(hole), sleep)
            failures[index] = failures[index] + 1 if found.failed else 0
            if found.reason is Reason.NO_PROVIDER or failures[index] == MOST_FAILURES:
                raise ProviderError(found.detail)
        on_rows([rows[index] for index in range(len(pipelines))])


async def _completed(hole: Hole, pipeline: Pipeline, uri: str, sleep: Callable[[float], Awaitable[None]]) -> Row:
    snapshot = hole.snapshot(uri)
    if pipeline.desk is not None:
        pipeline.desk.opened(snapshot)
        await pipeline.desk.ready()
    try:
        answer = await pipeline.engine.complete(request(hole, snapshot))
        for pause in PAUSES:
            if not _may_pass(answer):
                break
            await sleep(pause)
            answer = await pipeline.engine.complete(request(hole, snapshot))
        await _billed(answer, sleep)
        own = hole.path if pipeline.desk is None else pipeline.desk.repository(uri)[1]
        return row(hole, answer, pipeline.price, own)
    finally:
        # Two holes of one file are two documents to the engine: no answer to one may serve the other.
        pipeline.engine.closed(uri)
        if pipeline.desk is not None:
            pipeline.desk.closed(uri)


def _may_pass(answer: Answer) -> bool:
    """Whether the service only wants us to wait."""
    if not isinstance(answer.outcome, Skip):
        return False
    error = answer.record.flight.error if answer.record.flight else None
    return answer.outcome.reason in _WAITING or (error is not None and error.kind in {Kind.RATE, Kind.OVERLOADED})


async def _billed(answer: Answer, sleep: Callable[[float], Awaitable[None]]) -> None:
    """Waits for the count of tokens, where the service has written to its end."""
    flight = answer.record.flight
    for _ in range(LOOKS):
        if flight is None or flight.finish is None or flight.usage is not None:
            return
        await sleep(BILL)
