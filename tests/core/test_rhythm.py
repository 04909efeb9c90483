"""How long to rest before asking."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qwen_lsp.core.rhythm import LONGEST_REST, PATIENCE, USUAL_GAP, Rhythm


def typing(gap: float, *, keys: int = 30, latency: float | None = None) -> tuple[Rhythm, float]:
    """A rhythm after some keys with this gap, and the time of the last."""
    rhythm = Rhythm()
    for key in range(keys):
        rhythm.key(key * gap)
    if latency is not None:
        rhythm.answered(latency)
    return rhythm, (keys - 1) * gap


def test_a_slow_service_is_asked_at_once() -> None:
    """Its answer takes longer than the rest would, and the next key takes it over."""
    rhythm, now = typing(0.12, latency=0.3)
    assert rhythm.rest(now) == 0


def test_a_fast_service_is_asked_after_half_a_gap_less_its_own_time() -> None:
    """A short rest joins keys that come in a burst."""
    rhythm, now = typing(0.2, latency=0.04)
    assert rhythm.rest(now) == pytest.approx(0.06)


def test_who_deletes_is_left_to_it() -> None:
    """Going back over a slip asks no one: the place they return to is known."""
    rhythm, now = typing(0.12, latency=0.3)
    assert rhythm.rest(now, deleting=True) == pytest.approx(0.24)


def test_one_request_is_let_through_in_long_fast_typing() -> None:
    """Who never pauses sees something all the same, and then rests count again."""
    rhythm, now = typing(0.2, latency=0.0)
    assert rhythm.rest(now) > 0
    assert rhythm.rest(now + PATIENCE) == 0
    rhythm.asked()
    assert rhythm.rest(now + PATIENCE + 0.1) > 0


def test_pauses_are_no_part_of_the_rhythm() -> None:
    """Thinking for a while does not make a fast typist a slow one."""
    rhythm, now = typing(0.12)
    rhythm.key(now + 60)
    rhythm.key(now + 60.12)
    assert rhythm.gap == pytest.approx(0.12)
    assert rhythm.flow == pytest.approx(0.12)


def test_a_slow_typist_is_in_no_hurry() -> None:
    """Whole suggestions are worth waiting for, when there is time."""
    rhythm, _ = typing(0.6)
    assert rhythm.flow is None


def test_the_end_of_a_suggestion_is_prepared_for() -> None:
    """When the rest is typed before an answer could be there, it is time to ask for what follows."""
    rhythm, _ = typing(0.1, latency=0.3)
    assert rhythm.nearly_through(3)
    assert not rhythm.nearly_through(6)
    slow, _ = typing(0.6, latency=0.3)
    assert not slow.nearly_through(1)


def test_before_the_first_keys_a_practised_typist_is_expected() -> None:
    """Nothing is known yet, and nothing breaks."""
    assert Rhythm().gap == USUAL_GAP


@given(st.lists(st.floats(0, 1e6), max_size=40).map(sorted), st.booleans(), st.floats(0, 10))
def test_the_rest_is_never_negative_nor_long(keys: list[float], deleting: bool, latency: float) -> None:  # noqa: FBT001
    """Whatever the clock and the service do."""
    rhythm = Rhythm()
    for key in keys:
        rhythm.key(key)
    rhythm.answered(latency)
    assert 0 <= rhythm.rest(keys[-1] if keys else 0.0, deleting=deleting) <= LONGEST_REST


def test_a_service_is_called_slow_after_ten_slow_answers() -> None:
    """By their mean: one that hangs now and then is not slow."""
    rhythm = Rhythm()
    for _ in range(9):
        rhythm.answered(3.0)
    assert rhythm.slow is None
    rhythm.answered(3.0)
    assert rhythm.slow == pytest.approx(3.0)
    for _ in range(5):
        rhythm.answered(0.3)
    assert rhythm.slow is None
