"""Messages that nobody means to send, by the thousand: no crash, no hang, and for every request exactly one reply.

Each message begins as one that an editor might send. Then values in it, anywhere, are replaced by others, keys are
lost, ids are used twice, the bytes are damaged, and the order is whatever it is. The same messages go to the protocol
in this process (fast, with an engine that stalls as it likes) and over standard input to the real server.
"""

from __future__ import annotations

import asyncio
import copy
import json
import logging
import random
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from qwen_lsp.core.model import Ghost, Reason, Skip
from qwen_lsp.lsp.greeting import COMMANDS
from qwen_lsp.lsp.transport import framed
from tests.e2e.test_hostile import environment
from tests.fake_dashscope import FakeService
from tests.raw_client import RawClient
from tests.session_desk import Desk

SESSIONS = 260
"""Of 20 to 60 messages each: 10,000 in all."""
OVER_STDIO = 400
INTERNAL_ERROR = -32603
HELLO = b'{"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": {"capabilities": {}}}'
SETTLING = 60.0
"""Seconds after which a request without a reply counts as lost; never waited for otherwise."""

URIS = ["file:///w/a.py", "file:///w/b.py", "file:///w/c%20d.py", "untitled:1", "vscode-notebook-cell:/w/n.ipynb#1"]
BOOK = "file:///w/n.ipynb"
TEXTS = ["", "x = \n", "def f(a):\n    return \r\n", "s = '\u4f60\U0001f60b\ud83d'\r\u2028", "\0\t\x0c", "y" * 5000]
JUNK: Sequence[Any] = (
    *(None, True, False, 0, -1, 1, 2, 7, 1.5, 1e300, 2**31, 2**53 + 1, -(10**30)),
    *("", "x", "😋", "\ud800", "%", "http://[", "\0", "a" * 3000, [], {}, [[]], [None], [{}], {"": None}, {"uri": 1}),
    {"line": 0, "character": 0},
    {"start": {"line": 0, "character": 0}, "end": {"line": -1, "character": 10**20}},
    json.loads("[" * 200 + "]" * 200),
)


def document(chance: random.Random) -> dict[str, Any]:
    return {"uri": chance.choice(URIS)}


def place(chance: random.Random) -> dict[str, Any]:
    return {"line": chance.randint(0, 3), "character": chance.randint(0, 12)}


def edit(chance: random.Random) -> dict[str, Any]:
    text = chance.choice(["", "a", "\n", "😋", chance.choice(TEXTS)])
    if chance.random() < 0.2:
        return {"text": text}
    return {"range": {"start": place(chance), "end": place(chance)}, "text": text}


def opened(chance: random.Random) -> dict[str, Any]:
    return {**document(chance), "languageId": "python", "version": 1, "text": chance.choice(TEXTS)}


def asked(chance: random.Random) -> dict[str, Any]:
    selected = {"range": {"start": place(chance), "end": place(chance)}, "text": "x"}
    context = {"triggerKind": chance.choice([1, 2]), "selectedCompletionInfo": chance.choice([None, selected])}
    return {"textDocument": document(chance), "position": place(chance), "context": context}


def greeting(chance: random.Random) -> dict[str, Any]:
    return {
        "processId": None,
        "clientInfo": {"name": chance.choice(["Neovim", "helix", "Eglot"]), "version": "1"},
        "rootUri": None,
        "capabilities": {
            "general": {"positionEncodings": [chance.choice(["utf-8", "utf-16", "utf-32"])]},
            "textDocument": {"inlineCompletion": {}},
            "workspace": {"configuration": chance.random() < 0.3, "didChangeWatchedFiles": {}},
            "window": {"workDoneProgress": True},
            "experimental": {"qwenStatus": True},
            "notebookDocument": {"synchronization": {}},
        },
        "initializationOptions": {"debounce": 0},
        "workspaceFolders": None,
    }


def notebook(chance: random.Random) -> dict[str, Any]:
    return {
        "notebookDocument": {"uri": BOOK, "notebookType": "jupyter", "version": 1, "cells": [{"document": URIS[-1]}]},
        "cellTextDocuments": [{**opened(chance), "uri": URIS[-1]}],
    }


def notebook_change(chance: random.Random) -> dict[str, Any]:
    cells = [{"kind": 2, "document": uri} for uri in URIS[: chance.randint(0, 2)]]
    structure = {
        "array": {"start": chance.randint(0, 2), "deleteCount": chance.randint(0, 2), "cells": cells},
        "didOpen": [opened(chance)],
        "didClose": [document(chance)],
    }
    text = [{"document": document(chance), "changes": [edit(chance)]}]
    change = {"cells": {"structure": structure, "textContent": text}}
    return {"notebookDocument": {"uri": BOOK, "version": 2}, "change": change}


def command(chance: random.Random) -> dict[str, Any]:
    arguments = [chance.choice([URIS[0], "python", 0.01, 5, None])]
    return {"command": chance.choice(COMMANDS), "arguments": arguments}


