"""`qwen.fallback` in a real session: who answers while the one that was chosen fails, and who is never asked.

Real processes and real HTTP: a free server that fails, the embedded engine with a made-up worker, and DashScope behind
a proxy that writes down who is called. When which one is asked again is tests/test_failover.py's.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import ssl
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from qwen_lsp.backend.weights import DEFAULT, MAGIC, MODELS, models_dir, stamp
from qwen_lsp.cli.paths import cache_dir, state_dir
from tests.desk import keepers, until
from tests.e2e.test_faults import PATIENCE, SERVE, WORKER, Session
from tests.e2e.test_hostile import environment
from tests.fake_dashscope import FAILURES, FakeService, failing
from tests.raw_client import RawClient
from tests.tls import PRIVATE_KEY

KEY = "sk-canary-2c7a"
HOST = "dashscope.aliyuncs.com"
EXECUTE = "workspace/executeCommand"
OF_DASHSCOPE = """\
-----BEGIN CERTIFICATE-----
MIIBfDCCASKgAwIBAgIBAzAKBggqhkjOPQQDAjAbMRkwFwYDVQQDDBBxd2VuLWxz
cCBtYWRlIHVwMCAXDTIwMDEwMTAwMDAwMFoYDzIwOTkxMjMxMDAwMDAwWjAbMRkw
FwYDVQQDDBBxd2VuLWxzcCBtYWRlIHVwMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcD
QgAEXe5Ojfk9qdXB2TDE64pNqy9yO0VJ7SvQqLPAINNwwsGTiedFiJB5V5piaCU1
Y3pRJNwFhNctUqwBGlqr6om32qNVMFMwIQYDVR0RBBowGIIWZGFzaHNjb3BlLmFs
aXl1bmNzLmNvbTAPBgNVHRMBAf8EBTADAQH/MB0GA1UdDgQWBBRRJ9FKuMX85nDl
jQiVMfR6uPJrpjAKBggqhkjOPQQDAgNIADBFAiB+a8H1U5M5vAAivGpOzsVV4w6N
E938ScUuId8SbkApxwIhANIYvSzzR4u0P2KBdmoGw5vQCnbwkj7vLOyypzXD6WfE
-----END CERTIFICATE-----
"""
"""For DashScope's host, signed by itself, from 2020 to 2099, with the key of tests/tls.py; trusted here only."""
SOON = "from qwen_lsp.backend import failover\nfailover.SHORTEST = 0.2\n"
"""In place of half a minute, which is tested with a clock of its own."""


@dataclass
class Network:
    """All hosts but this machine's, behind a proxy; DashScope's is a fake's."""

    dashscope: FakeService
    folder: Path
    called: list[str] = field(default_factory=list)
    """The addresses that somebody wanted to reach."""
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)

    @contextlib.asynccontextmanager
    async def proxy(self) -> AsyncIterator[str]:
        (self.folder / "server.pem").write_text(PRIVATE_KEY + OF_DASHSCOPE)
        (self.folder / "trusted.pem").write_text(OF_DASHSCOPE)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.folder / "server.pem")

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            with contextlib.suppress(OSError, asyncio.IncompleteReadError):
                asked = await reader.readuntil(b"\r\n\r\n")
                self.called.append(asked.split()[1].decode())
                writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
                await writer.start_tls(context)
                back, forth = await asyncio.open_connection("127.0.0.1", self.dashscope.port)
                await asyncio.gather(handed_on(reader, forth), handed_on(back, writer))
            writer.transport.abort()

        def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.ensure_future(serve(reader, writer))
            self._tasks.add(task)

        async with await asyncio.start_server(accept, "127.0.0.1", 0) as server:
            yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)


async def handed_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    writer.close()


