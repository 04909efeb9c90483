"""Asked by hand: several different suggestions, the likeliest first, and nobody waits long for the others."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qwen_lsp.core.model import Ghost, Reason, Request, Skip, Trigger
from qwen_lsp.engine.alternatives import distinct
from qwen_lsp.engine.record import Answer as Answered
from tests.fake_dashscope import FAILURES, STALL, Answer
from tests.marks import at
from tests.test_engine import desk_with


def by_hand(text: str, **how: Any) -> Request:
    return at(text, trigger=Trigger.INVOKED, **how)


def texts(answer: Answered) -> list[str]:
    assert isinstance(answer.outcome, Ghost)
    return [answer.outcome.insert, *(other.insert for other in answer.others)]


async def test_different_suggestions_come_with_the_likeliest_first(tmp_path: Path) -> None:
    """One at temperature 0, the others more varied; the same ones once."""
    async with desk_with(tmp_path, candidates=3) as desk:
        desk.fake.script("a + b", "b + a", "sum((a, b))")
        answer = await desk.engine.complete(by_hand("x = █\n"))
        assert texts(answer) == ["a + b", "b + a", "sum((a, b))"]
        assert [request.json["temperature"] for request in desk.fake.generations] == [0, 0.6, 0.9]


async def test_typing_asks_for_one(tmp_path: Path) -> None:
    """Nobody cycles through suggestions while typing, and each costs."""
    async with desk_with(tmp_path, candidates=3) as desk:
        answer = await desk.engine.complete(at("x = █\n"))
        assert answer.others == ()
        assert len(desk.fake.generations) == 1


async def test_the_same_said_again_is_no_suggestion(tmp_path: Path) -> None:
    """Blanks make no difference, and neither does the beginning of another."""
    async with desk_with(tmp_path, candidates=4) as desk:
        desk.fake.script("a + b", "a+b", "a", "b")
        answer = await desk.engine.complete(by_hand("x = █\n"))
        assert texts(answer) == ["a + b", "b"]


async def test_the_others_are_asked_while_the_likeliest_is_written(tmp_path: Path) -> None:
    """A service that takes two questions is asked two at once, and never more."""
    gate = asyncio.Event()
    async with desk_with(tmp_path, candidates=3, provider="dashscope") as desk:
        desk.fake.script(Answer([gate, "a"]), Answer([gate, "b"]), "c")
        waiting = asyncio.ensure_future(desk.engine.complete(by_hand("x = █\n")))
        await desk.fake.until(2)
        await asyncio.sleep(0.05)
        assert len(desk.fake.generations) == 2
        gate.set()
        assert texts(await waiting) == ["a", "b", "c"]


async def test_on_this_machine_the_likeliest_is_written_first(tmp_path: Path) -> None:
    """Two at once on one processor would make both late."""
    gate = asyncio.Event()
    async with desk_with(tmp_path, candidates=2) as desk:
        desk.fake.script(Answer([gate, "a"]), "b")
        waiting = asyncio.ensure_future(desk.engine.complete(by_hand("x = █\n")))
        await desk.fake.until(1)
        await asyncio.sleep(0.05)
        assert len(desk.fake.generations) == 1
        gate.set()
        assert texts(await waiting) == ["a", "b"]


async def test_a_slow_machine_reads_no_prompt_again_for_the_others(tmp_path: Path) -> None:
    """They are asked while the prompt is in its cache; what is known already has long left it."""
    long = "value = compute(1, 2)\n" * 200
    read = asyncio.Event()
    async with desk_with(tmp_path, candidates=2) as desk:
        desk.fake.script(Answer([read, "a"]), "z", "b")
        waiting = asyncio.ensure_future(desk.engine.complete(at(long + "x = █\n")))
        await desk.fake.until(1)
        desk.clock.passed += 20
        read.set()
        await waiting
        await desk.engine.complete(at("y = █\n", uri="file:///other.py"))
        answer = await desk.engine.complete(by_hand(long + "x = █\n"))
        assert texts(answer) == ["a"]
        assert len(desk.fake.generations) == 2


async def test_the_likeliest_does_not_wait_long_for_the_others(tmp_path: Path) -> None:
    """What is not there in time is left out; what whole lines there are of it are given, behind what is complete."""
    async with desk_with(tmp_path, candidates=3) as desk:
        desk.fake.script("a", Answer(["b\n", "c", STALL]), "d")
        waiting = asyncio.ensure_future(desk.engine.complete(by_hand("import m\n█\n")))
        await desk.fake.until(3)
        await asyncio.wait_for(desk.fake.generations[2].ended.wait(), 5)
        await asyncio.sleep(0.05)
        assert not waiting.done()
        desk.clock.passed += 2
        assert texts(await asyncio.wait_for(waiting, 3)) == ["a", "d", "b"]
        await asyncio.wait_for(desk.fake.generations[1].gone.wait(), 5)


async def test_who_goes_on_typing_does_not_wait_for_them(tmp_path: Path) -> None:
    """The next request of the document takes their place on the wire, and has its answer at once."""
    async with desk_with(tmp_path, candidates=3) as desk:
        desk.fake.script("a", Answer([STALL]), Answer([STALL]), "z")
        waiting = asyncio.ensure_future(desk.engine.complete(by_hand("x = █\n")))
        await desk.fake.until(3)
        ghost = await asyncio.wait_for(desk.outcome("x = y█\n"), 1)
        assert isinstance(ghost, Ghost)
        assert ghost.insert == "z"
        assert texts(await asyncio.wait_for(waiting, 1)) == ["a"]


async def test_another_document_has_their_place_on_the_wire(tmp_path: Path) -> None:
    """They are extra: whoever asks for a first answer goes before them."""
    async with desk_with(tmp_path, candidates=3) as desk:
        desk.fake.script("a", Answer([STALL]), Answer([STALL]), "z")
        waiting = asyncio.ensure_future(desk.engine.complete(by_hand("x = █\n")))
        await desk.fake.until(3)
        ghost = await asyncio.wait_for(desk.outcome("y = █\n", uri="file:///other.py"), 1)
        assert isinstance(ghost, Ghost)
        desk.clock.passed += 2
        assert texts(await asyncio.wait_for(waiting, 3)) == ["a"]


async def test_what_is_varied_is_nobody_else_s_answer(tmp_path: Path) -> None:
    """Who asks again at the same place, where the likeliest was nothing, gets another try at that."""
    async with desk_with(tmp_path, candidates=2) as desk:
        desk.fake.script("", Answer([STALL]), "z")
        first = asyncio.ensure_future(desk.engine.complete(by_hand("x = █\n")))
        await desk.fake.until(2)
        again = asyncio.ensure_future(desk.engine.complete(by_hand("x = █\n")))
        await desk.fake.until(3)
        desk.clock.passed += 2
        assert texts(await asyncio.wait_for(again, 3))[0] == "z"
        assert isinstance((await asyncio.wait_for(first, 3)).outcome, Skip)


async def test_a_request_taken_back_takes_its_others_along(tmp_path: Path) -> None:
    """Nothing is left on the wire."""
    async with desk_with(tmp_path, candidates=2) as desk:
        desk.fake.script("a", Answer([STALL]))
        waiting = asyncio.ensure_future(desk.engine.complete(by_hand("x = █\n")))
        await desk.fake.until(2)
        waiting.cancel()
        await asyncio.wait([waiting])
        await asyncio.wait_for(desk.fake.generations[1].gone.wait(), 5)


async def test_cycling_asks_no_one_again(tmp_path: Path) -> None:
    """Editors ask again when a person wants to see the others."""
    async with desk_with(tmp_path, candidates=3) as desk:
        desk.fake.script("a", "b", "c")
        first = await desk.engine.complete(by_hand("x = █\n"))
        again = await desk.engine.complete(by_hand("x = █\n"))
        assert texts(first) == texts(again)
        assert len(desk.fake.generations) == 3


async def test_the_next_best_stands_in_for_nothing(tmp_path: Path) -> None:
    """When the likeliest answer is empty, a person who asked by hand sees another."""
    async with desk_with(tmp_path, candidates=2) as desk:
        desk.fake.script("", "b")
        answer = await desk.engine.complete(by_hand("x = █\n"))
        assert texts(answer) == ["b"]


async def test_others_that_fail_are_left_out_without_a_word(tmp_path: Path) -> None:
    """There is something to show, so there is nothing to tell."""
    async with desk_with(tmp_path, candidates=2) as desk:
        desk.fake.script("a", FAILURES["key"])
        assert texts(await desk.engine.complete(by_hand("x = █\n"))) == ["a"]
        assert desk.notices == []


async def test_a_failure_has_no_others(tmp_path: Path) -> None:
    """A service that has just refused is not asked twice more."""
    gate = asyncio.Event()
    async with desk_with(tmp_path, candidates=3) as desk:
        desk.fake.script(FAILURES["rate"], Answer([gate, "b"]))
        answer = await desk.engine.complete(by_hand("x = █\n"))
        assert isinstance(answer.outcome, Skip)
        assert answer.outcome.reason is Reason.ERROR
        assert answer.others == ()


async def test_what_is_varied_is_not_what_is_remembered(tmp_path: Path) -> None:
    """The next key goes on with the likeliest answer."""
    async with desk_with(tmp_path, candidates=2) as desk:
        desk.fake.script("abc", "axy")
        await desk.engine.complete(by_hand("x = █\n"))
        ghost = await desk.outcome("x = a█\n")
        assert isinstance(ghost, Ghost)
        assert (ghost.insert, ghost.source) == ("bc", "cache")


DISTINCT = [
    ("a", ["b", "c"], ["b", "c"]),
    ("a b", ["ab", "b"], ["b"]),
    ("a", ["ab", "abc"], ["abc"]),
    ("abc", ["ab", "", "  "], []),
    ("", ["a", "a"], ["a"]),
]


@pytest.mark.parametrize(("first", "others", "kept"), DISTINCT)
def test_what_says_the_same_is_left_out(first: str, others: list[str], kept: list[str]) -> None:
    """Of two that begin alike the longer one stays, but the first is always shown."""
    assert distinct(first, others) == kept


@given(st.text("ab ", max_size=5), st.lists(st.text("ab ", max_size=5)))
def test_no_two_suggestions_say_the_same(first: str, others: list[str]) -> None:
    """Whatever the model says."""
    kept = ["".join(text.split()) for text in distinct(first, others)]
    assert len(set(kept)) == len(kept)
    assert all(kept)
    assert not any(one != other and other.startswith(one) for one in kept for other in kept)
    assert not any("".join(first.split()).startswith(one) for one in kept)
