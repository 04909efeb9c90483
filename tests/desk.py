"""Engines for tests: made at one desk (state directory), watched from outside, ended after the test."""

import asyncio
import contextlib
import os
import signal
import sys
import time
from pathlib import Path

from qwen_lsp.backend.local import LocalEngine
from qwen_lsp.core.config import LocalSettings

FAKE = (sys.executable, str(Path(__file__).with_name("fake_engine.py")))
SOON = 2.0
"""Seconds within which an engine that nobody uses has gone."""


def alive(pid: int) -> bool:
    """Whether the process runs; a dead one that nobody has reaped yet does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):  # the second: it ended between opening and reading
        return False


async def until(condition, within: float = SOON) -> bool:
    """Whether it comes true in time; other processes have no events to wait for."""
    deadline = time.monotonic() + within
    while not condition() and time.monotonic() < deadline:  # noqa: ASYNC110 - as said
        await asyncio.sleep(0.01)
    return condition()


async def gone(pid: int, within: float = SOON) -> bool:
    return await until(lambda: not alive(pid), within)


def keepers(state_dir: Path) -> list[int]:
    """Every process of ours that works in this state directory."""
    found = []
    for entry in Path("/proc").iterdir():
        with contextlib.suppress(OSError):
            if entry.name.isdigit() and (entry / "cwd").readlink() == state_dir / "engine":
                found.append(int(entry.name))
    return [pid for pid in found if alive(pid)]


class Clock:
    now = 1000.0

    def __call__(self):
        return self.now


class Desk:
    """Makes engines that share one state directory, and ends them all after the test."""

    def __init__(self, folder):
        self.state_dir = folder / "state"
        self.model = folder / "model.gguf"
        self.model.write_bytes(b"GGUF made up")
        self.notices, self.engines, self.clock = [], [], Clock()

    def engine(self, what="serve", **options):
        settings = LocalSettings(keep_alive=options.pop("keep_alive", 0), context=options.pop("context", 2048))
        chosen = {
            "state_dir": self.state_dir,
            "on_notice": self.notices.append,
            "clock": self.clock,
            "worker": (*FAKE, what),
            **options,
        }
        engine = LocalEngine(chosen.pop("model", self.model), settings, **chosen)
        self.engines.append(engine)
        return engine

    async def clear(self):
        """Gives every share back, and sees that no process is left."""
        for engine in self.engines:
            await engine.close(linger=False)
        assert await until(lambda: not keepers(self.state_dir))

    def state(self):
        (path,) = (self.state_dir / "engine").glob("*.json")
        return path


async def crash(engine, pid):
    """Kills the engine and waits until its user knows."""
    watching = engine._watching
    os.kill(pid, signal.SIGKILL)
    await asyncio.wait_for(watching, SOON)
