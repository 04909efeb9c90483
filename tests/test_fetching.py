"""lsp/fetching.py: a person asks an editor for the embedded model, and sees how far it is."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Any

import pytest

from qwen_lsp.core.model import BackendError, Kind
from tests.session_desk import INLINE, Desk, at

EXECUTE = "workspace/executeCommand"
SHOWS_PROGRESS = {"capabilities": {"textDocument": {"inlineCompletion": {}}, "window": {"workDoneProgress": True}}}
MEGA = 1_000_000


@pytest.fixture
async def desk() -> Desk:
    return Desk()


async def run(desk: Desk, *arguments: Any) -> str:
    return (await desk.ask(EXECUTE, {"command": "qwen.fetchModel", "arguments": list(arguments)}))["text"]


async def until(holds: Callable[[], bool]) -> None:
    """Waits for what another thread leads to."""
    async with asyncio.timeout(10):
        while not holds():  # noqa: ASYNC110 - a thread has no events
            await asyncio.sleep(0.005)


async def progress_of(desk: Desk) -> dict[str, Any]:
    """The editor's consent to show progress."""
    found: list[dict[str, Any]] = []

    def asked() -> bool:
        found[:] = [message for message in desk.sent if message.get("method") == "window/workDoneProgress/create"]
        return bool(found)

    await until(asked)
    desk.take(id=found[0]["id"], result=None)
    return found[0]["params"]


def shown(desk: Desk) -> list[tuple[str, Any]]:
    values = [message["params"]["value"] for message in desk.sent if message.get("method") == "$/progress"]
    return [(value["kind"], value.get("message", value.get("percentage"))) for value in values]


async def test_the_editor_shows_how_far_it_is_and_completes_when_it_is_there(desk):
    """A report for each per cent, an end, a line; and whoever completes is looked for anew."""

    def fetch(name: str, told: Callable[[int, int], None]) -> None:
        for done in (0, 250, 251, 1000):
            told(done * MEGA, 1000 * MEGA)
        assert name == "embedded-1.5b"

    desk.fetching = fetch
    desk.begin(**SHOWS_PROGRESS)
    await desk.ask(INLINE, at(0, 4))
    assert await run(desk, "1.5b") == "fetching embedded-1.5b"
    await progress_of(desk)
    await until(lambda: bool(desk.told()))
    assert desk.told() == ["qwen-lsp: embedded-1.5b is here"]
    reports = ["0 of 1,000 MB", "250 of 1,000 MB", "1,000 of 1,000 MB"]
    assert [value for kind, value in shown(desk) if kind == "report"] == reports
    assert (shown(desk)[0], shown(desk)[-1]) == (("begin", 0), ("end", None))
    await desk.ask(INLINE, at(0, 4))
    assert len(desk.engines) == 2


async def test_one_at_a_time(desk):
    """Who asks again is told so."""
    gate = threading.Event()
    desk.fetching = lambda _name, _told: gate.wait(10)
    desk.begin()
    assert await run(desk) == "fetching embedded-1.5b"
    assert await run(desk, "1.5b") == "embedded-1.5b is being fetched already"
    gate.set()
    await until(lambda: bool(desk.told()))
    assert await run(desk, "1.5b") == "fetching embedded-1.5b"
    await until(lambda: len(desk.told()) == 2)


async def test_a_person_takes_it_back(desk):
    """By the progress's own button; what is there is kept by the next one (backend/download.py)."""
    gate = threading.Event()

    def fetch(name: str, told: Callable[[int, int], None]) -> str:
        told(1, 10)
        gate.wait(10)
        try:
            told(2, 10)
        except Exception:  # noqa: BLE001 - as a source does, which takes any failure for the network's
            return "tried again"
        return name

    desk.fetching = fetch
    desk.begin(**SHOWS_PROGRESS)
    await run(desk)
    params = await progress_of(desk)
    await until(lambda: len(shown(desk)) == 2)
    desk.notify("window/workDoneProgress/cancel", params)
    gate.set()
    await until(lambda: bool(desk.told()))
    assert desk.told() == ["qwen-lsp: fetching was stopped; the same command goes on from there"]
    assert shown(desk)[-1][0] == "end"


async def test_the_end_of_the_session_ends_it(desk):
    """The thread stops at the next piece, and nothing waits for it."""
    gate, stopped = threading.Event(), threading.Event()

    def fetch(name: str, told: Callable[[int, int], None]) -> str:
        gate.wait(10)
        try:
            told(2, 10)
        except BaseException:
            stopped.set()
            raise
        return name

    desk.fetching = fetch
    desk.begin()
    await run(desk)
    await asyncio.sleep(0)
    async with asyncio.timeout(5):
        await desk.server.stop()
    gate.set()
    assert await asyncio.to_thread(stopped.wait, 10)


async def test_what_went_wrong_is_one_line(desk):
    """As the command line has it, with what to do."""

    def fetch(_name: str, _told: Callable[[int, int], None]) -> str:
        raise BackendError(Kind.MODEL, "the disk is full; free some room")

    desk.fetching = fetch
    desk.begin()
    await run(desk)
    await until(lambda: bool(desk.told()))
    assert desk.told() == ["qwen-lsp: the disk is full; free some room"]


async def test_a_model_that_there_is_none_of_is_refused_at_once(desk):
    """Nothing is begun; the next one may be."""
    desk.begin()
    reply = await desk.reply(desk.request(EXECUTE, {"command": "qwen.fetchModel", "arguments": ["x"]}))
    assert reply["error"]["message"] == "qwen.fetchModel: there is no model 'x'; choose one of embedded-1.5b"
    assert await run(desk) == "fetching embedded-1.5b"
    await until(lambda: bool(desk.told()))


async def test_nothing_is_fetched_where_nothing_may_leave(desk):
    """`qwen.localOnly` holds for this too; the name of a model is a string."""
    desk.begin(initializationOptions={"localOnly": True})
    assert "localOnly" in await run(desk)
    reply = await desk.reply(desk.request(EXECUTE, {"command": "qwen.fetchModel", "arguments": [7]}))
    assert "takes a model's name" in reply["error"]["message"]
