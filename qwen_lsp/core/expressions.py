"""What is being written at the cursor: the expression whose member comes next, the calls that the cursor stands in.

By text alone; what a name resolves to is for who knows other files (workspace/resolving.py).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

_FAR = 1500
"""Code points before the cursor in which an open bracket is looked for."""
_LINE = 240
"""Code points of a line before a bracket that say what it belongs to."""


@dataclass(frozen=True, slots=True)
class Link:
    """One name of an expression like `a.b().c`."""

    name: str
    called: bool = False


Chain = tuple[Link, ...]


def receiver(prefix: str) -> tuple[Chain, str]:
    """The expression before the last separator, and the part of a name after it that is already typed.

    >>> receiver("x = self.queue.get(1).na")
    ((Link(name='self', called=False), Link(name='queue', called=False), Link(name='get', called=True)), 'na')

    The chain is empty where the cursor stands at no member.
    """
    near = prefix[-_FAR:]
    end = len(near)
    begin = _word_begin(near, end)
    partial = near[begin:end]
    at = _separator(near, begin)
    return (_backwards(near, at) if at >= 0 else ()), partial


def expression(text: str) -> Chain:
    """The expression that a text ends with; an unclosed call at its end counts as called."""
    near = text[-_FAR:].rstrip(" \t;,&|+")
    if near.count(")") > near.count("("):  # `for (const row of rows)`
        near = near.rstrip(")")
    opened = _open_brackets(near)
    if opened:
        near = near[: opened[0]] + "()" if near[opened[0]] == "(" else near[: opened[0]]
    return _backwards(near, len(near))


def _word_begin(text: str, end: int) -> int:
    while end and (text[end - 1].isalnum() or text[end - 1] in "_$#"):
        end -= 1
    return end


def _separator(text: str, end: int) -> int:
    """Where the expression before a separator ends; -1 when there is no separator there."""
    for mark in ("?.", "!.", "::", "->", "."):
        if text.endswith(mark, 0, end):
            before = end - len(mark)
            if mark == "." and text.endswith("..", 0, end):
                return -1
            # A chain over several lines: the separator begins a line.
            blank = len(text[:before].rstrip())
            return blank if "\n" in text[blank:before] or not text[blank:before] else -1
    return -1


def _backwards(text: str, end: int) -> Chain:
    """The chain that ends at `end`."""
    links: list[Link] = []
    while end > 0 and len(links) < 8:
        while end and text[end - 1] in "?!":
            end -= 1
        called = False
        while end and text[end - 1] in ")]>":
            opener = _opener(text, end - 1)
            if opener < 0:
                return tuple(reversed(links))
            called = called or text[end - 1] == ")"
            end = opener
            if text.endswith("::", 0, end) and text[opener] == "<":
                end -= 2
        begin = _word_begin(text, end)
        if begin == end:
            break
        links.append(Link(text[begin:end], called))
        end = _separator(text, begin)
    return tuple(reversed(links))


def _opener(text: str, at: int) -> int:
    """Where the bracket that closes at `at` opens; -1 when it does not, or too far away."""
    pairs = {")": "(", "]": "[", ">": "<"}
    closer, opener = text[at], pairs[text[at]]
    depth = 0
    for index in range(at, max(-1, at - 600), -1):
        char = text[index]
        if char == closer and not (closer == ">" and text[index - 1 : index] in {"-", "="}):
            depth += 1
        elif char == opener:
            depth -= 1
            if not depth:
                return index
        elif closer == ">" and char in ";{}\n":
            return -1
    return -1


_BRACKETS = re.compile(r"\"(?:\\.|[^\"\\\n])*\"|'(?:\\.|[^'\\\n])*'|//[^\n]*|(?P<open>[(\[{])|(?P<close>[)\]}])")


def _open_brackets(text: str) -> list[int]:
    """Where the brackets that are still open at a text's end stand, the outermost first."""
    stack: list[int] = []
    for match in _BRACKETS.finditer(text):
        if match["open"]:
            stack.append(match.start())
        elif match["close"] and stack:
            stack.pop()
    return stack


def calls(prefix: str) -> Iterator[tuple[Chain, str]]:
    """What the brackets belong to that the cursor stands in, with the bracket, the innermost first.

    `Foo(1, ` gives (Foo, "("), `&pkg.Foo{` gives (pkg.Foo, "{"), `options = { ` gives (options, "="). A block of
    statements ends it: what stands around a function's body says nothing of what comes in it.
    """
    near = prefix[-_FAR:]
    near = near[near.find("\n") + 1 :] if len(prefix) > _FAR else near
    for at in reversed(_open_brackets(near)):
        bracket = near[at]
        end = len(near[:at].rstrip(" "))
        line = near[max(near.rfind("\n", 0, end) + 1, end - _LINE) : end]
        if _DECLARING.match(line) or (bracket == "{" and _BLOCK.search(line)):
            return
        if bracket == "{" and (given := _GIVEN_LITERAL.search(line)):
            yield (Link(given["name"]),), "="
        elif bracket != "[":
            chain = _backwards(near, end)
            if chain and chain[-1].name not in _NOT_CALLED:
                yield chain, bracket


_DECLARING = re.compile(
    r"\s*(?:(?:pub(?:\([^)]*\))?|async|export|default|public|private|protected|static|const|unsafe|abstract|override)\s+)*"
    r"(?:def|func|fn|function|class|impl|interface|struct|enum|trait|fun)\b"
)
_BLOCK = re.compile(
    r"(?:=>|->|\)|\||\b(?:else|try|do|finally|loop|unsafe|async|move))$"
    r"|^\s*(?:\}\s*)?(?:if|for|while|switch|match|else|func|catch|select|when|using|lock|foreach|try)\b|\bfunc\([^)]*\)[^{]*$"
)
_GIVEN_LITERAL = re.compile(r"(?P<name>[\w$]+)\s*(?::[^=]+)?=$")
_NOT_CALLED = frozenset(
    {"if", "for", "while", "switch", "match", "catch", "return", "and", "or", "not", "in", "elif", "with", "await",
     "else", "do", "try", "assert"}
)  # fmt: skip
