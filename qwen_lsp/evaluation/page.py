"""A run, or two, as one HTML page that needs nothing else: figures, plots, and the worst cases side by side.

Promises: no script, nothing from any other place (its own policy forbids both), light or dark as the reader's system
is, and every text from a file or a model escaped.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from qwen_lsp.core import markup
from qwen_lsp.core.markup import plain, safe, table
from qwen_lsp.evaluation import compare, plots, report
from qwen_lsp.evaluation.figures import FIGURES, answered, groups
from qwen_lsp.evaluation.report import Run, heading
from qwen_lsp.evaluation.rows import Row

WORST = 30
_LINES_BEFORE, _LINES_AFTER = 12, 6
_STYLE = """
.case { border: 1px solid var(--line); border-radius: 6px; margin: 1rem 0; }
.case > p { margin: 0; padding: .4rem .8rem; background: var(--soft); border-bottom: 1px solid var(--line); }
.sides { display: grid; grid-template-columns: repeat(auto-fit, minmax(300px, 1fr)); }
.sides > div { padding: .4rem .8rem; min-width: 0; }
.sides b { font-size: .75rem; text-transform: uppercase; letter-spacing: .04em; opacity: .7; }
pre { margin: .3rem 0; overflow-x: auto; font: 12.5px/1.45 ui-monospace, monospace; tab-size: 4; }
.expected pre { background: var(--good); } .shown pre { background: var(--bad); }
.cursor { color: var(--cursor); font-weight: bold; }
"""


def page(runs: Sequence[Run], where: str) -> str:
    """The page for one run, or for two that are compared; `where` names what was evaluated."""
    letters = ("A", "B") if len(runs) > 1 else ("",)
    parts = [f"<h1>Completions in {safe(where)}</h1>"]
    if len(runs) > 1:
        parts.append(_compared(*runs))
    for letter, run in zip(letters, runs, strict=True):
        parts += [_section(run, f"{letter}: " if letter else ""), _worst(run)]
    return markup.document(f"qwen-lsp eval: {where}", "".join(parts), _STYLE)


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
        f"<h2>{safe(letter + report.headline(run))}</h2>{table(head, lines)}"
        f"<p>{'<br>'.join(safe(line) for line in report.remarks(run))}</p>"
        f'<div class="plots"><div><h3>Latency</h3>{latencies}</div>'
        f"<div><h3>Exact match, with 95 % intervals</h3>{exact}</div></div>"
    )


def _compared(a: Run, b: Run) -> str:
    head = ["B against A", "A", "B", "difference", "95 % interval", "real"]
    lines = [compare.cells(difference, a, b) for difference in compare.differences(a, b)]
    return f"<h2>Differences</h2>{table(head, lines)}<p>{safe(compare.CAUTION)}</p>"


def _worst(run: Run) -> str:
    cases = worst(run.rows)
    if not cases:
        return ""
    return f"<h2>The {len(cases)} worst</h2>" + "".join(map(_case, cases))


def _case(row: Row) -> str:
    hole = row.hole
    before = "\n".join(plain(hole.before).split("\n")[-_LINES_BEFORE:])
    after = "\n".join(plain(hole.after).split("\n")[:_LINES_AFTER])
    faults = [f"similarity {100 * row.score.similarity:.0f} %", f"{row.latency_ms:,.0f} ms"]
    faults += ["the answer was in the prompt"] * row.leaked + ["syntax broken"] * (row.score.valid is False)
    faults += ["repeats what follows"] * bool(row.score.duplicates)
    shown = safe(row.shown) if row.shown is not None else ""
    silent = f"<p>nothing: {safe(row.reason.value)} {safe(row.detail)}</p>" if row.reason else ""
    expected = safe(hole.expected + hole.after[: row.covered])
    return (
        f'<div class="case"><p>{safe(hole.path)}:{hole.line + 1}:{hole.column + 1} · {hole.kind.value} · '
        f'{safe(" · ".join(faults))}</p><div class="sides">'
        f'<div><b>before</b><pre>{safe(before)}<span class="cursor">█</span>{safe(after)}</pre></div>'
        f'<div class="expected"><b>expected</b><pre>{expected}</pre></div>'
        f'<div class="shown"><b>shown</b><pre>{shown}</pre>{silent}</div></div></div>\n'
    )
