"""What an editor asks, frozen while its message is read, and whether an answer to it still fits.

Promises: whatever a client leaves out or gets wrong about the circumstances is read as the specification's default;
only a document and a position must be there. Does not decide whether to answer.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from qwen_lsp.core import text
from qwen_lsp.core.model import Ghost, Request, Selected, Snapshot, Trigger
from qwen_lsp.lsp.clients import Client
from qwen_lsp.lsp.documents import Document, Malformed, range_of


@dataclass(frozen=True, slots=True)
class Question:
    """A request and what its answer needs: who asked, and the command that an accepted answer runs."""

    request: Request
    client: Client
    command: dict[str, Any]

    @property
    def line(self) -> str:
        """The cursor's line without its end."""
        line = self.request.snapshot.lines[self.request.line]
        return line[: text.length(line)]

    def range(self, start: int, end: int) -> dict[str, Any]:
        """Two columns of the cursor's line in the editor's units."""
        line, encoding = self.line, self.client.encoding
        return {
            "start": {"line": self.request.line, "character": text.units(line, start, encoding)},
            "end": {"line": self.request.line, "character": text.units(line, end, encoding)},
        }


def read(document: Document, params: Mapping[str, Any], client: Client, command: dict[str, Any]) -> Question:
    """The question that a request's params ask.

    An unknown trigger counts as automatic: vscode-languageclient before 10 sent VS Code's own numbers.

    Raises:
        Malformed: there is no position.
    """
    line, column = document.place(params.get("position"))
    context = params.get("context")
    context = context if isinstance(context, Mapping) else {}
    by_hand = context.get("triggerKind") == Trigger.INVOKED.value
    selected = _selected(document, line, context.get("selectedCompletionInfo"))
    trigger = Trigger.INVOKED if by_hand else Trigger.AUTOMATIC
    return Question(Request(document.snapshot(), line, column, trigger, selected), client, command)


def typed_through(request: Request, now: Snapshot | None, ghost: Ghost) -> bool:
    """Whether all that has changed since the request is that the beginning of the ghost was typed."""
    then, line, column = request.snapshot, request.line, request.column
    if now is None or now is then:
        return now is then
    before, after = then.lines[line], now.lines[line] if line < len(now.lines) else ""
    typed = after[column : column + len(after) - len(before)]
    return (
        after == before[:column] + typed + before[column:]
        and ghost.insert.startswith(before[ghost.start : column] + typed)
        and now.lines[:line] == then.lines[:line]
        and now.lines[line + 1 :] == then.lines[line + 1 :]
    )


def _selected(document: Document, line: int, info: object) -> Selected | None:
    """The menu's selected entry, if it lies on the cursor's line and is understood."""
    if not isinstance(info, Mapping) or not isinstance(info.get("text"), str):
        return None
    try:
        start, end = (document.place(position) for position in range_of(info.get("range")))
    except Malformed:
        return None
    if start[0] != line or end[0] != line or end < start:
        return None
    return Selected(start[1], end[1], info["text"])
