"""What a measurement works with: the service's process, a server's process, and one open document."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import os
import sys
import tempfile
from collections.abc import AsyncIterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import tests
from tests.bench.client import Client, Reply
from tests.bench.editor import View
from tests.bench.service import LONGEST_LINE, Behaviour, Exchange

ROOT = Path(tests.__file__).resolve().parent.parent
NAIVE = Path(__file__).resolve().with_name("naive.py")
INVOKED, AUTOMATIC = 1, 2
"""LSP's InlineCompletionTriggerKind."""
INLINE = "textDocument/inlineCompletion"


@dataclass(frozen=True, slots=True)
class Contestant:
    """A server to measure: its name in the table, and how to start it for a service's address."""

    name: str
    command: tuple[str, ...]
    settings: Mapping[str, Any]

    def for_service(self, url: str) -> tuple[list[str], dict[str, Any]]:
        """The command line and the settings, `{url}` filled in."""
        settings = {
            key: value.replace("{url}", url) if isinstance(value, str) else value
            for key, value in self.settings.items()
        }
        return [part.replace("{url}", url) for part in self.command], settings


def contestants(*, prefetch: bool) -> list[Contestant]:
    """The yardstick and the server, in the order of the table's columns."""
    settings: dict[str, Any] = {"provider": "openai", "baseUrl": "{url}", "model": "qwen2.5-coder-7b-instruct"}
    if prefetch:
        settings["prefetch"] = True
    return [
        Contestant("naive", (sys.executable, str(NAIVE), "{url}"), {}),
        Contestant("qwen-lsp", (sys.executable, "-m", "qwen_lsp", "serve"), settings),
    ]


class ServiceProcess:
    """The loopback service, and what it is told."""

    def __init__(self, process: asyncio.subprocess.Process, port: int) -> None:
        self._process = process
        self.url = f"http://127.0.0.1:{port}/v1"

    @classmethod
    @contextlib.asynccontextmanager
    async def started(cls) -> AsyncIterator[ServiceProcess]:
        pipe = asyncio.subprocess.PIPE
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "tests.bench.service"), stdin=pipe, stdout=pipe, cwd=ROOT, limit=LONGEST_LINE
        )
        assert process.stdout is not None
        assert process.stdin is not None
        try:
            yield cls(process, json.loads(await process.stdout.readline())["port"])
        finally:
            process.stdin.close()
            await process.wait()

    async def behave(self, behaviour: Behaviour) -> None:
        await self._order({"behave": asdict(behaviour)})

    async def take(self) -> list[Exchange]:
        """The requests for text since the last time."""
        return [Exchange(**entry) for entry in await self._order({"take": True})]

    async def _order(self, order: dict[str, Any]) -> Any:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(order).encode() + b"\n")
        return json.loads(await self._process.stdout.readline())


class Session:
    """A server that has been greeted. `greeted` is the reply to `initialize`."""

    def __init__(self, client: Client, service: ServiceProcess, folder: Path, greeted: Reply) -> None:
        self.client, self.service, self.greeted = client, service, greeted
        self._folder = folder
        self._names = itertools.count(1)
        self._uri = ""
        self._version = 0

    @classmethod
    @contextlib.asynccontextmanager
    async def started(cls, contestant: Contestant, service: ServiceProcess) -> AsyncIterator[Session]:
        """A session with an own HOME and no proxies."""
        with tempfile.TemporaryDirectory(prefix="bench-", ignore_cleanup_errors=True) as home:
            env = {name: os.environ[name] for name in ("PATH", "LANG", "SYSTEMROOT") if name in os.environ}
            env |= {"HOME": home, "PYTHONPATH": str(ROOT), "QWEN_LSP_PROBE": "false"}
            command, settings = contestant.for_service(service.url)
            folder = Path(home) / "project"
            folder.mkdir()
            client = await Client.start(command, env, folder, settings)
            try:
                greeted = await client.ask("initialize", _greeting(folder, settings))
                client.notify("initialized", {})
                yield cls(client, service, folder, greeted)
            finally:
                await client.stop()

    def open(self, text: str) -> None:
        """Opens a new document, as the session's current one."""
        self._uri = (self._folder / f"module_{next(self._names)}.py").as_uri()
        self._version = 1
        item = {"uri": self._uri, "languageId": "python", "version": 1, "text": text}
        self.client.notify("textDocument/didOpen", {"textDocument": item})

    def close(self) -> None:
        self.client.notify("textDocument/didClose", {"textDocument": {"uri": self._uri}})

    def edited(self, change: dict[str, Any]) -> tuple[str, object]:
        """The notification that says a change."""
        self._version += 1
        document = {"uri": self._uri, "version": self._version}
        return "textDocument/didChange", {"textDocument": document, "contentChanges": [change]}

    def question(self, position: Mapping[str, int], trigger: int) -> dict[str, Any]:
        """The parameters of an inline completion request in the current document."""
        return {
            "textDocument": {"uri": self._uri},
            "position": position,
            "context": {"triggerKind": trigger},
        }

    async def first_suggestion(self, view: View) -> Reply:
        """Asks until a suggestion comes, as a person's typing would.

        Raises:
            RuntimeError: none came in half a minute; the message says what the server had to say.
        """
        for _ in range(1500):
            reply = await self.client.ask(INLINE, self.question(view.position, INVOKED))
            if reply.error is None and (reply.result or {}).get("items"):
                return reply
            await asyncio.sleep(0.02)
        raise RuntimeError(f"no suggestion; the server said {self.client.notices or reply.error}")


def _greeting(folder: Path, settings: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "processId": os.getpid(),
        "clientInfo": {"name": "bench", "version": "1"},
        "rootUri": folder.as_uri(),
        "workspaceFolders": [{"uri": folder.as_uri(), "name": "project"}],
        "initializationOptions": settings,
        "capabilities": {
            "general": {"positionEncodings": ["utf-16"]},
            "workspace": {"configuration": True, "workspaceFolders": True},
            "textDocument": {"synchronization": {"didSave": True}, "inlineCompletion": {"dynamicRegistration": False}},
        },
    }
