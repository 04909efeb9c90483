"""lsp/notebooks.py: cells are documents that know what stands above and below them."""

from __future__ import annotations

from typing import Any

import pytest

from qwen_lsp.core.model import Snippet
from qwen_lsp.lsp.documents import Documents, Malformed
from qwen_lsp.lsp.notebooks import Dropped, Notebooks

BOOK = "file:///w/n.ipynb"


def uri(name: str) -> str:
    return f"vscode-notebook-cell:/w/n.ipynb#{name}"


def cell(name: str) -> dict[str, Any]:
    return {"kind": 2, "document": uri(name)}


def text(name: str, source: str, language: str = "python") -> dict[str, Any]:
    return {"uri": uri(name), "languageId": language, "version": 1, "text": source}


class Book:
    """A notebook with cells a, b and c, of which b is Markdown."""

    def __init__(self) -> None:
        self.documents = Documents("utf-16")
        self.notebooks = Notebooks(self.documents)
        texts = [text("a", "import os\n"), text("b", "# Title\r\ntext", "markdown"), text("c", "print(1)")]
        notebook = {"uri": BOOK, "notebookType": "jupyter", "version": 1, "cells": [cell("a"), cell("b"), cell("c")]}
        self.opened = self.notebooks.opened({"notebookDocument": notebook, "cellTextDocuments": texts})

    def change(self, **cells: Any) -> Any:
        return self.notebooks.changed({"notebookDocument": {"uri": BOOK, "version": 2}, "change": {"cells": cells}})

    def splice(self, start: int, count: int, *names: str, **more: Any) -> Any:
        array = {"start": start, "deleteCount": count, "cells": [cell(name) for name in names]}
        return self.change(structure={"array": array, **more})

    def type(self, name: str, *changes: object) -> Any:
        return self.change(textContent=[{"document": {"uri": uri(name), "version": 2}, "changes": list(changes)}])

    def shown(self, name: str) -> str:
        """The notebook as a cell's snapshot has it: other cells by their texts, this one as █."""
        snapshot = self.documents.snapshot(uri(name))
        return " | ".join([*(s.text for s in snapshot.before), "█", *(s.text for s in snapshot.after)])


def test_a_cell_knows_what_stands_above_and_below():
    """In the notebook's order, with the language of each, line feeds, and without a last line end."""
    book = Book()
    snapshot = book.documents.snapshot(uri("b"))
    assert snapshot.lines == ("# Title\r\n", "text")
    assert snapshot.before == (Snippet("cell", "import os", source="python"),)
    assert snapshot.after == (Snippet("cell", "print(1)", source="python"),)
    assert book.documents.snapshot(uri("c")).before[1] == Snippet("cell", "# Title\ntext", source="markdown")
    assert (book.opened[0], [document.uri for document in book.opened[1]]) == (BOOK, [uri("a"), uri("b"), uri("c")])


def test_typing_in_a_cell_shows_in_its_neighbours():
    """The text is edited as any document's, and the others see it as it is now."""
    book = Book()
    at = {"line": 0, "character": 9}
    book.type("a", {"range": {"start": at, "end": at}, "text": ", re"})
    assert book.documents.snapshot(uri("a")).lines == ("import os, re\n", "")
    assert book.shown("c") == "import os, re | # Title\ntext | █"


def test_a_snapshot_stays_the_same_until_something_changes():
    """An answer fits as long as neither its cell nor a neighbour was touched."""
    book = Book()
    before = book.documents.snapshot(uri("a"))
    assert book.documents.snapshot(uri("a")) is before
    book.type("c", {"text": "print(2)"})
    assert book.documents.snapshot(uri("a")) is not before


@pytest.mark.parametrize(
    ("splice", "expected"),
    [
        ((1, 1), "import os | █"),
        ((1, 1, "d"), "import os | new | █"),
        ((0, 0, "d"), "new | import os | # Title\ntext | █"),
        ((0, 3, "c", "a", "b"), "█ | import os | # Title\ntext"),
        ((9, 9, "d"), "import os | # Title\ntext | █ | new"),
        ((0, 3), "█"),
    ],
)
def test_cells_come_go_and_move(splice, expected):
    """The order after a change is the editor's; a cell that is not listed any more stands alone."""
    book = Book()
    changes = book.splice(*splice, didOpen=[text("d", "new")] if "d" in splice else [])
    assert book.shown("c") == expected
    assert [document.uri for document in changes.opened] == ([uri("d")] if "d" in splice else [])


