"""Documents as the tests write them: `█` is the cursor, `⟦ ⟧` hold what accepting a ghost put in."""

from __future__ import annotations

from qwen_lsp.core.context import Budget, window
from qwen_lsp.core.model import Ghost, Request, Route, Snapshot, Trigger
from qwen_lsp.core.scene import Scene, scene
from qwen_lsp.core.text import split

CURSOR = "█"
WIDE = Budget(10_000, 10_000)


def at(
    text: str, *, language: str = "python", uri: str = "file:///src/app.py", trigger: Trigger = Trigger.AUTOMATIC
) -> Request:
    """The request that an editor makes at the `█` of a document."""
    before, _, after = text.partition(CURSOR)
    lines = tuple(split(before + after))
    head = split(before)
    return Request(Snapshot(uri, language, 1, lines), len(head) - 1, len(head[-1]), trigger)


def around(text: str, *, language: str = "python", route: Route = Route.FIM) -> Scene:
    """The surroundings of the `█` of a document."""
    return scene(window(at(text), WIDE), language, route)


def accepted(request: Request, ghost: Ghost) -> str:
    """The document after a ghost was accepted, what it put in between `⟦ ⟧`."""
    lines = list(request.snapshot.lines)
    line = lines[ghost.line]
    lines[ghost.line] = f"{line[: ghost.start]}⟦{ghost.insert}⟧{line[ghost.end :]}"
    return "".join(lines)
