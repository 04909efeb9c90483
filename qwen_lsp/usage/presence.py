"""Which servers run and how each stands, for `qwen-lsp why`: a small private file by each, gone when it is.

Promises: states, reasons and names only, never code or paths of documents; a server that was killed is not listed.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from qwen_lsp.private import write_private
from qwen_lsp.processes import runs


class Presence:
    """One server's file, in `folder`."""

    def __init__(self, folder: Path, pid: int) -> None:
        self._path = folder / f"{pid}.json"
        self._said = ""

    def tell(self, standing: Mapping[str, Any]) -> None:
        """Writes how the server stands, in place of what was there. What can't be written is left out."""
        said = json.dumps(standing)
        if said == self._said:
            return
        self._said = said
        with contextlib.suppress(OSError):
            write_private(self._path, said.encode())

    def close(self) -> None:
        """The server ends."""
        with contextlib.suppress(OSError):
            self._path.unlink()


def present(folder: Path) -> list[dict[str, Any]]:
    """How each running server stands, with its `pid`, the newest first. Removes what dead ones have left."""
    found = []
    files = sorted(folder.glob("*.json"), key=lambda path: -_written(path))
    for path in files:
        if not (path.stem.isdecimal() and runs(int(path.stem))):
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
