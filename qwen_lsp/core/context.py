"""The windows before and after the cursor: what of the document a model is shown.

Both are cut at line starts. The beginning moves in steps of whole blocks of lines, so that consecutive prompts
begin with the same text and prompt caches hit: DashScope's context cache and llama.cpp's both match the common
beginning of prompts only.
"""

from __future__ import annotations

from dataclasses import dataclass

from qwen_lsp.core.model import Request, Service

_STEP = 16
"""Lines by which the window's beginning moves."""


@dataclass(frozen=True, slots=True)
class Budget:
    """Code points that may be shown before and after the cursor."""

    before: int
    after: int


_CLOUD = Budget(before=8000, after=3000)
# A FIM prompt's suffix is read again after every key (it stands behind what was typed), at 60 to 90 tokens a second on
# two slow cores: on a person's own processor the suffix has to be short.
_LOCAL = Budget(before=2400, after=600)


def budget(service: Service) -> Budget:
    """How much to show this service."""
    return _LOCAL if service.is_local else _CLOUD


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
    first = _first_line(lines, row, size.before - len(head))
    before = "".join(lines[first:row]) + head
    after, room, index = [tail], size.after - len(tail), row + 1
    while index < len(lines) and room >= len(lines[index]):
        after.append(lines[index])
        room -= len(lines[index])
        index += 1
    # A line too long for the window (minified code) is cut by force: nothing may send a megabyte.
    return Window(_plain_ends(before)[-size.before :], _plain_ends("".join(after))[: size.after], first)


def _first_line(lines: tuple[str, ...], row: int, room: int) -> int:
    """The first line to show: line 0, or the first multiple of the step from which the rest fits into `room`."""
    first = row
    while first > 0 and len(lines[first - 1]) <= room:
        first -= 1
        room -= len(lines[first])
    if first == 0:
        return 0
    stepped = -(-first // _STEP) * _STEP
    return stepped if stepped <= row else first


def _plain_ends(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\r", "\n") if "\r" in text else text
