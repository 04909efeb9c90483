"""The passages of other files that are shown with each document: looked for while the typist rests, and kept.

Looked for once for each line the cursor comes to, and again for who asks by hand; in between the same ones are shown,
so that consecutive prompts begin alike. A search goes on when the request that began it is gone: the next key needs it.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass

from qwen_lsp.core.context import Window, sticky
from qwen_lsp.core.model import Request, Snippet, Trigger
from qwen_lsp.engine.ports import Sources

logger = logging.getLogger(__name__)


@dataclass(slots=True)
class _Shown:
    """What is shown with one document."""

    line: int
    head: str
    """The cursor's line up to the cursor, when it was looked for."""
    room: int
    snippets: tuple[Snippet, ...] = ()
    search: asyncio.Task[None] | None = None


class Passages:
    """Those of all open documents. Used from the event loop's thread only."""

    def __init__(self, sources: Sources | None) -> None:
        self._sources = sources
        self._shown: dict[str, _Shown] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def look(self, request: Request, around: Window, room: int) -> asyncio.Future[None] | None:
        """Looks for what to show, `room` code points at most, if that is not known; the search, if one is running."""
        uri = request.snapshot.uri
        if self._sources is None or room <= 0:
            self._shown.pop(uri, None)
            return None
        head = around.prefix.rpartition("\n")[2]
        shown = self._shown.get(uri)
        if shown is None or shown.line != request.line or shown.room != room or _again(request, shown, head):
            shown = _Shown(request.line, head, room, shown.snippets if shown else ())
            self._shown[uri] = shown
            shown.search = asyncio.ensure_future(self._search(self._sources, request, around, shown))
            self._tasks.add(shown.search)
            shown.search.add_done_callback(self._tasks.discard)
        return shown.search if shown.search is not None and not shown.search.done() else None

    def shown(self, uri: str) -> tuple[Snippet, ...]:
        """What is shown with a document now, the most helpful last; nothing of a file that was forbidden since."""
        shown, sources = self._shown.get(uri), self._sources
        if shown is None or sources is None:
            return ()
        return tuple(snippet for snippet in shown.snippets if sources.shows(uri, snippet.path))

    def closed(self, uri: str) -> None:
        """A document was closed."""
        self._shown.pop(uri, None)

    async def close(self) -> None:
        """Ends every search."""
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)

    async def _search(self, sources: Sources, request: Request, around: Window, shown: _Shown) -> None:
        try:
            found = await sources.snippets(request, around, shown.room)
        except Exception as error:  # noqa: BLE001 - context is a help, never a condition
            logger.error("looking for passages failed: %s", type(error).__name__)  # noqa: TRY400 - may quote code
            return
        shown.snippets = sticky(shown.snippets, found, shown.room)


def _again(request: Request, shown: _Shown, head: str) -> bool:
    """Who asks by hand has written something since, and has nothing before them."""
    return request.trigger is Trigger.INVOKED and head != shown.head
