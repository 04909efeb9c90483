"""The whole way of a completion, from a document with a cursor to the document after accepting.

Everything is real but the model: the engine, the prompts, the HTTP and the service's event stream over loopback.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from qwen_lsp.backend.backend import ModelBackend
from qwen_lsp.core.config import Settings
from qwen_lsp.core.model import BackendError, Ghost, Kind, Notice, Reason, Service, Skip, Trigger, Usage
from qwen_lsp.engine.engine import Engine
from qwen_lsp.engine.journal import Journal
from qwen_lsp.engine.ports import Sources
from tests.fake_dashscope import CUT, FAILURES, STALL, Answer, FakeService, Received, Scripted, failing
from tests.marks import accepted, at


class Clock:
    """The real time, and what a test lets pass beside it."""

    passed = 0.0

    def __call__(self) -> float:
        return time.monotonic() + self.passed


@dataclass
class Desk:
    """An engine, the service it asks, and the notices it gave."""

    engine: Engine
    fake: FakeService
    notices: list[Notice]
    clock: Clock

    async def outcome(self, before: str, **how: Any) -> Ghost | Skip:
        return (await self.engine.complete(at(before, **how))).outcome

    async def check(self, before: str, model: Scripted, after: str | Reason, **how: Any) -> None:
        """`before` has a `█`; `model` is what the service streams; `after` has `⟦ ⟧`, or is the reason for nothing."""
        self.fake.script(model)
        request = at(before, **how)
        outcome = (await self.engine.complete(request)).outcome
        if isinstance(after, Reason):
            assert isinstance(outcome, Skip), outcome
            assert outcome.reason is after
        else:
            assert isinstance(outcome, Ghost), outcome
            assert accepted(request, outcome) == after


@asynccontextmanager
async def desk_with(folder: Path, *, sources: Sources | None = None, **settings: Any) -> AsyncIterator[Desk]:
    """A desk with a service of its own."""
    notices: list[Notice] = []
    async with FakeService() as fake:
        cloud = settings.get("provider") == "dashscope"
        wanted = {
            "provider": "openai",
            "base_url": fake.dashscope if cloud else fake.openai,
            "region": "cn-beijing" if cloud else "auto",
            "model": "qwen-coder-turbo",
            "debounce": 0,
            "candidates": 1,
        }
        chosen = Settings(**(wanted | settings))
        env = {"DASHSCOPE_API_KEY": "sk-made-up"} if cloud else {}
        backend = ModelBackend(chosen, env, state_dir=folder / "s", cache_dir=folder / "c", on_notice=notices.append)
        clock = Clock()
        engine = Engine(backend, chosen, sources=sources, clock=clock, on_notice=notices.append)
        try:
            yield Desk(engine, fake, notices, clock)
        finally:
            await engine.close()


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    async with desk_with(tmp_path) as made:
        yield made


WAYS: list[tuple[str, str, Scripted, str | Reason]] = [
    ("the rest of a line", "x = █\n", "1 + 2", "x = ⟦1 + 2⟧\n"),
    (
        "a block, with the next definition cut off",
        "def add(a, b):\n    return █\n",
        Answer(["a ", "+ b\n\n", "def sub"]),
        "def add(a, b):\n    return ⟦a + b⟧\n",
    ),
    ("a bracket the editor has closed", "print(█)\n", "x, y)", "print(⟦x, y⟧)\n"),
    ("what follows is not written again", "def f():\n    █\n    return y\n", "y = 1\n    return y\n",
     "def f():\n    ⟦y = 1⟧\n    return y\n"),
    ("a leaked control token", "x = █\n", Answer(["1<|fim_", "pad|>junk"]), "x = ⟦1⟧\n"),
    ("a NUL in the answer", "x = █\n", "1\0", "x = ⟦1⟧\n"),
    ("astral characters and CRLF", "s = '😋' + █\r\nt\r\n", "'é'", "s = '😋' + ⟦'é'⟧\r\nt\r\n"),
    ("nothing to add", "x = 1█\n", "", Reason.EMPTY),
    ("only blanks", "x = 1█\n", "  \n ", Reason.EMPTY),
    ("only what is there", "f(█)\n", ")", Reason.FILTERED),
    ("code right of the cursor", "f(█x)\n", "unused", Reason.REST_OF_LINE),
]  # fmt: skip


async def test_secrets_stay_here_and_come_back_in_the_answer(desk: Desk) -> None:
    """The service is sent stand-ins; where it writes one, also in pieces, the person sees what it stands for."""
    before = 'password = "hunter2-x"\nurl = "db://me:s3cr3t-y@h/"\nlogin(█\n'

    def answer(request: Received) -> Answer:
        prompt = request.json["prompt"]
        assert "hunter2" not in prompt
        assert "s3cr3t" not in prompt
        stand_in = prompt.partition('password = "')[2].partition('"')[0]
        return Answer(['"', stand_in[:4], stand_in[4:], '")'])

    await desk.check(before, answer, before.replace("█", '⟦"hunter2-x")⟧'))


@pytest.mark.parametrize(("before", "model", "after"), [way[1:] for way in WAYS], ids=[way[0] for way in WAYS])
async def test_accepting_a_completion_gives_what_a_person_would_have_typed(
    desk: Desk, before: str, model: Scripted, after: str | Reason
) -> None:
    """From the document and what the model streams follows the document after accepting, or a reason."""
    await desk.check(before, model, after)


async def test_partial_mode_strips_an_echo_and_a_fence(tmp_path: Path) -> None:
    """A chat model that begins again, in markdown, gives the same ghost text as one that does not."""
    async with desk_with(tmp_path, route="partial") as desk:
        echo = "```python\ndef f():\n    return 1\n```\nThat is f."
        await desk.check("def f():\n    return █\n", echo, "def f():\n    return ⟦1⟧\n")
        assert desk.fake.generations[0].json["messages"][-1]["content"] == "def f():\n    return"


async def test_enough_is_shown_before_the_stream_ends(desk: Desk) -> None:
    """When the stop rules are satisfied nobody waits for a service that goes on."""
    await desk.check("f(█)\n", Answer(["a", "\n", STALL]), "f(⟦a⟧)\n", trigger=Trigger.INVOKED)


async def test_typing_what_is_shown_asks_no_one(desk: Desk) -> None:
    """Each key that agrees with the ghost text is answered from what is known."""
    await desk.check("x = █\n", "1 + 2", "x = ⟦1 + 2⟧\n")
    await desk.check("x = 1█\n", "unused", "x = 1⟦ + 2⟧\n")
    await desk.check("x = 1 + █\n", "unused", "x = 1 + ⟦2⟧\n")
    assert len(desk.fake.generations) == 1


async def test_typing_while_the_answer_comes_keeps_it(desk: Desk) -> None:
    """The next key takes over the generation in flight; the older request is superseded."""
    gate = asyncio.Event()
    desk.fake.script(Answer([gate, "1 + 2"]))
    first = asyncio.ensure_future(desk.outcome("x = █\n"))
    await desk.fake.until(1)
    second = asyncio.ensure_future(desk.outcome("x = 1█\n"))
    assert await first == Skip(Reason.SUPERSEDED)
    gate.set()
    ghost = await second
    assert isinstance(ghost, Ghost)
    assert (ghost.insert, ghost.source) == (" + 2", "flight")
    assert len(desk.fake.generations) == 1


async def test_typing_something_else_asks_again(desk: Desk) -> None:
    """An answer that turns out not to fit is not shown; the newer request gets its own."""
    gate = asyncio.Event()
    desk.fake.script(Answer([gate, "1 + 2"]), "*2")
    first = asyncio.ensure_future(desk.outcome("x = █\n"))
    await desk.fake.until(1)
    second = asyncio.ensure_future(desk.outcome("x = y█\n"))
    assert await first == Skip(Reason.SUPERSEDED)
    gate.set()
    ghost = await second
    assert isinstance(ghost, Ghost)
    assert (ghost.insert, ghost.source) == ("*2", "model")


async def test_a_request_taken_back_leaves_its_work_to_the_next_key(desk: Desk) -> None:
    """VS Code cancels at each key; the generation goes on for the request that follows."""
    gate = asyncio.Event()
    desk.fake.script(Answer([gate, "1 + 2"]))
    first = asyncio.ensure_future(desk.outcome("x = █\n"))
    await desk.fake.until(1)
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    second = asyncio.ensure_future(desk.outcome("x = 1█\n"))
    gate.set()
    ghost = await second
    assert isinstance(ghost, Ghost)
    assert ghost.insert == " + 2"


async def test_work_that_nobody_needs_is_stopped(desk: Desk) -> None:
    """When the last waiter has left and no one takes over, the service is hung up on."""
    desk.fake.script(Answer(["1", STALL]))
    only = asyncio.ensure_future(desk.outcome("x = █\n"))
    await desk.fake.until(1)
    only.cancel()
    await asyncio.wait([only])
    async with asyncio.timeout(5):
        await desk.fake.generations[0].gone.wait()


FAULTS = [
    ("key", Reason.ERROR, True),
    ("rate", Reason.ERROR, False),
    ("arrearage", Reason.ERROR, True),
    ("model", Reason.ERROR, True),
]


@pytest.mark.parametrize(("failure", "reason", "told"), FAULTS, ids=[fault[0] for fault in FAULTS])
async def test_a_failing_service_is_left_alone_and_told_of_once(
    desk: Desk,
    failure: str,
    reason: Reason,
    told: bool,  # noqa: FBT001 - a table's column
) -> None:
    """After a failure typing asks no one for a while; asking by hand tries again; what a person must mend is told."""
    await desk.check("x = █\n", FAILURES[failure], reason)
    asked = len(desk.fake.generations)
    outcome = await desk.outcome("x = 1█\n")
    assert isinstance(outcome, Skip)
    assert outcome.reason is Reason.COOLING_DOWN
    assert len(desk.fake.generations) == asked
    assert bool(desk.notices) is told
    desk.clock.passed += 2
    await desk.check("x = █\n", "1", "x = ⟦1⟧\n", trigger=Trigger.INVOKED)


async def test_no_provider_is_a_reason_with_the_next_step(tmp_path: Path) -> None:
    """With nothing to ask the reason names what to set."""
    async with desk_with(tmp_path, base_url="") as desk:
        outcome = await desk.outcome("x = █\n")
        assert isinstance(outcome, Skip)
        assert outcome.reason is Reason.NO_PROVIDER
        assert "qwen.baseUrl" in outcome.detail
        assert desk.notices


async def test_a_service_that_can_not_be_found_out_is_told_at_once(tmp_path: Path) -> None:
    """A server that is not running is no passing accident when there is not even a model to ask for."""
    async with FakeService() as gone:
        address = gone.openai
    async with desk_with(tmp_path, base_url=address, model="") as desk:
        outcome = await desk.outcome("x = █\n")
        assert isinstance(outcome, Skip)
        assert outcome.reason is Reason.ERROR
        assert [notice.text for notice in desk.notices] == [outcome.detail]


async def test_a_connection_that_breaks_is_told_when_it_goes_on(desk: Desk) -> None:
    """One broken connection is an accident and no pop-up; three in a row are not."""
    desk.fake.default = Answer(["1", CUT])
    for failures in range(1, 4):
        desk.clock.passed += 60
        await desk.outcome(f"x{failures} = █\n")
        assert bool(desk.notices) is (failures == 3)


async def test_closing_releases_every_waiter(tmp_path: Path) -> None:
    """A server that shuts down answers what is open, and leaves no task behind."""
    before = asyncio.all_tasks()
    async with desk_with(tmp_path) as desk:
        desk.fake.script(Answer(["1", STALL]))
        open_request = asyncio.ensure_future(desk.outcome("x = █\n"))
        await desk.fake.until(1)
        await desk.engine.close()
        assert await open_request == Skip(Reason.SUPERSEDED)
    assert asyncio.all_tasks() == before


async def test_the_record_tells_every_stage_and_what_was_counted(desk: Desk) -> None:
    """`qwen-lsp complete` shows where the time went and what the service counted."""
    desk.fake.script("1 + 2")
    record = (await desk.engine.complete(at("x = █\n"))).record
    await desk.engine.close()
    assert [stage.name for stage in record.stages] == ["gate", "provider", "context", "reuse", "model", "place"]
    assert record.flight is not None
    assert record.flight.raw == "1 + 2"
    assert record.flight.usage is not None
    assert record.flight.usage.completion > 0
    assert record.first_token_ms is not None


async def in_full_flow(desk: Desk) -> None:
    """Keys come fast, in a place where no one is asked."""
    for typed in range(12):
        desk.clock.passed += 0.1
        await desk.outcome("x█yz" if typed % 2 else "x█y")


async def test_who_keeps_what_it_is_given_gets_all_of_it(desk: Desk) -> None:
    """A menu does not ask again for the rest, so it waits for the end however fast a person types."""
    await in_full_flow(desk)
    more = asyncio.Event()
    desk.fake.script(Answer(["a = 1\n", "b", more, " = 2"]))
    waiting = asyncio.ensure_future(desk.engine.complete(replace(at("import m\n█\n"), once=True)))
    await desk.fake.until(1)
    done, _ = await asyncio.wait({waiting}, timeout=0.3)
    assert not done
    more.set()
    outcome = (await waiting).outcome
    assert isinstance(outcome, Ghost)
    assert outcome.insert == "a = 1\nb = 2"


async def test_a_typist_in_full_flow_gets_whole_lines_before_the_end(desk: Desk) -> None:
    """Who is likely to be gone before the end gets the lines that are whole; the rest comes with the next key."""
    await in_full_flow(desk)
    more = asyncio.Event()
    desk.fake.script(Answer(["a = 1\n", "b", more, " = 2"]))
    waiting = asyncio.ensure_future(desk.outcome("import m\n█\n"))
    await desk.fake.until(1)
    ghost = await waiting
    assert isinstance(ghost, Ghost)
    assert ghost.insert == "a = 1"
    more.set()
    await asyncio.wait_for(desk.fake.generations[0].ended.wait(), 5)
    desk.clock.passed += 0.1
    rest = await desk.outcome("import m\na = 1█\n")
    assert isinstance(rest, Ghost)
    assert rest.insert == "\nb = 2"
    assert len(desk.fake.generations) == 1


async def test_what_follows_a_suggestion_is_asked_while_it_is_shown(tmp_path: Path) -> None:
    """With prefetch on, accepting a suggestion shows the next at once, and the hit is counted."""
    async with desk_with(tmp_path, prefetch=True) as desk:
        await desk.check("a = 1█\n", "\nb = 2", "a = 1⟦\nb = 2⟧\n")
        desk.fake.script("\nc = 3")
        await desk.fake.until(2)
        await asyncio.wait_for(desk.fake.generations[1].ended.wait(), 5)
        ghost = await desk.outcome("a = 1\nb = 2█\n")
        assert isinstance(ghost, Ghost)
        assert (ghost.insert, ghost.source) == ("\nc = 3", "prefetch")
        await desk.outcome("a = 1\nb = 2\nc█\n")
        assert (desk.engine.prefetched, desk.engine.prefetch_hits) == (1, 1)


async def test_nothing_is_prefetched_for_a_document_that_was_closed(tmp_path: Path) -> None:
    """Closed while the suggestion is shown, before what would follow is asked for."""
    async with desk_with(tmp_path, prefetch=True) as desk:
        request = at("a = 1█\n")
        await desk.check("a = 1█\n", "\nb = 2", "a = 1⟦\nb = 2⟧\n")
        desk.engine.closed(request.snapshot.uri)
        await asyncio.sleep(0.3)  # more than prefetching waits
        assert (desk.engine.prefetched, len(desk.fake.generations)) == (0, 1)


async def test_nothing_is_prefetched_from_a_service_that_may_cost_money(desk: Desk) -> None:
    """`qwen.prefetch` is on for the embedded model only, unless the person says so."""
    await desk.check("a = 1█\n", "\nb = 2", "a = 1⟦\nb = 2⟧\n")
    await asyncio.sleep(0.1)
    assert len(desk.fake.generations) == 1
    assert desk.engine.prefetched == 0


async def test_no_more_than_two_questions_are_on_the_wire(desk: Desk) -> None:
    """A third document waits until one of two has its answer."""
    gates = [asyncio.Event() for _ in range(3)]
    desk.fake.script(*(Answer([gate, "1"]) for gate in gates))
    waiting = [asyncio.ensure_future(desk.outcome("x = █\n", uri=f"file:///{n}.py")) for n in range(3)]
    await desk.fake.until(2)
    await asyncio.sleep(0.05)
    assert len(desk.fake.generations) == 2
    gates[0].set()
    await desk.fake.until(3)
    gates[1].set()
    gates[2].set()
    assert all(isinstance(ghost, Ghost) for ghost in await asyncio.gather(*waiting))


@pytest.mark.parametrize("at_character", range(len("1 + 2") + 1))
async def test_a_generation_is_taken_over_at_any_point_of_its_answer(desk: Desk, at_character: int) -> None:
    """However much has come and however much was typed of it, the rest is shown."""
    gate = asyncio.Event()
    answer = "1 + 2"
    desk.fake.script(Answer([answer[:at_character], gate, answer[at_character:]]))
    first = asyncio.ensure_future(desk.outcome("x = █\n"))
    await desk.fake.until(1)
    for typed in range(1, len(answer)):
        later = asyncio.ensure_future(desk.outcome(f"x = {answer[:typed]}█\n"))
        assert await first == Skip(Reason.SUPERSEDED)
        first = later
    gate.set()
    ghost = await first
    assert isinstance(ghost, Ghost)
    assert ghost.insert == answer[-1]
    assert len(desk.fake.generations) == 1


async def test_the_same_question_twice_is_asked_once_and_answered_twice(desk: Desk) -> None:
    """Two requests at one place share the work, also when a third comes after it is done."""
    gate = asyncio.Event()
    desk.fake.script(Answer([gate, "1"]))
    twice = [asyncio.ensure_future(desk.outcome("x = █\n")) for _ in range(2)]
    await desk.fake.until(1)
    gate.set()
    later = asyncio.ensure_future(desk.outcome("x = █\n"))
    for ghost in await asyncio.gather(*twice, later):
        assert isinstance(ghost, Ghost)
        assert ghost.insert == "1"
    assert len(desk.fake.generations) == 1


async def test_who_rested_through_a_refusal_keeps_to_it(tmp_path: Path) -> None:
    """A Retry-After holds for the request that was about to go out, too."""
    async with desk_with(tmp_path, debounce=100) as desk:
        desk.fake.script(failing(429, "Throttling.RateQuota", "Slow down.", retry_after="30"))
        resting = asyncio.ensure_future(desk.outcome("y = █\n", uri="file:///b.py"))
        await desk.outcome("x = █\n", trigger=Trigger.INVOKED)
        outcome = await resting
        assert isinstance(outcome, Skip)
        assert outcome.reason is Reason.COOLING_DOWN
        assert len(desk.fake.generations) == 1


async def test_the_lanes_of_the_debounce(tmp_path: Path) -> None:
    """By hand, and on a new line, nobody waits; inside a line the typist's rhythm says; who deletes is left to it."""
    async with desk_with(tmp_path, debounce="auto") as desk:
        engine = desk.engine
        for key in range(20):
            engine._rhythm.key(key * 0.24)
        engine._rhythm.answered(0.0)
        inside, new_line = at("x = █\n"), at("def f():\n    █\n")
        by_hand = at("x = █\n", trigger=Trigger.INVOKED)
        assert engine._delay(by_hand, deleting=False) == 0
        assert engine._delay(new_line, deleting=False) == 0
        assert engine._delay(inside, deleting=False) == pytest.approx(0.12)
        assert engine._delay(inside, deleting=True) > 0.12
    async with desk_with(tmp_path, debounce=70) as desk:
        assert desk.engine._delay(inside, deleting=False) == pytest.approx(0.07)
        assert desk.engine._delay(by_hand, deleting=False) == 0


