"""A program in a terminal: keys go in, the screen comes out. tmux is the terminal, on a socket of its own."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Self

PATIENCE = 60.0
"""Seconds until what was expected on the screen is given up; a loaded machine takes tens of them to start an editor."""
_LOOK = 0.05


class Terminal:
    """A program in a terminal of `columns` by `rows`, from `start` to `close` (or as a context manager)."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._children: list[int] = []

    @classmethod
    async def start(
        cls, command: Sequence[str], *, env: Mapping[str, str], cwd: Path, columns: int = 100, rows: int = 30
    ) -> Self:
        """Starts the program with just this environment (TERM is set here)."""
        terminal = cls(f"qwen-lsp-{uuid.uuid4().hex[:12]}")
        size = ["-x", str(columns), "-y", str(rows)]
        inner = ["env", "-i", *(f"{name}={value}" for name, value in env.items()), "TERM=tmux-256color", *command]
        await terminal._tmux("-f", os.devnull, "new-session", "-d", *size, "-c", str(cwd), *inner)
        # A program that ends leaves its last words on the screen, for whoever reads why a test failed.
        await terminal._tmux("set-option", "-g", "remain-on-exit", "on")
        await terminal._tmux("set-option", "-g", "escape-time", "0")
        await terminal._tmux("set-option", "-ga", "terminal-overrides", ",*:Tc")
        return terminal

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def type(self, text: str) -> None:
        """Types text as it is, all of it at once."""
        await self._tmux("send-keys", "-l", "--", text)

    async def keys(self, *names: str) -> None:
        """Presses keys by tmux's names: "Enter", "Escape", "Tab", "C-x", "M-Right"."""
        await self._tmux("send-keys", *names)

    async def screen(self) -> str:
        """The screen's text now, a line a row, without trailing blanks."""
        return await self._tmux("capture-pane", "-p")

    async def colours(self) -> str:
        """The screen as it is now with its escape sequences, for a picture of it."""
        return await self._tmux("capture-pane", "-p", "-e")

    async def until(self, seen: str | Callable[[str], bool], patience: float = PATIENCE) -> str:
        """Waits until the screen holds a text, or satisfies a condition, and gives it.

        Raises:
            AssertionError: it never did; the message shows the screen.
        """
        wanted = (lambda screen: seen in screen) if isinstance(seen, str) else seen
        end = time.monotonic() + patience
        while not wanted(screen := await self.screen()):
            assert time.monotonic() < end, f"not on the screen after {patience} s: {seen!r}; it shows:\n{screen}"
            await asyncio.sleep(_LOOK)
        return screen

    async def close(self) -> None:
        """Ends the program and all that it started; some editors outlive their terminal."""
        with contextlib.suppress(AssertionError):
            pids = await self._tmux("list-panes", "-a", "-F", "#{pane_pid}")
            children = [child for pid in pids.split() for child in _family(int(pid))]
            await self._tmux("kill-server")
            for child in children:
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.kill(child, signal.SIGKILL)

    async def _tmux(self, *arguments: str) -> str:
        process = await asyncio.create_subprocess_exec(
            "tmux", "-u", "-L", self._name, *arguments,
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        out, err = await process.communicate()
        assert process.returncode == 0, f"tmux {arguments[0]}: {err.decode(errors='replace')}"
        return out.decode(errors="replace")


def _family(pid: int) -> list[int]:
    """A process and all that descend from it."""
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    except OSError:
        return [pid]
    return [pid, *(member for child in children.split() for member in _family(int(child)))]
