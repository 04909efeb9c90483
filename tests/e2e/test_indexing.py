"""A workspace large enough to take a while: what the editor sees of the reading, and that it holds nobody up."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.test_hostile import environment
from tests.e2e.test_lifecycle import ENDING
from tests.raw_client import RawClient
from tests.workspace.trees import tree

FILES = 800


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Files of 8 KiB, each with words of its own; 0.5 s is not enough to read them."""
    texts = {
        f"package_{number % 20}/module_{number}.py": "".join(
            f"def function_{number}_{line}(argument, other):\n    return argument.method_{number}_{line}(other)\n"
            for line in range(90)
        )
        for number in range(FILES)
    }
    return tree(tmp_path_factory.mktemp("large"), texts)


@pytest.fixture
async def client(project: Path, tmp_path: Path) -> AsyncIterator[RawClient]:
    """A session that has begun to read, with an editor that shows progress."""
    async with RawClient.started(env=environment(tmp_path)) as client:
        await client.initialize(
            workspaceFolders=[{"uri": project.as_uri(), "name": "large"}],
            capabilities={"window": {"workDoneProgress": True}},
        )
        await client.until(lambda: asked(client))
        client.send({"jsonrpc": "2.0", "id": asked(client)[0]["id"], "result": None})
        await client.until(lambda: shown(client))
        yield client


def asked(client: RawClient) -> list[dict[str, Any]]:
    return [m for m in client.messages if m.get("method") == "window/workDoneProgress/create"]


def shown(client: RawClient) -> list[dict[str, Any]]:
    return [m["params"]["value"] for m in client.messages if m.get("method") == "$/progress"]


async def test_the_editor_shows_how_far_it_is(client: RawClient) -> None:
    """Begun, reported in percent that only grow, ended; the log says the same in one line."""
    await client.until(lambda: shown(client)[-1]["kind"] == "end")
    kinds = [value["kind"] for value in shown(client)]
    assert kinds == ["begin", *["report"] * (len(kinds) - 2), "end"]
    percentages = [value["percentage"] for value in shown(client)[:-1]]
    assert percentages == sorted(percentages)
    assert shown(client)[0]["title"] == "qwen-lsp: indexing"
    async with asyncio.timeout(5):
        while b"indexed files=%d ms=" % FILES not in client.stderr:  # noqa: ASYNC110 - of another process
            await asyncio.sleep(0.01)


async def test_the_process_ends_in_the_midst_of_it(client: RawClient) -> None:
    """The end of input ends it at once, whatever is still unread."""
    assert shown(client)[-1]["kind"] != "end"
    began = time.monotonic()
    assert client.process.stdin is not None
    client.process.stdin.close()
    assert await client.exited() == 0
    assert time.monotonic() - began < ENDING
