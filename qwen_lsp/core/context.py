"""What a model is shown of the document: how much (the budget) and which part of it (the window).

A budget counts tokens. For a model on this machine it is what can be read in time at the speed that it has shown; for
a service it is bounded by what it costs. Windows are cut at line starts, and the beginning moves in steps of whole
blocks of lines, so that consecutive prompts begin with the same text and prompt caches hit: DashScope's context cache
and llama.cpp's both match the common beginning of prompts only. The end is counted from the cursor, so that what is
typed above it leaves it as it is; behind a prefix that has changed it is read again anyway.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache

from qwen_lsp.core.config import Settings
from qwen_lsp.core.grammars import line_comment
from qwen_lsp.core.hosts import is_loopback
from qwen_lsp.core.model import Request, Service, Snippet
from qwen_lsp.core.tokens import density

_LEAST_STEP, _MOST_STEP = 8, 64
"""Lines by which the window's beginning moves; more where more is shown."""
_USUAL_LINES = 400
"""Lines that are looked at on either side of the cursor; they are joined before they are measured, which is faster."""
_NEAR_ABOVE, _NEAR_BELOW = 40, 20
"""Lines around the cursor from which the density of the text is told."""
_LONGEST = 400
"""Code points of a line that are looked at for that: a neighbour may be a megabyte of minified text."""
_TELLING = 200
"""Code points from which on a text tells its density."""
_SNIPPETS = 3 / 8
"""Of what stands before the cursor, the part that belongs to other files."""
_AFTER = 1 / 5
"""Of a whole prompt, the part that stands after the cursor."""
_MARGIN = 64
"""Tokens of a context left free: the prompt's own, and what an estimate is off by."""


@dataclass(frozen=True, slots=True)
class Budget:
    """Tokens that may be shown before and after the cursor, and of other files; and why so many."""

    before: int
    after: int
    snippets: int = 0
    why: str = ""


@dataclass(frozen=True, slots=True)
class Reader:
    """How long a model on this machine may read.

    What follows the cursor is read again after every key, since it stands behind what was typed; all before it is read
    once and then cached.
    """

    unknown: float
    """Tokens a second that are counted on before any speed is known."""
    seconds_after: float
    least_after: int
    most_after: int
    seconds_before: float
    least_before: int
    most_before: int


# Two slow cores read 60 to 90 tokens a second with the 0.5B, a laptop several hundred, a GPU thousands.
_LOCAL = Reader(100, 1.0, 96, 768, 6.0, 512, 32_768)
# A model server on this machine mostly has a better processor than ours; its context is not known, often 4,096.
_NEARBY = Reader(250, 1.0, 128, 768, 6.0, 1024, 3072)
_CLOUD = Budget(before=2048, after=768, snippets=1024, why="a service bills tokens")


def budget(service: Service, settings: Settings, speed: float | None = None, *, snippets: bool = True) -> Budget:
    """How much to show this service, which has shown to read `speed` tokens a second.

    `snippets`: whether there is anybody to ask for passages of other files.
    """
    wanted = snippets and settings.snippets
    most = settings.local.context - settings.max_tokens - _MARGIN if service.is_local else 32_768
    if settings.prompt_tokens != "auto":
        whole = max(min(settings.prompt_tokens, most), 2)
        after = min(int(whole * _AFTER), _CLOUD.after)
        return _split(whole - after, after, f"qwen.promptTokens is {settings.prompt_tokens}", wanted=wanted)
    reader = _LOCAL if service.is_local else _NEARBY if is_near(service) else None
    if reader is None:
        return _CLOUD if wanted else Budget(_CLOUD.before, _CLOUD.after, 0, _CLOUD.why)
    rate = speed or reader.unknown
    after = round(min(max(rate * reader.seconds_after, reader.least_after), reader.most_after))
    before = round(min(max(rate * reader.seconds_before, reader.least_before), reader.most_before))
    why = f"reads {rate:.0f} tokens a second" if speed else "its speed is not known yet"
    return _split(max(min(before, most - after), 1), after, why, wanted=wanted)


def _split(before: int, after: int, why: str, *, wanted: bool) -> Budget:
    elsewhere = int(before * _SNIPPETS) if wanted else 0
    return Budget(before - elsewhere, after, elsewhere, why)


