"""When a streamed answer has said enough: rules over the text so far, the same for every chunking of it.

Each rule looks at whole lines and at what came before them only, so that what it decides on a part of the stream it
decides on all of it. The rules keep what a good model writes (it stops by itself) and end what a small one adds.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from qwen_lsp.core.opening import Opening, opening
from qwen_lsp.core.prompt import SPECIAL_TOKENS
from qwen_lsp.core.scene import Scene, indentation, is_fence

MAX_LINES = 12
"""Lines shown at most: more than that no one reads before taking it."""

_SPECIAL = re.compile("|".join(map(re.escape, SPECIAL_TOKENS)))
_REPEATS = 3
"""A line that has come this often is a loop, when it says something."""


@dataclass(frozen=True, slots=True)
class Cut:
    """The text to keep, and the rule that ended it (None: it may go on)."""

    text: str
    rule: str | None = None


def cut(text: str, scene: Scene, *, ended: bool = False) -> Cut:
    """Judges an answer so far, without its opening. `ended`: nothing more comes, so the last line counts as whole."""
    rule: str | None = None
    if special := _SPECIAL.search(text):
        text, ended, rule = text[: special.start()], True, "control token"
    if scene.one_line and "\n" in text:
        return Cut(text.partition("\n")[0], "one line")
    lines = text.split("\n")
    whole = len(lines) if ended else len(lines) - 1
    for index in range(whole):
        if broken := _rule(index, lines, scene):
            return Cut("\n".join(lines[:index]), broken)
    return Cut(text, rule)


@dataclass(slots=True)
class Stopper:
    """Feeds a stream to the rules. `text` is what to keep so far; once `rule` is set the rest is not wanted."""

    scene: Scene
    text: str = ""
    rule: str | None = None
    opening: Opening | None = None
    """What was left out of the beginning; None while that can't be told."""
    _raw: list[str] = field(default_factory=list)

    def feed(self, piece: str) -> bool:
        """Takes the next piece; true when enough has come."""
        if self.rule is None:
            self._raw.append(piece)
            if self.opening is None or "\n" in piece or ">" in piece:
                self._judge(ended=False)
            else:
                self.text += piece  # neither a line nor a control token has come to its end: no rule has anything new
        return self.rule is not None

    def end(self) -> None:
        """The stream has ended by itself."""
        if self.rule is None:
            self._judge(ended=True)

    @property
    def raw(self) -> str:
        """All that came until a rule ended it."""
        return "".join(self._raw)

    def _judge(self, *, ended: bool) -> None:
        raw = self.raw
        if self.opening is None:
            self.opening = opening(raw, self.scene, ended=ended)
        if self.opening is not None:
            result = cut(raw[self.opening.skip :], self.scene, ended=ended)
            self.text, self.rule = result.text, result.rule


def _rule(index: int, lines: list[str], scene: Scene) -> str | None:
    """The rule that a whole line breaks, given those before it."""
    line = lines[index]
    if index == 0:
        return "repeats what follows" if _is_following(scene.head + line, scene) and line.strip() else None
    if index >= MAX_LINES:
        return "longest answer"
    if is_fence(line, scene.language):
        return "fence"
    if not line.strip():
        return "two blank lines" if not lines[index - 1].strip() and index > 1 else None
    if _is_following(line, scene):
        return "repeats what follows"
    if lines[: index + 1].count(line) >= _REPEATS and _says_something(line):
        return "repeats itself"
    if _leaves_top_level_block(line, scene):
        return "end of the block"
    return None


def _is_following(line: str, scene: Scene) -> bool:
    """Whether the line is the next one of the document, indentation and all."""
    return bool(scene.below) and line.rstrip() == scene.below


def _leaves_top_level_block(line: str, scene: Scene) -> bool:
    """The cursor was inside an indented block, and this line begins something else in column 0."""
    inside = indentation(scene.head) > 0 if scene.head.strip() else len(scene.head) > 0
    return inside and indentation(line) == 0 and line[0] not in ")]}"


def _says_something(line: str) -> bool:
    return sum(character.isalnum() for character in line) >= 4
