"""The windows before and after the cursor: what of the document a model is shown.

Both are cut at line starts. The beginning moves in steps of whole blocks of lines, so that consecutive prompts
begin with the same text and prompt caches hit: DashScope's context cache and llama.cpp's both match the common
beginning of prompts only.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from urllib.parse import urlsplit

from qwen_lsp.core.model import Request, Service

_STEP = 16
"""Lines by which the window's beginning moves."""
_MOST_LINES = 400
"""Lines that are looked at on either side of the cursor; they are joined before they are measured, which is faster."""


@dataclass(frozen=True, slots=True)
class Budget:
    """Code points that may be shown before and after the cursor."""

    before: int
    after: int


_CLOUD = Budget(before=8000, after=3000)
# A FIM prompt's suffix is read again after every key (it stands behind what was typed), at 60 to 90 tokens a second on
# two slow cores: on a person's own processor the suffix has to be short.
_LOCAL = Budget(before=2400, after=600)
# A model server on this machine mostly has a better processor than ours, and reads the prompt on it all the same.
_NEARBY = Budget(before=4000, after=1000)


def budget(service: Service) -> Budget:
    """How much to show this service."""
    if service.is_local:
        return _LOCAL
    return _NEARBY if _is_nearby(service.base_url) else _CLOUD


@lru_cache(maxsize=8)
def _is_nearby(base_url: str) -> bool:
    return urlsplit(base_url).hostname in {"127.0.0.1", "localhost", "::1"}


@dataclass(frozen=True, slots=True)
class Window:
    """What stands around the cursor, with line feeds as line ends.

    `prefix` ends at the cursor and `suffix` begins there. A completion menu's selected entry counts as typed.
    """

    prefix: str
    suffix: str
    first: int = 0
    """The number of the line that `prefix` begins with."""


def window(request: Request, size: Budget) -> Window:
    """The window around a request's cursor."""
    lines, row, column = request.snapshot.lines, request.line, request.column
    line = lines[row]
    head, tail = line[:column], line[column:]
    if request.selected is not None:
        head = line[: request.selected.start] + request.selected.text
        tail = line[max(request.selected.end, column) :]
    above = _last_lines(_text(lines[max(0, row - _MOST_LINES) : row]), size.before - len(head))
    first = row - above.count("\n")
    surplus = -first % _STEP
    if first + surplus <= row:
        above = _without_lines(above, surplus)
        first += surplus
    tail = _plain_ends(tail)
    below = _first_lines(_text(lines[row + 1 : row + 1 + _MOST_LINES]), size.after - len(tail))
    # A line too long for the window (minified code) is cut by force: nothing may send a megabyte.
    return Window((above + head)[-size.before :], (tail + below)[: size.after], first)


def _last_lines(text: str, room: int) -> str:
    """The last of these lines, as many as fit into `room` code points."""
    return text[text.find("\n", len(text) - max(room, 0) - 1) + 1 :] if len(text) > room else text


def _first_lines(text: str, room: int) -> str:
    """The first of these lines, as many as fit."""
    return text[: text.rfind("\n", 0, max(room, 0)) + 1] if len(text) > room else text


def _without_lines(text: str, count: int) -> str:
    """The text without its first lines."""
    at = 0
    for _ in range(count):
        at = text.index("\n", at) + 1
    return text[at:]


def _text(lines: Sequence[str]) -> str:
    return _plain_ends("".join(lines))


def _plain_ends(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\r", "\n") if "\r" in text else text
