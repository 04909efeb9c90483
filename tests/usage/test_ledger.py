"""usage/ledger.py: one file that all of a person's editors count in."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from qwen_lsp.core.budget import Spent
from qwen_lsp.core.counts import Key
from qwen_lsp.usage.ledger import Ledger, latencies, rows, together

DAY = Key("2026-11-22", "dashscope", "qwen-coder-turbo", "¥", "python")

# Adds one by one, each in a write of its own, and says so on standard output when it is written.
WRITER = """
import sys
from pathlib import Path
from qwen_lsp.core.budget import Spent
from qwen_lsp.core.counts import Key
from qwen_lsp.usage.ledger import Ledger
key = Key("2026-11-22", "local", sys.argv[2])
while True:
    ledger = Ledger(Path(sys.argv[1]))
    ledger.add(key, requests=1)
    ledger.close(60)
    print("written", flush=True)
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "ledger.db"


def test_what_is_added_is_summed_by_its_key(path: Path) -> None:
    """Counts of the same day, model and language are one row; others have their own."""
    ledger = Ledger(path)
    ledger.add(DAY, ms=100, requests=1, shown=1)
    ledger.add(DAY, ms=100, requests=1, tokens_in=200, tokens_out=10, cost=0.0004)
    ledger.add(Key("2026-11-22", "local", "qwen2.5-coder-1.5b"), requests=1)
    ledger.close()
    first, second = sorted(rows(path), key=lambda row: row.key.provider)
    assert first.key == DAY
    assert (first["requests"], first["shown"], first["tokens_in"], first["kept"]) == (2, 1, 200, 0)
    assert first["cost"] == pytest.approx(0.0004)
    assert second["requests"] == 1


def test_days_and_models_can_be_added_up(path: Path) -> None:
    """By any part of the key, from any day on."""
    ledger = Ledger(path)
    for day in ("2026-11-20", "2026-11-21", "2026-11-22"):
        for language in ("python", "rust"):
            ledger.add(Key(day, "local", "m", "", language), shown=1)
    ledger.close()
    assert [(row.key.day, row["shown"]) for row in together(rows(path, "2026-11-21"), "day")] == [
        ("2026-11-21", 2),
        ("2026-11-22", 2),
    ]
    (whole,) = together(rows(path))
    assert whole["shown"] == 6


@pytest.mark.parametrize("ms", [0.2, 1, 37, 1000, 60000])
def test_latencies_are_kept_within_a_tenth(path: Path, ms: float) -> None:
    """What took a millisecond or less counts as one."""
    ledger = Ledger(path)
    ledger.add(DAY, ms=ms)
    ledger.add(DAY, ms=ms)
    ledger.close()
    (found,) = latencies(path)
    assert found.count == 2
    assert found.ms == pytest.approx(max(ms, 1), rel=0.1)


def test_there_is_no_ledger_until_something_is_counted(path: Path) -> None:
    """Looking makes none."""
    Ledger(path).close()
    assert rows(path) == []
    assert latencies(path) == []
    assert not path.exists()


def test_only_its_owner_can_read_it(path: Path) -> None:
    """The file, and the two that SQLite puts beside it."""
    ledger = Ledger(path)
    ledger.add(DAY, requests=1)
    ledger.close()
    assert {oct(file.stat().st_mode & 0o777) for file in path.parent.iterdir()} == {"0o600"}
    assert path.parent.stat().st_mode & 0o777 == 0o700


def test_four_servers_lose_no_finished_row_when_they_are_killed(path: Path) -> None:
    """All write at once; killed in the middle of it, what was said to be written is there."""
    command = [sys.executable, "-c", WRITER, str(path)]
    servers = [subprocess.Popen([*command, f"m{n}"], stdout=subprocess.PIPE, text=True) for n in range(4)]
    written = dict.fromkeys(range(4), 0)
    for _ in range(25):
        for number, server in enumerate(servers):
            assert server.stdout
            assert server.stdout.readline() == "written\n"
            written[number] += 1
    for number, server in enumerate(servers):
        os.kill(server.pid, signal.SIGKILL)
        written[number] += len(server.communicate()[0].splitlines())
    found = {row.key.model: row["requests"] for row in rows(path)}
    for number, count in written.items():
        # The last one may be written, and killed before it could say so.
        assert found[f"m{number}"] in (count, count + 1)


def test_a_ledger_that_can_t_be_written_costs_a_line(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Once; completing goes on, and so does what calls it."""
    path.parent.mkdir()
    path.write_text("this is no database, whoever wrote it")
    ledger = Ledger(path)
    ledger.add(DAY, requests=1)
    ledger.add(DAY, requests=1)
    ledger.close()
    assert [record.message for record in caplog.records] == [
        "the ledger can't be written (DatabaseError); nothing is counted"
    ]
    with pytest.raises(sqlite3.Error):
        rows(path)
    assert path.read_text() == "this is no database, whoever wrote it"


def test_what_was_spent_today_is_known_of_all_servers(path: Path) -> None:
    """As soon as a server writes, it sees what the others have written; of the last day only."""
    other = Ledger(path)
    other.add(DAY, tokens_paid=100, cost=0.5)
    other.add(Key("2026-11-21", "dashscope", "m"), tokens_paid=7)
    other.close()
    ledger = Ledger(path)
    assert ledger.spent == Spent()
    ledger.add(DAY, tokens_paid=20, tokens_in=1000)
    ledger.close()
    assert ledger.spent == Spent("2026-11-22", 120, {"¥": 0.5})
    late = Ledger(path)
    late.look("2026-11-22")
    late.close()
    assert late.spent == ledger.spent
    assert {row.key.day for row in rows(path)} == {"2026-11-22", "2026-11-21"}


def test_what_was_spent_is_told_by_currency(path: Path) -> None:
    """Yuan are no dollars."""
    ledger = Ledger(path)
    ledger.add(Key("2026-11-22", "dashscope", "m", "¥"), tokens_paid=1, cost=8)
    ledger.add(Key("2026-11-22", "dashscope", "n", "$"), tokens_paid=2, cost=0.5)
    ledger.close()
    assert ledger.spent == Spent("2026-11-22", 3, {"¥": 8, "$": 0.5})
