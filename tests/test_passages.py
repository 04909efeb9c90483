"""What of other files a model is shown, and how the budget for it follows what the service has shown."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from qwen_lsp.core.config import Settings
from qwen_lsp.core.context import Window, density_near
from qwen_lsp.core.model import Api, Ghost, Reason, Request, Route, Service, Skip, Snippet, Trigger
from qwen_lsp.engine.asker import Asker
from qwen_lsp.engine.passages import Passages
from tests.fake_dashscope import STALL, Answer
from tests.marks import CURSOR, at
from tests.test_engine import Desk, desk_with

NEAR = Snippet("src/near.py", "def near():\n    return 1", 0.9, "definition")
FAR = Snippet("src/far.py", "def far():\n    return 2", 0.4, "similar")
URI = "file:///project/src/app.py"


class Shelf:
    """A workspace of snippets, fitting `engine.ports.Sources`."""

    def __init__(self, *snippets: Snippet, wait: asyncio.Event | None = None) -> None:
        self.snippets_here: Sequence[Snippet] = snippets
        self.wait = wait
        self.asked: list[tuple[int, int]] = []
        self.begun = asyncio.Event()
        self.refused: Skip | None = None

    def shows(self, uri: str, path: str) -> bool:
        return True

    def refusal(self, uri: str) -> Skip | None:
        return self.refused

    def repository(self, uri: str) -> tuple[str, str]:
        return "work", "src/app.py"

    async def snippets(self, request: Request, around: Window, room: int) -> Sequence[Snippet]:
        self.asked.append((request.line, room))
        self.begun.set()
        if self.wait is not None:
            await self.wait.wait()
        return self.snippets_here


def prompts(desk: Desk) -> list[str]:
    return [request.json["prompt"] for request in desk.fake.generations]


async def ask(desk: Desk, text: str, **how: Any) -> Ghost | Skip:
    return await desk.outcome(text, uri=URI, **how)


async def test_passages_stand_before_the_document_the_most_helpful_last(tmp_path: Path) -> None:
    """The nearer to the code, the more a model heeds it."""
    async with desk_with(tmp_path, sources=Shelf(NEAR, FAR), snippet_format="repository") as desk:
        desk.fake.script("1")
        await ask(desk, "x = █\n")
        (prompt,) = prompts(desk)
        assert prompt.startswith("<|repo_name|>work\n<|file_sep|>src/far.py\n")
        assert prompt.index("far.py") < prompt.index("near.py") < prompt.index("src/app.py") < prompt.index("x = ")


async def test_passages_stay_the_same_while_the_cursor_stays_on_its_line(tmp_path: Path) -> None:
    """Nobody is asked again, and the prompt begins alike; the next line has its own."""
    shelf = Shelf(NEAR)
    async with desk_with(tmp_path, sources=shelf) as desk:
        desk.fake.script("1", "2", "3")
        await ask(desk, "x = █\n")
        shelf.snippets_here = [FAR]
        await ask(desk, "x = y█\n")
        await ask(desk, "x = y\nz = █\n")
        assert [line for line, _ in shelf.asked] == [0, 1]
        first, second, third = prompts(desk)
        assert first.split("x = ")[0] == second.split("x = ")[0]
        assert "near.py" in second
        assert "near.py" not in third
        assert "far.py" in third


async def test_who_asks_by_hand_gets_what_fits_what_they_have_written(tmp_path: Path) -> None:
    """On the same line too: they have nothing before them that could change under their eyes."""
    shelf = Shelf(NEAR)
    async with desk_with(tmp_path, sources=shelf) as desk:
        desk.fake.script("1", "2", "3")
        await ask(desk, "x = █\n")
        await ask(desk, "x = far█\n", trigger=Trigger.INVOKED)
        await ask(desk, "x = far█\n", trigger=Trigger.INVOKED)
        assert len(shelf.asked) == 2


async def test_what_is_known_is_shown_without_a_search(tmp_path: Path) -> None:
    """Typing what is shown asks no one for anything."""
    shelf = Shelf(NEAR)
    async with desk_with(tmp_path, sources=shelf) as desk:
        desk.fake.script("1 +\n    2")
        await ask(desk, "x = (█\n")
        ghost = await ask(desk, "x = (1█\n")
        assert isinstance(ghost, Ghost)
        assert len(shelf.asked) == 1


async def test_a_search_that_takes_too_long_is_not_waited_for(tmp_path: Path) -> None:
    """The model is asked without, and the next key has what was found."""
    found = asyncio.Event()
    shelf = Shelf(NEAR, wait=found)
    async with desk_with(tmp_path, sources=shelf) as desk:
        desk.fake.script("1", "2")
        ghost = await ask(desk, "x = █\n")
        assert isinstance(ghost, Ghost)
        found.set()
        await asyncio.sleep(0)
        await ask(desk, "x = y█\n")
        without, with_it = prompts(desk)
        assert "near.py" not in without
        assert "near.py" in with_it
        assert len(shelf.asked) == 1


async def test_a_search_runs_while_the_typist_rests(tmp_path: Path) -> None:
    """So that it costs no time of its own."""
    shelf = Shelf(NEAR)
    async with desk_with(tmp_path, sources=shelf, debounce=300) as desk:
        desk.fake.script("1")
        waiting = asyncio.ensure_future(ask(desk, "x = █\n"))
        await asyncio.wait_for(shelf.begun.wait(), 0.25)
        assert not desk.fake.generations
        await waiting


async def test_a_search_that_fails_is_no_reason_to_say_nothing(tmp_path: Path) -> None:
    """Context is a help, and never a condition."""

    class Broken(Shelf):
        async def snippets(self, request: Request, around: Window, room: int) -> Sequence[Snippet]:
            raise OSError

    async with desk_with(tmp_path, sources=Broken()) as desk:
        desk.fake.script("1")
        assert isinstance(await ask(desk, "x = █\n"), Ghost)


async def test_a_file_that_the_workspace_refuses_is_never_sent(tmp_path: Path) -> None:
    """Not even when a person asks by hand: its reason is given."""
    shelf = Shelf(NEAR)
    shelf.refused = Skip(Reason.IGNORED, ".gitignore")
    async with desk_with(tmp_path, sources=shelf) as desk:
        for trigger in Trigger:
            assert await ask(desk, "x = █\n", trigger=trigger) == shelf.refused
        assert not desk.fake.generations


async def test_without_the_setting_nobody_is_asked(tmp_path: Path) -> None:
    """`qwen.snippets` off means that no other file is looked at; the path stays that within the folder."""
    shelf = Shelf(NEAR)
    async with desk_with(tmp_path, sources=shelf, snippets=False) as desk:
        desk.fake.script("1")
        await ask(desk, "x = █\n")
        assert shelf.asked == []
        assert "near" not in prompts(desk)[0]


async def test_the_record_tells_what_was_shown_and_why(tmp_path: Path) -> None:
    """Tokens before and after the cursor and of other files, against the budget."""
    async with desk_with(tmp_path, sources=Shelf(NEAR)) as desk:
        desk.fake.script("1")
        record = (await desk.engine.complete(at("x = 1\n" * 20 + "y = █\nz = 3\n", uri=URI))).record
        figures = record.figures
        assert figures is not None
        assert figures.passages == (NEAR,)
        assert 20 * 4 <= figures.before <= 20 * 8
        assert 0 < figures.after < 12
        assert 0 < figures.snippets <= figures.budget.snippets
        assert "not known yet" in figures.budget.why
        hit = (await desk.engine.complete(at("x = 1\n" * 20 + "y = █\nz = 3\n", uri=URI))).record
        assert hit.flight is None
        assert hit.figures is not None
        assert hit.figures.before == figures.before


LINES = "return some value of this store\n" * 400
"""Four characters a token, as the service here counts."""


async def window_after(desk: Desk, seconds: float) -> list[int]:
    """The sizes of three prompts on three lines, when the service reads each so slowly."""
    sizes = []
    for line in range(3):
        more = asyncio.Event()
        desk.fake.script(Answer([more, "1"]))
        waiting = asyncio.ensure_future(
            ask(desk, LINES + "a = 1\n" * line + "y = █\n" + LINES, trigger=Trigger.INVOKED)
        )
        await desk.fake.until(len(sizes) + 1)
        desk.clock.passed += seconds
        more.set()
        await waiting
        await desk.fake.generations[-1].ended.wait()
        sizes.append(len(prompts(desk)[-1]))
    return sizes


@pytest.mark.parametrize(("seconds", "grows"), [(20.0, False), (0.5, True)], ids=["slow", "fast"])
async def test_the_window_follows_the_speed_that_the_machine_has_shown(
    tmp_path: Path,
    seconds: float,
    grows: bool,  # noqa: FBT001 - a table's column
) -> None:
    """A slow machine is shown less from the second line on, a fast one more; with the same speed it stays as it is."""
    async with desk_with(tmp_path) as desk:
        first, second, third = await window_after(desk, seconds)
        assert (second > 1.3 * first) if grows else (second < 0.9 * first)
        assert third == pytest.approx(second, rel=0.1)


async def test_what_a_stopped_stream_has_cost_is_estimated(tmp_path: Path) -> None:
    """The service's bill comes last: where a stop rule ends the stream before it, what is known has to do."""
    async with desk_with(tmp_path) as desk:
        desk.fake.script(Answer(["a", ")\n", STALL]))
        answer = await desk.engine.complete(at(LINES + "f(█)\n"))
        await desk.engine.close()
        flight = answer.record.flight
        assert flight is not None
        assert flight.rule == "one line"
        assert flight.usage is None
        assert flight.estimate is not None
        assert flight.estimate.prompt == pytest.approx(len(prompts(desk)[0]) / 4, rel=0.15)
        assert flight.estimate.completion == flight.pieces
        assert flight.estimate.cached == 0


