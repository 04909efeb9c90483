"""The ledger: one SQLite file for all editors of a person, to which each server adds what it counts.

Promises: counts, days and names of models and languages only, never code, paths or keys; what was written, which
`add` has done as soon as the disk lets it, is not lost when the process is killed; any number of servers write at
once; a file that can't be written costs one line in the log and no completion. Nothing here runs on the event loop's
thread but `add`, which only puts into a queue.
"""

from __future__ import annotations

import logging
import math
import os
import queue
import sqlite3
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

from qwen_lsp.core.budget import Spent
from qwen_lsp.core.counts import COUNTS, Key
from qwen_lsp.private import private_dir

logger = logging.getLogger(__name__)

_BUSY = 10.0
"""Seconds to wait for another server's write."""
_PASSING = ("locked", "unable to open")
"""What SQLite says while another server opens the file, or closes it as the last one."""
_AGAIN = 0.02
"""Seconds until it is tried again."""
_STEPS = 8
"""Latency is kept in classes whose bounds grow by a factor of 2 ** (1 / 8): within 9 %."""
_VERSION = 1
_CREATE = f"""
CREATE TABLE IF NOT EXISTS days (
  day TEXT NOT NULL, provider TEXT NOT NULL, model TEXT NOT NULL, currency TEXT NOT NULL, language TEXT NOT NULL,
  {", ".join(f"{name} {'REAL' if name == 'cost' else 'INTEGER'} NOT NULL DEFAULT 0" for name in COUNTS)},
  PRIMARY KEY (day, provider, model, currency, language)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS latencies (
  day TEXT NOT NULL, provider TEXT NOT NULL, model TEXT NOT NULL, class INTEGER NOT NULL, count INTEGER NOT NULL,
  PRIMARY KEY (day, provider, model, class)
) WITHOUT ROWID;
"""


@dataclass(frozen=True, slots=True)
class Row:
    """The counts of one key, or of several together."""

    key: Key
    counts: Mapping[str, float] = field(default_factory=lambda: MappingProxyType({}))

    def __getitem__(self, name: str) -> float:
        return self.counts.get(name, 0)


@dataclass(frozen=True, slots=True)
class Latency:
    """How often an answer took about so long on a day."""

    day: str
    provider: str
    model: str
    ms: float
    count: int


@dataclass(frozen=True, slots=True)
class _Entry:
    key: Key
    counts: Mapping[str, float]
    ms: float | None


class Ledger:
    """One server's hand in the ledger at `path`; opened by the first thing that is written."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._entries: queue.SimpleQueue[_Entry | None] = queue.SimpleQueue()
        self._writer: threading.Thread | None = None
        self.spent = Spent()
        """What paid services took on the day of what was added last, by all servers; as of this one's last write."""

    def add(self, key: Key, *, ms: float | None = None, **counts: float) -> None:
        """Counts something; `ms` is how long an answer took. Returns at once, never raises."""
        if self._writer is None:
            self._writer = threading.Thread(target=self._write, name="qwen-lsp ledger", daemon=True)
            self._writer.start()
        self._entries.put(_Entry(key, counts, ms))

    def look(self, day: str) -> None:
        """Finds out what was spent on a day, by all servers; `spent` has it a moment later."""
        self.add(Key(day))

    def close(self, patience: float = 1.0) -> None:
        """Writes what is left, for so many seconds at most."""
        if self._writer is not None:
            self._entries.put(None)
            self._writer.join(patience)
            self._writer = None

    def _keep(self, entries: Sequence[_Entry | None]) -> None:
        """Writes entries, as soon as other servers leave room for that."""
        end = time.monotonic() + _BUSY
        left = [entry for entry in entries if entry is not None]
        days = [entry.key.day for entry in left]
        while True:
            try:
                with _opened(self._path) as database:
                    _put(database, left)
                    left = []
                    # Not the latest day: a clock that was wrong for a moment would end all budgets until then.
                    self.spent = _spent(database, days[-1] if days else self.spent.day)
            except sqlite3.OperationalError as error:
                # SQLite's own timeout does not hold while another one opens the file or closes it as the last.
                if not any(word in str(error) for word in _PASSING) or time.monotonic() > end:
                    raise
                time.sleep(_AGAIN)
            else:
                return

    def _write(self) -> None:
        """The writer's thread: takes what has come together, and writes it at once."""
        over = failed = False
        while not over:
            entries = [self._entries.get()]
            while not self._entries.empty():
                entries.append(self._entries.get())
            over = None in entries
            try:
                self._keep(entries)
            except (OSError, sqlite3.Error, ValueError, OverflowError) as error:
                if not failed:
                    logger.warning("the ledger can't be written (%s); nothing is counted", type(error).__name__)
                failed = True


