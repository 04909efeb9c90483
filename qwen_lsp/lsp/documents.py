"""The open documents: pygls' store, with the text kept and edited by core/text.py.

Promises: our text is the editor's after any sequence of edits, at a cost that does not grow with the document; a
document whose edits can't be understood is dropped rather than kept wrong; nothing is ever read from a disk.
Messages are taken as plain JSON, since editors leave out what the specification demands (a version, a language).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias, cast
from urllib.parse import unquote

from lsprotocol import types
from pygls.workspace import TextDocument, Workspace

from qwen_lsp.core import text
from qwen_lsp.core.lines import Lines
from qwen_lsp.core.model import Snapshot, Snippet
from qwen_lsp.core.text import Encoding, Place

_SURROGATE = re.compile("[\ud800-\udfff]")
Neighbours: TypeAlias = "Callable[[Document], tuple[tuple[Snippet, ...], tuple[Snippet, ...]]]"
"""Gives what stands before and after a document that is a part of something."""


class Malformed(Exception):  # noqa: N818 - a message's state, told to its sender
    """A message's params are not what the protocol says. The text names the key, never its value."""


class Document(TextDocument):
    """An open document. `source` is joined only for whoever asks; nothing on the way of a key does."""

    def __init__(self, uri: str, source: str, version: int | None, language: str, encoding: Encoding) -> None:
        try:
            super().__init__(uri, version=version, language_id=language)
        except ValueError:  # urllib can't take the URI apart; only pygls' `path` is lost
            super().__init__("untitled:", version=version, language_id=language)
            self.uri = uri
        self.encoding = encoding
        self.neighbours: Neighbours | None = None
        """Set by the notebook whose cell this is."""
        self._lines = _lines(source)
        self._snapshot: Snapshot | None = None
        self._passage: Snippet | None = None

    @property
    def lines(self) -> Sequence[str]:
        """The lines with their ends, as core/text.py splits them."""
        return self._lines

    @property
    def source(self) -> str:
        """The whole text."""
        return "".join(self._lines)

    def snapshot(self) -> Snapshot:
        """The document as it is now; the same object until it or its neighbours change."""
        kept = self._snapshot
        before, after = self.neighbours(self) if self.neighbours is not None else ((), ())
        if kept is None or kept.before != before or kept.after != after:
            kept = self._snapshot = Snapshot(
                uri=self.uri,
                language=self.language_id or "",
                version=self.version or 0,
                lines=self._lines,
                before=before,
                after=after,
            )
        return kept

    def passage(self) -> Snippet:
        """The text as its neighbours see it; the same object until it changes."""
        if self._passage is None:
            text = self.source.replace("\r\n", "\n").replace("\r", "\n").removesuffix("\n")
            self._passage = Snippet("cell", text, source=self.language_id or "")
        return self._passage

    def place(self, position: object) -> Place:
        """An LSP position as line and column.

        Raises:
            Malformed: it holds no two integers.
        """
        return text.place(self._lines, *position_of(position), self.encoding)

    def change(self, change: object) -> int:
        """Applies one TextDocumentContentChangeEvent. Returns the line at which it begins.

        Raises:
            Malformed: nobody can say what it changes.
        """
        new = change.get("text") if isinstance(change, Mapping) else None
        if not isinstance(new, str):
            raise Malformed("contentChanges: no text")
        span = change.get("range") if isinstance(change, Mapping) else None
        if span is None:
            self._lines = _lines(new)
            self._snapshot = self._passage = None
            return 0
        start, end = range_of(span)
        self._edit(position_of(start), position_of(end), new)
        return min(max(position_of(start)[0], 0), len(self._lines) - 1)

    def _edit(self, start: Place, end: Place, new: str) -> None:
        self._lines = text.edit(self._lines, start, end, _storable(new), self.encoding)
        self._snapshot = self._passage = None

    # pygls' own way in, for what it does by itself.
    def _apply_incremental_change(self, change: types.TextDocumentContentChangePartial) -> None:
        first, last = change.range.start, change.range.end
        self._edit((first.line, first.character), (last.line, last.character), change.text)

    def _apply_full_change(self, change: types.TextDocumentContentChangeEvent) -> None:
        self.change({"text": change.text})


