"""What a file defines: names with signatures, and the members of classes, without any body.

Found by indentation and a regular expression or two a line (core/declares.py), so that a whole workspace takes seconds.
It promises signatures a person would recognise, on code laid out as formatters leave it; it knows no types and
resolves nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from qwen_lsp.core.declares import Declares, declares
from qwen_lsp.core.signatures import signature, value

_LONGEST_LINE = 400
"""A longer line is generated code: nobody completes against it."""
_REST = 500
"""Lines that take about a millisecond."""
_KEYWORDS = frozenset({"where", "return", "if", "for", "while", "switch", "match", "else"})
_LABELS = frozenset({"public:", "private:", "protected:", "signals:", "public slots:"})
_GOES_ON = ("where ", "throws ", "extends ", "implements ")
"""What a line begins with that belongs to the declaration above it."""
_NOT_BASES = frozenset({"extends", "implements", "with", "public", "private", "protected", "virtual", "metaclass"})
_MOST_BASES = 6


@dataclass(frozen=True, slots=True)
class Definition:
    """A name that a file defines."""

    name: str
    line: int
    """The line it begins at, from 0."""
    text: str
    """Its signature on one line, as the file writes it but for blanks; "" for an addition (`impl`)."""
    owner: str = ""
    """The class it is a member of."""
    bases: tuple[str, ...] = ()
    """What it takes members from, by simple names."""
    has_members: bool = False
    """A class, a struct, a table: something with members, be there any or not."""


def definitions(lines: Sequence[str], language: str) -> tuple[Definition, ...]:
    """What a file defines, in its order. `lines` may or may not keep their ends."""
    return tuple(found for found in walk(lines, language) if found is not None)


def walk(lines: Sequence[str], language: str) -> Iterator[Definition | None]:
    """The same, one by one; None now and then, so that who reads a large file can rest."""
    how = declares(language)
    if how is not None:
        yield from _Walk(lines, how).all()


@dataclass(slots=True)
class _Container:
    """An open container while a file is walked."""

    indent: int
    name: str
    body: int = -1
    """The indentation of its members, once one was seen."""
    known: set[str] = field(default_factory=set)
    """Its members' names so far."""


