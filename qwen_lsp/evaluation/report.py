"""A run's figures as text and as JSON.

`qwen-lsp eval --json` prints one object (`as_json`):

    version       1; it grows when a field changes its meaning
    provider, model, route, region
    seed          the sample's
    holes         how many were completed, `asked` of those that were wanted
    failed        how many of them the service did not answer; they count in no figure
    interrupted   whether a person ended the run early
    silent        {reason: how often nothing was shown}
    leaked        how often the model was shown what it was asked for, by a fault of ours (0, or nothing here is true)
    cost          of this run: {"total", "currency", "pricesOf": the list's date}; total is null when no price is known
    groups        {"all" | kind | "in " + language: {"holes": n, figure: {"value", "low", "high"}}}; shares are 0 to 1,
                  times milliseconds, tokens those of a completion on average, cost that of 1,000 completions; low and
                  high are the ends of the 95 % interval, null where there is none (effort: of all holes only)
    rows          [one object a hole, without code: rows.as_json]

With `--compare` it is {"version", "a": run, "b": run, "pairs": holes that both have answered, "differences": [{"key",
"name", "a", "b", "difference" (b - a), "low", "high", "real", "better": "a" | "b" | null}]}.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from qwen_lsp.core import prices
from qwen_lsp.core.model import Service
from qwen_lsp.core.prices import Price
from qwen_lsp.core.table import aligned
from qwen_lsp.evaluation import rows
from qwen_lsp.evaluation.figures import FIGURES, Figure, Unit, answered, groups, reasons
from qwen_lsp.evaluation.rows import Row

VERSION = 1
WIDTH = 80
"""Of the tables: a terminal's, as it is opened."""

_EFFORT = {"latencyP50", "latencyP95", "firstTokenP50", "promptTokens", "cachedTokens", "generatedTokens"}
_EFFORT |= {"generatedPerShown", "cost"}
_PER_CENT = {Unit.SHARE, Unit.MEAN}


@dataclass(frozen=True, slots=True)
class Run:
    """All that was done with one configuration."""

    service: Service
    price: Price | None
    rows: Sequence[Row]
    asked: int
    """Holes that were wanted."""
    seed: int
    interrupted: bool = False

    @property
    def cost(self) -> float | None:
        """Of all of it; None when the price is not known."""
        return None if self.price is None else sum(row.cost or 0.0 for row in self.rows)

    @property
    def title(self) -> str:
        """Who has completed, and how they were asked."""
        service = self.service
        where = f" in {service.region}" if service.region else ""
        return f"{service.model} ({service.provider}{where}, {service.route.value})"


def as_text(run: Run) -> str:
    """The tables, and a line for everything that a reader has to know beside them."""
    quality = [figure for figure in FIGURES if figure.key not in _EFFORT]
    times = [figure for figure in FIGURES if figure.unit is Unit.MS]
    tokens = [figure for figure in FIGURES if figure.key in _EFFORT and figure.unit is not Unit.MS]
    parts = [headline(run), _table(run, quality, intervals=True)]
    parts += [_table(run, figures, intervals=False) for figures in (times, tokens)]
    return "\n\n".join([*parts, "\n".join(remarks(run))])


def headline(run: Run) -> str:
    """What was evaluated, on one line."""
    ended = ", ended early" if run.interrupted else ""
    return f"{run.title}: {len(run.rows)} of {run.asked} holes, seed {run.seed}{ended}"


def remarks(run: Run) -> list[str]:
    """What stands below the tables."""
    said = ["In per cent, with 95 % intervals; syntax kept and duplicates are of what was shown. Tokens on average."]
    silent = reasons(answered(run.rows))
    if silent:
        said.append("Nothing shown: " + ", ".join(f"{count} {reason}" for reason, count in silent.items()) + ".")
    failed = [row for row in run.rows if row.failed]
    if failed:
        said.append(f"Failed, and left out: {len(failed)} ({failed[-1].detail}).")
    leaked = sum(row.leaked for row in run.rows)
    if leaked:
        said.append(f"The model was shown the answer {leaked} times: a fault of qwen-lsp, please report it.")
    return [*said, _bill(run)]


