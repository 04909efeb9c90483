"""What became of the last requests of a session: for whoever asks why nothing is shown, and for the statistics.

Holds counts, names and times, never text.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Mapping
from dataclasses import dataclass
from statistics import median

from qwen_lsp.core.model import Ghost, Outcome, Reason, Request, Skip

KEPT = 250
"""Requests that are remembered one by one."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One request."""

    uri: str
    outcome: Ghost | Skip
    ms: float
    """Until the answer was there."""

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


class Journal:
    """One session's requests."""

    def __init__(self) -> None:
        self._entries: deque[Entry] = deque(maxlen=KEPT)
        self._outcomes: Counter[Reason | None] = Counter()
        self._accepted = 0

    def add(self, request: Request, outcome: Outcome, ms: float) -> None:
        """A request has ended."""
        # Not the ghost as it is: the journal holds no text.
        kept = Ghost(0, 0, 0, "", "", outcome.source) if isinstance(outcome, Ghost) else outcome
        self._entries.append(Entry(request.snapshot.uri, kept, ms))
        self._outcomes[None if isinstance(outcome, Ghost) else outcome.reason] += 1

    def accepted(self) -> None:
        """A suggestion was taken."""
        self._accepted += 1

    @staticmethod
    def tells(outcome: Outcome) -> bool:
        """Whether a person sees something of it: requests that newer ones have overtaken say nothing."""
        return isinstance(outcome, Ghost) or outcome.reason not in (Reason.SUPERSEDED, Reason.CANCELLED)

    def last(self, uri: str | None = None) -> Entry | None:
        """The last request of a document, or of all, of which a person sees something."""
        told = (entry for entry in reversed(self._entries) if self.tells(entry.outcome))
        return next((entry for entry in told if uri in (None, entry.uri)), None)

    def figures(self) -> Figures:
        """The session so far."""
        shown = [entry.ms for entry in self._entries if isinstance(entry.outcome, Ghost)]
        silent = {reason.value: count for reason, count in self._outcomes.most_common() if reason is not None}
        return Figures(
            self._outcomes.total(), self._outcomes[None], self._accepted, silent, median(shown) if shown else None
        )
