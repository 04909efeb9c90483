"""Where documents lie: URIs as paths, and the workspace folders that hold them.

Paths are absolute and written with slashes on every system; `real` ones have no symbolic link in them. Promises:
never raises, whatever a URI holds. Reads no file.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from urllib.parse import quote, unquote, urlsplit

_DRIVE = re.compile(r"/[A-Za-z]:(?=/|$)")


@dataclass(frozen=True, slots=True)
class Folder:
    """A workspace folder."""

    real: str
    """Its real path, without a slash at the end."""
    name: str
    too_wide: bool = False
    """It is the person's home directory, or holds it: nothing in it is read that is not open."""

    def relative(self, real: str) -> str:
        """A file's path in here."""
        return real[len(self.real) + 1 :]

    def holds(self, real: str) -> bool:
        """Whether a real path lies in here."""
        return real.startswith(f"{self.real}/")


def path_of(uri: str) -> str:
    """The path that a URI names, or that it is; empty if it names none.

    The scheme is not looked at: a notebook's cells and the old versions that a diff shows are parts of the file.
    """
    if "://" not in uri and Path(uri).is_absolute():
        return _plain(uri)
    try:
        parts = urlsplit(uri)
    except ValueError:
        return ""
    path = unquote(parts.path, errors="surrogateescape")
    if _DRIVE.match(path):
        path = path[1:]
    elif parts.netloc and parts.scheme == "file" and os.name == "nt":
        path = f"//{parts.netloc}{path}"
    elif not path.startswith("/"):
        return ""
    return _plain(path) if "\0" not in path else ""


def _plain(path: str) -> str:
    """A path with slashes, and without dots."""
    return os.path.abspath(path).replace(os.sep, "/")  # noqa: PTH100 - Path.resolve() follows links


def real_path(path: str) -> str:
    """A path without symbolic links. What does not exist is left as it is."""
    try:
        return os.path.realpath(path).replace(os.sep, "/")
    except (OSError, ValueError):
        return path


@lru_cache(maxsize=512)
def uri_of(path: str) -> str:
    """A path as a file URI."""
    return "file://" + quote(path if path.startswith("/") else f"/{path}", errors="surrogateescape")


def folders_of(places: Iterable[str], home: str) -> tuple[Folder, ...]:
    """The folders at these URIs or paths, each once."""
    real_home = real_path(home) if home else ""
    found = {}
    for place in places:
        if path := path_of(place):
            real = real_path(path).rstrip("/")
            found[real] = Folder(real, real.rpartition("/")[2], f"{real_home}/".startswith(f"{real}/"))
    return tuple(found.values())


def innermost(folders: Sequence[Folder], real: str) -> Folder | None:
    """The folder that a real path lies in; of nested ones the inner one."""
    return max((folder for folder in folders if folder.holds(real)), key=lambda folder: len(folder.real), default=None)
