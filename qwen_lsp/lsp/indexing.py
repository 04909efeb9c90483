"""What the editor is asked and told while the workspace is read: progress to show, and files to watch.

Promises: progress is begun only where the editor can show it, and what was begun is ended; an editor that does not
answer is left alone. Reads nothing itself.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any

from lsprotocol import types

if TYPE_CHECKING:
    from pygls.lsp.server import LanguageServer

logger = logging.getLogger(__name__)

PATIENCE = 5.0
"""Seconds the editor has to answer."""
TITLE = "qwen-lsp: indexing"


class Indexing:
    """Shows how far the reading is. Belongs to the session's thread, but for `heard`."""

    def __init__(self, server: LanguageServer, start: Callable[[Coroutine[Any, Any, None]], None]) -> None:
        self._server = server
        self._start = start
        self._loop = asyncio.get_running_loop()
        self._tokens = itertools.count(1)
        self._token = ""
        """The progress that is shown, or about to be."""
        self._begun = False
        self._last = (0, 0)

    def heard(self, done: int, total: int) -> None:
        """So many files of so many are read; the same number at the end. From any thread."""
        try:
            self._loop.call_soon_threadsafe(self._show, done, total)
        except RuntimeError:  # the session is over
            return

    def _show(self, done: int, total: int) -> None:
        self._last = (done, total)
        if not self._token and done < total:
            self._token = f"{TITLE} {next(self._tokens)}"
            self._start(self._begin(self._token))
        elif self._begun and done < total:
            report = types.WorkDoneProgressReport(message=f"{done}/{total} files", percentage=100 * done // total)
            self._server.work_done_progress.report(self._token, report)
        elif done >= total:
            token, self._token = self._token, ""
            if self._begun:
                self._begun = False
                self._server.work_done_progress.end(token, types.WorkDoneProgressEnd(message=f"{total} files"))

    async def _begin(self, token: str) -> None:
        if not await shows_progress(self._server, token):
            return
        if self._token == token:
            self._begun = True
            done, total = self._last
            begin = types.WorkDoneProgressBegin(title=TITLE, cancellable=False, percentage=100 * done // max(total, 1))
            self._server.work_done_progress.begin(token, begin)


async def shows_progress(server: LanguageServer, token: str) -> bool:
    """Asks the editor to show the progress of this token. Whether it will."""
    try:
        async with asyncio.timeout(PATIENCE):
            await server.work_done_progress.create_async(token)
    except Exception as error:  # noqa: BLE001 - an editor that shows nothing misses nothing
        logger.debug("no progress is shown: %s", type(error).__name__)
        return False
    return True


async def watch_files(server: LanguageServer) -> bool:
    """Asks the editor to tell of changed files. Whether it will."""
    watcher = types.FileSystemWatcher(glob_pattern="**/*")
    registration = types.Registration(
        id="qwen-lsp files",
        method=types.WORKSPACE_DID_CHANGE_WATCHED_FILES,
        register_options=types.DidChangeWatchedFilesRegistrationOptions(watchers=[watcher]),
    )
    try:
        async with asyncio.timeout(PATIENCE):
            await server.client_register_capability_async(types.RegistrationParams(registrations=[registration]))
    except Exception as error:  # noqa: BLE001 - the disk is looked at now and then in any case
        logger.debug("no files are watched: %s", type(error).__name__)
        return False
    return True
