"""One completion from request to ghost: every decision, in order. Callees decide nothing of policy.

Asks no one twice for what it knows, and never raises for an ordinary failure: not completing is a `Skip`.
"""

from __future__ import annotations

import asyncio
import logging
import math
import random
import time
from collections import deque
from collections.abc import Callable, Coroutine
from typing import Any

from qwen_lsp.core.config import Settings
from qwen_lsp.core.context import budget, window
from qwen_lsp.core.dialects.errors import POLICIES
from qwen_lsp.core.gate import file_name, gate
from qwen_lsp.core.guard import Guard, Urgency
from qwen_lsp.core.model import (
    BackendError,
    Ghost,
    Kind,
    Notice,
    Outcome,
    Prompt,
    Reason,
    Request,
    Service,
    Skip,
    Snapshot,
    Trigger,
)
from qwen_lsp.core.place import after_accepting
from qwen_lsp.core.place import place as placed
from qwen_lsp.core.polish import worth_showing
from qwen_lsp.core.prompt import SERVER_STOPS
from qwen_lsp.core.reuse import Known, Place, Reuse
from qwen_lsp.core.rhythm import Rhythm
from qwen_lsp.core.scene import Scene, scene
from qwen_lsp.engine.flight import Flight
from qwen_lsp.engine.ports import Backend
from qwen_lsp.engine.record import Answer, Record
from qwen_lsp.engine.scheduler import LATENCY_TARGET, Scheduler

logger = logging.getLogger(__name__)

WIRE_LIMIT, WIRE_LIMIT_LOCAL = 2, 1
"""Generations on the wire at once. A local server has one model to share: two at once make both late."""
PASSING = 3
"""Failures in a row after which a broken connection is no accident."""
HITS = 16
"""Answers asked ahead of which it is remembered that they have been counted as wanted."""
PREFETCH_AFTER = 0.05
"""Seconds that a suggestion is shown before the state after accepting it is asked for."""