async def test_who_asks_by_hand_waits_for_all_of_it(desk: Desk) -> None:
    """Their editor does not ask again by itself, so half an answer would stay half."""
    more = asyncio.Event()
    desk.fake.script(Answer(["a = 1\n", "b", more, " = 2"]))
    waiting = asyncio.ensure_future(desk.outcome("import m\n█\n", trigger=Trigger.INVOKED))
    await desk.fake.until(1)
    desk.clock.passed += 5
    await asyncio.sleep(0.05)
    assert not waiting.done()
    more.set()
    ghost = await waiting
    assert isinstance(ghost, Ghost)
    assert ghost.insert == "a = 1\nb = 2"


async def test_right_after_an_accepted_line_nobody_is_asked(desk: Desk) -> None:
    """The line is complete and the person is about to go on; by hand, and once they have, it is asked again."""
    await desk.check("x = f(█\n", "1)", "x = f(⟦1)⟧\n")
    desk.engine.accepted("file:///src/app.py")
    await desk.check("x = f(1)█\n", "unused", Reason.JUST_ACCEPTED)
    await desk.check("x = f(1)█\n", "unused", Reason.JUST_ACCEPTED)
    desk.fake._queue.clear()
    await desk.check("x = f(1)\n█\n", "y = 2", "x = f(1)\n⟦y = 2⟧\n")
    await desk.check("x = f(1)█\n", " + 1", "x = f(1)⟦ + 1⟧\n")


