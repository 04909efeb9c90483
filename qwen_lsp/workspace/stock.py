"""What is known of the workspace's files: texts, passages, words, definitions by name and by owner, paths by stem.

Texts come from outside; it knows no disk. Bounded: at most `MOST_FILES` files and `MOST_TEXT` code points, a file of at
most `MOST_IN_FILE`; what comes when it is full is turned away. Not safe by itself: its owner locks.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from qwen_lsp.core.chunks import passages, words
from qwen_lsp.core.declares import family
from qwen_lsp.core.definitions import Definition, walk
from qwen_lsp.workspace.postings import Postings

MOST_FILES = 5_000
MOST_TEXT = 32_000_000
"""About 110 MB of memory with all that is known of them, measured on 3,000 files of Python's own library."""
MOST_IN_FILE = 400_000
_STEP = 16
"""Passages that are read between two pauses: about a millisecond."""


@dataclass(frozen=True, slots=True)
class File:
    """A file and what was read off it."""

    path: str
    language: str
    family: str
    text: str
    spans: tuple[tuple[int, int, int], ...]
    """Its passages: first line, begin and end in the text."""
    definitions: tuple[Definition, ...]


@dataclass(frozen=True, slots=True)
class Found:
    """A definition and the file that it stands in."""

    file: File
    definition: Definition


def read(path: str, language: str, text: str, pause: Callable[[], None]) -> tuple[File, list[set[str]]]:
    """What there is to know of a file. `pause` is called about every millisecond."""
    text = text.replace("\r\n", "\n").replace("\r", "\n") if "\r" in text else text
    spans = tuple(passages(text))
    found: list[set[str]] = []
    for count, (_, begin, end) in enumerate(spans, 1):
        found.append(words(text[begin:end]))
        if not count % _STEP:
            pause()
    defined: list[Definition] = []
    for definition in walk(text.split("\n"), language):
        if definition is None:
            pause()
        else:
            defined.append(definition)
    pause()
    return File(path, language, family(language), text, spans, tuple(defined)), found


class Stock:
    """All files by path."""

    def __init__(self) -> None:
        self.files: dict[str, File] = {}
        self.postings = Postings()
        self._begins: dict[str, int] = {}
        self._at: dict[int, tuple[File, int]] = {}
        self._next = 0
        self._size = 0
        self._named: dict[str, list[Found]] = {}
        self._members: dict[str, list[Found]] = {}
        self._owned: dict[str, list[Found]] = {}
        self._stems: dict[str, dict[str, None]] = {}

    def has_room(self, path: str, size: int) -> bool:
        """Whether a file of this size may come, in place of what is known under its path."""
        known = self.files.get(path)
        held = len(known.text) if known else 0
        files = len(self.files) + (known is None)
        return size <= MOST_IN_FILE and files <= MOST_FILES and self._size - held + size <= MOST_TEXT

    def add(self, file: File, found: list[set[str]]) -> None:
        """A file that was read, in place of what is known under its path."""
        self.drop(file.path)
        self.files[file.path] = file
        self._size += len(file.text)
        self._begins[file.path] = self._next
        for index, known in enumerate(found):
            self.postings.add(self._next, known)
            self._at[self._next] = (file, index)
            self._next += 1
        for definition in file.definitions:
            if definition.text:
                table = self._named if definition.has_members or not definition.owner else self._members
                table.setdefault(definition.name, []).append(Found(file, definition))
            if definition.owner or definition.bases:
                owner = definition.owner or definition.name
                self._owned.setdefault(owner, []).append(Found(file, definition))
        for stem in _stems(file.path):
            self._stems.setdefault(stem, {})[file.path] = None

    def drop(self, path: str) -> None:
        """Forgets a file; nothing where there is none."""
        file = self.files.pop(path, None)
        if file is None:
            return
        self._size -= len(file.text)
        first = self._begins.pop(path)
        after = first + len(file.spans)
        self.postings.remove(first, after, words(file.text))
        for number in range(first, after):
            del self._at[number]
        for table in (self._named, self._members, self._owned):
            for name in {name for d in file.definitions for name in (d.name, d.owner)} & table.keys():
                table[name] = [found for found in table[name] if found.file is not file]
                if not table[name]:
                    del table[name]
        for stem in _stems(path):
            del self._stems[stem][path]
            if not self._stems[stem]:
                del self._stems[stem]

    def passage(self, number: int) -> tuple[File, int]:
        """The file of a passage, and which of its passages it is."""
        return self._at[number]

    def number(self, file: File, index: int) -> int | None:
        """The number of a file's passage, if it has that many."""
        return self._begins[file.path] + index if 0 <= index < len(file.spans) else None

    def named(self, name: str, kind: str) -> Iterator[Found]:
        """The definitions of a name in a family of languages: classes, and what stands by itself."""
        return (found for found in self._named.get(name, ()) if found.file.family == kind)

    def member(self, name: str, kind: str) -> Iterator[Found]:
        """The members of a name, of whatever class."""
        return (found for found in self._members.get(name, ()) if found.file.family == kind)

    def owned(self, owner: str, kind: str) -> Iterator[Found]:
        """The members of all classes of a name, and the additions to them."""
        return (found for found in self._owned.get(owner, ()) if found.file.family == kind)

    def ending(self, parts: tuple[str, ...], kind: str) -> list[tuple[int, File]]:
        """The files whose paths end like `parts`, with how many parts do, and one more where that is the whole path.

        Folders stand for the files in them.
        """
        if not parts:
            return []
        ends: list[tuple[int, File]] = []
        for path in self._stems.get(parts[-1], ()):
            file = self.files[path]
            if file.family == kind:
                ends.append((max(_matched(parts, names) for names in _names(path)), file))
        return [end for end in ends if end[0]]

    def folder(self, folder: str) -> Iterator[File]:
        """The files that lie in a folder itself."""
        for path in self._stems.get(folder.rpartition("/")[2], ()):
            if path.rpartition("/")[0] == folder:
                yield self.files[path]

    def below(self, folder: str) -> Iterator[File]:
        """The files that lie in or below any folder of this name: a package that is imported by its own name."""
        return (file for path, file in self.files.items() if f"/{folder}/" in path or path.startswith(f"{folder}/"))

    @property
    def sizes(self) -> Mapping[str, int]:
        """Figures for a person who asks what is indexed."""
        return {"files": len(self.files), "characters": self._size, "words": len(self.postings)}


def _names(path: str) -> tuple[list[str], list[str]]:
    """A path's parts without the extension, and those of its folder."""
    parts = path.split("/")
    return [*parts[:-1], parts[-1].rpartition(".")[0].removesuffix(".d") or parts[-1]], parts[:-1]


def _stems(path: str) -> set[str]:
    whole, folder = _names(path)
    return {whole[-1], *folder[-1:]}


def _matched(parts: tuple[str, ...], names: list[str]) -> int:
    """How many of the last parts agree."""
    count = 0
    for one, other in zip(reversed(parts), reversed(names), strict=False):
        if one != other and one.replace("-", "_") != other.replace("-", "_"):
            break
        count += 1
    return count + (0 < count == len(names))
