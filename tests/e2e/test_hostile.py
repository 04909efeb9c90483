"""Traffic that no careful client would send: each request gets its one reply, and the session goes on."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from tests.fake_dashscope import Answer, FakeService
from tests.raw_client import RawClient

pytestmark = pytest.mark.asyncio(loop_scope="module")

URI = "file:///w/a.py"
INLINE = "textDocument/inlineCompletion"
PARSE_ERROR, INVALID_REQUEST, NO_METHOD, INVALID_PARAMS = -32700, -32600, -32601, -32602
NOT_INITIALIZED, CANCELLED = -32002, -32800
KEY, CODE = "sk-canary-5fd1", "canary_in_code_7c2e"


def environment(home: Path, **more: str) -> Mapping[str, str]:
    """No settings but ours, and no proxy between us and the loopback."""
    return {"HOME": str(home), "XDG_CONFIG_HOME": "", "NO_PROXY": "*", "no_proxy": "*"} | more


def at(line: object, character: object, **more: Any) -> dict[str, Any]:
    return {"textDocument": {"uri": URI}, "position": {"line": line, "character": character}} | more


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def service() -> AsyncIterator[FakeService]:
    async with FakeService() as fake:
        yield fake


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def raw(tmp_path_factory, service) -> AsyncIterator[RawClient]:
    """One session for all well-begun tests: whatever one sends, the next still gets its replies."""
    home = tmp_path_factory.mktemp("home")
    async with RawClient.started("--log-level", "debug", env=environment(home, QWEN_LSP_API_KEY=KEY)) as client:
        options = {"provider": "openai", "baseUrl": service.openai, "debounce": 0, "jsonrpc": "2.0"}
        await client.initialize(initializationOptions={**options, "local": {"jsonrpc": "1.0"}})
        client.open(URI, f"{CODE} = 1\nx = \n")
        yield client


async def code(reply: Mapping[str, Any]) -> int:
    return reply["error"]["code"]


async def alive(client: RawClient) -> None:
    """The session still completes."""
    reply = await client.ask(INLINE, at(0, 0))
    assert "items" in reply["result"]


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b"{", PARSE_ERROR),
        (b"\xff\xfe\xfd", PARSE_ERROR),
        (b"", PARSE_ERROR),
        (b"[" * 100_000, PARSE_ERROR),
        (b'{"jsonrpc": "2.0", "id": 1, "method": "x", "params": {"n": ' + b"9" * 5000 + b"}}", PARSE_ERROR),
        (b'[{"jsonrpc": "2.0", "id": 1, "method": "shutdown"}]', INVALID_REQUEST),
        (b"[]", INVALID_REQUEST),
        (b"null", INVALID_REQUEST),
        (b'"hello"', INVALID_REQUEST),
        (b'{"jsonrpc": "2.0", "id": {"a": 1}, "method": "x"}', INVALID_REQUEST),
        (b'{"jsonrpc": "2.0", "id": true, "method": "x"}', INVALID_REQUEST),
    ],
    ids=lambda value: value[:20].decode(errors="replace") if isinstance(value, bytes) else str(value),
)
async def test_what_is_no_message_is_answered_with_a_null_id(raw, body, expected):
    """Garbage in a good frame is a parse error or an invalid request of nobody, and the session goes on."""
    before = len(raw.replies(None))
    raw.send_body(body)
    assert await code(await raw.reply(None, before + 1)) == expected
    await alive(raw)


@pytest.mark.parametrize(
    ("method", "params", "expected"),
    [
        ("qwen/unknown", None, NO_METHOD),
        ("qwen/unknown", {"a": {"jsonrpc": "2.0"}}, NO_METHOD),
        ("$/unknown", [], NO_METHOD),
        ("textDocument/hover", at(0, 0), NO_METHOD),
        ("initialize", {"capabilities": {}}, INVALID_REQUEST),
        (INLINE, None, INVALID_PARAMS),
        (INLINE, [], INVALID_PARAMS),
        (INLINE, {"textDocument": {"uri": URI}}, INVALID_PARAMS),
        (INLINE, {"textDocument": {"uri": 7}, "position": {"line": 0, "character": 0}}, INVALID_PARAMS),
        (INLINE, at("0", 0), INVALID_PARAMS),
        (INLINE, at(True, 0), INVALID_PARAMS),
        (INLINE, at(0.5, 0), INVALID_PARAMS),
        ("textDocument/completion", {"position": None}, INVALID_PARAMS),
        ("workspace/executeCommand", {}, INVALID_PARAMS),
        ("workspace/executeCommand", {"command": "rm"}, INVALID_PARAMS),
    ],
)
async def test_a_request_that_makes_no_sense_is_refused_by_its_id(raw, method, params, expected):
    """Whatever is wrong with a request, its sender hears it, by number and without a pop-up."""
    assert await code(await raw.ask(method, params)) == expected
    await alive(raw)


@pytest.mark.parametrize(
    "more",
    [
        {},
        {"context": None},
        {"context": {}},
        {"context": {"triggerKind": 0}},
        {"context": {"triggerKind": 7}},
        {"context": {"triggerKind": "x", "selectedCompletionInfo": 3}},
        {"context": {"triggerKind": 1, "selectedCompletionInfo": {"text": "x", "range": None}}},
        {"context": {"selectedCompletionInfo": {"text": "x", "range": [{"line": 1, "character": 0}, {"line": 9}]}}},
        {"formattingOptions": {"tabSize": 4}, "extra": [1, 2]},
    ],
    ids=str,
)
async def test_an_odd_context_is_read_as_the_default(raw, more):
    """Clients send VS Code's own enumeration, no context, or more than there is: they are answered all the same."""
    assert "items" in (await raw.ask(INLINE, at(0, 0, **more)))["result"]


