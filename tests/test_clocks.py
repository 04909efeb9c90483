"""Clocks that are set while a session runs: back by a day, or on by a month.

What lasts a while is measured with clocks that nobody sets; the date is read for what is counted by the day, and the
time only to be shown.
"""

from __future__ import annotations

import ast
import asyncio
import itertools
import sys
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from qwen_lsp.cli.paths import ledger_file
from qwen_lsp.core.config import BudgetSettings
from qwen_lsp.core.model import Api, Ghost, Reason, Route, Service, Skip, Usage
from qwen_lsp.engine.tally import Tally
from qwen_lsp.usage.ledger import Ledger, latencies, rows, together
from tests.desk import until
from tests.e2e.test_faults import PATIENCE, Session, served
from tests.fake_dashscope import FakeService, failing
from tests.marks import at
from tests.session_desk import INLINE, Desk
from tests.session_desk import at as asked_at
from tests.test_architecture import PACKAGE
from tests.test_engine import desk_with

MINUTE, DAY = 60.0, 86_400.0
JUMPS = pytest.mark.parametrize("jump", [-DAY, 30 * DAY], ids=["back by a day", "on by a month"])
PAID = Service("dashscope", "https://x", "qwen-coder-turbo", Route.FIM, Api.COMPLETIONS, region="cn-beijing")

# Who reads them

READ_FOR = {
    ("engine/tally.py", "datetime.now"): "what is counted belongs to the person's day, and so does a budget",
    ("backend/learned.py", "date.today"): "the doctor tells on which day something was seen; nothing depends on it",
    ("lsp/controls.py", "time.time"): "the time of day at which a snooze ends, to be shown",
}
"""All that reads a clock that can be set, in the rooms that a session consists of."""
ROOMS = ("core", "engine", "backend", "usage", "workspace", "lsp")
SET_BY_PEOPLE = {
    "time": {"time", "time_ns", "localtime", "gmtime", "ctime", "asctime", "strftime", "clock_gettime"},
    "datetime": {"now", "utcnow", "today"},
    "date": {"today"},
}


