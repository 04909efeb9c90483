"""Folders on the disk for tests: `tree(folder, {"a/b.py": "text"})` writes them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path


def tree(folder: Path, files: Mapping[str, str | bytes]) -> Path:
    """Writes files by their relative paths; a path that ends with a slash is an empty directory."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        path = folder / name
        if name.endswith("/"):
            path.mkdir(parents=True, exist_ok=True)
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return folder
