"""Where in one file something can be cut out that is worth being completed.

Only code that a person writes by thinking: no comments, no blank lines, no strings of several lines, no line that is
only `else:` or a closing bracket. What is cut out of nested text is balanced, so that one right answer exists. The
scanner (core/syntax.py) tells code from comments and strings; nothing here knows a language.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from qwen_lsp.core.syntax import Mode, State, grammar, scan
from qwen_lsp.core.text import length, split
from qwen_lsp.evaluation.hole import Hole, Kind, Source

LONGEST = 120
"""Characters of a line-end or of arguments at most: what is longer is data or prose."""
_MESSAGE = 30
"""Characters of a string from which on it is prose, which nobody can guess."""
LEAST_LINES, MOST_LINES = 2, 8
TAB = 4

_WORD = re.compile(r"[^\W\d]\w*")
_TOKEN = re.compile(r"\w+|\s+|[=<>!&|+\-*/%:.?~^]+|.")
_CALL = re.compile(r"([^\W\d]\w*)\(")
_WORD_BEFORE = re.compile(r"([^\W\d]\w*)[ \t]+[&*]*$")
_GOES_ON = re.compile(r"(else|elif|elsif|except|finally|catch|rescue|ensure|then|do|end|fi|done|esac|case|default)\b")
_STRING = re.compile(r"""[rRbBuUfF]{0,2}(?:"[^"]*"|'[^']*'|`[^`]*`)[,;)]*""")
_DOC = re.compile(r"""[rRuU]?(?:\"{3}|'{3})""")
_QUOTES = "\"'`"
# Words that stand before brackets without being called, and words that may stand before a call; whatever other word
# stands before a name and its bracket makes a declaration of it (`def f(`, `void f(`, `fn f(`).
_NO_CALL = frozenset(
    {"if", "elif", "while", "for", "foreach", "switch", "catch", "return", "and", "or", "not", "in", "is", "lambda"}
    | {"await", "del", "match", "case", "with", "when", "until", "unless", "function", "func", "fn", "def", "sizeof"}
)
_BEFORE_CALL = frozenset(
    {"return", "await", "yield", "new", "not", "and", "or", "in", "is", "else", "elif", "if", "while", "raise", "throw"}
    | {"assert", "delete", "del", "typeof", "echo", "print", "case", "when", "unless", "until", "go", "defer", "lambda"}
    | {"from", "async", "do", "then", "puts", "export", "default"}
)

Span: TypeAlias = tuple[int, int]
"""The offsets between which something is cut out."""


@dataclass(frozen=True, slots=True)
class _Line:
    """One line, where it begins in the file, and what the scanner knows at its beginning and its end."""

    at: int
    text: str
    begins: State
    ends: State
    is_code: bool
    """From its first to its last character, and not blank."""

    @property
    def bare(self) -> str:
        return self.text.strip()

    @property
    def indent(self) -> int:
        """Columns."""
        return len(self.text[: self.lead].expandtabs(TAB))

    @property
    def lead(self) -> int:
        """Characters."""
        return len(self.text) - len(self.text.lstrip())


def places(source: Source, kind: Kind, chance: random.Random) -> list[Span]:
    """Every place of a kind, at most one a line; of several in a line `chance` takes one."""
    return list(_FINDERS[kind](_lines(source), source.language, chance))


def cut(source: Source, kind: Kind, span: Span) -> Hole:
    """The file with a place cut out."""
    start, end = span
    text = source.text
    return Hole(source.path, source.language, kind, text[:start], text[start:end], text[end:])


def worth(text: str) -> bool:
    """Whether a line says something: two words, or a call of one."""
    words = _WORD.findall(text)
    return len(words) >= 2 or (len(words) == 1 and "(" in text)


def _lines(source: Source) -> list[_Line]:
    lines = []
    at, state = 0, State()
    for whole in split(source.text):
        text = whole[: length(whole)]
        ends = scan(text, source.language, state)
        code = bool(text.strip()) and state.mode is ends.mode is Mode.CODE
        lines.append(_Line(at, text, state, ends, code and not _has_comment(text, source.language, state)))
        # A line comment ends with the line's end: the scanner has to see that, whatever it is on disk.
        state = scan("\n", source.language, ends) if len(text) < len(whole) else ends
        at += len(whole)
    return lines


def _has_comment(text: str, language: str, state: State) -> bool:
    """Whether a comment begins and ends in a line of code."""
    for opener, _ in grammar(language).block_comments:
        at = text.find(opener)
        if at >= 0 and scan(text[: at + len(opener)], language, state).mode is Mode.BLOCK_COMMENT:
            return True
    return False


