"""The ledger for people and for programs: what was used, what it cost, and what became of it.

Values in, values out. Rates are shares of what was shown; a suggestion counts as used however it was: taken whole, by
word or by line, or typed to its end.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape
from textwrap import fill
from typing import Any

from qwen_lsp.core.counts import COUNTS
from qwen_lsp.core.markup import WIDTH, bar, document, label, svg, table
from qwen_lsp.core.table import aligned
from qwen_lsp.usage.ledger import Latency, Row, together
from qwen_lsp.usage.legend import sentence

FREE_QUOTA = 1_000_000
"""Tokens a model, in one region, for 90 days from the activation of Model Studio (Model Studio, "Free quota")."""
_HEIGHT = 150


@dataclass(frozen=True, slots=True)
class Statistics:
    """What is reported: the ledger's rows and latencies from a day on."""

    rows: Sequence[Row]
    latencies: Sequence[Latency]
    since: str = ""


def used(row: Row) -> float:
    """Suggestions that were of use, in part or as a whole."""
    return row["accepted"] + row["accepted_words"] + row["accepted_lines"] + row["typed"]


def quantile(latencies: Iterable[Latency], share: float) -> float | None:
    """The milliseconds within which such a share of the answers came; None where there was none."""
    found = sorted(latencies, key=lambda latency: latency.ms)
    left = share * sum(latency.count for latency in found)
    for latency in found:
        left -= latency.count
        if left <= 0:
            return latency.ms
    return None


def as_text(statistics: Statistics) -> str:
    """Tables for a terminal."""
    if not statistics.rows:
        return "nothing has been counted: the ledger begins with the first completion, in an editor or by a command"
    parts = [_section("day", "day", statistics), _section("model", "model", statistics)]
    parts += [_section("language", "language", statistics), *_remarks(statistics), fill(sentence(), 80)]
    return "\n\n".join(parts)


def as_json(statistics: Statistics) -> dict[str, Any]:
    """The same for programs: every count by day, provider, model and language; `ms` has the latencies' quantiles."""
    return {
        "since": statistics.since or None,
        "rows": [
            {
                "day": row.key.day,
                "provider": row.key.provider,
                "model": row.key.model,
                "currency": row.key.currency,
                "language": row.key.language,
                **{name: row[name] for name in COUNTS},
            }
            for row in statistics.rows
        ],
        "ms": {"p50": quantile(statistics.latencies, 0.5), "p95": quantile(statistics.latencies, 0.95)},
    }


def as_page(statistics: Statistics) -> str:
    """The same as an HTML page with plots."""
    days = together(statistics.rows, "day")
    by_day = {day.key.day: [each for each in statistics.latencies if each.day == day.key.day] for day in days}
    tables = "".join(
        f"<h2>By {name}</h2>{table(head, lines)}"
        for name, (head, *lines) in ((name, _lines(name, statistics)) for name in ("day", "model", "language"))
    )
    plots = [
        ("Latency until a suggestion, median, ms", [(day, quantile(each, 0.5) or 0.0) for day, each in by_day.items()]),
        ("Suggestions used, %", [(day.key.day, 100 * used(day) / (day["shown"] or 1)) for day in days]),
        ("Tokens", [(day.key.day, day["tokens_in"] + day["tokens_out"]) for day in days]),
        *(
            (f"Price, {currency}", [(row.key.day, row["cost"]) for row in costs])
            for currency, costs in _costs(statistics.rows)
        ),
    ]
    drawn = "".join(f"<div><h3>{name}</h3>{_by_day(values, name)}</div>" for name, values in plots if values)
    remarks = "".join(f"<p>{escape(remark)}</p>" for remark in [*_remarks(statistics), sentence()])
    return document("qwen-lsp stats", f'<h1>Completions</h1><div class="plots">{drawn}</div>{tables}{remarks}')


def _section(name: str, title: str, statistics: Statistics) -> str:
    return aligned([[title, *_HEAD], *_lines(name, statistics)[1:]])


_HEAD = ("requests", "shown", "taken", "typed", "left", "kept", "asked", "tokens in", "cached", "out", "price")


def _lines(name: str, statistics: Statistics) -> list[list[str]]:
    """A table's head and its lines, by one part of the key."""
    found = together(statistics.rows, name, "currency")
    names = list(dict.fromkeys(getattr(row.key, name) for row in found))
    lines = []
    for one in names:
        (row,) = together([row for row in found if getattr(row.key, name) == one])
        prices = [
            f"{each.key.currency}{each['cost']:.4f}"
            for each in found
            if getattr(each.key, name) == one and each.key.currency
        ]
        whole = row["accepted"] + row["accepted_words"] + row["accepted_lines"]
        counts = [row["requests"], row["shown"], whole, row["typed"], row["dismissed"], row["kept"], row["asked"]]
        tokens = [row["tokens_in"], row["tokens_cached"], row["tokens_out"]]
        lines.append([one or "-", *(f"{count:,.0f}" for count in counts + tokens), " + ".join(prices) or "0"])
    return [[name, *_HEAD], *lines]


def _remarks(statistics: Statistics) -> list[str]:
    found = [
        f"{100 * used(whole) / whole['shown']:.0f} % of what was shown was used"
        for whole in together(statistics.rows)
        if whole["shown"]
    ]
    middle, most = quantile(statistics.latencies, 0.5), quantile(statistics.latencies, 0.95)
    if middle is not None and most is not None:
        found.append(f"shown after {middle:,.0f} ms (median), {most:,.0f} ms (95 %)")
    for row in together([row for row in statistics.rows if row.key.provider == "dashscope"], "model"):
        tokens = row["tokens_in"] + row["tokens_out"]
        found.append(
            f"{row.key.model}: {tokens:,.0f} of the {FREE_QUOTA:,} tokens that Model Studio gives for 90 days, as "
            "far as this ledger knows"
        )
    return found


def _costs(rows: Sequence[Row]) -> list[tuple[str, list[Row]]]:
    """What was spent each day, by currency."""
    currencies = dict.fromkeys(row.key.currency for row in rows if row.key.currency)
    return [(each, together([row for row in rows if row.key.currency == each], "day")) for each in currencies]


def _by_day(values: Sequence[tuple[str, float]], name: str) -> str:
    top = max(*(value for _, value in values), 1e-9)
    wide = WIDTH / len(values)
    bars = [
        bar(
            wide * at + 1,
            _HEIGHT - 20 - (_HEIGHT - 40) * value / top,
            max(wide - 2, 1),
            (_HEIGHT - 40) * value / top,
            f"{day}: {value:,.4g}",
        )
        for at, (day, value) in enumerate(values)
    ]
    ends = label(0, _HEIGHT - 4, values[0][0]) + label(WIDTH, _HEIGHT - 4, values[-1][0], anchor="end")
    return svg(_HEIGHT, name, "".join(bars) + label(0, 12, f"{top:,.4g}") + ends)
