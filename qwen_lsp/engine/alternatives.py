"""Further answers to one question asked by hand: more varied ones beside the likeliest, within bounds of time and wire.

They are asked while the likeliest is written, but after it where the model runs on this machine, which two at once
would make late; and not at all where their prompt would have to be read first. Nobody else takes them over, and they
make room for whoever asks next. Order: the likeliest first (engine.py); of the others those that came to an end of
their own before those cut short, the less varied before the more varied.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from qwen_lsp.core.context import is_near
from qwen_lsp.core.guard import Urgency
from qwen_lsp.core.model import Ghost, Outcome, Reason, Skip, Trigger
from qwen_lsp.core.reuse import Place
from qwen_lsp.engine.asker import Asker, Question
from qwen_lsp.engine.flight import Flight
from qwen_lsp.engine.scheduler import Launch, Scheduler, Waiter, pause, wire_limit

TEMPERATURES = (0.6, 0.9, 1.1, 1.3)
"""Of the first, second, … further answer. Each its own: some services give the same text for the same question."""
PATIENCE = 1.5
"""Seconds that the likeliest answer, once it is complete, waits for the others."""
CHEAP = 0.3
"""Seconds of reading that a further answer may cost a model on this machine: its prompt has to be in the cache."""


@dataclass(frozen=True, slots=True)
class Alternative:
    """A further answer's polished text; `whole` when it came to an end of its own."""

    text: str
    whole: bool


class Candidates:
    """Offers further answers to whoever asks by hand, `most` with the likeliest at most."""

    def __init__(self, scheduler: Scheduler, asker: Asker, most: int, clock: Callable[[], float]) -> None:
        self._scheduler = scheduler
        self._asker = asker
        self._most = most
        self._clock = clock
        self._last: tuple[Place, list[str]] | None = None
        """The further answers that were given last, and where: editors ask again when somebody cycles."""

    def alternatives(self, question: Question) -> Alternatives | None:
        """The further answers to a question, not asked yet; None where none are wanted."""
        if question.request.trigger is not Trigger.INVOKED or self._most < 2:
            return None
        launches = [
            partial(self._asker.launch, question, Urgency.BACKGROUND, varied=temperature)
            for temperature in TEMPERATURES[: self._most - 1]
        ]
        return Alternatives(self._scheduler, question, launches, self._clock)

    async def beside(
        self, outcome: Outcome, question: Question, alternatives: Alternatives
    ) -> tuple[Outcome, list[Ghost]]:
        """The likeliest answer and those that differ from it. Where it is nothing, the next best takes its place."""
        if isinstance(outcome, Skip) and outcome.reason not in (Reason.EMPTY, Reason.FILTERED):
            return outcome, []
        if self._last is not None and self._last[0] == question.here:
            texts = self._last[1]
        elif is_near(question.service) and self._asker.reading(question) > CHEAP:
            return outcome, []
        else:
            texts = [answer.text for answer in await alternatives.landed(PATIENCE)]
            self._last = question.here, texts
        ghosts = [question.ghost(text, "model") for text in texts]
        shown = {ghost.insert: ghost for ghost in ghosts if isinstance(ghost, Ghost)}
        first = outcome.insert if isinstance(outcome, Ghost) else ""
        others = [shown[text] for text in distinct(first, list(shown))]
        return (others[0], others[1:]) if others and isinstance(outcome, Skip) else (outcome, others)


class Alternatives:
    """The further answers to one question. Used once; `close` it."""

    def __init__(
        self, scheduler: Scheduler, question: Question, launches: Sequence[Launch], clock: Callable[[], float]
    ) -> None:
        self._scheduler = scheduler
        self._clock = clock
        self._place = question.here
        self._left = list(launches)
        self._limit = wire_limit(question.service)
        self._flights: list[Flight] = []
        self._waiter: Waiter | None = None

    def start(self) -> None:
        """Asks for as many as there is room for; a service that may not be asked just now is not asked again."""
        while self._left:
            flight = self._scheduler.beside(self._left[0], self._limit)
            if flight is None:
                return
            if isinstance(flight, Skip):
                self._left.clear()
                return
            del self._left[0]
            self._flights.append(flight)
            if self._waiter is not None:
                flight.waiting.add(self._waiter.wake)

    async def landed(self, patience: float) -> list[Alternative]:
        """What has come after so many seconds at most, or when the person asks elsewhere."""
        until = self._clock() + patience
        with self._scheduler.waiting(self._place) as waiter:
            self._waiter = waiter
            for flight in self._flights:
                flight.waiting.add(waiter.wake)
            self.start()
            while self._unfinished and not waiter.superseded and (left := until - self._clock()) > 0:
                await pause(waiter, left)
                self.start()
            for flight in self._flights:
                flight.waiting.discard(waiter.wake)
            self._waiter = None
        answers = [_alternative(flight) for flight in self._flights if not flight.abandoned and flight.error is None]
        return sorted((answer for answer in answers if answer.text), key=lambda answer: not answer.whole)

    def close(self) -> None:
        """Ends what still runs."""
        self._left.clear()
        for flight in self._flights:
            flight.stop()

    @property
    def _unfinished(self) -> bool:
        return bool(self._left) or not all(flight.settled for flight in self._flights)


def distinct(first: str, others: Sequence[str]) -> list[str]:
    """Those of the others that say something else than the first and than each other, in their order.

    Equal but for blanks is the same, and so is what another one begins with.
    """
    bare = ["".join(text.split()) for text in others]
    seen = {"".join(first.split())}
    kept = []
    for text, says in zip(others, bare, strict=True):
        longer = any(other != says and other.startswith(says) for other in (*seen, *bare))
        if says and says not in seen and not longer:
            seen.add(says)
            kept.append(text)
    return kept


def _alternative(flight: Flight) -> Alternative:
    return (
        Alternative(flight.polished.text, whole=True)
        if flight.settled
        else Alternative(flight.whole_lines, whole=False)
    )
