"""The fake says what the services' documents say; a client of plain httpx and of raw sockets asks it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator

import httpx
import pytest

from qwen_lsp.core import dialects
from qwen_lsp.core.model import Api, Kind, Prompt, Route, Service
from qwen_lsp.core.sse import SseDecoder
from tests.fake_dashscope import (
    CUT,
    CUT_MID_CHUNK,
    CUT_MID_EVENT,
    FAILURES,
    NATIVE,
    STALL,
    Answer,
    FakeService,
    Fault,
)

PREFIX_ONLY = "<|fim_prefix|>def f():<|fim_suffix|>"
PARTIAL = [
    {"role": "system", "content": "s"},
    {"role": "user", "content": "u"},
    {"role": "assistant", "content": "def f", "partial": True},
]


@pytest.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(trust_env=False, timeout=5) as client:
        yield client


def fim(**fields: object) -> dict[str, object]:
    return {"model": "qwen-coder-turbo", "prompt": PREFIX_ONLY, "stream": True} | fields


def chat(**fields: object) -> dict[str, object]:
    return {"model": "qwen3-coder-flash", "messages": PARTIAL, "stream": True, "temperature": 0.1} | fields


def native(**parameters: object) -> dict[str, object]:
    return {"model": "qwen3-coder-flash", "input": {"messages": PARTIAL}, "parameters": parameters}


def events(text: str) -> list[dict]:
    """The JSON of every data line, by the plainest of readers."""
    lines = text.replace("\r\n", "\n").split("\n")
    data = [line.removeprefix("data:").strip() for line in lines if line.startswith("data:")]
    return [json.loads(item) for item in data if item != "[DONE]"]


@pytest.mark.parametrize("seed", range(8))
async def test_a_completions_stream_has_text_finish_usage_and_done(client, seed):
    """However the bytes are cut, they are one stream: text with any character, a finish, usage, [DONE]."""
    async with FakeService(seed=seed) as fake:
        fake.script(["a\u2028b\x85", "你😋\x00"])
        url = fake.dashscope + "/completions"
        reply = await client.post(url, json=fim(stream_options={"include_usage": True}))
        assert reply.headers["content-type"].startswith("text/event-stream")
        assert reply.text.rstrip().endswith("data: [DONE]")
        *texts, end, usage = events(reply.text)
        assert "".join(event["choices"][0]["text"] for event in texts) == "a\u2028b\x85你😋\x00"
        assert end["choices"][0]["finish_reason"] == "stop"
        assert usage["choices"] == []
        assert usage["usage"]["total_tokens"] > 0


async def test_a_chat_stream_begins_with_null_content_and_has_usage_only_when_asked(client):
    """The first delta of a chat holds a role and `content: null`; without include_usage nothing is counted."""
    async with FakeService() as fake:
        reply = await client.post(fake.dashscope + "/chat/completions", json=chat())
        first, text, end = events(reply.text)
        assert first["choices"][0]["delta"]["content"] is None
        assert text["choices"][0]["delta"]["content"] == "pass"
        assert end["choices"][0]["finish_reason"] == "stop"


async def test_the_native_interface_streams_with_its_own_shape(client):
    """Native: finish_reason is the string "null" until the end, usage is in every event, and there is no [DONE]."""
    async with FakeService() as fake:
        fake.script(Answer("x", cached=3))
        headers = {"X-DashScope-SSE": "enable"}
        reply = await client.post(fake.url + NATIVE, json=native(incremental_output=True), headers=headers)
        assert "[DONE]" not in reply.text
        first, last = events(reply.text)
        assert first["output"]["choices"][0] == {
            "message": {"role": "assistant", "content": "x"},
            "finish_reason": "null",
        }
        assert last["output"]["choices"][0]["finish_reason"] == "stop"
        assert last["usage"]["prompt_tokens_details"] == {"cached_tokens": 3}


async def test_unstreamed_replies_are_one_json(client):
    """Without `stream` a reply is a whole, in the shape of its interface."""
    async with FakeService() as fake:
        plain = await client.post(fake.openai + "/chat/completions", json=chat(stream=False))
        assert plain.json()["choices"][0]["message"]["content"] == "pass"
        own = await client.post(fake.url + NATIVE, json=native())
        assert own.json()["output"]["choices"][0]["message"]["content"] == "pass"


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("/completions", fim(), 200),
        ("/completions", fim(prompt="<|fim_prefix|><|fim_suffix|>tail<|fim_middle|>"), 400),
        ("/completions", fim(prompt="<|fim_prefix|><|fim_suffix|><|fim_middle|>"), 200),
        ("/completions", fim(prompt="<|fim_prefix|>\n<|fim_suffix|>tail<|fim_middle|>"), 200),
        ("/completions", fim(prompt=""), 400),
        ("/completions", fim(temperature=0), 200),
        ("/completions", fim(temperature=2), 400),
        ("/completions", fim(temperature=0.1, top_p=0.9), 400),
        ("/completions", fim(stop=["a"] * 4), 200),
        ("/completions", fim(stop=["a"] * 5), 400),
        ("/completions", fim(model="qwen3-coder-flash"), 404),
        ("/completions", fim(model="no-such-model"), 404),
        ("/chat/completions", chat(), 200),
        ("/chat/completions", chat(temperature=0), 400),
        ("/chat/completions", chat(temperature=0.01), 200),
        ("/chat/completions", chat(messages=[]), 400),
        ("/chat/completions", chat(messages=[PARTIAL[2], PARTIAL[1]]), 400),
        ("/chat/completions", chat(messages=[PARTIAL[1], PARTIAL[0], PARTIAL[2]]), 400),
        ("/chat/completions", chat(enable_thinking=True), 400),
        ("/chat/completions", chat(model="qwen3-8b"), 400),
        ("/chat/completions", chat(model="qwen3-8b", enable_thinking=False), 200),
        ("/nothing", chat(), 404),
    ],
)
async def test_requests_are_checked_as_documented(client, path, body, status):
    """DashScope's own rules: what it refuses is refused here, with the documented body, and uses up no answer."""
    async with FakeService() as fake:
        fake.script("kept")
        reply = await client.post(fake.dashscope + path, json=body)
        assert reply.status_code == status
        if status != 200:
            assert reply.json()["error"]["code"]
            again = await client.post(fake.dashscope + "/completions", json=fim())
            assert "kept" in again.text


