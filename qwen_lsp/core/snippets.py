"""Which passages to show: fusing rankings, leaving out what is known, and fitting the rest into a room.

Pure: pieces in, snippets out. Where the pieces come from is workspace/index.py's business.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from qwen_lsp.core.chunks import Chunk, alike, contained
from qwen_lsp.core.model import Snippet

HEAD = 12
"""Code points that a snippet's path costs beside the path itself: "# Path: " and line ends."""
_PER_LINE = 3
"""Code points that a line costs beside its own: the comment mark and the line end."""


@dataclass(frozen=True, slots=True)
class Query:
    """A place in a file, and what is shown of the file itself."""

    path: str
    """Relative to the workspace, with slashes."""
    language: str
    prefix: str
    """What is shown before the cursor."""
    suffix: str
    """What is shown after it."""
    line: int = 0
    """The number of the cursor's line in the file, from 0."""
    imports: str = ""
    """The beginning of the file, where its imports stand; may overlap with `prefix`."""
    open: tuple[str, ...] = ()
    """Paths of the open files, the one used last first."""
    recent: tuple[Chunk, ...] = ()
    """Places visited or changed in this session, the last first."""

    @property
    def head(self) -> str:
        """The cursor's line up to the cursor."""
        return self.prefix[self.prefix.rfind("\n") + 1 :]

    @property
    def rest(self) -> str:
        """The cursor's line from the cursor on."""
        return self.suffix.partition("\n")[0]


@dataclass(frozen=True, slots=True)
class Piece:
    """Lines that may be shown, before anything is chosen."""

    path: str
    line: int
    """Where they begin in their file: pieces of a file are shown in its order."""
    text: str
    score: float
    source: str

    @property
    def size(self) -> int:
        """Code points it takes, its path aside."""
        return len(self.text) + _PER_LINE * (self.text.count("\n") + 1)


def fused(rankings: Iterable[tuple[float, Sequence[int]]], k: int = 60) -> Mapping[int, float]:
    """Reciprocal rank fusion: each ranking comes with its weight, the best first."""
    scores: dict[int, float] = {}
    for weight, ranking in rankings:
        for rank, item in enumerate(ranking):
            scores[item] = scores.get(item, 0.0) + weight / (k + rank + 1)
    return scores


def chosen(pieces: Iterable[Piece], room: int, shown: str = "", least: float = 0.0) -> list[Snippet]:
    """The best pieces that fit into `room` code points, one snippet a file, the most helpful first.

    Left out is what scores below `least`, what stands in `shown` already (more than half of its lines), and what is
    nearly the same as a better piece (0.9). A piece that does not fit whole is left out.
    """
    taken: list[Piece] = []
    paths: set[str] = set()
    around = shown.split("\n")
    for piece in sorted(pieces, key=lambda piece: -piece.score):
        if piece.score < least or not piece.text.strip():
            continue
        cost = piece.size + (0 if piece.path in paths else HEAD + len(piece.path))
        if cost > room:
            continue
        lines = piece.text.split("\n")
        if contained(lines, around) > 0.5 or any(_same(lines, other) for other in taken):
            continue
        taken.append(piece)
        paths.add(piece.path)
        room -= cost
    return _by_file(taken)


def _same(lines: Sequence[str], other: Piece) -> bool:
    theirs = other.text.split("\n")
    return contained(lines, theirs) > 0.9 or alike(lines, theirs) > 0.9


def _by_file(pieces: Sequence[Piece]) -> list[Snippet]:
    """One snippet a file: its pieces in the file's order, by the score of its best."""
    groups: dict[str, list[Piece]] = {}
    for piece in pieces:
        groups.setdefault(piece.path, []).append(piece)
    return [
        Snippet(
            path,
            "\n".join(piece.text.rstrip("\n") for piece in sorted(group, key=lambda piece: piece.line)),
            group[0].score,
            group[0].source,
        )
        for path, group in groups.items()
    ]


def rescored(piece: Piece, factor: float) -> Piece:
    """The piece with its score multiplied."""
    return replace(piece, score=piece.score * factor)
