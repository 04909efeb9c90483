"""Usage examples: lines elsewhere that go on from the same words as the cursor's line does.

What others wrote after `client.send(` is the best guess at what comes after it here.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Sequence
from itertools import islice

from qwen_lsp.core.chunks import tokens
from qwen_lsp.core.expressions import calls
from qwen_lsp.core.snippets import Piece
from qwen_lsp.workspace.surroundings import Surroundings

_MOST_PASSAGES = 60
"""Passages whose lines are looked at: those that hold most of the place's words."""
_MOST_LINES, _MOST_FILES = 6, 4
_LONGEST = 240
_HEAD = 160
_LONG_RUN = 6
"""Tokens in a row that agree, from which more say no more."""


def usages(place: Surroundings) -> Iterator[Piece]:
    """Lines that hold what stands right before the cursor."""
    ahead = tokens(place.query.head[-_HEAD:])
    names = [each for each in ahead if each.isidentifier() and len(each) > 1]
    if names and names[-1] == place.partial:
        names.pop()
    if names:
        yield from _lines(place, names[-1], ahead, 1.0)


def calls_alike(place: Surroundings) -> Iterator[Piece]:
    """Lines that call what the cursor stands in the call of."""
    for chain, bracket in islice(calls(place.query.prefix), 1):
        yield from _lines(place, chain[-1].name, [*(link.name for link in chain[-2:]), bracket], 0.7)


def _lines(place: Surroundings, anchor: str, ahead: Sequence[str], base: float) -> Iterator[Piece]:
    """The best lines with a name in them, each with another continuation."""
    scores = place.scores
    holding = place.stock.postings.holding(anchor)
    numbers = heapq.nlargest(_MOST_PASSAGES, holding, key=lambda number: scores.get(number, 0.0))
    top = max((scores.get(number, 0.0) for number in numbers), default=0.0) or 1.0
    found: dict[str, tuple[float, Piece]] = {}
    for number in numbers:
        context = 0.4 * scores.get(number, 0.0) / top
        for length, following, piece in _matches(place, number, anchor, ahead):
            score = min(length, _LONG_RUN) / _LONG_RUN + context
            if following not in found or score > found[following][0]:
                found[following] = (score, piece)
    paths: set[str] = set()
    taken = 0
    for score, piece in sorted(found.values(), key=lambda entry: -entry[0]):
        if taken < _MOST_LINES and (piece.path in paths or len(paths) < _MOST_FILES):
            taken += 1
            paths.add(piece.path)
            yield Piece(piece.path, piece.line, piece.text, base * (0.3 + 0.4 * score), "usage")


def _matches(place: Surroundings, number: int, anchor: str, ahead: Sequence[str]) -> Iterator[tuple[int, str, Piece]]:
    """The lines of a passage that go on from `ahead`: how many tokens agree, what follows, the line itself."""
    file, index = place.stock.passage(number)
    if file.family != place.kind:
        return
    first, begin, end = file.spans[index]
    at = begin
    for offset, line in enumerate(file.text[begin:end].split("\n")):
        if anchor in line and len(line) < _LONGEST:
            length, following = matched(line, ahead)
            if length and following:
                yield length, following, Piece(file.path, first + offset, _whole(file.text, at, end), 0.0, "usage")
        at += len(line) + 1


def matched(line: str, ahead: Sequence[str]) -> tuple[int, str]:
    """The longest run of tokens from the end of `ahead` that a line holds, and the beginning of what follows it there.

    >>> matched("x = client.send(data)", ["await", "client", "."])
    (2, 'send ( data )')
    """
    here = tokens(line)
    best, following = 0, ""
    for at, token in enumerate(here):
        if token != ahead[-1]:
            continue
        length = 1
        while length < len(ahead) and length <= at and here[at - length] == ahead[-1 - length]:
            length += 1
        if length > best:
            best, following = length, " ".join(here[at + 1 : at + 9])
    return (0, "") if best == 1 and not ahead[-1].isidentifier() else (best, following)


def _whole(text: str, begin: int, end: int) -> str:
    """The line at `begin`, with up to three that follow where it leaves a bracket open."""
    stop = text.find("\n", begin)
    for _ in range(3):
        line = text[begin : stop if stop >= 0 else None]
        further = text.find("\n", stop + 1)
        if stop < 0 or further < 0 or further >= end:
            break
        if line.count("(") + line.count("{") <= line.count(")") + line.count("}"):
            break
        stop = further
    return _dedented(text[begin : stop if stop >= 0 else None])


def _dedented(text: str) -> str:
    lines = text.split("\n")
    indent = len(lines[0]) - len(lines[0].lstrip())
    return "\n".join(line.lstrip() if line[:indent].strip() else line[indent:] for line in lines)
