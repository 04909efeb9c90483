"""The figures as Markdown: a table for each model, a row for each figure, a column for each variant."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

ROWS: Mapping[str, tuple[tuple[str, str], ...]] = {
    "A": (("pass1", "pass@1, %"), ("em", "exact match, %"), ("dup_suffix", "repeats what follows, %")),
    "B": (("em", "exact match, %"), ("es", "edit similarity")),
    "C": (
        ("em", "exact match, %"),
        ("syntax", "syntax kept, %"),
        ("dup_suffix", "repeats what follows, %"),
        ("leak", "special tokens, %"),
        ("fences", "markdown fences, %"),
        ("noop_harm", "harm where nothing is missing, %"),
        ("indent_ok", "indentation right, %"),
        ("stays_inside", "stays inside a string or comment, %"),
        ("eol_ok", "line ends right, %"),
    ),
    "D": (("em", "exact match, %"), ("es", "edit similarity")),
}
COMMON = (
    ("inside_range", "edit stays inside its range, %"),
    ("empty", "nothing shown, %"),
    ("generated_per_shown", "tokens generated per token shown"),
    ("prompt_tokens", "tokens of the prompt"),
    ("latency_ms", "latency p50, ms"),
    ("late", "other files not searched in time, %"),
    ("errors", "failed, %"),
)
NAMES = {
    "A": "A, one file",
    "B": "B, whole repository",
    "C": "C, in the editor",
    "D": "D, given snippets",
}
_FAULTS = ("late", "errors")
"""Shown only when there are any."""
_DIGITS = {"generated_per_shown": 2, "latency_ms": 0, "prompt_tokens": 0}


def render(results: Mapping[str, Any]) -> str:
    """All models. In brackets 95 % intervals: Wilson's for shares, bootstrap for the rest."""
    parts = [f"`{results['command']}`\n"]
    for model, sets in results["models"].items():
        variants = list(dict.fromkeys(variant for found in sets.values() for variant in found["variants"]))
        if not variants:
            continue
        lines = [f"| {model} | {' | '.join(variants)} |", f"| --- |{' ---: |' * len(variants)}"]
        for name, found in sets.items():
            lines += [f"| {NAMES[name]}: {row} |" for row in _rows(name, found, variants)]
        parts.append("\n".join(lines) + "\n")
        parts += [line + "\n" for line in _comparisons(sets)]
    return "\n".join(parts)


def _rows(name: str, found: Mapping[str, Any], variants: list[str]) -> Iterator[str]:
    for key, title in (*ROWS[name], *COMMON):
        columns = [found["variants"].get(variant, {}).get(key) for variant in variants]
        if key in _FAULTS and not any(figure and figure["value"] for figure in columns):
            continue
        if any(figure and figure["n"] for figure in columns):
            n = max(figure["n"] for figure in columns if figure)
            yield f"{title} ({n}) | " + " | ".join(_cell(key, figure) for figure in columns)


def _cell(key: str, figure: Mapping[str, float] | None) -> str:
    if not (figure and figure["n"]):
        return "-"
    digits = _DIGITS.get(key, 1)
    return f"{figure['value']:,.{digits}f} ({figure['low']:,.{digits}f} to {figure['high']:,.{digits}f})"


def _comparisons(sets: Mapping[str, Any]) -> Iterator[str]:
    titles = {
        "pass1": "pass@1",
        "em": "exact match",
        "syntax": "syntax kept",
        "dup_suffix": "repeats",
        "es": "edit similarity",
    }
    for name, found in sets.items():
        for other, differences in found["compared"].items():
            said = [
                f"{titles[key]} {one['value']:+.1f} ({one['low']:+.1f} to {one['high']:+.1f}"
                + (f"; p = {one['p']:.3f})" if "p" in one else ")")
                for key, one in differences.items()
            ]
            yield f"{name}, ours less {other}, points: {', '.join(said)}."
