"""What became of a suggestion: taken whole, by word or by line, typed, or left.

Told from what the document holds at the next request, so it is known of every editor: few of them say it themselves.
Knows no clock; costs the same in documents of any length.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum

from qwen_lsp.core.model import Ghost, Request


class Fate(Enum):
    """By the name under which it is counted (usage/ledger.py)."""

    TAKEN = "accepted"
    BY_WORD = "accepted_words"
    BY_LINE = "accepted_lines"
    TYPED = "typed"
    LEFT = "dismissed"


@dataclass(slots=True)
class _Shown:
    head: str
    """The line up to the ghost."""
    ghost: Ghost
    used: int
    """Code points of its text that stood in the document at the last request."""
    taken: bool = False
    """Some of it came in one step."""


@dataclass(slots=True)
class Fates:
    """Follows the suggestions of a session, one a document."""

    _shown: dict[str, _Shown] = field(default_factory=dict)

    def shown(self, request: Request, ghost: Ghost) -> None:
        """This is on the screen now. The rest of what was there before is still the same suggestion."""
        uri, before = request.snapshot.uri, self._shown.get(request.snapshot.uri)
        used = request.column - ghost.start
        same = before is not None and _used(before, request) is not None and _is_rest(before.ghost, request, ghost)
        if not same:
            head = request.snapshot.lines[ghost.line][: ghost.start]
            self._shown[uri] = _Shown(head, ghost, used)

    def asked(self, request: Request) -> tuple[Fate, Ghost] | None:
        """The next request for a document: what became of what was shown there, as soon as that is decided."""
        uri = request.snapshot.uri
        shown = self._shown.get(uri)
        if shown is None:
            return None
        used = _used(shown, request)
        if used is None:
            del self._shown[uri]
            return None if shown.taken else (Fate.LEFT, shown.ghost)
        step, whole = used - shown.used, len(shown.ghost.insert)
        shown.used = used
        if used == whole:
            del self._shown[uri]
            fate = Fate.TAKEN if step > 1 else Fate.TYPED
            return None if fate is Fate.TYPED and shown.taken else (fate, shown.ghost)
        if step <= 1:
            return None
        shown.taken = True
        text = shown.ghost.insert
        return Fate.BY_LINE if "\n" in (text[used - 1], text[used]) else Fate.BY_WORD, shown.ghost

    def closed(self, uri: str) -> None:
        """A document was closed: what was shown there was left, or is not known."""
        self._shown.pop(uri, None)


def _used(shown: _Shown, request: Request) -> int | None:
    """How much of a suggestion stands before the cursor; None when something else does."""
    ghost, lines = shown.ghost, request.snapshot.lines
    if request.line < ghost.line or len(lines) <= request.line:
        return None
    if lines[ghost.line][: ghost.start] != shown.head:
        return None
    parts = [line.rstrip("\r\n") for line in lines[ghost.line : request.line]] + [lines[request.line][: request.column]]
    text = "\n".join(parts)[ghost.start :]
    return len(text) if ghost.insert.startswith(text) else None


def _is_rest(before: Ghost, request: Request, ghost: Ghost) -> bool:
    """Whether a ghost is what is left of another one."""
    left = ghost.insert[request.column - ghost.start :]
    return bool(left) and before.insert.endswith(left)
