"""backend/failover.py: who answers while the one that was chosen fails."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from qwen_lsp.backend.backend import ModelBackend
from qwen_lsp.backend.failover import LONGEST, SHORTEST, Failover
from qwen_lsp.backend.resolve import standing_in
from qwen_lsp.core.config import Settings
from qwen_lsp.core.model import BackendError, Ghost, Kind, Notice, Prompt, Reason, Skip
from qwen_lsp.engine.engine import Engine
from tests.fake_dashscope import FAILURES, FakeService
from tests.marks import at


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


class World:
    """Two services, and an engine that may ask both."""

    def __init__(self, folder: Path, first: FakeService, second: FakeService) -> None:
        self.first, self.second = first, second
        self.notices: list[Notice] = []
        self.clock = Clock()
        backends = [
            (name, ModelBackend(
                Settings(provider="openai", base_url=fake.openai, model="qwen2.5-coder-7b-instruct"),
                {},
                state_dir=folder / "s",
                cache_dir=folder / "c",
                on_notice=self.notices.append,
                clock=self.clock,
            ))
            for name, fake in (("dashscope", first), ("local", second))
        ]  # fmt: skip
        self.failover = Failover(backends, self.notices.append, self.clock)
        self.engine = Engine(self.failover, Settings(debounce=0), clock=self.clock, on_notice=self.notices.append)
        self.keys = 0

    async def key(self) -> Ghost | Skip:
        """A request at a new place."""
        self.keys += 1
        self.clock.now += 0.2
        return (await self.engine.complete(at(f"x{self.keys} = █\n"))).outcome


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with FakeService(default="1") as first, FakeService(default="2") as second:
        made = World(tmp_path, first, second)
        yield made
        await made.engine.close()


def text(outcome: Ghost | Skip) -> str:
    return outcome.insert if isinstance(outcome, Ghost) else outcome.reason.value


async def test_the_one_that_was_chosen_answers_as_long_as_it_works(world: World) -> None:
    """The others are not asked for anything."""
    assert [text(await world.key()) for _ in range(3)] == ["1", "1", "1"]
    assert world.second.requests == []
    assert (await world.failover.service()).standing_in == ""


@pytest.mark.parametrize("failure", ["rate", "quota", "key", "overloaded"])
async def test_the_next_one_answers_while_it_fails(world: World, failure: str) -> None:
    """From the key after the failure on; the person is told who answers and why, and the status says so."""
    world.first.default = FAILURES[failure]
    assert text(await world.key()) in (Reason.ERROR.value, Reason.COOLING_DOWN.value)
    assert [text(await world.key()) for _ in range(3)] == ["2", "2", "2"]
    why = [notice.text for notice in world.notices if notice.key.startswith("failover")]
    assert set(why) == {(await world.failover.service()).standing_in}
    assert why[0].startswith("local answers while dashscope fails: ")


async def test_it_comes_back_by_itself(world: World) -> None:
    """Once it has rested; a failure then makes the rest longer, a success ends it."""
    world.first.default = FAILURES["overloaded"]
    await world.key()
    asked = len(world.first.generations)
    world.clock.now += SHORTEST - 1
    assert text(await world.key()) == "2"
    assert len(world.first.generations) == asked
    world.clock.now += 1
    await world.key()  # fails again
    world.clock.now += SHORTEST
    assert text(await world.key()) == "2"
    world.first.default = "1"
    world.clock.now += LONGEST
    assert [text(await world.key()) for _ in range(2)] == ["1", "1"]


async def test_a_request_that_is_wrong_by_itself_changes_nothing(world: World) -> None:
    """Nobody else would take it either."""
    world.first.script(FAILURES["inspection"])
    assert text(await world.key()) == "error"
    assert text(await world.key()) == "1"
    assert world.second.requests == []


async def test_one_that_can_t_be_set_up_is_passed_over(world: World) -> None:
    """A server that is not there, for instance; when nobody is, the first one's trouble is told."""
    await world.first.stop()
    await world.key()
    assert text(await world.key()) == "2"
    await world.second.stop()
    world.clock.now += 1
    await world.key()
    await world.key()
    with pytest.raises(BackendError) as caught:
        await world.failover.service()
    assert caught.value.kind is Kind.NETWORK
    assert str(world.first.port) in caught.value.message


