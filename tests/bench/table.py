"""The results as one table: a row for each figure, a column for each server."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

Row = tuple[str, list[float], int]
"""A figure's name, its value for each server, and how many decimals to show."""

_SHARES = {
    "requests": "requests to the model per 100 keys",
    "answered": "keys that got text before the next key, %",
    "within_10": "... within 10 ms, %",
    "within_100": "... within 100 ms, %",
    "right": "... before the next key, and right, %",
}
_COUNTS = {
    "keys": "keys typed",
    "taken": "suggestions taken",
    "aborted": "requests the server hung up on",
    "tokens_made": "tokens generated",
    "tokens_shown": "tokens shown",
    "tokens_used": "tokens typed through or taken",
    "misfits": "answers that did not fit (must be 0)",
    "changed": "suggestion changed under the reader (must be 0)",
    "silent": "requests never answered (must be 0)",
}
_ONCE = {
    "memory": {
        "200": ("memory after 200 requests, MiB", 1),
        "2000": ("memory after 2,000 requests, MiB", 1),
        "growth": ("... growth from request 500 to 2,000, MiB", 1),
    },
    "startup": {
        "initialize": ("spawn to the initialize reply, s", 3),
        "first": ("spawn to the first suggestion, s", 3),
    },
    "idle": {
        "cpu": ("idle: processor, % of a core", 2),
        "wakeups": ("idle: wake-ups a second", 1),
    },
}


def render(results: Mapping[str, Any], servers: Sequence[str]) -> str:
    """The table in Markdown. Only measurements that were made have rows."""
    found = [*_replayed(results, servers), *_delayed(results, servers), *_measured_once(results, servers)]
    rows = [[name, *(number(value, digits) for value in values)] for name, values, digits in found]
    head = ["figure", *servers]
    widths = [max(map(len, column)) for column in zip(head, *rows, strict=True)]
    lines = [
        _line(head, widths),
        "|" + "|".join("-" * (width + 1) + ":" for width in widths).replace(":", "-", 1) + "|",
    ]
    return "\n".join([*lines, *(_line(row, widths) for row in rows)]) + "\n"


def number(value: float, digits: int = 0) -> str:
    """A figure as people read it; a dash for none."""
    return "-" if math.isnan(value) else f"{value:,.{digits}f}"


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    name, *values = cells
    padded = [name.ljust(widths[0]), *(value.rjust(width) for value, width in zip(values, widths[1:], strict=True))]
    return "| " + " | ".join(padded) + " |"


def _replayed(results: Mapping[str, Any], servers: Sequence[str]) -> Iterator[Row]:
    for model, tallies in results.get("replay", {}).items():
        for key, name in _SHARES.items():
            shares = [100 * tallies[server][key] / tallies[server]["keys"] for server in servers]
            yield f"{model} model: {name}", shares, 1
        for key, name in _COUNTS.items():
            yield f"{model} model: {name}", [tallies[server][key] for server in servers], 0


def _delayed(results: Mapping[str, Any], servers: Sequence[str]) -> Iterator[Row]:
    for lines, cells in results.get("latency", {}).items():
        for share in ("p50", "p95", "p99"):
            yield f"added latency, {int(lines):,} lines, {share}, ms", [cells[server][share] for server in servers], 2


def _measured_once(results: Mapping[str, Any], servers: Sequence[str]) -> Iterator[Row]:
    for step, names in _ONCE.items():
        for key, (name, digits) in names.items() if step in results else ():
            yield name, [results[step][server][key] for server in servers], digits
