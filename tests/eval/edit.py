"""What accepting an item would do to the document, as the scorer wants it told. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tests.eval.items import units

_LINE = re.compile(r"[^\r\n]*(?:\r\n|\n|\r|$)")


@dataclass(frozen=True, slots=True)
class Edit:
    """An insertion in code points around the cursor. `text` None: nothing was suggested."""

    text: str | None
    before: int = 0
    after: int = 0
    inside: bool = True
    """The range lies on the cursor's line, within it, and contains the cursor."""
    shown: str = ""
    """What a person sees as new: `text` less what it repeats of the text before the cursor."""


def edit(item: Mapping[str, Any] | None, prefix: str, suffix: str, encoding: str) -> Edit:
    """The edit of an InlineCompletionItem at the cursor between two texts."""
    if item is None:
        return Edit(None)
    text = item["insertText"]
    text = text if isinstance(text, str) else text["value"]
    if (place := item.get("range")) is None:
        return Edit(text, shown=text)
    document, cursor = prefix + suffix, len(prefix)
    start, end = (offset(document, place[edge], encoding) for edge in ("start", "end"))
    if start is None or end is None:
        return Edit(text, inside=False, shown=text)
    covered = document[start:end]
    inside = start <= cursor <= end and not re.search(r"[\r\n]", covered)
    before, after = max(0, cursor - start), max(0, end - cursor)
    head = prefix[cursor - before :]
    return Edit(text, before, after, inside=inside, shown=text[before:] if text.startswith(head) else text)


def offset(document: str, place: Mapping[str, int], encoding: str) -> int | None:
    """The code point at a position; None where the document has no such place, or only half a letter there."""
    starts = [match.start() for match in _LINE.finditer(document)] if place["line"] else [0]
    # The empty match at the end is a line of its own only after a line end.
    if len(starts) > 1 and starts[-1] == len(document) and document[-1] not in "\r\n":
        starts.pop()
    if place["line"] >= len(starts):
        return None
    start = starts[place["line"]]
    match = _LINE.match(document, start)
    assert match is not None
    line = match[0].rstrip("\r\n")
    for column in range(len(line) + 1):
        reached = units(line[:column], encoding)
        if reached >= place["character"]:
            return start + column if reached == place["character"] else None
    return None