def chosen(chance: random.Random) -> dict[str, Any]:
    some = {"enabled": chance.random() < 0.9, "maxTokens": 64, "snippets": False, "disabledLanguages": ["tex"]}
    return {"settings": {"qwen": {**some, "local": {"threads": 1}, "budget": {}}}}


REQUESTS: dict[str, Callable[[random.Random], Any]] = {
    "textDocument/inlineCompletion": asked,
    "textDocument/completion": asked,
    "workspace/executeCommand": command,
    "textDocument/hover": asked,
    "initialize": greeting,
    "shutdown": lambda _: None,
    "qwen/unknown": document,
    "$/unknown": document,
}
NOTIFICATIONS: dict[str, Callable[[random.Random], Any]] = {
    "initialized": lambda _: {},
    "textDocument/didOpen": lambda chance: {"textDocument": opened(chance)},
    "textDocument/didChange": lambda chance: {
        "textDocument": {**document(chance), "version": 2},
        "contentChanges": [edit(chance) for _ in range(chance.randint(0, 3))],
    },
    "textDocument/didSave": lambda chance: {"textDocument": document(chance)},
    "textDocument/didClose": lambda chance: {"textDocument": document(chance)},
    "notebookDocument/didOpen": notebook,
    "notebookDocument/didChange": notebook_change,
    "notebookDocument/didClose": lambda _: {"notebookDocument": {"uri": BOOK}, "cellTextDocuments": []},
    "workspace/didChangeConfiguration": chosen,
    "workspace/didChangeWorkspaceFolders": lambda _: {"event": {"added": [], "removed": []}},
    "workspace/didChangeWatchedFiles": lambda chance: {"changes": [{**document(chance), "type": 2}]},
    "window/workDoneProgress/cancel": lambda _: {"token": "x"},
    "$/setTrace": lambda _: {"value": "off"},
    "$/progress": lambda _: {"token": 1, "value": {}},
    "$/cancelRequest": lambda chance: {"id": chance.randint(1, 40)},
    "exit": lambda _: None,
}
METHODS = [
    *(name for name in (*REQUESTS, *NOTIFICATIONS) if name not in {"shutdown", "exit"}),
    *(["textDocument/inlineCompletion", "textDocument/didChange", "textDocument/didOpen"] * 4),
]
"""How a session ends is left to its last messages: what comes after is refused, whatever it is."""


def message(method: str, seed: int) -> bytes:
    """A message with this method, more or less: the body of its frame."""
    chance = random.Random(seed)
    made: dict[str, Any] = {"jsonrpc": "2.0", "method": method}
    if (method in REQUESTS) != (chance.random() < 0.05):
        made["id"] = chance.choice([chance.randint(1, 40), chance.randint(1, 40), str(chance.randint(1, 9)), 1.5])
    made["params"] = (REQUESTS | NOTIFICATIONS)[method](chance)
    if chance.random() < 0.5:
        for _ in range(chance.choice([1, 1, 1, 2, 5])):
            damage(made, chance)
    body = json.dumps(made).encode()
    if chance.random() < 0.05:
        at = chance.randrange(len(body))
        body = chance.choice([body[:at], body[at:], body[:at] + bytes([chance.randrange(256)]) + body[at + 1 :]])
    return body


def damage(value: Any, chance: random.Random) -> None:
    """Replaces, takes away or moves one value somewhere inside, more often deep than not."""
    keys: list[Any] = list(value) if isinstance(value, dict) else list(range(len(value)))
    if not keys:
        return
    key = chance.choice(keys)
    if isinstance(value[key], dict | list) and value[key] and chance.random() < 0.8:
        damage(value[key], chance)
    elif chance.random() < 0.2:
        del value[key]
    else:
        value[key] = copy.deepcopy(chance.choice([*JUNK, value]))


def key_of(ident: object) -> str:
    """Tells 1 from 1.0 and "1"."""
    return json.dumps(ident)


def due(body: bytes) -> str | None:
    """The id under which a message must be answered; None if it must not be. JSON-RPC 2.0, read anew."""
    try:
        said = json.loads(body, strict=False)
    except (ValueError, RecursionError):
        return key_of(None)
    if not isinstance(said, dict):
        return key_of(None)
    if said.get("method") is None and ("result" in said or "error" in said):
        return None
    ident = said.get("id")
    if isinstance(ident, bool) or not (ident is None or isinstance(ident, str | int | float)):
        return key_of(None)
    is_notification = "id" not in said and said.get("jsonrpc") == "2.0" and isinstance(said.get("method"), str)
    return None if is_notification else key_of(ident)


def replies(sent: Sequence[dict[str, Any]]) -> Counter[str]:
    return Counter(key_of(each["id"]) for each in sent if "method" not in each)


