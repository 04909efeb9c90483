"""How fast a service reads, learned from its flights."""

from __future__ import annotations

import pytest

from qwen_lsp.core.speed import Speed


def test_nothing_is_known_before_a_prompt_was_long_enough() -> None:
    """The time to the first token of a cached prompt says nothing about reading."""
    speed = Speed()
    speed.heard(20, 0.5)
    speed.heard(0, 0.05)
    speed.heard(1000, 0)
    assert speed.shown is None


def test_the_speed_is_about_what_was_shown() -> None:
    """In steps of a factor of 1.4, so within one of 1.2."""
    speed = Speed()
    speed.heard(600, 8)
    assert speed.shown == pytest.approx(75, rel=0.2)


def test_one_slow_flight_among_several_changes_nothing() -> None:
    """Another process was busy; the window must not shrink and grow again for that."""
    speed = Speed()
    for _ in range(4):
        speed.heard(600, 6)
    shown = speed.shown
    speed.heard(600, 60)
    assert speed.shown == shown


def test_a_machine_that_stays_slow_is_believed() -> None:
    """On battery everything takes twice as long, flight after flight."""
    speed = Speed()
    for seconds in (2, 2, 2, 4, 4, 4, 4):
        speed.heard(600, seconds)
    assert speed.shown == pytest.approx(150, rel=0.2)


def test_small_changes_move_no_step() -> None:
    """What is shown to the model depends on the step, and every change of it has to be read."""
    speed = Speed()
    seen = set()
    for seconds in (6.0, 6.6, 5.4, 7.0, 5.2, 6.3, 5.8):
        speed.heard(600, seconds)
        seen.add(speed.shown)
    assert len(seen) == 1