def rows(path: Path, since: str = "") -> list[Row]:
    """The counts of each key from a day on; none where there is no ledger.

    Raises:
        sqlite3.Error: the file is no ledger, or damaged.
    """
    if not path.exists():
        return []
    columns = ", ".join(COUNTS)
    with _opened(path) as database:
        found = database.execute(
            f"SELECT day, provider, model, currency, language, {columns} FROM days WHERE day >= ? ORDER BY day",  # noqa: S608 - names of ours
            (since,),
        ).fetchall()
    return [Row(Key(*row[:5]), dict(zip(COUNTS, row[5:], strict=True))) for row in found]


def latencies(path: Path, since: str = "") -> list[Latency]:
    """How long answers took from a day on.

    Raises:
        sqlite3.Error: as above.
    """
    if not path.exists():
        return []
    with _opened(path) as database:
        found = database.execute(
            "SELECT day, provider, model, class, count FROM latencies WHERE day >= ? ORDER BY day, class", (since,)
        ).fetchall()
    return [
        Latency(day, provider, model, 2 ** ((at + 0.5) / _STEPS), count) for day, provider, model, at, count in found
    ]


def together(found: Sequence[Row], *names: str) -> list[Row]:
    """Rows added up by these parts of their keys ("day", "model", ...), in the order in which they come first."""
    sums: dict[Key, dict[str, float]] = {}
    for row in found:
        key = Key(**{"day": ""} | {name: getattr(row.key, name) for name in names})
        into = sums.setdefault(key, dict.fromkeys(COUNTS, 0))
        for name in COUNTS:
            into[name] += row[name]
    return [Row(key, counts) for key, counts in sums.items()]


@contextmanager
def _opened(path: Path) -> Iterator[sqlite3.Connection]:
    """The database, made if it is not there, private; closed afterwards: a file that others may delete is not held."""
    private_dir(path.parent)
    os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
    database = sqlite3.connect(path, timeout=_BUSY, isolation_level=None)
    try:
        database.execute("PRAGMA journal_mode = WAL")
        database.execute("PRAGMA synchronous = NORMAL")
        if database.execute("PRAGMA user_version").fetchone()[0] < _VERSION:
            database.executescript(f"BEGIN IMMEDIATE; {_CREATE} PRAGMA user_version = {_VERSION}; COMMIT;")
        yield database
    finally:
        database.close()


def _spent(database: sqlite3.Connection, day: str) -> Spent:
    """The day's sums for what is paid."""
    sums = "SELECT currency, TOTAL(tokens_paid), TOTAL(cost) FROM days WHERE day = ? GROUP BY currency"
    found = database.execute(sums, (day,)).fetchall()
    return Spent(day, sum(row[1] for row in found), {currency: cost for currency, _, cost in found})


def _put(database: sqlite3.Connection, entries: Sequence[_Entry]) -> None:
    database.execute("BEGIN IMMEDIATE")
    for entry in entries:
        key = (entry.key.day, entry.key.provider, entry.key.model, entry.key.currency, entry.key.language)
        names = [name for name in COUNTS if entry.counts.get(name)]
        if names:
            sums = ", ".join(f"{name} = {name} + excluded.{name}" for name in names)
            database.execute(
                f"INSERT INTO days (day, provider, model, currency, language, {', '.join(names)}) "  # noqa: S608 - as above
                f"VALUES ({', '.join('?' * (5 + len(names)))}) ON CONFLICT DO UPDATE SET {sums}",
                (*key, *(entry.counts[name] for name in names)),
            )
        if entry.ms is not None:
            database.execute(
                "INSERT INTO latencies (day, provider, model, class, count) VALUES (?, ?, ?, ?, 1) "
                "ON CONFLICT DO UPDATE SET count = count + 1",
                (*key[:3], math.floor(_STEPS * math.log2(max(entry.ms, 1.0)))),
            )
    database.execute("COMMIT")