def test_who_stands_in_has_settings_of_its_own() -> None:
    """The model and address that were chosen are those of the one who fails; the rest holds for both."""
    settings = Settings(provider="openai", base_url="http://h/v1", model="m", max_tokens=50)
    other, _ = standing_in(settings, {}, "local")
    assert (other.provider, other.base_url, other.model, other.max_tokens) == ("local", "", "", 50)
    assert standing_in(settings, {}, "openai")[0] is settings


@pytest.mark.parametrize(
    ("first", "address", "provider", "kept"),
    [
        ("local", "http://gpu.example/v1", "openai", True),
        ("local", "http://gpu.example/v1", "dashscope", False),
        ("local", "https://dashscope.aliyuncs.com/compatible-mode/v1", "dashscope", True),
        ("local", "https://dashscope.aliyuncs.com/compatible-mode/v1", "openai", False),
        ("dashscope", "https://dashscope.example/v1", "openai", False),
        ("openai", "http://gpu.example/v1", "local", False),
    ],
)
def test_an_address_is_a_stand_ins_where_it_can_be_nobody_elses(first, address, provider, kept):
    """The embedded model has none, so beside it an address names a server to stand in; else it is the first one's."""
    found, _ = standing_in(Settings(provider=first, base_url=address), {}, provider)
    assert (found.provider, found.base_url) == (provider, address if kept else "")


@pytest.mark.parametrize(
    ("first", "address", "provider", "kept"),
    [
        ("openai", "https://llm.corp.example/v1", "dashscope", False),
        ("local", "https://llm.corp.example/v1", "dashscope", False),
        ("local", "https://llm.corp.example/v1", "openai", True),
        ("local", "", "dashscope", True),
        ("dashscope", "", "openai", False),
    ],
)
def test_a_key_of_one_is_never_another_s(first, address, provider, kept):
    """A command's key and QWEN_LSP_API_KEY belong to whom they were set for; DASHSCOPE_API_KEY says it by its name."""
    settings = Settings(provider=first, base_url=address, api_key_command="pass corp")
    env = {"QWEN_LSP_API_KEY": "sk-corp", "DASHSCOPE_API_KEY": "sk-dash", "PATH": "/bin"}
    found, left = standing_in(settings, env, provider)
    assert bool(found.api_key_command) is kept
    assert ("QWEN_LSP_API_KEY" in left) is kept
    assert (left["DASHSCOPE_API_KEY"], left["PATH"]) == ("sk-dash", "/bin")


async def test_a_stand_in_forgets_what_has_shown_to_be_wrong(world):
    """Its own backend hears of a refused key and of a server that has gone, as the first one's does."""
    second = world.failover._all[1].backend
    world.first.default = FAILURES["overloaded"]
    await world.key()
    assert text(await world.key()) == "2"
    world.second.default = FAILURES["key"]
    await world.key()
    assert second._service is None


async def test_a_late_answer_is_credited_to_who_gave_it(world):
    """A question from before the reason for standing in was another one."""
    world.first.default = FAILURES["overloaded"]
    await world.key()
    before = await world.failover.service()
    first = world.failover._all[0]
    first.failure = BackendError(Kind.QUOTA, "another reason")
    assert await world.failover.service() is not before
    until = first.until
    async for _ in world.failover.generate(before, Prompt("x = ", "\n", "python", "x.py", 8, 0.0)):
        pass
    assert first.until == until


async def test_an_outage_counts_once_however_many_have_waited(world):
    """Five keys that waited for the same search are one failure: the rest is the shortest."""
    await world.first.stop()
    world.failover._all[1].until = float("inf")
    await asyncio.gather(*(world.failover.service() for _ in range(5)), return_exceptions=True)
    assert world.failover._all[0].until - world.clock.now <= SHORTEST
