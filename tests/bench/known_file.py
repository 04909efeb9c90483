"""What a model would write after a prefix, when the true file is known: the truth, or seeded mistakes. Pure.

A place is the beginning of the word that is being typed. The mistakes made in a place agree with each other from key
to key, as a model's do: the guess leaves the truth at one point, and once the person has typed past that point the
model guesses anew.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

_MOST_LINES = 6
"""One to six lines of the truth make an answer, more or fewer by where it begins; a blank line ends it sooner."""
_TAIL = 200
"""Code points before the cursor by which a place in the file is found."""
_ASTRAY = "_unknown(value)"
_MISTAKES = ("other_name(value)", "name_of(value)")
"""What a wrong guess ends with: the first that does not begin as the truth does."""
_TOKEN = re.compile(r"\n[ \t]*|[ ]?[^\W\d_]+|[ ]?_+|[ ]?\d+|[ ]?[^\w\s]{1,3}|\s")


@dataclass(frozen=True, slots=True)
class KnownFile:
    """The whole true file, and about where the person types (`near`), which settles repeated passages."""

    text: str
    near: int = 0
    wrong: float = 0.0
    """The share of places where the guess is wrong."""
    seed: int = 0

    def answer(self, prefix: str) -> str:
        """What the model writes after a prefix; something useless after one that the file does not have."""
        at = self.find(prefix)
        return _ASTRAY if at is None else self._guess(at)

    def find(self, prefix: str) -> int | None:
        """The offset in the file where a prefix ends, the one nearest to `near`; None if it is not in the file."""
        tail = prefix[-_TAIL:]
        found = (self.text.rfind(tail, 0, self.near), self.text.find(tail, max(0, self.near - len(tail))))
        ends = [start + len(tail) for start in found if start >= 0]
        return min(ends, key=lambda end: abs(end - self.near), default=None)

    def _guess(self, at: int) -> str:
        place = at
        while place and (self.text[place - 1].isalnum() or self.text[place - 1] == "_"):
            place -= 1
        while (leaves := self._leaves(place)) is not None:
            if at <= leaves:
                mistake = next(text for text in _MISTAKES if not self.text.startswith(text[0], leaves))
                return self.text[at:leaves] + mistake
            place = leaves + 1
        return self._truth(at)

    def _leaves(self, place: int) -> int | None:
        """Where the guess made in a place leaves the truth; None if it does not."""
        drawn = self._drawn(place)
        return place + drawn[2] % 10 if int.from_bytes(drawn[:2]) < self.wrong * 0x10000 else None

    def _truth(self, at: int) -> str:
        line = self.text.rfind("\n", 0, at) + 1
        end = at
        for _ in range(1 + self._drawn(line)[3] % _MOST_LINES):
            end = self.text.find("\n", end) + 1
            if not end or self.text.startswith("\n", end):
                break
        return self.text[at : end or len(self.text)].rstrip("\n")

    def _drawn(self, place: int) -> bytes:
        """Random bytes that belong to a place."""
        return hashlib.sha256(f"{self.seed}:{place}".encode()).digest()


def tokens(text: str) -> list[str]:
    """A text in pieces of about a tokenizer's size; joined, they are the text again.

    Words are not cut, so that the rest of a text ends its tokens where the whole text does.
    """
    return _TOKEN.findall(text)


def limited(text: str, stops: Sequence[str], most: int) -> Iterator[str]:
    """The tokens of a text up to a stop string, `most` at most, as a service cuts it."""
    for stop in stops:
        text = text.partition(stop)[0] if stop else text
    yield from tokens(text)[:most]
