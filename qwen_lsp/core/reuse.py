"""Answers that still fit: what was given for a place is given again, less what has been typed since.

An answer belongs to a place: a document and the windows around its cursor. At another place it fits when all that
stands between the two is the beginning of the answer, and what follows the cursor is the same.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from cachetools import LRUCache, TTLCache

from qwen_lsp.core.context import Window
from qwen_lsp.core.model import Skip

ENTRIES = 250
LIFETIME = 300.0
"""Seconds an answer is kept."""
NEAR = 32
"""Answers with the same text after the cursor that a place is compared with."""
REJECTED_AFTER = 4
"""Code points that a person types instead of an answer before it counts as rejected: a slip is taken back sooner."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a question was asked, and all that its answer depends on."""

    uri: str
    service: str
    """The service, model and route that answer, as one string."""
    window: Window

    def typed_since(self, earlier: Place) -> str | None:
        """What has been typed from an earlier place to this one; None when anything else has changed."""
        if self.window.suffix != earlier.window.suffix or (self.uri, self.service) != (earlier.uri, earlier.service):
            return None
        # The window's beginning moves in steps: leave out the lines that only one of the two has.
        moved = self.window.first - earlier.window.first
        now = _without_lines(self.window.prefix, -moved)
        then = _without_lines(earlier.window.prefix, moved)
        if now is None or then is None or not now.startswith(then):
            return None
        return now[len(then) :]


@dataclass(frozen=True, slots=True)
class Known:
    """A finished answer."""

    text: str
    asked_ahead: Place | None = None
    """The place it was asked for before anyone wanted it; None for an answer that somebody waited for."""
    silent: Skip | None = None
    """Why nothing is left of it, if the model did write something."""


class Reuse:
    """Finished answers by place; an empty answer is remembered too, so that nobody asks again at once."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._answers: TTLCache[Place, Known] = TTLCache(ENTRIES, LIFETIME, timer=clock)
        self._near: LRUCache[tuple[str, str, str], deque[tuple[Place, Known]]] = LRUCache(ENTRIES)
        """The newest answers with the same text after the cursor: all that a look-up has to compare with."""

    def put(self, place: Place, known: Known) -> None:
        """Keeps a polished answer."""
        self._answers[place] = known
        self._near.setdefault(_surroundings(place), deque(maxlen=NEAR)).append((place, known))

    def rest(self, place: Place) -> Known | None:
        """What is left of an answer that fits here, "" where none is wanted; None when nothing fits.

        The longest rest wins: it has the most to say. An answer that something else was typed for is dropped.
        """
        best = self._answers.get(place)
        if best is not None and best.text:
            return best
        near = self._near.get(_surroundings(place), deque())
        for earlier, known in list(near):
            typed = place.typed_since(earlier)
            if typed is None:
                continue
            rest = remainder(known.text, typed)
            if rest is None and is_rejection(known.text, typed):
                self._answers.pop(earlier, None)
                near.remove((earlier, known))  # or each later key would compare with it in vain
            elif rest and (best is None or len(rest) > len(best.text)) and self._answers.get(earlier) is known:
                best = Known(rest, known.asked_ahead)
        return best

    def forget(self, uri: str) -> None:
        """Drops what is kept for a document."""
        for place in [place for place in self._answers if place.uri == uri]:
            del self._answers[place]
        for key in [key for key in self._near if key[0] == uri]:
            del self._near[key]


def _surroundings(place: Place) -> tuple[str, str, str]:
    return place.uri, place.service, place.window.suffix


def remainder(answer: str, typed: str | None) -> str | None:
    """What is left of an answer after its beginning was typed; None when something else was typed."""
    if typed is None or not answer.startswith(typed):
        return None
    return answer[len(typed) :]


def is_rejection(answer: str, typed: str) -> bool:
    """Whether enough was typed that is not in the answer to say that it is not wanted."""
    if not answer or answer.startswith(typed) or typed.startswith(answer):
        return False
    agreed = next(at for at, (one, other) in enumerate(zip(answer, typed, strict=False)) if one != other)
    instead = typed[agreed:]
    return len(instead) >= REJECTED_AFTER or "\n" in instead


def _without_lines(text: str, count: int) -> str | None:
    """`text` without its first `count` lines (none when negative); None when it has no more than that."""
    at = 0
    for _ in range(count):
        at = text.find("\n", at) + 1
        if at == 0:
            return None
    return text[at:]
