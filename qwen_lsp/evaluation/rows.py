"""One completed hole: what the engine answered, and all that is reported of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from qwen_lsp.core.model import Ghost, Reason
from qwen_lsp.core.prices import Price
from qwen_lsp.core.tokens import estimate
from qwen_lsp.engine.flight import Flight
from qwen_lsp.engine.record import Answer
from qwen_lsp.evaluation.hole import Hole
from qwen_lsp.evaluation.metrics import NOTHING, Score, score

FAILURES = frozenset({Reason.ERROR, Reason.NO_PROVIDER, Reason.COOLING_DOWN, Reason.RATE_LIMITED})
"""The service's doing: such a hole says nothing of the completions, and counts in no figure."""

_TELLING = 8
"""Characters from which on it is no accident that an answer stands in what the model was shown."""


@dataclass(frozen=True, slots=True)
class Tokens:
    """What a completion took. Estimated where the service does not count them, or was not heard to the end."""

    prompt: int = 0
    cached: int = 0
    """Of the prompt, from the service's prompt cache."""
    generated: int = 0
    """All that the model wrote, also what was cut."""
    shown: float = 0.0
    """Of what was generated, by the share of its text that is shown."""


@dataclass(frozen=True, slots=True)
class Row:
    """One hole and its completion."""

    hole: Hole
    score: Score
    shown: str | None = None
    """The text right of the cursor that a person would see; None when there was none."""
    covered: int = 0
    """Code points right of the cursor that it replaces."""
    reason: Reason | None = None
    """Why nothing was shown."""
    detail: str = ""
    latency_ms: float = 0.0
    """From the request to the whole answer."""
    first_token_ms: float | None = None
    tokens: Tokens = Tokens()
    cost: float | None = None
    """In the price's currency; None when the price is not known."""
    leaked: bool = False
    """The model was shown what had been cut out of this very file: the figures are worth nothing then."""

    @property
    def failed(self) -> bool:
        """The service did not answer."""
        return self.reason in FAILURES


def row(hole: Hole, answer: Answer, price: Price | None, own: str) -> Row:
    """What an answer says about a hole. `own` is its file's path as passages of other files name theirs."""
    outcome, record = answer.outcome, answer.record
    ghost = outcome if isinstance(outcome, Ghost) else None
    shown, covered = placed(ghost, hole) if ghost else (None, 0)
    tokens = _tokens(record.flight, shown or "")
    return Row(
        hole=hole,
        score=NOTHING if shown is None else score(hole, shown, covered),
        shown=shown,
        covered=covered,
        reason=None if isinstance(outcome, Ghost) else outcome.reason,
        detail="" if isinstance(outcome, Ghost) else outcome.detail,
        latency_ms=record.total_ms,
        first_token_ms=record.first_token_ms,
        tokens=tokens,
        cost=None if price is None else price.of(tokens.prompt, tokens.generated, tokens.cached),
        leaked=_leaked(hole, record.flight, own),
    )


def placed(ghost: Ghost, hole: Hole) -> tuple[str, int]:
    """What a ghost puts right of the cursor, and how many code points there it replaces.

    A ghost begins with what stands between its range's beginning and the cursor (core/model.py).
    """
    return ghost.insert[hole.column - ghost.start :], max(0, ghost.end - hole.column)


def as_json(row: Row, *, text: bool = False) -> dict[str, Any]:
    """A row for machines; with `text` also the code around the hole, what was expected and what was shown."""
    hole, figures, tokens = row.hole, row.score, row.tokens
    said: dict[str, Any] = {
        "path": hole.path,
        "language": hole.language,
        "kind": hole.kind.value,
        "line": hole.line + 1,
        "column": hole.column + 1,
        "outcome": "failed" if row.failed else "silent" if row.shown is None else "shown",
        "reason": row.reason.value if row.reason else None,
        "exact": figures.exact,
        "firstLine": figures.first_line,
        "similarity": round(figures.similarity, 4),
        "valid": figures.valid,
        "duplicates": figures.duplicates,
        "latencyMs": round(row.latency_ms, 1),
        "firstTokenMs": None if row.first_token_ms is None else round(row.first_token_ms, 1),
        "tokens": {
            "prompt": tokens.prompt,
            "cached": tokens.cached,
            "generated": tokens.generated,
            "shown": round(tokens.shown, 1),
        },
        "cost": row.cost,
        "leaked": row.leaked,
    }
    if text:
        said |= {"detail": row.detail, "before": hole.before, "expected": hole.expected, "after": hole.after}
        said |= {"shown": row.shown, "covered": row.covered}
    return said


def _tokens(flight: Flight | None, shown: str) -> Tokens:
    if flight is None:
        return Tokens()
    usage, prompt = flight.usage, flight.prompt
    generated = usage.completion if usage else flight.pieces
    if usage is not None:
        read = usage.prompt
    else:
        read = sum(map(estimate, (prompt.prefix, prompt.suffix, *(snippet.text for snippet in prompt.snippets))))
    part = min(1.0, estimate(shown) / estimate(flight.raw)) if flight.raw else 0.0
    return Tokens(read, usage.cached if usage else 0, generated, generated * part)


def _leaked(hole: Hole, flight: Flight | None, own: str) -> bool:
    """Whether a passage of the hole's own file holds the answer, which the rest of the file does not."""
    answer = hole.expected.strip()
    if flight is None or len(answer) < _TELLING or answer in hole.before or answer in hole.after:
        return False
    return any(answer in snippet.text and snippet.path == own for snippet in flight.prompt.snippets)
