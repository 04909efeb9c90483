"""When a service may be asked, and when it is left alone."""

from __future__ import annotations

import math
from collections import deque

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from qwen_lsp.core.dialects.errors import POLICIES
from qwen_lsp.core.guard import _LEAST, BURST, LONGEST, MINUTE, SECOND, Guard, Refusal, Urgency
from qwen_lsp.core.model import BackendError, Kind, Reason

RATE, TOKENS, BURSTS = "Throttling.RateQuota", "Throttling.AllocationQuota", "Throttling.BurstRate"
INVOKED, AUTOMATIC, BACKGROUND = Urgency
SOON = 1e-6
"""Seconds; rounding of clock readings is not what these tests are about."""
PAUSING = [kind for kind in Kind if POLICIES[kind].cool_down]
BEYOND_RATE = [kind for kind in PAUSING if kind is not Kind.RATE]


def error(kind: Kind, retry_after: float | None = None, code: str = RATE) -> BackendError:
    return BackendError(kind, f"The service failed (HTTP 429, {code}).", retry_after=retry_after)


def busy(now: float, requests: int, *, every: float = 0.0, tokens: int = 1000) -> Guard:
    """A guard of a service that was sent so many requests up to now."""
    guard = Guard()
    for left in reversed(range(requests)):
        guard.sent(now - left * every, tokens)
    return guard


def let_through(guard: Guard, now: float, urgency: Urgency, tokens: int = 1000) -> int:
    """How many requests the guard lets go at one moment, up to a thousand."""
    for count in range(1000):
        if guard.refusal(now, urgency, tokens):
            return count
        guard.sent(now, tokens)
    return 1000


def pause(guard: Guard, now: float, urgency: Urgency = AUTOMATIC) -> float:
    refusal = guard.refusal(now, urgency, 0)
    return refusal.wait if refusal else 0.0


# What is not limited


@given(st.lists(st.tuples(st.floats(0, 100), st.sampled_from(Urgency), st.integers(0, 10**6)), max_size=50))
def test_without_a_failure_nothing_is_refused(requests: list[tuple[float, Urgency, int]]) -> None:
    """A service that has never failed is asked as often as anyone likes."""
    guard, now = Guard(), 0.0
    for gap, urgency, tokens in requests:
        now += gap
        assert guard.refusal(now, urgency, tokens) is None
        guard.sent(now, tokens)
        guard.succeeded(now, tokens)


def test_one_request_that_is_refused_does_not_pause_the_service() -> None:
    """A prompt that is too long says nothing of the next one; three in a row do."""
    guard = busy(0, 3)
    for _ in range(2):
        guard.failed(0, error(Kind.BAD_REQUEST))
        assert guard.refusal(0, AUTOMATIC, 0) is None
    guard.failed(0, error(Kind.BAD_REQUEST))
    assert pause(guard, 0) == pytest.approx(2, rel=0.3)


# Pauses

FIRST = POLICIES[Kind.OVERLOADED].cool_down


def test_pauses_double_to_five_minutes_until_a_success() -> None:
    """1, 2, 4 … 300 s while a service stays down, and 1 s again after it was up."""
    guard, now = Guard(), 0.0
    pauses = []
    for _ in range(11):
        guard.failed(now, error(Kind.OVERLOADED), jitter=0)
        pauses.append(pause(guard, now))
        now += pauses[-1]
    assert pauses == pytest.approx([1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300])
    guard.succeeded(now)
    guard.failed(now, error(Kind.OVERLOADED), jitter=0)
    assert pause(guard, now) == pytest.approx(FIRST)


@given(
    st.lists(
        st.tuples(st.sampled_from(PAUSING), st.none() | st.floats(0, 100), st.floats(0, 1), st.floats(0, 400)),
        min_size=2,
        max_size=20,
    )
)
def test_pauses_never_shrink_without_a_success(failures: list[tuple[Kind, float | None, float, float]]) -> None:
    """Whatever fails, whatever the jitter: no try after a pause is followed by a shorter one than the last."""
    guard, now, longest = Guard(), 0.0, 0.0
    for kind, retry_after, jitter, idle in failures:
        guard.failed(now, error(kind, retry_after), jitter)
        wait = pause(guard, now)
        asked = retry_after or 0
        assert wait >= max(longest, asked, POLICIES[kind].cool_down) - SOON
        assert wait <= max(LONGEST, asked) + SOON
        if wait > asked + SOON:  # else it is the service's, not ours
            longest = wait
        now += wait + idle


