"""Keystrokes, cancels, stream chunks, errors and time in any order: the engine keeps its promises.

The clock is virtual and the model is a script, so that a year of typing takes a second.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from qwen_lsp.core.config import Settings
from qwen_lsp.core.context import Window
from qwen_lsp.core.model import (
    Api,
    BackendError,
    Delta,
    Ghost,
    Kind,
    Prompt,
    Reason,
    Request,
    Route,
    Service,
    Skip,
    Snippet,
    Trigger,
)
from qwen_lsp.engine.engine import Engine
from qwen_lsp.engine.record import Answer
from qwen_lsp.engine.scheduler import WIRE_LIMIT
from tests.marks import CURSOR, at
from tests.virtual_time import VirtualTimeLoop

HEAD = "def work(items):\n    "
TRUTH = "total = 0\n    for item in items:\n        total += item.size\n    return total\n"
"""What the person means to type, and what the model says where it sees that they are on the way."""
ELSEWHERE = "zzz"
"""What it says where they are not."""
VARIED = "varied"
"""What it says when it is asked for something less likely."""
AFTER = "\n"
CHANGED = "\n# something below has changed\n"
DOCUMENTS = ("file:///a.py", "file:///b.py", "file:///c.py")


def meant(typed: str, after: str) -> str:
    """What the model says at a place: all that is shown there has to be the beginning of it."""
    if not TRUTH.startswith(typed):
        return ELSEWHERE
    return TRUTH[len(typed) :] if after == AFTER else f"other({typed!r})"


def by_hand(request: Request) -> bool:
    return request.trigger is Trigger.INVOKED


class Script:
    """One generation: says what it is told to, when it is told to."""

    def __init__(self, prompt: Prompt) -> None:
        self.left = meant(prompt.prefix.removeprefix(HEAD), prompt.suffix)
        if prompt.temperature:
            self.left = f"{VARIED} = {prompt.temperature}"
        self.deltas: list[Delta] = []
        self.error: BackendError | None = None
        self.over = self.stopped = False
        self.news = asyncio.Event()

    @property
    def live(self) -> bool:
        return not (self.over or self.stopped)

    def __aiter__(self) -> AsyncIterator[Delta]:
        return self

    async def __anext__(self) -> Delta:
        while True:
            if self.stopped:
                raise StopAsyncIteration
            if self.deltas:
                return self.deltas.pop(0)
            if self.error is not None:
                raise self.error
            if self.over:
                raise StopAsyncIteration
            self.news.clear()
            await self.news.wait()

    def stop(self) -> None:
        self.stopped = True
        self.news.set()

    def say(self, size: int) -> None:
        self.deltas.append(Delta(self.left[:size]))
        self.left = self.left[size:]
        self.news.set()

    def end(self, error: BackendError | None = None) -> None:
        self.over, self.error = True, error
        self.news.set()


class Scripts:
    """A backend of scripts, fitting engine/ports.py."""

    def __init__(self) -> None:
        self.made: list[Script] = []

    async def service(self) -> Service:
        return Service("openai", "http://127.0.0.1:1/v1", "qwen-coder", Route.FIM, Api.COMPLETIONS)

    def generate(self, service: Service, prompt: Prompt) -> Script:
        self.made.append(Script(prompt))
        return self.made[-1]

    async def close(self, *, linger: bool = False) -> None:
        for script in self.live:
            script.stop()

    @property
    def live(self) -> list[Script]:
        return [script for script in self.made if script.live]


class Shelf:
    """Sources of passages that take their time, fitting engine/ports.py."""

    def __init__(self) -> None:
        self.asked = 0

    def shows(self, uri: str, path: str) -> bool:
        return True

    def refusal(self, uri: str) -> Skip | None:
        return None

    def repository(self, uri: str) -> tuple[str, str]:
        return "project", "app.py"

    async def snippets(self, request: Request, around: Window, room: int) -> list[Snippet]:
        self.asked += 1
        await asyncio.sleep(0.05 * (self.asked % 4))
        return [Snippet("other.py", f"passage = {self.asked // 3}", 0.5, "similar")]


class Typing(RuleBasedStateMachine):
    """A person types, the editor asks, the model streams, things fail, time passes."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = VirtualTimeLoop()
        self.backend = Scripts()
        self.engine = self.loop.run_until_complete(self.make())
        self.typed = ""
        self.after = AFTER
        self.asked: list[tuple[Request, str, str, asyncio.Task[Answer]]] = []

    async def make(self) -> Engine:
        return Engine(self.backend, Settings(prefetch=True), sources=Shelf(), clock=self.loop.time)

    def run(self, seconds: float = 0.0) -> None:
        """Lets everything that can happen happen, and this time pass."""
        self.loop.run_until_complete(asyncio.sleep(seconds))
        for _ in range(8):
            self.loop.run_until_complete(asyncio.sleep(0))

    @rule(count=st.integers(1, 12))
    def type_on(self, count: int) -> None:
        """The next characters of what the person means."""
        if TRUTH.startswith(self.typed):
            self.typed += TRUTH[len(self.typed) :][:count]

    @rule(slip=st.sampled_from(["x", "qq", "  ", "return 1", "\n"]))
    def type_something_else(self, slip: str) -> None:
        self.typed += slip

    @rule(count=st.integers(1, 9))
    def delete(self, count: int) -> None:
        self.typed = self.typed[: max(len(self.typed) - count, 0)]

    @rule()
    def change_below(self) -> None:
        self.after = CHANGED if self.after == AFTER else AFTER

    @rule(by_hand=st.booleans(), uri=st.sampled_from(DOCUMENTS))
    def ask(self, by_hand: bool, uri: str) -> None:  # noqa: FBT001 - hypothesis' own way
        """The editor asks; what it asked before is not taken back, as in Neovim and Helix."""
        trigger = Trigger.INVOKED if by_hand else Trigger.AUTOMATIC
        request = at(f"{HEAD}{self.typed}{CURSOR}{self.after}", trigger=trigger, uri=uri)
        task = self.loop.create_task(self.engine.complete(request))
        self.asked.append((request, self.typed, self.after, task))
        self.run()

    @precondition(lambda self: self.waiting())
    @rule(data=st.data())
    def take_back(self, data: st.DataObject) -> None:
        """The editor takes a request back, perhaps before its first step."""
        data.draw(st.sampled_from(self.waiting())).cancel()

    @precondition(lambda self: self.backend.live)
    @rule(data=st.data(), size=st.integers(1, 40))
    def stream(self, data: st.DataObject, size: int) -> None:
        data.draw(st.sampled_from(self.backend.live)).say(size)
        self.run()

    @precondition(lambda self: self.backend.live)
    @rule(data=st.data(), kind=st.sampled_from([None, None, *Kind]))
    def end(self, data: st.DataObject, kind: Kind | None) -> None:
        """A stream ends, mostly well."""
        error = BackendError(kind, "it failed") if kind else None
        data.draw(st.sampled_from(self.backend.live)).end(error)
        self.run()

    @rule(seconds=st.sampled_from([0.02, 0.06, 0.13, 0.3, 0.7, 3.0, 400.0]))
    def pass_time(self, seconds: float) -> None:
        self.run(seconds)

    @invariant()
    def no_more_on_the_wire_than_a_service_takes(self) -> None:
        """Invariant 8, its first half."""
        assert len(self.backend.live) <= WIRE_LIMIT

    @invariant()
    def what_is_shown_fits(self) -> None:
        """A ghost goes on with what the model says for that very place, typed-through or not (invariant 6)."""
        for request, typed, after, task in self.asked:
            if task.done() and not task.cancelled() and isinstance(ghost := task.result().outcome, Ghost):
                shown = [ghost, *task.result().others]
                likely = [each for each in shown if not each.insert.startswith(VARIED)]
                assert all(meant(typed, after).startswith(each.insert) for each in likely), (typed, ghost)
                assert len({each.insert for each in shown}) == len(shown)
                assert ghost in likely or by_hand(request)

    @invariant()
    def only_the_newest_request_of_a_document_waits(self) -> None:
        """Older ones, at other places, have been answered."""
        newest = {request.snapshot.uri: request.snapshot.lines for request, *_ in self.asked}
        for request, *_, task in self.asked:
            if not (task.done() or task.cancelling()):
                assert request.snapshot.lines == newest[request.snapshot.uri]

    def waiting(self) -> list[asyncio.Task[Answer]]:
        return [task for *_, task in self.asked if not task.done()]

    def teardown(self) -> None:
        """Every waiter is answered or cancelled, and no task outlives `close` (invariant 8, its second half)."""
        self.loop.run_until_complete(self.engine.close())
        self.run()
        for *_, task in self.asked:
            assert task.done()
            if not task.cancelled() and isinstance(skip := task.result().outcome, Skip):
                assert skip.reason in Reason
        assert asyncio.all_tasks(self.loop) == set()
        self.loop.close()


TestTyping = Typing.TestCase
TestTyping.settings = settings(max_examples=80, stateful_step_count=40, deadline=None)
