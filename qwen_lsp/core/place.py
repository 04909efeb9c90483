"""Where a text goes: the range it replaces, what is inserted, and what the editor filters by.

The range lies on the cursor's line and contains the cursor. It reaches over what stands right of the cursor only
where the text contains that too; so nothing is doubled, and nothing is lost.
"""

from __future__ import annotations

from dataclasses import replace

from qwen_lsp.core.gate import only_closers, rest_of_line
from qwen_lsp.core.model import Ghost, Request

_PAIRS = {")": "(", "]": "[", "}": "{"}


def place(text: str, request: Request, *, source: str = "model") -> Ghost | None:
    """The ghost for a polished text; None when nothing is left of it beside what already stands there."""
    line = request.snapshot.lines[request.line].rstrip("\r\n")
    start = end = request.column
    typed = ""
    if request.selected is not None:
        start, end = request.selected.start, max(request.selected.end, request.column)
        typed = request.selected.text
    else:
        text, end = fitted(text, rest_of_line(request), request.column)
    if not text.strip():
        return None
    insert = typed + text
    replaced = line[start:end]
    shown_by = insert if insert.startswith(replaced) else replaced + insert
    return Ghost(line=request.line, start=start, end=end, insert=insert, filter=shown_by, source=source)


def after_accepting(request: Request, ghost: Ghost) -> Request:
    """The request that an editor makes right after a ghost was accepted."""
    lines = request.snapshot.lines
    line = lines[ghost.line]
    *above, last = (line[: ghost.start] + ghost.insert).split("\n")
    now = (*lines[: ghost.line], *(f"{text}\n" for text in above), last + line[ghost.end :], *lines[ghost.line + 1 :])
    return Request(replace(request.snapshot, lines=now), ghost.line + len(above), len(last))


def fitted(text: str, rest: str, column: int) -> tuple[str, int]:
    """The text without what follows the cursor already, and the column up to which it replaces the line.

    `rest` is the line from `column` on.
    """
    if not rest.strip():
        # Blanks left at the cursor would end up behind the last line.
        return text, column + len(rest)
    first, newline, more = text.partition("\n")
    last = more.rpartition("\n")[2] if newline else first
    overlap = _overlap(last, rest)
    if overlap:
        return text[:-overlap], column
    closers = rest.rstrip()
    if only_closers(closers) and not newline and _unopened(first) >= _count_closers(closers) > 0:
        covered = _covers(first, closers)
        if covered:
            return first, column + len(closers)
    return first + newline + more, column


def _overlap(text: str, rest: str) -> int:
    """Code points at the end of `text` that are the beginning of `rest`, when they close nothing `text` opened."""
    bare = rest.rstrip()
    for size in range(min(len(text), len(bare)), 0, -1):
        tail = text[-size:]
        if not bare.startswith(tail) or not tail.strip():
            continue
        if only_closers(tail):
            return size if _closes_outside(text, tail) else 0
        return size if size == len(bare) else 0
    return 0


def _closes_outside(text: str, tail: str) -> bool:
    """Whether the brackets and quotes of `tail`, the end of `text`, belong to what stands before the text."""
    brackets = sum(character in _PAIRS for character in tail)
    if _unopened(text) < brackets:
        return False
    return all(text.count(quote) % 2 == 1 for quote in "\"'`" if quote in tail)


def _unopened(text: str) -> int:
    """Closing brackets in `text` that no bracket in it has opened."""
    depth: dict[str, int] = dict.fromkeys(_PAIRS.values(), 0)
    unopened = 0
    for character in text:
        if character in depth:
            depth[character] += 1
        elif character in _PAIRS:
            if depth[_PAIRS[character]]:
                depth[_PAIRS[character]] -= 1
            else:
                unopened += 1
    return unopened


def _count_closers(text: str) -> int:
    return sum(character in _PAIRS for character in text)


def _covers(text: str, closers: str) -> bool:
    """Whether `text` has the characters of `closers`, blanks apart, in their order."""
    characters = iter(text)
    return all(wanted in characters for wanted in closers if not wanted.isspace())
