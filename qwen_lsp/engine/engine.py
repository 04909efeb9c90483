"""One completion from request to ghost: every decision, in order. Callees decide nothing of policy.

Asks no one twice for what it knows, and never raises for an ordinary failure: not completing is a `Skip`.
"""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections import deque
from collections.abc import Callable

from qwen_lsp.core.budget import WARNING, told
from qwen_lsp.core.config import BudgetSettings, Settings
from qwen_lsp.core.context import is_near
from qwen_lsp.core.dialects.errors import POLICIES
from qwen_lsp.core.gate import Accepted, gate
from qwen_lsp.core.guard import Urgency
from qwen_lsp.core.model import (
    BackendError,
    Ghost,
    Kind,
    Notice,
    Outcome,
    Reason,
    Request,
    Service,
    Skip,
    Trigger,
    Usage,
)
from qwen_lsp.core.place import after_accepting
from qwen_lsp.core.reuse import Known, Place, Reuse
from qwen_lsp.core.rhythm import Rhythm
from qwen_lsp.core.status import Health
from qwen_lsp.engine.alternatives import Alternatives, Candidates
from qwen_lsp.engine.asker import Asker, Question
from qwen_lsp.engine.flight import Flight
from qwen_lsp.engine.ports import Backend, Sources
from qwen_lsp.engine.record import Answer, Record
from qwen_lsp.engine.scheduler import LATENCY_TARGET, Launched, Scheduler, wire_limit

logger = logging.getLogger(__name__)

PASSING = 3
"""Failures in a row after which a broken connection is no accident."""
HITS = 16
"""Answers asked ahead of which it is remembered that they have been counted as wanted."""
STARTING_AFTER = 0.7
"""Seconds after which it is told that whoever completes is still being started."""
PREFETCH_AFTER = 0.05
"""Seconds that a suggestion is shown before the state after accepting it is asked for."""


