"""What the text of a file says about what a name is: its annotations, and the expressions it is given.

By one line at a time and without parsing; what an expression's type is, is for who knows other files
(workspace/resolving.py).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from qwen_lsp.core.declares import family

_MOST = 8
"""Places that tell."""
_LOOKED, _FOUND = 300, 10_000
"""Places that are looked at, which takes some 5 us each, and finds of the name, mostly in longer words, 0.3 us each: a
name that is used everywhere is not looked for without end."""
_FAR = 300
"""Code points of a line before and after the name that are looked at."""


def evidence(name: str, text: str, language: str) -> Iterator[str]:
    """What a text says about what a name is, the last first: annotations, and the expressions it is given.

    >>> list(evidence("gen", "gen = Generator(model)", "python"))
    ['Generator(model)']
    """
    rules = (*_RULES.get(family(language), _TYPED_FIRST), *_EVERYWHERE)
    end = len(text)
    given = looked = 0
    for _ in range(_FOUND):
        end = at = text.rfind(name, 0, end)
        if at < 0 or given >= _MOST or looked >= _LOOKED:
            return
        after = at + len(name)
        if _is_word(text[at - 1 : at]) or _is_word(text[after : after + 1]):
            continue
        looked += 1
        begin = text.rfind("\n", 0, at) + 1
        stop = text.find("\n", after)
        before = text[max(begin, at - _FAR) : at]
        if _OF_ANOTHER.search(before) or _PROSE.search(before):
            continue
        for rule in rules:
            told = rule.told(before, text[after : after + _FAR if stop < 0 else min(stop, after + _FAR)])
            if told:
                given += 1
                yield told


def _is_word(char: str) -> bool:
    return char.isalnum() or (char != "" and char in "_$")


@dataclass(frozen=True, slots=True)
class _Rule:
    """What stands on a line before and after a name; the group `told` of either says what the name is."""

    after: re.Pattern[str]
    before: re.Pattern[str] | None = None

    def told(self, before: str, after: str) -> str:
        """What the line says, or ""."""
        behind = self.after.match(after)
        ahead = self.before.search(before) if self.before is not None else None
        if behind is None or (self.before is not None and ahead is None):
            return ""
        found = {**behind.groupdict(), **(ahead.groupdict() if ahead is not None else {})}
        return (found.get("told") or "").strip()


def _rule(after: str, before: str | None = None) -> _Rule:
    return _Rule(re.compile(after), re.compile(before) if before is not None else None)


_OF_ANOTHER = re.compile(r"(?<!\bself)(?<!\bthis)(?:\.|->)$")
_PROSE = re.compile(r"^\s*(?:#|//|\*|/\*|>)|\s(?:#|//)\s")

_ANNOTATED = _rule(
    r"\s*\??:(?![:=])\s*(?P<told>&?[A-Za-z_'\"](?:<[^=;>]*>?|\[[^=;\]]*\]?|[^=;,){<\[])*)", r"(?<![{?])$"
)
_GIVEN = _rule(r"(?:\s*,\s*\w+)*\s*(?::[^=]+)?:?=(?![=>])\s*(?P<told>.+)")
_NARROWED = _rule(r"\s+(?:instanceof|is|as)\s+(?P<told>(?!None\b)[A-Z]\w*(?:\.\w+)*)")
_LOOPED = _rule(r"[\w\s,)]*?\b(?:in|of|:|range)\s+(?P<told>[^:{]+)", r"\b(?:for|of|in)\b.*$")
_TYPED_BEFORE = _rule(
    r"\s*(?:[;=,):]|$)",
    r"(?:^|[\s(,<])(?P<told>(?!(?:return|new|in|is|not|and|or|else|case|await|throw|yield|import|package|if|while)\b)"
    r"[A-Za-z_][\w.:]*(?:<[^;=()]*>)?)(?:\[\])?[\s&*]+$",
)

_EVERYWHERE = (_GIVEN, _NARROWED)
_TYPED_FIRST = (_TYPED_BEFORE, _ANNOTATED, _LOOPED)
_RULES = {
    "python": (
        _ANNOTATED,
        _rule(r"\s*,\s*(?P<told>[A-Z]\w*(?:\.\w+)*)\s*\)", r"\bisinstance\($"),
        _rule("", r"(?:with|,)\s+(?P<told>\S.*?)\s+as\s+\(?$"),
        _LOOPED,
    ),
    "script": (_ANNOTATED, _LOOPED),
    "go": (_rule(r"(?:\s*,\s*\w+)*\s+(?P<told>(?:\[\]|\*|map\[\w+\]|\.\.\.)*[A-Za-z_][\w.]*)"), _LOOPED),
    "rust": (
        _ANNOTATED,
        _rule(r"\)?\s*(?:=|in)\s*(?P<told>.+)", r"\b(?:let|for)\s+(?:mut\s+|Some\(|Ok\()*$"),
    ),
    "c": (_TYPED_BEFORE, _LOOPED),
}
"""By family, beside those that hold everywhere; languages that are not here declare types before or after names."""
