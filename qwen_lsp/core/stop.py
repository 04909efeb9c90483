"""When a streamed answer has said enough: rules over the text so far, the same for every chunking of it.

Each rule looks at whole lines and at what came before them only, so that what it decides on a part of the stream it
decides on all of it. The rules keep what a good model writes (it stops by itself) and end what a small one adds: one
that has run into a limit, or into prose, has not stopped by itself, and only its first statement is trusted.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from itertools import pairwise

from qwen_lsp.core.opening import Opening, opening
from qwen_lsp.core.prompt import SPECIAL_TOKENS
from qwen_lsp.core.scene import Scene, indentation, is_fence, net, start
from qwen_lsp.core.syntax import Mode, State, opens_block, top_level_definition

MAX_LINES = 12
"""Lines shown at most: more than that no one reads before taking it."""

# U+FFFD stands for half a character, which a service has cut.
_SPECIAL = re.compile("|".join(map(re.escape, (*SPECIAL_TOKENS, "\ufffd"))))
_TELLS = 4
"""Characters that say something: shorter lines, such as closers, come again by themselves."""
_REPEATS = 3
"""A line that has come this often is a loop, when it says something."""
_GOES_ON = re.compile(r"\s*([)\]}]|(elif|else|except|finally|case|default|catch)\b)")
"""Lines that belong to the statement above although they are indented no deeper."""
_ALTERNATIVE = re.compile(r"\s*(elif|else|except|finally|case|default|catch)\b")
_LAST_ALTERNATIVE = re.compile(r"\s*}?\s*(else\b(?!\s*if\b)|finally\b|default\b)")
_ECHO = re.compile(r"\s*\S{1,4} Path: \S+\.\w+\s*\S{0,3}$")
"""The head of a snippet as core/prompt.py writes it."""
RUN_ON = frozenset({"fence", "repeats itself"})
"""Rules that end a stream which would not have ended by itself."""


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
    if scene.one_line and scene.only_closers and "\n" in text:
        return Cut(text.partition("\n")[0], "one line")
    lines = text.split("\n")
    whole = len(lines) if ended else len(lines) - 1
    for index in range(whole):
        if broken := _rule(index, lines, scene):
            kept = lines[:index]
            return Cut(first_statement("\n".join(kept), scene) if broken in RUN_ON else "\n".join(kept), broken)
        if copied := _copied(index, lines, scene):
            return Cut("\n".join(lines[: index + 1 - copied]), "copies what follows")
        if index + 1 < len(lines) and (done := _done(index, lines, scene)):
            return Cut("\n".join(lines[: index + 1]), done)
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


def first_statement(text: str, scene: Scene) -> str:
    """The first statement of an answer, with the block it opens; all of it where no line ends that."""
    lines = text.split("\n")
    begin = next((index for index, line in enumerate(lines) if line.strip()), 0)
    first = indentation(scene.head + lines[begin] if begin == 0 else lines[begin])
    for index in range(begin + 1, len(lines)):
        line = lines[index]
        if not line.strip() or indentation(line) > first or _GOES_ON.match(line):
            continue
        if net("\n".join(lines[:index]), scene.language, start(scene)) <= 0:
            return "\n".join(lines[:index])
    return text


def _rule(index: int, lines: list[str], scene: Scene) -> str | None:
    """The rule that a whole line breaks, given those before it: it is not kept."""
    line = lines[index] if index else scene.head + lines[0]
    if index >= MAX_LINES:
        return "longest answer"
    if index and is_fence(line, scene.language):
        return "fence"
    if index and _ECHO.match(line):
        return "prompt echo"
    if not line.strip():
        return "two blank lines" if index > 1 and (not lines[index - 1].strip() or scene.prose) else None
    if _is_following(line, scene) and (index or lines[0].strip()):
        return "repeats what follows"
    return None if scene.prose else _rule_of_code(index, lines, scene)


def _rule_of_code(index: int, lines: list[str], scene: Scene) -> str | None:
    """The rule of code that a whole line breaks."""
    if not index:
        begins = not scene.head.strip() and bool(lines[0].strip())
        return "closes what is closed" if begins and _closes_what_is_closed(0, lines, scene) else None
    if (
        index == 1
        and _awaits_block(lines[0], scene)
        and net("\n".join(lines[:2]), scene.language, start(scene)) != scene.wanted
    ):
        return "end of the statement"
    if _is_loop(index, lines):
        return "repeats itself"
    if _leaves_block(index, lines, scene):
        return "end of the block"
    if _closes_what_is_closed(index, lines, scene):
        return "closes what is closed"
    return "next definition" if _defines_more(index, lines, scene) else None


def _done(index: int, lines: list[str], scene: Scene) -> str | None:
    """The rule by which an answer is complete with this whole line: it is kept, and nothing after it."""
    rest = scene.rest.strip()
    if len(rest) >= _TELLS and not scene.only_closers and lines[index].rstrip().endswith(rest):
        return "reaches what follows"
    if not scene.head.strip() or scene.rest.strip() or scene.prose or not lines[0].strip():
        return None
    # The cursor stood inside a line: what is wanted is the rest of its statement.
    if scene.mode is Mode.LINE_COMMENT:
        return None if index else "end of the comment"
    if _awaits_block(lines[0], scene):
        return (
            "its block is opened"
            if index and net("\n".join(lines[:2]), scene.language, start(scene)) == scene.wanted
            else None
        )
    if index:
        return None
    line = scene.head + lines[0]
    if opens_block(line, scene.language):
        return "the block is there" if indentation(scene.below) > indentation(line) else None
    whole = (
        net(line, scene.language, State())
        if scene.wanted is None
        else net(lines[0], scene.language, start(scene)) - scene.wanted
    )
    return "end of the statement" if whole <= 0 else None


def _awaits_block(first: str, scene: Scene) -> bool:
    """The cursor's line is a head whose block follows, but for its opening bracket: that is on a line of its own."""
    if scene.wanted is None or scene.rest.strip() or not scene.head.strip():
        return False
    deeper = indentation(scene.below) > indentation(scene.head)
    return deeper and net(first, scene.language, start(scene)) < scene.wanted