def _line_ends(lines: Sequence[_Line], language: str, chance: random.Random) -> Iterator[Span]:
    for line in lines:
        if not line.is_code or _is_prose(line.bare):
            continue
        columns = [match.start() for match in _TOKEN.finditer(line.text) if not match[0].isspace()][1:]
        columns = [column for column in columns if not _splits_string(line.text, column)]
        chance.shuffle(columns)
        for column in columns:
            rest = line.text[column:]
            if not (3 <= len(rest.rstrip()) <= LONGEST and _WORD.search(rest)):
                continue
            if scan(line.text[:column], language, line.begins).mode is Mode.CODE:
                yield line.at + column, line.at + len(line.text)
                break


def _whole_lines(lines: Sequence[_Line], _language: str, _chance: random.Random) -> Iterator[Span]:
    for line in lines:
        balanced = line.begins.brackets == line.ends.brackets
        if line.is_code and balanced and worth(line.bare) and not _is_prose(line.bare):
            yield line.at + line.lead, line.at + len(line.text)


def _blocks(lines: Sequence[_Line], _language: str, _chance: random.Random) -> Iterator[Span]:
    for first, line in enumerate(lines):
        if not (line.indent and line.is_code and worth(line.bare)) or _begins_amid(line):
            continue
        last = _end_of_block(lines, first)
        run = lines[first : last + 1]
        if not LEAST_LINES <= len(run) <= MOST_LINES or any(not each.is_code or _is_doc(each.bare) for each in run):
            continue
        if run[-1].ends.brackets == line.begins.brackets:
            yield line.at + line.lead, run[-1].at + len(run[-1].text)


def _end_of_block(lines: Sequence[_Line], first: int) -> int:
    """The last line from `first` on before a blank one, or one that is indented less."""
    last = first
    for at in range(first + 1, min(len(lines), first + MOST_LINES + 1)):
        if not lines[at].bare or lines[at].indent < lines[first].indent:
            break
        last = at
    return last


def _arguments(lines: Sequence[_Line], language: str, chance: random.Random) -> Iterator[Span]:
    for line in lines:
        if not line.is_code or "(" not in line.text:
            continue
        calls = list(_CALL.finditer(line.text))
        chance.shuffle(calls)
        for call in calls:
            end = None if _is_declared(line.text, call) else _closer(line, call.end(), language)
            if end is not None and _are_arguments(line.text[call.end() : end]):
                yield line.at + call.end(), line.at + end
                break


def _closer(line: _Line, start: int, language: str) -> int | None:
    """The column of the bracket that closes the one before `start`, on the same line."""
    inside = scan(line.text[:start], language, line.begins)
    if inside.mode is not Mode.CODE:
        return None
    for column in (match.start() for match in re.finditer(r"\)", line.text[start:])):
        behind = scan(line.text[: start + column + 1], language, line.begins)
        if behind.mode is Mode.CODE and len(behind.brackets) < len(inside.brackets):
            return start + column
    return None


def _is_declared(text: str, call: re.Match[str]) -> bool:
    """Whether a name and its bracket are a keyword's or a declaration's, and no call."""
    word = _WORD_BEFORE.search(text[: call.start()])
    return call[1] in _NO_CALL or (word is not None and word[1] not in _BEFORE_CALL)


def _are_arguments(text: str) -> bool:
    message = len(text) > _MESSAGE and _is_prose(text)
    return 3 <= len(text.strip()) <= LONGEST and text == text.strip() and bool(_WORD.search(text)) and not message


def _splits_string(text: str, column: int) -> bool:
    """Whether a column lies between a string's quotes or its prefix and the rest of it."""
    return text[column] in _QUOTES and (text[column - 1] in _QUOTES or text[column - 1].isalnum())


def _begins_amid(line: _Line) -> bool:
    """Whether a line goes on with what stands above it."""
    return line.bare[0] in ")]}.,&|?:" or bool(_GOES_ON.match(line.bare))


def _is_prose(bare: str) -> bool:
    """Whether a line is a string and nothing else: a docstring, a line of a message."""
    return bool(_STRING.fullmatch(bare)) or _is_doc(bare)


def _is_doc(bare: str) -> bool:
    """Whether a line is a docstring, or begins or ends one."""
    return bool(_DOC.match(bare))


_Finder: TypeAlias = Callable[[Sequence[_Line], str, random.Random], Iterator[Span]]
_FINDERS: dict[Kind, _Finder] = {
    Kind.LINE_END: _line_ends,
    Kind.LINE: _whole_lines,
    Kind.BLOCK: _blocks,
    Kind.ARGUMENTS: _arguments,
}
