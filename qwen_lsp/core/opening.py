"""How an answer begins: what of it only leads up to the code and is not part of it.

Chat models begin again what stands before the cursor, open a markdown fence, or think aloud. While the answer so far
may still be such a beginning nothing is decided, so that every chunking of a stream is judged alike.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from qwen_lsp.core.model import Route
from qwen_lsp.core.scene import Scene, is_fence

_BLANKS = re.compile(r"[ \t]*")
_THOUGHT = re.compile(r"\s*<think>.*?</think>\s*", re.DOTALL)
_ECHO_LINES = 40
"""An echo of the end of the prefix is looked for up to this many lines."""
_SHORTEST_ECHO = 3
"""Code points: what is shorter may be meant."""


@dataclass(frozen=True, slots=True)
class Opening:
    """Code points of the answer to leave out, and the names of what they are."""

    skip: int
    names: tuple[str, ...] = ()


def opening(text: str, scene: Scene, *, ended: bool = False) -> Opening | None:
    """What to leave out of an answer's beginning; None while that can't be told yet.

    `ended`: nothing more comes, so the answer is what it is.
    """
    at, names = 0, []
    for name, length in (("thought", _thought), ("fence", _fence), ("echo", _echo), ("indentation", _withheld)):
        found = length(text[at:], scene)
        if found is None and not ended:
            return None
        if found:
            at += found
            names.append(name)
    return Opening(at, tuple(names))


def withheld(head: str) -> str:
    """The blanks before the cursor that partial mode does not send.

    Tokenizers put a blank at the beginning of the token behind it: after a blank at the end of the prefix a model
    writes one too many (measured with Qwen2.5-Coder 1.5B). Without it, it writes the right ones itself.
    """
    return head[len(head.rstrip(" \t")) :]


def _thought(text: str, _scene: Scene) -> int | None:
    """A `<think>` block, which some chat models put first whatever they are told."""
    bare = text.lstrip()
    if bare.startswith("<think>"):
        found = _THOUGHT.match(text)
        return found.end() if found and found.end() < len(text) else None
    return None if not bare or "<think>".startswith(bare) else 0


def _fence(text: str, scene: Scene) -> int | None:
    """The line that opens a markdown fence."""
    bare = text.lstrip()
    if "```".startswith(bare[:3]) and bare[:3] != "```":
        return None
    first, newline, _ = bare.partition("\n")
    if not is_fence(first, scene.language):
        return 0
    return len(text) - len(bare) + len(first) + 1 if newline else None


def _echo(text: str, scene: Scene) -> int | None:
    """What stands before the cursor again: the whole prefix, or its last lines."""
    if scene.route is not Route.PARTIAL:
        return 0
    longest = 0
    for echo in _echoes(scene.prefix):
        if len(echo) > len(text) and echo.startswith(text):
            return None
        if text.startswith(echo):
            longest = max(longest, len(echo))
    return longest


def _echoes(prefix: str) -> Iterator[str]:
    lines = prefix.rstrip(" \t").split("\n")
    for count in {len(lines), *range(1, min(len(lines), _ECHO_LINES) + 1)}:
        tail = "\n".join(lines[-count:])
        if len(tail.strip()) >= _SHORTEST_ECHO:
            yield tail
            yield tail.lstrip()


def _withheld(text: str, scene: Scene) -> int | None:
    """The blanks that stand before the cursor already, as many of them as the model wrote."""
    before = withheld(scene.head) if scene.route is Route.PARTIAL else ""
    blanks = _BLANKS.match(text)
    written = blanks.end() if blanks else 0
    if before and written == len(text) and written < len(before):
        return None
    return min(written, len(before))
