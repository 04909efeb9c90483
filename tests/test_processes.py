"""qwen_lsp/processes.py: whether another process is there."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

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
