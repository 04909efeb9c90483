"""A user's connection to an engine's keeper (`engine_process.py`), and how a keeper is started.

Promises: an engine counts as found only if it proves that it knows the key of its state file, so a program that
happens to listen on a dead engine's port is never taken for it and never told the key.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import secrets
import subprocess
import sys
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from qwen_lsp.backend import engine_process
from qwen_lsp.private import private_dir

HELLO = 2.0
"""Seconds an engine may take to answer a greeting; it is on this machine and never busy."""
WORKER = (sys.executable, "-P", str(Path(engine_process.__file__).with_name("engine_worker.py")))


@dataclass(frozen=True, slots=True)
class Place:
    """The files of one engine: where it is told to be, who may start it, what it says."""

    state: Path
    lock: Path
    log: Path


def place(state_dir: Path, identity: str) -> Place:
    """The files of the engine with this identity; the directory is made."""
    folder = private_dir(state_dir / "engine")
    return Place(folder / f"{identity}.json", folder / f"{identity}.lock", folder / f"{identity}.log")


@dataclass(frozen=True, slots=True)
class Link:
    """An open connection to a keeper. While it is open the engine stays."""

    key: str
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def line(self) -> str:
        """The next line; empty when the engine has gone."""
        try:
            return (await self.reader.readline()).decode(errors="replace").strip()
        except (OSError, ValueError):
            return ""

    async def leave(self, patience: int | None) -> None:
        """Ends the connection: the engine lingers `patience` seconds, or with None is simply dropped."""
        with contextlib.suppress(OSError):
            if patience is not None:
                self.writer.write(f"bye {patience}\n".encode())
                await self.writer.drain()
            self.writer.close()
            await self.writer.wait_closed()

    def drop(self) -> None:
        """Ends the connection now."""
        self.writer.transport.abort()


async def find(where: Path) -> Link | None:
    """A connection to the engine whose state file this is; None if there is none (any more)."""
    try:
        state = json.loads(where.read_bytes())  # noqa: ASYNC240 - a hundred bytes of a local file
        return await join(int(state["port"]), str(state["key"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None


async def join(port: int, key: str) -> Link | None:
    """Connects and lets each side prove that it has the key; None if nobody there has it."""
    writer = None
    try:
        async with asyncio.timeout(HELLO):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            link = Link(key, reader, writer)
            nonce = secrets.token_hex(16)
            writer.write(f"hello {nonce}\n".encode())
            welcome = (await link.line()).split(" ")
            if welcome[:2] == ["welcome", engine_process.proof(key, "engine", nonce)]:
                writer.write(f"{engine_process.proof(key, 'user', welcome[-1])}\n".encode())
                if await link.line() == "joined":
                    return link
    except OSError:  # nobody listens; a TimeoutError is one too
        pass
    except BaseException:
        if writer:
            writer.transport.abort()
        raise
    if writer:
        writer.transport.abort()
    return None


@dataclass(frozen=True, slots=True)
class Started:
    """A keeper that runs, and the pipe it watches until its creator is a user."""

    process: subprocess.Popen[bytes]
    port: int
    key: str

    def let_go(self) -> None:
        """Closes the pipe: a keeper without users then ends, one with users goes on."""
        if self.process.stdin:
            with contextlib.suppress(OSError):
                self.process.stdin.close()


def start(files: Place, params: dict[str, Any], worker: Sequence[str]) -> Started | None:
    """Starts a keeper and waits until its port is open; None if it died before. Blocks for a tenth of a second.

    It runs in a session of its own, so that a Ctrl-C or hang-up meant for one editor spares the others.
    """
    # An engine outlives the editor that started it: it inherits no keys.
    env = {name: value for name, value in os.environ.items() if not name.endswith(("_KEY", "_TOKEN", "_SECRET"))}
    log = os.open(files.log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND, 0o600)
    try:
        process = subprocess.Popen(  # noqa: S603 - our own module
            [sys.executable, "-P", engine_process.__file__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            cwd=files.state.parent,
            env=env,
            **_detached(),
        )
    finally:
        os.close(log)
    # Reaps it, whenever that is; a thread, since only it can wait without asking again and again.
    threading.Thread(target=process.wait, daemon=True).start()
    plan = {"state": str(files.state), "params": params, "worker": list(worker)}
    assert process.stdin is not None  # noqa: S101 - for the type checker: it was asked for
    assert process.stdout is not None  # noqa: S101 - as above
    with process.stdout as said:
        try:
            process.stdin.write(json.dumps(plan).encode() + b"\n")
            process.stdin.flush()
            state = json.loads(said.readline())
            return Started(process, int(state["port"]), str(state["key"]))
        except (OSError, ValueError, KeyError, TypeError):
            with contextlib.suppress(OSError):
                process.stdin.close()
            return None


def _detached() -> dict[str, Any]:
    if sys.platform == "win32":
        return {"creationflags": subprocess.CREATE_NEW_PROCESS_GROUP | subprocess.CREATE_NO_WINDOW}
    return {"start_new_session": True}
