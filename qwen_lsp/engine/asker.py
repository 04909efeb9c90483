"""From a request to a flight: what the model is shown, whether the service may be asked, and what is learned from it.

What is shown is bounded by a budget (core/context.py) that follows the service's speed. It is kept while the cursor
stays on a line, so that what a line's answers depend on does not change between two keys.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, replace
from typing import Any

from qwen_lsp.core.config import Settings
from qwen_lsp.core.context import Budget, budget, density_near, window
from qwen_lsp.core.gate import file_name
from qwen_lsp.core.guard import Guard, Urgency
from qwen_lsp.core.model import Format, Outcome, Prompt, Reason, Request, Service, Skip, Usage
from qwen_lsp.core.place import place as placed
from qwen_lsp.core.polish import worth_showing
from qwen_lsp.core.prompt import SERVER_STOPS, snippet_format
from qwen_lsp.core.reuse import Place
from qwen_lsp.core.scene import Scene, scene
from qwen_lsp.core.secrets import Vault
from qwen_lsp.core.speed import Speed
from qwen_lsp.core.tokens import Correction, common, estimate
from qwen_lsp.engine.flight import Flight, prompt_text
from qwen_lsp.engine.passages import Passages
from qwen_lsp.engine.ports import Backend, Sources
from qwen_lsp.engine.unmasked import Unmasked

logger = logging.getLogger(__name__)

SLOW = 60.0
"""Tokens a second that a model on this machine reads at least, as long as nothing is known."""


@dataclass(frozen=True, slots=True)
class Shape:
    """How much of a document is shown, in the tokens of a service and in the code points that they are here."""

    line: int
    service: Service
    budget: Budget
    per_token: float
    correction: float

    @property
    def room(self) -> int:
        """Code points for passages of other files."""
        return int(self.budget.snippets * self.per_token)


@dataclass(frozen=True, slots=True)
class Question:
    """A request as it concerns one service."""

    request: Request
    service: Service
    here: Place
    around: Scene
    shape: Shape

    def ghost(self, text: str, source: str) -> Outcome:
        """A polished text as a ghost, or why it is not worth one."""
        skip = worth_showing(text, self.around)
        ghost = None if skip else placed(text, self.request, source=source)
        return skip or ghost or Skip(Reason.FILTERED, "only what already follows")


class Asker:
    """Asks one backend, and remembers what that has taught. Used from the event loop's thread only."""

    def __init__(
        self, backend: Backend, settings: Settings, clock: Callable[[], float], sources: Sources | None
    ) -> None:
        self.passages = Passages(sources)
        self._guards: dict[str, Guard] = {}
        self.on_landed: Callable[[Flight], None] = lambda _flight: None
        """Called when a flight has settled."""
        self.on_spent: Callable[[Service, str, Usage], None] = lambda _service, _language, _usage: None
        """Called when all is known of what a model was asked, with the language and the tokens."""
        self.asked = self.written = 0
        """How often a model was asked, and the tokens it wrote."""
        self._backend = backend
        self._settings = settings
        self._clock = clock
        self._sources = sources
        self._shapes: dict[str, Shape] = {}
        self._speeds: dict[str, Speed] = {}
        self._corrections: dict[tuple[str, str], Correction] = {}
        self._vault = Vault()
        self._last: Prompt | None = None
        """What was sent last: what a server has in its cache begins like it."""

    def question(self, request: Request, service: Service, *, ahead: bool = False) -> Question:
        """What a request asks this service. `ahead`: for a place where the cursor is not yet, so nothing is chosen."""
        uri = request.snapshot.uri
        shape = self._shapes.get(uri)
        if shape is None or shape.service is not service or (shape.line != request.line and not ahead):
            shape = self._shapes[uri] = self._shape(request, service, shape)
        around = window(request, shape.budget, shape.per_token)
        place = Place(uri, f"{service.base_url} {service.model} {service.route.value}", around)
        return Question(request, service, place, scene(around, request.snapshot.language, service.route), shape)

    def prepare(self, question: Question) -> asyncio.Future[None] | None:
        """Looks for passages of other files to show; the search, if it still runs."""
        return self.passages.look(question.request, question.here.window, question.shape.room)

    def launch(
        self, question: Question, urgency: Urgency, *, varied: float | None = None
    ) -> tuple[Flight, Coroutine[Any, Any, None]] | Skip:
        """The flight for a question and the task that runs it, unless the service may not be asked just now.

        `varied` is the temperature of an answer that is wanted beside the likeliest one.
        """
        prompt = self._prompt(question, varied)
        cost = self._tokens(prompt, question) + self._settings.max_tokens
        if refusal := self.guard(question.service).refusal(self._clock(), urgency, cost):
            return Skip(refusal.reason, refusal.detail)
        background = urgency is Urgency.BACKGROUND
        flight = Flight(
            question.here,
            question.around,
            question.service,
            prompt,
            self._clock,
            background=background,
            alternative=varied is not None,
        )
        self.guard(question.service).sent(self._clock(), cost)
        self.asked += 1
        logger.debug("asks prefix=%d suffix=%d urgency=%s", len(prompt.prefix), len(prompt.suffix), urgency.name)
        flight.on_settled = self._landed
        before, self._last = self._last, prompt
        flight.on_ended = lambda ended: self._ended(ended, before)
        # The exchange starts now: the flight's first step comes a turn of the event loop later.
        generation = self._backend.generate(question.service, prompt)
        return flight, flight.run(Unmasked(generation, self._vault) if self._vault.used else generation)

    def reading(self, question: Question) -> float:
        """Seconds that a model on this machine is likely to read before it answers this question."""
        tokens = self._anew(self._prompt(question, None), self._last, question.service)
        return tokens / (self._speed(question.service).shown or SLOW)

    def closed(self, uri: str) -> None:
        """A document was closed."""
        self.passages.closed(uri)
        self._shapes.pop(uri, None)

    def _shape(self, request: Request, service: Service, held: Shape | None) -> Shape:
        correction = self._correction(service, request.snapshot.language).ratio
        size = budget(service, self._settings, self._speed(service).shown, snippets=self._sources is not None)
        per_token = density_near(request, correction, held.per_token if held else None)
        return Shape(request.line, service, size, per_token, correction)

    def _prompt(self, question: Question, varied: float | None) -> Prompt:
        uri, around = question.request.snapshot.uri, question.here.window
        repository, path = self._sources.repository(uri) if self._sources is not None else ("", file_name(uri))
        chosen = self._settings.snippet_format
        # What the embedded model reads stays on this machine.
        mask = str if question.service.is_local else self._vault.mask
        return Prompt(
            prefix=mask(around.prefix),
            suffix=mask(around.suffix),
            language=question.request.snapshot.language,
            path=path,
            max_tokens=self._settings.max_tokens,
            temperature=self._settings.temperature if varied is None else max(varied, self._settings.temperature),
            stop=SERVER_STOPS,
            snippets=tuple(replace(shown, text=mask(shown.text)) for shown in self.passages.shown(uri)),
            format=snippet_format(question.service.model) if chosen == "auto" else Format(chosen),
            repository=repository,
        )

    def _tokens(self, prompt: Prompt, question: Question) -> int:
        """About how many tokens a prompt has."""
        elsewhere = sum(len(snippet.text) for snippet in prompt.snippets)
        return int((len(prompt.prefix) + len(prompt.suffix) + elsewhere) / question.shape.per_token)

    def _landed(self, flight: Flight) -> None:
        """A flight has settled: the guard hears of it, then whoever gives its answer."""
        now = self._clock()
        if flight.error is not None:
            self.guard(flight.service).failed(now, flight.error, random.random())  # noqa: S311 - editors must not return together
        elif flight.first_text is not None or not flight.abandoned:
            usage = flight.usage
            self.guard(flight.service).succeeded(now, usage.prompt + usage.completion if usage else None)
        logger.debug("ends pieces=%d rule=%s abandoned=%s", flight.pieces, flight.rule, flight.abandoned)
        self.on_landed(flight)

    def _ended(self, flight: Flight, before: Prompt | None) -> None:
        """All is known of a flight: how fast its prompt was read, and how many tokens that was."""
        self.written += flight.usage.completion if flight.usage else flight.pieces
        if flight.error is not None:
            return
        service, usage = flight.service, flight.usage
        correction = self._correction(service, flight.prompt.language)
        if usage is None:  # a stop rule has ended the stream: what it cost is never told
            told = round(estimate(prompt_text(flight.prompt, service.route)) * correction.ratio)
            read = min(round(self._anew(flight.prompt, before, service)), told)
            usage = flight.estimate = Usage(told, flight.pieces, told - read)
        else:
            correction.heard(usage.prompt, estimate(prompt_text(flight.prompt, service.route)))
        # What was taken back before its first word counts too: the service may have read all of it, and send a bill.
        self.on_spent(service, flight.prompt.language, usage)
        if flight.first_text is None:
            return
        self._speed(service).heard(usage.prompt - usage.cached, flight.first_text - flight.started)

    def _anew(self, prompt: Prompt, before: Prompt | None, service: Service) -> float:
        """Tokens of a prompt, estimated, that are not in the cache of whoever has read `before` last."""
        text = prompt_text(prompt, service.route)
        cached = common(text, prompt_text(before, service.route)) if before is not None else 0
        return estimate(text[cached:]) * self._correction(service, prompt.language).ratio

    def guard(self, service: Service) -> Guard:
        """What is known of a service's limits and health."""
        return self._guards.setdefault(f"{service.base_url} {service.model}", Guard())

    def _speed(self, service: Service) -> Speed:
        return self._speeds.setdefault(f"{service.base_url} {service.model}", Speed())

    def _correction(self, service: Service, language: str) -> Correction:
        return self._corrections.setdefault((f"{service.base_url} {service.model}", language), Correction())
