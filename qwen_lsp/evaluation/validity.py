"""Whether a file can still be parsed after a completion, where it could be before.

Python by its own parser, JSON and TOML by the standard library's, everything else by brackets and strings that are
closed (core/syntax.py). A file that was not valid before says nothing of the completion.
"""

from __future__ import annotations

import ast
import json
import re
import tomllib
import warnings
from collections.abc import Callable

from qwen_lsp.core.syntax import Mode, State, scan
from qwen_lsp.core.text import split


def still_valid(changed: str, original: str, language: str) -> bool | None:
    """Whether the changed text is valid; None when the original is not either."""
    check = _CHECKS.get(language)
    if check is None:
        return _closed(changed, language) if _closed(original, language) else None
    return check(changed) if check(original) else None


def _is_python(text: str) -> bool:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of a strange escape in someone's string
            ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    return True


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True


def _is_toml(text: str) -> bool:
    try:
        tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError):
        return False
    return True


def _closed(text: str, language: str) -> bool:
    """Whether every bracket, string and block comment that is opened is closed by its own closer, and no other."""
    state = State()
    for line in split(text):
        ends = scan(line, language, state)
        if _skips(line, language, state, ends):
            return False
        state = ends
    state = scan("\n", language, state)
    return state.mode is Mode.CODE and not state.brackets and not state.unopened


def _skips(line: str, language: str, state: State, ends: State) -> bool:
    """Whether a bracket closes more than one, which the scanner lets pass: it reads what is still being written."""
    skipped = False
    for piece in _UP_TO_CLOSER.findall(line):
        after = scan(piece, language, state)
        skipped = skipped or len(after.brackets) < len(state.brackets) - 1
        state = after
    return skipped and state == ends  # else a piece has cut a token in two, and says nothing


_UP_TO_CLOSER = re.compile(r"[^)\]}]*[)\]}]|[^)\]}]+")
_CHECKS: dict[str, Callable[[str], bool]] = {"python": _is_python, "json": _is_json, "toml": _is_toml}
