"""A file that is being fetched: hashed as it grows, so that its end is also its verification."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import IO, Self

from qwen_lsp.backend.weights import CHUNK, Weights

OnProgress = Callable[[int, int], None]
"""Told the bytes that are there and those there will be."""


class Unavailable(Exception):  # noqa: N818 - a reason to try the next source, not a fault
    """This source does not have the file, for the reason that is the message."""


class Growing:
    """A file that is being fetched, hashed as it grows; goes on from `size` bytes, or from all that is there."""

    def __init__(self, path: Path, weights: Weights, on_progress: OnProgress, size: int | None = None) -> None:
        self.size = 0
        self.digest = hashlib.sha256()
        self._weights = weights
        self._on_progress = on_progress
        path.touch(0o600)
        self._file = path.open("r+b")
        self.reset(path.stat().st_size if size is None else size)

    def reset(self, size: int) -> None:
        """Keeps the first `size` bytes only."""
        self._file.truncate(size)
        self._file.seek(0)
        self.size = 0
        self.digest = hashlib.sha256()
        while chunk := self._file.read(CHUNK):
            self.digest.update(chunk)
            self.size += len(chunk)

    def add(self, chunk: bytes) -> None:
        """Appends. Stops as soon as there is more than the model has."""
        if self.size + len(chunk) > self._weights.size:
            self.reset(0)
            raise Unavailable(f"it is larger than {self._weights.size} bytes, so it is another file")
        self._file.write(chunk)
        self.digest.update(chunk)
        self.size += len(chunk)
        self._on_progress(self.size, self._weights.size)

    def add_all(self, source: IO[bytes]) -> None:
        """Appends the rest of another file."""
        while chunk := source.read(CHUNK):
            self.add(chunk)

    def expect(self, size: int) -> None:
        """Shows bytes that are here but not yet in the file."""
        self._on_progress(min(self.size + size, self._weights.size), self._weights.size)

    def flush(self) -> None:
        """Makes sure that what was added is there after an interruption."""
        self._file.flush()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exc: object) -> None:
        self._file.close()