def clocks_read(source: str) -> Iterator[str]:
    """The clocks in a module that somebody may set, by module or class and name."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Attribute):
            owner = ast.unparse(node.value).rpartition(".")[2]
            if node.attr in SET_BY_PEOPLE.get(owner, ()):
                yield f"{owner}.{node.attr}"
        elif isinstance(node, ast.ImportFrom) and node.module in SET_BY_PEOPLE:
            yield from (f"{node.module}.{each.name}" for each in node.names if each.name in SET_BY_PEOPLE[node.module])


@pytest.mark.parametrize(
    "source",
    [
        "import time\ndef f(clock=time.time): ...",
        "import time\nnow = time.time_ns() / 1e9",
        "from time import time",
        "import datetime\ndatetime.datetime.now()",
        "from datetime import date\nf = date.today",
    ],
)
def test_a_clock_that_people_set_is_found(source: str) -> None:
    """Called, handed on or imported."""
    assert len(list(clocks_read(source))) == 1


def test_nothing_that_lasts_a_while_is_measured_with_a_clock_that_people_set() -> None:
    """Debounce, cool-down, timeouts, caches and restarts use monotonic clocks; who reads the date is listed above."""
    found = [
        (path.relative_to(PACKAGE).as_posix(), name)
        for room in ROOMS
        for path in sorted((PACKAGE / room).rglob("*.py"))
        for name in clocks_read(path.read_text(encoding="utf-8"))
    ]
    assert sorted(found) == sorted(READ_FOR)  # once each


# A snooze


class Clocks:
    """The two that a session has."""

    steady, wall = 5_000.0, 1_000_000_000.0

    def __init__(self, desk: Desk) -> None:
        desk.server._controls._clock = lambda: self.steady
        desk.server._controls._wall = lambda: self.wall

    def go_on(self, seconds: float) -> None:
        self.steady += seconds
        self.wall += seconds


async def run(desk: Desk, command: str, *arguments: Any) -> Any:
    return await desk.ask("workspace/executeCommand", {"command": command, "arguments": list(arguments)})


async def shown(desk: Desk) -> bool:
    return bool((await desk.ask(INLINE, asked_at(0, 4)))["items"])


@JUMPS
async def test_a_snooze_lasts_as_long_as_was_said(jump: float) -> None:
    """Not until tomorrow, nor is it over at once; its end is told by the clock as it is set now."""
    desk = Desk()
    clocks = Clocks(desk)
    desk.begin()
    told = await run(desk, "qwen.snooze", 5)
    assert datetime.fromisoformat(told["until"]).timestamp() == clocks.wall + 5 * MINUTE
    clocks.go_on(MINUTE)
    clocks.wall += jump
    told = await run(desk, "qwen.status")
    assert datetime.fromisoformat(told["until"]).timestamp() == clocks.wall + 4 * MINUTE
    clocks.go_on(4 * MINUTE - 1)
    assert not await shown(desk)
    clocks.go_on(1)
    assert await shown(desk)
    assert (await run(desk, "qwen.status"))["state"] == "ready"


@JUMPS
async def test_the_end_of_a_snooze_is_told_when_it_comes(jump: float) -> None:
    """An editor that shows the status would else show a pause that is over, until the next key."""
    desk = Desk()
    desk.begin(capabilities={"experimental": {"qwenStatus": True}})
    wall = desk.server._controls._wall
    await run(desk, "qwen.snooze", 0.1 / MINUTE)
    desk.server._controls._wall = lambda: wall() + jump
    assert await until(lambda: len(desk.statuses()) == 3, PATIENCE)
    assert [told["state"] for told in desk.statuses()] == ["ready", "paused", "ready"]


# The ledger and the budget


class Diary:
    """A session's counting, whose date the test sets."""

    def __init__(self, path: Path) -> None:
        self.day = "2026-11-22"
        self.path, self.ledger = path, Ledger(path)
        self.tally = Tally(self.ledger, lambda: self.day)
        self.requests = 0

    async def spend(self, tokens: int) -> None:
        """One completion, until the ledger has it and has looked at the day."""
        self.requests += 1
        self.tally.spent(PAID, "python", Usage(tokens, 0))
        self.tally.answered(at("x = █\n"), Ghost(0, 4, 4, "y", "y"), PAID, 80.0)
        assert await until(lambda: sum(row["requests"] for row in rows(self.path)) == self.requests, PATIENCE)
        await until(lambda: self.ledger.spent.day == self.day)

    def used(self) -> float:
        return self.tally.used(PAID, BudgetSettings(tokens=100))


@pytest.fixture
def diary(tmp_path: Path) -> Iterator[Diary]:
    made = Diary(tmp_path / "ledger.db")
    yield made
    made.tally.close()


async def test_the_ledger_goes_to_the_day_of_the_clock(diary: Diary) -> None:
    """Each day has what was counted on it, in whatever order the days come; nothing is lost, nothing counted twice."""
    for day, tokens in (("2026-11-22", 1), ("2026-11-21", 2), ("2026-12-22", 4), ("2026-11-22", 8)):
        diary.day = day
        await diary.spend(tokens)
    found = {row.key.day: (row["requests"], row["tokens_in"]) for row in together(rows(diary.path), "day")}
    assert found == {"2026-11-21": (1, 2), "2026-11-22": (2, 9), "2026-12-22": (1, 4)}
    assert sum(each.count for each in latencies(diary.path)) == 4


@pytest.mark.parametrize("other", ["2026-11-21", "2026-11-23", "2026-12-22"])
async def test_a_budget_is_that_of_the_day_on_the_clock(diary: Diary, other: str) -> None:
    """Another day has one of its own; back on the first, what was spent on it counts."""
    await diary.spend(100)
    assert diary.used() == 1.0
    diary.day, first = other, diary.day
    assert diary.used() == 0.0
    await diary.spend(40)
    assert diary.used() == 0.4
    diary.day = first
    await diary.spend(10)
    assert diary.used() == 1.1
    diary.day = other
    await diary.spend(10)
    assert diary.used() == 0.5


