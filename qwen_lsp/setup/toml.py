"""TOML as text, as far as is needed to add to the lists of tables in it and leave all else as it is."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from qwen_lsp.setup.plan import Unusable

_TOKEN = re.compile(
    r"""(?P<blank>[ \t\r]+|\#[^\n]*)|(?P<word>
      "{3}(?:\\.|[^\\])*?"{3,5} | '{3}.*?'{3,5} | "(?:\\.|[^"\\\n])*" | '[^'\n]*' |
      [\[\]{}=,\n] | [^\s\#"'\[\]{}=,]+)""",
    re.DOTALL | re.VERBOSE,
)


@dataclass(frozen=True, slots=True)
class Word:
    """A word of the text, or a bracket, and where it stands."""

    text: str
    start: int
    end: int


@dataclass(slots=True)
class Table:
    """One `[[name]]`: where its own lines end, and the words of its values by key."""

    end: int
    values: dict[str, list[Word]]


def tables(text: str, name: str) -> list[Table]:
    """The tables of a list, in order.

    Raises:
        Unusable: the text is not understood.
    """
    found: list[Table] = []
    inside = False
    for words in _statements(text):
        line = [word.text for word in words]
        if line[0] == "[":
            inside = line == ["[", "[", name, "]", "]"]
            if inside:
                found.append(Table(words[-1].end, {}))
        elif inside:
            found[-1].end = words[-1].end
            if line[1:2] == ["="]:
                found[-1].values[line[0].strip("\"'")] = words[2:]
    return found


def with_item(text: str, array: list[Word], item: str) -> tuple[int, int, str]:
    """The edit that adds an item to the end of an array: from where, up to where, and the new text."""
    last, close = array[-2], array[-1]
    between = text[last.end : close.start]
    comma = "" if last.text in "[," else ","
    if "\n" not in between:
        return last.end, last.end, item if last.text == "[" else f"{comma or ''} {item}"
    begin = text.rfind("\n", 0, last.start) + 1
    indent = re.match(r"[ \t]*", text[begin:])
    kept, _, closing = between.rpartition("\n")
    new = f"{comma}{kept.rstrip()}\n{indent[0] if indent else ''}{item}{'' if comma else ','}\n{closing}"
    return last.end, close.start, new


def _statements(text: str) -> Iterator[list[Word]]:
    """The words of each line; a value that goes over several lines makes one of them."""
    words: list[Word] = []
    depth = at = 0
    while at < len(text):
        found = _TOKEN.match(text, at)
        if found is None:
            raise Unusable("is not TOML")
        word, at = found["word"], found.end()
        if word == "\n" and not depth and words:
            yield words
            words = []
        elif word and word != "\n":
            depth += (word in "[{") - (word in "]}")
            words.append(Word(word, found.start(), at))
    if words:
        yield words
