"""Two configurations on the same holes: what differs, and whether that is more than chance."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from qwen_lsp.core.prices import FREE
from qwen_lsp.core.table import aligned
from qwen_lsp.evaluation import report
from qwen_lsp.evaluation.figures import FIGURES, Better, Figure, Part, Unit
from qwen_lsp.evaluation.intervals import bootstrap
from qwen_lsp.evaluation.report import Run, heading, number
from qwen_lsp.evaluation.rows import Row

Pair: TypeAlias = tuple[Row, Row]
_Parts: TypeAlias = tuple[Part | None, Part | None]

CAUTION = (
    "Real: the 95 % interval of the difference (paired bootstrap) does not contain 0. "
    "Of twenty figures that do not differ, one seems to."
)


@dataclass(frozen=True, slots=True)
class Difference:
    """One figure of both, and what lies between them."""

    figure: Figure
    a: float
    b: float
    low: float
    high: float

    @property
    def amount(self) -> float:
        """What B has more."""
        return self.b - self.a

    @property
    def real(self) -> bool:
        """Whether chance alone would seldom make such a difference."""
        return self.low > 0 or self.high < 0

    @property
    def better(self) -> str | None:
        """Who has the better value, "a" or "b", when the difference is real."""
        if not self.real or self.figure.better is Better.NEITHER:
            return None
        return "b" if (self.amount > 0) == (self.figure.better is Better.MORE) else "a"


def pairs(a: Sequence[Row], b: Sequence[Row]) -> list[Pair]:
    """The rows of the same holes, those left out that either did not answer."""
    return [pair for pair in zip(a, b, strict=True) if not (pair[0].failed or pair[1].failed)]


def differences(a: Run, b: Run, *, seed: int = 0) -> list[Difference]:
    """Every figure that both have, compared on holes that were drawn together."""
    paired = pairs(a.rows, b.rows)
    found = []
    for figure in FIGURES:
        if figure.unit is Unit.COST and not _one_currency(a, b):
            continue
        parts = list(zip(*(figure.parts(side) for side in zip(*paired, strict=True)), strict=True))
        ends = bootstrap(parts, _difference(figure), seed=seed)
        if ends is not None:
            left, right = (figure.joined(side) for side in zip(*parts, strict=True))
            found.append(Difference(figure, left or 0.0, right or 0.0, *ends))
    return found


def as_text(a: Run, b: Run) -> str:
    """Both runs' tables, then the differences."""
    return "\n\n".join([f"A: {report.as_text(a)}", f"B: {report.as_text(b)}", table(differences(a, b), a, b)])


def table(found: Sequence[Difference], a: Run, b: Run) -> str:
    """The differences, a line each, and how to read them."""
    lines = [["B against A", "A", "B", "difference", "95 % interval", "real"]]
    lines += [cells(difference, a, b) for difference in found]
    return f"{aligned(lines)}\n\n{CAUTION}"


def cells(difference: Difference, a: Run, b: Run) -> list[str]:
    """One difference: the figure, both values, the difference with its interval, and the verdict."""
    figure = difference.figure
    price = max((a.price, b.price), key=lambda price: price.currency if price else "")
    ends = (difference.low, difference.high)
    return [
        heading(figure),
        number(figure, difference.a, a.price),
        number(figure, difference.b, b.price),
        _signed(number(figure, abs(difference.amount), price), difference.amount),
        " to ".join(_signed(number(figure, abs(end), price), end) for end in ends),
        verdict(difference),
    ]


def verdict(difference: Difference) -> str:
    """Whether it is real, and if so who is better."""
    if not difference.real:
        return "no"
    return f"yes, {difference.better.upper()} is better" if difference.better else "yes"


def as_json(a: Run, b: Run) -> dict[str, Any]:
    """Both runs and the differences for machines (report.py)."""
    said = [
        {
            "key": difference.figure.key,
            "name": difference.figure.name,
            "a": difference.a,
            "b": difference.b,
            "difference": difference.amount,
            "low": difference.low,
            "high": difference.high,
            "real": difference.real,
            "better": difference.better,
        }
        for difference in differences(a, b)
    ]
    both = {"a": report.as_json(a), "b": report.as_json(b)}
    return {"version": report.VERSION, **both, "pairs": len(pairs(a.rows, b.rows)), "differences": said}


def _difference(figure: Figure) -> Callable[[Sequence[_Parts]], float | None]:
    def of(drawn: Sequence[_Parts]) -> float | None:
        a, b = figure.joined([part for part, _ in drawn]), figure.joined([part for _, part in drawn])
        return None if a is None or b is None else b - a

    return of


def _one_currency(a: Run, b: Run) -> bool:
    """Whether prices can be compared; what costs nothing can be compared with anything."""
    if a.price is None or b.price is None:
        return False
    return FREE in {a.price, b.price} or a.price.currency == b.price.currency


def _signed(text: str, value: float) -> str:
    return f"{'+' if value > 0 else '−' if value < 0 else ''}{text}"  # noqa: RUF001 - a minus sign, as in print
