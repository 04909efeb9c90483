"""What stands around the cursor, as the stop rules and the polish look at it. Made from a window alone."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import lru_cache

from qwen_lsp.core.context import Window
from qwen_lsp.core.gate import only_closers
from qwen_lsp.core.model import Route
from qwen_lsp.core.syntax import Mode, State, mode_at, opens_block, scan

_OPENED_BLOCKS = {"{": "}", "[": "]"}
JUMP = re.compile(r"\s*(return|raise|throw|break|continue)\b")
"""A line that leaves its block for good."""
_NEAR = 80
"""Lines above the cursor of which the open brackets are told apart."""
_FOLLOWING = 40
"""Lines below the cursor that an answer is compared with."""


@dataclass(frozen=True, slots=True)
class Scene:
    """The cursor's surroundings; lines are without their ends."""

    head: str
    """The cursor's line up to the cursor."""
    rest: str
    """The cursor's line from the cursor on."""
    above: str
    """The nearest line above that is not blank, or ""."""
    below: str
    """The nearest line below that is not blank, without blanks at its end, or ""."""
    prefix: str
    suffix: str
    language: str
    route: Route

    @property
    def one_line(self) -> bool:
        """More than one line would push apart what stands right of the cursor.

        Only a block that the editor has opened and closed (`{` and `}` on either side) is meant to be torn open.
        """
        rest, head = self.rest.strip(), self.head.rstrip()
        if not rest:
            return False
        return not (head and _OPENED_BLOCKS.get(head[-1]) == rest[0])

    @property
    def only_closers(self) -> bool:
        """Nothing but what editors close by themselves stands right of the cursor."""
        return only_closers(self.rest)

    @property
    def following(self) -> tuple[str, ...]:
        """The next lines below the cursor's that are not blank, without blanks at their ends."""
        return _following(self.suffix)

    @property
    def floor(self) -> int:
        """No line of an answer may be indented less, or it would tear off what follows from its block.

        What follows belongs to a block that is open at the cursor: the one it is indented for, or, if it is deeper
        than that, one that the answer has yet to open.
        """
        if not self.below:
            return 0
        # Whoever has put the cursor in a column means it.
        begun = len(self.head) if self.head and not self.head.strip() else indentation(self.below)
        return min(indentation(self.below), self.inside, begun)

    @property
    def inside(self) -> int:
        """How deep the innermost block is indented that is surely open at the cursor: at least so many code points."""
        if self.head.strip():
            return indentation(self.head)
        depth = indentation(self.above)
        if opens_block(self.above, self.language):
            return depth + 1
        return _outer_block(self.prefix, depth) if JUMP.match(self.above) else depth

    @property
    def mode(self) -> Mode:
        """Whether the cursor stands in code, in a comment or in a string."""
        return _state(self.prefix, self.language).mode

    @property
    def prose(self) -> bool:
        """The cursor stands in text that may go over line ends: a block comment, a string of many lines."""
        return self.mode is Mode.BLOCK_COMMENT or scan("\n", self.language, start(self)).mode is Mode.STRING

    @property
    def wanted(self) -> int | None:
        """How many brackets more than it closes an answer has to open; None where that can't be told.

        0 where all brackets around the cursor have their partners, -1 where what follows does not close the
        innermost one, 1 where what follows closes one that is not there yet.
        """
        return _wanted(self.prefix, self.suffix, self.language)


def scene(window: Window, language: str, route: Route) -> Scene:
    """The surroundings of a window's cursor."""
    above, _, head = window.prefix.rpartition("\n")
    rest, _, below = window.suffix.partition("\n")
    return Scene(
        head=head,
        rest=rest,
        above=_last_line(above),
        below=_first_line(below).rstrip(),
        prefix=window.prefix,
        suffix=window.suffix,
        language=language,
        route=route,
    )


def indentation(line: str) -> int:
    """Code points of blank before a line's first character. Tabs count as one: lines of one file are compared."""
    return len(line) - len(line.lstrip(" \t"))