async def test_a_budget_s_end_is_told_again_on_the_next_day(tmp_path: Path) -> None:
    """A session that runs for days warns on each of them, once; who answers for nothing in between changes nothing."""
    async with desk_with(tmp_path) as desk:
        numbers = itertools.count()
        for share in (0.5, 0.85, 0.0, 0.9, 1.0, 1.1, 0.0, 0.1, 0.85, 1.2):
            desk.engine._used = lambda _service, _budget, share=share: share
            outcome = await desk.outcome(f"x{next(numbers)} = █\n")
            assert (isinstance(outcome, Skip) and outcome.reason is Reason.BUDGET) is (share >= 1)
        assert [("used up" in notice.text, notice.text[:4]) for notice in told_once(desk.notices)] == [
            (False, "85 %"),
            (True, "the "),
            (False, "85 %"),
            (True, "the "),
        ]


def told_once(notices: list[Any]) -> list[Any]:
    """Those that a person is shown: one of each key."""
    return list({notice.key: notice for notice in reversed(notices)}.values())[::-1]


# A whole session

SET = """\
import datetime, sys, time
from pathlib import Path
file, real = Path(sys.argv[1]), time.time
time.time = lambda: real() + float(file.read_text())
class Set(datetime.datetime):
    @classmethod
    def now(cls, tz=None):
        return cls.fromtimestamp(time.time(), tz)
datetime.datetime = Set
from qwen_lsp.cli import main
sys.argv[1:] = ["serve"]
sys.exit(main())
"""
"""A server whose clock is wrong by so many seconds as a file says."""


class Hands:
    """Sets a server's clock to noon of a day."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self.noon = datetime.now().astimezone().replace(hour=12, minute=0)
        self.set(0)

    def set(self, days: int) -> str:
        """So many days from now; the date."""
        then = self.noon + timedelta(days=days)
        fresh = self._file.with_suffix(".new")  # the server may be reading
        fresh.write_text(str(then.timestamp() - datetime.now().astimezone().timestamp()))
        fresh.replace(self._file)
        return then.date().isoformat()


async def asked(session: Session, wanted: Callable[[list[str]], bool], most: int) -> int:
    """Asks until the answer is as it should be; how often that was."""
    for number in range(1, most + 1):
        if wanted(await session.ask()):
            return number
        await asyncio.sleep(0.05)  # the ledger is written beside the completions
    raise AssertionError(f"not within {most} requests")


async def test_a_session_whose_clock_is_set(tmp_path: Path) -> None:
    """A cool-down neither ends nor lasts longer; budgets and ledger follow the day, nothing is lost."""
    hands = Hands(tmp_path / "shift")
    command = (sys.executable, "-c", SET, str(tmp_path / "shift"))
    async with (
        FakeService() as service,
        served(tmp_path, service, command=command, DASHSCOPE_API_KEY="sk-test-0123456789") as session,
    ):
        session.use(provider="dashscope", baseUrl=service.dashscope, region="cn-beijing", budget={"tokens": 1})
        expected: dict[str, int] = {}
        for days in (0, 30, 0, -1, 30):
            day = hands.set(days)
            count = 0 if day in expected else await asked(session, bool, 1)
            count += await asked(session, lambda items: not items, 40)
            expected[day] = expected.get(day, 0) + count
        hands.set(40)
        session.use()
        service.default = failing(503, "down", "For a moment.", retry_after="0")
        assert await session.ask() == []
        hands.set(60)
        uri = session.open()
        question = asked_at(0, 4) | {"textDocument": {"uri": uri}}
        assert (await session.client.ask(INLINE, question))["result"] == {"items": []}
        why = await session.client.ask("workspace/executeCommand", {"command": "qwen.why", "arguments": [uri]})
        assert why["result"]["reason"] == "cooling-down"
        hands.set(-60)
        service.default = "pass"
        await session.works()
        session.is_sound()
        await session.client.ask("shutdown")
        session.client.notify("exit")
        await session.client.exited()
    found = {row.key.day: row["requests"] for row in together(rows(ledger_file({"HOME": str(tmp_path)})), "day")}
    assert {day: found[day] for day in expected} == expected