@dataclass
class World:
    """A session, and everybody it may ask."""

    session: Session
    first: FakeService
    """A server of the person's own, which says "1"."""
    embedded: FakeService
    """What the embedded engine's worker answers with: "2"."""
    network: Network
    home: Path

    async def status(self) -> dict[str, Any]:
        return (await self.session.client.ask(EXECUTE, {"command": "qwen.status"}))["result"]

    def told(self) -> dict[str, Any]:
        """The last `qwen/status`."""
        return [m["params"] for m in self.session.client.messages if m.get("method") == "qwen/status"][-1]

    async def answers(self, text: str) -> None:
        """The session completes with this one's text, as soon as what it knows of the others lets it."""
        async with asyncio.timeout(PATIENCE):
            while await self.session.ask() != [text]:  # noqa: ASYNC110 - another process has no events
                await asyncio.sleep(0.05)

    @property
    def engines(self) -> list[int]:
        return keepers(state_dir({"HOME": str(self.home)}))


@contextlib.asynccontextmanager
async def world(home: Path, *, script: str = SERVE, **options: Any) -> AsyncIterator[World]:
    """All of them can answer: there are weights, and there is a key."""
    weights = MODELS[DEFAULT]
    path = models_dir(cache_dir({"HOME": str(home)})) / weights.file
    path.parent.mkdir(parents=True)
    with path.open("wb") as file:  # of the right size, with nothing in it
        file.write(MAGIC)
        file.truncate(weights.size)
    stamp(path, weights)
    own = {"XDG_STATE_HOME": "", "XDG_CACHE_HOME": "", "DASHSCOPE_API_KEY": KEY}
    pipe = asyncio.subprocess.PIPE
    async with (
        FakeService(default="1") as first,
        FakeService(models=(DEFAULT,), default="2") as embedded,
        FakeService(key=KEY, default="3") as dashscope,
    ):
        network = Network(dashscope, home)
        async with network.proxy() as proxy:
            way = {"HTTPS_PROXY": proxy, "https_proxy": proxy, "NO_PROXY": "127.0.0.1", "no_proxy": "127.0.0.1"}
            env = environment(home, **own) | way | {"SSL_CERT_FILE": str(home / "trusted.pem")}
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-c", script, WORKER, embedded.url,
                stdin=pipe, stdout=pipe, stderr=pipe, env={**os.environ, **env},
            )  # fmt: skip
            client = RawClient(process)
            try:
                given = {"provider": "openai", "baseUrl": first.openai, "model": "qwen-coder-turbo"}
                given |= {"region": "cn-beijing", "debounce": 0, "candidates": 1, "snippets": False}
                await client.initialize(
                    capabilities={"experimental": {"qwenStatus": True}},
                    initializationOptions=given | {"local": {"keepAlive": 0}} | options,
                )
                made = World(Session(client, first), first, embedded, network, home)
                yield made
                made.session.is_sound()
                assert KEY.encode() not in client.stderr
            finally:
                with contextlib.suppress(ProcessLookupError):
                    process.kill()
                await asyncio.gather(process.wait(), *client._tasks)
        assert await until(lambda: not made.engines)


@pytest.mark.parametrize("failure", ["overloaded", "rate", "it is gone"])
async def test_the_next_one_answers_while_the_first_fails(tmp_path: Path, failure: str) -> None:
    """It is not started before; then status and one message say who answers and why. Nobody paid is asked."""
    async with world(tmp_path, fallback=["local"]) as all_of_them:
        session, first = all_of_them.session, all_of_them.first
        await all_of_them.answers("1")
        assert (await all_of_them.status())["reason"] == ""
        assert all_of_them.engines == []
        if failure == "it is gone":
            await first.stop()
        else:
            first.default = FAILURES[failure]
        assert await session.ask() == []
        asked = len(first.generations)
        for _ in range(3):
            await all_of_them.answers("2")
        assert len(first.generations) == asked
        status = await all_of_them.status()
        assert (status["state"], status["provider"], status["model"]) == ("ready", "local", DEFAULT)
        assert status["reason"].startswith("local answers while openai fails: ")
        assert of_one_mind(all_of_them.told(), status)
        assert session.told() == [f"qwen-lsp: {status['reason']}"]
        assert all_of_them.network.called == []


