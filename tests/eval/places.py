"""An item on the disk, with the documents that are open beside it. No file there holds the answer."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.eval.items import Item, Workspaces


@dataclass(frozen=True, slots=True)
class Place:
    """An item's document and its workspace on the disk."""

    root: Path
    file: Path
    others: Mapping[Path, str]
    """Further open documents."""


@contextlib.contextmanager
def place(item: Item, unpacked: Path | None, workspaces: Workspaces | None) -> Iterator[Place]:
    """The item on the disk, as its editor shows it: no file holds the answer."""
    if item.repo and unpacked is not None and workspaces is not None:
        raw = {"repo": item.repo, "path": item.path, "prefix": item.prefix, "suffix": item.suffix}
        with workspaces.opened(raw, str(unpacked)) as (folder, file):
            yield Place(Path(folder), Path(file), {})
        return
    with tempfile.TemporaryDirectory(prefix="eval-", ignore_cleanup_errors=True) as made:
        root = Path(made).resolve() / "project"
        others = {root / path: text for path, text in item.opened.items()}
        for path, text in {**others, root / item.path: item.prefix + item.suffix}.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(text.encode("utf-8", "surrogatepass"))
        yield Place(root, root / item.path, others)
