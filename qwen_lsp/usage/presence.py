"""Which servers run and how each stands, for `qwen-lsp why`: a small private file by each, gone when it is.

Promises: states, reasons and names only, never code or paths of documents; a server that was killed is not listed.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any


class Presence:
    """One server's file, in `folder`."""

    def __init__(self, folder: Path, pid: int) -> None:
        self._folder = folder
        self._path = folder / f"{pid}.json"
        self._said = ""

    def tell(self, standing: Mapping[str, Any]) -> None:
        """Writes how the server stands, in place of what was there. What can't be written is left out."""
        said = json.dumps(standing)
        if said == self._said:
            return
        self._said = said
        fresh = self._path.with_suffix(".new")
        with contextlib.suppress(OSError):
            self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
                file.write(said)
            fresh.replace(self._path)

    def close(self) -> None:
        """The server ends."""
        with contextlib.suppress(OSError):
            self._path.unlink()


def present(folder: Path) -> list[dict[str, Any]]:
    """How each running server stands, with its `pid`, the newest first. Removes what dead ones have left."""
    found = []
    files = sorted(folder.glob("*.json"), key=lambda path: -_written(path))
    for path in files:
        if not _runs(path.stem):
            with contextlib.suppress(OSError):
                path.unlink()
            continue
        with contextlib.suppress(OSError, ValueError):
            standing = json.loads(path.read_text(encoding="utf-8"))
            if isinstance(standing, dict):
                found.append({"pid": int(path.stem), **standing})
    return found


def _written(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0


def _runs(pid: str) -> bool:
    if not pid.isdecimal():
        return False
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True
