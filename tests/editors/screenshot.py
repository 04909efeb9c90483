"""A terminal's screen as a picture: text with escape sequences becomes an SVG that needs no font and no network."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass, replace
from html import escape
from xml.etree import ElementTree as ET

WIDTH, HEIGHT, MARGIN = 8.4, 18, 12
"""Of a cell, and around them all, in pixels."""
_FOREGROUND, _BACKGROUND = "#e0e2ea", "#14161b"
# The sixteen colours of a terminal; what is beyond them is a cube and a ramp of greys.
_HUES = ("#ffc0b9", "#b3f6c0", "#fce094", "#a6dbff", "#ffcaff", "#8cf8f7", "#eef1f8")
_SIXTEEN = ("#07080d", *_HUES, "#4f5258", *_HUES)


@dataclass(frozen=True)
class Style:
    """How text looks from here on."""

    foreground: str | None = None
    background: str | None = None
    bold: bool = False
    italic: bool = False
    reverse: bool = False

    def after(self, codes: list[int]) -> Style:
        """The style after an escape sequence with these numbers."""
        style = self
        while codes:
            code = codes.pop(0)
            if code == 0:
                style = Style()
            elif code in (1, 3, 7):
                style = replace(style, **{{1: "bold", 3: "italic", 7: "reverse"}[code]: True})
            elif code in (22, 23, 27):
                style = replace(style, **{{22: "bold", 23: "italic", 27: "reverse"}[code]: False})
            elif code in (38, 48):
                style = replace(style, **{_side(code): _colour(codes)})
            elif code in (39, 49):
                style = replace(style, **{_side(code): None})
            elif 30 <= code <= 37 or 40 <= code <= 47:
                style = replace(style, **{_side(code): _SIXTEEN[code % 10]})
            elif 90 <= code <= 97 or 100 <= code <= 107:
                style = replace(style, **{_side(code - 60): _SIXTEEN[8 + code % 10]})
        return style

    @property
    def colours(self) -> tuple[str, str]:
        """Of the text and of what is behind it."""
        pair = (self.foreground or _FOREGROUND, self.background or _BACKGROUND)
        return (pair[1], pair[0]) if self.reverse else pair


def svg(screen: str, title: str) -> str:
    """The picture of a screen as `Terminal.colours` gives it."""
    rows = screen.rstrip("\n").split("\n")
    style, body, columns = Style(), [], 0
    for number, row in enumerate(rows):
        column = 0
        for sequence, text in re.findall(r"\x1b\[([\d;]*)m|([^\x1b]+)", row):
            if not text:
                style = style.after([int(code or 0) for code in sequence.split(";")])
                continue
            body.append(_run(text, style, number, column))
            column += _cells(text)
        columns = max(columns, column)
    width, height = 2 * MARGIN + columns * WIDTH, 2 * MARGIN + len(rows) * HEIGHT
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:g} {height:g}" width="{width:g}">',
            f"<title>{escape(title)}</title>",
            f'<rect width="100%" height="100%" rx="6" fill="{_BACKGROUND}"/>',
            '<g font-family="ui-monospace, Menlo, Consolas, \'DejaVu Sans Mono\', monospace" font-size="14">',
            *(run for run in body if run),
            "</g>",
            "</svg>",
            "",
        ]
    )


def shown(picture: str) -> str:
    """The text in a picture that `svg` has made, a line a row, without trailing blanks."""
    rows: dict[int, dict[float, str]] = {}
    for text in ET.fromstring(picture).iter("{http://www.w3.org/2000/svg}text"):  # noqa: S314 - our own file
        number = round((float(text.get("y", "0")) - MARGIN - 0.75 * HEIGHT) / HEIGHT)
        rows.setdefault(number, {})[float(text.get("x", "0"))] = text.text or ""
    lines = []
    for number in range(max(rows, default=-1) + 1):
        line = ""
        for x, text in sorted(rows.get(number, {}).items()):
            line += " " * (round((x - MARGIN) / WIDTH) - _cells(line)) + text
        lines.append(line.rstrip())
    return "\n".join(lines)


def _run(text: str, style: Style, row: int, column: int) -> str:
    """Text of one style, and what is behind it where that differs from the rest."""
    foreground, background = style.colours
    x, y, width = MARGIN + column * WIDTH, MARGIN + row * HEIGHT, _cells(text) * WIDTH
    behind = f'<rect x="{x:g}" y="{y}" width="{width:g}" height="{HEIGHT}" fill="{background}"/>'
    parts = [behind] if background != _BACKGROUND else []
    if text.strip():
        looks = (' font-weight="bold"' if style.bold else "") + (' font-style="italic"' if style.italic else "")
        parts.append(
            f'<text x="{x:g}" y="{y + 0.75 * HEIGHT:g}" textLength="{width:g}" fill="{foreground}"{looks} '
            f'xml:space="preserve">{escape(text)}</text>'
        )
    return "\n".join(parts)


def _side(code: int) -> str:
    return "foreground" if code < 40 else "background"


def _colour(codes: list[int]) -> str:
    """The colour that these numbers begin with, which are taken off."""
    if codes.pop(0) == 2:
        red, green, blue = (codes.pop(0) for _ in range(3))
        return f"#{red:02x}{green:02x}{blue:02x}"
    index = codes.pop(0)
    if index < 16:
        return _SIXTEEN[index]
    if index >= 232:
        return "#" + f"{8 + 10 * (index - 232):02x}" * 3
    levels = (0, 95, 135, 175, 215, 255)
    red, green, blue = (levels[(index - 16) // step % 6] for step in (36, 6, 1))
    return f"#{red:02x}{green:02x}{blue:02x}"


def _cells(text: str) -> int:
    """How many columns a text takes in a terminal."""
    return sum(2 if unicodedata.east_asian_width(character) in "WF" else 1 for character in text)