def _bill(run: Run) -> str:
    if run.price is None:
        return f"What it cost is not known: the list of {prices.AS_OF} has no price for {run.service.model}."
    if run.price == prices.FREE:
        return "It cost nothing: the model runs on your own machine."
    return f"It cost {prices.shown(run.cost or 0.0, run.price)} by {prices.dated(run.price)}."


def cell(figure: Figure, run: Run, group: Sequence[Row], *, interval: bool) -> str:
    """A figure as people read it: a share in per cent, with its interval if that is wanted; a dash for none."""
    value = figure.of(group)
    if value is None:
        return "-"
    text = number(figure, value, run.price)
    ends = figure.interval(group) if interval else None
    return f"{text} [{number(figure, ends[0], run.price)}-{number(figure, ends[1], run.price)}]" if ends else text


def number(figure: Figure, value: float, price: Price | None) -> str:
    """A value with as many digits as samples of this size carry."""
    if figure.unit in _PER_CENT:
        return f"{100 * value:.0f}"
    if figure.unit is Unit.COST:
        return prices.shown(value, price)
    return f"{value:,.2f}" if figure.unit is Unit.RATIO else f"{value:,.0f}"


def heading(figure: Figure) -> str:
    """A figure's name with its unit."""
    if figure.unit in _PER_CENT:
        return f"{figure.name}, %"
    return f"{figure.name}, ms" if figure.unit is Unit.MS else figure.name


def as_json(run: Run) -> dict[str, Any]:
    """A run for machines; the fields stand at the top of this module."""
    good = answered(run.rows)
    service = run.service
    return {
        "version": VERSION,
        "provider": service.provider,
        "model": service.model,
        "route": service.route.value,
        "region": service.region,
        "seed": run.seed,
        "asked": run.asked,
        "holes": len(run.rows),
        "failed": len(run.rows) - len(good),
        "interrupted": run.interrupted,
        "silent": reasons(good),
        "leaked": sum(row.leaked for row in run.rows),
        "cost": {
            "total": run.cost,
            "currency": run.price.currency if run.price else None,
            "pricesOf": run.price.as_of if run.price else prices.AS_OF,
        },
        "groups": {name: _group_as_json(group, effort=name == "all") for name, group in groups(good).items()},
        "rows": [rows.as_json(row) for row in run.rows],
    }


def _group_as_json(group: Sequence[Row], *, effort: bool) -> dict[str, Any]:
    said: dict[str, Any] = {"holes": len(group)}
    for figure in FIGURES:
        wanted = effort or figure.key not in _EFFORT  # a bootstrap takes its time
        low, high = (figure.interval(group) if wanted else None) or (None, None)
        said[figure.key] = {"value": figure.of(group), "low": low, "high": high}
    return said


def _table(run: Run, figures: Sequence[Figure], *, intervals: bool) -> str:
    found = groups(answered(run.rows))
    columns = [["", *found], ["holes", *(str(len(group)) for group in found.values())]]
    for figure in figures:
        cells = (cell(figure, run, group, interval=intervals) for group in found.values())
        columns.append([heading(figure), *cells])
    return _folded(columns)


def _folded(columns: Sequence[Sequence[str]]) -> str:
    """The columns as a table, or as several below each other, none wider than a terminal; each has the first column."""
    names, *others = columns
    for count in range(1, len(others) + 1):
        size = -(-len(others) // count)
        tables = [[names, *others[at : at + size]] for at in range(0, len(others), size)]
        drawn = [aligned(list(zip(*table, strict=True))) for table in tables]
        if all(len(line) <= WIDTH for table in drawn for line in table.splitlines()):
            break
    return "\n\n".join(drawn)
