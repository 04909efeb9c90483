"""Similar passages: those that hold the place's words, the ones after them, and the places visited in this session."""

from __future__ import annotations

import heapq
import re
from collections.abc import Iterator
from operator import itemgetter

from qwen_lsp.core.chunks import passages, words
from qwen_lsp.core.declares import family
from qwen_lsp.core.snippets import Piece
from qwen_lsp.workspace.stock import File
from qwen_lsp.workspace.surroundings import Surroundings

_MOST = 16
_MOST_RECENT = 8
_OPEN = 1.2
"""Open files first: what is open together belongs together."""
_FLOOR = 0.1
_SIMILAR, _NEXT, _RECENT = 0.5, 0.4, 0.5


def similar(place: Surroundings) -> Iterator[Piece]:
    """The passages that hold most of the place's words, and those that follow them: what is about to be written."""
    for number, score in heapq.nlargest(_MOST, place.scores.items(), key=itemgetter(1)):
        file, index = place.stock.passage(number)
        if file.family == place.kind:
            share = score / place.perfect * (_OPEN if file.path in place.query.open else 1.0)
            yield from _passage(file, index, _FLOOR + _SIMILAR * share, "similar")
            yield from _passage(file, index + 1, _FLOOR + _NEXT * share, "next")


def recent(place: Surroundings) -> Iterator[Piece]:
    """What of the places visited in this session shares words with this one; an earlier visit counts less."""
    weights = place.weights
    total = sum(weights.values()) or 1.0
    for back, chunk in enumerate(place.query.recent[:_MOST_RECENT]):
        if family(chunk.language) != place.kind:
            continue
        for line, begin, end in passages(chunk.text):
            text = _trimmed(chunk.text[begin:end])
            share = sum(weights.get(word, 0.0) for word in words(text)) / total
            yield Piece(chunk.path, line, text, _FLOOR + _RECENT * share - 0.01 * back, "recent")


def _passage(file: File, index: int, score: float, source: str) -> Iterator[Piece]:
    if index < len(file.spans):
        first, begin, end = file.spans[index]
        text = _trimmed(file.text[begin:end])
        if not mostly_imports(text):
            yield Piece(file.path, first, text, score, source)


_IMPORT = re.compile(
    r"\s*(?:import|from|use|using|#\s*include|require|package|export \*|pub use|\}\s*from|[\w.]+,?$|\w+::)"
)


def mostly_imports(text: str) -> bool:
    """Whether a passage does little but name what its file uses."""
    lines = [line for line in text.split("\n") if line.strip()]
    return sum(1 for line in lines if _IMPORT.match(line)) > 0.5 * len(lines)


def _trimmed(text: str) -> str:
    """A passage without blank lines at its ends and without the indentation that all its lines share."""
    lines = text.strip("\n").rstrip().split("\n")
    indent = min((len(line) - len(line.lstrip()) for line in lines if line.strip()), default=0)
    return "\n".join(line[indent:].rstrip() for line in lines)