class Fuzzed:
    """A session in this process, with all that goes wrong in it."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)
        self.desk = Desk()
        self.due: Counter[str] = Counter()
        self.unhandled: list[str] = []
        self._answered = 0
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, context: self.unhandled.append(repr(context)))

    async def take(self, body: bytes) -> None:
        """One message; sometimes the engine, the editor's own replies and the event loop have their turn."""
        expected = due(body)
        self.due.update([] if expected is None else [expected])
        self.desk.server.protocol.receive(body)
        for engine in self.desk.engines:
            engine.says = self._said
            (engine.go.set if self.chance.random() < 0.6 else engine.go.clear)()
        if self.chance.random() < 0.3:
            await asyncio.sleep(0)
        if self.chance.random() < 0.1:
            self._reply_to_all()

    async def settle(self) -> None:
        """Nothing stalls any more: all that is still owed comes."""
        async with asyncio.timeout(SETTLING):
            while self.desk.server._tasks or self.desk.server._asking or replies(self.desk.sent) != self.due:
                for engine in self.desk.engines:
                    engine.go.set()
                self._reply_to_all()
                assert not replies(self.desk.sent) - self.due, "more than one reply"
                await asyncio.sleep(0)
        await self.desk.server.stop()

    def _said(self, request: Any) -> Any:
        if self.chance.random() < 0.1:
            raise RuntimeError("an engine that fails")
        if self.chance.random() < 0.3:
            return Skip(self.chance.choice(list(Reason)))
        text = self.chance.choice(["f()", "é\n  😋", "\ud83d"])
        return Ghost(request.line, request.column, request.column, text, text)

    def _reply_to_all(self) -> None:
        """The editor answers what it was asked, in some way."""
        asked = [each for each in self.desk.sent[self._answered :] if "method" in each and "id" in each]
        self._answered = len(self.desk.sent)
        for each in asked:
            said = self.chance.choice([{"error": {"code": 1, "message": "x"}}, {"result": self.chance.choice(JUNK)}])
            self.desk.server.protocol.receive(json.dumps({"jsonrpc": "2.0", "id": each["id"]} | said).encode())


@settings(max_examples=SESSIONS, suppress_health_check=list(HealthCheck), database=None)
@given(
    greeted=st.integers(0, 9),
    messages=st.lists(st.tuples(st.sampled_from(METHODS), st.integers(0, 2**32)), min_size=20, max_size=60),
    ending=st.lists(st.tuples(st.sampled_from(["shutdown", "exit", *METHODS]), st.integers(0, 2**32)), max_size=4),
)
def test_every_request_has_one_reply_whatever_comes_in_whatever_order(failures, greeted, messages, ending):
    """Ten thousand damaged messages a run: one reply for each request, none for anything else, no failure inside."""

    async def session() -> None:
        fuzzed = Fuzzed(greeted)
        if greeted:
            await fuzzed.take(HELLO)
        for method, seed in (*messages, *ending):
            await fuzzed.take(message(method, seed))
        await fuzzed.settle()
        assert not fuzzed.unhandled
        assert INTERNAL_ERROR not in [each.get("error", {}).get("code") for each in fuzzed.desk.sent]

    failures.clear()
    asyncio.run(session())
    assert not failures


@pytest.fixture
def failures() -> Iterator[list[str]]:
    """What the server logs as an error of its own, but for engines that fail as they are told to."""
    logged: list[str] = []

    class Handler(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            # pygls cannot hash a progress token that is a list; the notification is ignored all the same.
            if "RuntimeError" not in (text := record.getMessage()) and "at pygls" not in text:
                logged.append(text)

    logger, handler = logging.getLogger("qwen_lsp"), Handler(logging.ERROR)
    logger.addHandler(handler)
    logger.propagate = False  # pytest's own handlers would take longer than the messages
    yield logged
    logger.propagate = True
    logger.removeHandler(handler)


async def test_the_real_server_answers_each_of_the_damaged_requests(tmp_path):
    """The same over standard input, in one session and without a pause: each request has its reply, and it goes on."""
    seed = random.randrange(2**32)
    logging.getLogger(__name__).warning("seed %d", seed)  # shown when the test fails
    chance = random.Random(seed)
    async with FakeService() as service, RawClient.started(env=environment(tmp_path)) as client:
        options = {"provider": "openai", "baseUrl": service.openai, "debounce": 0, "snippets": False}
        await client.initialize(initializationOptions=options)
        expected: Counter[str] = Counter()
        sent = []
        for _ in range(OVER_STDIO):
            method = chance.choice([name for name in METHODS if name != "workspace/didChangeConfiguration"])
            sent.append(message(method, chance.randrange(2**32)))
            expected.update([ident for ident in [due(sent[-1])] if ident is not None])
        client.send_bytes(b"".join(map(framed, sent)))
        await client.ask("workspace/executeCommand", {"command": "qwen.resume"}, "resumed")
        client.open("file:///w/last.rb", "x = \n", "ruby")  # Python may be off by now
        question = {"textDocument": {"uri": "file:///w/last.rb"}, "position": {"line": 0, "character": 4}}
        last = await client.ask("textDocument/inlineCompletion", question, "the last one")
        expected.update([key_of(1000), key_of("resumed"), key_of("the last one")])
        await client.until(lambda: replies(client.messages) == expected, SETTLING)
        assert [item["insertText"] for item in last["result"]["items"]] == ["pass"]
        for sign in (b"Traceback", b"internal error", b"never awaited"):
            assert sign not in client.stderr
