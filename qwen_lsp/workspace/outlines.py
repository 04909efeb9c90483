"""Outlines: what classes, modules and functions offer that the cursor's expression, its call or its words ask for.

Signatures without bodies: a model that reads 75 tokens a second is shown every token for a reason. Members are ranked
by what the place is about and cut to a share of the room.
"""

from __future__ import annotations

import heapq
import re
from collections.abc import Iterator, Sequence
from itertools import islice
from operator import itemgetter

from qwen_lsp.core.definitions import Definition
from qwen_lsp.core.expressions import Chain, calls
from qwen_lsp.core.snippets import Piece
from qwen_lsp.workspace.catalog import Scope
from qwen_lsp.workspace.stock import File, Found
from qwen_lsp.workspace.surroundings import Surroundings, parts_of

_MOST_MEMBERS, _MOST_LISTED = 40, 100
_MOST_VISIBLE = 8
_LEAST_VISIBLE = 0.3
_PACKAGED = frozenset({"go", "jvm", "c", "csharp", "php", "swift"})
"""Families whose files use the names of their folder's other files without an import."""
_INDENT = "    "


def expected(place: Surroundings) -> Iterator[Piece]:
    """What the cursor's own expression asks for: its members, or the names of the module that is being listed."""
    if place.listing is not None:
        yield from _names(place, Scope("", tuple(place.catalog.module(place.listing))))
    elif place.chain:
        yield from _outlines(place, place.resolver.scopes(place.chain), 1.0, 0.6)


def called(place: Surroundings) -> Iterator[Piece]:
    """Signatures of the two innermost calls and literals that the cursor stands in."""
    for level, (chain, bracket) in enumerate(islice(calls(place.query.prefix), 2)):
        score = 0.9 - 0.2 * level
        if bracket == "=":
            yield from _outlines(place, place.resolver.scopes(chain), score, 0.4)
            continue
        for found in _callees(place, chain)[:2]:
            yield from _brief(place, found, score, 0.3)


def visible(place: Surroundings) -> Iterator[Piece]:
    """Names that can be used here as they are, where the place is about what they say or nobody has used them yet."""
    if place.listing is not None:
        return
    for score, name, found in heapq.nlargest(_MOST_VISIBLE, _promising(place), key=itemgetter(0)):
        each = found or next(iter(place.catalog.definitions(name)), None)
        if each is not None and score >= _LEAST_VISIBLE:
            yield from _brief(place, each, min(score, 0.8), 0.2)


def _callees(place: Surroundings, chain: Chain) -> Sequence[Found]:
    name = chain[-1].name
    found: list[Found] = []
    if len(chain) > 1:
        for scope in place.resolver.scopes(chain[:-1]):
            found += [each for each in place.catalog.members(scope) if each.definition.name == name]
    found = found or place.catalog.definitions(name)
    return found or (list(place.stock.member(name, place.kind)) if len(chain) > 1 else [])


def _promising(place: Surroundings) -> Iterator[tuple[float, str, Found | None]]:
    """Imported names and those of the package, of this file and of this class, with how likely they come next."""
    whole = place.own.text if place.own else place.query.prefix + place.query.suffix
    factor = 0.5 if place.chain else 1.0
    for name in place.catalog.imports:
        score = 0.35 * _overlap(place, name)
        score += 0.45 * (not _is_used(name, whole)) + 0.3 * (name in place.line) + 0.15 * (name in place.near)
        yield score * factor, name, None
    for found in _neighbours(place):
        name = found.definition.name
        if name not in place.shown and name not in place.catalog.imports:
            overlap = _overlap(place, name)
            if overlap >= 0.4:
                yield 0.75 * overlap * factor, name, found


def _neighbours(place: Surroundings) -> Iterator[Found]:
    """Definitions that need no import: of this file, of its folder where that is a package, of the cursor's class."""
    own = place.own
    folder = place.query.path.rpartition("/")[0]
    enclosing = place.resolver.enclosing()
    for file in place.stock.folder(folder) if place.kind in _PACKAGED else filter(None, (own,)):
        if file.family == place.kind:
            for definition in file.definitions:
                mine = file is own and enclosing is not None and definition.owner == enclosing.name
                if definition.text and (not definition.owner or definition.has_members or mine):
                    yield Found(file, definition)


def _overlap(place: Surroundings, name: str) -> float:
    """How much of a name's parts the place is about, 0 to 1."""
    parts = parts_of(name)
    return sum(place.about.get(part, 0.0) for part in parts) / max(2, len(parts))


def _is_used(name: str, text: str) -> bool:
    """Whether a name stands in a text more than once: its import is one."""
    count, at = 0, text.find(name)
    while at >= 0 and count < 2:
        after = at + len(name)
        count += not (text[at - 1 : at].isidentifier() or text[after : after + 1].isidentifier())
        at = text.find(name, after)
    return count > 1


def _brief(place: Surroundings, found: Found, score: float, share: float) -> Iterator[Piece]:
    """A definition's signature, with the members where it has some."""
    definition = found.definition
    if definition.has_members:
        yield from _outlines(place, [Scope(definition.name, (found.file,))], score, share)
    else:
        lines = "\n".join(_lines_of([found]))
        yield Piece(found.file.path, definition.line, lines, score, "definition")


