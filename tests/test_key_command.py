"""backend/keys.py: what is left of a command that gives no key. That it gives one is in test_resolve.py."""

from __future__ import annotations

import asyncio
import shlex
import sys
from pathlib import Path

import pytest

from qwen_lsp.backend.keys import run_key_command
from qwen_lsp.core.model import BackendError
from tests.desk import alive, gone, until

WAITS = """
import os, pathlib, subprocess, sys, time
folder, kind = pathlib.Path(sys.argv[1]), sys.argv[2]
(folder / kind).write_text(str(os.getpid()))
if kind == "command":
    child = subprocess.Popen([sys.executable, "-c", os.environ["WAITS"], str(folder), "child"])
    while not (folder / "child").exists() or not (folder / "child").read_text():
        time.sleep(0.01)
    if sys.argv[3] == "too much":
        print("x" * 1_000_000)
time.sleep(60)
"""
"""A command that starts a child, and neither of them ends."""


async def run(folder: Path, how: str, timeout: float = 30.0) -> str:  # noqa: ASYNC109 - the command's
    command = shlex.join([sys.executable, "-c", WAITS, str(folder), "command", how])
    return await run_key_command(command, {"WAITS": WAITS}, timeout=timeout)


async def started(folder: Path) -> list[int]:
    """The processes of both, once they are there."""
    both = [folder / "command", folder / "child"]
    assert await until(lambda: all(path.exists() and path.read_text() for path in both), 30)
    return [int(path.read_text()) for path in both]


async def test_a_command_that_is_given_up_ends_with_all_that_it_has_started(tmp_path: Path) -> None:
    """It prints what is no key and goes on: nothing of it stays behind."""
    with pytest.raises(BackendError, match="no key"):
        await run(tmp_path, "too much")
    assert all([await gone(pid) for pid in await started(tmp_path)])


async def test_a_command_that_nobody_waits_for_ends_with_all_that_it_has_started(tmp_path: Path) -> None:
    """It may wait for a password when the session is over."""
    asking = asyncio.ensure_future(run(tmp_path, "in silence"))
    running = await started(tmp_path)
    assert all(map(alive, running))
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    assert all([await gone(pid) for pid in running])