def test_what_fails_together_counts_once() -> None:
    """Two requests on the wire that fail of one cause are followed by one pause, not by a doubled one."""
    guard = busy(0, 2)
    guard.failed(0, error(Kind.OVERLOADED), jitter=0)
    guard.failed(0.1, error(Kind.OVERLOADED), jitter=0)
    assert pause(guard, 0.1) == pytest.approx(FIRST)


def test_jitter_lengthens_a_pause() -> None:
    """Editors that fail together return apart, none of them early."""
    early, late = Guard(), Guard()
    early.failed(0, error(Kind.OVERLOADED), jitter=0)
    late.failed(0, error(Kind.OVERLOADED), jitter=1)
    assert FIRST == pause(early, 0) < pause(late, 0) < 2 * FIRST


@pytest.mark.parametrize("kind", BEYOND_RATE)
def test_a_person_may_try_a_service_that_has_failed(kind: Kind) -> None:
    """By hand it is asked at once, by typing after the pause, and for later use after a success."""
    guard = busy(0, 1)
    guard.failed(0, error(kind), jitter=0)
    assert pause(guard, 0, INVOKED) == 0
    assert pause(guard, 0) == POLICIES[kind].cool_down
    over = POLICIES[kind].cool_down + SOON
    assert pause(guard, over) == 0
    assert pause(guard, over, BACKGROUND) > 0
    guard.succeeded(over)
    assert pause(guard, over, BACKGROUND) == 0


def test_a_key_that_is_held_down_is_no_storm() -> None:
    """By hand, a service that is down is tried once a second, and the pause for typing does not grow by it."""
    guard, now, tries = Guard(), 0.0, 0
    guard.failed(now, error(Kind.OVERLOADED), jitter=0)
    while now < 10:
        if guard.refusal(now, INVOKED, 1000) is None:
            tries += 1
            guard.sent(now, 1000)
            guard.failed(now, error(Kind.OVERLOADED), jitter=0)
        now += 1 / 30
    assert 9 <= tries <= 11
    assert pause(guard, now) <= 5


def test_a_retry_after_for_the_rate_stands_for_everyone() -> None:
    """Not by hand, and not after a success of a request that was sent before: nothing goes out for those seconds."""
    guard = busy(100, 2, every=0.1)
    guard.failed(100, error(Kind.RATE, 17.5))
    guard.succeeded(100.1)
    for urgency in Urgency:
        refusal = guard.refusal(117.49, urgency, 1000)
        assert refusal is not None
        assert refusal.reason is Reason.COOLING_DOWN
        assert refusal.detail == f"The service failed (HTTP 429, {RATE})."
    assert guard.refusal(117.5, INVOKED, 1000) is None
    assert guard.refusal(117.5, AUTOMATIC, 1000) is None


def test_a_shorter_retry_after_does_not_end_a_longer_one() -> None:
    """Two requests are refused with two waits: the longer one counts."""
    guard = busy(0, 2)
    guard.failed(0, error(Kind.RATE, 30))
    guard.failed(0, error(Kind.RATE, 1))
    assert pause(guard, 0, INVOKED) == 30


# Limits


@pytest.mark.parametrize(
    ("every", "retry_after", "code", "span"),
    [
        (1.5, None, RATE, MINUTE),
        (1.0, 30, RATE, MINUTE),
        (0.01, 30, RATE, MINUTE),
        (0.01, None, RATE, SECOND),
        (0.01, 1, "limit_requests", SECOND),
        (0.01, 30, TOKENS, MINUTE),
        (0.01, None, "insufficient_quota", SECOND),
        (0.01, 1, BURSTS, BURST),
        (0.01, 1, "limit_burst_rate", BURST),
    ],
)
def test_a_refusal_teaches_the_limit_that_was_met(
    every: float, retry_after: float | None, code: str, span: float
) -> None:
    """Of twenty requests seven in ten go through afterwards, in the span that the refusal is about."""
    guard = busy(100, 20, every=every)
    guard.failed(100, error(Kind.RATE, retry_after, code))
    later = 100 + span + 61
    assert let_through(guard, later, INVOKED) == 14
    refusal = guard.refusal(later, INVOKED, 1000)
    assert refusal is not None
    assert refusal.reason is Reason.RATE_LIMITED
    assert 0.9 * span < refusal.wait <= 1.02 * span
    assert "\n" not in refusal.detail
    assert guard.refusal(later + refusal.wait + SOON, INVOKED, 1000) is None


