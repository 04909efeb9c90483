"""A run, or two, as one HTML page that needs nothing else: figures, plots, and the worst cases side by side.

Promises: no script, nothing from any other place (its own policy forbids both), light or dark as the reader's system
is, and every text from a file or a model escaped.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from html import escape

from qwen_lsp.evaluation import compare, plots, report
from qwen_lsp.evaluation.figures import FIGURES, answered, groups
from qwen_lsp.evaluation.report import Run, heading
from qwen_lsp.evaluation.rows import Row

WORST = 30
_LINES_BEFORE, _LINES_AFTER = 12, 6
_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f\u200e\u200f\u202a-\u202e\u2066-\u2069]")
"""What a browser would not show, or would turn the text around by."""

_STYLE = """
:root { color-scheme: light dark; --ink: #1d2126; --paper: #fff; --soft: #f3f4f6; --line: #d5d9de; --bar: #4c78a8;
  --good: #d9f2dd; --bad: #fbe0de; --cursor: #c2410c; }
@media (prefers-color-scheme: dark) { :root { --ink: #e3e6ea; --paper: #16191d; --soft: #20252b; --line: #3a4149;
  --bar: #7aa6d8; --good: #1d3a25; --bad: #46211f; --cursor: #fb923c; } }
body { color: var(--ink); background: var(--paper); font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto;
  max-width: 1200px; padding: 0 1rem; }
h1 { font-size: 1.4rem; } h2 { font-size: 1.15rem; margin-top: 2.2rem; } h3 { font-size: 1rem; font-weight: 600; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; font-size: .85rem; }
th, td { padding: .25rem .6rem; text-align: right; border-bottom: 1px solid var(--line); white-space: nowrap; }
th:first-child, td:first-child { text-align: left; }
.plots { display: grid; grid-template-columns: repeat(auto-fit, minmax(320px, 1fr)); gap: 2rem; }
svg { width: 100%; height: auto; } svg text { fill: var(--ink); font-size: 12px; }
.bar { fill: var(--bar); } .whisker { stroke: var(--ink); stroke-width: 1.5; }
.case { border: 1px solid var(--line); border-radius: 6px; margin: 1rem 0; }
.case > p { margin: 0; padding: .4rem .8rem; background: var(--soft); border-bottom: 1px solid var(--line); }
.sides { display: grid; grid-template-columns: repeat(auto-fit, minmax(300px, 1fr)); }
.sides > div { padding: .4rem .8rem; min-width: 0; }
.sides b { font-size: .75rem; text-transform: uppercase; letter-spacing: .04em; opacity: .7; }
pre { margin: .3rem 0; overflow-x: auto; font: 12.5px/1.45 ui-monospace, monospace; tab-size: 4; }
.expected pre { background: var(--good); } .shown pre { background: var(--bad); }
.cursor { color: var(--cursor); font-weight: bold; }
"""

_POLICY = "default-src 'none'; style-src 'unsafe-inline'"


def page(runs: Sequence[Run], where: str) -> str:
    """The page for one run, or for two that are compared; `where` names what was evaluated."""
    letters = ("A", "B") if len(runs) > 1 else ("",)
    parts = [f"<h1>Completions in {_safe(where)}</h1>"]
    if len(runs) > 1:
        parts.append(_compared(*runs))
    for letter, run in zip(letters, runs, strict=True):
        parts += [_section(run, f"{letter}: " if letter else ""), _worst(run)]
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>qwen-lsp eval: {_safe(where)}</title><style>{_STYLE}</style></head>\n"
        f"<body>\n{''.join(parts)}</body></html>\n"
    )


def worst(rows: Iterable[Row]) -> list[Row]:
    """What a person should look at first: answers seen, files broken, lines doubled, texts far from what was there."""
    wrong = [row for row in answered(list(rows)) if not row.score.exact]
    return sorted(
        wrong,
        key=lambda row: (
            not row.leaked,
            row.score.valid is not False,
            not row.score.duplicates,
            row.shown is None,
            row.score.similarity,
        ),
    )[:WORST]


def _section(run: Run, letter: str) -> str:
    good = answered(run.rows)
    found = groups(good)
    head = ["", "holes", *map(heading, FIGURES)]
    lines = [
        [name, str(len(group)), *(report.cell(figure, run, group, interval=name == "all") for figure in FIGURES)]
        for name, group in found.items()
    ]
    kinds = [
        (name, sum(row.score.exact for row in group), len(group))
        for name, group in found.items()
        if group and not name.startswith("in ")
    ]
    latencies = plots.histogram([row.latency_ms for row in good], "Latency")
    exact = plots.shares(kinds, "Exact match")
    return (
        f"<h2>{_safe(letter + report.headline(run))}</h2>{_table(head, lines)}"
        f"<p>{'<br>'.join(_safe(line) for line in report.remarks(run))}</p>"
        f'<div class="plots"><div><h3>Latency</h3>{latencies}</div>'
        f"<div><h3>Exact match, with 95 % intervals</h3>{exact}</div></div>"
    )


def _compared(a: Run, b: Run) -> str:
    head = ["B against A", "A", "B", "difference", "95 % interval", "real"]
    lines = [compare.cells(difference, a, b) for difference in compare.differences(a, b)]
    return f"<h2>Differences</h2>{_table(head, lines)}<p>{_safe(compare.CAUTION)}</p>"


def _worst(run: Run) -> str:
    cases = worst(run.rows)
    if not cases:
        return ""
    return f"<h2>The {len(cases)} worst</h2>" + "".join(map(_case, cases))


def _case(row: Row) -> str:
    hole = row.hole
    before = "\n".join(_plain(hole.before).split("\n")[-_LINES_BEFORE:])
    after = "\n".join(_plain(hole.after).split("\n")[:_LINES_AFTER])
    faults = [f"similarity {100 * row.score.similarity:.0f} %", f"{row.latency_ms:,.0f} ms"]
    faults += ["the answer was in the prompt"] * row.leaked + ["syntax broken"] * (row.score.valid is False)
    faults += ["repeats what follows"] * bool(row.score.duplicates)
    shown = _safe(row.shown) if row.shown is not None else ""
    silent = f"<p>nothing: {_safe(row.reason.value)} {_safe(row.detail)}</p>" if row.reason else ""
    expected = _safe(hole.expected + hole.after[: row.covered])
    return (
        f'<div class="case"><p>{_safe(hole.path)}:{hole.line + 1}:{hole.column + 1} · {hole.kind.value} · '
        f'{_safe(" · ".join(faults))}</p><div class="sides">'
        f'<div><b>before</b><pre>{_safe(before)}<span class="cursor">█</span>{_safe(after)}</pre></div>'
        f'<div class="expected"><b>expected</b><pre>{expected}</pre></div>'
        f'<div class="shown"><b>shown</b><pre>{shown}</pre>{silent}</div></div></div>\n'
    )


def _table(head: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    rows = [f"<tr>{''.join(f'<th>{_safe(cell)}</th>' for cell in head)}</tr>"]
    rows += [f"<tr>{''.join(f'<td>{_safe(cell)}</td>' for cell in line)}</tr>" for line in lines]
    return f'<div class="scroll"><table>{"".join(rows)}</table></div>'


def _safe(text: str) -> str:
    """Text that is nothing but text: escaped, and with a sign in place of what can't be seen."""
    return escape(_CONTROLS.sub("\N{REPLACEMENT CHARACTER}", _plain(text)))


def _plain(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\r", "\n")
