"""How many tokens a text is to a Qwen model, told from its characters in a fraction of a millisecond.

An estimate by character class, since no tokenizer is part of the product. Against Qwen2.5's own tokenizer (3,400
passages of 400 to 8,000 characters: 15 programming languages, minified code, JSON, CSV, hexadecimal and Base64,
messages in 11 languages alone and as comments; cross-validated) it is off by 5.8 % on average and 16 % at the 95th
percentile, on source code of 2,000 characters and more by 4.3 and 12 %; "four characters a token" is off by 20 % on
average. What is left is corrected by what services count (`Correction`). Pure; 8,000 characters take 0.08 ms.
"""

from __future__ import annotations

import math
from dataclasses import dataclass


def _classes() -> bytes:
    """For every byte of UTF-8 the letter of its class; continuation bytes say nothing of their own."""
    table = bytearray(b"-" * 256)
    for code in range(128):
        character = chr(code)
        if character.islower():
            table[code] = ord("a")
        elif character.isupper():
            table[code] = ord("A")
        elif character.isdigit():
            table[code] = ord("0")
        elif character in " \t\n":
            table[code] = code
        else:
            table[code] = ord("\n" if character == "\r" else ".")
    for first, after, letter in (
        (0xC2, 0xD0, "l"),  # Latin with marks, Greek
        (0xD0, 0xE0, "c"),  # Cyrillic, Hebrew, Arabic
        (0xE3, 0xEA, "k"),  # kana and Chinese characters
        (0xEA, 0xF0, "h"),  # Hangul, wide forms
        (0xF0, 0xF5, "f"),  # emoji
    ):
        table[first:after] = letter.encode() * (after - first)
    return bytes(table)


_CLASS = _classes()
_WORDS = bytes(code if code < 128 and chr(code).isalpha() else 32 for code in range(256))

# Fitted by least squares of the relative error. Qwen's tokenizer takes each digit for itself ("digits" and "pairs"
# together), a blank with the word behind it but not with punctuation, and a run of line ends or blanks as one.
_WORD = 1.071
_EACH = ((b"0", 2.323), (b".", 0.282), (b"\n", 1.130), (b"\t", 0.354))
_PAIRS = ((b"aA", 1.058), (b"AA", 0.199), (b"00", -3.010), (b" .", 0.743), (b"\n\n", -1.266), (b"\n ", 0.282))
_BEYOND_ASCII = ((b"l", 0.522), (b"c", 0.475), (b"k", 0.806), (b"h", 0.857), (b"f", 3.368))
_FEWEST = 1 / 40
"""Tokens a code point, whatever the text: a long run of blanks is a token too."""

_USUAL = 4.0
"""Code points a token where there is no text to tell from: between English prose and dense code."""
_DENSITY_STEP = 2**0.25
_CORRECTION_STEP = 2**0.125
_LIKELIEST = 0.5, 2.0
"""What a correction is kept within: services that count otherwise are wrong in some way of their own."""
_WEIGHT = 0.8
"""Of what is known, when something new is heard."""
_TELLING = 100
"""Tokens of a prompt from which on a difference says something about the text, and not about what stands around it."""


def estimate(text: str) -> int:
    """The tokens of a text; 0 for an empty one only."""
    if not text:
        return 0
    raw = text.encode("utf-8", "replace")
    kinds = raw.translate(_CLASS)
    tokens = _WORD * len(raw.translate(_WORDS).split())
    for pattern, each in (*_EACH, *_PAIRS):
        tokens += each * kinds.count(pattern)
    if len(raw) != len(text):
        for pattern, each in _BEYOND_ASCII:
            tokens += each * kinds.count(pattern)
    return max(round(tokens), math.ceil(len(text) * _FEWEST))


def density(text: str, correction: float = 1.0, held: float | None = None) -> float:
    """Code points a token in this text, in steps of 19 %.

    `correction` is the service's. `held` is the step that holds so far: near it, it stays.
    """
    tokens = estimate(text) * correction
    return stepped(len(text) / tokens if tokens else _USUAL, _DENSITY_STEP, held)


def stepped(value: float, step: float, held: float | None = None) -> float:
    """The nearest power of `step` to a positive value; `held` as long as that is no more than 3/4 of a step away.

    So what follows from a figure that is measured again and again does not change with its noise.
    """
    if held is not None and abs(math.log(value / held, step)) <= 0.75:
        return held
    return step ** round(math.log(value, step))


@dataclass(slots=True)
class Correction:
    """What a service counts against what is estimated, for one language: a ratio that follows the last replies."""

    ratio: float = 1.0
    """Tokens that the service counts for each estimated one, in steps of 9 %."""
    _counted: float = 0.0
    _estimated: float = 0.0

    def heard(self, counted: int, estimated: int) -> None:
        """A prompt of so many estimated tokens was so many to the service; short ones say nothing."""
        if min(counted, estimated) < _TELLING:
            return
        self._counted = _WEIGHT * self._counted + counted
        self._estimated = _WEIGHT * self._estimated + estimated
        low, high = _LIKELIEST
        ratio = min(max(self._counted / self._estimated, low), high)
        self.ratio = stepped(ratio, _CORRECTION_STEP, self.ratio)


def common(one: str, other: str) -> int:
    """Code points that two texts have in common at their beginnings."""
    low, high = 0, min(len(one), len(other))
    while low < high:
        middle = (low + high + 1) // 2
        if one[low:middle] == other[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low