async def test_by_hand_it_is_asked_right_after_accepting(desk: Desk) -> None:
    """Whoever presses the key wants more."""
    await desk.check("x = f(█\n", "1)", "x = f(⟦1)⟧\n")
    desk.engine.accepted("file:///src/app.py")
    await desk.check("x = f(1)█\n", " + 1", "x = f(1)⟦ + 1⟧\n", trigger=Trigger.INVOKED)


async def test_accepting_what_was_never_shown_is_no_matter(desk: Desk) -> None:
    """Editors may send the command for whatever they remember."""
    desk.engine.accepted("file:///unknown.py")
    await desk.check("x = █\n", "1", "x = ⟦1⟧\n")


async def test_a_used_up_budget_ends_paid_completions_with_one_notice(desk: Desk) -> None:
    """From four fifths on a person is told, once; at the end nobody is asked."""
    share = 0.5
    desk.engine._used = lambda _service, _budget: share
    await desk.check("x = █\n", "1", "x = ⟦1⟧\n")
    assert desk.notices == []
    share = 0.85
    await desk.check("y = █\n", "2", "y = ⟦2⟧\n")
    assert [notice.text for notice in desk.notices] == ["85 % of the day's budget is used (qwen.budget)"]
    share = 1.0
    await desk.check("z = █\n", "3", Reason.BUDGET)
    assert len(desk.fake.generations) == 2
    assert desk.notices[-1].text.startswith("the day's budget is used up")


