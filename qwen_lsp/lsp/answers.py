"""A ghost as the editor's JSON: an inline completion item, or an entry of the completion menu.

Promises: the range lies on the cursor's line and contains the cursor; no control character but tab and line feed
leaves; what is inserted begins with what stands there already. None where that can't be had. Pure; decides nothing
about whether to complete.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from qwen_lsp.core.model import Ghost
from qwen_lsp.lsp.questions import Question

# Emacs 28's JSON parser rejects a message that holds NUL, and Neovim shows ^M for a carriage return.
_CONTROLS = {code: None for code in (*range(0x20), 0x7F) if chr(code) not in "\t\n"}
_SURROGATE = re.compile("[\ud800-\udfff]")
# Looked for first: nearly every text is clean.
_UNCLEAN = re.compile("[\x00-\x08\x0b-\x1f\x7f\ud800-\udfff]")
_WORD = re.compile(r"\w*\Z")
_PLAIN, _SNIPPET = 1, 2
"""LSP's InsertTextFormat."""
_AS_IS = 1
"""LSP's InsertTextMode: lsp-mode indents every line again otherwise."""
_TEXT_KIND = 1
"""LSP's CompletionItemKind."""


def inline_list(question: Question, ghost: Ghost | None, others: Sequence[Ghost] = ()) -> dict[str, Any]:
    """The answer to `textDocument/inlineCompletion`, the best first; `others` come with a `ghost` only.

    Never null: Neovim then keeps an older suggestion on the screen, and would insert it.
    """
    ghosts = [ghost, *others] if ghost is not None else []
    items = [item for each in ghosts if (item := inline_item(question, each)) is not None]
    return {"items": items}


def inline_item(question: Question, ghost: Ghost) -> dict[str, Any] | None:
    """One InlineCompletionItem, its text plain (no snippet) and with LF line ends."""
    covered = question.line[ghost.start : ghost.end]
    insert, shown_by = clean(ghost.insert), clean(ghost.filter)
    if clean(covered) != covered or insert == covered or not shown_by.startswith(covered):
        return None
    return {
        "insertText": insert,
        "filterText": shown_by,
        "range": question.range(ghost.start, ghost.end),
        "command": question.command,
    }


def menu_list(question: Question, ghost: Ghost | None) -> dict[str, Any]:
    """The answer to `textDocument/completion`. Complete: the entry goes on fitting while it is typed through."""
    item = menu_item(question, ghost) if ghost is not None else None
    return {"isIncomplete": False, "items": [] if item is None else [item]}


def menu_item(question: Question, ghost: Ghost) -> dict[str, Any] | None:
    """One CompletionItem, its shape proved in Helix, Neovim 0.11, eglot and lsp-mode.

    It replaces the word before the cursor, and starts with it, so that the menu's own filter keeps it.
    """
    client, line, at = question.client, question.line, question.request.column
    snippet = client.needs.snippet and client.snippets
    fitted = _before_cursor(ghost, line, at, must=snippet)
    if fitted is None:
        return None
    new, end = clean(fitted[0]), fitted[1]
    word = _WORD.search(line[:at])
    start = word.start() if word else at
    new = line[start:at] + new
    first = new.partition("\n")[0]
    label = next((part.strip() for part in new.split("\n") if part.strip()), "")
    if not label or new == line[start:end]:
        return None
    item = {
        "label": label,
        "kind": _TEXT_KIND,
        "detail": "qwen",
        "documentation": _documentation(new, question),
        "preselect": True,
        "sortText": "!",
        "filterText": first or label,
        "insertTextFormat": _SNIPPET if snippet else _PLAIN,
        "insertTextMode": _AS_IS,
        "textEdit": {"range": question.range(start, end), "newText": _inserted(new, question, snippet=snippet)},
    }
    return item | {"command": question.command} if client.needs.commands else item


def clean(raw: str) -> str:
    """A text that every editor takes: LF line ends, no other control characters, no half surrogate pairs."""
    if not _UNCLEAN.search(raw):
        return raw
    cleaned = raw.replace("\r\n", "\n").replace("\r", "\n").translate(_CONTROLS)
    if _SURROGATE.search(cleaned):
        return cleaned.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return cleaned


def _before_cursor(ghost: Ghost, line: str, at: int, *, must: bool) -> tuple[str, int] | None:
    """What a ghost adds at the cursor, and the column up to which it replaces the line.

    Menus replace what stands before the cursor. Beyond it they reach only where the text has something new
    before the last of what it covers, and not all do (`must`).
    """
    typed, covered = line[ghost.start : at], line[at : ghost.end]
    if not ghost.insert.startswith(typed) or clean(line[ghost.start : ghost.end]) != line[ghost.start : ghost.end]:
        return None
    added = ghost.insert[len(typed) :]
    rest = covered.rstrip()
    if added.endswith(rest):
        return (added[: len(added) - len(rest)], at) if rest or must else (added, ghost.end)
    return None if must else (added, ghost.end)


def _inserted(new: str, question: Question, *, snippet: bool) -> str:
    """The new text in the form that the editor's menu inserts rightly."""
    if snippet:
        indent = question.line[: len(question.line) - len(question.line.lstrip(" \t"))]
        new = re.sub(r"([\\$}])", r"\\\1", new.replace("\n" + indent, "\n"))
    if question.client.needs.document_ends and question.request.snapshot.lines[0].endswith("\r\n"):
        new = new.replace("\n", "\r\n")
    return new


def _documentation(new: str, question: Question) -> str | dict[str, str]:
    """The whole text, for the window beside the menu."""
    if not question.client.markdown:
        return new
    longest = max((len(run) for run in re.findall(r"`+", new)), default=0)
    fence = "`" * max(3, longest + 1)
    language = re.sub(r"[^\w+#.-]", "", question.request.snapshot.language)
    return {"kind": "markdown", "value": f"{fence}{language}\n{new}\n{fence}"}
