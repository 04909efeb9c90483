"""qwen_lsp/processes.py and lsp/leaving.py: whether another process is there, and when it has ended."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys

import pytest

from qwen_lsp.lsp import leaving
from qwen_lsp.lsp.leaving import ended
from qwen_lsp.processes import runs


def test_a_process_runs_until_it_has_ended() -> None:
    """Ours, a child, and no longer the child that was waited for."""
    assert runs(os.getpid())
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as child:
        assert runs(child.pid)
    assert not runs(child.pid)


@pytest.mark.parametrize("number", [0, -1, 2**40, 2**80])
def test_what_is_no_process_runs_not(number: int) -> None:
    """To the system 0 and -1 are groups of processes."""
    assert not runs(number)


def test_a_process_of_someone_else_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    """It may not be asked, which says that it is there."""

    def refuse(_pid: int, _signal: int) -> None:
        raise PermissionError

    monkeypatch.setattr(os, "kill", refuse)
    assert runs(4711)


async def test_the_end_of_a_process_is_told_when_it_comes() -> None:
    """Of any process, ours or not; of one that is over, at once."""
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)  # noqa: ASYNC220 - starts at once
    end = asyncio.ensure_future(ended(child.pid))
    await asyncio.sleep(0.05)
    assert not end.done()
    child.kill()
    child.wait()
    async with asyncio.timeout(10):
        await end
        await ended(child.pid)


async def test_where_nothing_tells_it_is_looked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """An older kernel, or another system."""

    def refuse(_pid: int) -> int:
        raise OSError

    monkeypatch.setattr(os, "pidfd_open", refuse, raising=False)
    monkeypatch.setattr(leaving, "LOOKING", 0.01)
    found = iter([True, True, False])
    monkeypatch.setattr(leaving, "runs", lambda _pid: next(found))
    async with asyncio.timeout(10):
        await ended(4711)
    assert list(found) == []
