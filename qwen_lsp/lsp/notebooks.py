"""The open notebooks: which documents are cells of which, and in what order (LSP 3.17, notebookDocument/*).

A cell is a document like any other (lsp/documents.py) that knows its neighbours. Promises: the order is the editor's
after any changes; a notebook that can't be understood is dropped with all its cells, rather than kept wrong. Outputs
and metadata are not looked at.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from urllib.parse import unquote

from qwen_lsp.core.model import Snippet
from qwen_lsp.lsp.documents import Document, Documents, Malformed, integer_of, object_of, string_of


class Dropped(Malformed):
    """What was said of a notebook is not what the protocol says: these documents of its cells count as closed."""

    def __init__(self, why: Malformed, closed: list[str]) -> None:
        super().__init__(str(why))
        self.closed = closed


class Notebook:
    """One notebook's cells, by their documents' URIs."""

    def __init__(self, uri: str, cells: list[str]) -> None:
        self.uri = uri
        self.cells = cells
        """In the editor's order."""
        self.open: dict[str, None] = {}
        """The documents that were opened with it, and not closed since."""


class Notebooks:
    """What the editor has open of notebooks. Their cells' texts are in the documents."""

    def __init__(self, documents: Documents) -> None:
        self._documents = documents
        self._notebooks: dict[str, Notebook] = {}

    def opened(self, params: Mapping[str, Any]) -> tuple[str, list[Document]]:
        """`notebookDocument/didOpen`. Returns the notebook's URI and its cells' documents.

        Raises:
            Malformed: it can't be understood, and is not open; a `Dropped` where some of its cells were opened.
        """
        item = object_of(params, "notebookDocument")
        notebook = Notebook(string_of(item, "uri"), _cells(item.get("cells")))
        self._notebooks[unquote(notebook.uri)] = notebook
        try:
            return notebook.uri, self._open(notebook, params.get("cellTextDocuments"))
        except Malformed as error:
            raise Dropped(error, self._drop(notebook)) from None

    def changed(self, params: Mapping[str, Any]) -> Changes:
        """`notebookDocument/didChange`: the order of the cells first, then their texts.

        Raises:
            Malformed: the notebook is not open, or the change can't be understood: `Dropped`.
        """
        uri = string_of(object_of(params, "notebookDocument"), "uri")
        notebook = self._notebooks.get(unquote(uri))
        if notebook is None:
            raise Malformed("notebookDocument: not open")
        cells = object_of(params, "change").get("cells")
        if not isinstance(cells, Mapping):
            return Changes(notebook.uri)
        try:
            return self._changed(notebook, cells)
        except Malformed as error:
            raise Dropped(error, self._drop(notebook)) from None

    def closed(self, params: Mapping[str, Any]) -> list[str]:
        """`notebookDocument/didClose`. Returns the URIs of its cells' documents, which are closed too.

        What the editor lists is closed whether or not the notebook is known: it may have been dropped.
        """
        uri = string_of(object_of(params, "notebookDocument"), "uri")
        notebook = self._notebooks.get(unquote(uri))
        mine = self._drop(notebook) if notebook is not None else []
        listed = params.get("cellTextDocuments")
        return [*mine, *self._close(_uris(listed if isinstance(listed, list) else []))]

    def _changed(self, notebook: Notebook, cells: Mapping[str, Any]) -> Changes:
        changes = Changes(notebook.uri)
        structure = cells.get("structure")
        if isinstance(structure, Mapping):
            array = object_of(structure, "array")
            start, count = integer_of(array.get("start")), integer_of(array.get("deleteCount"))
            if start is None or count is None or start < 0 or count < 0:
                raise Malformed("array: no start and deleteCount")
            notebook.cells[start : start + count] = _cells(array.get("cells"))
            changes.opened = self._open(notebook, structure.get("didOpen"))
            changes.closed = self._close(_uris(_items(structure.get("didClose"))))
            for uri in changes.closed:
                notebook.open.pop(uri, None)
        for item in _items(cells.get("textContent")):
            edit = {"textDocument": item.get("document"), "contentChanges": item.get("changes")}
            self._documents.changed(edit)
        return changes

    def _open(self, notebook: Notebook, items: object) -> list[Document]:
        opened = []
        for item in _items(items):
            document = self._documents.opened({"textDocument": item})
            document.neighbours = lambda cell: self._around(notebook, cell)
            notebook.open[document.uri] = None
            opened.append(document)
        return opened

    def _close(self, uris: Iterable[str]) -> list[str]:
        """Closes those that are open. Returns them as they were called when they were opened."""
        closed = []
        for uri in uris:
            document = self._documents.document(uri)
            if document is not None:
                self._documents.closed({"textDocument": {"uri": uri}})
                closed.append(document.uri)
        return closed

    def _around(self, notebook: Notebook, cell: Document) -> tuple[tuple[Snippet, ...], tuple[Snippet, ...]]:
        """The cells above and below one; a cell that the notebook does not list has none."""
        documents = [self._documents.document(uri) for uri in notebook.cells]
        if cell not in documents:
            return (), ()
        at = documents.index(cell)
        return _passages(documents[:at]), _passages(documents[at + 1 :])

    def _drop(self, notebook: Notebook) -> list[str]:
        """Forgets a notebook and closes its cells. Returns their documents' URIs."""
        del self._notebooks[unquote(notebook.uri)]
        self._close(notebook.open)
        return list(notebook.open)


class Changes:
    """What a notebook's change has done to the documents of its cells."""

    def __init__(self, notebook: str) -> None:
        self.notebook = notebook
        self.opened: list[Document] = []
        self.closed: list[str] = []


def _passages(documents: Sequence[Document | None]) -> tuple[Snippet, ...]:
    return tuple(document.passage() for document in documents if document is not None)


def _cells(value: object) -> list[str]:
    """The URIs of cells' documents, in order.

    Raises:
        Malformed: a cell has none; the places of the others would be wrong.
    """
    return [string_of(item, "document") for item in _items(value)]


def _uris(items: Iterable[object]) -> list[str]:
    """The URIs that stand in objects; what has none is left out."""
    found = [item.get("uri") if isinstance(item, Mapping) else None for item in items]
    return [uri for uri in found if isinstance(uri, str)]


def _items(value: object) -> list[Mapping[str, Any]]:
    """The objects of a list that may be missing.

    Raises:
        Malformed: something in it is no object.
    """
    items = value if isinstance(value, list) else []
    if not all(isinstance(item, Mapping) for item in items):
        raise Malformed("a list of objects holds something else")
    return items
