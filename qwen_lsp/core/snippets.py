"""Which passages to show: fusing rankings, leaving out what is known, and fitting the rest into a room.

Pure: pieces in, snippets out. Where the pieces come from is workspace/index.py's business.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from qwen_lsp.core.chunks import Chunk, contained
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

    def sees(self, path: str, line: int) -> bool:
        """Whether a line of a file is among those shown of the file itself, as it is now or was a moment ago.

        What was read of the file may be older than what is shown: it must not stand beside it.
        """
        first, last = self.line - self.prefix.count("\n"), self.line + self.suffix.count("\n")
        return path == self.path and first <= line <= last


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
        return len(self.text) + _PER_LINE * (self.text.count("\n") + 1) + 1


def chosen(pieces: Iterable[Piece], room: int, shown: str = "", least: float = 0.0) -> list[Snippet]:
    """The best pieces that fit into `room` code points, one snippet a file, the most helpful first.

    Left out is what scores below `least`, what stands in `shown` or in better pieces already (more than half of its
    lines), and what an outline tells already; a line that a passage brings as well comes with the passage. A piece that
    does not fit whole is left out.
    """
    taken: list[Piece] = []
    paths: set[str] = set()
    around = shown.split("\n")
    known: list[str] = []
    for piece in sorted(pieces, key=lambda piece: -piece.score):
        if piece.score < least or not piece.text.strip():
            continue
        lines = piece.text.split("\n")
        if contained(lines, around) > _KNOWN or contained(lines, known) > _KNOWN:
            continue
        within = [
            other for other in taken if other.path == piece.path and contained(other.text.split("\n"), lines) == 1
        ]
        if any(other.source == "definition" for other in within):
            continue  # its outline is shown, and bodies are dear
        cost = piece.size + (0 if piece.path in paths else HEAD + len(piece.path)) - sum(other.size for other in within)
        if cost > room:
            continue
        taken = [other for other in taken if other not in within]
        taken.append(replace(piece, score=max(piece.score, *(other.score for other in within))) if within else piece)
        known += lines
        paths.add(piece.path)
        room -= cost
    return _by_file(taken)


_KNOWN = 0.5


def _by_file(pieces: Sequence[Piece]) -> list[Snippet]:
    """One snippet a file: its pieces in the file's order, by the score of its best."""
    groups: dict[str, list[Piece]] = {}
    for piece in sorted(pieces, key=lambda piece: -piece.score):
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
