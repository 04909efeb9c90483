"""How long to rest before asking: from the typist's own rhythm and the service's own speed. Knows no clock.

Waiting saves a request only when the next key comes before the wait is over, and costs time at every other key. What
was asked too early is not lost (the next key takes the generation over), so the rest is short, and none where the
service is slower than the typist: by the time it has anything to say, it is known whether it was wanted.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

SAMPLES = 20
LONGEST_GAP = 1.0
"""Seconds: a longer pause is thinking, and no part of the rhythm."""
USUAL_GAP = 0.15
"""Seconds between keys of a practised typist, until this one's are known."""
LONGEST_REST = 0.4
SHORTEST_REST = 0.03
"""Seconds: keys do not come faster (a key held down repeats 30 times a second), so a shorter rest joins nothing."""
PATIENCE = 0.75
"""Seconds after which one request is let through although the keys keep coming."""
TEN = 10
SLOW = 2.0
"""Seconds until the first text beyond which a service is called slow: a person has typed on long before."""
FLOW = 0.25
"""Seconds: with shorter gaps the next key is likely to come before an answer that is still being written."""


@dataclass(slots=True)
class Rhythm:
    """The keys of one person, and the answers of one service. Seconds; `now` only has to be monotonic."""

    _gaps: deque[float] = field(default_factory=lambda: deque(maxlen=SAMPLES))
    _last_key: float | None = None
    _latency: float | None = None
    _latencies: deque[float] = field(default_factory=lambda: deque(maxlen=TEN))
    _unasked_since: float | None = None

    def key(self, now: float) -> None:
        """A key was typed: the editor asked by itself."""
        if self._last_key is not None and 0 < now - self._last_key < LONGEST_GAP:
            self._gaps.append(now - self._last_key)
        self._last_key = now

    def answered(self, latency: float) -> None:
        """A generation had its first text after this long."""
        self._latencies.append(latency)
        self._latency = latency if self._latency is None else 0.7 * self._latency + 0.3 * latency

    def asked(self) -> None:
        """A request has gone out."""
        self._unasked_since = None

    @property
    def slow(self) -> float | None:
        """The mean of the last ten latencies, if it is more than anyone waits for; None as long as there are fewer."""
        mean = sum(self._latencies) / TEN if len(self._latencies) == TEN else 0.0
        return mean if mean > SLOW else None

    @property
    def latency(self) -> float | None:
        """Seconds until a generation's first text, usually."""
        return self._latency

    @property
    def gap(self) -> float:
        """Seconds between two keys, usually: the median, which a few pauses do not move."""
        return sorted(self._gaps)[len(self._gaps) // 2] if self._gaps else USUAL_GAP

    @property
    def flow(self) -> float | None:
        """The usual gap while a person types so fast that it matters, else None."""
        return self.gap if self.gap <= FLOW else None

    def nearly_through(self, left: int) -> bool:
        """Whether a person in full flow types the `left` characters of a suggestion before the next could be there."""
        return self.flow is not None and left * self.gap <= (self._latency or 0.0) + self.gap

    def rest(self, now: float, *, deleting: bool = False) -> float:
        """Seconds without a key after which to ask, where nothing known fits.

        Who deletes goes on deleting, mostly to a place whose answer is known.
        """
        if deleting:
            return min(2 * self.gap, LONGEST_REST)
        if self._unasked_since is None:
            self._unasked_since = now
        if now - self._unasked_since >= PATIENCE:
            return 0.0
        rest = min(0.5 * self.gap - (self._latency or 0.0), LONGEST_REST)
        return rest if rest >= SHORTEST_REST else 0.0