def of_one_mind(told: dict[str, Any], status: dict[str, Any]) -> bool:
    """Whether the notification says what the command says; latency drifts, and only the command has a sentence."""
    return all(status[name] == value for name, value in told.items() if name != "latency")


async def test_the_first_comes_back_by_itself(tmp_path: Path) -> None:
    """Without a word to anyone, once it has rested: the status names it again, and no reason."""
    async with world(tmp_path, script=SOON + SERVE, fallback=["local"]) as all_of_them:
        all_of_them.first.default = failing(503, "down", "For a moment.", retry_after="0")
        await all_of_them.answers("2")
        all_of_them.first.default = "1"
        await all_of_them.answers("1")
        await all_of_them.answers("1")
        status = await all_of_them.status()
        assert (status["state"], status["provider"], status["reason"]) == ("ready", "openai", "")
        assert of_one_mind(all_of_them.told(), status)
        assert len(all_of_them.session.told()) == 1


async def test_who_is_named_is_asked_though_it_is_paid(tmp_path: Path) -> None:
    """DashScope, with its own key and model; neither goes to the server that failed."""
    async with world(tmp_path, fallback=["dashscope", "local"]) as all_of_them:
        all_of_them.first.default = FAILURES["overloaded"]
        await all_of_them.answers("3")
        status = await all_of_them.status()
        assert status["provider"] == "dashscope"
        assert status["reason"].startswith("dashscope answers while openai fails: ")
        assert set(all_of_them.network.called) == {f"{HOST}:443"}
        assert all_of_them.engines == []
        sent = all_of_them.network.dashscope.generations[-1]
        assert sent.json["model"] == status["model"]
        assert not any(KEY in str(request.headers) for request in all_of_them.first.requests)


@pytest.mark.parametrize("named", [{}, {"fallback": ["openai"]}], ids=["nobody", "itself"])
async def test_who_is_not_named_is_not_asked(tmp_path: Path, named: dict[str, list[str]]) -> None:
    """Weights and a key that are there make nobody a stand-in: nothing leaves the machine, no engine is started."""
    async with world(tmp_path, **named) as all_of_them:
        all_of_them.first.default = FAILURES["overloaded"]
        for _ in range(3):
            assert await all_of_them.session.ask() == []
        await all_of_them.first.stop()
        for _ in range(3):
            assert await all_of_them.session.ask() == []
        assert all_of_them.network.called == []
        assert all_of_them.embedded.connections == 0
        assert all_of_them.engines == []
        assert (await all_of_them.status())["provider"] == "openai"


async def test_a_machine_that_keeps_to_itself_calls_nobody(tmp_path: Path) -> None:
    """`qwen.localOnly` goes before `qwen.fallback`: who is elsewhere is passed over, the next one named answers."""
    async with world(tmp_path, fallback=["dashscope", "local"], localOnly=True) as all_of_them:
        all_of_them.first.default = FAILURES["overloaded"]
        await all_of_them.answers("2")
        assert all_of_them.network.called == []


async def test_a_stand_in_that_can_t_answer_says_so_once(tmp_path: Path) -> None:
    """Without weights, for instance: a person who has named it would else wait for it in vain."""
    async with world(tmp_path, fallback=["local"]) as all_of_them:
        (models_dir(cache_dir({"HOME": str(tmp_path)})) / MODELS[DEFAULT].file).unlink()
        all_of_them.first.default = FAILURES["overloaded"]
        for _ in range(3):
            assert await all_of_them.session.ask() == []
        (told,) = all_of_them.session.told()
        assert told.startswith("qwen-lsp: local can't stand in (qwen.fallback): ")
        assert "qwen-lsp model pull" in told
