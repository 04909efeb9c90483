"""What a set-up would change: files with the text they should hold, programs to run, and what is left to a person.

Promises: a value; nothing here touches the disk. A text that a person wrote is only ever added to.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TypeAlias

Read: TypeAlias = Callable[[Path], str | None]
"""Gives a file's text, None where there is none. Raises `Unusable`."""


class Unusable(Exception):  # noqa: N818 - it is a state of a person's file, and no fault of the program
    """Something stands where the set-up belongs that it can't be joined with. The message is one line."""


@dataclass(frozen=True, slots=True)
class Change:
    """A file, and what it should hold."""

    path: Path
    before: str | None
    """None: there is no such file."""
    after: str
    ours: bool = False
    """The whole file comes with qwen-lsp, so that its text is of no interest to whoever reads the plan."""

    @property
    def state(self) -> str:
        """In a word: "new", "changed" or "same"."""
        return "new" if self.before is None else "same" if self.before == self.after else "changed"

    def diff(self) -> str:
        """The difference in unified form; empty where there is none."""
        before, after = (self.before or "").splitlines(keepends=True), self.after.splitlines(keepends=True)
        old = str(self.path) if self.before is not None else "(no file)"
        lines = difflib.unified_diff(before, after, old, str(self.path))
        return "".join(line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n" for line in lines)


@dataclass(frozen=True, slots=True)
class Plan:
    """All that sets an editor up."""

    changes: tuple[Change, ...] = ()
    commands: tuple[tuple[str, ...], ...] = ()
    """Programs that are run after the files are written."""
    notes: tuple[str, ...] = ()
    """What a person has to know or do; a line each."""

    @property
    def pending(self) -> tuple[Change, ...]:
        """The changes that would change something."""
        return tuple(change for change in self.changes if change.state != "same")


@dataclass(frozen=True, slots=True)
class Machine:
    """What a plan needs to know of where it will be carried out."""

    env: Mapping[str, str]
    home: Path
    platform: str
    """As `sys.platform` has it."""
    command: str
    """How editors start the server: `qwen-lsp`, or its whole path where the PATH doesn't have it."""
    on_path: Callable[[str], bool]
    """Whether a program is installed."""
    shipped: Callable[[str], Mapping[PurePosixPath, str]]
    """The files that come with qwen-lsp for an editor, by their path in its folder."""
    vsix: Path | None = None
    """The packed VS Code extension, where it has been built."""
    helix_servers: Mapping[str, tuple[str, ...]] | None = None
    """The usual servers by language, as the Helix that is installed has them; None: there is none."""


def joined(before: str | None, after: str) -> str:
    """A text with the line ends of the one it replaces."""
    return after.replace("\r\n", "\n").replace("\n", "\r\n") if before and "\r\n" in before else after
