"""Answers that still fit: what was given for a place is given again, less what has been typed since.

An answer belongs to a place: a document and the windows around its cursor. At another place it fits when all that
stands between the two is the beginning of the answer, and what follows the cursor is the same.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from cachetools import TTLCache

from qwen_lsp.core.context import Window

ENTRIES = 250
LIFETIME = 300.0
"""Seconds an answer is kept."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a question was asked, and all that its answer depends on."""

    uri: str
    service: str
    """The service, model and route that answer, as one string."""
    window: Window

    def typed_since(self, earlier: Place) -> str | None:
        """What has been typed from an earlier place to this one; None when anything else has changed."""
        if (self.uri, self.service) != (earlier.uri, earlier.service):
            return None
        if self.window.suffix != earlier.window.suffix:
            return None
        # The window's beginning moves in steps: leave out the lines that only one of the two has.
        moved = self.window.first - earlier.window.first
        now = _without_lines(self.window.prefix, -moved)
        then = _without_lines(earlier.window.prefix, moved)
        if now is None or then is None or not now.startswith(then):
            return None
        return now[len(then) :]


class Reuse:
    """Finished answers by place; an empty answer is remembered too, so that nobody asks again at once."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._answers: TTLCache[Place, str] = TTLCache(ENTRIES, LIFETIME, timer=clock)

    def put(self, place: Place, answer: str) -> None:
        """Keeps a polished answer."""
        self._answers[place] = answer

    def rest(self, place: Place) -> str | None:
        """What is left of an answer that fits here, "" where none is wanted; None when nothing fits.

        The longest rest wins: it has the most to say.
        """
        exact = self._answers.get(place)
        if exact is not None:
            return exact
        rests = (remainder(answer, place.typed_since(earlier)) for earlier, answer in self._answers.items())
        return max((rest for rest in rests if rest), key=len, default=None)

    def forget(self, uri: str) -> None:
        """Drops what is kept for a document."""
        for place in [place for place in self._answers if place.uri == uri]:
            del self._answers[place]


def remainder(answer: str, typed: str | None) -> str | None:
    """What is left of an answer after its beginning was typed; None when something else was typed."""
    if typed is None or not answer.startswith(typed):
        return None
    return answer[len(typed) :]


def _without_lines(text: str, count: int) -> str | None:
    """`text` without its first `count` lines (none when negative); None when it has no more than that."""
    at = 0
    for _ in range(count):
        at = text.find("\n", at) + 1
        if at == 0:
            return None
    return text[at:]