def test_refusals_of_what_went_out_together_say_the_same() -> None:
    """Two of twenty refused are one lesson, whatever else has failed since; the next lesson comes with a next send."""
    guard = busy(100, 20, every=1.5)
    guard.failed(100, error(Kind.TIMEOUT))
    guard.failed(101, error(Kind.RATE, 30))
    guard.failed(101, error(Kind.RATE, 30))
    assert let_through(guard, 200, INVOKED) == 14
    guard.failed(200, error(Kind.RATE, 30))
    assert let_through(guard, 300, INVOKED) == 9


def test_the_hand_goes_before_typing_and_typing_before_the_background() -> None:
    """Of fourteen, the background takes half; one is left by typing; the hand takes the last."""
    guard = busy(100, 20, every=1)
    guard.failed(100, error(Kind.RATE, 30))
    guard.succeeded(100.1)  # the background waits for one
    assert [let_through(guard, 170, urgency) for urgency in (BACKGROUND, AUTOMATIC, INVOKED)] == [7, 6, 1]


def test_the_least_that_is_learned_serves_typing_and_the_hand() -> None:
    """However little a service allowed, each second and each minute leave room for both."""
    guard = busy(100, 1)
    guard.failed(100, error(Kind.RATE, 1))
    assert let_through(guard, 200, AUTOMATIC) == _LEAST[MINUTE] - 1
    assert let_through(guard, 200, INVOKED) == 1
    guard = busy(100, 2)
    guard.failed(100, error(Kind.RATE, 1))
    assert [let_through(guard, 200, urgency) for urgency in (AUTOMATIC, INVOKED)] == [1, 1]


def test_a_prompt_larger_than_the_limit_goes_alone() -> None:
    """A limit of tokens a second that is smaller than one prompt does not silence the service for good."""
    guard = busy(100, 2, tokens=500)
    guard.failed(100, error(Kind.RATE, 1, TOKENS))
    assert let_through(guard, 110, AUTOMATIC, tokens=50_000) == 1
    assert guard.refusal(110.5, INVOKED, 1) is not None
    assert let_through(guard, 111.1, AUTOMATIC, tokens=50_000) == 1


def test_a_refusal_never_raises_a_limit() -> None:
    """What is learned from ordinary prompts stays when a very large one is refused, too."""
    guard = busy(100, 20, every=1.5, tokens=500)
    guard.failed(100, error(Kind.RATE, 30, TOKENS))
    guard.sent(200, 50_000)
    guard.failed(200, error(Kind.RATE, 30, TOKENS))
    assert let_through(guard, 300, INVOKED, tokens=500) == 14


def test_tokens_beyond_the_ordinary_are_counted() -> None:
    """What the service counted beyond the estimate leaves less room."""
    guard = busy(100, 20, every=1, tokens=1000)
    guard.failed(100, error(Kind.RATE, 30, TOKENS))
    assert let_through(guard, 200, INVOKED) == 14
    guard = busy(100, 20, every=1, tokens=1000)
    guard.failed(100, error(Kind.RATE, 30, TOKENS))
    guard.sent(200, 1000)
    guard.succeeded(200, 4000)
    assert let_through(guard, 200, INVOKED) == 14 + 2 - 4  # a minute's success gives two back


def test_after_a_burst_the_rate_grows_by_half() -> None:
    """DashScope refuses a rate that rises too fast: the next spans let a half more through than the one before."""
    guard = busy(100, 20)
    guard.failed(100, error(Kind.RATE, 1, BURSTS))
    through = [let_through(guard, 130 + 10.15 * span, INVOKED) for span in range(4)]
    assert through == [14, 21, 31, 46]
    assert let_through(guard, 300, INVOKED) == 14


@pytest.mark.parametrize("limit", [10, 30, 120])
def test_a_limit_is_found_and_nearly_used(limit: int) -> None:
    """After the first minutes one request in twenty is refused at most, and 60 % of what is allowed go through."""
    guard, accepted, now = Guard(), deque[float](), 0.0
    refused, answered = [], []
    while now < 1800:
        now += 0.2
        while accepted and accepted[0] <= now - 60:
            accepted.popleft()
        if guard.refusal(now, AUTOMATIC, 1000):
            continue
        guard.sent(now, 1000)
        if len(accepted) < limit:
            accepted.append(now)
            answered.append(now)
            guard.succeeded(now, 1000)
        else:
            refused.append(now)
            guard.failed(now, error(Kind.RATE))
    settled = [at for at in answered if at > 300]
    assert len([at for at in refused if at > 300]) <= len(settled) / 20
    assert len(settled) >= 0.6 * limit * 25