async def test_a_window_does_not_change_on_its_line(tmp_path: Path) -> None:
    """What was learned from the first answer counts from the next line on: what is shown must not move under it."""
    async with desk_with(tmp_path) as desk:
        texts = []
        for typed in ("y = █", "y = z█", "y = zz█"):
            more = asyncio.Event()
            desk.fake.script(Answer([more, "1"]))
            waiting = asyncio.ensure_future(ask(desk, LINES + typed + "\n" + LINES, trigger=Trigger.INVOKED))
            await desk.fake.until(len(texts) + 1)
            desk.clock.passed += 60
            more.set()
            await waiting
            texts.append(prompts(desk)[-1])
        assert len({text.partition("y = ")[0] for text in texts}) == 1
        assert len({text.partition("<|fim_suffix|>")[2] for text in texts}) == 1


def test_going_to_and_fro_between_two_lines_changes_no_window() -> None:
    """Where the text becomes denser the size of the window would waver; what holds stays, as long as it is near."""
    service = Service("openai", "https://models.example/v1", "qwen-coder", Route.FIM, Api.COMPLETIONS)
    lines = [f"return some value of store {'[0]' * (row // 8)}\n" for row in range(200)]

    def request(row: int) -> Request:
        return at("".join(lines[:row]) + CURSOR + "".join(lines[row:]))

    sizes = [density_near(request(row)) for row in range(200)]
    border = next(row for row in range(100, 200) if sizes[row] != sizes[row - 1])
    asker = Asker(None, Settings(), lambda: 0.0, None)
    seen = {asker.question(request(border - step), service).shape.per_token for step in (1, 0, 1, 0, 1)}
    assert len(seen) == 1


async def test_no_search_outlives_its_engine(tmp_path: Path) -> None:
    """Closing ends what still looks for something."""
    before = asyncio.all_tasks()
    passages = Passages(Shelf(NEAR, wait=asyncio.Event()))
    assert passages.look(at("x = █\n"), Window("x = ", "\n"), 100) is not None
    await asyncio.sleep(0)
    await passages.close()
    assert asyncio.all_tasks() == before