@pytest.mark.parametrize("place", [(-1, -1), (0, 10**30), (10**30, 0), (1, 2**31), (1.0, 2.0)], ids=str)
async def test_any_integers_are_a_position(raw, place):
    """Positions outside the document are clamped, as the specification says."""
    assert "items" in (await raw.ask(INLINE, at(*place)))["result"]


@pytest.mark.parametrize("ident", ["a", "", "1000", 0, -1, 2**60, 1.5, "😋\ud83d"])
async def test_an_id_of_any_kind_comes_back_as_it_went(raw, ident):
    """Ids are strings or numbers, echoed unchanged."""
    before = len(raw.replies(ident))
    raw.request("qwen/unknown", None, ident)
    reply = await raw.reply(ident, before + 1)
    assert reply["id"] == ident
    assert type(reply["id"]) is type(ident)


async def test_an_id_in_use_is_refused_and_its_first_request_still_answered(raw, service):
    """Two requests with one id get two replies: the second is refused."""
    uri = "file:///w/twice.py"
    raw.open(uri, "y = ")
    asked = len(service.generations)
    service.script(Answer("1", hold=asyncio.Event()))
    question = {"textDocument": {"uri": uri}, "position": {"line": 0, "character": 4}}
    raw.request(INLINE, question, "twice")
    raw.request(INLINE, question, "twice")
    assert await code(await raw.reply("twice", 1)) == INVALID_REQUEST
    await service.until(asked + 1)
    raw.notify("$/cancelRequest", {"id": "twice"})
    assert await code(await raw.reply("twice", 2)) == CANCELLED
    await alive(raw)
    assert len(raw.replies("twice")) == 2