def is_near(service: Service) -> bool:
    """Whether a model runs on this machine, in our own engine or in a server of the person's. DashScope never does."""
    return service.is_local or (service.provider != "dashscope" and is_loopback(service.base_url))


def density_near(request: Request, correction: float = 1.0, held: float | None = None) -> float:
    """Code points a token around the cursor, in steps; see `tokens.density`."""
    lines, row = request.snapshot.lines, request.line
    text = "".join(line[:_LONGEST] for line in lines[max(0, row - _NEAR_ABOVE) : row + _NEAR_BELOW])
    return density(text if len(text) >= _TELLING else "", correction, held)


@dataclass(frozen=True, slots=True)
class Window:
    """What stands around the cursor, with line feeds as line ends.

    `prefix` ends at the cursor and `suffix` begins there. A completion menu's selected entry counts as typed.
    """

    prefix: str
    suffix: str
    first: int = 0
    """The number of the line that `prefix` begins with, cells above the document counted in."""


def window(request: Request, size: Budget, per_token: float = 1.0) -> Window:
    """The window around a request's cursor, where a token has so many code points."""
    snapshot, row, column = request.snapshot, request.line, request.column
    lines, line = snapshot.lines, snapshot.lines[row]
    room_before, room_after = int(size.before * per_token), int(size.after * per_token)
    head, tail = line[:column], line[column:]
    if request.selected is not None:
        head = line[: request.selected.start] + request.selected.text
        tail = line[max(request.selected.end, column) :]
    most = max(_USUAL_LINES, room_before // 16)
    above = _text(lines[max(0, row - most) : row])
    if snapshot.before and row <= most:
        above = _cells(reversed(snapshot.before), snapshot.language, room_before, upwards=True) + above
    above = _last_lines(above, room_before - len(head))
    first = row - above.count("\n")
    if snapshot.before:
        first += sum(cell.text.count("\n") + 1 for cell in snapshot.before)
    surplus = _surplus(first, above.count("\n"), size.before)
    above = _without_lines(above, surplus)
    tail = _plain_ends(tail)
    below = _text(lines[row + 1 : row + 1 + _USUAL_LINES])
    if snapshot.after and row + _USUAL_LINES >= len(lines) - 1:
        below += "\n" + _cells(snapshot.after, snapshot.language, room_after)
    below = _first_lines(below, room_after - len(tail))
    # A line too long for the window (minified code) is cut by force: nothing may send a megabyte.
    return Window((above + head)[-room_before:], (tail + below)[:room_after], first + surplus)


def sticky(old: Sequence[Snippet], fresh: Sequence[Snippet], room: int) -> tuple[Snippet, ...]:
    """The snippets to show, `room` code points together at most, the most helpful last.

    `fresh` is what would help now, the most helpful first. Of what was shown before (`old`), what would still help
    stays in its place, so that the next prompt begins as the last one did; what is new comes after it.
    """
    picked: list[Snippet] = []
    for snippet in fresh:
        if snippet not in picked and sum(_size(each) for each in (*picked, snippet)) <= room:
            picked.append(snippet)
    kept = [snippet for snippet in old if snippet in picked]
    return (*kept, *reversed([snippet for snippet in picked if snippet not in kept]))


def _size(snippet: Snippet) -> int:
    return len(snippet.path) + len(snippet.text) + 1


def _surplus(first: int, count: int, tokens: int) -> int:
    """Lines to leave out at the beginning of a window of `count` lines, so that it begins at a multiple of a step."""
    step = min(max(1 << max((tokens // 64).bit_length() - 1, 0), _LEAST_STEP), _MOST_STEP)
    while -first % step > count // 3:
        step //= 2  # few long lines: rather a step too many than half of the window
    return -first % step


def _cells(cells: Iterable[Snippet], language: str, room: int, *, upwards: bool = False) -> str:
    """The cells of a notebook next to this one, nearest first, as text with a line feed at the end."""
    texts: list[str] = []
    for cell in cells:
        if sum(map(len, texts)) > room:
            break
        texts.append(cell.text if cell.source in ("", language) else _commented(cell.text, language))
    return "".join(f"{text}\n" for text in (reversed(texts) if upwards else texts))


@lru_cache(maxsize=64)
def _commented(text: str, language: str) -> str:
    """Text of another language, as comments of this one."""
    opener, closer = line_comment(language)
    return "\n".join(f"{opener} {line} {closer}".rstrip() for line in text.split("\n"))


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
