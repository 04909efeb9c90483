"""backend/failover.py: how long one that fails is left alone. Who answers meanwhile is in test_failover.py."""

from __future__ import annotations

from qwen_lsp.backend.failover import SHORTEST
from tests.fake_dashscope import FAILURES
from tests.test_failover import World, text, world

__all__ = ["world"]


async def fails(world: World) -> None:
    """The first one fails once, and is left alone for the shortest time, no more and no less."""
    world.first.default = FAILURES["overloaded"]
    await world.key()
    world.first.default = "1"
    world.clock.now += SHORTEST - 1
    assert text(await world.key()) == "2"
    world.clock.now += 1
    assert text(await world.key()) == "1"


async def test_after_a_success_a_failure_is_a_first_one_again(world: World) -> None:
    """Who fails now and then over a day is not left alone for longer each time."""
    for _ in range(3):
        await fails(world)
