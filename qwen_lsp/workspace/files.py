"""Finding and reading the files of a workspace folder that are worth showing to a model.

Promises: nothing outside the folder is found, since no symbolic link is followed; nothing private, ignored, hidden,
binary, huge or generated is given; the same tree is found in the same order; a file or directory that can't be read is
skipped. Bounded: at most `MOST_ENTRIES` names are looked at. Remembers nothing.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

from qwen_lsp.core.gate import is_private
from qwen_lsp.core.languages import language_of
from qwen_lsp.workspace.ignore import Rules
from qwen_lsp.workspace.places import Folder, real_path, uri_of

LARGEST = 256 * 1024
"""Bytes of a file that a person writes; larger ones are data or generated."""
MOST_ENTRIES = 60_000
"""Names looked at in one folder."""
LONGEST_LINE = 2000
"""Code points of a line that a person writes."""
_WIDEST = 160
"""Code points a line on average: minified code and data have more."""
_HEAD = 1000
_UNREAD = frozenset(
    {
        *("node_modules", "bower_components", "jspm_packages", "Pods", "DerivedData"),
        *("venv", "site-packages", "__pycache__", "__pypackages__", "CVS"),
    }
)
"""Directories of what others wrote or tools made, where no ignore file says so. Hidden ones are left out anyway."""
_MARKS = frozenset({"pyvenv.cfg", "CACHEDIR.TAG"})
"""Files by which tools mark a directory as theirs: virtual environments and caches (Cargo's target, for one)."""
_WORDLESS = frozenset({"plaintext", "json", "xml"})
"""Languages of data rather than code."""
_MADE = re.compile(r"(\.min\.(js|css)|_pb2(_grpc)?\.pyi?|\.pb\.go|\.g\.dart|\.lock)$")
_SAYS_MADE = re.compile(r"@generated|\bdo not edit\b|\b(auto-?|automatically )generated\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Found:
    """A file that may be worth reading. `size` and `stamp` change when it does."""

    path: str
    """Relative to its folder, with slashes."""
    size: int
    stamp: int


def find(folder: Folder, rules: Rules, others: Collection[str] = ()) -> Iterator[Found]:
    """The files of a folder by name, those near its top first; but not those of the folders in `others`."""
    left = MOST_ENTRIES
    waiting = [folder.real]
    for place in waiting:
        entries = _entries(place, left)
        left -= len(entries)
        if left <= 0:
            return
        if place != folder.real and any(entry.name in _MARKS for entry in entries):
            continue
        for entry in entries:
            path = f"{place}/{entry.name}"
            directory = _is_directory(entry)
            if unwanted(entry.name, directory=directory) or path in others or is_private(uri_of(path)):
                continue
            if rules.ignored_by(path, folder.real, directory=directory):
                continue
            if directory:
                waiting.append(path)
            elif (found := _stat(entry)) is not None:
                yield Found(folder.relative(path), found.st_size, found.st_mtime_ns)


def read(folder: Folder, path: str) -> str | None:
    """The text of a file that was found, with line feeds; None if it is not worth showing, or is not there any more."""
    whole = f"{folder.real}/{path}"
    flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    try:
        if real_path(whole) != whole:  # a directory on the way has become a link since
            return None
        descriptor = os.open(whole, flags)
    except (OSError, ValueError):
        return None
    try:
        with os.fdopen(descriptor, "rb") as file:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                return None
            data = file.read(LARGEST + 1)
        return text_of(data)
    except (OSError, ValueError):
        return None


def text_of(data: bytes) -> str | None:
    """The text of a file's bytes, with line feeds; None if it is no text that a person wrote."""
    if not 0 < len(data) <= LARGEST or b"\0" in data:
        return None
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return None
    return written(text)


def written(text: str) -> str | None:
    """A text with line feeds as its line ends; None if it is no text that a person wrote."""
    if len(text) > LARGEST or not text.strip() or _SAYS_MADE.search(text, 0, _HEAD):
        return None
    text = text.replace("\r\n", "\n").replace("\r", "\n") if "\r" in text else text
    lines = text.split("\n")
    if len(text) > _WIDEST * len(lines) and len(text) > _HEAD:
        return None
    return None if any(len(line) > LONGEST_LINE for line in lines) else text


def nearest_first(found: Sequence[Found], around: Collection[str]) -> list[Found]:
    """Files in the order in which they are worth reading: those near the directories in `around`, then newer ones."""
    places = [place.split("/") if place else [] for place in around]

    def rank(file: Found) -> tuple[int, int, str]:
        here = file.path.split("/")[:-1]
        away = min((_steps(here, place) for place in places), default=0)
        return away, -file.stamp, file.path

    return sorted(found, key=rank)


def _steps(here: list[str], there: list[str]) -> int:
    """Directories to pass from one to the other."""
    shared = 0
    for one, other in zip(here, there, strict=False):
        if one != other:
            break
        shared += 1
    return len(here) + len(there) - 2 * shared


def _entries(place: str, most: int) -> list[os.DirEntry[str]]:
    entries = []
    try:
        with os.scandir(place) as scan:
            for entry in scan:
                entries.append(entry)
                if len(entries) > most:
                    break
    except OSError:
        return []
    return sorted(entries, key=lambda entry: entry.name)


def _is_directory(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir(follow_symlinks=False)
    except OSError:
        return False


def unwanted(name: str, *, directory: bool) -> bool:
    """Whether a name alone says that there is nothing to see: hidden, of others, made by tools, or no code."""
    if name.startswith(".") or not name.isprintable():
        return True
    if directory:
        return name in _UNREAD
    return language_of(name) in _WORDLESS or bool(_MADE.search(name))


def _stat(entry: os.DirEntry[str]) -> os.stat_result | None:
    """A regular file's figures; None for links, devices, and what is too large or empty."""
    try:
        found = entry.stat(follow_symlinks=False)
    except OSError:
        return None
    return found if stat.S_ISREG(found.st_mode) and 0 < found.st_size <= LARGEST else None
