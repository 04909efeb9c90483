"""What there is beside the document that is completed, and what of it may be shown: the session's view of its folders.

Told of folders, documents and requests as the editor tells of them; everything it is told costs microseconds, and the
reading is one thread's (workspace/builder.py). Promises: nothing private or ignored is ever given, however it was
opened; a document outside every folder is shown open documents only; without `snippets` nothing is read at all, and
the refusals hold nevertheless. Fits `engine.ports.Sources`. Knows no LSP and no model.
"""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice

from qwen_lsp.core.context import Window
from qwen_lsp.core.model import Request, Skip, Snapshot, Snippet
from qwen_lsp.core.snippets import Query
from qwen_lsp.workspace import ignore
from qwen_lsp.workspace.builder import SETTLED, Builder
from qwen_lsp.workspace.desk import Desk, name_of
from qwen_lsp.workspace.files import LONGEST_LINE, unwanted
from qwen_lsp.workspace.places import folders_of, path_of, uri_of
from qwen_lsp.workspace.privacy import Privacy
from qwen_lsp.workspace.scope import Scope

logger = logging.getLogger(__name__)

DEADLINE = 0.1
"""Seconds within which snippets are given."""
_CATCHING_UP = 0.3
"""The part of them for which a document is waited for that was opened a moment ago."""
_GRACE = 0.02
RESCAN, RESCAN_WATCHED = 30.0, 600.0
"""Seconds of typing after which the disk is looked at again; longer where the editor tells what changes."""
_SETTLES = 1.0
"""Seconds after the editor has told of changed files: they come in bursts."""
_HEAD_LINES, _HEAD = 80, 6000
"""Lines and code points in which a file's imports stand."""
_MOST_OPEN = 20
"""Open documents that a query names."""


@dataclass(frozen=True, slots=True)
class Pace:
    """How fast things go; tests have paces of their own."""

    settle: float = SETTLED
    """Seconds without a change after which an open document is read again."""
    deadline: float = DEADLINE
    """Seconds within which snippets are given."""
    clock: Callable[[], float] = time.monotonic


_USUAL = Pace()


