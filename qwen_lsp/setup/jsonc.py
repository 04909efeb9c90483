"""JSON with comments, as VS Code's settings are: adds a member and leaves all else as it is."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from qwen_lsp.setup.plan import Unusable

_TOKEN = re.compile(
    r"""(?P<blank>[\s\ufeff]+|//[^\n]*|/\*.*?\*/)|(?P<word>"(?:\\.|[^"\\])*"|[{}\[\]:,]|[^\s{}\[\]:,"/]+)""", re.DOTALL
)


def with_member(text: str, key: str, value: str) -> str:
    """The text of an object with one more member at its end; unchanged where it has that key already.

    Raises:
        Unusable: it is no JSON object.
    """
    words = list(_words(text))
    member = f"{json.dumps(key)}: {json.dumps(value, ensure_ascii=False)}"
    if not words:
        return f"{text}{'' if not text or text.endswith(chr(10)) else chr(10)}{{\n  {member}\n}}\n"
    if key in _value([word for word, _ in words]):
        return text
    close, (last, end) = words[-1][1] - 1, words[-2]
    comma = "" if last in "{," else ","
    # What stands between the last member and the brace may be a comment about that member.
    between = text[end:close].rstrip()
    return f"{text[:end]}{comma}{between}\n{_indent(text)}{member}\n{text[close:]}"


def _words(text: str) -> Iterator[tuple[str, int]]:
    """What is neither blank nor comment, each with where it ends."""
    at = 0
    while at < len(text):
        found = _TOKEN.match(text, at)
        if found is None:
            raise Unusable("is not JSON")
        at = found.end()
        if found["word"]:
            yield found["word"], at


def _value(words: list[str]) -> dict[str, Any]:
    """What the words say; a comma before a closing bracket is allowed, as VS Code does."""
    around = zip(["", *words], words, [*words[1:], ""], strict=False)
    kept = [word for before, word, after in around if word != "," or before in set("{[,") or after not in set("}]")]
    try:
        value = json.loads(" ".join(kept))
    except ValueError:
        raise Unusable("is not JSON") from None
    if not isinstance(value, dict):
        raise Unusable("holds no JSON object")
    return value


def _indent(text: str) -> str:
    """That of the first line inside the object."""
    found = re.search(r"\{\s*?\n([ \t]+)\S", text)
    return found[1] if found else "  "