def is_fence(line: str, language: str) -> bool:
    """A markdown fence, in a document where none belongs."""
    return line.lstrip().startswith("```") and language not in {"markdown", "mdx", "rst", "quarto"}


def net(text: str, language: str, state: State) -> int:
    """Brackets that a text opens and leaves open, less those it closes without having opened them.

    `state` is that of the place where the text begins; its brackets do not count.
    """
    end = scan(text, language, bare(state))
    return len(end.brackets) - end.unopened


def bare(state: State) -> State:
    """A state without its brackets, so that those opened and closed from here on can be told."""
    return replace(state, brackets="", unopened=0) if state.brackets or state.unopened else state


def start(scene: Scene) -> State:
    """The state at the cursor."""
    return _state(scene.prefix, scene.language)


def _last_line(text: str) -> str:
    """The last line that is not blank. Only it is cut out: this stands before every request."""
    end = len(text.rstrip())
    return text[text.rfind("\n", 0, end) + 1 :].partition("\n")[0] if end else ""


def _first_line(text: str) -> str:
    """The first line that is not blank."""
    begin = len(text) - len(text.lstrip())
    return text[text.rfind("\n", 0, begin) + 1 :].partition("\n")[0] if begin < len(text) else ""


# A scene is asked many times while an answer streams in, and the same one at every key while it is typed through.
@lru_cache(maxsize=4)
def _following(suffix: str) -> tuple[str, ...]:
    lines = suffix.split("\n", _FOLLOWING + 1)[1 : _FOLLOWING + 1]
    return tuple(line.rstrip() for line in lines if line.strip())


@lru_cache(maxsize=4)
def _outer_block(prefix: str, depth: int) -> int:
    """The indentation of the nearest line above that is indented less than `depth`: the head of its block."""
    for line in reversed(prefix.split("\n")[:-1]):
        if line.strip() and indentation(line) < depth:
            return indentation(line)
    return 0


@lru_cache(maxsize=4)
def _state(prefix: str, language: str) -> State:
    return mode_at(prefix, language)


@lru_cache(maxsize=4)
def _wanted(prefix: str, suffix: str, language: str) -> int | None:
    if _state(prefix, language).mode is not Mode.CODE:
        return None
    opened = _open_brackets(prefix, language)
    wanted = 0
    for closer in _unopened_closers(suffix, language):
        if closer is None:
            if opened:
                opened.pop()
                continue
            wanted += 1
            continue
        while opened and closer < opened[-1]:
            opened.pop()
            wanted -= 1
        if opened and closer == opened[-1]:
            return wanted  # from here outwards they are partners
        wanted += 1
    return None if opened or wanted > 0 else wanted


def _open_brackets(prefix: str, language: str) -> list[int]:
    """The indentation of the line of each bracket that is open at the end, outermost first; of the lines near by."""
    opened: list[int] = []
    lines = prefix.split("\n")
    state = bare(mode_at("\n".join([*lines[:-_NEAR], ""]), language)) if len(lines) > _NEAR else State()
    for line in lines[-_NEAR:]:
        state = scan(line + "\n", language, bare(state))
        if state.unopened:
            del opened[max(0, len(opened) - state.unopened) :]
        if state.brackets:
            opened += [indentation(line)] * len(state.brackets)
    return opened


def _unopened_closers(suffix: str, language: str) -> Iterator[int | None]:
    """Of each bracket that closes something before the suffix the indentation, where it begins its line.

    None for those that stand behind something else: they may be indented in any way.
    """
    state, depth = State(), 0
    for number, line in enumerate(suffix.split("\n")):
        state = scan(line + "\n", language, bare(state))
        if state.unopened > depth:
            begins = number > 0 and line.lstrip(" \t")[:1] in (")", "]", "}")
            yield from [indentation(line) if begins else None] * (state.unopened - depth)
        depth = max(0, depth - state.unopened) + len(state.brackets)
