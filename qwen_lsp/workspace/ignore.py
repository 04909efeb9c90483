"""Which files a person has told tools to leave alone: `.gitignore`, git's other excludes, `.ignore`, `.qwenignore`.

Promises: each file is read as git reads its own (nested ones win over outer ones, the last line that fits decides, and
nothing below an ignored directory comes back); `.qwenignore` has the last word over `.ignore`, and that over git's; a
rule file that changes is noticed within `FRESH` seconds; what can't be read forbids all that lies below it. Does not
judge names by itself (core/gate.py:is_private) and looks at no file but these.
"""

from __future__ import annotations

import os
import re
import stat
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

EXCLUDED = "qwen.exclude"
QWEN, PLAIN, GIT, EXCLUDE, EVERYWHERE = ".qwenignore", ".ignore", ".gitignore", ".git/info/exclude", "core.excludesFile"
NAMES = frozenset({QWEN, PLAIN, GIT})
"""The files that hold rules, by name."""
FRESH = 1.0
"""Seconds for which a directory's rule files are not looked at again."""
_MOST_DIRECTORIES = 1500
"""Beyond these what is remembered is forgotten, and built up again."""
_LARGEST = 1 << 20
_FLAGS = re.IGNORECASE if sys.platform in {"win32", "darwin"} else re.NOFLAG
"""git takes no notice of case where file systems don't."""
_CORE = re.compile(r"^\s*\[core\](.*?)(?=^\s*\[|\Z)", re.IGNORECASE | re.MULTILINE | re.DOTALL)
_EXCLUDES = re.compile(r"^\s*excludesfile\s*=\s*(.+?)\s*$", re.IGNORECASE | re.MULTILINE)
"""A section of git's configuration, and a line in it (git-config(1))."""

_Signature: TypeAlias = tuple[tuple[int, int, int] | None, ...]


@dataclass(frozen=True, slots=True)
class _Pattern:
    """One line of a rule file."""

    ignores: bool
    regex: re.Pattern[str]
    directories_only: bool
    whole: bool
    """It fits a path that it matches to its end; other patterns fit what they match the beginning of."""

    def fits(self, path: str, *, directory: bool) -> bool:
        """Whether this line names this path itself. Directories it lies in are judged by themselves."""
        if self.directories_only and not directory:
            return False
        found = self.regex.search(path)
        return found is not None and (not self.whole or found.end() == len(path))


_Chain: TypeAlias = tuple[tuple[int, tuple[_Pattern, ...]], ...]
"""The rule files of one kind that hold here, innermost first: the length of their directory's path, and their lines."""


@dataclass(frozen=True, slots=True)
class _Directory:
    """A directory as its rule files and those above it make it."""

    parent: _Directory | None
    signature: _Signature
    ignored: str
    """What ignores the directory itself and so all below it; empty if nothing does."""
    chains: Mapping[str, _Chain] = field(default_factory=dict)

    def verdict(self, path: str, *, directory: bool) -> str:
        """What ignores something in this directory: the name of a kind of rule file, or nothing."""
        for kind, chain in self.chains.items():
            for length, patterns in chain:
                below = path[length:]
                for pattern in patterns:
                    if pattern.fits(below, directory=directory):
                        return kind if pattern.ignores else ""
        return ""


class Rules:
    """The rules of all directories that were asked about. Paths are absolute, real, and written with slashes.

    `env` says where a person's rules for all their repositories are.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic, env: Mapping[str, str] = os.environ) -> None:
        self._clock = clock
        self._everywhere = _everywhere(env)
        self._excluded: tuple[_Pattern, ...] = ()
        self._directories: dict[tuple[str, str], _Directory] = {}
        self._looked: dict[tuple[str, str], float] = {}
        self._tops: dict[str, tuple[float, str]] = {}

    def ignored_by(self, path: str, folder: str = "", *, directory: bool = False) -> str:
        """What ignores a file: the name of a kind of rule file, or nothing.

        `folder` is the workspace folder that it lies in. git's rules count from the top of the repository that holds
        the folder, or the file if it lies in no folder; without a repository from the folder on. The other rule
        files count wherever they lie above the file.
        """
        if "\n" in path or "\r" in path:
            return "odd name"  # no pattern could be trusted with it
        if self._excluded and self._is_excluded(path.removeprefix(folder).lstrip("/"), directory=directory):
            return EXCLUDED
        at, _, _ = path.rpartition("/")
        top = self._top(folder or at) or folder
        here = self._directory(at, top)
        return here.ignored or here.verdict(path, directory=directory)

    def exclude(self, patterns: Iterable[str]) -> None:
        """Patterns of the person's own settings (`qwen.exclude`): they have the first word, from the folder on."""
        self._excluded = tuple(_patterns([line for pattern in patterns for line in pattern.splitlines()]))[::-1]

    def forget(self) -> None:
        """A rule file may have changed: what is asked next is looked up anew."""
        self._looked.clear()
        self._tops.clear()

    def _is_excluded(self, path: str, *, directory: bool) -> bool:
        """Whether the person's own patterns fit a path below its folder, or a directory on the way to it."""
        ends = [at for at, letter in enumerate(path) if letter == "/"]
        steps = [*((path[:end], True) for end in ends), (path, directory)]
        return any(self._verdict(step, directory=is_directory) for step, is_directory in steps)

    def _verdict(self, path: str, *, directory: bool) -> bool:
        fitting = (pattern.ignores for pattern in self._excluded if pattern.fits(path, directory=directory))
        return next(fitting, False)

    def _top(self, at: str) -> str:
        """The directory of the repository that holds a directory; empty if none does."""
        now = self._clock()
        looked, top = self._tops.get(at, (-FRESH, ""))
        if now - looked < FRESH:
            return top
        inner = at
        while inner and not os.path.lexists(f"{inner}/.git"):
            inner = inner.rpartition("/")[0]
        self._tops[at] = (now, inner)
        return inner

    def _directory(self, at: str, top: str) -> _Directory:
        if len(self._directories) > _MOST_DIRECTORIES:
            self._directories.clear()
            self._looked.clear()
        parent = self._directory(at.rpartition("/")[0], top) if at else None
        key, now = (at, top), self._clock()
        known = self._directories.get(key)
        same = known is not None and known.parent is parent
        if known is not None and same and now - self._looked.get(key, -FRESH) < FRESH:
            return known
        files = _files(at, git=bool(top) and f"{at}/".startswith(f"{top}/"), is_top=at == top)
        if at == top:
            files.append((EVERYWHERE, self._everywhere))
        signature = tuple(_signature(path) for _, path in files)
        if known is None or not same or known.signature != signature:
            known = self._directories[key] = _made(at, parent, signature, files)
        self._looked[key] = now
        return known


