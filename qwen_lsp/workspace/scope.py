"""What belongs together: a workspace folder with what is known of its files, or the documents that lie in none."""

from __future__ import annotations

from dataclasses import dataclass

from qwen_lsp.core.model import Snapshot
from qwen_lsp.workspace.index import Index
from qwen_lsp.workspace.places import Folder
from qwen_lsp.workspace.visited import Visited


@dataclass(frozen=True, slots=True)
class Opened:
    """An open document as it was last told."""

    snapshot: Snapshot
    path: str
    """In its scope."""

    @property
    def uri(self) -> str:
        """As the editor wrote it."""
        return self.snapshot.uri


class Scope:
    """One folder's, or no folder's, index and history. Paths in it are relative to the folder."""

    def __init__(self, folder: Folder | None) -> None:
        self.folder = folder
        self.index = Index()
        self.visited = Visited()
        self.open: dict[str, Opened] = {}
        """The open documents by path: their text counts, not the disk's. Changed by the session's thread only."""
        self.withheld: set[str] = set()
        """Which of them must not be shown; this and what follows is the builder's."""
        self.disk: dict[str, tuple[int, int]] = {}
        """Size and stamp of the files that were read, by path."""
        self.looked_at = False
        """Whether the disk was looked at."""

    def forget(self) -> None:
        """Forgets all that was read."""
        self.index, self.visited = Index(), Visited()
        self.disk, self.looked_at = {}, False