class Engine:
    """Completes requests with one backend under one set of settings; a new one is made when these change."""

    def __init__(
        self,
        backend: Backend,
        settings: Settings,
        *,
        clock: Callable[[], float] = time.monotonic,
        on_notice: Callable[[Notice], None] = lambda _notice: None,
    ) -> None:
        self._backend = backend
        self._settings = settings
        self._clock = clock
        self._on_notice = on_notice
        self._scheduler = Scheduler(clock)
        self._reuse = Reuse(clock)
        self._rhythm = Rhythm()
        self._last: Place | None = None
        self._prefetching: asyncio.TimerHandle | None = None
        self._hits: deque[Place] = deque(maxlen=HITS)
        self._guard = Guard()
        self.prefetched = self.prefetch_hits = 0
        """How often the state after a suggestion was asked for, and how often that was wanted."""

    async def complete(self, request: Request, *, on_text: Callable[[str], None] | None = None) -> Answer:
        """Answers a request. `on_text` hears the text so far, each time from its beginning.

        Raises nothing but CancelledError.
        """
        record = Record(self._clock)
        if request.trigger is Trigger.AUTOMATIC:
            self._rhythm.key(self._clock())
        self._stop_prefetch()
        outcome = await self._outcome(request, record, on_text)
        if isinstance(outcome, Ghost):
            self._prefetch_after(request, outcome, record.service)
        # Once the answer is on its way: a line in the log takes as long as all that follows a model's last word.
        asyncio.get_running_loop().call_soon(_log, record, outcome)
        return Answer(outcome, record)

    def accepted(self, uri: str) -> None:
        """A suggestion in this document was taken."""

    def closed(self, uri: str) -> None:
        """A document was closed: nothing of it is needed any more."""
        self._scheduler.drop(uri)
        self._reuse.forget(uri)
        self._last = None

    async def close(self, *, linger: bool = False) -> None:
        """Ends all work. Requests that still wait are answered as superseded.

        With `linger` an embedded model stays loaded for the next editor: right after an orderly goodbye.
        """
        self._stop_prefetch()
        await self._scheduler.close()
        await self._backend.close(linger=linger)

    async def _outcome(self, request: Request, record: Record, on_text: Callable[[str], None] | None) -> Outcome:
        uri = request.snapshot.uri
        skip = gate(request, self._settings)
        record.stage("gate", skip.reason.value if skip else "")
        if skip:
            self._scheduler.supersede(uri)
            return skip
        try:
            service = record.service = await self._backend.service()
        except BackendError as error:
            record.stage("provider", error.kind.value)
            self._tell(error)
            return Skip(Reason.NO_PROVIDER if error.kind is Kind.CONFIG else Reason.ERROR, error.message)
        record.stage("provider", f"{service.provider} {service.model} {service.route.value}")
        here, around = _place(request, service)
        record.stage("context", f"{len(here.window.prefix)}+{len(here.window.suffix)} characters")
        deleting = bool(self._last and self._last.typed_since(here))
        self._last = here
        known = self._reuse.rest(here)
        record.stage("reuse", "hit" if known else "miss")
        # An empty answer is remembered for those who ask by typing; a person who asks by hand wants another try.
        if known and (known.text or request.trigger is Trigger.AUTOMATIC):
            self._scheduler.supersede(uri, but=here)
            if known.asked_ahead:
                self._hit(known.asked_ahead)
            return self._shown(known.text, request, around, record, "prefetch" if known.asked_ahead else "cache")
        by_hand = request.trigger is Trigger.INVOKED
        landing = await self._scheduler.landing(
            here,
            lambda: self._launch(here, around, service, request.snapshot, _urgency(request)),
            delay=lambda: self._delay(request, deleting=deleting),
            limit=_wire_limit(service),
            flow=None if by_hand else self._rhythm.flow,
            # Who asks by hand waits for all of it: their editor does not ask again by itself.
            patience=math.inf if by_hand else LATENCY_TARGET,
            on_text=on_text,
        )
        if isinstance(landing, Skip):
            record.stage("model", landing.reason.value)
            return landing
        record.flight = landing.flight
        record.stage("model", "adopted" if landing.adopted else (landing.flight.rule or landing.flight.finish or ""))
        if landing.flight.error is not None:
            return Skip(Reason.ERROR, landing.flight.error.message)
        landing.flight.shown = True
        if landing.flight.background:
            self._hit(landing.flight.place)
        return self._shown(landing.rest, request, around, record, "flight" if landing.adopted else "model")

    def _shown(self, text: str, request: Request, around: Scene, record: Record, source: str) -> Outcome:
        """A polished text as a ghost, or why it is not worth one."""
        skip = worth_showing(text, around)
        ghost = None if skip else placed(text, request, source=source)
        record.stage("place", source)
        return skip or ghost or Skip(Reason.FILTERED, "only what already follows")

    def _launch(
        self, here: Place, around: Scene, service: Service, snapshot: Snapshot, urgency: Urgency
    ) -> tuple[Flight, Coroutine[Any, Any, None]] | Skip:
        """The question for a place and the task that asks it, unless the service may not be asked just now."""
        cost = (len(here.window.prefix) + len(here.window.suffix)) // 4 + self._settings.max_tokens
        if refusal := self._guard.refusal(self._clock(), urgency, cost):
            return Skip(refusal.reason, refusal.detail)
        prompt = Prompt(
            prefix=here.window.prefix,
            suffix=here.window.suffix,
            language=snapshot.language,
            path=file_name(snapshot.uri),
            max_tokens=self._settings.max_tokens,
            temperature=self._settings.temperature,
            stop=SERVER_STOPS,
        )
        background = urgency is Urgency.BACKGROUND
        flight = Flight(here, around, service, prompt, self._clock, background=background)
        self._guard.sent(self._clock(), cost)
        if not background:
            self._rhythm.asked()
        logger.debug("asks prefix=%d suffix=%d urgency=%s", len(prompt.prefix), len(prompt.suffix), urgency.name)
        flight.on_settled = self._landed
        # The exchange starts now: the flight's first step comes a turn of the event loop later.
        return flight, flight.run(self._backend.generate(service, prompt))

    def _landed(self, flight: Flight) -> None:
        """A flight has settled: what it says is kept, and what it took is learned from."""
        now = self._clock()
        if flight.error is not None:
            self._guard.failed(now, flight.error, random.random())  # noqa: S311 - editors must not return together
            # What may pass by itself is told when it has not.
            passing = flight.error.kind in (Kind.NETWORK, Kind.PROTOCOL) and self._guard.failures < PASSING
            if not passing:
                self._tell(flight.error)
            return
        if flight.first_text is not None or not flight.abandoned:
            usage = flight.usage
            self._guard.succeeded(now, usage.prompt + usage.completion if usage else None)
        if flight.first_text is not None and not flight.background:
            self._rhythm.answered(flight.first_text - flight.started)
        logger.debug("ends pieces=%d rule=%s abandoned=%s", flight.pieces, flight.rule, flight.abandoned)
        if not flight.abandoned:
            self._reuse.put(flight.place, _known(flight, flight.polished.text))
        elif flight.shown:
            # A person who takes back what they typed instead sees again what they saw.
            self._reuse.put(flight.place, _known(flight, flight.whole_lines))

    def _prefetch_after(self, request: Request, ghost: Ghost, service: Service | None) -> None:
        """Asks in the background for what would follow if the ghost were accepted, where that is wanted.

        Whoever has nearly typed it through asks for that in a moment anyway: doing so ahead costs nothing more.
        """
        wanted = self._settings.prefetch
        if service is None or wanted is False:
            return
        through = ghost.source != "model" and self._rhythm.nearly_through(len(ghost.insert))
        if wanted is True or service.is_local or through:
            loop = asyncio.get_running_loop()
            after = 0.0 if through else PREFETCH_AFTER
            self._prefetching = loop.call_later(after, self._prefetch, after_accepting(request, ghost), service)

    def _prefetch(self, request: Request, service: Service) -> None:
        here, around = _place(request, service)
        if gate(request, self._settings) or self._reuse.rest(here):
            return
        if self._scheduler.background(
            here, lambda: self._launch(here, around, service, request.snapshot, Urgency.BACKGROUND)
        ):
            self.prefetched += 1

    def _hit(self, asked_at: Place) -> None:
        """An answer that was asked ahead is wanted; each counts once, however many keys it serves."""
        if asked_at not in self._hits:
            self._hits.append(asked_at)
            self.prefetch_hits += 1

    def _stop_prefetch(self) -> None:
        if self._prefetching is not None:
            self._prefetching.cancel()
            self._prefetching = None

    def _tell(self, error: BackendError) -> None:
        """Tells the person what they have to mend."""
        if POLICIES[error.kind].tell:
            level = "warning" if error.kind is Kind.CONFIG else "error"
            self._on_notice(Notice(f"{error.kind.value}: {error.message}", level, error.message))

    def _delay(self, request: Request, *, deleting: bool) -> float:
        """Seconds to rest before asking for a place where nothing known fits."""
        if request.trigger is Trigger.INVOKED:
            return 0.0
        if self._settings.debounce != "auto":
            return self._settings.debounce / 1000
        if not (deleting or request.snapshot.lines[request.line][: request.column].strip()):
            return 0.0  # a new line: the thought before it is complete
        return self._rhythm.rest(self._clock(), deleting=deleting)


def _log(record: Record, outcome: Outcome) -> None:
    logger.info(record.line(outcome))


def _known(flight: Flight, text: str) -> Known:
    return Known(text, asked_ahead=flight.place if flight.background else None)


def _place(request: Request, service: Service) -> tuple[Place, Scene]:
    """Where a request asks this service, and what stands around it."""
    around = window(request, budget(service))
    asked = f"{service.base_url} {service.model} {service.route.value}"
    return Place(request.snapshot.uri, asked, around), scene(around, request.snapshot.language, service.route)


def _urgency(request: Request) -> Urgency:
    return Urgency.INVOKED if request.trigger is Trigger.INVOKED else Urgency.AUTOMATIC


def _wire_limit(service: Service) -> int:
    return WIRE_LIMIT_LOCAL if service.is_local else WIRE_LIMIT
