"""The index over the workspace's files: what may help at a place, found in milliseconds.

Files come as (path, language, text) and are held in memory within the limits of workspace/stock.py. One thread may put
and drop while others search: reading a file happens outside the lock, in small steps with pauses between them, so
that the thread that serves the editor always gets its turn. Knows no disk and no rules of privacy: what must not be
shown must not be put.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from threading import Lock

from qwen_lsp.core.model import Snippet
from qwen_lsp.core.snippets import Piece, Query, chosen
from qwen_lsp.workspace.outlines import called, expected, visible
from qwen_lsp.workspace.similar import recent, similar
from qwen_lsp.workspace.stock import Stock, read
from qwen_lsp.workspace.surroundings import Surroundings
from qwen_lsp.workspace.usages import calls_alike, usages

LEAST = 0.17
"""A piece that scores less is not shown: context that does not fit does harm (Repoformer)."""


SOURCES: tuple[Callable[[Surroundings], Iterable[Piece]], ...] = (
    expected,
    called,
    visible,
    usages,
    calls_alike,
    similar,
    recent,
)
"""In the order in which they are asked while there is time. Their scores compare: about 1 for what the cursor's own
expression asks for, 0.5 for what its line is about, below 0.3 for what only looks alike."""


def _no_pause() -> None:
    pass


class Index:
    """Files by path, and the passages of them that fit a place."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._stock = Stock()
        self._lock = Lock()
        self._clock = clock

    def put(self, path: str, language: str, text: str, pause: Callable[[], None] = _no_pause) -> bool:
        """Takes a file in, in place of what is known under its path; False where there is no room for it.

        Args:
            path: relative to the workspace, with slashes.
            language: the LSP language id.
            text: all of it, whatever its line ends.
            pause: called about every millisecond of work, without any lock held.
        """
        with self._lock:
            if not self._stock.has_room(path, len(text)):
                self._stock.drop(path)
                return False
        file, found = read(path, language, text, pause)
        with self._lock:
            self._stock.add(file, found)
        return True

    def drop(self, path: str) -> None:
        """Forgets a file; nothing where it is not known."""
        with self._lock:
            self._stock.drop(path)

    def search(self, query: Query, room: int, deadline: float | None = None) -> list[Snippet]:
        """Passages for a place, the most helpful first; none where nothing fits well.

        Args:
            query: the place.
            room: code points that they may take together, paths and comment marks included.
            deadline: when to stop looking, by the clock; what was found until then is used.
        """
        pieces: list[Piece] = []
        with self._lock:
            place = Surroundings(self._stock, query, room)
            for source in SOURCES:
                if deadline is not None and self._clock() >= deadline:
                    break
                pieces += [piece for piece in source(place) if not query.sees(piece.path, piece.line)]
        return chosen(pieces, room, query.prefix + query.suffix, LEAST)

    @property
    def sizes(self) -> Mapping[str, int]:
        """Figures for a person who asks what is indexed."""
        with self._lock:
            return self._stock.sizes
