"""Where an API key comes from: the environment first, then the command that the person named.

Promises that a key is never in a message, and that a command runs without a shell, at most ten seconds, its error
output shown to nobody.
"""

from __future__ import annotations

import asyncio
import os
import shlex
import signal
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress

from qwen_lsp.core.model import BackendError, Kind, Secret

DASHSCOPE_KEY = "DASHSCOPE_API_KEY"
OWN_KEY = "QWEN_LSP_API_KEY"
COMMAND_SECONDS = 10.0
_ENDING = 1.0
"""Seconds that a killed command may take to be gone."""


async def find_key(
    names: Sequence[str], env: Mapping[str, str], command: str, run: Callable[[str], Awaitable[str]]
) -> Secret | None:
    """The first of these variables that holds something, else what the command prints, else None.

    Raises:
        BackendError: kind AUTH: the command failed.
    """
    for name in names:
        if value := env.get(name, "").strip():
            return Secret(value)
    return Secret(await run(command)) if command.strip() else None


async def run_key_command(
    command: str,
    env: Mapping[str, str],
    timeout: float = COMMAND_SECONDS,  # noqa: ASYNC109 - ends the process, too
) -> str:
    """The first line that the command prints.

    Raises:
        BackendError: kind AUTH, naming the setting: it can't be run, fails, takes too long or prints nothing.
    """
    try:
        words = _words(command, windows=os.name == "nt")
    except ValueError:
        raise _failed("has a quote that is not closed") from None
    if not words:
        raise _failed("is empty")
    try:
        process = await asyncio.create_subprocess_exec(
            *words, stdin=DEVNULL, stdout=PIPE, stderr=DEVNULL, env=dict(env), start_new_session=True
        )
    except (OSError, ValueError):
        raise _failed("can't be run; is the program's name right?") from None
    line = None
    try:
        line = await asyncio.wait_for(_first_line(process), timeout)
    except TimeoutError:
        raise _failed(f"did not end within {timeout:g} s") from None
    except ValueError:
        raise _failed("printed something that is no key") from None
    finally:
        # A command that ended well may have left an agent behind, as gpg does.
        if line is None:
            await _end(process)
    if process.returncode:
        raise _failed(f"failed with exit code {process.returncode}; try it in a terminal")
    if not line:
        raise _failed("printed nothing")
    return line


def _words(command: str, *, windows: bool) -> list[str]:
    """The program and its arguments. On Windows a backslash parts folders and quotes nothing.

    Raises:
        ValueError: a quote is not closed.
    """
    if windows:
        return [word.strip('"') for word in shlex.split(command, posix=False)]
    return shlex.split(command)


async def _first_line(process: Process) -> str:
    assert process.stdout is not None  # noqa: S101 - asked for with PIPE
    line = await process.stdout.readline()
    await _read_out(process)
    await process.wait()
    return line.decode("utf-8").strip()


async def _read_out(process: Process) -> None:
    while process.stdout is not None and await process.stdout.read(65536):
        pass


async def _end(process: Process) -> None:
    """Ends what is left of the command; its children share its process group and would keep the pipe open."""
    with suppress(ProcessLookupError, PermissionError):
        if sys.platform == "win32":
            process.kill()
        else:
            os.killpg(process.pid, signal.SIGKILL)
    # asyncio tells of the end only once the pipe's has been read, and a full buffer keeps it from reading. A
    # grandchild that left the group may hold the pipe for as long as it likes.
    with suppress(TimeoutError):
        async with asyncio.timeout(_ENDING):
            await _read_out(process)
            await process.wait()


def _failed(how: str) -> BackendError:
    return BackendError(Kind.AUTH, f"qwen.apiKeyCommand: the command {how}")
