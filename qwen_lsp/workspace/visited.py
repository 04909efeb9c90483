"""Places that were edited or visited in this session: a ring of passages, the newest last.

Told of every change, it takes a passage up when the person jumps away from a place; while they type on, it does
nothing, so each change costs microseconds. Bounded: `MOST` passages of `LINES` lines each; a passage that is nearly one
that is held (0.9) takes its place. Knows no rules of privacy and no disk. Told by one thread; others may ask.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from qwen_lsp.core.chunks import Chunk, alike

MOST = 16
LINES = 64
JUMP = 32
"""Lines from the place that was edited last, from which a change is at another place."""
_SAME = 0.9


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a person is, and the document as they see it. Lines may keep their ends; they are not copied."""

    path: str
    language: str
    lines: Sequence[str]
    line: int

    def passage(self) -> Chunk | None:
        """The lines around; None where there is next to nothing."""
        first = max(0, min(self.line - LINES // 2, len(self.lines) - LINES))
        lines = [line.rstrip() for line in self.lines[first : first + LINES]]
        text = "\n".join(lines).strip("\n")
        return Chunk(self.path, text, self.language) if text.count("\n") >= 2 else None


class Visited:
    """The places of one workspace folder."""

    def __init__(self) -> None:
        self._ring: tuple[Chunk, ...] = ()
        self._here: _Place | None = None

    def edited(self, path: str, language: str, lines: Sequence[str], line: int) -> None:
        """A document is now this, and was changed (or asked about) at this line."""
        here = self._here
        if here is not None and (here.path != path or abs(here.line - line) > JUMP):
            self._take(here)
        self._here = _Place(path, language, lines, line)

    def left(self, path: str) -> None:
        """A document was saved or closed: the place in it that was edited last is worth keeping."""
        here = self._here
        if here is not None and here.path == path:
            self._take(here)

    def dropped(self, path: str) -> None:
        """A document must not be shown any more."""
        self._ring = tuple(chunk for chunk in self._ring if chunk.path != path)
        if self._here is not None and self._here.path == path:
            self._here = None

    def recent(self, path: str) -> tuple[Chunk, ...]:
        """The places for a completion in the document at `path`, the last first.

        Where the person is just now in that document is none of them: the model sees it anyway.
        """
        here = self._here
        found = list(reversed(self._ring))
        if here is not None and here.path != path and (passage := here.passage()) is not None:
            found = [passage, *(chunk for chunk in found if not _same(chunk, passage))]
        return tuple(found[:MOST])

    def _take(self, place: _Place) -> None:
        passage = place.passage()
        if passage is not None:
            kept = [chunk for chunk in self._ring if not _same(chunk, passage)]
            self._ring = (*kept[-MOST + 1 :], passage)


def _same(one: Chunk, other: Chunk) -> bool:
    return one.path == other.path and alike(one.text.split("\n"), other.text.split("\n")) > _SAME
