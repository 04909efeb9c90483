"""Passages of a file, the words in them, and how alike two passages are."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

LINES = 12
"""Lines of a passage, most."""
_LEAST = 5
"""Lines after which a passage ends where something new begins."""

_WORD = re.compile(r"[^\W\d]\w+")
_COMMON = frozenset(
    {"False", "None", "Ok", "Option", "Self", "Some", "String", "True", "abstract", "and", "any", "args", "as",
     "assert", "async", "await", "bool", "boolean", "break", "case", "catch", "char", "class", "const",
     "constructor", "continue", "crate", "def", "default", "defer", "del", "do", "double", "elif", "else", "end",
     "enum", "err", "error", "except", "export", "extends", "extern", "false", "final", "finally", "float", "fn",
     "for", "from", "func", "function", "global", "go", "goto", "if", "impl", "implements", "import", "in", "inline",
     "instanceof", "int", "interface", "is", "kwargs", "lambda", "let", "long", "map", "match", "mod", "mut",
     "namespace", "new", "nil", "none", "nonlocal", "not", "null", "number", "object", "of", "ok", "or", "override",
     "package", "pass", "print", "private", "protected", "pub", "public", "raise", "range", "readonly", "ref",
     "return", "select", "self", "short", "signed", "static", "str", "string", "struct", "sub", "super", "switch",
     "template", "then", "this", "throw", "throws", "trait", "true", "try", "type", "typedef", "typeof", "undefined",
     "union", "unsafe", "unsigned", "use", "using", "val", "var", "virtual", "void", "volatile", "where", "while",
     "with", "yield"}
)  # fmt: skip
"""Words that stand everywhere and tell passages of no language apart."""


@dataclass(frozen=True, slots=True)
class Chunk:
    """A passage that a person has seen or changed: whole lines with line feeds."""

    path: str
    text: str
    language: str = ""


def words(text: str) -> set[str]:
    """The identifiers in a text, without those that stand everywhere."""
    return set(_WORD.findall(text)) - _COMMON


def passages(text: str) -> Iterator[tuple[int, int, int]]:
    """Cuts a text into passages: first line, and where in the text it begins and ends.

    Ends are chosen where something new begins: at a line that is blank, or not indented.
    """
    begin = at = line = first = 0
    size = len(text)
    while at < size:
        end = text.find("\n", at) + 1 or size
        line += 1
        count = line - first
        if count >= LINES or (count >= _LEAST and text[at:end].isspace()):
            yield first, begin, end
            first, begin = line, end
        at = end
    if begin < size:
        yield first, begin, size


def alike(one: Iterable[str], other: Iterable[str]) -> float:
    """How alike two passages are by their lines, 0 to 1: twice the common lines by all lines; blanks do not count."""
    first, second = _counted(one), _counted(other)
    total = first.total() + second.total()
    return 2 * (first & second).total() / total if total else 0.0


def contained(part: Iterable[str], whole: Iterable[str]) -> float:
    """How much of a passage's lines another holds, 0 to 1."""
    first, second = _counted(part), _counted(whole)
    return (first & second).total() / first.total() if first else 1.0


def _counted(lines: Iterable[str]) -> Counter[str]:
    """Lines without blanks and what opens a body, so that a signature is like the line it was read off."""
    return Counter(line for raw in lines if len(line := raw.strip().rstrip(" :{;,")) > 1)


def tokens(text: str) -> Sequence[str]:
    """Words and marks, without the blanks between them."""
    return _TOKEN.findall(text)


_TOKEN = re.compile(r"\w+|[^\w\s]")
