"""From what a model wrote to what is worth showing: small pure filters in a fixed order, each with a name.

A filter takes the text and the scene and gives the text back, changed or not. What an answer begins with is left out
before (core/opening.py), and where it ends is decided before (core/stop.py); ranges are core/place.py's.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

from qwen_lsp.core.gate import only_closers
from qwen_lsp.core.model import Reason, Skip
from qwen_lsp.core.prompt import restored
from qwen_lsp.core.scene import JUMP, Scene, indentation, net, start
from qwen_lsp.core.syntax import Mode, grammar, opens_block, scan

Filter = Callable[[str, Scene], str]

_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")


_REACHED = re.compile(
    r"\s*([)\]}]|(elif|else|except|finally|case|default|catch|when|rescue|ensure|end|func|function|def|class)\b|@|#|//)"
)
"""Lines after an unconditional jump that are reached all the same."""


@dataclass(frozen=True, slots=True)
class Polished:
    """The text to show, and the names of the filters that changed it."""

    text: str
    changed: tuple[str, ...] = ()


def polish(text: str, scene: Scene, *, finish: str | None = None) -> Polished:
    """Applies every filter. `finish` is the service's: after "length" the last line is only a part."""
    changed = []
    steps = (("unfinished line", without_unfinished_line), *FILTERS) if finish == "length" else FILTERS
    for name, apply in (*steps, ("trailing blanks", without_trailing_blanks)):
        result = apply(text, scene)
        if result != text:
            changed.append(name)
        text = result
    return Polished(text, tuple(changed))


def worth_showing(text: str, scene: Scene) -> Skip | None:
    """None when a polished text adds something to the document."""
    bare = text.strip()
    if not bare:
        return Skip(Reason.EMPTY)
    if only_closers(bare) and scene.rest.lstrip().startswith(bare):
        return Skip(Reason.FILTERED, "only what already closes the line")
    if only_closers(bare) and not scene.head.strip() and scene.below == (scene.head + text).rstrip():
        return Skip(Reason.FILTERED, "only what already follows")
    if not scene.head.strip() and "\n" not in bare and bare == scene.above.strip() and len(bare) > 1:
        return Skip(Reason.FILTERED, "the line above again")
    return None


def plain_characters(text: str, _scene: Scene) -> str:
    """No control characters but tab and line feed: Emacs' JSON reader rejects NUL, and Neovim shows ^M."""
    return _CONTROLS.sub("", text.replace("\r\n", "\n").replace("\r", "\n"))


def with_own_tokens(text: str, _scene: Scene) -> str:
    """Control tokens that the person's own text holds, in their true spelling again (core/prompt.py)."""
    return restored(text)


def without_unfinished_line(text: str, _scene: Scene) -> str:
    """Whole lines only, when the model was cut off by the token limit and there is a whole line."""
    whole, newline, _ = text.rpartition("\n")
    return whole if newline and whole.strip() else text


def without_trailing_blanks(text: str, scene: Scene) -> str:
    """Ends where the code ends; before more code on the line the blanks keep the two apart."""
    return text.rstrip() if scene.only_closers else text


def without_line_above(text: str, scene: Scene) -> str:
    """Without a first line that is the line above the cursor again, where more follows it."""
    first, newline, more = text.partition("\n")
    again = not scene.head.strip() and (scene.head + first).rstrip() == scene.above.rstrip()
    return more[len(scene.head) :] if again and newline and more.startswith(scene.head) and more.strip() else text


def with_own_indentation(text: str, scene: Scene) -> str:
    """Indented with tabs where the file is, with blanks where it is: small models mix them up."""
    tabs, blanks = _style(scene.prefix, scene.suffix)
    if not (tabs or blanks) or ("\t" not in text if blanks else "  " not in text):
        return text
    first, *others = text.split("\n")
    begun = bool(scene.head.strip())
    lines = [first if begun else _indented(first, tabs=tabs, width=blanks or 4)]
    return "\n".join([*lines, *(_indented(line, tabs=tabs, width=blanks or 4) for line in others)])


def without_doubled_indentation(text: str, scene: Scene) -> str:
    """Without the blanks that stand before the cursor already, when they would put the line too deep."""
    head, above = scene.head, scene.above
    if not head or head.strip() or not text.startswith(head[:1]) or scene.prose:
        return text
    lead = len(text) - len(text.lstrip(" \t"))
    deep = indentation(above) + (_step(scene) if opens_block(above, scene.language) else 0)
    if len(head) + lead <= max(deep, indentation(scene.below)) or start(scene).brackets[-1:] in ("(", "["):
        return text
    return text[lead:] if len(head) >= deep else text[min(lead, len(head)) :]


def without_doubled_blank(text: str, scene: Scene) -> str:
    """Without blanks behind the blank that the person has typed."""
    doubled = scene.head.strip() and scene.head[-1:] in (" ", "\t") and not scene.prose
    return text.lstrip(" \t") if doubled else text


