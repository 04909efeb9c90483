"""An empty home directory with a workspace in it, `qwen-lsp` on the PATH, and the server's log."""

from __future__ import annotations

import asyncio
import re
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from tests.fake_dashscope import FakeService

PATIENCE = 90.0
"""Seconds until the server's log is given up; VS Code's client is up 18 to 32 s after the start on a loaded machine."""
MODEL = "qwen2.5-coder-7b-instruct"
_LOOK = 0.05


@dataclass(frozen=True)
class Home:
    """Where a person begins: nothing is configured but which service completes."""

    path: Path

    @property
    def work(self) -> Path:
        """The workspace folder, a git repository."""
        return self.path / "work"

    @property
    def log(self) -> Path:
        """The server's log, at level debug."""
        return self.path / "qwen-lsp.log"

    @property
    def env(self) -> dict[str, str]:
        """The whole environment of an editor."""
        return {
            "HOME": str(self.path),
            "PATH": f"{self.path / 'bin'}:/usr/local/bin:/usr/bin:/bin",
            "LANG": "C.UTF-8",
            "SHELL": "/bin/sh",
            "NO_PROXY": "*",
            "QWEN_LSP_LOG_FILE": str(self.log),
            "QWEN_LSP_LOG_LEVEL": "debug",
            "QWEN_LSP_PROBE": "false",
        }

    def file(self, name: str, text: str) -> Path:
        """Writes a file of the workspace, its line ends as they are given."""
        path = self.work / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text.encode())
        return path

    def configure(self, toml: str) -> None:
        """Writes the settings for every editor."""
        path = self.path / ".config/qwen-lsp/config.toml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(toml)

    def logged(self) -> str:
        """All that the server has logged, of all its processes."""
        return self.log.read_text(errors="replace") if self.log.exists() else ""

    async def until_logged(self, pattern: str, count: int = 1, patience: float = PATIENCE) -> None:
        """Waits until lines of the server's log match the pattern `count` times.

        Raises:
            AssertionError: they never did; the message shows the log's end.
        """
        end = time.monotonic() + patience
        while len(re.findall(pattern, self.logged())) < count:
            last = "\n".join(self.logged().splitlines()[-20:])
            assert time.monotonic() < end, f"not logged {count} times in {patience} s: {pattern}\n{last}"
            await asyncio.sleep(_LOOK)

    async def until_opened(self, count: int = 1) -> None:
        """Waits until the server has been told of `count` open documents."""
        await self.until_logged(r"document=opened", count)


def settle(path: Path, service: FakeService) -> Home:
    """A new home whose settings name the scripted service, in an empty directory."""
    home = Home(path)
    (path / "bin").mkdir()
    (path / "bin/qwen-lsp").write_text(f'#!/bin/sh\nexec "{sys.executable}" -P -m qwen_lsp "$@"\n')
    (path / "bin/qwen-lsp").chmod(0o755)
    home.work.mkdir()
    subprocess.run(["git", "init", "-q", str(home.work)], check=True)
    home.configure(f'provider = "openai"\nbaseUrl = "{service.openai}"\nmodel = "{MODEL}"\n')
    return home
