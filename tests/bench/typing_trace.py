"""What a person does at the keyboard, made from a real source file with a seed. Pure but for reading the file.

A trace cuts one function's body out of a file and types it back: letters at an uneven pace, Enter with the
indentation that an editor adds, pauses, slips of one to three letters taken back at once, wrong turns (something
longer is begun, looked at, and deleted), and moments in which the person would take a suggestion if a right one is
shown. Files come from the standard library of the Python that runs, so traces differ between its versions.
"""

from __future__ import annotations

import ast
import importlib.util
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

SOURCES = ("argparse", "json.decoder", "textwrap", "inspect")
"""Modules of the standard library whose files are typed."""

_SLIP, _TURN, _TAKE, _REST = 0.03, 0.02, 0.20, 0.04
"""Chances: of a slip at a letter; of a wrong turn, of wanting a suggestion, of resting at the beginning of a word."""
_REST_AFTER_ENTER = 0.35
_SHORTEST, _LONGEST = 0.035, 0.6
"""Seconds between two keys, pauses apart."""


class Act(Enum):
    TYPE = "type"
    BACK = "backspace"
    TAKE = "take the suggestion"
    TAKE_WORD = "take the suggestion's next word"


@dataclass(frozen=True, slots=True)
class Key:
    """One thing done, `pause` seconds after the one before.

    `at` is the offset in the true file of the text typed, or of the place where the person went astray.
    """

    pause: float
    act: Act
    at: int
    text: str = ""
    astray: bool = False


@dataclass(frozen=True, slots=True)
class Trace:
    """`truth` without [start, end) is the document at first; the keys type what is missing."""

    name: str
    truth: str
    start: int
    end: int
    keys: tuple[Key, ...]

    @property
    def before(self) -> str:
        return self.truth[: self.start] + self.truth[self.end :]


def source(module: str) -> str:
    """The source text of a module of the running Python, with LF line ends."""
    spec = importlib.util.find_spec(module)
    if spec is None or spec.origin is None:
        raise ValueError(f"no source of {module}")
    return Path(spec.origin).read_text(encoding="utf-8")


def traces(seed: int, rate: float, length: int) -> list[Trace]:
    """One trace for each of the sources, enough for `length` keys at `rate` keys a second."""
    return [make(name, source(name), seed=seed, rate=rate, length=length) for name in SOURCES]


def make(name: str, truth: str, *, seed: int, rate: float, length: int) -> Trace:
    """A trace that is enough for `length` keys, or of a whole body where none is that long."""
    chance = random.Random(f"{name}:{seed}")
    bodies = list(_bodies(truth))
    # Indentation costs no keys and taken suggestions few: there must be more to type than keys.
    ample = [body for body in bodies if body[1] - body[0] >= 4 * length]
    start, end = chance.choice(ample) if ample else max(bodies, key=lambda body: body[1] - body[0])
    return Trace(name, truth, start, end, tuple(_keys(truth, start, end, chance, 1 / rate)))


def _keys(truth: str, start: int, end: int, chance: random.Random, mean: float) -> Iterator[Key]:
    def gap() -> float:
        return min(max(chance.lognormvariate(0, 0.35) * mean * 0.94, _SHORTEST), _LONGEST)

    at, typed = start, ""
    while at < end:
        rest = chance.uniform(0.5, 1.5) if typed[:1] == "\n" and chance.random() < _REST_AFTER_ENTER else 0.0
        begins_word = truth[at].isalpha() and not truth[at - 1].isalnum()
        if begins_word:
            if chance.random() < _TAKE:
                yield Key(chance.uniform(0.3, 0.9), chance.choice((Act.TAKE, Act.TAKE_WORD)), at)
            if chance.random() < _TURN:
                yield from _astray(at, chance.randint(4, 9), chance, gap)
            rest += chance.uniform(0.3, 0.9) if chance.random() < _REST else 0.0
        if truth[at].isalpha() and chance.random() < _SLIP:
            yield from _astray(at, chance.randint(1, 3), chance, gap)
        typed = _one_key(truth, at, end)
        yield Key(gap() + rest, Act.TYPE, at, typed)
        at += len(typed)


def _one_key(truth: str, at: int, end: int) -> str:
    """What one key adds: a character, or a line break with the next line's indentation."""
    if truth[at] != "\n":
        return truth[at]
    stop = at + 1
    while stop < end and truth[stop] in " \t":
        stop += 1
    return truth[at:stop]


def _astray(at: int, letters: int, chance: random.Random, gap: Callable[[], float]) -> Iterator[Key]:
    """Something else is typed, seen to be wrong, and deleted."""
    for _ in range(letters):
        yield Key(gap(), Act.TYPE, at, chance.choice("etaoinshrdlu"), astray=True)
    for left in range(letters):
        yield Key(gap() + (0.25 if left == 0 else 0.0), Act.BACK, at, astray=True)


def _bodies(text: str) -> Iterator[tuple[int, int]]:
    """(start, end) of the functions' bodies, docstrings left out, that are worth typing."""
    lines = text.split("\n")
    starts = [0]
    for line in lines:
        starts.append(starts[-1] + len(line) + 1)

    def offset(line: int, column: int) -> int:
        return starts[line - 1] + len(lines[line - 1].encode()[:column].decode())

    for node in ast.walk(ast.parse(text)):
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        body = node.body[1:] if ast.get_docstring(node, clean=False) is not None else node.body
        if not body:
            continue
        start = offset(body[0].lineno, body[0].col_offset)
        end = offset(body[-1].end_lineno or 0, body[-1].end_col_offset or 0)
        if end - start >= 120:
            yield start, end


def document(lines: int) -> str:
    """A plausible Python file of exactly so many lines."""
    block = [
        "def handle_{n}(self, request, items, start=0):",
        '    """Handles request {n} and gives the total."""',
        "    total = start",
        "    for index, item in enumerate(items):",
        '        if item.kind == "{n}" and not item.done:',
        "            total += self.weights[index] * item.value",
        "    if total > self.limit:",
        '        raise ValueError("too much for request {n}")',
        "    return total",
        "",
    ]
    return "\n".join(block[row % len(block)].replace("{n}", str(row // len(block))) for row in range(lines)) + "\n"
