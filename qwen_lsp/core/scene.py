"""What stands around the cursor, as the stop rules and the polish look at it. Made from a window alone."""

from __future__ import annotations

from dataclasses import dataclass

from qwen_lsp.core.context import Window
from qwen_lsp.core.model import Route

_OPENED_BLOCKS = {"{": "}", "[": "]"}


@dataclass(frozen=True, slots=True)
class Scene:
    """The cursor's surroundings; lines are without their ends."""

    head: str
    """The cursor's line up to the cursor."""
    rest: str
    """The cursor's line from the cursor on."""
    above: str
    """The nearest line above that is not blank, or ""."""
    below: str
    """The nearest line below that is not blank, without blanks at its end, or ""."""
    prefix: str
    language: str
    route: Route

    @property
    def one_line(self) -> bool:
        """More than one line would push apart what stands right of the cursor.

        Only a block that the editor has opened and closed (`{` and `}` on either side) is meant to be torn open.
        """
        rest, head = self.rest.strip(), self.head.rstrip()
        if not rest:
            return False
        return not (head and _OPENED_BLOCKS.get(head[-1]) == rest[0])


def scene(window: Window, language: str, route: Route) -> Scene:
    """The surroundings of a window's cursor."""
    above, _, head = window.prefix.rpartition("\n")
    rest, _, below = window.suffix.partition("\n")
    return Scene(
        head=head,
        rest=rest,
        above=_last_line(above),
        below=_first_line(below).rstrip(),
        prefix=window.prefix,
        language=language,
        route=route,
    )


def _last_line(text: str) -> str:
    """The last line that is not blank. Only it is cut out: this stands before every request."""
    end = len(text.rstrip())
    return text[text.rfind("\n", 0, end) + 1 :].partition("\n")[0] if end else ""


def _first_line(text: str) -> str:
    """The first line that is not blank."""
    begin = len(text) - len(text.lstrip())
    return text[text.rfind("\n", 0, begin) + 1 :].partition("\n")[0] if begin < len(text) else ""


def indentation(line: str) -> int:
    """Code points of blank before a line's first character. Tabs count as one: lines of one file are compared."""
    return len(line) - len(line.lstrip(" \t"))


def is_fence(line: str, language: str) -> bool:
    """A markdown fence, in a document where none belongs."""
    return line.lstrip().startswith("```") and language not in {"markdown", "mdx", "rst", "quarto"}