class Documents(Workspace):
    """What the editor has open, by URI; a URI and its percent-encoded form are one."""

    def __init__(self, encoding: Encoding = "utf-16") -> None:
        super().__init__(None, position_encoding=encoding)
        self.encoding = encoding

    def opened(self, params: Mapping[str, Any]) -> Document:
        """`textDocument/didOpen`. What is missing is empty; only a URI and a text must be there."""
        item = object_of(params, "textDocument")
        uri, source = string_of(item, "uri"), string_of(item, "text")
        language = item.get("languageId")
        language = _storable(language) if isinstance(language, str) else ""
        document = Document(uri, source, _version(item), language, self.encoding)
        self._text_documents[unquote(uri)] = document
        return document

    def changed(self, params: Mapping[str, Any]) -> tuple[Document, int]:
        """`textDocument/didChange`: all its changes, in order. Returns the document and the last change's line.

        Raises:
            Malformed: the document is not open, or a change can't be understood; it then counts as closed, since
                our text would no longer be the editor's.
        """
        item = object_of(params, "textDocument")
        document = self.document(string_of(item, "uri"))
        if document is None:
            raise Malformed("textDocument: not open")
        changes = params.get("contentChanges")
        line = 0
        try:
            for change in changes if isinstance(changes, list) else [changes]:
                line = document.change(change)
        except Malformed:
            self.remove_text_document(document.uri)
            raise
        document.version = _version(item)
        return document, line

    def closed(self, params: Mapping[str, Any]) -> str:
        """`textDocument/didClose`. Returns the URI."""
        uri = string_of(object_of(params, "textDocument"), "uri")
        document = self.document(uri)
        self.remove_text_document(uri)
        # As it was opened: the others know the document by that spelling.
        return uri if document is None else document.uri

    def document(self, uri: str) -> Document | None:
        """An open document. Unlike pygls' `get_text_document` it does not look on the disk."""
        return cast("Document | None", self._text_documents.get(unquote(uri)))

    def snapshot(self, uri: str) -> Snapshot | None:
        """An open document as it is now."""
        document = self.document(uri)
        return None if document is None else document.snapshot()

    def asked(self, params: Mapping[str, Any]) -> Document | None:
        """The document that a request names; None if it is not open."""
        return self.document(string_of(object_of(params, "textDocument"), "uri"))

    def _create_text_document(
        self,
        doc_uri: str,
        source: str | None = None,
        version: int | None = None,
        language_id: str | None = None,
    ) -> TextDocument:
        return Document(doc_uri, source or "", version, language_id or "", self.encoding)


def position_of(value: object) -> tuple[int, int]:
    """The two numbers of an LSP position, not yet clamped to any document.

    Raises:
        Malformed: they are not there.
    """
    if isinstance(value, Mapping):
        line, character = integer_of(value.get("line")), integer_of(value.get("character"))
        if line is not None and character is not None:
            return line, character
    raise Malformed("position: no line and character")


def range_of(value: object) -> tuple[object, object]:
    """Start and end of a range; VS Code's own form, a list of two, counts too (vscode-languageclient before 10)."""
    if isinstance(value, Mapping):
        return value.get("start"), value.get("end")
    if isinstance(value, list) and len(value) == 2:
        return value[0], value[1]
    raise Malformed("range: no start and end")


def object_of(params: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    """An object that must be there.

    Raises:
        Malformed: it is not.
    """
    value = params.get(key)
    if not isinstance(value, Mapping):
        raise Malformed(f"{key}: missing")
    return value


def string_of(item: Mapping[str, Any], key: str) -> str:
    """A string that must be there.

    Raises:
        Malformed: it is not.
    """
    value = item.get(key)
    if not isinstance(value, str):
        raise Malformed(f"{key}: missing")
    return value


def integer_of(value: object) -> int | None:
    """A JSON number that is an integer."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _version(item: Mapping[str, Any]) -> int | None:
    return integer_of(item.get("version"))


def _lines(source: str) -> Lines:
    return Lines.of(text.split(_storable(source)))


def _storable(new: str) -> str:
    """Half a surrogate pair is no text that could be sent to anyone; U+FFFD is as wide, so positions stay right."""
    return new if new.isascii() else _SURROGATE.sub("\ufffd", new)