async def test_a_request_cancelled_in_the_same_read_is_answered_once(raw):
    """A burst of requests, each taken back at once, gets one reply a request."""
    ids = [f"burst-{number}" for number in range(60)]
    frames = []
    for ident in ids:
        request = {"jsonrpc": "2.0", "id": ident, "method": INLINE, "params": at(1, 4)}
        cancel = {"jsonrpc": "2.0", "method": "$/cancelRequest", "params": {"id": ident}}
        for message in (request, cancel, cancel):
            body = json.dumps(message).encode()
            frames.append(b"Content-Length: %d\r\n\r\n%b" % (len(body), body))
    raw.send_bytes(b"".join(frames))
    for ident in ids:
        assert await code(await raw.reply(ident)) == CANCELLED
    await alive(raw)
    assert [len(raw.replies(ident)) for ident in ids] == [1] * len(ids)


@pytest.mark.parametrize(
    ("method", "params"),
    [
        ("$/cancelRequest", {"id": "nobody"}),
        ("$/cancelRequest", {"id": [1]}),
        ("$/cancelRequest", None),
        ("$/setTrace", {"value": "compact"}),
        ("$/progress", {"token": 1, "value": 2}),
        ("initialized", None),
        ("qwen/unknown", [1]),
        ("textDocument/didOpen", {}),
        ("textDocument/didOpen", {"textDocument": {"uri": "http://[", "text": "x", "version": None}}),
        ("textDocument/didChange", {"textDocument": {"uri": "file:///never"}, "contentChanges": []}),
        ("textDocument/didClose", {"textDocument": {"uri": "file:///never"}}),
        ("textDocument/didSave", {"textDocument": {"uri": URI}}),
        ("workspace/didChangeConfiguration", None),
        ("workspace/didChangeConfiguration", {"settings": {"other": {"jsonrpc": 1}}}),
        ("workspace/didChangeWorkspaceFolders", {"event": 3}),
        ("notebookDocument/didChange", {"notebookDocument": {"uri": "x", "version": 1}, "change": {}}),
        ("window/workDoneProgress/cancel", {"token": "x"}),
    ],
    ids=str,
)
async def test_a_notification_that_makes_no_sense_is_ignored_quietly(raw, method, params):
    """Nothing pops up in the editor, and the session goes on."""
    before = [message for message in raw.messages if "method" in message]
    raw.notify(method, params)
    await alive(raw)
    assert [message for message in raw.messages if "method" in message] == before


async def test_replies_to_what_was_never_asked_are_ignored(raw):
    """A client's reply with any id, a running request's included, changes nothing."""
    raw.send({"jsonrpc": "2.0", "id": "nobody", "result": None})
    raw.send({"jsonrpc": "2.0", "id": None, "error": {"code": 1, "message": "x"}})
    raw.send({"jsonrpc": "2.0", "id": "client:'x'", "result": 1})
    await alive(raw)


async def test_broken_headers_are_skipped_until_the_next_good_one(raw):
    """Odd headers are read, wrong ones are skipped with what follows them."""
    body = b'{"jsonrpc":"2.0","id":"%d","method":"x"}'
    for number, header in enumerate(
        [
            b"content-length:%d\r\n\r\n",
            b"Content-Type: application/x; charset=klingon\r\nCONTENT-LENGTH :  %d \r\nX: 1\r\n\r\n",
            b"Content-Length: many\r\n\r\nContent-Length: -3\r\n\r\n\r\n\r\nContent-Length: %d\r\n\r\n",
            b"Content-Length: 3\r\nContent-Length: %d\r\n\r\n",
            b"garbage of all kinds \xff\x00 Content-Length: %d\n\n",
        ]
    ):
        whole = body % number
        raw.send_bytes(header % len(whole) + whole)
        assert await code(await raw.reply(str(number))) == NO_METHOD
    await alive(raw)


async def test_an_edit_that_can_not_be_understood_closes_the_document(raw):
    """Our text would no longer be the editor's: nothing is completed there until it is opened again."""
    uri = "file:///w/broken.py"
    question = {"textDocument": {"uri": uri}, "position": {"line": 0, "character": 0}}
    raw.open(uri, "x = \n")
    broken = {"range": {"start": 1, "end": 2}, "text": "y"}
    raw.notify("textDocument/didChange", {"textDocument": {"uri": uri}, "contentChanges": [broken]})
    assert (await raw.ask(INLINE, question))["result"] == {"items": []}