class Engine:
    """Completes requests with one backend under one set of settings; a new one is made when these change."""

    def __init__(  # noqa: PLR0913 - effects are arguments
        self,
        backend: Backend,
        settings: Settings,
        *,
        sources: Sources | None = None,
        clock: Callable[[], float] = time.monotonic,
        on_notice: Callable[[Notice], None] = lambda _notice: None,
        on_spent: Callable[[Service, str, Usage], None] = lambda _service, _language, _usage: None,
        used: Callable[[Service, BudgetSettings], float] = lambda _service, _budget: 0.0,
    ) -> None:
        self._used = used
        self.starting_after = STARTING_AFTER
        self.on_starting: Callable[[], None] = lambda: None
        """Called when whoever completes has to be started, and that takes so long that a person would wonder."""
        self.on_started: Callable[[], None] = lambda: None
        """Called when that is over, whatever came of it."""
        self._backend = backend
        self._settings = settings
        self._clock = clock
        self._on_notice = on_notice
        self._sources = sources
        self._asker = Asker(backend, settings, clock, sources)
        self._asker.on_landed = self._landed
        self._asker.on_spent = on_spent
        self._scheduler = Scheduler(clock)
        self._candidates = Candidates(self._scheduler, self._asker, settings.candidates, clock)
        self._reuse = Reuse(clock)
        self._rhythm = Rhythm()
        self._service: Service | None = None
        self._trouble: BackendError | None = None
        self._last: Place | None = None
        self._prefetching: asyncio.TimerHandle | None = None
        self._hits: deque[Place] = deque(maxlen=HITS)
        self._shown_last: dict[str, tuple[Request, Ghost]] = {}
        self._newest: dict[str, Request] = {}
        """The last request of each document."""
        self._accepted: Accepted | None = None
        self._share, self._budgets = 0.0, 0
        """What was used of the budget when it was last looked at, and how many there have been so far."""
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
        self._newest[request.snapshot.uri] = request
        others: list[Ghost] = []
        question = await self._question(request, record)
        if not request.asks_like(self._newest.get(request.snapshot.uri)):
            # Who waits for the service to be found may be overtaken by who comes a moment after that.
            question = Skip(Reason.SUPERSEDED)
        elif isinstance(question, Skip):
            self._scheduler.supersede(request.snapshot.uri)  # nobody waits for where the editor was before
        if isinstance(question, Skip):
            outcome: Outcome = question
        else:
            alternatives = self._candidates.alternatives(question)
            try:
                outcome = await self._outcome(question, record, on_text, alternatives)
                if alternatives is not None:
                    outcome, others = await self._candidates.beside(outcome, question, alternatives)
                    record.stage("others", str(len(others)))
            finally:
                if alternatives is not None:
                    alternatives.close()
        if isinstance(outcome, Ghost):
            self._shown_last[request.snapshot.uri] = request, outcome
            self._prefetch_after(request, outcome, record.service)
        # Once the answer is on its way: a line in the log takes as long as all that follows a model's last word.
        asyncio.get_running_loop().call_soon(_log, record, outcome)
        return Answer(outcome, record, tuple(others))

    @property
    def health(self) -> Health:
        """What is known of whoever completes."""
        return Health(self._service, self._trouble, self._rhythm.latency)

    @property
    def spent(self) -> tuple[int, int]:
        """How often a model was asked, and how many tokens it wrote."""
        return self._asker.asked, self._asker.written

    def use(self, settings: Settings) -> None:
        """Takes settings that differ in what is completed and when, not in who completes and how."""
        self._settings = settings

    def accepted(self, uri: str) -> None:
        """The last suggestion in this document was taken."""
        if shown := self._shown_last.get(uri):
            after = after_accepting(*shown)
            self._accepted = Accepted(uri, after.line, after.column)

    def closed(self, uri: str) -> None:
        """A document was closed: nothing of it is needed any more."""
        self._stop_prefetch()
        self._scheduler.drop(uri)
        self._reuse.forget(uri)
        self._asker.closed(uri)
        self._shown_last.pop(uri, None)
        self._newest.pop(uri, None)
        self._last = self._accepted = None

    async def close(self, *, linger: bool = False) -> None:
        """Ends all work. Requests that still wait are answered as superseded.

        With `linger` an embedded model stays loaded for the next editor: right after an orderly goodbye.
        """
        self._stop_prefetch()
        await self._asker.passages.close()
        await self._scheduler.close()
        await self._backend.close(linger=linger)

    async def _question(self, request: Request, record: Record) -> Question | Skip:
        """What is to be asked, and whom; or why nobody is."""
        uri = request.snapshot.uri
        taken = self._accepted
        if taken is not None and (taken.line, taken.column) != (request.line, request.column):
            self._accepted = None  # the person has gone on
        skip = gate(request, self._settings, accepted=self._accepted)
        if skip is None and self._sources is not None:
            skip = self._sources.refusal(uri)
        record.stage("gate", skip.reason.value if skip else "")
        if skip:
            return skip
        try:
            service = record.service = self._service = await self._found()
        except BackendError as error:
            self._trouble = error
            record.stage("provider", error.kind.value)
            self._tell(error)
            return Skip(Reason.NO_PROVIDER if error.kind is Kind.CONFIG else Reason.ERROR, error.message)
        if self._trouble is not None and self._trouble.kind is Kind.CONFIG:
            self._trouble = None
        record.stage("provider", f"{service.provider} {service.model} {service.route.value}")
        if skip := self._over_budget(service):
            record.stage("budget", skip.reason.value)
            return skip
        question = self._asker.question(request, service)
        record.shape, record.window = question.shape, question.here.window
        record.stage("context", f"{len(record.window.prefix)}+{len(record.window.suffix)} characters")
        return question

    async def _found(self) -> Service:
        """Who completes; the first time it may have to be started."""
        if self._service is not None:
            return await self._backend.service()
        told = asyncio.get_running_loop().call_later(self.starting_after, self.on_starting)
        try:
            return await self._backend.service()
        finally:
            told.cancel()
            self.on_started()

    def _over_budget(self, service: Service) -> Skip | None:
        """Refuses a paid service once the day's budget is used, and tells a person before it is."""
        share = self._used(service, self._settings.budget)
        if share:
            # Less than before: it is another day, or the budget is a larger one. What was told then is told again.
            self._budgets += share < self._share
            self._share = share
        if share >= WARNING:
            self._on_notice(Notice(f"budget {self._budgets} {share >= 1}", "warning", told(share)))
        return Skip(Reason.BUDGET) if share >= 1 else None

    async def _outcome(
        self,
        question: Question,
        record: Record,
        on_text: Callable[[str], None] | None,
        alternatives: Alternatives | None,
    ) -> Outcome:
        """The likeliest answer: what is known already, else what is in flight, else what a new flight says."""
        request, here = question.request, question.here
        deleting = bool(self._last and self._last.typed_since(here))
        self._last = here
        if (known := self._known(question, record)) is not None:
            return known
        whole = request.once or request.trigger is Trigger.INVOKED
        landing = await self._scheduler.landing(
            here,
            lambda: self._launch(question, alternatives),
            delay=lambda: self._delay(request, deleting=deleting),
            limit=wire_limit(question.service),
            flow=None if whole else self._rhythm.flow,
            # Who asks by hand waits for all of it, and so does a menu: neither asks again by itself.
            patience=math.inf if whole else LATENCY_TARGET,
            on_text=on_text,
            prepare=lambda: self._asker.prepare(question),
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
        source = "flight" if landing.adopted else "model"
        record.stage("place", source)
        return _named(question.ghost(landing.rest, source), landing.flight)

    def _known(self, question: Question, record: Record) -> Outcome | None:
        """What is left of an older answer that still fits."""
        known = self._reuse.rest(question.here)
        record.stage("reuse", "hit" if known else "miss")
        # An empty answer is remembered for those who ask by typing; a person who asks by hand wants another try.
        if known is None or not (known.text or question.request.trigger is Trigger.AUTOMATIC):
            return None
        self._scheduler.supersede(question.request.snapshot.uri, but=question.here)
        if known.asked_ahead:
            self._hit(known.asked_ahead)
        source = "prefetch" if known.asked_ahead else "cache"
        record.stage("place", source)
        outcome = question.ghost(known.text, source)
        return known.silent or outcome if isinstance(outcome, Skip) else outcome

    def _launch(self, question: Question, alternatives: Alternatives | None) -> Launched:
        urgency = Urgency.INVOKED if question.request.trigger is Trigger.INVOKED else Urgency.AUTOMATIC
        launched = self._asker.launch(question, urgency)
        if not isinstance(launched, Skip):
            self._rhythm.asked()
            if alternatives is not None and not is_near(question.service):
                asyncio.get_running_loop().call_soon(alternatives.start)
        return launched

    def _landed(self, flight: Flight) -> None:
        """A flight has settled: what it says is kept, and what it took is learned from."""
        self._trouble = flight.error
        if flight.error is not None:
            # What may pass by itself is told when it has not.
            passing = (
                flight.error.kind in (Kind.NETWORK, Kind.PROTOCOL)
                and self._asker.guard(flight.service).failures < PASSING
            )
            if not (passing or flight.alternative):
                self._tell(flight.error)
            return
        if flight.alternative:
            return
        if flight.first_text is not None and not flight.background:
            self._rhythm.answered(flight.first_text - flight.started)
            if (seconds := self._rhythm.slow) is not None:
                self._on_notice(Notice("slow", "info", _slow(flight.service, seconds)))
        if not flight.abandoned:
            self._reuse.put(flight.place, _kept(flight, flight.polished.text))
        elif flight.shown:
            # A person who takes back what they typed instead sees again what they saw.
            self._reuse.put(flight.place, _kept(flight, flight.whole_lines))

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
        if gate(request, self._settings):
            return
        question = self._asker.question(request, service, ahead=True)
        if self._reuse.rest(question.here):
            return
        if self._scheduler.background(question.here, lambda: self._asker.launch(question, Urgency.BACKGROUND)):
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


def _named(outcome: Outcome, flight: Flight) -> Outcome:
    """Silence about what a model did write, with the names of the rules and filters that left nothing of it."""
    if isinstance(outcome, Ghost) or not flight.settled or not flight.raw.strip():
        return outcome
    names = [name for name in (flight.rule, *flight.filters) if name]
    return Skip(Reason.FILTERED, ", ".join(names) or outcome.detail)


def _slow(service: Service, seconds: float) -> str:
    """What a person is told once of a service that takes so long on average, and what may help."""
    hint = "a smaller one (qwen2.5-coder-0.5b) or qwen.promptTokens" if service.is_local else "another model or region"
    return f"{service.model} takes {seconds:.1f} s to begin, on average; {hint} may be faster"


def _log(record: Record, outcome: Outcome) -> None:
    logger.info(record.line(outcome))


def _kept(flight: Flight, text: str) -> Known:
    silent = None if text.strip() else _named(Skip(Reason.EMPTY), flight)
    asked_ahead = flight.place if flight.background else None
    return Known(text, asked_ahead, silent if isinstance(silent, Skip) else None)