def _is_following(line: str, scene: Scene) -> bool:
    """Whether the line is the next one of the document, indentation and all."""
    return bool(scene.below) and line.rstrip() == scene.below


def _copied(index: int, lines: list[str], scene: Scene) -> int:
    """How many of the last lines are lines that follow further down, one after the other: two, or none."""
    if not index or not lines[index - 1].strip() or _letters(lines[index - 1] + lines[index]) < 2 * _TELLS:
        return 0
    pair = (lines[index - 1].rstrip(), lines[index].rstrip())
    return 2 if pair in pairwise(scene.following) else 0


def _is_loop(index: int, lines: list[str]) -> bool:
    """The line has come for the third time, and so has the one before it, or they are the same."""
    line, before = lines[index], lines[index - 1]
    said = lines[: index + 1]
    return _says_something(line) and said.count(line) >= _REPEATS and said.count(before) >= _REPEATS


def _leaves_block(index: int, lines: list[str], scene: Scene) -> bool:
    """The line would tear what follows from its block, or begins something else in column 0."""
    line = lines[index]
    depth = indentation(line)
    if depth < scene.floor:
        # Unless it begins what the line that follows may belong to.
        closes = line.lstrip()[0] in ")]}" and (scene.wanted or 0) < 0
        return not (closes or opens_block(line, scene.language))
    if depth <= indentation(scene.below) and _ALTERNATIVE.match(scene.below) and _LAST_ALTERNATIVE.match(line):
        return True
    return depth == 0 and indentation(_first(lines[:index], scene)) > 0 and not _GOES_ON.match(line)


def _closes_what_is_closed(index: int, lines: list[str], scene: Scene) -> bool:
    """The line closes a bracket that stood open at the cursor, and which the document closes already."""
    if scene.wanted is None or scene.wanted < 0:
        return False
    state = start(scene)
    now = net("\n".join(lines[: index + 1]), scene.language, state)
    return now < 0 <= net("\n".join(lines[:index]), scene.language, state)


def _defines_more(index: int, lines: list[str], scene: Scene) -> bool:
    """The line begins a definition beside, or further out than, what the answer has said so far."""
    line = lines[index]
    if not top_level_definition(line.strip(), scene.language):
        return False
    first = _first(lines[:index], scene)
    if not first or indentation(line) > indentation(first):
        return False
    return indentation(line) < indentation(first) or not lines[index - 1].strip()


def _first(lines: list[str], scene: Scene) -> str:
    """The first line that says something, with what stands before the cursor on it; "" where none does."""
    return next((line for line in (scene.head + lines[0], *lines[1:]) if line.strip()), "")


def _says_something(line: str) -> bool:
    return _letters(line) >= _TELLS


def _letters(text: str) -> int:
    return sum(character.isalnum() for character in text)