@pytest.mark.parametrize(
    ("text", "reason"),
    [("x = 1\n" * 7_000_000, b"too-large"), ("x" * 40_000_000, b"too-large"), ("x = \0\1\2\n" * 9, b"binary")],
    ids=["40 MB of lines", "one line of 40 MB", "binary"],
)
async def test_what_is_no_code_is_answered_with_nothing_and_a_reason(raw, text, reason):
    """A huge or binary document costs an empty answer, a reason in the log, and no pop-up; others go on as before."""
    uri = f"file:///w/{len(text)}.py"
    shown = len([m for m in raw.messages if m.get("method") == "window/showMessage"])
    raw.open(uri, text)
    question = {"textDocument": {"uri": uri}, "position": {"line": 0, "character": 5}}
    assert (await raw.ask(INLINE, question))["result"] == {"items": []}
    raw.notify("textDocument/didClose", {"textDocument": {"uri": uri}})
    await alive(raw)
    assert b"outcome=" + reason in raw.stderr
    assert len([m for m in raw.messages if m.get("method") == "window/showMessage"]) == shown


async def test_neither_code_nor_key_reaches_the_log(raw, service):
    """At DEBUG, and after all that the tests before this one have sent, the log holds no code, no key."""
    uri = f"file:///w/{CODE}.py"
    raw.open(uri, f"{CODE} = ")
    service.script(f"{CODE}()")
    reply = await raw.ask(INLINE, {"textDocument": {"uri": uri}, "position": {"line": 0, "character": 50}})
    assert reply["result"]["items"][0]["insertText"] == f"{CODE}()"
    raw.notify("$/setTrace", {"value": CODE})
    raw.notify("qwen/unknown", {"code": CODE})
    raw.send_body(f'{{"code": "{CODE}", '.encode())
    raw.request("qwen/unknown", {"code": CODE})
    raw.notify("workspace/didChangeWorkspaceFolders", {"event": {"added": [{"uri": CODE, "name": KEY}], "removed": []}})
    await raw.ask("workspace/executeCommand", {"command": "qwen.accepted", "arguments": [URI, {"code": CODE}]})
    await raw.ask("workspace/executeCommand", {"command": "qwen.accepted", "arguments": {"code": CODE}})
    await alive(raw)
    log = raw.stderr.decode()
    assert "outcome=" in log
    assert CODE not in log
    assert KEY not in log


async def test_before_and_after_a_session_requests_are_refused(tmp_path):
    """Requests before `initialize` and after `shutdown` have errors of their own; notifications are dropped there."""
    async with RawClient.started(env=environment(tmp_path)) as client:
        client.open(URI, "early")
        assert await code(await client.ask(INLINE, at(0, 0))) == NOT_INITIALIZED
        assert await code(await client.ask("shutdown")) == NOT_INITIALIZED
        assert await code(await client.ask("initialize", [])) == INVALID_PARAMS
        result = await client.initialize(
            capabilities={
                "general": {"positionEncodings": ["utf-7", "utf-32"]},
                "workspace": {"symbol": {"symbolKind": {"valueSet": [1, 999]}}},
                "textDocument": {"publishDiagnostics": {"tagSupport": {"valueSet": ["new"]}}, "inlineCompletion": None},
            },
            trace="compact",
            initializationOptions={"jsonrpc": "2.0", "qwen": {"provider": "nobody", "debounce": -1}},
        )
        assert result["capabilities"]["positionEncoding"] == "utf-32"
        assert (await client.ask(INLINE, at(0, 0)))["result"] == {"items": []}
        told = [m["params"]["message"] for m in client.messages if m.get("method") == "window/showMessage"]
        assert len(told) == 2
        assert (await client.ask("shutdown"))["result"] is None
        assert await code(await client.ask(INLINE, at(0, 0))) == INVALID_REQUEST
        client.notify("exit")
        assert await client.exited() == 0
