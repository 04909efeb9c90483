"""Who waits for which generation: a request joins or takes over what is in flight, or starts anew.

One request a document is current: a newer one at another place supersedes it, since editors such as Neovim and Helix
never take their requests back. A flight that nobody waits for is given a short grace, in which the next key usually
takes it over, and is then stopped. No more flights than a service takes are on the wire; background ones yield.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from qwen_lsp.core.model import Reason, Service, Skip
from qwen_lsp.core.reuse import Place
from qwen_lsp.engine.flight import Flight

WIRE_LIMIT, WIRE_LIMIT_LOCAL = 2, 1
"""Generations on the wire at once. A local server has one model to share: two at once make both late."""
GRACE = 0.5
"""Seconds a flight goes on without a waiter. VS Code takes a request back at each key and asks again 50 ms later;
Neovim asks 200 ms after the last key."""

LATENCY_TARGET = 0.5
"""Seconds after which a flight's whole lines are given although more may come: a person notices a longer wait."""
PREPARATION = 0.15
"""Seconds that a flight's preparation is waited for at most."""
EARLIEST, LATEST = 0.5, 1.5
"""Usual gaps after a key between which whole lines are given to a person in full flow. Before, the rest may still come
in time; after, the person has paused, and would rather see all of it."""

Launched: TypeAlias = "tuple[Flight, Coroutine[Any, Any, None]] | Skip"
Launch: TypeAlias = Callable[[], Launched]
"""Makes a flight and the coroutine that runs it, or says why the service may not be asked just now."""


@dataclass(eq=False, slots=True)
class Waiter:
    """One request that waits; `wake` is set at every news."""

    place: Place
    since: float
    flow: float | None
    """Seconds between two keys of a person who types fast."""
    patience: float
    """Seconds that a flight may take before its whole lines are better than all of it later."""
    superseded: bool = False
    wake: asyncio.Event = field(default_factory=asyncio.Event)


@dataclass(frozen=True, slots=True)
class Landing:
    """A flight that has an answer for a place, and what there is of it."""

    flight: Flight
    rest: str
    adopted: bool
    """Another request had started it."""


