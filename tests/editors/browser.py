"""A page in a headless browser: keys go in, what it shows comes out. browser.mjs does it, with playwright-core."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

from tests.editors.install import folder, missing, program

PATIENCE = 60.0
"""Seconds until what was expected on the page is given up."""
_LOOK = 0.05
_LINE = 1 << 24


class Browser:
    """One page, from `start` to `close`."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    @classmethod
    async def start(cls) -> Self:
        """Opens an empty page."""
        node = folder() / "node"
        if not (node / "node_modules/playwright-core").exists():
            missing("playwright-core")
        script = Path(__file__).with_suffix(".mjs")
        process = await asyncio.create_subprocess_exec(
            program("node"), script, node, program("chromium"),
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, limit=_LINE,
        )  # fmt: skip
        return cls(process)

    async def call(self, method: str, *args: Any) -> Any:
        """Calls a method of playwright's page ("goto", "keyboard.press"); an object as its result is None."""
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write(json.dumps({"method": method, "args": args}).encode() + b"\n")
        line = await self._process.stdout.readline()
        assert line, "the browser is gone"
        answer = json.loads(line)
        assert "error" not in answer, f"{method}: {answer['error']}"
        return answer.get("result")

    async def type(self, text: str, delay: int = 60) -> None:
        """Types text, with this many milliseconds between the keys."""
        await self.call("keyboard.type", text, {"delay": delay})

    async def press(self, *keys: str) -> None:
        """Presses keys by playwright's names: "Tab", "Control+ArrowRight"."""
        for key in keys:
            await self.call("keyboard.press", key)

    async def until(self, script: str, wanted: Callable[[Any], bool] = bool, patience: float = PATIENCE) -> Any:
        """Waits until an expression in the page has a wanted value, and gives it.

        Raises:
            AssertionError: it never had; the message shows the last value and the page's text.
        """
        end = time.monotonic() + patience
        while not wanted(value := await self.call("evaluate", script)):
            if time.monotonic() >= end:
                text = await self.call("evaluate", "document.body.innerText")
                raise AssertionError(f"after {patience} s {script} is {value!r}; the page shows:\n{text}")
            await asyncio.sleep(_LOOK)
        return value

    async def close(self) -> None:
        """Closes the page and the browser."""
        assert self._process.stdin
        self._process.stdin.close()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(10):
                await self._process.wait()
        if self._process.returncode is None:
            self._process.kill()
            await self._process.wait()
