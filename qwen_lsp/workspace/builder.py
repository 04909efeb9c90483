"""The one thread that reads: it keeps the indexes as the disk and the open documents are.

Promises: an open document counts in place of its file, and is read a moment after its last change; nothing is put that
the privacy rules refuse; while there is nothing to do the thread sleeps without a timer; what it does is done in steps
of about a millisecond with rests between them, longer ones while completions are asked for. Never raises; a fault is a
line in the log.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from qwen_lsp.workspace.privacy import Privacy
from qwen_lsp.workspace.reading import Reading, Scan
from qwen_lsp.workspace.scope import Scope

logger = logging.getLogger(__name__)

SETTLED = 1.0
"""Seconds without a change after which a document's text is read again."""
AT_LAST = 10.0
"""Seconds of changes after which it is read nevertheless."""
SCAN_REST, LONGEST_REST = 2.0, 600.0
"""Seconds from one look at the disk to the next, at least; and twenty times as long as the last one took. After one
that failed twice as long each time, and never longer than the second."""
_REST, _REST_WHILE_ASKED, _ASKED = 0.0003, 0.004, 0.5
"""Seconds of rest after a millisecond of work; longer for so many seconds after a request."""


@dataclass(frozen=True, slots=True)
class _Job:
    """A document to read when it is due; `latest` is when it is due whatever changes."""

    due: float
    latest: float


class Builder:
    """Keeps scopes up to date. Every method but those that wait returns at once; any thread may call them."""

    def __init__(
        self,
        privacy: Privacy,
        *,
        on_progress: Callable[[int, int], None],
        settle: float = SETTLED,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._reading = Reading(privacy, self._pause)
        self._on_progress = on_progress
        self._settle = settle
        self._clock = clock
        self._sleep = sleep
        self._news = threading.Condition()
        self._jobs: dict[tuple[Scope, str], _Job] = {}
        self._taking = False
        self._scopes: tuple[Scope, ...] = ()
        self._scan_due: float | None = None
        self._next_scan = 0.0
        self._scan: Scan | None = None
        self._rest = SCAN_REST
        self._asked = 0.0
        self._closed = False
        self._thread: threading.Thread | None = None

    def watch(self, scopes: Sequence[Scope]) -> None:
        """From now on these are the scopes whose folders are looked at; the first look is due at once."""
        with self._news:
            self._scopes = tuple(scopes)
            self._next_scan = 0.0
            self._scan = None
        self.scan()

    def scan(self, after: float = 0.0) -> None:
        """The disk is to be looked at again."""
        with self._news:
            due = max(self._clock() + after, self._next_scan)
            self._scan_due = due if self._scan_due is None else min(due, self._scan_due)
            self._wake()

    def read(self, scope: Scope, path: str, *, settled: bool) -> None:
        """A document was opened or closed, or changed and is to be read once it has settled."""
        now, key = self._clock(), (scope, path)
        with self._news:
            known = self._jobs.get(key)
            latest = now + AT_LAST if known is None else known.latest
            due = now if settled or (known is not None and known.due <= now) else min(now + self._settle, latest)
            self._jobs[key] = _Job(due, latest)
            if known is None or settled:
                self._wake()

    def asked(self) -> None:
        """A completion was asked for: it goes first."""
        self._asked = self._clock()

    def caught_up(self, timeout: float) -> bool:
        """Waits until no document that is due is unread; whether that came true in time."""
        with self._news:
            return self._news.wait_for(lambda: self._closed or not (self._taking or self._due()), timeout)

    def ready(self, timeout: float | None = None) -> bool:
        """Waits until the disk has been looked at and every document is read; whether that came true in time."""
        with self._news:
            return self._news.wait_for(lambda: self._closed or not self._unfinished(), timeout)

    def stop(self) -> None:
        """Ends the thread, within a step."""
        with self._news:
            self._closed = True
            self._news.notify_all()

    # All below needs the lock, or is the thread's.

    def _wake(self) -> None:
        if self._thread is None and not self._closed:
            self._thread = threading.Thread(target=self._run, name="qwen-lsp workspace", daemon=True)
            self._thread.start()
        self._news.notify_all()

    def _due(self) -> list[tuple[Scope, str]]:
        now = self._clock()
        return [key for key, job in self._jobs.items() if job.due <= now]

    def _unfinished(self) -> bool:
        return bool(self._jobs) or self._taking or self._scan_due is not None or self._scan is not None

    def _run(self) -> None:
        while self._wait():
            try:
                self._step()
            except Exception as error:  # noqa: BLE001 - one bad file must not end the thread
                logger.error("reading the workspace failed: %s", type(error).__name__)  # noqa: TRY400 - may quote code
                self._failed()

    def _wait(self) -> bool:
        """Sleeps until there is something to do. False when the thread is to end."""
        with self._news:
            self._taking = False
            if not self._due():
                self._news.notify_all()
            while not self._closed:
                now = self._clock()
                dues = [job.due for job in self._jobs.values()]
                if self._scan_due is not None and self._scan is None:
                    dues.append(self._scan_due)
                if self._scan is not None or (dues and min(dues) <= now):
                    return True
                self._news.wait(min(dues) - now if dues else None)
            return False

    def _step(self) -> None:
        """Reads the documents that are due, or goes on looking at the disk."""
        with self._news:
            due = self._due()[:1]  # by itself, so that a fault in one costs nobody else
            for key in due:
                del self._jobs[key]
            self._taking = bool(due)
            if not due and self._scan is None:
                self._scan_due = None
                self._scan = self._reading.scan(self._scopes, self._clock, self._on_progress)
            scan = None if due else self._scan
        for scope, path in due:
            self._reading.document(scope, path)
        if scan is not None:
            if not scan.step():
                self._scanned(scan)
            self._pause()

    def _scanned(self, scan: Scan) -> None:
        with self._news:
            if self._scan is scan:
                self._scan, self._rest = None, SCAN_REST
                self._next_scan = self._clock() + max(SCAN_REST, 20 * scan.seconds)
                if self._scan_due is not None:
                    self._scan_due = max(self._scan_due, self._next_scan)

    def _failed(self) -> None:
        """A look at the disk that has failed begins anew in a while; what a document's fault costs is that document."""
        with self._news:
            if self._taking:
                return
            self._scan = None
            self.scan(self._rest)
            self._rest = min(2 * self._rest, LONGEST_REST)
        self._on_progress(0, 0)

    def _pause(self) -> None:
        """Lets the thread that serves the editor, and a model on this machine, have their turn."""
        self._sleep(_REST_WHILE_ASKED if self._clock() - self._asked < _ASKED else _REST)