async def test_a_slow_service_is_told_of_with_a_hint(desk: Desk) -> None:
    """Its mean over ten answers, and what may help; the session shows a notice once."""
    for number in range(10):

        def late(_request: Received) -> Answer:
            desk.clock.passed += 3
            return Answer("1")

        await desk.check(f"x{number} = █\n", late, f"x{number} = ⟦1⟧\n")
    assert [notice.key for notice in desk.notices] == ["slow"]
    assert desk.notices[0].text.startswith("qwen-coder-turbo takes 3.")
    assert desk.notices[0].text.endswith("another model or region may be faster")


async def test_who_takes_long_to_start_is_told_of(tmp_path: Path) -> None:
    """From a moment on that a person would notice; and that it is over, also when it has failed."""
    heard: list[str] = []

    class Slow:
        async def service(self) -> Service:
            await asyncio.sleep(0.05)
            raise BackendError(Kind.MODEL, "it is broken")

        async def close(self, *, linger: bool = False) -> None:
            pass

    for patience, expected in ((0.01, ["starting", "started"]), (1.0, ["started"])):
        heard.clear()
        engine = Engine(Slow(), Settings())  # type: ignore[arg-type]
        engine.starting_after = patience
        engine.on_starting, engine.on_started = lambda: heard.append("starting"), lambda: heard.append("started")
        await engine.complete(at("x = █\n"))
        assert heard == expected
        await engine.close()


