"""When the editor's process has ended (LSP, `initialize`: processId), whatever became of our input."""

from __future__ import annotations

import asyncio
import os
import sys

from qwen_lsp.processes import runs

LOOKING = 10.0
"""Seconds between two looks, where no event tells of the end of other people's processes."""


async def ended(pid: int) -> None:
    """Returns when the process has ended; on Linux without waking up before that."""
    if sys.platform == "linux":
        try:
            handle = os.pidfd_open(pid)
        except ProcessLookupError:
            return
        except OSError:  # an older kernel, or a sandbox
            await _looked_for(pid)
            return
        try:
            await _readable(handle)
        finally:
            os.close(handle)
    else:
        await _looked_for(pid)


async def _readable(handle: int) -> None:
    loop, event = asyncio.get_running_loop(), asyncio.Event()
    loop.add_reader(handle, event.set)
    try:
        await event.wait()
    finally:
        loop.remove_reader(handle)


async def _looked_for(pid: int) -> None:
    while runs(pid):  # noqa: ASYNC110 - nothing tells
        await asyncio.sleep(LOOKING)
