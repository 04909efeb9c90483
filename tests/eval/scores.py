"""Figures of predictions: the sets' own scorer does the scoring, this adds intervals and what it does not count."""

from __future__ import annotations

import json
import math
import random
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.eval.items import Sets
from tests.eval.run import Prediction, Predictions

PUBLISHED = "3B/comment/truncate_expression"
"""The variant that the target of set D names: Qwen2.5-Coder 3B, snippets as comments, cut to one statement."""
PUBLISHED_NAME = "published 3B"
_ROUNDS = 1000
_Z = 1.96
_LATE = "snippets took too long"
"""The log line of a server that was asked before it had found what fits: on a busy machine, and with other prompts."""

Figure = dict[str, Any]
"""`value`, `low` and `high` (95 %), `n`."""
SHARES = (
    "pass1",
    "em",
    "em_line1",
    "syntax",
    "dup_suffix",
    "leak",
    "noop_harm",
    "indent_ok",
    "eol_ok",
    "stays_inside",
    "empty",
)
"""Shares that the scorer counts, in percent."""


def score(sets: Sets, name: str, ids: Sequence[str], kept: Mapping[str, Predictions]) -> dict[str, Any]:
    """The figures of each variant on the items that all of them have, and how they compare."""
    common = [ident for ident in ids if all(ident in file.done for file in kept.values())]
    with tempfile.TemporaryDirectory(prefix="eval-score-") as folder:
        items = Path(folder) / sets.file(name).name
        wanted = set(common)
        raw = {ident: line for ident, line in sets.raw(name) if ident in wanted}
        items.write_text("".join(raw[ident] + "\n" for ident in common), encoding="utf-8")
        results: dict[str, Any] = {"n": len(common), "variants": {}, "compared": {}}
        rows = {}
        for variant, file in kept.items() if common else ():
            made = [file.done[ident] for ident in common]
            totals, rows[variant] = _scored(sets, name, items, made, Path(folder))
            file.path.with_suffix(".rows").write_text("".join(json.dumps(row) + "\n" for row in rows[variant]))
            found = results["variants"][variant] = figures(totals, rows[variant], made)
            found["fences"] = share(_fenced(one, json.loads(raw[one["id"]])) for one in made if one.get("completion"))
    if not common:
        return results
    published = {ident: json.loads(raw[ident]).get("published", {}).get(PUBLISHED) for ident in common}
    if all(published.values()):
        rows[PUBLISHED_NAME] = [{"em": published[ident][0], "es": published[ident][1]} for ident in common]
        results["variants"][PUBLISHED_NAME] = {
            "em": share(bool(row["em"]) for row in rows[PUBLISHED_NAME]),
            "es": mean([row["es"] for row in rows[PUBLISHED_NAME]]),
        }
    for other, details in rows.items():
        if "ours" in rows and other != "ours":
            results["compared"][other] = compared(rows["ours"], details)
    return results


def figures(
    totals: Mapping[str, Any], rows: Sequence[Mapping[str, Any]], made: Sequence[Prediction]
) -> dict[str, Figure]:
    """All figures of one variant by name; those that a set has nothing for are left out."""
    found: dict[str, Figure] = {}
    for key in SHARES:
        if key in totals:
            one = totals[key]
            found[key] = {"value": one["pct"], "low": one["ci95"][0], "high": one["ci95"][1], "n": one["n"]}
    found["es"] = mean([row["es"] for row in rows if "es" in row])
    found["inside_range"] = share(one["inside"] for one in made if one.get("completion") and "inside" in one)
    found["errors"] = share(bool(one.get("error")) for one in made)
    found["late"] = share(any(_LATE in line for line in one["log"]) for one in made if "log" in one)
    found["requests"] = mean([one["requests"] for one in made if "requests" in one])
    for key in ("prompt_tokens", "generated_tokens", "shown_tokens"):
        found[key] = mean([one[key] for one in made if isinstance(one.get(key), int)])
    pairs = [
        (one["generated_tokens"], one["shown_tokens"])
        for one in made
        if isinstance(one.get("generated_tokens"), int) and isinstance(one.get("shown_tokens"), int)
    ]
    found["generated_per_shown"] = interval(pairs, _ratio)
    for key in ("latency_ms", "ttft_ms"):
        found[key] = interval([one[key] for one in made if isinstance(one.get(key), int | float)], statistics.median)
    return {key: figure for key, figure in found.items() if figure["n"]}


