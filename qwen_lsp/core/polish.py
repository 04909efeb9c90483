"""From what a model wrote to what is worth showing: small pure filters in a fixed order, each with a name.

A filter takes the text and the scene and gives the text back, changed or not. What an answer begins with is left out
before (core/opening.py), and where it ends is decided before (core/stop.py); ranges are core/place.py's.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from qwen_lsp.core.gate import only_closers
from qwen_lsp.core.model import Reason, Skip
from qwen_lsp.core.prompt import restored
from qwen_lsp.core.scene import Scene

Filter = Callable[[str, Scene], str]

_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")


@dataclass(frozen=True, slots=True)
class Polished:
    """The text to show, and the names of the filters that changed it."""

    text: str
    changed: tuple[str, ...] = ()


def polish(text: str, scene: Scene, *, finish: str | None = None) -> Polished:
    """Applies every filter. `finish` is the service's: after "length" the last line is only a part."""
    changed = []
    steps = (*FILTERS, ("unfinished line", without_unfinished_line)) if finish == "length" else FILTERS
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


def without_trailing_blanks(text: str, _scene: Scene) -> str:
    """Ends where the code ends."""
    return text.rstrip()


FILTERS: tuple[tuple[str, Filter], ...] = (
    ("control characters", plain_characters),
    ("own tokens", with_own_tokens),
)