@pytest.mark.parametrize(
    ("before", "model", "names"),
    [
        ("def f():\n    █\n    return y\n", "return y\n", "repeats what follows"),
        ("f(█)\n", ")", "only what already closes the line"),
        ("x = █\n", "```\n", "fence"),
    ],
)
async def test_what_left_nothing_of_an_answer_is_named(desk: Desk, before: str, model: str, names: str) -> None:
    """The model did write something: a person who asks why sees which rule or filter took it."""
    desk.fake.script(model)
    outcome = await desk.outcome(before)
    assert isinstance(outcome, Skip)
    assert (outcome.reason, outcome.detail) == (Reason.FILTERED, names)


async def test_a_journal_knows_how_an_answer_came_about(desk: Desk) -> None:
    """Who wrote it, how much was shown to them, what of it was cut; numbers and names only."""
    desk.fake.script("canary_in_answer\n    return y\n")
    request = at("def f():\n    x = █\n    return y\n")
    journal = Journal()
    journal.add(request, await desk.engine.complete(request), 12.34)
    (record,) = journal.records()
    assert (record["outcome"], record["source"], record["ms"]) == ("shown", "model", 12.3)
    assert (record["model"], record["route"], record["passages"]) == ("qwen-coder-turbo", "fim", 0)
    assert (record["before"], record["after"]) == (len("def f():\n    x = "), len("\n    return y\n"))
    assert record["filters"] == "end of the statement"
    assert "canary" not in str(record)