def _outlines(place: Surroundings, scopes: Sequence[Scope], score: float, share: float) -> Iterator[Piece]:
    """Outlines of the likeliest scopes; the first may take a share of the room, others half of it."""
    room = int(place.room * share)
    for rank, scope in enumerate(scopes[:3]):
        yield from _outline(place, scope, score * 0.9**rank, room if not rank else room // 2)


def _outline(place: Surroundings, scope: Scope, score: float, room: int) -> Iterator[Piece]:
    """The members of a scope that fit, file by file."""
    groups: dict[str, list[Found]] = {}
    for found in _best_members(place, scope, room, _MOST_MEMBERS):
        groups.setdefault(found.file.path, []).append(found)
    for path, members in groups.items():
        members.sort(key=lambda each: each.definition.line)
        yield Piece(path, members[0].definition.line, "\n".join(_lines_of(members)), score, "definition")
    if not groups and scope.name:
        for file in scope.files:
            for each in file.definitions:
                if each.name == scope.name and each.text:
                    yield Piece(file.path, each.line, each.text, score, "definition")


def _names(place: Surroundings, scope: Scope) -> Iterator[Piece]:
    """What a module has that an import may list: names alone, by file."""
    groups: dict[str, list[Found]] = {}
    room = place.room // 2
    for found in _best_members(place, scope, place.room * 2, _MOST_LISTED):
        if found.definition.name not in place.shown and room > 0:
            groups.setdefault(found.file.path, []).append(found)
            room -= len(found.definition.name) + 2
    for path, members in islice(groups.items(), 4):
        names = dict.fromkeys(found.definition.name for found in members)
        yield Piece(path, members[0].definition.line, ", ".join(names), 1.0, "definition")


def _lines_of(members: Sequence[Found]) -> Iterator[str]:
    """Members under the titles of their classes; attributes of which only the name tells something on one line."""
    owner = ""
    bare: list[str] = []
    for each in members:
        definition = each.definition
        name = _bare_name(definition)
        if bare and (not name or definition.owner != owner):
            yield _INDENT + ", ".join(bare)
            bare = []
        if definition.owner and definition.owner != owner:
            owner = definition.owner
            yield _title(owner, each.file)
        if name:
            bare.append(name)
        else:
            yield (_INDENT if definition.owner else "") + definition.text
    if bare:
        yield _INDENT + ", ".join(bare)


def _title(owner: str, file: File) -> str:
    """The line that declares a class; its name where another file does."""
    return next((each.text for each in file.definitions if each.name == owner and each.text), owner)


_BARE = re.compile(r"((?:self|this)\.\w+)\s*=(?!=)(?!.*\b[A-Z]\w*\()")


def _bare_name(definition: Definition) -> str:
    """An attribute's name where its value says nothing of its type (`self.size = size`), else ""."""
    match = _BARE.match(definition.text)
    return match[1] if match else ""


def _best_members(place: Surroundings, scope: Scope, room: int, most: int) -> list[Found]:
    """The most promising members that fit into `room` code points."""
    own = place.resolver.enclosing()
    inside = own is not None and own.name == scope.name
    members = [each for each in place.catalog.members(scope) if inside or _is_reachable(place, each)]
    if place.partial:
        members = [each for each in members if each.definition.name.startswith(place.partial)] or members
    distinct = {(each.definition.name, each.definition.text): each for each in members}
    ranked = sorted(distinct.values(), key=lambda each: -_promise(place, each))
    taken: list[Found] = []
    for each in ranked[:most]:
        cost = len(_bare_name(each.definition) or each.definition.text) + 7
        if cost <= room:
            room -= cost
            taken.append(each)
    return taken


def _is_reachable(place: Surroundings, found: Found) -> bool:
    """Whether a member may be named from this file at all."""
    name, text = found.definition.name, found.definition.text
    if found.file.path == place.query.path:
        return True
    match place.kind:
        case "go":
            same = found.file.path.rpartition("/")[0] == place.query.path.rpartition("/")[0]
            return same or name[:1].isupper()
        case "python":
            return not name.startswith("_") or name == "__init__"
        case _:
            return not text.startswith(("private ", "#"))


def _promise(place: Surroundings, found: Found) -> float:
    """How likely a member comes next."""
    name = found.definition.name
    parts = set(parts_of(name))
    score = sum(place.about.get(part, 0.0) for part in parts) / (1 + 0.3 * len(parts))
    if name.startswith("__") and name != "__init__":
        score -= 1.5
    elif name.startswith(("_", "#")) and (not place.chain or place.chain[0].name not in {"self", "this", "cls"}):
        score -= 0.7
    if name in place.shown:
        score -= 0.3
    if place.listing is not None:
        score += _continues(place, name)
    return score


_LISTED = re.compile(r"(\w+)\s*,")
_LISTED_NEXT = re.compile(r"\s*,?\s*(\w+)")


def _continues(place: Surroundings, name: str) -> float:
    """How well a name goes on a list that is sorted: after its last name, before its next, and like the last."""
    before = _LISTED.findall(place.query.prefix[-200:])[-2:]
    after = _LISTED_NEXT.match(place.query.suffix)
    order = [*(each.lower() for each in before), name.lower(), after[1].lower() if after else "\uffff"]
    if len(before) < 2 or order != sorted(order):
        return 0.0
    common = next((at for at, (one, other) in enumerate(zip(before[1], name, strict=False)) if one != other), len(name))
    return 0.4 + min(1.0, common / 8)
