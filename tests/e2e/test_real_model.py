"""The main job on real input: the real server process, the real engine, the real weights, nothing in between faked."""

from __future__ import annotations

import ast
import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from qwen_lsp.cli.paths import cache_dir
from tests.desk import alive, keepers, until
from tests.raw_client import RawClient

pytestmark = pytest.mark.real_model

URI = "file:///src/inventory.py"
BEFORE = '''\
class Inventory:
    def __init__(self):
        self.items = {}

    def add(self, name, count):
        """Add some of an item."""
        '''
AFTER = '''

    def names(self):
        """All names in alphabetical order."""
        return sorted(self.items)
'''
PATIENCE = 120.0
"""Seconds that loading a model and reading the prompt may take on a busy machine."""


def environment(home: Path) -> dict[str, str]:
    """A home of its own, but the weights that are there."""
    weights = cache_dir(os.environ)
    home.joinpath("cache").mkdir()
    home.joinpath("cache", "qwen-lsp").symlink_to(weights)
    return {"HOME": str(home), "XDG_STATE_HOME": str(home / "state"), "XDG_CACHE_HOME": str(home / "cache")}


@pytest.fixture
async def client(tmp_path: Path) -> AsyncIterator[RawClient]:
    async with RawClient.started(env=environment(tmp_path)) as client:
        yield client


def shown(client: RawClient) -> list[str]:
    """The messages that a person has seen."""
    return [m["params"]["message"] for m in client.messages if m.get("method") == "window/showMessage"]


async def ghost(
    client: RawClient, model: Path, before: str = BEFORE, after: str = AFTER, **settings: Any
) -> dict[str, Any]:
    """The first item that a session with the embedded model gets between `before` and `after`."""
    options = {"provider": "local", "model": str(model), "local": {"context": 2048}} | settings
    await client.initialize(initializationOptions=options)
    client.open(URI, before + after)
    place = {"line": before.count("\n"), "character": len(before.rpartition("\n")[2])}
    question = {"textDocument": {"uri": URI}, "position": place, "context": {"triggerKind": 1}}
    async with asyncio.timeout(PATIENCE):
        item, *_others = (await client.ask("textDocument/inlineCompletion", question, patience=PATIENCE))["result"][
            "items"
        ]
    return item


@pytest.mark.parametrize("route", ["fim", "partial"])
async def test_a_session_gets_real_ghost_text_that_fits(client: RawClient, model_05b: Path, route: str) -> None:
    """By either route the real model writes a body; accepted, the document is Python, and nothing is there twice."""
    item = await ghost(client, model_05b, route=route)
    document = BEFORE + item["insertText"] + AFTER
    ast.parse(document)
    assert document.count("def names") == 1
    assert "```" not in document
    assert "<|" not in document
    assert not [m for m in client.messages if m.get("method") == "window/showMessage"]


async def test_a_model_without_fim_tokens_is_asked_by_partial_mode(client: RawClient, model_smollm2: Path) -> None:
    """SmolLM2 knows no fill-in-the-middle; it continues the prefix as a chat all the same."""
    item = await ghost(client, model_smollm2, 'def add(a, b):\n    """The sum of a and b."""\n    return ', "\n")
    assert item["insertText"].strip()
    for _ in range(1000):  # the line is written once the answer is on its way
        if b"route=partial" in client.stderr:
            break
        await asyncio.sleep(0.01)
    assert b"route=partial" in client.stderr


async def test_the_end_of_input_leaves_no_engine_behind(client: RawClient, model_05b: Path, tmp_path: Path) -> None:
    """Two seconds after an editor was killed neither the server nor its model is in memory."""
    await ghost(client, model_05b)
    engines = keepers(tmp_path / "state" / "qwen-lsp")
    assert engines
    assert client.process.stdin is not None
    client.process.stdin.close()
    assert await client.exited() == 0
    assert await until(lambda: not any(map(alive, engines)))


async def test_the_default_model_completes_the_sample(model_15b: Path, tmp_path: Path) -> None:
    """`qwen-lsp try --provider local` shows what the 1.5B writes for the sample: its value, cut where it ends."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "qwen_lsp", "try", "--provider", "local",
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        env={**os.environ, **environment(tmp_path), "QWEN_LSP_LOCAL_KEEP_ALIVE": "0"},
    )  # fmt: skip
    async with asyncio.timeout(PATIENCE):
        out, err = await process.communicate()
    assert process.returncode == 0, err.decode()
    shown = out.decode().partition("⟦")[2].partition("⟧")[0]
    assert "price" in shown
    assert "quantity" in shown
    ast.parse(out.decode().replace("⟦", "").replace("⟧", ""))
    assert "local · qwen2.5-coder-1.5b · FIM · first token after" in err.decode()


async def test_complete_says_what_the_engine_counted(model_05b: Path, tmp_path: Path) -> None:
    """`qwen-lsp complete --json` has the real engine's token counts and times."""
    source = tmp_path / "inventory.py"
    source.write_text(BEFORE + AFTER)
    place = f"{source}:{BEFORE.count(chr(10)) + 1}:9"
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "qwen_lsp", "complete", place, "--json", "--provider", "local", "--model", "0.5b",
        stdout=asyncio.subprocess.PIPE,
        env={**os.environ, **environment(tmp_path), "QWEN_LSP_LOCAL_KEEP_ALIVE": "0"},
    )  # fmt: skip
    async with asyncio.timeout(PATIENCE):
        out, _ = await process.communicate()
    said = json.loads(out)
    assert process.returncode == 0
    assert said["model"] == "qwen2.5-coder-0.5b"
    assert said["tokens"]["generated"] > 1
    assert 0 < said["firstTokenMs"] <= said["generationMs"]


async def test_an_editor_can_fetch_the_model(client: RawClient, model_smollm2: Path) -> None:
    """What is here already is here at once, whole; what there is no such model of is refused in one line."""
    await client.initialize(initializationOptions={"provider": "local", "model": model_smollm2.stem})
    fetch = {"command": "qwen.fetchModel", "arguments": ["nonsense"]}
    assert "choose one of" in (await client.ask("workspace/executeCommand", fetch))["error"]["message"]
    reply = await client.ask("workspace/executeCommand", fetch | {"arguments": ["smollm2-135m"]})
    assert reply["result"]["text"] == "fetching smollm2-135m"
    async with asyncio.timeout(PATIENCE):
        while not any("smollm2-135m is here" in text for text in shown(client)):  # noqa: ASYNC110 - another process has no events
            await asyncio.sleep(0.05)
