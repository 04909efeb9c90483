"""One document's requests as they follow each other: what is shown in part, refused, closed. Time is virtual."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from qwen_lsp.core.config import Settings
from qwen_lsp.core.model import BackendError, Ghost, Kind, Outcome, Reason, Service, Skip
from qwen_lsp.engine.engine import Engine
from qwen_lsp.engine.record import Answer
from qwen_lsp.engine.scheduler import GRACE, LATENCY_TARGET
from tests.marks import CURSOR, at
from tests.test_scheduler import HEAD, TRUTH, Script, Scripts
from tests.virtual_time import VirtualTimeLoop

URI = "file:///a.py"
FIRST = "total = 0"
"""The first line of what the model says."""
MORE = " item in items:\n        total += item.size"
"""The rest of the second, and the third."""


class Failing(Scripts):
    """A backend that may fail to say who answers, or take its time."""

    failure: BackendError | None = None
    found: asyncio.Event | None = None

    async def service(self) -> Service:
        if self.found is not None:
            await self.found.wait()
        if self.failure is not None:
            raise self.failure
        return await super().service()


class Person:
    """Types in one document, asked about by an editor that takes nothing back."""

    def __init__(self) -> None:
        self.loop = VirtualTimeLoop()
        self.backend = Failing()
        self.used = 0.0
        self.engine = self.loop.run_until_complete(self.make())

    async def make(self) -> Engine:
        settings = Settings(debounce=0, candidates=1, prefetch=False)
        return Engine(self.backend, settings, clock=self.loop.time, used=lambda _service, _budget: self.used)

    @property
    def script(self) -> Script:
        """What is generated; one generation is all there has been."""
        (only,) = self.backend.made
        return only

    def wait(self, seconds: float = 0.0) -> None:
        self.loop.run_until_complete(asyncio.sleep(seconds))
        for _ in range(8):
            self.loop.run_until_complete(asyncio.sleep(0))

    def asks(self, text: str) -> asyncio.Task[Answer]:
        """The answer to come at the `█` of a text; no time passes."""
        task = self.loop.create_task(self.engine.complete(at(text, uri=URI)))
        self.wait()
        return task

    def has_typed(self, typed: str) -> asyncio.Task[Answer]:
        """The same after so much of what the model says."""
        return self.asks(f"{HEAD}{typed}{CURSOR}\n")


@pytest.fixture
def person() -> Iterator[Person]:
    made = Person()
    yield made
    made.loop.run_until_complete(made.engine.close())
    made.loop.close()


def outcome(task: asyncio.Task[Answer]) -> Outcome | None:
    """What was answered; None as long as nothing is."""
    return task.result().outcome if task.done() else None


def text(task: asyncio.Task[Answer]) -> str | None:
    ghost = outcome(task)
    return ghost.insert if isinstance(ghost, Ghost) else None


def shown_in_part(person: Person) -> None:
    """The first line is on the screen of somebody in full flow; the model is in the middle of the second."""
    task = person.has_typed("")
    person.script.say(len(f"{FIRST}\n    for"))
    person.wait(LATENCY_TARGET / 4)
    assert text(task) == FIRST


def test_more_of_what_is_on_the_screen_is_given_at_once(person: Person) -> None:
    """The next key sees each further line that is whole, however fast they type: what is shown never goes away."""
    shown_in_part(person)
    person.script.say(len(MORE) + 4)
    person.wait()
    assert text(person.has_typed("tot")) == f"al = 0\n    for{MORE}"


def test_what_was_shown_in_part_is_generated_to_its_end(person: Person) -> None:
    """A person who reads it for a while types on and is given the rest: nobody is asked again."""
    shown_in_part(person)
    person.wait(10 * GRACE)
    person.script.say(len(TRUTH))
    person.script.end()
    person.wait()
    assert text(person.has_typed(FIRST)) == TRUTH.removeprefix(FIRST).rstrip()
    assert len(person.backend.made) == 1


@pytest.mark.parametrize("reason", [Reason.REST_OF_LINE, Reason.NO_PROVIDER, Reason.BUDGET], ids=lambda r: r.value)
def test_who_is_refused_lets_go_of_what_was_asked_before(person: Person, reason: Reason) -> None:
    """The editor has gone on; a place that it has left is not answered for, whoever refuses the next one."""
    before = person.has_typed("")
    assert outcome(before) is None
    if reason is Reason.NO_PROVIDER:
        person.backend.failure = BackendError(Kind.CONFIG, "the key has gone")
    person.used = float(reason is Reason.BUDGET)
    after = outcome(person.asks("f(█x)\n" if reason is Reason.REST_OF_LINE else "x = █\n"))
    assert isinstance(after, Skip)
    assert after.reason is reason
    assert outcome(before) == Skip(Reason.SUPERSEDED)


def test_who_is_refused_late_lets_go_of_nobody_who_came_later(person: Person) -> None:
    """Finding out who answers may take so long that the editor has gone on meanwhile."""
    person.backend.found = asyncio.Event()
    early = person.has_typed("")
    found, person.backend.found = person.backend.found, None
    late = person.has_typed("tot")
    person.backend.failure = BackendError(Kind.CONFIG, "the key has gone")
    found.set()
    person.wait()
    assert outcome(early) == Skip(Reason.SUPERSEDED)
    assert outcome(late) is None


def test_nothing_is_known_of_a_document_that_was_closed(person: Person) -> None:
    """What it is opened with again may be another's."""
    person.has_typed("")
    person.script.say(len(TRUTH))
    person.script.end()
    person.wait()
    assert text(person.has_typed("tot")) == TRUTH.removeprefix("tot").rstrip()
    person.engine.closed(URI)
    assert outcome(person.has_typed("tot")) is None
    assert len(person.backend.made) == 2
