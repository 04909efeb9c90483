"""A document as lines, what an edit makes of them, and the arithmetic of positions in them.

Promises: only CRLF, LF and a lone CR end a line (LSP 3.17, "Text Documents"; `str.splitlines` also breaks at form
feeds, U+2028 and others); every line but the last keeps its end, the last has none, so there is always one; an
edit costs the same in a document of any size; no function raises, whatever integers it is given.

Columns count code points. What an editor counts, its *units*, depends on the encoding agreed on with it. Knows
nothing of protocols, files or models.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Literal, TypeAlias

from qwen_lsp.core.lines import Lines

Encoding: TypeAlias = Literal["utf-8", "utf-16", "utf-32"]
Place: TypeAlias = tuple[int, int]
"""Line and column, both from 0."""

_ENDED = re.compile(r"[^\r\n]*(?:\r\n?|\n)")


def split(text: str) -> list[str]:
    """The lines of a text. Joined again they are the text."""
    if "\r" not in text:
        lines = [line + "\n" for line in text.split("\n")]
        lines[-1] = lines[-1][:-1]
        return lines
    lines = _ENDED.findall(text)
    lines.append(text[max(text.rfind("\n"), text.rfind("\r")) + 1 :])
    return lines


def length(line: str) -> int:
    """Code points of a line without its end."""
    if line.endswith("\r\n"):
        return len(line) - 2
    return len(line) - line.endswith(("\n", "\r"))


def column(line: str, units: int, encoding: Encoding) -> int:
    """The column that lies `units` into a line.

    Past the end of the line it is the end, before the line's terminator (LSP 3.17, Position); inside a surrogate
    pair or a UTF-8 sequence it is the column of the character that is cut.
    """
    end = length(line)
    if units <= 0:
        return 0
    if encoding == "utf-32" or line.isascii():
        return min(units, end)
    seen = 0
    for at, char in enumerate(line[: min(units, end)]):
        seen += width(char, encoding)
        if seen > units:
            return at
    return min(units, end)


def units(line: str, column: int, encoding: Encoding) -> int:
    """How many units lie before a column, which is clamped to the line."""
    column = max(0, min(column, length(line)))
    if encoding == "utf-32" or line.isascii():
        return column
    return sum(width(char, encoding) for char in line[:column])


def width(char: str, encoding: Encoding) -> int:
    """Units of one character. A lone surrogate counts as what it is replaced by, U+FFFD."""
    if encoding == "utf-32":
        return 1
    code = ord(char)
    if encoding == "utf-16":
        return 1 + (code > 0xFFFF)
    return 1 + (code > 0x7F) + (code > 0x7FF) + (code > 0xFFFF)


def place(lines: Sequence[str], line: int, units: int, encoding: Encoding) -> Place:
    """The line and column of an editor's position; past the last line it is the document's end."""
    if line >= len(lines):
        return len(lines) - 1, length(lines[-1])
    line = max(0, line)
    return line, column(lines[line], units, encoding)


def edit(lines: Lines, start: Place, end: Place, text: str, encoding: Encoding = "utf-32") -> Lines:
    """The lines with a text in place of what stands between two positions. Wrong ones are clamped, reversed swapped.

    Only the lines that the edit touches are read: those of its range, and the one before it when a CR at its end
    meets an LF.
    """
    first = last = place(lines, *start, encoding)
    if end != start:
        first, last = sorted((first, place(lines, *end, encoding)))
    (row, left), (until, right) = first, last
    new = lines[row][:left] + text + lines[until][right:]
    if row and new.startswith("\n") and lines[row - 1].endswith("\r"):
        row -= 1
        new = lines[row] + new
    made = split(new)
    if until + 1 < len(lines):
        made.pop()  # what follows the end of a line that is not the last belongs to the next line
    return lines.replaced(row, until + 1, made)
