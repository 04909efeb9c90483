"""What is reported of many rows: one list of figures, for the table, the page and the comparison alike."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import TypeAlias

from qwen_lsp.evaluation.intervals import Interval, bootstrap, quantile, wilson
from qwen_lsp.evaluation.rows import Row

Part: TypeAlias = tuple[float, float]
"""What one row adds to a figure: a value and its weight; for most figures the weight is 1."""


class Unit(Enum):
    """How a figure is written."""

    SHARE = "share"
    """Of the holes, 0 to 1; written as per cent."""
    MEAN = "mean"
    """Of something from 0 to 1; written as per cent."""
    MS = "ms"
    TOKENS = "tokens"
    RATIO = "ratio"
    COST = "cost"


class Better(Enum):
    """Which of two values a person wants."""

    MORE = 1
    LESS = -1
    NEITHER = 0


@dataclass(frozen=True, slots=True)
class Figure:
    """One figure: what each row adds to it, and what all these make together."""

    key: str
    name: str
    unit: Unit
    better: Better
    part: Callable[[Row], Part | None]
    """None for a row that says nothing of it."""
    join: Callable[[Sequence[Part]], float]
    """Of one part at least."""

    def parts(self, rows: Sequence[Row]) -> list[Part | None]:
        """What each row adds; none of them has failed."""
        return [self.part(row) for row in rows]

    def joined(self, parts: Sequence[Part | None]) -> float | None:
        """The figure; None when nothing is said of it."""
        found = [part for part in parts if part is not None]
        return self.join(found) if found else None

    def of(self, rows: Sequence[Row]) -> float | None:
        """The figure of rows none of which has failed; None when there is none."""
        return self.joined(self.parts(rows))

    def interval(self, rows: Sequence[Row]) -> Interval | None:
        """The 95 % interval: Wilson's for a share of holes, a bootstrap's for everything else."""
        parts = [part for part in self.parts(rows) if part is not None]
        if not parts:
            return None
        if self.unit is Unit.SHARE:
            return wilson(round(sum(value for value, _ in parts)), len(parts))
        return bootstrap(parts, self.join) if len(parts) > 1 else None


def answered(rows: Sequence[Row]) -> list[Row]:
    """Those that the service answered: all others say nothing of the completions."""
    return [row for row in rows if not row.failed]


def groups(rows: Sequence[Row]) -> dict[str, list[Row]]:
    """All rows, those of each kind and those of each language, by the name of the group; the largest first."""
    found: dict[str, list[Row]] = {"all": list(rows)}
    kinds = Counter(row.hole.kind.value for row in rows)
    languages = Counter(row.hole.language for row in rows)
    for kind, _ in kinds.most_common():
        found[kind] = [row for row in rows if row.hole.kind.value == kind]
    for language, _ in languages.most_common():
        found[f"in {language}"] = [row for row in rows if row.hole.language == language]
    return found


def reasons(rows: Sequence[Row]) -> dict[str, int]:
    """How often nothing was shown, by reason."""
    return dict(Counter(row.reason.value for row in rows if row.reason is not None).most_common())


def _mean(parts: Sequence[Part]) -> float:
    return sum([value for value, _ in parts]) / len(parts)


def _ratio(parts: Sequence[Part]) -> float:
    weight = sum([weight for _, weight in parts])
    return sum([value for value, _ in parts]) / weight if weight else 0.0


def _median(parts: Sequence[Part]) -> float:
    return quantile([value for value, _ in parts], 0.5)


def _late(parts: Sequence[Part]) -> float:
    return quantile([value for value, _ in parts], 0.95)


def _figure(  # noqa: PLR0913, PLR0917 - a row of the table below
    key: str,
    name: str,
    unit: Unit,
    better: Better,
    value: Callable[[Row], float | None],
    join: Callable[[Sequence[Part]], float] = _mean,
) -> Figure:
    def part(row: Row) -> Part | None:
        found = value(row)
        return None if found is None else (float(found), 1.0)

    return Figure(key, name, unit, better, part, join)


def _written(row: Row) -> Part | None:
    """Tokens generated for those shown; rows of which nothing is shown have their part in it."""
    return row.tokens.generated, row.tokens.shown


_SHARE, _MS, _TOKENS = Unit.SHARE, Unit.MS, Unit.TOKENS
_MORE, _LESS = Better.MORE, Better.LESS

FIGURES: tuple[Figure, ...] = (
    _figure("exact", "exact match", _SHARE, _MORE, lambda row: row.score.exact),
    _figure("firstLine", "first line", _SHARE, _MORE, lambda row: row.score.first_line),
    _figure("similarity", "similarity", Unit.MEAN, _MORE, lambda row: row.score.similarity),
    _figure("valid", "syntax kept", _SHARE, _MORE, lambda row: row.score.valid),
    _figure("duplicates", "duplicates", _SHARE, _LESS, lambda row: row.score.duplicates),
    _figure("silent", "silent", _SHARE, _LESS, lambda row: row.shown is None),
    _figure("latencyP50", "latency p50", _MS, _LESS, lambda row: row.latency_ms, _median),
    _figure("latencyP95", "latency p95", _MS, _LESS, lambda row: row.latency_ms, _late),
    _figure("firstTokenP50", "first token p50", _MS, _LESS, lambda row: row.first_token_ms, _median),
    _figure("promptTokens", "prompt tokens", _TOKENS, _LESS, lambda row: row.tokens.prompt),
    _figure("cachedTokens", "of them cached", _TOKENS, _MORE, lambda row: row.tokens.cached),
    _figure("generatedTokens", "generated tokens", _TOKENS, _LESS, lambda row: row.tokens.generated),
    Figure("generatedPerShown", "generated per shown", Unit.RATIO, _LESS, _written, _ratio),
    _figure(
        "cost", "cost per 1,000", Unit.COST, _LESS, lambda row: None if row.cost is None else 1_000 * row.cost
    ),
)  # fmt: skip
"""Tokens are a completion's, on average."""
