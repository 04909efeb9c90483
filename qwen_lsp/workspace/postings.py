"""Which passages hold a word. Passages are numbers that only grow; a file's passages are a run of them."""

from __future__ import annotations

import math
from array import array
from bisect import bisect_left
from collections.abc import Iterable, Mapping


class Postings:
    """Words by passage, with what a word tells.

    Removing a file's passages takes time by its words only. Not safe by itself: its owner locks.
    """

    def __init__(self) -> None:
        self._numbers: dict[str, array[int]] = {}
        self._passages = 0

    def __len__(self) -> int:
        """Words known."""
        return len(self._numbers)

    def add(self, number: int, words: Iterable[str]) -> None:
        """A passage with its words. `number` is greater than all before."""
        numbers = self._numbers
        for word in words:
            known = numbers.get(word)
            if known is None:
                numbers[word] = array("I", (number,))
            else:
                known.append(number)
        self._passages += 1

    def remove(self, first: int, after: int, words: Iterable[str]) -> None:
        """The passages from `first` up to `after`, whose words these are (more do no harm)."""
        for word in words:
            known = self._numbers.get(word)
            if known is None:
                continue
            low = bisect_left(known, first)
            del known[low : bisect_left(known, after, low)]
            if not known:
                del self._numbers[word]
        self._passages -= after - first

    def holding(self, word: str) -> array[int]:
        """The passages that hold a word, in their order."""
        return self._numbers.get(word, _NONE)

    def rarity(self, word: str) -> float:
        """The word's inverse document frequency as BM25 has it; 0 for a word nobody has."""
        count = len(self._numbers.get(word, ()))
        return math.log(1 + (self._passages - count + 0.5) / (count + 0.5)) if count else 0.0

    def scores(self, weights: Mapping[str, float], most: int) -> dict[int, float]:
        """Passages by the summed weight and rarity of the words they hold.

        Words in more than `most` passages are passed over: they cost most and tell least.
        """
        scores: dict[int, float] = {}
        get = scores.get
        for word, weight in weights.items():
            known = self._numbers.get(word)
            if known is None or len(known) > most:
                continue
            value = weight * self.rarity(word)
            for number in known:
                scores[number] = get(number, 0.0) + value
        return scores


_NONE: array[int] = array("I")