async def test_only_beijing_has_completions(client):
    """A FIM model asked in another region is a model that is not there; chat is everywhere."""
    async with FakeService(region="ap-southeast-1") as fake:
        assert (await client.post(fake.dashscope + "/completions", json=fim())).status_code == 404
        assert (await client.post(fake.dashscope + "/chat/completions", json=chat())).status_code == 200


async def test_the_key_is_checked_and_the_list_of_models_shows_it_for_free(client):
    """GET /models tells whether a key belongs here; /health wants none."""
    async with FakeService(key="sk-test") as fake:
        for base in (fake.dashscope, fake.openai):
            assert (await client.get(base + "/models")).status_code == 401
            good = await client.get(base + "/models", headers={"Authorization": "Bearer sk-test"})
            assert "qwen-coder-turbo" in [model["id"] for model in good.json()["data"]]
        assert (await client.get(fake.url + "/health")).json() == {"status": "ok"}
        wrong = await client.post(fake.dashscope + "/completions", json=fim(), headers={"Authorization": "x"})
        assert (wrong.status_code, wrong.json()["error"]["code"]) == (401, "invalid_api_key")


async def test_scripted_failures_have_the_form_of_the_interface(client):
    """An error is `{"error": …}` in compatible mode and flat in the native one, and carries its Retry-After."""
    async with FakeService() as fake:
        fake.script(FAILURES["rate"], FAILURES["rate"])
        compatible = await client.post(fake.dashscope + "/completions", json=fim())
        assert (compatible.status_code, compatible.headers["retry-after"]) == (429, "2")
        assert compatible.json()["error"]["code"] == "Throttling.RateQuota"
        own = await client.post(fake.url + NATIVE, json=native())
        assert own.json()["code"] == "Throttling.RateQuota"


KINDS = {
    "parameters": Kind.BAD_REQUEST,
    "length": Kind.BAD_REQUEST,
    "inspection": Kind.BAD_REQUEST,
    "arrearage": Kind.QUOTA,
    "overdue": Kind.QUOTA,
    "key": Kind.AUTH,
    "denied": Kind.AUTH,
    "free tier": Kind.QUOTA,
    "model": Kind.MODEL,
    "rate": Kind.RATE,
    "burst": Kind.RATE,
    "tokens": Kind.RATE,
    "tokens, compatible": Kind.RATE,
    "quota": Kind.QUOTA,
    "internal": Kind.OVERLOADED,
    "overloaded": Kind.OVERLOADED,
    "html": Kind.OVERLOADED,
}


@pytest.mark.parametrize("name", sorted(KINDS.keys() | (FAILURES.keys() - {"garbage"})))
@pytest.mark.parametrize("path", ["/completions", "native"])
async def test_every_failure_is_understood_as_what_it_is(client, name, path):
    """The failures to script are the documents' table, so each has the kind that the table gives it."""
    async with FakeService() as fake:
        fake.script(FAILURES[name])
        url, body = (fake.url + NATIVE, native()) if path == "native" else (fake.dashscope + path, fim())
        reply = await client.post(url, json=body)
        service = Service("dashscope", fake.dashscope, "qwen-coder-turbo", Route.FIM, Api.COMPLETIONS)
        error = dialects.failure(service, reply.status_code, reply.headers, reply.content)
        assert error.kind is KINDS[name]


async def test_an_error_can_come_inside_a_stream_that_began_well(client):
    """Status 200, some text, then an error object."""
    async with FakeService() as fake:
        fake.script(["a", Fault("Throttling.AllocationQuota")])
        reply = await client.post(fake.dashscope + "/completions", json=fim())
        assert reply.status_code == 200
        assert events(reply.text)[1]["error"]["code"] == "Throttling.AllocationQuota"