class Workspace:
    """One session's folders and open documents. Made before any engine, and outlives them."""

    def __init__(
        self,
        *,
        snippets: bool = True,
        home: str | None = None,
        on_progress: Callable[[int, int], None] = lambda _done, _total: None,
        pace: Pace = _USUAL,
    ) -> None:
        self.on_progress = on_progress
        """Hears how many files of how many are read, from the reading thread; both are the same at the end."""
        self.watched = False
        """Whether the editor tells of changed files (`touched`)."""
        self._on = snippets
        self._home = os.path.expanduser("~") if home is None else home  # noqa: PTH111 - Path.home() may raise
        self._deadline = pace.deadline
        self._clock = clock = pace.clock
        self._privacy = Privacy(clock)
        self._builder = Builder(self._privacy, on_progress=self._progress, settle=pace.settle, clock=clock)
        self._desk = Desk(self._moved)
        self._wholes: dict[str, str] = {}
        self._excluded: tuple[str, ...] = ()
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="qwen-lsp search")
        self._looked = clock()

    # Told by the session

    def folders(self, places: Iterable[str]) -> None:
        """These are the workspace folders, as URIs or paths."""
        folders = folders_of(places, self._home)
        self._privacy.within(folders)
        self._desk.folders(folders)
        if self._on:
            self._builder.watch(tuple(self._desk.scopes.values()))

    def use(self, *, snippets: bool) -> None:
        """Whether passages of other files are wanted (`qwen.snippets`). Without them nothing is read."""
        if snippets is self._on:
            return
        self._on = snippets
        self._builder.watch(tuple(self._desk.scopes.values()) if snippets else ())
        if not snippets:
            for scope in self._desk.every():
                scope.forget()
        for scope, path in self._desk.all_places():
            self._moved(scope, path)

    def exclude(self, patterns: Sequence[str]) -> None:
        """Files that these patterns fit are never given, nor completed in, nor kept (`qwen.exclude`)."""
        if tuple(patterns) == self._excluded:
            return
        self._excluded = tuple(patterns)
        self._privacy.exclude(patterns)
        if self._on:
            self._builder.watch(tuple(self._desk.scopes.values()))

    def opened(self, snapshot: Snapshot, *, within: str = "") -> None:
        """A document was opened. One that is a part of another (`within`, a notebook) is refused when that is.

        Such parts are no source for other documents: their neighbours they have with them.
        """
        if within:
            self._wholes[snapshot.uri] = within
        elif snapshot.uri.startswith(("file:", "untitled:")):
            self._desk.open(snapshot)

    def changed(self, snapshot: Snapshot, line: int) -> None:
        """A document was changed at a line."""
        if snapshot.uri not in self._desk:
            return
        self._desk.change(snapshot)
        if self._on:
            self._visit(snapshot, line)
            for scope, path in self._desk.places(snapshot.uri):
                self._builder.read(scope, path, settled=False)

    def saved(self, uri: str) -> None:
        """A document was saved: one that holds rules counts from now on."""
        if _holds_rules(uri):
            self.touched([uri])
        self._leave(uri)

    def touched(self, uris: Iterable[str]) -> None:
        """Files were changed, made or deleted, by whomever."""
        told = list(uris)
        rules = any(_holds_rules(uri) for uri in told)
        if rules:
            self._privacy.forget()
        if self._on and (rules or any(self._would_be_read(uri) for uri in told)):
            self._builder.scan(_SETTLES)

    def closed(self, uri: str) -> None:
        """A document was closed: its file counts again."""
        self._wholes.pop(uri, None)
        self._leave(uri)
        if uri in self._desk:
            self._desk.close(uri)

    def asked(self, request: Request) -> None:
        """A completion is asked for: that document is the one in use, and reading goes slower for a while."""
        uri, now = request.snapshot.uri, self._clock()
        if not self._on or uri not in self._desk:
            return
        self._desk.use(uri)
        self._visit(request.snapshot, request.line)
        self._builder.asked()
        if now - self._looked > (RESCAN_WATCHED if self.watched else RESCAN):
            self._looked = now
            self._builder.scan()

    def close(self) -> None:
        """Ends the threads, without waiting for them."""
        self._builder.stop()
        self._pool.shutdown(wait=False, cancel_futures=True)

    # Asked by the engine

    def refusal(self, uri: str) -> Skip | None:
        """Why a file must not be sent; None when it may."""
        refused = self._privacy.refusal(uri)
        if refused is None and (whole := self._wholes.get(uri)) is not None:
            return self._privacy.refusal(whole)
        return refused

    def repository(self, uri: str) -> tuple[str, str]:
        """The name of the folder that a file lies in, and its path in there; ("", its name) if it lies in none."""
        folder, path = self._desk.locate(self._wholes.get(uri, uri))
        return ("" if folder is None else folder.name), path

    async def snippets(self, request: Request, around: Window, room: int) -> Sequence[Snippet]:
        """Passages of other files for this place, the most helpful first, `room` code points together at most.

        Gives what is ready within the deadline, and never raises but CancelledError.
        """
        if not self._on or self.refusal(request.snapshot.uri) is not None:
            return ()
        try:
            scope, query = self._query(request, around)
            async with asyncio.timeout(self._deadline + _GRACE):
                loop = asyncio.get_running_loop()
                return await loop.run_in_executor(self._pool, self._search, scope, query, room)
        except TimeoutError:
            logger.debug("snippets took too long")
        except Exception as error:  # noqa: BLE001 - context is a help, never a condition
            logger.error("looking for snippets failed: %s", type(error).__name__)  # noqa: TRY400 - may quote code
        return ()

    def shows(self, uri: str, path: str) -> bool:
        """Whether a passage that was given for a document, from the file at this path, may be shown still. Fast."""
        return self._may_leave(self._desk.home(uri)[0], path)

    async def ready(self) -> None:
        """Waits until all that was told of is read."""
        await asyncio.get_running_loop().run_in_executor(None, self._builder.ready)

    def _query(self, request: Request, around: Window) -> tuple[Scope, Query]:
        snapshot = request.snapshot
        scope, path = self._desk.home(snapshot.uri)
        query = Query(
            path=path,
            language=snapshot.language,
            prefix=around.prefix,
            suffix=around.suffix,
            line=request.line,
            imports="".join(snapshot.lines[:_HEAD_LINES])[:_HEAD].replace("\r\n", "\n"),
            open=tuple(islice(self._desk.others(scope, path), _MOST_OPEN)),
            recent=scope.visited.recent(path),
        )
        return scope, query

    def _search(self, scope: Scope, query: Query, room: int) -> list[Snippet]:
        """In a thread of its own."""
        deadline = time.monotonic() + self._deadline
        self._builder.caught_up(self._deadline * _CATCHING_UP)
        found = scope.index.search(query, room, deadline)
        return [snippet for snippet in found if self._may_leave(scope, snippet.path)]

    def _may_leave(self, scope: Scope, path: str) -> bool:
        """Judges a file once more, on its way out: the rules may have changed since it was read."""
        opened = scope.open.get(path)
        if opened is not None:
            return self._privacy.refusal(opened.uri) is None
        return scope.folder is not None and self._privacy.refusal(uri_of(f"{scope.folder.real}/{path}")) is None

    def _visit(self, snapshot: Snapshot, line: int) -> None:
        """Takes note of where the person is, unless it is nobody's business, or no code."""
        refused = self.refusal(snapshot.uri) is not None or len(snapshot.lines[line]) > LONGEST_LINE
        for scope, path in self._desk.places(snapshot.uri):
            if refused:
                scope.visited.dropped(path)
            else:
                scope.visited.edited(path, snapshot.language, snapshot.lines, line)

    def _leave(self, uri: str) -> None:
        for scope, path in self._desk.places(uri):
            scope.visited.left(path)

    def _would_be_read(self, uri: str) -> bool:
        """Whether a file is one of those that are read; what has no ending may be a directory, and is."""
        folder, path = self._desk.locate(uri)
        *above, name = path.split("/")
        if folder is None or any(unwanted(part, directory=True) for part in above):
            return False
        return not unwanted(name, directory="." not in name)

    def _moved(self, scope: Scope, path: str) -> None:
        if self._on:
            self._builder.read(scope, path, settled=True)

    def _progress(self, done: int, total: int) -> None:
        self.on_progress(done, total)


def _holds_rules(uri: str) -> bool:
    return name_of(uri) in ignore.NAMES or path_of(uri).endswith("/.git/info/exclude")
