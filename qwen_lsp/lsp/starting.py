"""Tells the editor that whoever completes is being started: loading a model takes seconds in which nothing is shown.

Promises: begun only where the editor shows progress, and what was begun is ended; an editor that does not answer is
left alone.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any

from lsprotocol import types

from qwen_lsp.lsp.indexing import shows_progress

if TYPE_CHECKING:
    from pygls.lsp.server import LanguageServer

TITLE = "qwen-lsp: starting the model"


class Starting:
    """Shows that something is being started, for as long as it is."""

    def __init__(self, server: LanguageServer, start: Callable[[Coroutine[Any, Any, None]], None]) -> None:
        self._server = server
        self._start = start
        self._tokens = itertools.count(1)
        self._over = asyncio.Event()
        self._over.set()

    def begins(self) -> None:
        """It takes a while."""
        if self._over.is_set():
            self._over.clear()
            self._start(self._show(f"{TITLE} {next(self._tokens)}"))

    def ends(self) -> None:
        """It is over, whatever came of it."""
        self._over.set()

    async def _show(self, token: str) -> None:
        if not await shows_progress(self._server, token):
            return
        self._server.work_done_progress.begin(token, types.WorkDoneProgressBegin(title=TITLE, cancellable=False))
        try:
            await self._over.wait()
        finally:
            self._server.work_done_progress.end(token, types.WorkDoneProgressEnd())