def test_what_is_closed_is_gone():
    """A removed cell's document is closed, and so are all with the notebook."""
    book = Book()
    assert book.splice(1, 1, didClose=[{"uri": uri("b")}]).closed == [uri("b")]
    assert book.documents.snapshot(uri("b")) is None
    assert book.notebooks.closed({"notebookDocument": {"uri": BOOK}, "cellTextDocuments": []}) == [uri("a"), uri("c")]
    assert book.documents.snapshot(uri("a")) is None
    with pytest.raises(Malformed):
        book.type("a", {"text": ""})


@pytest.mark.parametrize(
    "change",
    [
        {"structure": {"array": {"start": -1, "deleteCount": 0}}},
        {"structure": {"array": {"start": 0, "deleteCount": "1"}}},
        {"structure": {"array": {"start": 0, "deleteCount": 0, "cells": [{"kind": 2}]}}},
        {"structure": {}},
        {"structure": {"array": {"start": 0, "deleteCount": 0}, "didOpen": [3]}},
        {"textContent": [{"document": {"uri": uri("nobody")}, "changes": [{"text": ""}]}]},
        {"textContent": [{"document": {"uri": uri("b")}, "changes": [{}]}]},
    ],
    ids=str,
)
def test_a_change_that_can_not_be_understood_ends_the_notebook(change):
    """What its cells hold is not known any more: later edits of them could not be told. It can be opened again."""
    book = Book()
    with pytest.raises(Dropped) as dropped:
        book.change(**change)
    assert dropped.value.closed == [uri("a"), uri("b"), uri("c")]
    assert list(book.documents.text_documents) == []
    with pytest.raises(Malformed):
        book.splice(0, 0)
    assert book.notebooks.closed({"notebookDocument": {"uri": BOOK}, "cellTextDocuments": [{"uri": uri("a")}]}) == []


def test_cells_that_come_with_a_change_that_is_not_understood_are_closed_too():
    """Nobody was told that they belong to a notebook."""
    book = Book()
    array = {"start": 0, "deleteCount": 1, "cells": [cell("d")]}
    structure = {"array": array, "didOpen": [text("d", "new")], "didClose": [{"uri": uri("a")}]}
    with pytest.raises(Dropped) as dropped:
        book.change(structure=structure, textContent=[{"document": {"uri": uri("b")}, "changes": [{}]}])
    assert dropped.value.closed == [uri("b"), uri("c"), uri("d")]
    assert list(book.documents.text_documents) == []


def test_a_notebook_whose_cells_are_not_understood_is_not_opened():
    """Nor are those of its cells that are."""
    documents = Documents()
    notebooks = Notebooks(documents)
    opened = {"notebookDocument": {"uri": BOOK, "cells": [cell("a")]}, "cellTextDocuments": [text("a", ""), {}]}
    with pytest.raises(Dropped) as dropped:
        notebooks.opened(opened)
    assert dropped.value.closed == [uri("a")]
    assert list(documents.text_documents) == []
    with pytest.raises(Malformed):
        notebooks.changed({"notebookDocument": {"uri": BOOK}, "change": {}})


@pytest.mark.parametrize("known", [True, False])
def test_what_the_editor_says_is_closed_is(known):
    """By whatever spelling, and whatever else stands in the list; a notebook that is not known has cells too."""
    book = Book()
    if not known:
        book.notebooks = Notebooks(book.documents)
    listed = [{"uri": uri("a").replace("#", "%23")}, {}, 3, {"uri": uri("c")}, {"uri": uri("b")}]
    closed = book.notebooks.closed({"notebookDocument": {"uri": BOOK}, "cellTextDocuments": listed})
    assert sorted(closed) == [uri("a"), uri("b"), uri("c")]
    assert list(book.documents.text_documents) == []


def test_a_change_of_metadata_changes_nothing():
    """Outputs and execution counts are not looked at."""
    book = Book()
    before = book.documents.snapshot(uri("a"))
    book.notebooks.changed({"notebookDocument": {"uri": BOOK}, "change": {"metadata": {"x": 1}}})
    book.change(data=[{"kind": 2, "document": uri("a"), "executionSummary": {"executionOrder": 1}}])
    assert book.documents.snapshot(uri("a")) is before


@pytest.mark.parametrize(
    "params", [{}, {"notebookDocument": {}}, {"notebookDocument": {"uri": BOOK}, "cells": 3}], ids=str
)
def test_a_notebook_may_come_without_cells(params):
    """What is missing is empty; only a URI must be there."""
    notebooks = Notebooks(Documents())
    if params.get("notebookDocument"):
        assert notebooks.opened(params) == (BOOK, [])
    else:
        with pytest.raises(Malformed):
            notebooks.opened(params)
