"""How near a completion came to what had been cut out. Every figure is defined here, and computed by nothing else.

Line ends and blanks at the ends of lines count for nothing: editors change both. Where a completion replaces what
stands right of the cursor (a bracket that the editor had closed, say), that part is expected of it too.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from qwen_lsp.evaluation.hole import Hole
from qwen_lsp.evaluation.validity import still_valid


@dataclass(frozen=True, slots=True)
class Score:
    """The figures of one completion."""

    exact: bool
    """All of it is what had been cut out."""
    first_line: bool
    """Its first line is."""
    similarity: float
    """`similarity` of the two, 0 to 1."""
    valid: bool | None = None
    """The file with the completion in it can still be parsed; None where that can't be told, or nothing was shown."""
    duplicates: bool | None = None
    """It repeats what follows it, and what had been cut out does not; None when nothing was shown."""


NOTHING = Score(exact=False, first_line=False, similarity=0.0)
"""When nothing is shown, nothing is right."""


def score(hole: Hole, shown: str, covered: int = 0) -> Score:
    """The figures of a text that is shown in a hole and replaces `covered` code points right of the cursor."""
    expected = _plain(hole.expected + hole.after[:covered])
    text = _plain(shown)
    after = hole.after[covered:]
    return Score(
        exact=text == expected,
        first_line=text.partition("\n")[0].rstrip() == expected.partition("\n")[0].rstrip(),
        similarity=similarity(text, expected),
        valid=still_valid(
            hole.before + shown + after, hole.before + hole.expected + hole.after, hole.language
        ),
        duplicates=repeats(hole.before, shown, after) and not repeats(hole.before, hole.expected, hole.after),
    )  # fmt: skip


def similarity(one: str, other: str) -> float:
    """Twice the length of the longest common subsequence, divided by both lengths: 1 for equal texts, 0 for strangers.

    Unlike difflib's ratio it does not depend on the order of the two, and drops no frequent characters.
    """
    if not one and not other:
        return 1.0
    return 2 * common(one, other) / (len(one) + len(other))


def common(one: str, other: str) -> int:
    """The length of the longest common subsequence, by bit-parallel steps (H. Hyyrö, 2004)."""
    masks: dict[str, int] = {}
    for at, character in enumerate(one):
        masks[character] = masks.get(character, 0) | 1 << at
    every = (1 << len(one)) - 1
    row = every
    for character in other:
        matches = row & masks.get(character, 0)
        row = ((row + matches) | (row - matches)) & every
    return len(one) - row.bit_count()


def repeats(before: str, shown: str, after: str) -> bool:
    """Whether a text brings again what follows it anyway.

    That is: it ends with the rest of the cursor's line (when there is a word in that), or one of its lines is the
    next line that says something, or its last lines are the next ones, brackets and all.
    """
    rest, _, below = _plain_ends(after).partition("\n")
    if _says_something(rest) and _plain(shown).endswith(rest.strip()):
        return True
    lines = _bare_lines(_line_before(before) + shown)
    following = _bare_lines(below)
    if not (lines and following):
        return False
    new = lines if _plain(shown).strip() else []
    if _says_something(following[0]) and following[0] in new:
        return True
    return _ends_with_beginning(new, following)


def _ends_with_beginning(lines: Sequence[str], following: Sequence[str]) -> bool:
    """Whether the last few lines are the first few of those that follow, and say something together."""
    for size in range(2, min(len(lines), len(following)) + 1):
        if lines[-size:] == following[:size] and any(map(_says_something, lines[-size:])):
            return True
    return False


def _says_something(line: str) -> bool:
    return len(line.strip()) >= 4 and bool(re.search(r"\w\w", line))


def _line_before(before: str) -> str:
    return _plain_ends(before).rpartition("\n")[2]


def _bare_lines(text: str) -> list[str]:
    return [line.strip() for line in _plain_ends(text).split("\n") if line.strip()]


def _plain(text: str) -> str:
    return "\n".join(line.rstrip() for line in _plain_ends(text).split("\n")).rstrip()


def _plain_ends(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\r", "\n")