@pytest.mark.parametrize("cut", [Answer(cut=True), ["a", CUT], ["a", CUT_MID_CHUNK], ["a", CUT_MID_EVENT, CUT]])
async def test_connections_can_be_cut_anywhere(client, cut):
    """Before the headers, between chunks, inside a chunk, inside an event: each is a broken connection."""
    async with FakeService() as fake:
        fake.script(cut)
        with pytest.raises(httpx.RemoteProtocolError):
            await client.post(fake.dashscope + "/completions", json=fim())
        assert not fake.requests[0].hung_up


@pytest.mark.parametrize("answer", [["a", STALL], Answer(hold=asyncio.Event()), ["a", asyncio.Event()]])
async def test_a_client_that_hangs_up_is_noticed(answer):
    """While the service stalls, a client's end is seen at once and recorded."""
    async with FakeService() as fake:
        fake.script(answer)
        _, writer = await asyncio.open_connection("127.0.0.1", fake.port)
        body = json.dumps(fim()).encode()
        head = f"POST /v1/completions HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n"
        writer.write(head.encode() + body)
        request = await fake.until(1)
        assert not request.hung_up
        writer.close()
        await asyncio.wait_for(request.ended.wait(), 5)
        assert request.hung_up


async def test_a_gate_holds_the_stream_back(client):
    """What stands before an event arrives before it is set, what stands after it does not."""
    async with FakeService() as fake:
        gate = asyncio.Event()
        fake.script(["first", gate, "second"])
        seen = b""
        async with client.stream("POST", fake.openai + "/completions", json=fim()) as reply:
            async for chunk in reply.aiter_bytes():
                seen += chunk
                if b"first" in seen and not gate.is_set():
                    assert b"second" not in seen
                    gate.set()
        assert b"second" in seen


async def test_connections_are_kept_alive_and_counted(client):
    """Read to their end, replies share one connection; `close` ends it without a word."""
    async with FakeService() as fake:
        fake.script("a", Answer("b", close=True), "c")
        for _ in range(3):
            reply = await client.post(fake.openai + "/completions", json=fim())
            assert "connection" not in reply.headers
            await fake.generations[-1].ended.wait()
        assert [request.connection for request in fake.requests] == [1, 1, 2]
        assert fake.connections == 2


@pytest.mark.parametrize("suffix", ["", "tail"])
@pytest.mark.parametrize("prefix", ["", "head"])
@pytest.mark.parametrize(
    ("provider", "route", "api"),
    [
        ("dashscope", Route.FIM, Api.COMPLETIONS),
        ("dashscope", Route.PARTIAL, Api.CHAT),
        ("dashscope", Route.PARTIAL, Api.NATIVE),
        ("openai", Route.FIM, Api.COMPLETIONS),
        ("openai", Route.PARTIAL, Api.CHAT),
        ("local", Route.FIM, Api.COMPLETIONS),
    ],
)
async def test_what_the_dialects_ask_is_taken_and_answered(client, *, suffix, prefix, provider, route, api):
    """Every way to ask, with nothing before or after the cursor too, passes the checks and reads the answer."""
    async with FakeService() as fake:
        fake.script(Answer(["a\u2028", "\r\n😋\x00"], cached=2))
        base = fake.dashscope if provider == "dashscope" else fake.openai
        model = "qwen-coder-turbo" if route is Route.FIM else "qwen3-8b"
        service = Service(provider, base, model, route, api, disable_thinking=route is Route.PARTIAL)
        call = dialects.call(service, Prompt(prefix, suffix, "python", "a.py", 9, 0.0, ("x",) * 9))
        reply = await client.post(call.url, json=call.body, headers=call.headers)
        assert reply.status_code == 200, reply.text
        decoder = SseDecoder()
        deltas = [dialects.delta(service, data) for data in decoder.feed(reply.content) + decoder.close()]
        ended = [delta is None for delta in deltas]
        assert ended == [False] * (len(ended) - (api is not Api.NATIVE)) + [True] * (api is not Api.NATIVE)
        found = [delta for delta in deltas if delta is not None]
        assert "".join(delta.text for delta in found) == "a\u2028\r\n😋\x00"
        assert [delta.finish for delta in found if delta.finish] == ["stop"]
        assert found[-1].usage is not None
        assert found[-1].usage.cached == 2


async def test_answers_can_depend_on_the_request_or_its_path(client):
    """A function makes the answer from the request; an override answers a path whatever else is scripted."""
    async with FakeService(default=lambda request: request.json["prompt"][-4:]) as fake:
        assert "x|>" in (await client.post(fake.openai + "/completions", json=fim())).text
        fake.overrides["/health"] = Answer(status=503, body=b"loading")
        assert (await client.get(fake.url + "/health")).status_code == 503


async def test_a_stopped_service_comes_back_at_its_port(client):
    """After stop() nobody listens; entered again, the service is at the same address."""
    fake = FakeService()
    async with fake:
        url = fake.openai + "/models"
    with pytest.raises(httpx.ConnectError):
        await client.get(url)
    async with fake:
        assert (await client.get(url)).status_code == 200
