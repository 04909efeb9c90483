"""The open documents, and the scopes that each of them belongs to.

A document in a workspace folder belongs to that folder. One that lies in none is loose, and is shown open documents
only: while there are loose ones, all the others lie beside them. Changed by the session's thread only; others may look.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from qwen_lsp.core.gate import file_name
from qwen_lsp.core.model import Snapshot
from qwen_lsp.workspace.places import Folder, innermost, path_of, real_path
from qwen_lsp.workspace.scope import Opened, Scope

_MOST_LOCATED = 1000


class Desk:
    """Which documents are open, and where. `on_moved` hears of a scope and a path at which a text has come or gone."""

    def __init__(self, on_moved: Callable[[Scope, str], None]) -> None:
        self.scopes: dict[str, Scope] = {}
        """By the real paths of their folders."""
        self.loose = Scope(None)
        self._on_moved = on_moved
        self._documents: dict[str, Snapshot] = {}
        self._places: dict[str, dict[Scope, str]] = {}
        self._located: dict[str, tuple[Folder | None, str]] = {}
        self._mixed = False

    def __contains__(self, uri: str) -> bool:
        return uri in self._documents

    def folders(self, folders: Iterable[Folder]) -> None:
        """These are the workspace folders; what is known of those that were before is kept."""
        self.scopes = {folder.real: self.scopes.get(folder.real) or Scope(folder) for folder in folders}
        self._located.clear()
        self._mixed = self._any_loose()
        for uri in self._documents:
            self._place(uri)

    def every(self) -> Iterator[Scope]:
        """All scopes."""
        yield from self.scopes.values()
        yield self.loose

    def places(self, uri: str) -> Iterable[tuple[Scope, str]]:
        """The scopes that an open document belongs to, and its path in each."""
        return self._places.get(uri, {}).items()

    def all_places(self) -> Iterator[tuple[Scope, str]]:
        """Those of all open documents."""
        for places in self._places.values():
            yield from places.items()

    def open(self, snapshot: Snapshot) -> None:
        """A document was opened; it is the one used last."""
        self._documents[snapshot.uri] = snapshot
        if not self._remixed():
            self._place(snapshot.uri)
        for scope, path in self.places(snapshot.uri):
            scope.open[path] = Opened(snapshot, path)
            self._on_moved(scope, path)

    def change(self, snapshot: Snapshot) -> None:
        """An open document was changed."""
        self._documents[snapshot.uri] = snapshot
        for scope, path in self.places(snapshot.uri):
            scope.open[path] = Opened(snapshot, path)

    def use(self, uri: str) -> None:
        """An open document is the one used last."""
        self._documents[uri] = self._documents.pop(uri)

    def close(self, uri: str) -> None:
        """A document was closed."""
        del self._documents[uri]
        for scope, path in self._places.pop(uri).items():
            self._leave(scope, path, uri)
        self._remixed()

    def home(self, uri: str) -> tuple[Scope, str]:
        """The scope in which a document looks for help, and its path there."""
        folder, path = self.locate(uri)
        scope = self.loose if folder is None else self.scopes[folder.real]
        return scope, self._places.get(uri, {}).get(scope, path)

    def others(self, scope: Scope, path: str) -> Iterator[str]:
        """The paths of a scope's other open documents, the one used last first."""
        for uri in reversed(self._documents):
            other = self._places[uri].get(scope)
            if other is not None and other != path:
                yield other

    def locate(self, uri: str) -> tuple[Folder | None, str]:
        """The folder that a document lies in, and its path there; None and its name if it lies in none."""
        known = self._located.get(uri)
        if known is None:
            real = real_path(path) if (path := path_of(uri)) else ""
            folder = innermost([scope.folder for scope in self.scopes.values() if scope.folder is not None], real)
            known = (None, name_of(uri)) if folder is None else (folder, folder.relative(real))
            if len(self._located) >= _MOST_LOCATED:
                self._located.clear()
            self._located[uri] = known
        return known

    def _any_loose(self) -> bool:
        return any(self.locate(uri)[0] is None for uri in self._documents)

    def _remixed(self) -> bool:
        """Places all documents anew if the first loose one has come, or the last has gone."""
        mixed = self._any_loose()
        if mixed is self._mixed:
            return False
        self._mixed = mixed
        for uri in self._documents:
            self._place(uri)
        return True

    def _place(self, uri: str) -> None:
        before = self._places.get(uri, {})
        folder, path = self.locate(uri)
        now: dict[Scope, str] = {}
        if folder is None:
            now[self.loose] = before.get(self.loose) or self._free_name(uri, path)
        else:
            now[self.scopes[folder.real]] = path
            if self._mixed:
                now[self.loose] = f"{folder.name}/{path}"
        self._places[uri] = now
        for scope, old in before.items():
            if now.get(scope) != old:
                self._leave(scope, old, uri)
        for scope, new in now.items():
            if before.get(scope) != new:
                scope.open[new] = Opened(self._documents[uri], new)
                self._on_moved(scope, new)

    def _free_name(self, uri: str, name: str) -> str:
        """A name for a loose document that no other has, with no more of its path than that takes."""
        parts = [part for part in path_of(uri).split("/") if part] or [name]
        names = ("/".join(parts[-count:]) for count in range(1, len(parts) + 1))
        return next((each for each in names if each not in self.loose.open), f"{len(self.loose.open)}/{name}")

    def _leave(self, scope: Scope, path: str, uri: str) -> None:
        opened = scope.open.get(path)
        if opened is not None and opened.uri == uri:
            del scope.open[path]
            self._on_moved(scope, path)


def name_of(uri: str) -> str:
    """A document's name; empty where its URI can't be taken apart."""
    try:
        return file_name(uri)
    except ValueError:
        return ""
