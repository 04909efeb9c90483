"""What an expression's value has members of: the classes, or the modules, that it most likely is.

By annotations, assignments, imports and signatures, followed a few steps; where nothing is said, by names. The best
guess comes first. Needs the stock to hold still meanwhile.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice

from qwen_lsp.core.evidence import evidence
from qwen_lsp.core.expressions import Chain, Link, expression
from qwen_lsp.core.snippets import Query
from qwen_lsp.workspace.catalog import Catalog, Scope
from qwen_lsp.workspace.stock import Found

_DEEPEST = 5
_MOST = 4
_LEAST_NAME = 3
"""Letters of a name from which a class may be guessed."""
_OWN = frozenset({"self", "this", "Self", "cls"})
_BY_RESULT_LAST = frozenset({"python", "script", "go", "rust"})
"""Families that write a function's result, or a name's type, after its name."""
_THROUGH = frozenset(
    {"unwrap", "expect", "await", "clone", "as_ref", "as_mut", "borrow", "borrow_mut", "lock", "read", "write", "get",
     "get_mut", "iter", "into", "to_owned", "unwrap_or_default", "ok", "pop", "first", "last", "values", "next", "find",
     "copy", "cloned", "orElse", "orElseThrow", "block", "join", "value", "at", "shift", "unwrap_or_else", "map_err",
     "then", "to_vec", "as_deref"}
)  # fmt: skip
"""Members of the languages' own containers that give what is in them."""


class Resolver:
    """Answers for one query."""

    def __init__(self, catalog: Catalog, query: Query) -> None:
        self._catalog = catalog
        self._query = query
        self._asked: set[Link] = set()

    def scopes(self, chain: Chain, depth: int = 0) -> list[Scope]:
        """What an expression's value has members of, the likeliest first."""
        if not chain or depth > _DEEPEST:
            return []
        found = self._first(chain[0], depth)
        for at, link in enumerate(chain[1:], 2):
            following = [inner for scope in found for inner in self._member(scope, link, depth)]
            if not following and link.name in _THROUGH:
                following = found
            if not following and not any(each.called for each in chain[:at]):
                following = self._catalog.written_out(tuple(each.name for each in chain[:at]))
            found = _distinct(following)
        return found[:_MOST]

    def enclosing(self) -> Scope | None:
        """The class that the cursor stands in, or stood in when the file was last read."""
        own = self._catalog.own
        name = ""
        for definition in own.definitions if own is not None else ():
            if definition.line > self._query.line:
                break
            if definition.has_members or definition.owner:
                name = definition.name if definition.has_members else definition.owner
        return Scope(name, (own,)) if own is not None and name else None

    def _first(self, link: Link, depth: int) -> list[Scope]:
        if link.name in _OWN:
            own = self.enclosing()
            return [own] if own else []
        if link in self._asked:  # `a = b` and `b = a`
            return []
        self._asked.add(link)
        found = self._name(link, depth)
        self._asked.discard(link)
        return found

    def _name(self, link: Link, depth: int) -> list[Scope]:
        """What a name by itself stands for."""
        catalog, name = self._catalog, link.name
        item = catalog.imports.get(name)
        if not link.called and (item is None or item.original):
            found = self._evident(name, depth)
            if found:
                return found
        if item is not None and (not item.original or catalog.kind in {"python", "rust"}):
            between = "::" if catalog.kind == "rust" else "."
            files = catalog.module(f"{item.module}{between}{item.original}" if item.original else item.module)
            if files:
                return [Scope("", tuple(files))]
        found = []
        for each in islice(catalog.definitions(name), 3):
            if each.definition.has_members:
                found.append(Scope(each.definition.name, (each.file,)))
            else:
                called = link.called or catalog.kind == "script"
                found += self._result(each) if called else catalog.aliased(name)
        return _distinct(found) or self._guessed(name)

    def _evident(self, name: str, depth: int) -> list[Scope]:
        """By what is said of the name in this file."""
        own = self._catalog.own
        for text in (self._query.prefix, own.text if own is not None else ""):
            for told in evidence(name, text, self._query.language):
                chain = expression(told)
                if chain == (Link(name),):
                    continue
                found = self.scopes(chain, depth + 1) or self._catalog.classes(told)
                if found:
                    return found
        return []

    def _guessed(self, name: str) -> list[Scope]:
        """By the name alone: an imported class, or one of the workspace, that it is called after."""
        plain = name.replace("_", "").lower()
        if len(plain) < _LEAST_NAME:
            return []
        imported = self._catalog.imports
        close = [imported[each].original or each for each in imported if each.lower().endswith(plain)]
        camel = "".join(part[:1].upper() + part[1:] for part in name.split("_"))
        named = [each for each in (*close, camel) if each[:1].isupper()]
        return [Scope(each, homes) for each in named if (homes := self._catalog.homes(each))][:2]

    def _member(self, scope: Scope, link: Link, depth: int) -> list[Scope]:
        """What a scope's member of this name is, or gives when it is called."""
        found: list[Scope] = []
        for each in self._catalog.members(scope):
            if each.definition.name == link.name:
                if each.definition.has_members:
                    found.append(Scope(link.name, (each.file,)))
                else:
                    found += self._result(each) or self._assigned(each, depth)
            if len(found) >= _MOST:
                break
        return found or (self._catalog.submodule(scope, link.name) if not scope.name else [])

    def _result(self, found: Found) -> list[Scope]:
        """What a value or a function's result is, by the types that its signature names."""
        definition = found.definition
        before, _, after = definition.text.partition(definition.name)
        head = after.partition("(")[0]
        if after.startswith(("(", "[", "<")) or ("(" in after and "=" not in head and ":" not in head):
            after = _behind_parameters(after)
        if definition.owner and {"Self", "self", "this"} & set(after.replace("'", " ").replace('"', " ").split()):
            return [Scope(definition.owner, (found.file,))]
        last = self._catalog.kind in _BY_RESULT_LAST or "fun " in before
        return self._catalog.classes(after if last else f"{before} {after}", found.file)

    def _assigned(self, found: Found, depth: int) -> list[Scope]:
        """What an attribute is that is given a parameter or another name."""
        _, equals, value = found.definition.text.partition("=")
        value = value.strip()
        if not equals:
            return []
        if not value.isidentifier() or found.file is not self._catalog.own:
            return self._guessed(found.definition.name)
        return self._evident(value, depth + 1) or self._guessed(value)


def _behind_parameters(text: str) -> str:
    """What follows the first parentheses of a signature."""
    depth = 0
    for at, char in enumerate(text):
        if char in "([":
            depth += 1
        elif char in ")]":
            depth -= 1
            if not depth and char == ")":
                return text[at + 1 :]
    return ""


def _distinct(scopes: Iterable[Scope]) -> list[Scope]:
    known: dict[tuple[str, tuple[str, ...]], Scope] = {}
    for scope in scopes:
        known.setdefault((scope.name, tuple(file.path for file in scope.files)), scope)
    return list(known.values())
