"""Whether a service may be asked now, from what it was sent and what it refused. Reads no clock: times are arguments.

Nothing is limited before a service has failed. A failure is followed by a pause, a failure after that by one twice as
long, until a success. A refusal for rate teaches a limit: what had gone out just then, less some, and a little more
again for every minute that goes well. What the person asks for by hand goes before what is asked while they type, and
this before what is only prepared.

Promises: after a RATE error nothing goes out before its Retry-After has passed; pauses never shrink without a success;
within any minute, second or burst's span nothing goes beyond what is learned for it. Times are seconds of one clock
that never goes back.
"""

from __future__ import annotations

import math
import re
from collections import deque
from dataclasses import dataclass
from enum import Enum

from qwen_lsp.core.dialects.errors import POLICIES
from qwen_lsp.core.model import BackendError, Kind, Reason

LONGEST = 300.0
"""Seconds of a pause at most, unless the service asks for more."""
MINUTE, BURST, SECOND = 60.0, 10.0, 1.0
"""DashScope's limits act by the minute and by the second (Rate limits: RPM / 60); its guard against bursts looks at how
fast the rate grows, over a span that the documents do not tell."""

_LEAST = {MINUTE: 6, BURST: 3, SECOND: 2}
"""Requests that no refusal takes away: one of two is the hand's, and pauses hold back what is still too many."""
_LESS = 0.7
"""What a refusal leaves of what had gone out."""
_MORE = 0.1
"""Of what was refused, this comes back with each minute that goes well: three minutes until it is tried again."""
_GROWTH = 1.5
"""How much more may go out in a burst's span than in the one before it, once the service has complained of bursts."""
_JITTER = 0.25
_BY_HAND = 1.0
"""Seconds from the second failure in a row to a person's next try, so that a key held down is no storm."""
_PATIENCE = 3
"""Kinds without a pause are about one request; when this many fail in a row it is more than that."""
_FIRST_OF_PATIENCE = 2.0
_GRAINS = 100
"""Sends are counted in steps of a hundredth of a span: memory is bounded, and an error of 1 % is on the safe side."""

# The service's own code stands in brackets at the end of a message (dialects/errors.py).
_BURST_CODE = re.compile(r"burst", re.IGNORECASE)
_TOKENS_CODE = re.compile(r"allocation|insufficient_quota|token", re.IGNORECASE)


class Urgency(Enum):
    """Who wants an answer."""

    INVOKED = 1
    """A person pressed a key for it: it may use the last of a limit, and try a service that has failed."""
    AUTOMATIC = 2
    """The editor asked while somebody types: leaves one more of the same to the hand."""
    BACKGROUND = 3
    """Nobody waits yet: leaves half of every limit, and does not go first after a failure."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """Not now. `detail` is one line for a person."""

    reason: Reason
    detail: str
    wait: float
    """Seconds until it is worth asking again, if nothing else goes out meanwhile."""


class Guard:
    """What is known of one service's limits and health."""

    def __init__(self) -> None:
        self._requests = (_Bucket(MINUTE), _Bucket(SECOND))
        self._tokens = (_Bucket(MINUTE), _Bucket(SECOND))
        self._burst = _Ramp(BURST)
        self._typical = 0.0
        """Tokens of an ordinary request."""
        self._failures = 0
        """Failures since the last success."""
        self._pause = 0.0
        """Seconds of the last pause since the last success, without jitter."""
        self._until = -math.inf
        """The end of the pause."""
        self._shut = -math.inf
        """The end of a RATE error's Retry-After: nothing passes before it."""
        self._failed_at = -math.inf
        self._last: BackendError | None = None

    def refusal(self, now: float, urgency: Urgency, tokens: int) -> Refusal | None:
        """Why a request of about so many tokens may not go out now; None when it may. Changes nothing.

        Of several reasons the one that lasts longest is given.
        """
        found = [refusal for refusal in (self._resting(now, urgency), self._over(now, urgency, tokens)) if refusal]
        return max(found, key=lambda refusal: refusal.wait, default=None)

    @property
    def failures(self) -> int:
        """Failures since the last success."""
        return self._failures

    def sent(self, now: float, tokens: int) -> None:
        """A request has gone out, whatever becomes of it."""
        self._typical += (tokens - self._typical) / 8 if self._typical else tokens
        for bucket in (*self._requests, self._burst):
            bucket.take(now, 1)
        for bucket in self._tokens:
            bucket.take(now, tokens)

    def succeeded(self, now: float, tokens_used: int | None = None) -> None:
        """An answer has come; `tokens_used` is what the service counted for it, if it said so."""
        self._failures, self._pause, self._until = 0, 0.0, self._shut
        for bucket in (*self._requests, *self._tokens, self._burst):
            bucket.raise_limit(now)
        # Only what it cost beyond an ordinary request: limits are learned in the same coin, so that precision in it
        # buys nothing.
        beyond = 0 if tokens_used is None else int(tokens_used - self._typical)
        if beyond > 0:
            for bucket in self._tokens:
                bucket.add(now, beyond)

    def failed(self, now: float, error: BackendError, jitter: float = 0.5) -> None:
        """A request has failed. `jitter`, from 0 to 1, lengthens the pause, so that editors do not return together."""
        self._failures += 1
        self._failed_at = now
        # What fails during a pause was on its way before it, or was tried by hand: no news of the service.
        news = now >= self._until
        wait = error.retry_after or 0.0
        if error.kind is Kind.RATE:
            self._learn(now, error)
            self._shut = max(self._shut, now + wait)
        self._last = error
        first = POLICIES[error.kind].cool_down
        if not first and self._failures >= _PATIENCE:
            first = _FIRST_OF_PATIENCE
        if not (first or wait):
            return
        self._pause = min(LONGEST, max(first, 2 * self._pause if news else self._pause))
        pause = min(LONGEST, self._pause * (1 + _JITTER * jitter))
        self._until = max(self._until, now + pause, now + wait)

    def _resting(self, now: float, urgency: Urgency) -> Refusal | None:
        """Whether the service is left alone because it failed."""
        end = self._until
        if urgency is Urgency.INVOKED:
            held = self._failed_at + _BY_HAND if self._failures > 1 else now
            end = max(self._shut, min(end, held))
        elif urgency is Urgency.BACKGROUND and self._pause:
            end = max(end, now + self._pause)
        if self._last is None or now >= end:
            return None
        return Refusal(Reason.COOLING_DOWN, self._last.message, end - now)

    def _over(self, now: float, urgency: Urgency, tokens: int) -> Refusal | None:
        """Whether what is learned of the limits leaves no room."""
        counts = ((bucket, 1) for bucket in (*self._requests, self._burst))
        amounts = ((bucket, tokens) for bucket in self._tokens)
        wait = max(bucket.wait(now, amount, urgency) for bucket, amount in (*counts, *amounts))
        if not wait:
            return None
        return Refusal(Reason.RATE_LIMITED, f"more would exceed the service's rate limit; try in {wait:.1f} s", wait)

    def _learn(self, now: float, error: BackendError) -> None:
        """Lowers the limit that has most likely been met."""
        code = error.message.rpartition("(")[2]
        if _BURST_CODE.search(code):
            self._burst.lower(now, 1)
            return
        of_tokens = bool(_TOKENS_CODE.search(code))
        minute, second = self._tokens if of_tokens else self._requests
        # A limit by the second is met by two that go out together, and does not ask for a long wait.
        together = self._requests[1].latest > 1 and (error.retry_after or 0.0) <= 2 * SECOND
        (second if together else minute).lower(now, self._typical if of_tokens else 1)


