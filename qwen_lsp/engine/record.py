"""What happened to one request: each stage with its time, and all that a person may want to inspect.

The texts in a record stay in memory; `line()` and the errors in it hold sizes and names only.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from qwen_lsp.core.model import Ghost, Outcome, Service
from qwen_lsp.engine.flight import Flight


@dataclass(frozen=True, slots=True)
class Stage:
    """One step of the way, how long it took, and a word about it."""

    name: str
    ms: float
    detail: str = ""


@dataclass(slots=True)
class Record:
    """The way of one request."""

    clock: Callable[[], float]
    stages: list[Stage] = field(default_factory=list)
    service: Service | None = None
    flight: Flight | None = None
    """The generation that gave the answer; it may still be learning what it cost."""
    _last: float = field(init=False)
    _began: float = field(init=False)

    def __post_init__(self) -> None:
        self._began = self._last = self.clock()

    def stage(self, name: str, detail: str = "") -> None:
        """A step has ended; it began where the one before it ended."""
        now = self.clock()
        self.stages.append(Stage(name, (now - self._last) * 1000, detail))
        self._last = now

    @property
    def first_token_ms(self) -> float | None:
        """From the start of the generation to its first text."""
        flight = self.flight
        return None if flight is None or flight.first_text is None else (flight.first_text - flight.started) * 1000

    @property
    def generation_ms(self) -> float | None:
        """From the start of the generation until it had said enough."""
        flight = self.flight
        return None if flight is None or flight.ended is None else (flight.ended - flight.started) * 1000

    @property
    def total_ms(self) -> float:
        """From the request to its last stage."""
        return (self._last - self._began) * 1000

    def line(self, outcome: Outcome) -> str:
        """The log line: `key=value`, no code, no key."""
        parts = {"outcome": "shown" if isinstance(outcome, Ghost) else outcome.reason.value}
        if isinstance(outcome, Ghost):
            parts |= {"source": outcome.source, "chars": str(len(outcome.insert))}
        parts["ms"] = f"{self.total_ms:.0f}"
        if self.first_token_ms is not None:
            parts["ttft"] = f"{self.first_token_ms:.0f}"
        if self.service is not None:
            parts |= {"model": self.service.model, "route": self.service.route.value}
        return " ".join(f"{name}={value}" for name, value in parts.items())


@dataclass(frozen=True, slots=True)
class Answer:
    """What the engine says to a request, and how it came to it."""

    outcome: Outcome
    record: Record
