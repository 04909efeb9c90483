"""Two plots as inline SVG, in the colours of the page they stand in; nothing is loaded from anywhere."""

from __future__ import annotations

from collections.abc import Sequence

from qwen_lsp.core.markup import WIDTH, bar, label, svg
from qwen_lsp.evaluation.intervals import wilson

_BINS = 24
_HEIGHT = 150
_ROW = 26
_LEFT, _RIGHT = 120, 70


def histogram(values: Sequence[float], name: str) -> str:
    """How often which latency occurred; `values` are milliseconds."""
    if not values:
        return ""
    top = max(*values, 1.0)
    counts = [0] * _BINS
    for value in values:
        counts[min(int(_BINS * value / top), _BINS - 1)] += 1
    wide = WIDTH / _BINS
    bars = []
    for at, count in enumerate(counts):
        high = (_HEIGHT - 30) * count / max(counts)
        title = f"{top * at / _BINS:,.0f} to {top * (at + 1) / _BINS:,.0f} ms: {count}"
        bars.append(bar(wide * at + 1, _HEIGHT - 20 - high, wide - 2, high, title))
    ends = label(0, _HEIGHT - 4, "0 ms") + label(WIDTH, _HEIGHT - 4, f"{top:,.0f} ms", anchor="end")
    return svg(_HEIGHT, name, "".join(bars) + ends)


def shares(found: Sequence[tuple[str, int, int]], name: str) -> str:
    """Shares with their 95 % intervals, a row each: what of, how many have it, of how many."""
    if not found:
        return ""
    room = WIDTH - _LEFT - _RIGHT
    parts = []
    for at, (name_of, count, total) in enumerate(found):
        middle = at * _ROW + _ROW / 2
        low, high = wilson(count, total)
        share = count / total if total else 0.0
        parts += [
            label(_LEFT - 8, middle + 4, name_of, anchor="end"),
            bar(_LEFT, middle - 8, room * share, 16, f"{name_of}: {count} of {total}"),
            f'<path class="whisker" d="M{_LEFT + room * low:.1f} {middle:.1f}H{_LEFT + room * high:.1f}"/>',
            label(WIDTH, middle + 4, f"{100 * share:.0f} % of {total}", anchor="end"),
        ]
    return svg(_ROW * len(found), name, "".join(parts))