def within_string(text: str, scene: Scene) -> str:
    """Up to the quote that ends the string the cursor stands in, where the editor has written that quote already."""
    here = start(scene)
    if here.mode is not Mode.STRING or not here.delimiter or not scene.rest.startswith(here.delimiter):
        return text
    at = text.find(here.delimiter)
    while at >= 0:
        if scan(text[: at + len(here.delimiter)], scene.language, here).mode is not Mode.STRING:
            return text[:at]
        at = text.find(here.delimiter, at + 1)
    return text


def without_unreachable_end(text: str, scene: Scene) -> str:
    """Without a last line that leaves the block which the next line of the document belongs to."""
    above, newline, last = text.rstrip().rpartition("\n")
    line = last if newline else scene.head + last
    below = scene.below
    unreachable = JUMP.match(line) and below and indentation(line) == indentation(below)
    if not unreachable or _REACHED.match(below) or scene.rest.strip() or scene.prose:
        return text
    return above if net(line, scene.language, start(scene)) == 0 else text


def without_torn_block(text: str, scene: Scene) -> str:
    """Without lines that leave the block of what follows, where none after them opens it again."""
    lines = text.rstrip().split("\n")
    lines[0] = scene.head + lines[0]
    left = [number for number, line in enumerate(lines) if line.strip() and indentation(line) < scene.floor]
    if not left or scene.prose:
        return text
    last = lines[-1]
    opened = opens_block(last, scene.language) and indentation(last) < indentation(scene.below)
    closes = (scene.wanted or 0) < 0
    return text if opened or closes else "\n".join(text.split("\n")[: left[0]])


def without_dangling_head(text: str, scene: Scene) -> str:
    """Without the head of a block that has no body, neither in the text nor in what follows."""
    lines = text.rstrip().split("\n")
    if not grammar(scene.language).by_indentation or scene.prose:
        return text
    while len(lines) > 1 and _is_dangling(lines[-1], scene):
        lines = "\n".join(lines[:-1]).rstrip().split("\n")
        text = "\n".join(lines)
    alone = len(lines) == 1 and not scene.head.strip() and bool(scene.below) and _is_dangling(scene.head + text, scene)
    return "" if alone else text


def with_partners(text: str, scene: Scene) -> str:
    """As many lines as leave every bracket of the document with its partner; all of them where no number does."""
    wanted = scene.wanted
    if wanted is None or scene.rest.strip():
        return text
    lines = text.split("\n")
    here = start(scene)
    for count in range(len(lines), 0, -1):
        kept = "\n".join(lines[:count])
        if kept.strip() and net(kept, scene.language, here) == wanted:
            return kept
    return text


def _is_dangling(line: str, scene: Scene) -> bool:
    head = opens_block(line, scene.language) and line.rstrip()[-1] not in "([{"
    return head and indentation(scene.below) <= indentation(line)


def _step(scene: Scene) -> int:
    """Code points by which the lines around are indented a level."""
    tabs, blanks = _style(scene.prefix, scene.suffix)
    return 1 if tabs else blanks or 4


@lru_cache(maxsize=4)
def _style(prefix: str, suffix: str) -> tuple[bool, int]:
    """Whether the lines around are indented with tabs, and by how many blanks a level; (False, 0): can't be told."""
    lines = prefix.split("\n")
    below = suffix.split("\n")[1:]
    tabs = any(line.startswith("\t") for line in (*lines, *below))
    blanks = any(line.startswith("  ") for line in (*lines, *below))
    if tabs or not blanks:
        return tabs and not blanks, 0
    depths = sorted({indentation(line) for line in lines if line.strip()})
    steps = [deeper - depth for depth, deeper in pairwise(depths) if deeper - depth > 1]
    return False, min(steps, default=4)


def _indented(line: str, *, tabs: bool, width: int) -> str:
    """A line whose indentation is of one kind."""
    bare = line.lstrip(" \t")
    blanks = line[: len(line) - len(bare)]
    if tabs and " " in blanks:
        spaces = blanks.count(" ")
        return "\t" * (blanks.count("\t") + (spaces + width - 1) // width) + bare
    return blanks.replace("\t", " " * width) + bare if not tabs and "\t" in blanks else line


FILTERS: tuple[tuple[str, Filter], ...] = (
    ("control characters", plain_characters),
    ("own tokens", with_own_tokens),
    ("own indentation", with_own_indentation),
    ("doubled indentation", without_doubled_indentation),
    ("doubled blank", without_doubled_blank),
    ("line above", without_line_above),
    ("within the string", within_string),
    ("unreachable end", without_unreachable_end),
    ("torn block", without_torn_block),
    ("dangling head", without_dangling_head),
    ("partners", with_partners),
)
