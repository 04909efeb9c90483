"""What became of the last requests of a session: for whoever asks why nothing is shown, and for the statistics.

Holds counts, names and times, never text.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from statistics import median
from types import MappingProxyType

from qwen_lsp.core.model import Ghost, Outcome, Reason, Request, Skip
from qwen_lsp.engine.record import Answer

KEPT = 250
"""Requests that are remembered one by one."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One request."""

    uri: str
    language: str
    outcome: Ghost | Skip
    """A ghost without its text."""
    ms: float
    """Until the answer was there."""
    record: Mapping[str, float | str] = field(default_factory=lambda: MappingProxyType({}))
    """Sizes, times, names and counts, as far as they were known when the answer was given."""

    @property
    def text(self) -> str:
        """What became of it, in one or two sentences for a person."""
        if isinstance(self.outcome, Ghost):
            how = {"model": "the model wrote it", "flight": "the model was writing it already"}
            source = how.get(self.outcome.source, "it was known already")
            return f"A suggestion was shown after {self.ms:.0f} ms: {source}."
        reason, detail = self.outcome.reason, self.outcome.detail
        return f"{reason.sentence.rstrip('.')}: {detail}" if detail else reason.sentence


@dataclass(frozen=True, slots=True)
class Figures:
    """A session in numbers."""

    requests: int
    shown: int
    accepted: int
    silent: Mapping[str, int]
    """How often nothing was shown, by the reason's name, the most frequent first."""
    ms: float | None
    """Of the remembered requests that showed something, the median."""
    asked: int
    """How often a model was asked."""
    tokens: int
    """How many it wrote."""


class Journal:
    """One session's requests."""

    def __init__(self) -> None:
        self._entries: deque[Entry] = deque(maxlen=KEPT)
        self._outcomes: Counter[Reason | None] = Counter()
        self._accepted = 0
        self._spent = self._before = (0, 0)
        """By the engine that runs, and by those before it."""

    def add(self, request: Request, answer: Answer, ms: float) -> None:
        """A request has ended."""
        snapshot, outcome = request.snapshot, answer.outcome
        # Not the ghost as it is: the journal holds no text.
        kept = Ghost(0, 0, 0, "", "", outcome.source) if isinstance(outcome, Ghost) else outcome
        known = _record(answer) | {"lines": len(snapshot.lines)}
        self._entries.append(Entry(snapshot.uri, snapshot.language, kept, ms, known))
        self._outcomes[None if isinstance(outcome, Ghost) else outcome.reason] += 1

    def accepted(self) -> None:
        """A suggestion was taken."""
        self._accepted += 1

    def spent(self, asked: int, tokens: int) -> None:
        """What the engine that runs now has asked and got; one that follows another begins to count anew."""
        if asked < self._spent[0] or tokens < self._spent[1]:
            self._before = self._total
        self._spent = asked, tokens

    @property
    def _total(self) -> tuple[int, int]:
        return self._before[0] + self._spent[0], self._before[1] + self._spent[1]

    @staticmethod
    def tells(outcome: Outcome) -> bool:
        """Whether a person sees something of it: requests that newer ones have overtaken say nothing."""
        return isinstance(outcome, Ghost) or outcome.reason not in (Reason.SUPERSEDED, Reason.CANCELLED)

    def last(self, uri: str | None = None) -> Entry | None:
        """The last request of a document, or of all, of which a person sees something."""
        told = (entry for entry in reversed(self._entries) if self.tells(entry.outcome))
        return next((entry for entry in told if uri in (None, entry.uri)), None)

    def records(self) -> list[dict[str, float | str]]:
        """Each remembered request, the last first, for programs."""
        return [_told(entry) for entry in reversed(self._entries)]

    def figures(self) -> Figures:
        """The session so far."""
        shown = [entry.ms for entry in self._entries if isinstance(entry.outcome, Ghost)]
        silent = {reason.value: count for reason, count in self._outcomes.most_common() if reason is not None}
        return Figures(
            self._outcomes.total(),
            self._outcomes[None],
            self._accepted,
            silent,
            median(shown) if shown else None,
            *self._total,
        )


def _record(answer: Answer) -> dict[str, float | str]:
    """What is known of how an answer came about; what is not known is left out."""
    record = answer.record
    found: dict[str, float | str] = {}
    if record.service is not None:
        found |= {
            "provider": record.service.provider,
            "model": record.service.model,
            "route": record.service.route.value,
        }
    if record.window is not None:
        found |= {"before": len(record.window.prefix), "after": len(record.window.suffix)}
    if (flight := record.flight) is not None:
        found["passages"] = len(flight.prompt.snippets)
        if record.first_token_ms is not None:
            found["firstTokenMs"] = round(record.first_token_ms, 1)
        if (usage := flight.usage or flight.estimate) is not None:
            found |= {"tokensIn": usage.prompt, "tokensCached": usage.cached, "tokensOut": usage.completion}
        if names := [name for name in (flight.rule, *flight.filters) if name]:
            found["filters"] = ", ".join(names)
    return found


def _told(entry: Entry) -> dict[str, float | str]:
    outcome = entry.outcome
    said = "shown" if isinstance(outcome, Ghost) else outcome.reason.value
    source = {"source": outcome.source} if isinstance(outcome, Ghost) else {}
    return (
        {"uri": entry.uri, "language": entry.language, "outcome": said, "ms": round(entry.ms, 1)}
        | source
        | {**entry.record}
    )
