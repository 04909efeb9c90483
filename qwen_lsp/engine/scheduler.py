"""Who waits for which generation: a request joins or takes over what is in flight, or starts anew.

One request a document is current: a newer one at another place supersedes it, since editors such as Neovim and Helix
never take their requests back. A flight that nobody waits for is given a short grace, in which the next key usually
takes it over, and is then stopped.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any

from qwen_lsp.core.reuse import Place
from qwen_lsp.engine.flight import Flight

GRACE = 0.5
"""Seconds a flight goes on without a waiter. VS Code takes a request back at each key and asks again 50 ms later;
Neovim asks 200 ms after the last key."""


@dataclass(eq=False, slots=True)
class Waiter:
    """One request that waits; `wake` is set at every news."""

    place: Place
    superseded: bool = False
    wake: asyncio.Event = field(default_factory=asyncio.Event)


@dataclass(frozen=True, slots=True)
class Landing:
    """A flight that has an answer for a place, and what is left of it there."""

    flight: Flight
    rest: str
    adopted: bool
    """Another request had started it."""


class Scheduler:
    """The work in flight. Used from the event loop's thread only."""

    def __init__(self) -> None:
        self._flights: list[Flight] = []
        self._waiters: set[Waiter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._closed = False

    async def landing(
        self,
        place: Place,
        launch: Callable[[], tuple[Flight, Coroutine[Any, Any, None]]],
        *,
        delay: float,
        on_text: Callable[[str], None] | None = None,
    ) -> Landing | None:
        """The answer for a place, after `delay` seconds of rest if nothing in flight fits; None when superseded.

        `launch` makes a flight and the coroutine that runs it. A flight with an error is returned as it is.
        """
        waiter = Waiter(place)
        self._supersede(place)
        self._waiters.add(waiter)
        started: Flight | None = None
        try:
            while not (waiter.superseded or self._closed):
                flight = self._fitting(place)
                if flight is None and delay > 0:
                    await self._pause(waiter, delay)
                    delay = 0
                    continue
                if flight is None:
                    flight = started = self._start(*launch())
                rest = await self._wait(waiter, flight, on_text)
                if rest is not None:
                    return Landing(flight, rest, adopted=flight is not started)
            return None
        finally:
            self._waiters.discard(waiter)

    def drop(self, uri: str) -> None:
        """The document has gone: its waiters are released, its flights stopped."""
        for waiter in self._waiters:
            if waiter.place.uri == uri:
                waiter.superseded = True
                waiter.wake.set()
        for flight in self._flights:
            if flight.place.uri == uri:
                flight.stop()

    async def close(self) -> None:
        """Stops every flight, releases every waiter, and waits until no task is left."""
        self._closed = True
        for flight in self._flights:
            flight.stop()
        for waiter in self._waiters:
            waiter.wake.set()
        if self._tasks:
            await asyncio.wait(self._tasks)

    def _supersede(self, place: Place) -> None:
        for waiter in self._waiters:
            if waiter.place.uri == place.uri and waiter.place != place:
                waiter.superseded = True
                waiter.wake.set()

    def _fitting(self, place: Place) -> Flight | None:
        """The newest flight that has, or may yet have, an answer for the place."""
        for flight in reversed(self._flights):
            if not flight.settled and not flight.abandoned and flight.rest(place) is not None:
                return flight
        return None

    def _start(self, flight: Flight, run: Coroutine[Any, Any, None]) -> Flight:
        for other in self._flights:
            if other.place.uri == flight.place.uri and not other.waiting:
                other.stop()
        task = asyncio.ensure_future(run)
        self._flights.append(flight)
        self._tasks.add(task)
        task.add_done_callback(lambda _: self._landed(flight, task))
        return flight

    def _landed(self, flight: Flight, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        self._flights.remove(flight)

    async def _wait(self, waiter: Waiter, flight: Flight, on_text: Callable[[str], None] | None) -> str | None:
        """What the flight has for the waiter once it is settled; None when superseded or it went another way."""
        flight.waiting.add(waiter.wake)
        try:
            while not (waiter.superseded or self._closed):
                rest = flight.rest(waiter.place)
                if flight.settled:
                    return rest if flight.error is None else ""
                if rest is None:
                    return None
                if rest and on_text is not None:
                    on_text(rest)
                await waiter.wake.wait()
                waiter.wake.clear()
            return None
        finally:
            flight.waiting.discard(waiter.wake)
            if not flight.waiting and not flight.settled:
                asyncio.get_running_loop().call_later(GRACE, self._stop_if_alone, flight)

    @staticmethod
    def _stop_if_alone(flight: Flight) -> None:
        if not flight.waiting:
            flight.stop()

    @staticmethod
    async def _pause(waiter: Waiter, delay: float) -> None:
        try:
            async with asyncio.timeout(delay):
                await waiter.wake.wait()
        except TimeoutError:
            return
        waiter.wake.clear()
