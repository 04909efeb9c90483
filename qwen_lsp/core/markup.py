"""Pages for people: one HTML file that needs nothing else, with tables and plots in SVG.

Promises: no script, nothing from any other place (the page's own policy forbids both), light or dark as the reader's
system is, and every text escaped that goes through `safe`, `table` or a plot's parts.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from html import escape

WIDTH = 560
"""Of a plot, in its own units."""
_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f\u200e\u200f\u202a-\u202e\u2066-\u2069]")
"""What a browser would not show, or would turn the text around by."""
_POLICY = "default-src 'none'; style-src 'unsafe-inline'"
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
"""


def document(title: str, body: str, style: str = "") -> str:
    """A page; `body` is HTML, `style` is CSS of its own."""
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{safe(title)}</title><style>{_STYLE}{style}</style></head>\n"
        f"<body>\n{body}</body></html>\n"
    )


def table(head: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    """A table that scrolls by itself where it is too wide."""
    rows = [f"<tr>{''.join(f'<th>{safe(cell)}</th>' for cell in head)}</tr>"]
    rows += [f"<tr>{''.join(f'<td>{safe(cell)}</td>' for cell in line)}</tr>" for line in lines]
    return f'<div class="scroll"><table>{"".join(rows)}</table></div>'


def safe(text: str) -> str:
    """Text that is nothing but text: escaped, and with a sign in place of what can't be seen."""
    return escape(_CONTROLS.sub("\N{REPLACEMENT CHARACTER}", plain(text)))


def plain(text: str) -> str:
    """Text with line feeds only."""
    return text.replace("\r\n", "\n").replace("\r", "\n")


def svg(height: float, name: str, content: str) -> str:
    """A plot of the usual width."""
    return (
        f'<svg viewBox="0 0 {WIDTH} {height:.0f}" role="img" aria-label="{escape(name)}">'
        f"<title>{escape(name)}</title>{content}</svg>"
    )


def bar(x: float, y: float, width: float, height: float, title: str) -> str:
    """A bar that says what it is when it is pointed at."""
    shape = f'x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}"'
    return f'<rect class="bar" {shape}><title>{escape(title)}</title></rect>'


def label(x: float, y: float, text: str, *, anchor: str = "start") -> str:
    """A few words in a plot."""
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>'
