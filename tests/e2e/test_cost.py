"""What completing costs, seen from a real session: the ledger it leaves, and the budget it keeps."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from qwen_lsp.cli.paths import ledger_file
from qwen_lsp.usage.ledger import latencies, rows, together
from tests.fake_dashscope import FakeService
from tests.raw_client import RawClient

URI = "file:///w/a.py"
KEY = "sk-test-0123456789"


@asynccontextmanager
async def session(home: Path, **options: Any) -> AsyncIterator[tuple[RawClient, FakeService]]:
    """A session with DashScope, which is paid."""
    env = {"HOME": str(home), "XDG_STATE_HOME": "", "NO_PROXY": "*", "DASHSCOPE_API_KEY": KEY}
    async with FakeService(region="cn-beijing", key=KEY, default="1") as fake, RawClient.started(env=env) as client:
        chosen = {"provider": "dashscope", "baseUrl": fake.dashscope, "region": "cn-beijing", "debounce": 0}
        await client.initialize(initializationOptions=chosen | options)
        client.open(URI, "".join(f"x{line} = \n" for line in range(40)))
        yield client, fake
        await client.ask("shutdown")
        client.notify("exit")
        await client.exited()


async def ask(client: RawClient, line: int) -> list[Any]:
    params = {"textDocument": {"uri": URI}, "position": {"line": line, "character": len(f"x{line} = ")}}
    return (await client.ask("textDocument/inlineCompletion", params))["result"]["items"]


async def test_a_session_leaves_what_it_cost_in_the_ledger(tmp_path):
    """Requests, tokens and price by model and language, and how long it took; written before the process is gone."""
    async with session(tmp_path) as (client, fake):
        for line in range(3):
            assert await ask(client, line)
    (row,) = together(rows(ledger_file({"HOME": str(tmp_path)})), "provider", "model", "currency", "language")
    assert (row.key.provider, row.key.model, row.key.currency) == ("dashscope", "qwen-coder-turbo", "¥")
    assert row.key.language == "python"
    assert (row["requests"], row["shown"], row["asked"]) == (3, 3, len(fake.generations))
    assert row["tokens_in"] > 0
    assert row["tokens_paid"] == row["tokens_in"] + row["tokens_out"]
    assert row["cost"] > 0
    assert sum(each.count for each in latencies(ledger_file({"HOME": str(tmp_path)}))) == 3


async def test_a_day_s_budget_is_kept_with_two_notices(tmp_path):
    """A warning before its end, one at it; from then on nothing is sent, and the reason is named."""
    async with session(tmp_path, budget={"tokens": 1000}) as (client, fake):
        for line in range(40):
            if not await ask(client, line):
                break
            await asyncio.sleep(0.05)  # the ledger is written beside the completions
        else:
            raise AssertionError("the budget was never used up")
        sent = len(fake.generations)
        assert await ask(client, line + 1) == []
        assert len(fake.generations) == sent
        why = (await client.ask("workspace/executeCommand", {"command": "qwen.why", "arguments": [URI]}))["result"]
        assert (why["reason"], why["setting"]) == ("budget", "qwen.budget")
        shown = [m["params"]["message"] for m in client.messages if m.get("method") == "window/showMessage"]
    assert [("used up" in text, "budget" in text) for text in shown] == [(False, True), (True, True)]


async def test_the_budget_is_that_of_all_sessions_of_the_day(tmp_path):
    """What another editor has used counts from the first thing that is written on."""
    async with session(tmp_path) as (client, _):
        for line in range(5):
            await ask(client, line)
    async with session(tmp_path, budget={"tokens": 100}) as (client, fake):
        await ask(client, 0)
        await asyncio.sleep(0.2)
        assert await ask(client, 1) == []
        assert len(fake.generations) <= 1
