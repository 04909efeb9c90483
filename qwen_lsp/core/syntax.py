"""What the rules ask of a text without a parser: where a place in it is, what a line opens or begins.

`scan` is the fold under it (core/scanner.py), the languages are a table (core/grammars.py). Nothing here raises or
takes more than linear time; all of it can be wrong where only a parser is right. Knows nothing of documents.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

from qwen_lsp.core.grammars import Grammar, grammar, line_comment
from qwen_lsp.core.scanner import Mode, State, code_of, long_strings, scan

__all__ = [
    "Grammar",
    "Mode",
    "State",
    "code_of",
    "grammar",
    "line_comment",
    "mode_at",
    "opens_block",
    "scan",
    "top_level_definition",
]

_START: Final = State()


def mode_at(prefix: str, language: str, *, whole: bool = False) -> State:
    """Where one is at the end of `prefix`, a part of a document that may begin anywhere at a line's beginning.

    `whole`: it is the document from its beginning. Else it may begin inside a docstring or a comment; that is guessed
    from whether what stands between the delimiters reads like code.
    """
    return scan(prefix, language, _START if whole else _beginning(prefix, language))


def _beginning(prefix: str, language: str) -> State:
    """The state that a window most likely begins in."""
    rules = grammar(language)
    for opener, closer in rules.block_comments:
        if opener != closer and _ends_first(prefix, opener.strip(), closer.strip()):
            return State(Mode.BLOCK_COMMENT, closer)
    inside = list(long_strings(prefix, language))
    within = sum(map(_codeness, inside))
    # Outside is what a docstring says, and inside stands the code between two of them: the window begins in one.
    if within > 0 and within > _codeness(prefix) - within:
        opener = inside[0][:1] if inside[0][0] == "`" else inside[0][:3]
        return State(Mode.STRING, opener)
    return _START


def _ends_first(prefix: str, opener: str, closer: str) -> bool:
    """Whether a block comment ends that has not begun in this text, or all lines are a comment's middle."""
    end = prefix.find(closer)
    if end < 0:
        return opener == "/*" and opener not in prefix and all(map(_STAR_LINE.match, prefix.split("\n")))
    begin = prefix.find(opener)
    if 0 <= begin < end:
        return False
    line = prefix[prefix.rfind("\n", 0, end) + 1 : end]
    alone = not prefix[end + len(closer) :].partition("\n")[0].strip()
    return alone and (not line.strip(" \t*") or (closer[0] != "]" and not any(sign in line for sign in "\"'`")))


_STAR_LINE: Final = re.compile(r"[ \t]*\*(?: |$)")
_PROSE: Final = re.compile(
    r"(?!(?:async|assert|class|def|elif|except|for|from|if|import|raise|return|while|with)\b)"
    r"[A-Za-z][\w'-]*(?: [\w'(`-][\w'`)-]*[.,:;]?){3,}$"
)
_CODE: Final = re.compile(
    r"@\w|[\w.\[\]\"']+(?:: [\w.\[\]]+)? (?:[-+*/|]|:)?= |[)}\]]+[;,]?$|"
    r"(?:return|import|from|def|class|func|fn|let|const|var)\b"
)
_CODE_ENDS: Final = (";", "{", "}", "(", "[", ")", "):", "=>", "->")
_LONG: Final = 200
"""Code points of a line that are looked at: longer ones are data."""


def _codeness(text: str) -> int:
    """Lines that look like code, less those that look like prose."""
    score = 0
    for line in text.split("\n"):
        bare = line.strip()
        if _PROSE.match(bare[:_LONG]):
            score -= 1
        elif bare.endswith(_CODE_ENDS) or _CODE.match(bare[:_LONG]):
            score += 1
    return score


_CASE: Final = re.compile(r"[ \t]*(?:case\b.*|default|public|private|protected)[ \t]*:$")
_TAG: Final = re.compile(r"(?<!\w)<([A-Za-z][\w.:-]*)(?:\s[^<>]*)?(?<![/?-])>$")
_VOID_TAGS: Final = frozenset(
    ("area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "track", "wbr")
)


def opens_block(line: str, language: str) -> bool:
    """Whether what comes next belongs to a block that this line opens. A comment at its end is ignored."""
    code = code_of(line, language)
    if not code:
        return False
    if code[-1] in "([{" or _block_pattern(language).search(code) or _CASE.match(code):
        return True
    rules = grammar(language)
    if rules.markup and (tag := _TAG.search(code)):
        return tag[1].lower() not in _VOID_TAGS
    return rules.lists and bool(scan(code, language).brackets)


@lru_cache(maxsize=128)
def _block_pattern(language: str) -> re.Pattern[str]:
    rules = grammar(language)
    parts = []
    if rules.block_ends:
        # `do` but not `redo`, `=` but not `==`.
        parts.append(rf"(?:(?<![\w.])(?=\w)|(?<![=<>!|:])(?=\W))(?:{rules.block_ends})$")
    if rules.block_lines:
        parts.append(rf"^[ \t]*(?:{rules.block_lines})$")
    return re.compile("|".join(parts) or r"(?!)")


def top_level_definition(line: str, language: str) -> bool:
    """Whether the line begins a definition, an import, a decorator or the like, in column 0."""
    return bool(_definition_pattern(language).match(line))


@lru_cache(maxsize=128)
def _definition_pattern(language: str) -> re.Pattern[str]:
    words = grammar(language).definitions
    return re.compile(rf"(?:{words})(?!(?<=\w)\w)" if words else r"(?!)")
