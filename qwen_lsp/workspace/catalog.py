"""Definitions, classes and modules as they are found from one file: by its imports, and the nearest of several first.

Where a language's own tools would know, it guesses. Needs the stock to hold still meanwhile.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

from qwen_lsp.core.chunks import words
from qwen_lsp.core.declares import family
from qwen_lsp.core.imports import Imported, imports, module_parts
from qwen_lsp.core.snippets import Query
from qwen_lsp.workspace.stock import File, Found, Stock

_MOST_FILES, _MOST_BELOW = 40, 200
"""Files of a module, and of a package that is imported by its own name."""
_MOST_CLASSES, _MOST_ANCESTORS = 4, 6
_MOST_ALIASES = 4
"""Names in an alias that are followed, and definitions of each."""
_TOLD, _ALIAS = 400, 200
"""Code points of a type and of an alias that are looked at."""
_TOP = 8000
"""Code points in which a file's imports stand."""


@dataclass(frozen=True, slots=True)
class Scope:
    """Something with members: a class, or the top level of files (a module, a package)."""

    name: str
    """The class's; "" for a module."""
    files: tuple[File, ...]
    """Where the class is defined, or the module's files."""


class Catalog:
    """What is there for one query."""

    def __init__(self, stock: Stock, query: Query) -> None:
        self._stock = stock
        self._query = query
        self.kind = family(query.language)
        self.own = stock.files.get(query.path)
        """The file itself, as it was last read."""
        self.imports: dict[str, Imported] = {}
        """By the names that the file calls them."""
        for text in (query.prefix, query.imports, self.own.text[:_TOP] if self.own else ""):
            for item in imports(text, query.language):
                if item.name:
                    self.imports.setdefault(item.name, item)

    def definitions(self, name: str) -> list[Found]:
        """What a name may stand for that is used in this file by itself, the likeliest first."""
        parts = self._parts(self.imports.get(name))
        found = self._stock.named(self._original(name), self.kind)
        return sorted(found, key=lambda each: -self._fit(each.file, parts))

    def module(self, module: str) -> list[File]:
        """The files of a module as an import names it, the nearest first."""
        parts = module_parts(module, self._query.path, self._query.language)
        ends = self._stock.ending(parts, self.kind)
        if not ends and parts:
            below = [file for file in self._stock.below(parts[-1]) if file.family == self.kind]
            return sorted(below, key=lambda file: -self._near(file))[:_MOST_BELOW]
        best = max((count for count, _ in ends), default=0)
        if best < min(2, len(parts)):
            return []
        files = [file for count, file in ends if count == best and file.path != self._query.path]
        return sorted(files, key=lambda file: -self._near(file))[:_MOST_FILES]

    def written_out(self, parts: tuple[str, ...]) -> list[Scope]:
        """The module at a path that is written out (`crate::a::b`)."""
        ends = self._stock.ending(tuple(part for part in parts if part not in {"crate", "self", "super"}), self.kind)
        best = max((count for count, _ in ends), default=0)
        files = tuple(file for count, file in ends if count == best)
        return [Scope("", files)] if files else []

    def submodule(self, scope: Scope, name: str) -> list[Scope]:
        """A module beside or below another's files."""
        for file in scope.files[:4]:
            folder = file.path.split("/")[:-1]
            inner = self._stock.ending((*folder, name), self.kind)
            if files := tuple(each for count, each in inner if count > len(folder)):
                return [Scope("", files)]
        return []

    def members(self, scope: Scope) -> Iterator[Found]:
        """What a scope offers, what it inherits last."""
        if not scope.name:
            for file in scope.files:
                yield from (Found(file, each) for each in file.definitions if not each.owner and each.text)
            return
        todo = [(scope.name, scope.files)]
        done: set[str] = set()
        while todo and len(done) < _MOST_ANCESTORS:
            name, files = todo.pop(0)
            if name in done:
                continue
            done.add(name)
            homes = {found.file.path for found in self._stock.named(name, self.kind) if found.definition.has_members}
            for found in self._stock.owned(name, self.kind):
                if files and found.file not in files and found.file.path in homes:
                    continue  # another class of that name
                if found.definition.owner == name and found.definition.text:
                    yield found
                if found.definition.name == name:
                    todo += [(base, self.homes(base, found.file)) for base in found.definition.bases]

    def classes(self, text: str, near: File | None = None) -> list[Scope]:
        """The classes that a type or an expression names, or that stand behind its aliases."""
        found = self._classes(_in_order(text[:_TOLD]), near)
        return found[:_MOST_CLASSES] or self.aliased(text)

    def aliased(self, text: str, depth: int = 0) -> list[Scope]:
        """The classes behind the aliases, type variables and schemas that a text names."""
        for name in _in_order(text[:_ALIAS])[:_MOST_ALIASES]:
            for each in islice(self._stock.named(name, self.kind), _MOST_ALIASES):
                _, equals, told = each.definition.text.partition("=")
                if not equals or each.definition.owner:
                    continue
                inner = [word for word in _in_order(told[:_ALIAS]) if word != name]
                found = self._classes(inner, each.file)
                found = found or (self.aliased(" ".join(inner), depth + 1) if depth < 2 else [])
                if found:
                    return found[:2]
        return []

    def homes(self, name: str, near: File | None = None) -> tuple[File, ...]:
        """The file that defines a class of this name; of several the one in `near`, else the nearest."""
        named = self._stock.named(self._original(name), self.kind)
        found = [each.file for each in named if each.definition.has_members]
        if not found:
            return ()
        parts = self._parts(self.imports.get(name))
        return (max(found, key=lambda file: (near is not None and file.path == near.path, self._fit(file, parts))),)

    def _classes(self, names: list[str], near: File | None) -> list[Scope]:
        return [Scope(self._original(name), homes) for name in names if (homes := self.homes(name, near))]

    def _original(self, name: str) -> str:
        """A name as the module calls it that it is imported from."""
        item = self.imports.get(name)
        return item.original if item is not None and item.original not in {"", "default"} else name

    def _parts(self, item: Imported | None) -> tuple[str, ...]:
        return module_parts(item.module, self._query.path, self._query.language) if item is not None else ()

    def _fit(self, file: File, parts: tuple[str, ...]) -> float:
        """How well a file fits the module that a name is imported from."""
        return 2.0 * len({*parts} & {*file.path.rpartition(".")[0].split("/")}) + self._near(file)

    def _near(self, file: File) -> float:
        """How near a file is, by the folders that it shares with the query's; open ones are nearer."""
        if file.path == self._query.path:
            return 3.0
        mine, theirs = self._query.path.split("/")[:-1], file.path.split("/")[:-1]
        shared = sum(1 for one, other in zip(mine, theirs, strict=False) if one == other)
        return shared / (len(mine) + len(theirs) - shared + 1) + 0.5 * (file.path in self._query.open)


def _in_order(text: str) -> list[str]:
    """The words of a text, each once."""
    return sorted(words(text), key=text.find)