class Storm(RuleBasedStateMachine):
    """Requests, answers, refusals and time in any order."""

    def __init__(self) -> None:
        super().__init__()
        self.guard = Guard()
        self.now = 1000.0
        self.sends: list[float] = []
        self.learned: list[tuple[float, float]] = []
        """When a limit by the minute was learned, and what had gone out."""
        self.shut = -math.inf
        self.failing = False
        """Something has failed."""
        self.down_until = -math.inf
        """The least that typing has to wait, from the policies alone."""

    @rule(seconds=st.floats(0, 0.5) | st.floats(0, 90))
    def time_passes(self, seconds: float) -> None:
        self.now += seconds

    @rule(urgency=st.sampled_from(Urgency), tokens=st.integers(1, 5000))
    def ask(self, urgency: Urgency, tokens: int) -> None:
        refusals = {each: self.guard.refusal(self.now, each, tokens) for each in Urgency}
        if refusals[INVOKED]:
            assert refusals[AUTOMATIC], "the hand may do whatever typing may"
        if refusals[AUTOMATIC]:
            assert refusals[BACKGROUND], "typing may do whatever the background may"
        if refusals[urgency] is None:
            self._send(urgency, tokens)

    @rule(urgency=st.sampled_from(Urgency), tokens=st.integers(1, 5000))
    def ask_all_one_can(self, urgency: Urgency, tokens: int) -> None:
        for _ in range(70):
            if self.guard.refusal(self.now, urgency, tokens):
                return
            self._send(urgency, tokens)

    def _send(self, urgency: Urgency, tokens: int) -> None:
        assert self.now >= self.shut, "nothing before a Retry-After has passed"
        assert urgency is INVOKED or self.now >= self.down_until, "typing does not ask a service that has failed"
        self.sends.append(self.now)
        self.guard.sent(self.now, tokens)
        recent = [at for at in self.sends if at > self.now - MINUTE]
        for learned_at, out in self.learned:
            most = max(_LEAST[MINUTE], 0.7 * out) + 0.1 * max(_LEAST[MINUTE], out) * (self.now - learned_at) / 60
            after = [at for at in recent if at > learned_at]
            assert len(after) <= most + SOON, "no minute sees more than what was learned, and its slow rise"

    @rule(used=st.none() | st.integers(0, 9000))
    def succeed(self, used: int | None) -> None:
        self.guard.succeeded(self.now, used)
        self.down_until = -math.inf

    @rule(kind=st.sampled_from(BEYOND_RATE), jitter=st.floats(0, 1))
    def fail(self, kind: Kind, jitter: float) -> None:
        self.failing = True
        self.guard.failed(self.now, error(kind), jitter)
        self.down_until = max(self.down_until, self.now + POLICIES[kind].cool_down)

    @rule(
        retry_after=st.none() | st.floats(0, 120), code=st.sampled_from([RATE, TOKENS, BURSTS]), jitter=st.floats(0, 1)
    )
    def refuse(self, retry_after: float | None, code: str, jitter: float) -> None:
        self.failing = True
        fresh = not self.learned and self.guard.refusal(self.now, AUTOMATIC, 0) is None
        self.guard.failed(self.now, error(Kind.RATE, retry_after, code), jitter)
        self.shut = max(self.shut, self.now + (retry_after or 0))
        self.down_until = max(self.down_until, self.now + max(retry_after or 0, POLICIES[Kind.RATE].cool_down))
        if fresh and self.sends and code == RATE and (retry_after or 0) > 2:
            out = len([at for at in self.sends if self.sends[-1] - MINUTE * 1.01 < at])
            self.learned.append((self.now, out))

    @invariant()
    def refusals_make_sense(self) -> None:
        for urgency in Urgency:
            refusal = self.guard.refusal(self.now, urgency, 1000)
            if refusal is not None:
                assert self.failing, "without a failure nothing is refused"
                self._makes_sense(refusal, urgency)

    def _makes_sense(self, refusal: Refusal, urgency: Urgency) -> None:
        assert refusal.reason in {Reason.COOLING_DOWN, Reason.RATE_LIMITED}
        assert refusal.detail
        assert "\n" not in refusal.detail
        assert 0 < refusal.wait < math.inf
        again = self.guard.refusal(self.now + refusal.wait + SOON, urgency, 1000) if urgency is INVOKED else None
        assert again is None or again.wait < LONGEST, "waiting helps"


TestStorm = Storm.TestCase
TestStorm.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
