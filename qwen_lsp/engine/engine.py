"""One completion from request to ghost: every decision, in order. Callees decide nothing of policy.

Asks no one twice for what it knows, and never raises for an ordinary failure: not completing is a `Skip`.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Coroutine
from typing import Any

from qwen_lsp.core.config import Settings
from qwen_lsp.core.context import budget, window
from qwen_lsp.core.dialects.errors import POLICIES
from qwen_lsp.core.gate import file_name, gate
from qwen_lsp.core.model import (
    BackendError,
    Kind,
    Notice,
    Outcome,
    Prompt,
    Reason,
    Request,
    Service,
    Skip,
    Trigger,
)
from qwen_lsp.core.place import place as placed
from qwen_lsp.core.polish import worth_showing
from qwen_lsp.core.prompt import SERVER_STOPS
from qwen_lsp.core.reuse import Place, Reuse
from qwen_lsp.core.scene import Scene, scene
from qwen_lsp.engine.flight import Flight
from qwen_lsp.engine.ports import Backend
from qwen_lsp.engine.record import Answer, Record
from qwen_lsp.engine.scheduler import Landing, Scheduler

logger = logging.getLogger(__name__)

_REST = 0.075
"""Seconds without a key before a service is asked while somebody types."""
_REST_LOCAL = 0.15
"""The same for the embedded model, whose time is the person's own processor's."""


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
        self._scheduler = Scheduler()
        self._reuse = Reuse(clock)
        self._cooling: tuple[float, str] | None = None

    async def complete(self, request: Request, *, on_text: Callable[[str], None] | None = None) -> Answer:
        """Answers a request. `on_text` hears the text so far, each time from its beginning.

        Raises nothing but CancelledError.
        """
        record = Record(self._clock)
        outcome = await self._outcome(request, record, on_text)
        logger.info(record.line(outcome))
        return Answer(outcome, record)

    def accepted(self, uri: str) -> None:
        """A suggestion in this document was taken."""

    def closed(self, uri: str) -> None:
        """A document was closed: nothing of it is needed any more."""
        self._scheduler.drop(uri)
        self._reuse.forget(uri)

    async def close(self, *, linger: bool = False) -> None:
        """Ends all work. Requests that still wait are answered as superseded.

        With `linger` an embedded model stays loaded for the next editor: right after an orderly goodbye.
        """
        await self._scheduler.close()
        await self._backend.close(linger=linger)

    async def _outcome(self, request: Request, record: Record, on_text: Callable[[str], None] | None) -> Outcome:
        skip = gate(request, self._settings) or self._cooling_down(request)
        record.stage("gate", skip.reason.value if skip else "")
        if skip:
            return skip
        try:
            service = record.service = await self._backend.service()
        except BackendError as error:
            record.stage("provider", error.kind.value)
            return self._failed(error)
        record.stage("provider", f"{service.provider} {service.model} {service.route.value}")
        around = window(request, budget(service))
        surroundings = scene(around, request.snapshot.language, service.route)
        here = Place(request.snapshot.uri, f"{service.base_url} {service.model} {service.route.value}", around)
        record.stage("context", f"{len(around.prefix)}+{len(around.suffix)} characters")
        known = self._reuse.rest(here)
        record.stage("reuse", "hit" if known is not None else "miss")
        # An empty answer is remembered for those who ask by typing; a person who asks by hand wants another try.
        if known or (known is not None and request.trigger is Trigger.AUTOMATIC):
            return self._shown(known, request, surroundings, record, "cache")
        landing = await self._scheduler.landing(
            here,
            lambda: self._launch(here, surroundings, service, request),
            delay=self._delay(request, service),
            on_text=on_text,
        )
        if landing is None:
            record.stage("model", Reason.SUPERSEDED.value)
            return Skip(Reason.SUPERSEDED)
        _note(landing, record)
        if landing.flight.error is not None:
            return Skip(Reason.ERROR, landing.flight.error.message)
        return self._shown(landing.rest, request, surroundings, record, "flight" if landing.adopted else "model")

    def _shown(self, text: str, request: Request, around: Scene, record: Record, source: str) -> Outcome:
        """A polished text as a ghost, or why it is not worth one."""
        skip = worth_showing(text, around)
        ghost = None if skip else placed(text, request, source=source)
        record.stage("place", source)
        return skip or ghost or Skip(Reason.FILTERED, "only what already follows")

    def _launch(
        self, here: Place, around: Scene, service: Service, request: Request
    ) -> tuple[Flight, Coroutine[Any, Any, None]]:
        prompt = Prompt(
            prefix=here.window.prefix,
            suffix=here.window.suffix,
            language=request.snapshot.language,
            path=file_name(request.snapshot.uri),
            max_tokens=self._settings.max_tokens,
            temperature=self._settings.temperature,
            stop=SERVER_STOPS,
        )
        flight = Flight(here, around, service, prompt, self._clock)
        return flight, self._fly(flight)

    async def _fly(self, flight: Flight) -> None:
        await flight.run(self._backend.generate(flight.service, flight.prompt))
        if flight.error is not None:
            self._failed(flight.error)
        elif not flight.abandoned:
            self._reuse.put(flight.place, flight.polished.text)

    def _failed(self, error: BackendError) -> Skip:
        """Leaves the service alone for as long as its failure asks for, and tells the person what they have to mend."""
        policy = POLICIES[error.kind]
        pause = max(policy.cool_down, error.retry_after or 0)
        if pause:
            self._cooling = (self._clock() + pause, error.message)
        if policy.tell:
            level = "warning" if error.kind is Kind.CONFIG else "error"
            self._on_notice(Notice(f"{error.kind.value}: {error.message}", level, error.message))
        reason = Reason.NO_PROVIDER if error.kind is Kind.CONFIG else Reason.ERROR
        return Skip(reason, error.message)

    def _cooling_down(self, request: Request) -> Skip | None:
        """Asked by hand, the service is tried all the same."""
        if self._cooling is None or request.trigger is Trigger.INVOKED:
            return None
        until, message = self._cooling
        if self._clock() >= until:
            self._cooling = None
            return None
        return Skip(Reason.COOLING_DOWN, message)

    def _delay(self, request: Request, service: Service) -> float:
        if request.trigger is Trigger.INVOKED:
            return 0.0
        if self._settings.debounce != "auto":
            return self._settings.debounce / 1000
        return _REST_LOCAL if service.is_local else _REST


def _note(landing: Landing, record: Record) -> None:
    """What the flight knows about itself, for the record."""
    flight = landing.flight
    record.prompt, record.raw, record.rule = flight.prompt, flight.raw, flight.rule
    record.filters, record.finish, record.usage = flight.filters, flight.finish, flight.usage
    record.pieces = flight.pieces
    if flight.first_text is not None:
        record.first_token_ms = (flight.first_text - flight.started) * 1000
    if flight.ended is not None:
        record.generation_ms = (flight.ended - flight.started) * 1000
    record.stage("model", "adopted" if landing.adopted else (flight.rule or flight.finish or ""))