async def test_who_waited_for_the_service_does_not_overtake_who_came_later(desk: Desk) -> None:
    """The first request waits until the service is found, the second finds it there: the second is the current one."""
    found, service = asyncio.Event(), desk.engine._backend.service
    calls = 0

    async def slow_at_first() -> Service:
        nonlocal calls
        calls += 1
        if calls == 1:
            await found.wait()
        return await service()

    desk.engine._backend.service = slow_at_first  # type: ignore[method-assign]
    desk.fake.default = "1"
    early = asyncio.ensure_future(desk.outcome("█\n"))
    await asyncio.sleep(0)
    late = asyncio.ensure_future(desk.outcome("x = █\n"))
    await asyncio.sleep(0.02)
    found.set()
    first, second = await asyncio.gather(early, late)
    assert isinstance(first, Skip)
    assert first.reason is Reason.SUPERSEDED
    assert isinstance(second, Ghost)


async def test_what_is_taken_back_before_its_first_word_counts_as_spent(desk: Desk) -> None:
    """The service may have read the prompt and send a bill for it; what it refused costs nothing."""
    spent: list[Usage] = []
    desk.engine._asker.on_spent = lambda _service, _language, usage: spent.append(usage)
    desk.fake.script(Answer([STALL]), FAILURES["key"])
    early = asyncio.ensure_future(desk.outcome("x = █\n"))
    await desk.fake.until(1)
    desk.engine.closed(at("x = █\n").snapshot.uri)
    await early
    await asyncio.wait_for(desk.fake.generations[0].ended.wait(), 5)
    await asyncio.sleep(0.05)
    assert [usage.completion for usage in spent] == [0]
    assert spent[0].prompt > 0
    await desk.outcome("y = █\n")
    assert len(spent) == 1