class Scheduler:
    """The work in flight. Used from the event loop's thread only."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._flights: list[Flight] = []
        self._waiters: set[Waiter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._closed = False

    async def landing(  # noqa: PLR0913 - what a request may ask for
        self,
        place: Place,
        launch: Launch,
        *,
        delay: Callable[[], float],
        limit: int,
        flow: float | None = None,
        patience: float = LATENCY_TARGET,
        on_text: Callable[[str], None] | None = None,
        prepare: Callable[[], asyncio.Future[None] | None] = lambda: None,
    ) -> Landing | Skip:
        """The answer for a place, or why there is none. A flight with an error is returned as it is.

        Where nothing in flight fits, a new flight starts after `delay()` seconds without a newer request, and when
        fewer than `limit` are on the wire. `flow` is the gap between two keys of a person in full flow: who is
        likely to be gone before the end gets the lines that are whole, and so does everyone after `patience` seconds.
        `prepare` is called when nothing fits, and what it gives is waited for before a flight starts.
        """
        waiter = Waiter(place, self._clock(), flow, patience)
        self.supersede(place.uri, but=place)
        self._waiters.add(waiter)
        started: Flight | None = None
        preparation: asyncio.Future[None] | None = None
        rested = False
        try:
            while not (waiter.superseded or self._closed):
                flight = self._fitting(place)
                if flight is None:
                    first, rested = not rested, True
                    preparation = prepare() if first else preparation
                    if first and (seconds := delay()) > 0:
                        await self._rest(waiter, seconds)
                    elif not self._has_room(place, limit):
                        await pause(waiter, GRACE)
                    elif preparation is not None and not preparation.done():
                        await self._prepared(waiter, preparation)
                        preparation = None
                    elif isinstance(launched := launch(), Skip):
                        return launched
                    else:
                        started = self._start(*launched)
                    continue
                rest = await self._wait(waiter, flight, on_text)
                if rest is not None:
                    return Landing(flight, rest, adopted=flight is not started)
            return Skip(Reason.SUPERSEDED)
        finally:
            self._waiters.discard(waiter)

    def background(self, place: Place, launch: Launch) -> bool:
        """Starts a flight that nobody waits for yet, if nothing else is on the wire; whether it did."""
        if self._closed or self._live() or self._fitting(place) or isinstance(launched := launch(), Skip):
            return False
        self._start(*launched)
        return True

    def beside(self, launch: Launch, limit: int) -> Flight | Skip | None:
        """Starts a flight beside those on the wire; None while there is no room for it."""
        if self._closed or len(self._live()) >= limit:
            return None
        launched = launch()
        return launched if isinstance(launched, Skip) else self._start(*launched)

    @contextmanager
    def waiting(self, place: Place) -> Iterator[Waiter]:
        """Somebody waits for something at a place: `superseded` by whatever is asked elsewhere, woken at all news."""
        waiter = Waiter(place, self._clock(), None, math.inf)
        self._waiters.add(waiter)
        try:
            yield waiter
        finally:
            self._waiters.discard(waiter)

    def supersede(self, uri: str, *, but: Place | None = None) -> None:
        """Releases whoever waits for this document, except at the same place."""
        for waiter in self._waiters:
            if waiter.place.uri == uri and waiter.place != but:
                waiter.superseded = True
                waiter.wake.set()

    def drop(self, uri: str) -> None:
        """The document has gone: its waiters are released, its flights stopped."""
        self.supersede(uri)
        for flight in self._flights:
            if flight.place.uri == uri:
                flight.stop()

    async def close(self) -> None:
        """Stops every flight, releases every waiter, and waits until no task is left."""
        self._closed = True
        for flight in self._flights:
            flight.stop()
        for waiter in self._waiters:
            waiter.superseded = True
            waiter.wake.set()
        if self._tasks:
            await asyncio.wait(self._tasks)

    def _live(self) -> list[Flight]:
        return [flight for flight in self._flights if not (flight.settled or flight.abandoned)]

    def _fitting(self, place: Place) -> Flight | None:
        """The newest flight that has, or may yet have, an answer for the place."""
        for flight in reversed(self._flights):
            if not (flight.settled or flight.abandoned or flight.alternative) and flight.may_fit(place):
                return flight
        return None

    def _has_room(self, place: Place, limit: int) -> bool:
        """Whether one more flight may start; stops those that nobody waits for, as far as they are in the way."""
        for flight in self._live():
            if not flight.waiting and (flight.background or flight.place.uri == place.uri):
                flight.stop()
        for flight in self._live():
            if (flight.alternative or not flight.waiting) and len(self._live()) >= limit:
                flight.stop()
        return len(self._live()) < limit

    def _start(self, flight: Flight, run: Coroutine[Any, Any, None]) -> Flight:
        task = asyncio.ensure_future(run)
        self._flights.append(flight)
        self._tasks.add(task)
        task.add_done_callback(lambda _: self._landed(flight, task))
        return flight

    def _landed(self, flight: Flight, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        self._flights.remove(flight)
        for waiter in self._waiters:
            waiter.wake.set()

    async def _prepared(self, waiter: Waiter, preparation: asyncio.Future[None]) -> None:
        """Waits for a preparation, not for ever, unless the waiter is superseded. It goes on by itself."""
        preparation.add_done_callback(lambda _: waiter.wake.set())
        until = self._clock() + PREPARATION
        while not (preparation.done() or waiter.superseded or self._closed):
            if (left := until - self._clock()) <= 0:
                return
            await pause(waiter, left)

    async def _rest(self, waiter: Waiter, seconds: float) -> None:
        """Lets this time pass, unless the waiter is superseded."""
        until = self._clock() + seconds
        while not (waiter.superseded or self._closed) and (left := until - self._clock()) > 0:
            await pause(waiter, left)

    async def _wait(self, waiter: Waiter, flight: Flight, on_text: Callable[[str], None] | None) -> str | None:
        """What the flight has for the waiter, when it is settled or late; None when it does not fit, or superseded."""
        typed = waiter.place.typed_since(flight.place)
        flight.waiting.add(waiter.wake)
        try:
            while typed is not None and not (waiter.superseded or self._closed):
                if flight.settled:
                    return flight.rest(typed) if flight.error is None else ""
                if typed and flight.rest(typed) is None:
                    return None
                if on_text is not None:
                    on_text(flight.rest(typed) or "")
                until_early = self._until_early(waiter, flight)
                if on_text is None and until_early <= 0 and (early := flight.early(typed)):
                    return early
                if typed or on_text is not None or until_early <= 0:
                    flight.listening.add(waiter.wake)
                await pause(waiter, until_early if 0 < until_early < math.inf else None)
            return None
        finally:
            flight.waiting.discard(waiter.wake)
            flight.listening.discard(waiter.wake)
            if not (flight.waiting or flight.settled):
                asyncio.get_running_loop().call_later(GRACE, _stop_if_alone, flight)

    def _until_early(self, waiter: Waiter, flight: Flight) -> float:
        """Seconds until whole lines may be given, though more may come; not positive when they may be now."""
        if flight.shown and waiter.patience != math.inf:
            return 0.0  # more of what is on the screen
        now = self._clock()
        late = flight.started + waiter.patience - now
        if waiter.flow is None or now > waiter.since + LATEST * waiter.flow:
            return late
        return min(late, waiter.since + EARLIEST * waiter.flow - now)


def wire_limit(service: Service) -> int:
    """How many generations of a service may be on the wire at once."""
    return WIRE_LIMIT_LOCAL if service.is_local else WIRE_LIMIT


def _stop_if_alone(flight: Flight) -> None:
    if not (flight.waiting or flight.shown):
        flight.stop()


async def pause(waiter: Waiter, seconds: float | None) -> None:
    """Rests until something happens, at most this long."""
    if waiter.wake.is_set():
        waiter.wake.clear()
        return
    try:
        async with asyncio.timeout(seconds):
            await waiter.wake.wait()
    except TimeoutError:
        return
    waiter.wake.clear()