def compared(ours: Sequence[Mapping[str, Any]], other: Sequence[Mapping[str, Any]]) -> dict[str, Figure]:
    """Differences in points on the same items, ours less the other's; `p` is McNemar's exact test's."""
    found = {}
    for key in ("pass1", "em", "syntax", "dup_suffix"):
        pairs = [
            (bool(one[key]), bool(two[key])) for one, two in zip(ours, other, strict=True) if key in one and key in two
        ]
        if pairs:
            figure = interval([100 * (one - two) for one, two in pairs], statistics.fmean)
            found[key] = figure | {"p": mcnemar(sum(a and not b for a, b in pairs), sum(b and not a for a, b in pairs))}
    differences = [one["es"] - two["es"] for one, two in zip(ours, other, strict=True) if "es" in one and "es" in two]
    if differences:
        found["es"] = interval(differences, statistics.fmean)
    return found


def share(holds: Iterable[bool]) -> Figure:
    """A share in percent with Wilson's interval."""
    values = list(holds)
    n = len(values)
    if not n:
        return {"value": math.nan, "low": math.nan, "high": math.nan, "n": 0}
    p, scale = sum(values) / n, 1 + _Z * _Z / n
    centre = (p + _Z * _Z / 2 / n) / scale
    reach = _Z * math.sqrt(p * (1 - p) / n + _Z * _Z / 4 / n / n) / scale
    return {"value": 100 * p, "low": 100 * (centre - reach), "high": 100 * (centre + reach), "n": n}


def mean(values: Sequence[float]) -> Figure:
    """A mean with its bootstrap interval."""
    return interval(values, statistics.fmean)


def interval(values: Sequence[Any], statistic: Callable[[Sequence[Any]], float]) -> Figure:
    """A statistic with its 95 % percentile bootstrap interval, the same at every run."""
    if not values:
        return {"value": math.nan, "low": math.nan, "high": math.nan, "n": 0}
    chance = random.Random(1)
    rounds = sorted(statistic(chance.choices(values, k=len(values))) for _ in range(_ROUNDS))
    low, high = rounds[int(0.025 * _ROUNDS)], rounds[int(0.975 * _ROUNDS) - 1]
    return {"value": statistic(values), "low": low, "high": high, "n": len(values)}


def mcnemar(only_first: int, only_second: int) -> float:
    """How likely so uneven a split of the items that differ would be by chance, both ways."""
    n = only_first + only_second
    if not n:
        return 1.0
    return min(1.0, 2 * sum(math.comb(n, k) for k in range(min(only_first, only_second) + 1)) / 2.0**n)


def _fenced(prediction: Prediction, item: Mapping[str, Any]) -> bool:
    """There is a markdown fence where the reference has none."""
    return "```" in prediction["completion"] and "```" not in (item.get("expected") or "")


def _ratio(pairs: Sequence[tuple[int, int]]) -> float:
    made, shown = sum(made for made, _ in pairs), sum(shown for _, shown in pairs)
    return float(made / shown) if shown else math.inf


def _scored(
    sets: Sets, name: str, items: Path, made: Sequence[Prediction], folder: Path
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The scorer's totals and its row for each item. Programs of set A are run, without a network if that can be."""
    predictions, totals, rows = (folder / f"{part}.json" for part in ("predictions", "totals", "rows"))
    predictions.write_text("".join(json.dumps(one) + "\n" for one in made), encoding="utf-8")
    command = [
        sys.executable,
        *map(str, (sets.scorer, items, predictions)),
        "--json",
        str(totals),
        "--details",
        str(rows),
    ]
    subprocess.run([*command, *(["--exec"] if name == "A" else [])], check=True, stdout=subprocess.DEVNULL)
    details = [json.loads(line) for line in rows.read_text().splitlines()]
    return json.loads(totals.read_text())["groups"]["ALL"], details
