"""How sure a figure is: intervals that hold the true one 95 times of 100."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Sequence
from typing import TypeAlias, TypeVar

T = TypeVar("T")

Interval: TypeAlias = tuple[float, float]

DRAWS = 2_000
"""With so many the ends of an interval move by less than a fortieth of its width from seed to seed."""
_Z = 1.959964
"""Standard deviations that hold 95 % of a normal distribution."""


def wilson(count: int, total: int) -> Interval:
    """The interval of a share (E. B. Wilson, 1927): right for small samples, and for shares near 0 and 1."""
    if not total:
        return 0.0, 1.0
    share, square = count / total, _Z * _Z
    middle = (share + square / (2 * total)) / (1 + square / total)
    half = _Z * math.sqrt(share * (1 - share) / total + square / (4 * total * total)) / (1 + square / total)
    return max(0.0, middle - half), min(1.0, middle + half)


def quantile(values: Sequence[float], share: float) -> float:
    """The value below which so much of the sample lies, by linear interpolation; the sample is not empty."""
    ordered = sorted(values)
    at = (len(ordered) - 1) * share
    low = math.floor(at)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (at - low)


def bootstrap(
    sample: Sequence[T], figure: Callable[[Sequence[T]], float | None], *, seed: int = 0, draws: int = DRAWS
) -> Interval | None:
    """The percentile interval of a figure, by drawing samples like this one from it (B. Efron, 1979).

    Draws in which there is no figure are left out; None when that leaves nothing. Pairs stay pairs: for a comparison
    the sample is one of pairs, and the figure a difference.
    """
    chance = random.Random(seed)  # noqa: S311 - no secret
    found = (figure(chance.choices(sample, k=len(sample))) for _ in range(draws if sample else 0))
    values = [value for value in found if value is not None]
    return (quantile(values, 0.025), quantile(values, 0.975)) if values else None