class _Walk:
    """One walk through a file's lines."""

    def __init__(self, lines: Sequence[str], how: Declares) -> None:
        self._lines = lines
        self._how = how
        self._open: list[_Container] = []
        self._floor = -1
        """The indentation of what is declared outside of everything."""
        self._read = -1
        """The last line of a signature that was read already."""
        self._quote = ""
        """The triple quote that is open: what stands in a docstring is indented like code."""
        self._bounds = False
        """Between `where` and the brace: bounds of types are no members."""

    def all(self) -> Iterator[Definition | None]:
        """The definitions, in the file's order, and None every `_REST` lines."""
        for number, raw in enumerate(self._lines):
            if not (number + 1) % _REST:
                yield None
            line = raw.strip()
            if self._is_skipped(line, number):
                continue
            indent = len(raw) - len(raw.lstrip())
            if not self._is_entered(line, indent):
                continue
            found = self._declared(line, number) if self._is_level(indent) else self._attribute(line, number)
            if found is not None:
                yield found

    def _is_skipped(self, line: str, number: int) -> bool:
        """Whether a line declares nothing and closes nothing."""
        if self._how.by_colon and self._is_quoted(line):
            return True
        if not line or number <= self._read or len(line) > _LONGEST_LINE or line.startswith(self._how.comments):
            return True
        if line in _LABELS:
            return True
        if line == "where" or self._bounds:
            self._bounds = not line.endswith(("{", ";"))
            return True
        return line[0] == "." and bool(self._open)  # a chain goes on: `z` / `.object({`

    def _is_quoted(self, line: str) -> bool:
        if self._quote:
            self._quote = "" if self._quote in line else self._quote
            return True
        for mark in ('"""', "'''"):
            if mark in line and line.count(mark) % 2:
                self._quote = mark
                return line.lstrip("rbfuRBFU").startswith(mark)
        return False

    def _is_entered(self, line: str, indent: int) -> bool:
        """Closes the containers that end before a line; False for a line that only closes or goes on."""
        closing = line[0] in ")}]{" or line.startswith(_GOES_ON)
        while self._open and (indent < self._open[-1].indent or (indent == self._open[-1].indent and not closing)):
            self._open.pop()
        return not closing

    def _is_level(self, indent: int) -> bool:
        """Whether a line stands where its container's members do, or outside of everything."""
        if not self._open:
            self._floor = indent if self._floor < 0 else min(self._floor, indent)
            return indent <= self._floor
        if self._open[-1].body < 0:
            self._open[-1].body = indent
        return indent <= self._open[-1].body

    @property
    def _inside(self) -> _Container | None:
        """The container whose members are declared here; None outside of classes."""
        return self._open[-1] if self._open and self._open[-1].name else None

    def _attribute(self, line: str, number: int) -> Definition | None:
        """A member that a method's body declares (`self.x = `), the first time."""
        match = self._how.attribute.match(line) if self._inside else None
        if match is None or self._inside is None or match["name"] in self._inside.known:
            return None
        self._inside.known.add(match["name"])
        return Definition(match["name"], number, value(line, self._how), self._inside.name)

    def _declared(self, line: str, number: int) -> Definition | None:
        """What a line declares; opens the container it may be."""
        match = self._how.container.match(line)
        if match is not None and not (match.groupdict().get("table") and "{" not in line and not self._chains(number)):
            return self._opened(match, number)
        patterns: tuple[re.Pattern[str], ...] = (self._how.function, self._how.value)
        if self._open:
            patterns = (self._how.member,) if self._inside else (*patterns, self._how.member)
        match = next((found for pattern in patterns if (found := pattern.match(line))), None)
        groups = match.groupdict() if match is not None else {}
        owner = groups.pop("owner", None) or (self._inside.name if self._inside else "")
        name = next((found for found in groups.values() if found), "")
        if not name or name in _KEYWORDS:
            return None
        if self._inside:
            self._inside.known.add(name)
        return Definition(name, number, self._signature(number, method=bool(owner and not self._inside)), owner)

    def _opened(self, match: re.Match[str], number: int) -> Definition | None:
        """The container that a line opens."""
        groups = match.groupdict()
        bases = _names(groups.pop("bases", None) or "")
        trait, extends = groups.pop("trait", None), groups.pop("extends", None)
        name = next((found for found in groups.values() if found), "")
        line = self._lines[number]
        owner = self._inside.name if self._inside else ""
        container = _Container(len(line) - len(line.lstrip()), extends or name or owner)
        if extends:
            self._open.append(container)
            return Definition(extends, number, "", bases=_names(trait or ""), has_members=True)
        if not name:
            self._open.append(container)
            return None
        text = self._signature(number)
        if not line.rstrip().endswith((";", "}")) or line.count("{") > line.count("}"):
            self._open.append(container)
        return Definition(name, number, text, owner, bases, has_members=True)

    def _signature(self, number: int, *, method: bool = False) -> str:
        text, taken = signature(self._lines, number, self._how, method=method)
        self._read = number + taken - 1
        return text

    def _chains(self, number: int) -> bool:
        """Whether the line after this begins with a member of it."""
        return number + 1 < len(self._lines) and self._lines[number + 1].lstrip().startswith(".")


_NAME = re.compile(r"(?:\w+(?:\.|::))*([A-Za-z_]\w*)(?:\s*<[^>]*>|\[[^\]]*\])?")


def _names(text: str) -> tuple[str, ...]:
    """The simple names in a list of bases, without their type parameters, keywords and arguments."""
    return tuple(match[1] for match in _NAME.finditer(text) if match[1] not in _NOT_BASES)[:_MOST_BASES]
