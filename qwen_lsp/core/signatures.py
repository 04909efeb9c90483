"""Signatures on one line, without bodies, comments and what only a compiler reads."""

from __future__ import annotations

import re
from collections.abc import Sequence

from qwen_lsp.core.declares import Declares

_MOST_LINES = 16
_MOST = 240
"""Code points of a signature; what is longer is cut: a table's first row is its shape."""
_MOST_VALUE = 48
_MOST_BRACES = 60
_TELLING = frozenset({"@property", "@cached_property", "@functools.cached_property", "@staticmethod", "@classmethod"})
"""Decorators that say how a name is used."""
_METHOD = re.compile(r"^func\s*\([^)]*\)\s*")
"""What a method of Go begins with: its class is named where its members are listed."""
_TAG = re.compile(r"(?<=\w)\s+`[^`]*`$")
"""What a field of Go ends with."""


def signature(lines: Sequence[str], number: int, how: Declares, *, method: bool = False) -> tuple[str, int]:
    """The signature that begins at a line, and how many lines it takes.

    Args:
        lines: the file's, with or without their ends.
        number: the line it begins at, from 0.
        how: the language's declarations.
        method: it is a method that stands outside its class.
    """
    parts: list[str] = []
    depth = 0
    for line in lines[number : number + _MOST_LINES]:
        stripped = line.strip()
        if parts and stripped.startswith(how.comments):
            parts.append("")
            continue
        stripped = _without_remark(stripped, how)
        depth += stripped.count("(") + stripped.count("[") - stripped.count(")") - stripped.count("]")
        parts.append(stripped)
        if depth <= 0:
            break
    else:
        parts = parts[:1]
    text = _bodiless(_joined(parts), by_colon=how.by_colon)
    if number and lines[number - 1].strip() in _TELLING:
        text = f"{lines[number - 1].strip()} {text}"
    return _cut(_METHOD.sub("", text) if method else text), len(parts)


def value(line: str, how: Declares) -> str:
    """A line that gives a name a value, without a value that is long."""
    name, equals, given = _without_remark(line, how).partition("=")
    given = given.strip(" ;")
    return f"{name}{equals} {given}" if len(given) <= _MOST_VALUE else f"{name}{equals} {given[:_MOST_VALUE].rstrip()}…"


def _without_remark(line: str, how: Declares) -> str:
    """A line without the comment and the tag at its end."""
    mark = " #" if how.by_colon else "//"
    at = line.find(mark)
    if at >= 0 and not line.count('"', 0, at) % 2 and line[at - 1 : at] != ":":
        line = line[:at]
    return _TAG.sub("", line.rstrip())


def _joined(parts: Sequence[str]) -> str:
    """Lines as one: no blanks after an opener or before a closer, no comma before one."""
    text = " ".join(" ".join(parts).split())
    if len(parts) > 1:
        for much, little in (("( ", "("), ("[ ", "["), (", )", ")"), (",)", ")"), (" )", ")"), (" ]", "]")):
            text = text.replace(much, little)
    return text


def _bodiless(text: str, *, by_colon: bool) -> str:
    """A signature up to where its body begins."""
    if by_colon:
        head, colon, body = text.rpartition(":")
        declares = text.startswith(("def ", "async def ", "class "))
        return head if declares and colon and not body.strip(" .") else text
    depth = 0
    for at, char in enumerate(text):
        if char in "([":
            depth += 1
        elif char in ")]":
            depth -= 1
        elif char == "{" and depth <= 0:
            # Braces that close on the line are a type or a value, and say more than nothing; after parameters a body.
            whole = text.rstrip(" ,;")
            told = "(" not in text[:at] and 2 < len(whole) - at <= _MOST_BRACES and whole[-1] == "}"
            return whole if told else text[:at].rstrip(" =:")
    return text.rstrip(" ,;{=:")


def _cut(text: str) -> str:
    return text if len(text) <= _MOST else text[:_MOST].rpartition(" ")[0] + " …"
