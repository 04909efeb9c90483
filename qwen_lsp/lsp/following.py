"""What editors tell of their documents, notebooks, folders and files, told on to whoever follows the workspace.

Promises: the documents are changed first, so that who hears of a change sees it; what can't be understood is refused
with `Malformed` and told to nobody, but for the end of a document that it leaves unknown. Decides nothing.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Protocol

from qwen_lsp.core.model import Request, Snapshot
from qwen_lsp.lsp.documents import Document, Documents, Malformed, object_of, string_of
from qwen_lsp.lsp.notebooks import Dropped, Notebooks

logger = logging.getLogger(__name__)


class Follower(Protocol):
    """Whoever reads the workspace. `workspace` fits this shape without importing it; all of it returns at once."""

    on_progress: Callable[[int, int], None]
    """Set by the session: hears how many files of how many are read, from any thread; the same number at the end."""
    watched: bool
    """Set by the session: whether the editor tells of changed files."""

    def folders(self, places: Iterable[str]) -> None:
        """These are the workspace folders, by URI."""

    def use(self, *, snippets: bool) -> None:
        """Whether passages of other files are wanted."""

    def exclude(self, patterns: Sequence[str]) -> None:
        """Files that these patterns fit are never given, nor completed in."""

    def opened(self, snapshot: Snapshot, *, within: str = "") -> None:
        """A document was opened, perhaps a cell of the notebook `within`."""

    def changed(self, snapshot: Snapshot, line: int) -> None:
        """A document was changed at a line."""

    def saved(self, uri: str) -> None:
        """A document was saved."""

    def touched(self, uris: Iterable[str]) -> None:
        """Files were changed, made or deleted."""

    def closed(self, uri: str) -> None:
        """A document was closed."""

    def asked(self, request: Request) -> None:
        """A completion is asked for."""

    def close(self) -> None:
        """The session is over."""


class Following:
    """The handlers of one session's notifications about documents. `on_closed` hears of each closed document too."""

    def __init__(self, documents: Documents, follower: Follower, on_closed: Callable[[str], None]) -> None:
        self._documents = documents
        self._notebooks = Notebooks(documents)
        self._follower = follower
        self._on_closed = on_closed
        self._folders: list[str] = []

    def handlers(self) -> dict[str, Callable[[dict[str, Any]], None]]:
        """The methods that are handled here."""
        return {
            "textDocument/didOpen": self._opened,
            "textDocument/didChange": self._changed,
            "textDocument/didSave": self._saved,
            "textDocument/didClose": self._closed,
            "notebookDocument/didOpen": self._notebook_opened,
            "notebookDocument/didChange": self._notebook_changed,
            "notebookDocument/didSave": lambda _params: None,
            "notebookDocument/didClose": self._notebook_closed,
            "workspace/didChangeWorkspaceFolders": self._folders_changed,
            "workspace/didChangeWatchedFiles": self._files_changed,
        }

    def begin(self, params: Mapping[str, Any]) -> None:
        """The folders that `initialize` named."""
        self._folders = folders_of(params)
        self._follower.folders(self._folders)

    def _opened(self, params: dict[str, Any]) -> None:
        snapshot = self._documents.opened(params).snapshot()
        logger.debug("document=opened language=%.40r lines=%d", snapshot.language, len(snapshot.lines))
        self._follower.opened(snapshot)

    def _changed(self, params: dict[str, Any]) -> None:
        try:
            document, line = self._documents.changed(params)
        except Malformed:
            uri = string_of(object_of(params, "textDocument"), "uri")
            if self._documents.document(uri) is None:  # it counts as closed now
                self._gone([uri])
            raise
        self._follower.changed(document.snapshot(), line)

    def _saved(self, params: dict[str, Any]) -> None:
        self._follower.saved(string_of(object_of(params, "textDocument"), "uri"))

    def _closed(self, params: dict[str, Any]) -> None:
        self._gone([self._documents.closed(params)])

    def _notebook_opened(self, params: dict[str, Any]) -> None:
        with self._dropping():
            notebook, cells = self._notebooks.opened(params)
        self._cells(cells, notebook)

    def _notebook_changed(self, params: dict[str, Any]) -> None:
        with self._dropping():
            changes = self._notebooks.changed(params)
        self._cells(changes.opened, changes.notebook)
        self._gone(changes.closed)

    def _notebook_closed(self, params: dict[str, Any]) -> None:
        self._gone(self._notebooks.closed(params))

    @contextmanager
    def _dropping(self) -> Iterator[None]:
        """Tells which documents go with a notebook that is not understood."""
        try:
            yield
        except Dropped as dropped:
            self._gone(dropped.closed)
            raise

    def _cells(self, cells: Iterable[Document], notebook: str) -> None:
        for cell in cells:
            self._follower.opened(cell.snapshot(), within=notebook)

    def _gone(self, uris: Iterable[str]) -> None:
        for uri in uris:
            self._follower.closed(uri)
            self._on_closed(uri)

    def _folders_changed(self, params: dict[str, Any]) -> None:
        event = object_of(params, "event")
        removed, added = _uris(event.get("removed")), _uris(event.get("added"))
        self._folders = list(dict.fromkeys([uri for uri in self._folders if uri not in removed] + added))
        self._follower.folders(self._folders)

    def _files_changed(self, params: dict[str, Any]) -> None:
        self._follower.touched(_uris(params.get("changes")))


def folders_of(params: Mapping[str, Any]) -> list[str]:
    """The workspace folders that `initialize` names, in the newest of its three ways that says something."""
    listed = params.get("workspaceFolders")
    if isinstance(listed, list) and listed:
        return _uris(listed, strict=False)
    for key in ("rootUri", "rootPath"):
        if isinstance(params.get(key), str) and params[key]:
            return [params[key]]
    return []


def _uris(items: object, *, strict: bool = True) -> list[str]:
    """The URIs of a list of objects.

    Raises:
        Malformed: something in it has none, and that matters.
    """
    found = [
        item.get("uri") if isinstance(item, Mapping) else None for item in (items if isinstance(items, list) else [])
    ]
    uris = [uri for uri in found if isinstance(uri, str)]
    if strict and len(uris) != len(found):
        raise Malformed("a uri is missing")
    return uris
