"""What Linux's /proc says about a process and its descendants. Elsewhere there is no /proc, and every figure is nan."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

_PROC = Path("/proc")


def rss(pid: int) -> float:
    """MiB of memory that is resident, summed over the tree."""
    return _sum(pid, "status", "VmRSS:") / 1024


def cpu(pid: int) -> float:
    """Seconds of processor time that the tree's live threads have used."""
    return sum(int(text.split()[0]) for text in _threads(pid, "schedstat")) / 1e9 if _PROC.is_dir() else math.nan


def wakeups(pid: int) -> float:
    """How often the tree's threads went to sleep, and so woke up, of themselves."""
    return _sum(pid, "task/*/status", "voluntary_ctxt_switches:")


def _sum(pid: int, files: str, field: str) -> float:
    if not _PROC.is_dir():
        return math.nan
    lines = (line for one in _tree(pid) for text in _read(one, files) for line in text.splitlines())
    return sum(float(line.split()[1]) for line in lines if line.startswith(field))


def _threads(pid: int, name: str) -> Iterator[str]:
    for one in _tree(pid):
        yield from _read(one, f"task/*/{name}")


def _read(pid: int, files: str) -> Iterator[str]:
    for path in (_PROC / str(pid)).glob(files):
        try:
            yield path.read_text()
        except OSError:  # it has just ended
            continue


def _tree(pid: int) -> list[int]:
    """The process and all that descend from it."""
    children: dict[int, list[int]] = defaultdict(list)
    for path in _PROC.glob("[0-9]*/stat"):
        try:
            parent = int(path.read_text().rpartition(")")[2].split()[1])
        except OSError:  # it has just ended
            continue
        children[parent].append(int(path.parent.name))
    tree = [pid]
    for one in tree:
        tree += children[one]
    return tree
