"""What the builder does: a document or a file into its scope's index, or out of it.

Promises: nothing is put that the privacy rules refuse, and what they refuse from now on is taken out; an open document
counts in place of its file. All of it belongs to one thread.
"""

from __future__ import annotations

import gc
import logging
from collections.abc import Callable, Collection, Iterator, Sequence

from qwen_lsp.core.languages import language_of
from qwen_lsp.workspace.files import Found, find, nearest_first, read, written
from qwen_lsp.workspace.places import Folder, uri_of
from qwen_lsp.workspace.privacy import Privacy
from qwen_lsp.workspace.scope import Scope

logger = logging.getLogger(__name__)

MOST_FILES, MOST_BYTES = 4000, 10_000_000
"""Of files read from the disk, over all folders: those nearest to the open documents, then the newest."""
MOST_LINES = 20_000
"""Of an open document; a longer one is not joined to be looked at."""
SHOWN_AFTER, SHOWN_EVERY = 0.5, 0.2
"""Seconds after which progress is told, and between two tellings."""
_NAMES_A_STEP = 50
_FILES_A_FREEZE = 50
"""What is read stays: looking through it for garbage took 0.05 s at a time, in the middle of typing."""


class Reading:
    """Reads documents and files. `pause` is called about every millisecond of work."""

    def __init__(self, privacy: Privacy, pause: Callable[[], None]) -> None:
        self._privacy = privacy
        self._pause = pause

    def scan(
        self, scopes: Sequence[Scope], clock: Callable[[], float], on_progress: Callable[[int, int], None]
    ) -> Scan:
        """A look at the disk that is about to begin."""
        self._privacy.forget()
        return Scan(self, scopes, clock, on_progress)

    def found(self, folder: Folder, others: Collection[str]) -> Iterator[Found]:
        """The files of a folder that may be read, less those of the folders in `others`."""
        return find(folder, self._privacy.fresh_rules(), others)

    def document(self, scope: Scope, path: str) -> None:
        """Takes an open document as it is now, or its file again if it is not open any more."""
        opened = scope.open.get(path)
        if opened is None:
            self._put_back(scope, path)
            return
        text = None
        refused = self._privacy.refusal(opened.uri) is not None
        if not refused and len(opened.snapshot.lines) <= MOST_LINES:
            text = written("".join(opened.snapshot.lines))
        (scope.withheld.add if refused else scope.withheld.discard)(path)
        if text is None:
            scope.index.drop(path)
        else:
            scope.index.put(path, opened.snapshot.language, text, self._pause)

    def file(self, scope: Scope, file: Found) -> None:
        """Reads a file from the disk, unless it is open."""
        if scope.folder is None or file.path in scope.open:
            return
        # First of all: one that can't be read off must not end every later look at the disk.
        scope.disk[file.path] = (file.size, file.stamp)
        text = read(scope.folder, file.path)
        if text is None:
            scope.index.drop(file.path)
        else:
            scope.index.put(file.path, language_of(file.path), text, self._pause)

    def review(self, scope: Scope) -> None:
        """Judges the open documents anew: an ignore file may have changed."""
        for path, opened in list(scope.open.items()):
            if (self._privacy.refusal(opened.uri) is not None) is not (path in scope.withheld):
                self.document(scope, path)

    def _put_back(self, scope: Scope, path: str) -> None:
        scope.withheld.discard(path)
        known = scope.disk.get(path) if scope.folder is not None else None
        if scope.folder is None or known is None or self._privacy.refusal(uri_of(f"{scope.folder.real}/{path}")):
            scope.index.drop(path)
        else:
            self.file(scope, Found(path, *known))


class Scan:
    """One look at the folders of some scopes, in steps."""

    def __init__(
        self,
        reading: Reading,
        scopes: Sequence[Scope],
        clock: Callable[[], float],
        on_progress: Callable[[int, int], None],
    ) -> None:
        self._reading = reading
        self._scopes = scopes
        self._clock = clock
        self._on_progress = on_progress
        self._began = clock()
        self._steps = self._all()
        self.seconds = 0.0
        """How long it took, rests included."""

    def step(self) -> bool:
        """Does a little. False when all is done."""
        return next(self._steps, False)

    def _all(self) -> Iterator[bool]:
        plan: list[tuple[Scope, Found]] = []
        dropped = 0
        files, size = MOST_FILES, MOST_BYTES
        for scope in self._scopes:
            found: list[Found] = []
            for file in self._found(scope):
                if file is None:
                    yield True
                else:
                    found.append(file)
            kept = {}
            # A copy: the session's thread opens and closes documents meanwhile.
            for file in nearest_first(found, {path.rpartition("/")[0] for path in list(scope.open)}):
                if not files or size < file.size:
                    break
                kept[file.path] = file
                files, size = files - 1, size - file.size
            dropped += self._forget(scope, kept)
            plan += self._changed(scope, kept)
        yield from self._read(plan)
        for scope in self._scopes:
            self._reading.review(scope)
        self._end(len(plan), dropped)

    def _found(self, scope: Scope) -> Iterator[Found | None]:
        """The files of a scope's folder; None now and then, for a rest."""
        folder = scope.folder
        if folder is None or folder.too_wide:
            return
        others = {other.folder.real for other in self._scopes if other.folder is not None and other is not scope}
        for number, file in enumerate(self._reading.found(folder, others), 1):
            yield file
            if not number % _NAMES_A_STEP:
                yield None

    def _forget(self, scope: Scope, kept: dict[str, Found]) -> int:
        gone = [path for path in scope.disk if path not in kept]
        for path in gone:
            del scope.disk[path]
            if path not in scope.open:
                scope.index.drop(path)
        return len(gone)

    def _changed(self, scope: Scope, kept: dict[str, Found]) -> Iterator[tuple[Scope, Found]]:
        """The files to read; those that are open are only remembered, for when they are closed."""
        for path, file in kept.items():
            if scope.disk.get(path) != (file.size, file.stamp):
                if path in scope.open:
                    scope.disk[path] = (file.size, file.stamp)
                else:
                    yield scope, file

    def _read(self, plan: Sequence[tuple[Scope, Found]]) -> Iterator[bool]:
        told = self._began + SHOWN_AFTER - SHOWN_EVERY
        for done, (scope, file) in enumerate(plan):
            now = self._clock()
            if now - told >= SHOWN_EVERY:
                told = now
                self._on_progress(done, len(plan))
            self._reading.file(scope, file)
            if not done % _FILES_A_FREEZE:
                gc.freeze()
            yield True

    def _end(self, read: int, dropped: int) -> None:
        self.seconds = self._clock() - self._began
        first = not all(scope.looked_at for scope in self._scopes)
        for scope in self._scopes:
            scope.looked_at = True
        if read or dropped or first:
            files = sum(scope.index.sizes["files"] for scope in self._scopes)
            logger.info("indexed files=%d ms=%d", files, self.seconds * 1000)
        self._on_progress(read, read)