def _everywhere(env: Mapping[str, str]) -> str:
    """The file that git's `core.excludesFile` names, or the one it takes without that (gitignore(5)); perhaps missing.

    Read off the person's own two configuration files, of which `~/.gitconfig` wins; files that these include are not.
    """
    home = env.get("HOME") or env.get("USERPROFILE") or ""
    own = f"{env.get('XDG_CONFIG_HOME') or f'{home}/.config'}/git"
    chosen = f"{own}/ignore"
    for config in (f"{own}/config", f"{home}/.gitconfig"):
        try:
            text = Path(config).read_text(encoding="utf-8")
        except (OSError, ValueError):
            continue
        for core in _CORE.findall(text):
            for value in _EXCLUDES.findall(core):
                chosen = value.strip('"')
    return home + chosen[1:] if chosen.startswith("~/") else chosen


def _made(at: str, parent: _Directory | None, signature: _Signature, files: list[tuple[str, str]]) -> _Directory:
    if parent is not None and (ignored := parent.ignored or parent.verdict(at, directory=True)):
        return _Directory(parent, signature, ignored)
    chains: dict[str, _Chain] = dict.fromkeys((QWEN, PLAIN, GIT, EXCLUDE, EVERYWHERE), ())
    chains |= parent.chains if parent is not None else {}
    for (kind, path), found in zip(files, signature, strict=True):
        if found is None:
            continue
        try:
            lines = _lines(path, found)
        except OSError:
            return _Directory(parent, signature, f"unreadable {kind}")
        if patterns := tuple(_patterns(lines)):
            chains[kind] = ((len(at) + 1, patterns[::-1]), *chains[kind])
    return _Directory(parent, signature, "", chains)


def _files(at: str, *, git: bool, is_top: bool) -> list[tuple[str, str]]:
    """The rule files that a directory may hold, by kind."""
    files = [(QWEN, f"{at}/{QWEN}"), (PLAIN, f"{at}/{PLAIN}")]
    if git:
        files.append((GIT, f"{at}/{GIT}"))
    if is_top and (info := _info(at)):
        files.append((EXCLUDE, f"{info}/exclude"))
    return files


def _info(top: str) -> str:
    """The directory `info` of a repository; that of a worktree or submodule lies elsewhere."""
    git = Path(top, ".git")
    try:
        if git.is_file():
            git = Path(top, git.read_text(encoding="utf-8").removeprefix("gitdir:").strip())
            if (common := git / "commondir").is_file():
                git = git / common.read_text(encoding="utf-8").strip()
    except (OSError, ValueError):
        return ""
    return (git / "info").as_posix()


def _signature(path: str) -> tuple[int, int, int] | None:
    """What changes when a file does; None if there is none."""
    try:
        found = os.stat(path)  # noqa: PTH116 - asked at every look; a Path costs as much as the call
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError):
        return (-1, -1, -1)
    return (found.st_mtime_ns, found.st_size, found.st_ino) if stat.S_ISREG(found.st_mode) else None


def _lines(path: str, found: tuple[int, int, int]) -> list[str]:
    """A rule file's lines.

    Raises:
        OSError: it can't be read, or it is too large to be one.
    """
    if not 0 <= found[1] <= _LARGEST:
        raise OSError
    text = Path(path).read_bytes().decode("utf-8-sig", "surrogateescape")
    return [line.removesuffix("\r") for line in text.split("\n")]


def _patterns(lines: list[str]) -> Iterator[_Pattern]:
    """The lines that say something. What git would not understand is skipped, as git does."""
    for line in lines:
        bare = line if line.endswith("\\ ") else line.rstrip(" ")
        if not bare or bare.startswith("#"):
            continue
        ignores = not bare.startswith("!")
        body = bare if ignores else bare[1:]
        directories_only = body.endswith("/")
        body = body.removesuffix("/")
        regex = _regex(f"\\{body}" if not ignores and body[:1] in {"#", "!"} else body)
        if regex is not None:
            whole = regex.pattern.startswith("^") and not body.endswith("/**")
            yield _Pattern(ignores, regex, directories_only, whole)


def _regex(body: str) -> re.Pattern[str] | None:
    from pathspec import GitIgnoreSpec  # noqa: PLC0415 - 30 ms, for those who have rule files

    try:
        (pattern,) = GitIgnoreSpec.from_lines([body]).patterns
    except ValueError:
        return None
    regex = getattr(pattern, "regex", None)
    return None if regex is None else re.compile(regex.pattern, _FLAGS)
