"""A hole: a place in a file out of which something has been cut, and what it was.

A hole is to the evaluation what a request is to the engine; everything here is a value.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from qwen_lsp.core.model import Request, Snapshot, Trigger
from qwen_lsp.core.text import split


class Kind(Enum):
    """What has been cut out; the values are the words of `--kinds`."""

    LINE_END = "line-end"
    """The rest of a line, from the beginning of one of its words or signs."""
    LINE = "line"
    """A whole line; its indentation is there, as editors put it."""
    BLOCK = "block"
    """Two to eight lines, up to the end of their block or to a blank line."""
    ARGUMENTS = "arguments"
    """All that stands between the brackets of a call; the closing one is there, as editors put it."""


@dataclass(frozen=True, slots=True)
class Source:
    """A file as it is on disk. `path` is relative to what is evaluated, with slashes."""

    path: str
    language: str
    text: str


@dataclass(frozen=True, slots=True)
class Hole:
    """`before` + `expected` + `after` is the file, to the character; the cursor stands between `before` and `after`."""

    path: str
    language: str
    kind: Kind
    before: str
    expected: str
    after: str

    @property
    def line(self) -> int:
        """The cursor's line, from 0."""
        return len(split(self.before)) - 1

    @property
    def column(self) -> int:
        """The cursor's column, from 0."""
        return len(split(self.before)[-1])

    def snapshot(self, uri: str) -> Snapshot:
        """The file without what was cut out, as an editor would have it open."""
        return Snapshot(uri, self.language, 1, tuple(split(self.before + self.after)))


def request(hole: Hole, snapshot: Snapshot) -> Request:
    """What an editor asks when a person presses the key for a completion in the hole."""
    return Request(snapshot, hole.line, hole.column, Trigger.INVOKED)
