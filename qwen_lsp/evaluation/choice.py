"""Which files and which places in them: a sample by seed, the same whatever order the files are listed in.

A file is drawn in proportion to the square root of its size: larger ones are worked in more, and one of ten thousand
lines is not the whole of the sample. Reading is an argument, only what is drawn is read, and which files there are and
whether a person wrote them is for whoever lists and reads them (workspace/files.py).
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import cycle

from qwen_lsp.core.languages import language_of
from qwen_lsp.evaluation.hole import Hole, Kind, Source
from qwen_lsp.evaluation.places import Span, cut, places

KINDS = tuple(Kind)

_NO_SOURCE = {"plaintext", "markdown", "latex", "xml"}
"""Prose and data: a hole in them says nothing of code."""
_SETTINGS = {"json", "toml", "yaml"}
"""Written by hand when they are small, and not often."""
_SETTINGS_SIZE = 16_000
_SETTINGS_WEIGHT = 0.25


@dataclass(frozen=True, slots=True)
class Listed:
    """A file that may be evaluated: its path as in `Source`, and its size in bytes."""

    path: str
    size: int


def sources(listed: Iterable[Listed]) -> list[Listed]:
    """Those files that hold code, in the order of their paths."""
    return sorted((file for file in listed if _weight(file)), key=lambda file: file.path)


def holes(
    listed: Iterable[Listed],
    read: Callable[[str], str | None],
    count: int,
    *,
    seed: int = 0,
    kinds: Sequence[Kind] = KINDS,
) -> list[Hole]:
    """As many holes as there are places, up to `count`, the kinds taking turns; of one sample no two share a line.

    `read` gives a file's text, None when it can't be had or no person wrote it. A larger `count` begins with
    the holes of a smaller one.
    """
    sample = _Sample(sources(listed), read, seed)
    found: list[Hole] = []
    left = list(dict.fromkeys(kinds))
    for kind in cycle(tuple(left)):
        if len(found) >= count or not left:
            break
        if kind not in left:
            continue
        hole = sample.draw(kind)
        if hole is None:
            left.remove(kind)
        else:
            found.append(hole)
    return found


class _Sample:
    """The files that still have places, by kind."""

    def __init__(self, files: Sequence[Listed], read: Callable[[str], str | None], seed: int) -> None:
        self._read = read
        self._seed = seed
        self._weights = {kind: {file.path: _weight(file) for file in files} for kind in Kind}
        self._chance = {kind: random.Random(f"{seed} {kind.value}") for kind in Kind}  # noqa: S311 - no secret
        self._sources: dict[str, Source | None] = {}
        self._left: dict[tuple[str, Kind], list[Span]] = {}
        self._taken: dict[str, list[Span]] = {}

    def draw(self, kind: Kind) -> Hole | None:
        """A hole of a kind; None when there is no place left for one."""
        weights, chance = self._weights[kind], self._chance[kind]
        while weights:
            (path,) = chance.choices(list(weights), list(weights.values()))
            if hole := next(self._holes(path, kind), None):
                return hole
            del weights[path]
        return None

    def _holes(self, path: str, kind: Kind) -> Iterator[Hole]:
        """Those of a file that are left, in an order of chance; one that is looked at is taken."""
        source = self._source(path)
        if source is None:
            return
        left = self._places(source, kind)
        taken = self._taken.setdefault(path, [])
        while left:
            span = left.pop()
            lines = _lines_of(source.text, span)
            if all(lines[1] <= start or end <= lines[0] for start, end in taken):
                taken.append(lines)
                yield cut(source, kind, span)

    def _places(self, source: Source, kind: Kind) -> list[Span]:
        key = (source.path, kind)
        if key not in self._left:
            chance = random.Random(f"{self._seed} {kind.value} {source.path}")  # noqa: S311 - as above
            self._left[key] = places(source, kind, chance)
            chance.shuffle(self._left[key])
        return self._left[key]

    def _source(self, path: str) -> Source | None:
        if path not in self._sources:
            text = self._read(path)
            self._sources[path] = None if text is None else Source(path, language_of(path), text)
        return self._sources[path]


def _weight(file: Listed) -> float:
    """How often a file is drawn; 0 for one that is not evaluated."""
    language = language_of(file.path)
    if language in _NO_SOURCE or (language in _SETTINGS and file.size > _SETTINGS_SIZE):
        return 0.0
    return math.sqrt(file.size) * (_SETTINGS_WEIGHT if language in _SETTINGS else 1.0)


def _lines_of(text: str, span: Span) -> Span:
    """The span with the rest of its lines."""
    start, end = span
    line_end = text.find("\n", end)
    return text.rfind("\n", 0, start) + 1, len(text) if line_end < 0 else line_end + 1
