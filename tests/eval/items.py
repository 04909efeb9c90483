"""The sets as a runner may see them: without answers, tests and hints. Where the cursor stands in an item.

The sets' own scorer strips them (`score.py --strip-set`), and their own `workspace.py` unpacks repositories; both are
used where they lie. Does not score.
"""

from __future__ import annotations

import importlib.util
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

FILES: Mapping[str, str] = {
    "A": "A_singlefile.jsonl",
    "B": "B_repo.jsonl",
    "C": "C_editor.jsonl",
    "D": "D_cceval4.jsonl",
}
_LINE_END = re.compile(r"\r\n|\n|\r")


@dataclass(frozen=True, slots=True)
class Item:
    """A document with a cursor between `prefix` and `suffix`, and what stands around it."""

    id: str
    language: str
    path: str
    prefix: str
    suffix: str
    core: bool = False
    repo: str = ""
    """The repository's folder among the unpacked ones (set B)."""
    snippets: tuple[tuple[str, str], ...] = ()
    """Path and text of passages from other files, open in the editor (set D)."""

    @property
    def opened(self) -> dict[str, str]:
        """The other open documents: passages of one path joined in their order, those of the item's own left out."""
        joined: dict[str, str] = {}
        for path, text in self.snippets:
            if path != self.path:
                joined[path] = f"{joined[path]}\n{text}" if path in joined else text
        return joined


class Workspaces(Protocol):
    """The sets' own `workspace.py`."""

    def unpack(self, split_dir: str, out: str) -> None:
        """Unpacks the repositories of a split into a folder."""

    def opened(self, item: Mapping[str, Any], out: str) -> AbstractContextManager[tuple[str, str]]:
        """While it is entered, the item's file on disk is what its editor shows; gives the root and the file."""


@dataclass(frozen=True, slots=True)
class Sets:
    """Where the sets and their tools lie."""

    split: Path
    tools: Path

    @classmethod
    def at(cls, folder: Path, split: str) -> Sets:
        """The sets in a folder, or in a split's folder below it.

        Raises:
            FileNotFoundError: they or their scorer are not there.
        """
        places = [
            place for place in (folder / split, folder) if any((place / name).is_file() for name in FILES.values())
        ]
        tools = [place for place in (folder, folder.parent) if (place / "score.py").is_file()]
        if not places or not tools:
            raise FileNotFoundError(f"{folder} holds no sets, or no score.py")
        return cls(places[0], tools[0])

    @property
    def scorer(self) -> Path:
        return self.tools / "score.py"

    def file(self, name: str) -> Path:
        return self.split / FILES[name]

    def workspaces(self) -> Workspaces:
        """Loads the sets' `workspace.py`."""
        spec = importlib.util.spec_from_file_location("evaluation_workspace", self.tools / "workspace.py")
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module

    def repositories(self, kept: Path, names: Collection[str], into: Path) -> Workspaces:
        """Copies these repositories into a folder; they are unpacked once, where they are `kept` untouched."""
        workspaces = self.workspaces()
        whole = kept / "unpacked"
        if not whole.exists():  # else an interrupted run's would be taken for whole
            shutil.rmtree(kept, ignore_errors=True)
            workspaces.unpack(str(self.split), str(kept))
            whole.touch()
        for name in names:
            shutil.copytree(kept / name, into / name, symlinks=True)
        return workspaces

    def items(self, name: str) -> list[Item]:
        """A set, stripped by the scorer."""
        command = [sys.executable, str(self.scorer), "--strip-set", str(self.file(name))]
        out = subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout.decode()
        return [item(json.loads(line)) for line in out.split("\n") if line.strip()]

    def raw(self, name: str) -> Iterator[tuple[str, str]]:
        """Id and whole line of each item, for the scorer alone."""
        with self.file(name).open(encoding="utf-8", newline="\n") as lines:
            for line in lines:
                if line.strip():
                    yield json.loads(line)["id"], line.rstrip("\n")


def item(raw: Mapping[str, Any]) -> Item:
    """An item out of its JSON object."""
    path = str(raw["path"])
    if path.startswith("/") or ".." in path.split("/"):
        raise ValueError(f"{raw['id']}: its path leads out of the workspace")
    return Item(
        id=raw["id"],
        language=raw["language"],
        path=path,
        prefix=raw["prefix"],
        suffix=raw["suffix"],
        core=bool(raw.get("core")),
        repo=raw.get("repo", ""),
        snippets=tuple((snippet["path"], snippet["text"]) for snippet in raw.get("snippets", ())),
    )


def chosen(items: Sequence[Item], *, core: bool, ids: Sequence[str], limit: int | None) -> list[Item]:
    """The items to run: the short run's, those of these ids (or with such a beginning), the first so many.

    A set that marks none as core is run whole.
    """
    found = [one for one in items if one.core] or list(items) if core else list(items)
    if ids:
        found = [one for one in found if one.id.startswith(tuple(ids))]
    return found[:limit]


def units(text: str, encoding: str) -> int:
    """The length of a text in an LSP position encoding's units."""
    if encoding == "utf-8":
        return len(text.encode("utf-8", "surrogatepass"))
    return len(text) + (sum(letter > "\uffff" for letter in text) if encoding == "utf-16" else 0)


def position(prefix: str, encoding: str) -> dict[str, int]:
    """The LSP position right after a text, whose line ends are CRLF, LF or CR."""
    lines = _LINE_END.split(prefix)
    return {"line": len(lines) - 1, "character": units(lines[-1], encoding)}
