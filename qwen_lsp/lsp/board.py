"""How a session stands, put where others of the person's programs may read it (`qwen-lsp why`)."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Mapping
from typing import Any, Protocol

TOLD_EVERY = 1.0
"""Seconds between two tellings of the board."""


class Board(Protocol):
    """Where it is put; `usage` fits it without being imported."""

    def tell(self, standing: Mapping[str, Any]) -> None:
        """How it stands now."""

    def close(self) -> None:
        """The session is over."""


class Teller:
    """Tells a board; not more often than `TOLD_EVERY`, always the last state, and nothing after its end."""

    def __init__(
        self, board: Board | None, standing: Callable[[], Mapping[str, Any]], clock: Callable[[], float]
    ) -> None:
        self._board = board
        self._standing = standing
        self._clock = clock
        self._timer: asyncio.TimerHandle | None = None
        self._told = -math.inf

    def soon(self) -> None:
        """Something may be different: told at once if nothing was told for a while, else once for all till then.

        Not in this turn of the event loop: an answer may be on its way, and this writes a file.
        """
        if self._board is not None and self._timer is None:
            wait = max(0.0, self._told + TOLD_EVERY - self._clock())
            self._timer = asyncio.get_running_loop().call_later(wait, self._tell, self._board)

    def close(self) -> None:
        """The session is over."""
        board, self._board = self._board, None
        if self._timer is not None:
            self._timer.cancel()
        if board is not None:
            board.close()

    def _tell(self, board: Board) -> None:
        self._timer, self._told = None, self._clock()
        board.tell(self._standing())
