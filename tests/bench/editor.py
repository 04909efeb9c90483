"""The editor's half of the benchmark, pure: a document under a cursor, what an answer shows there, what is seen.

An editor shows an item's text less what stands in its range before the cursor, keeps showing what is being typed
through, and drops it when something else is typed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.bench.known_file import tokens


@dataclass(frozen=True, slots=True)
class View:
    """The document at one moment, the cursor at `offset` (code points)."""

    text: str
    offset: int

    @property
    def position(self) -> dict[str, int]:
        """The cursor as LSP writes it."""
        line_start = self.text.rfind("\n", 0, self.offset) + 1
        line = self.text.count("\n", 0, self.offset)
        return {"line": line, "character": utf16(self.text[line_start : self.offset])}

    @property
    def line(self) -> tuple[str, int]:
        """The cursor's line, and the column in it (code points)."""
        start = self.text.rfind("\n", 0, self.offset) + 1
        end = self.text.find("\n", self.offset)
        return self.text[start : len(self.text) if end < 0 else end], self.offset - start

    def typed(self, text: str) -> tuple[View, dict[str, Any]]:
        """The document after typing, and the LSP change that says so."""
        after = View(self.text[: self.offset] + text + self.text[self.offset :], self.offset + len(text))
        return after, {"range": {"start": self.position, "end": self.position}, "text": text}

    def deleted(self) -> tuple[View, dict[str, Any]]:
        """The document after a backspace, and the change."""
        after = View(self.text[: self.offset - 1] + self.text[self.offset :], self.offset - 1)
        return after, {"range": {"start": after.position, "end": self.position}, "text": ""}


@dataclass(frozen=True, slots=True)
class Shown:
    """Text after the cursor, `replaces` code points of what stands there already in it."""

    text: str
    replaces: int = 0
    command: Mapping[str, Any] | None = None


class MisfitError(ValueError):
    """An answer that does not belong where it was asked for."""


def shown(result: Any, view: View) -> Shown | None:
    """What the first item of an answer shows in the document it was asked for; None if it has no text.

    Raises:
        MisfitError: its range is not on the cursor's line, does not contain the cursor, or what stands in it is no
            beginning of what editors filter by; or its text does not go on from what is typed.
    """
    items = result.get("items", []) if isinstance(result, dict) else result or []
    item = next((item for item in items if item.get("insertText")), None)
    if item is None:
        return None
    insert = str(item["insertText"])
    here = view.position
    span = item.get("range") or {"start": here, "end": here}
    line, column = view.line
    if not span["start"]["line"] == span["end"]["line"] == here["line"]:
        raise MisfitError("the range is not on the cursor's line")
    start, end = (_column(line, span[edge]["character"]) for edge in ("start", "end"))
    if start is None or end is None or not start <= column <= end:
        raise MisfitError("the range does not contain the cursor")
    if not str(item.get("filterText") or insert).startswith(line[start:end]):
        raise MisfitError("what stands in the range is no beginning of filterText")
    if not insert.startswith(line[start:column]):
        raise MisfitError("the text does not go on from what is typed")
    return Shown(insert[column - start :], end - column, item.get("command"))


def still_fits(text: str, asked: View, now: View) -> bool:
    """Whether what was suggested in one document can be typed through to another."""
    since = now.text[asked.offset : now.offset]
    behind = now.text[now.offset :] == asked.text[asked.offset :]
    return behind and now.text[: asked.offset] == asked.text[: asked.offset] and text.startswith(since)


@dataclass(slots=True)
class Reader:
    """What a person sees, and what of it changes under the eyes."""

    offset: int
    """Where the cursor is."""
    visible: str = ""
    changed: int = 0
    """Times that a suggestion being typed through went on with another text."""
    shown: set[tuple[int, str]] = field(default_factory=set)
    """The tokens that were ever shown, known by where they end and how, so that none counts twice."""
    used: set[tuple[int, str]] = field(default_factory=set)
    """Those of them that were typed through or taken."""

    def typed(self, text: str) -> None:
        """A key, or a suggestion taken, has added a text."""
        if self.visible.startswith(text):
            self.used |= {
                (end, last) for end, last in _ends(self.visible, self.offset) if end <= self.offset + len(text)
            }
            self.visible = self.visible[len(text) :]
        else:
            self.visible = ""
        self.offset += len(text)

    def deleted(self) -> None:
        """A backspace has taken a character, and the suggestion with it."""
        self.offset -= 1
        self.visible = ""

    def answered(self, text: str) -> None:
        """The answer to the last key has come in time, with this text."""
        if not text or self.visible.startswith(text):
            return
        self.changed += not text.startswith(self.visible)
        self.shown.update(_ends(text, self.offset))
        self.visible = text


def _ends(text: str, offset: int) -> Iterator[tuple[int, str]]:
    """The tokens of a text that begins at an offset: where each ends, and its last character."""
    for token in tokens(text):
        offset += len(token)
        yield offset, token[-1]


def utf16(text: str) -> int:
    """LSP's length of a text."""
    return len(text) + sum(character > "\uffff" for character in text)


def _column(line: str, character: int) -> int | None:
    """The column (code points) of an LSP character; None in the middle of one or past the line's end."""
    if line.isascii():
        return character if 0 <= character <= len(line) else None
    return next((column for column in range(len(line) + 1) if utf16(line[:column]) == character), None)
