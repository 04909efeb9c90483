"""What happened to one request: each stage with its time, and all that a person may want to inspect.

The texts in a record stay in memory; `line()` and the errors in it hold sizes and names only.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from qwen_lsp.core.context import Budget, Window
from qwen_lsp.core.model import Ghost, Outcome, Service, Snippet
from qwen_lsp.core.tokens import estimate
from qwen_lsp.engine.asker import Shape
from qwen_lsp.engine.flight import Flight


@dataclass(frozen=True, slots=True)
class Stage:
    """One step of the way, how long it took, and a word about it."""

    name: str
    ms: float
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Figures:
    """What of the budget was used: tokens, estimated, and corrected by what the service has counted so far."""

    before: int
    after: int
    snippets: int
    budget: Budget
    passages: tuple[Snippet, ...] = ()
    """The passages of other files that the model was shown, the most helpful last."""


@dataclass(slots=True)
class Record:
    """The way of one request."""

    clock: Callable[[], float]
    stages: list[Stage] = field(default_factory=list)
    service: Service | None = None
    flight: Flight | None = None
    """The generation that gave the answer; it may still be learning what it cost."""
    shape: Shape | None = None
    """How much of the document could be shown."""
    window: Window | None = None
    """What of it was."""
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
    def figures(self) -> Figures | None:
        """How much was shown against how much could be; None where it did not come to that. Counted when asked for."""
        if self.shape is None or self.window is None:
            return None
        prompt, ratio = self.flight.prompt if self.flight else None, self.shape.correction
        passages = prompt.snippets if prompt else ()
        return Figures(
            before=round(estimate(prompt.prefix if prompt else self.window.prefix) * ratio),
            after=round(estimate(prompt.suffix if prompt else self.window.suffix) * ratio),
            snippets=round(sum(estimate(passage.text) for passage in passages) * ratio),
            budget=self.shape.budget,
            passages=passages,
        )

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
    others: tuple[Ghost, ...] = ()
    """Further suggestions for who has asked by hand, best first."""
