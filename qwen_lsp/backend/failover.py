"""Several backends in an order: the first that works answers, and the one a person has chosen comes back by itself.

Promises: only backends that were named are ever asked, in the order in which they were; one that has failed in a way
that waiting or mending may cure is left alone for a while, longer after each further failure; a person is told when
another one stands in. Does not repeat a request: the next key asks who answers then.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from qwen_lsp.core.dialects.errors import POLICIES
from qwen_lsp.core.model import BackendError, Delta, Kind, Notice, Prompt, Service

SHORTEST, LONGEST = 30.0, 300.0
"""Seconds for which one that has failed is left alone; twice as long after each further failure."""


class Generation(Protocol):
    """A streamed answer; `Exchange` is one."""

    def __aiter__(self) -> AsyncIterator[Delta]:
        """The deltas as they come."""

    def stop(self) -> None:
        """Nobody needs the rest."""


class Backend(Protocol):
    """One of them; `ModelBackend` fits."""

    async def service(self) -> Service:
        """Who answers. Raises BackendError."""

    def generate(self, service: Service, prompt: Prompt) -> Generation:
        """Asks."""

    async def close(self, *, linger: bool = False) -> None:
        """Ends all work."""


@dataclass(slots=True)
class _One:
    """One of them, and how it does."""

    name: str
    backend: Backend
    failure: BackendError | None = None
    """The last, if nothing has gone well since."""
    failures: int = 0
    until: float = 0.0
    """It is left alone up to here."""
    own: Service | None = None
    given: Service | None = None
    """Its service as it was given last: the same object as long as nothing is different."""


class Failover:
    """Fits the engine's `Backend` over others, each with the provider's name."""

    def __init__(
        self,
        backends: Sequence[tuple[str, Backend]],
        on_notice: Callable[[Notice], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._all = [_One(name, backend) for name, backend in backends]
        self._on_notice = on_notice
        self._clock = clock

    async def service(self) -> Service:
        """The first that works.

        Raises:
            BackendError: none does; what the first one had to say.
        """
        for one in self._all:
            if self._clock() < one.until:
                continue
            try:
                service = await one.backend.service()
            except BackendError as error:
                self._failed(one, error)
                if one is not self._all[0] and POLICIES[error.kind].tell:
                    text = f"{one.name} can't stand in (qwen.fallback): {error.message}"
                    self._on_notice(Notice(f"failover {one.name} fails {error.kind.value}", "warning", text))
                if one.until <= self._clock():
                    raise
                continue
            return self._given(one, service)
        failure = self._all[0].failure
        raise failure or BackendError(Kind.CONFIG, "nobody can be asked just now")

    def generate(self, service: Service, prompt: Prompt) -> Generation:
        """Asks the one whose service it is."""
        one = self._whose(service)
        own = one.own if one.own is not None and one.own == replace(service, standing_in="") else service
        return _Watched(
            one.backend.generate(own, prompt),
            on_answer=lambda: _worked(one),
            on_error=lambda error: self._failed(one, error),
        )

    def _whose(self, service: Service) -> _One:
        """Whose service it is; one that was given out a while ago may be another by now."""
        plain = replace(service, standing_in="")
        exact = (one for one in self._all if one.own == plain)
        alike = (one for one in self._all if one.name == service.provider)
        return next(exact, None) or next(alike, self._all[0])

    async def close(self, *, linger: bool = False) -> None:
        """Ends all work of all of them."""
        for one in self._all:
            await one.backend.close(linger=linger)

    def _given(self, one: _One, service: Service) -> Service:
        first, why = self._all[0], ""
        if one is not first and first.failure is not None:
            why = f"{one.name} answers while {first.name} fails: {first.failure.message}"
            self._on_notice(Notice(f"failover {one.name} {first.failure.kind.value}", "warning", why))
        if one.given is None or one.own is not service or one.given.standing_in != why:
            one.own, one.given = service, replace(service, standing_in=why) if why else service
        return one.given

    def _failed(self, one: _One, error: BackendError) -> None:
        policy = POLICIES[error.kind]
        if not policy.cool_down:
            return  # of this request only
        one.failure = error
        if self._clock() < one.until:
            return  # asked before that: of one outage everyone who waited tells
        one.failures += 1
        wait = max(SHORTEST, policy.cool_down, error.retry_after or 0.0) * 2.0 ** (one.failures - 1)
        one.until = self._clock() + min(wait, LONGEST)


def _worked(one: _One) -> None:
    one.failure, one.failures, one.until = None, 0, 0.0


class _Watched:
    """An answer whose first piece, or failure, is told on."""

    def __init__(
        self, generation: Generation, *, on_answer: Callable[[], None], on_error: Callable[[BackendError], None]
    ) -> None:
        self._generation = generation
        self._on_answer = on_answer
        self._on_error = on_error

    async def __aiter__(self) -> AsyncIterator[Delta]:
        told = False
        try:
            async for delta in self._generation:
                if not told:
                    told = True
                    self._on_answer()
                yield delta
        except BackendError as error:
            self._on_error(error)
            raise

    def stop(self) -> None:
        self._generation.stop()
