"""A server that nobody knows: the session finds out how it wants to be asked, and asks it so ever after."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

from tests.e2e.test_faults import PATIENCE, served
from tests.fake_dashscope import FakeService, Received


def template(request: Received) -> str:
    """Like Ollama: a raw prompt becomes a chat's, `suffix` is put where the model wants it."""
    if "suffix" not in request.json:
        return "Sure! Here is the code:\n```python\n"
    return " 4711" if "harbour" in request.json["prompt"] else "filled in"


def known(home: Path) -> list[tuple[bool, bool]]:
    """Of each endpoint: whether it understands raw FIM, and `suffix`."""
    learned = json.loads(next(home.rglob("learned.json")).read_text())
    return [(each["fim"], each["suffix"]) for each in learned.values()]


async def test_a_server_with_a_template_of_its_own_completes_after_the_first_meeting(tmp_path: Path) -> None:
    """Within the session, and from the first key of the next, which asks no questions."""
    async with FakeService(default=template) as service:
        async with served(tmp_path, service, QWEN_LSP_PROBE="true") as session:
            async with asyncio.timeout(PATIENCE):
                while await session.ask() != ["filled in"]:  # noqa: ASYNC110 - another process has no events
                    await asyncio.sleep(0.05)
            session.is_sound()
        assert known(tmp_path) == [(False, True)]
        met = len(service.generations)
        async with served(tmp_path, service, QWEN_LSP_PROBE="true") as session:
            assert await session.ask() == ["filled in"]
        assert len(service.generations) == met + 1
