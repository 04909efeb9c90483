"""Fetches the weights of an embedded model for a person who asked for it, while the editor shows how far it is.

Promises: one at a time; what is taken back, or broken off by the end of the session, goes on from there the next time.
"""

from __future__ import annotations

import asyncio
import itertools
import threading
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any, Protocol

from lsprotocol import types

from qwen_lsp.core.model import BackendError
from qwen_lsp.lsp.indexing import shows_progress

if TYPE_CHECKING:
    from pygls.lsp.server import LanguageServer

MEGA = 1_000_000


class Models(Protocol):
    """Where weights come from."""

    def name(self, model: str) -> str:
        """The full name of a model; of the default one for "".

        Raises:
            BackendError: there is none of this name.
        """

    def fetch(self, name: str, on_progress: Callable[[int, int], None]) -> None:
        """Fetches it, telling the bytes that are there and those there will be. Blocks.

        Raises:
            BackendError: it could not be had.
        """


class _TakenBack(BaseException):
    """Nobody wants the rest. No Exception, which a source would take for the network's and try again."""


class Fetching:
    """One session's."""

    def __init__(
        self,
        server: LanguageServer,
        models: Models,
        start: Callable[[Coroutine[Any, Any, None]], None],
        *,
        on_end: Callable[[str, str], None],
    ) -> None:
        """`on_end` hears a level ("info", "error") and a line for the person."""
        self._server = server
        self._models = models
        self._start = start
        self._on_end = on_end
        self._tokens = itertools.count(1)
        self._running = ""

    def begin(self, model: str, *, shown: bool) -> str:
        """Begins, unless one is being fetched; with progress where the editor shows it. A line for the person.

        Raises:
            BackendError: there is no such model.
        """
        if self._running:
            return f"{self._running} is being fetched already"
        self._running = self._models.name(model)
        self._start(self._run(self._running, shown=shown))
        return f"fetching {self._running}"

    async def _run(self, name: str, *, shown: bool) -> None:
        bar = _Bar(self._server, f"qwen-lsp: fetching {name}", f"qwen-lsp fetch {next(self._tokens)}")
        level, said = "info", ""
        try:
            if shown:
                await bar.begin()
            await asyncio.to_thread(self._models.fetch, name, bar.heard)
            said = f"{name} is here"
        except _TakenBack:
            said = "fetching was stopped; the same command goes on from there"
        except BackendError as error:
            level, said = "error", error.message
        finally:
            self._running = ""
            bar.end()
        self._on_end(level, said)


class _Bar:
    """Progress in the editor, where it shows any. `heard` may be called from any thread."""

    def __init__(self, server: LanguageServer, title: str, token: str) -> None:
        self._server, self._title, self._token = server, title, token
        self._loop = asyncio.get_running_loop()
        self._begun = False
        self._percent = -1
        self._over = threading.Event()

    async def begin(self) -> None:
        if await shows_progress(self._server, self._token):
            self._begun = True
            self._server.work_done_progress.tokens[self._token].add_done_callback(lambda _: self._over.set())
            begin = types.WorkDoneProgressBegin(title=self._title, cancellable=True, percentage=0)
            self._server.work_done_progress.begin(self._token, begin)

    def heard(self, done: int, total: int) -> None:
        """So many bytes of so many are there.

        Raises:
            _TakenBack: the person, or the end of the session, has stopped it.
        """
        if self._over.is_set():
            raise _TakenBack
        percent = 100 * done // max(total, 1)
        if percent != self._percent:
            self._percent = percent
            message = f"{done // MEGA:,} of {total // MEGA:,} MB"
            self._loop.call_soon_threadsafe(self._show, percent, message)

    def end(self) -> None:
        self._over.set()
        if self._begun:
            self._begun = False
            self._server.work_done_progress.end(self._token, types.WorkDoneProgressEnd())

    def _show(self, percent: int, message: str) -> None:
        if self._begun:
            report = types.WorkDoneProgressReport(percentage=percent, message=message)
            self._server.work_done_progress.report(self._token, report)