class _Bucket:
    """What may go out within `span` seconds: a token that is taken comes back that much later, and not before.

    So no span sees more than the limit, wherever it begins; a bucket that fills at an even rate would let nearly
    twice as much through. There is no limit before `lower`.
    """

    def __init__(self, span: float) -> None:
        self.span = span
        self.limit: float | None = None
        self.latest = 0
        """What was out in the span that ended with the last `take`."""
        self._out: deque[tuple[float, int]] = deque()
        """When how much comes back."""
        self._sum = 0
        self._step = 0.0
        self._raised = 0.0

    def take(self, now: float, amount: int) -> None:
        """Takes what goes out now."""
        self.add(now, amount)
        self.latest = self._sum

    def add(self, now: float, amount: int) -> None:
        """Counts what has gone out."""
        self.taken(now)
        grain = self.span / _GRAINS
        back = (math.floor(now / grain) + 1) * grain + self.span
        if self._out and self._out[-1][0] >= back:
            back, earlier = self._out.pop()
            self._out.append((back, earlier + amount))
        else:
            self._out.append((back, amount))
        self._sum += amount

    def taken(self, now: float) -> int:
        """What is out now."""
        while self._out and self._out[0][0] <= now:
            self._sum -= self._out.popleft()[1]
        return self._sum

    def allowed(self, _now: float) -> float | None:
        """The most that may be out now, None while that is not known."""
        return self.limit

    def wait(self, now: float, amount: int, urgency: Urgency) -> float:
        """Seconds until there is room, 0 when there is."""
        limit = self.allowed(now)
        taken = self.taken(now)
        if limit is None or (taken == 0 and urgency is not Urgency.BACKGROUND):
            return 0.0  # alone, even what is larger than the limit may try
        left = {
            Urgency.INVOKED: 0,
            Urgency.AUTOMATIC: amount,
            Urgency.BACKGROUND: max(2 * amount, limit / 2),
        }[urgency]
        excess = taken + amount + left - limit
        for back, out in self._out if excess > 0 else ():
            excess -= out
            if excess <= 0:
                return back - now
        return 0.0 if excess <= 0 else self._out[-1][0] - now if self._out else self.span

    def lower(self, now: float, unit: float) -> None:
        """What had gone out was too much. `unit` is what one ordinary request takes.

        Several refusals of what went out together say the same, and lower it once.
        """
        if not self.latest:
            return
        least = _LEAST[self.span] * unit
        found = max(least, _LESS * self.latest)
        self.limit = found if self.limit is None else min(found, self.limit)
        self._step = _MORE * max(least, self.latest)
        self._raised = now

    def raise_limit(self, now: float) -> None:
        """All goes well: a little more may be tried. However long nothing was asked, it counts as a minute."""
        if self.limit is not None:
            self.limit += self._step * min(now - self._raised, MINUTE) / MINUTE
            self._raised = now


class _Ramp(_Bucket):
    """A bucket whose limit is passed by those who came near it slowly."""

    def __init__(self, span: float) -> None:
        super().__init__(span)
        self._twice = _Bucket(2 * span)

    def take(self, now: float, amount: int) -> None:
        super().take(now, amount)
        self._twice.take(now, amount)

    def allowed(self, now: float) -> float | None:
        before = self._twice.taken(now) - self.taken(now)
        return None if self.limit is None else max(self.limit, _GROWTH * before)
