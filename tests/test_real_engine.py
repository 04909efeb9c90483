"""The real llama.cpp with real weights: what we rely on, what it must not tell, how it ends."""

import asyncio
import json
import re
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from qwen_lsp.backend import engine_worker
from qwen_lsp.core.model import BackendError, Kind
from tests.desk import Desk, crash, gone

pytestmark = pytest.mark.real_model

CANARY = "canary_7f3a"
FIM = f"<|fim_prefix|># {CANARY}\ndef add(a, b):\n    return <|fim_suffix|>\n\n\nprint(add(1, 2))\n<|fim_middle|>"
REAL = {"worker": None, "clock": time.monotonic}


def ask(endpoint, path, body=None, *, key=None, **headers):
    """One request to the real engine: status, headers, body."""
    request = urllib.request.Request(  # noqa: S310 - 127.0.0.1
        endpoint.base_url.removesuffix("/v1") + path,
        None if body is None else json.dumps(body).encode(),
        {"Authorization": f"Bearer {key or endpoint.key.reveal()}", **headers},
    )
    try:
        with urllib.request.urlopen(request) as reply:  # noqa: S310 - as above
            return reply.status, reply.headers, reply.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.headers, error.read().decode()


@pytest.fixture(scope="module")
def shared(tmp_path_factory, model_05b):
    """The desk of this module's one engine, which lingers from test to test and ends with the last."""
    shared = Desk(tmp_path_factory.mktemp("real"))
    shared.model = model_05b

    async def end():
        await shared.engine(**REAL).ensure()
        await shared.clear()

    yield shared
    asyncio.run(end())


@pytest.fixture
async def real(shared):
    engine = shared.engine(**REAL, keep_alive=60)
    yield await engine.ensure()
    await engine.close(linger=True)


@pytest.fixture
async def desk(tmp_path):
    desk = Desk(tmp_path)
    yield desk
    await desk.clear()


def test_library_has_our_settings():
    """The library still has every setting that we rely on, and takes ours."""
    import xllamacpp

    params = {"model": "/x/m.gguf", "context": 2048, "threads": 3, "gpu_layers": 0, "key": "k"}
    common = engine_worker._settings(xllamacpp, params)
    assert (common.n_batch, common.n_ubatch, common.n_ctx, common.n_parallel) == (128, 128, 2048, 1)
    assert (common.cpuparams.n_threads, common.n_gpu_layers) == (3, 0)
    assert (common.hostnames, common.port, common.api_keys) == (["127.0.0.1"], 0, ["k"])
    assert (common.model_alias, common.ui, common.verbosity) == ({"m"}, False, 1)
    assert not any((common.cors_credentials, common.endpoint_slots, common.endpoint_props))


async def test_fim(real):
    """The real model fills in the middle through `/v1/completions`."""
    body = {"prompt": FIM, "max_tokens": 16, "temperature": 0}
    status, _, text = await asyncio.to_thread(ask, real, "/v1/completions", body)
    assert status == 200
    assert json.loads(text)["choices"][0]["text"].split("\n")[0].strip() == "a + b"


async def test_chat_continues_the_assistant(real):
    """Streamed chat goes on with a trailing assistant message and does not repeat it."""
    messages = [
        {"role": "user", "content": "Write a Python function that adds two numbers. Only code."},
        {"role": "assistant", "content": "def add(a, b):\n    return"},
    ]
    body = {"messages": messages, "max_tokens": 8, "temperature": 0, "stream": True}
    _, headers, text = await asyncio.to_thread(ask, real, "/v1/chat/completions", body)
    assert headers["Content-Type"].startswith("text/event-stream")
    events = [line.removeprefix("data: ") for line in text.splitlines() if line.startswith("data: ")]
    assert events[-1] == "[DONE]"
    parts = [json.loads(event)["choices"][0]["delta"].get("content") or "" for event in events[:-1]]
    assert re.match(r"\s*a \+ b", "".join(parts))


@pytest.mark.parametrize("path", ["/v1/models", "/v1/completions", "/v1/chat/completions", "/props", "/slots"])
async def test_wrong_key(real, path):
    """Without the key the real engine answers 401 to everything but `/health`."""
    body = {"prompt": "x", "messages": []} if "completions" in path else None
    status, _, text = await asyncio.to_thread(ask, real, path, body, key="wrong")
    assert status == 401
    assert "gguf" not in text


async def test_foreign_pages_can_not_read(real):
    """A page of another origin gets no leave to read: the allowed origin is empty and credentials are not allowed.

    llama.cpp sends the header all the same; browsers refuse a reply whose allowed origin is not their own.
    """
    for key in ("wrong", None):
        _, headers, _ = await asyncio.to_thread(ask, real, "/v1/models", key=key, Origin="https://evil.example")
        assert headers.get("Access-Control-Allow-Origin", "") == ""
        assert headers.get("Access-Control-Allow-Credentials", "false") == "false"


async def test_model_path_is_not_told(real):
    """The model is listed by its name; the user's directories stay out of it."""
    _, _, text = await asyncio.to_thread(ask, real, "/v1/models")
    assert json.loads(text)["data"][0]["id"] == "qwen2.5-coder-0.5b-instruct-q4_k_m"
    assert str(Path.home()) not in text


async def test_disconnect_frees_the_engine(real):
    """A request whose connection ends does not keep the next one waiting for the rest of its prompt."""
    text = "".join(f"value_{n} = {n} * {n + 1}\n" for n in range(160))
    body = json.dumps({"prompt": text, "max_tokens": 200, "stream": True}).encode()
    host, port = real.base_url.removeprefix("http://").removesuffix("/v1").split(":")
    _, writer = await asyncio.open_connection(host, int(port))
    head = (
        f"POST /v1/completions HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {real.key.reveal()}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    writer.write(head.encode() + body)
    await writer.drain()
    await asyncio.sleep(0.3)
    writer.transport.abort()
    short = {"prompt": "x = 1\n", "max_tokens": 1, "temperature": 0}
    begun = time.monotonic()
    status, _, reply = await asyncio.to_thread(ask, real, "/v1/completions", short)
    waited = time.monotonic() - begun
    assert status == 200
    # At this machine's own speed the whole prompt would take far longer than the batch in progress.
    speed = json.loads(reply)["timings"]["prompt_per_second"]
    assert waited < max(3.0, 0.75 * 1900 / max(speed, 1))


async def test_log_holds_no_prompt(real, shared):
    """What is completed never reaches the engine's log, nor does the key."""
    for body in ({"prompt": FIM, "max_tokens": 1}, {"prompt": FIM * 200}, {"prompt": {"no": CANARY}}):
        await asyncio.to_thread(ask, real, "/v1/completions", body)
    files = list((shared.state_dir / "engine").iterdir())
    assert len(files) == 3
    for path in files:
        assert CANARY.encode() not in path.read_bytes()
        assert path.suffix == ".json" or real.key.reveal().encode() not in path.read_bytes()


async def test_crash(desk, model_05b):
    """The real engine, killed, is noticed and started again."""
    engine = desk.engine(**REAL, model=model_05b)
    endpoint = await engine.ensure()
    await crash(engine, endpoint.pid)
    assert [notice.key for notice in desk.notices] == ["engine-crash"]
    await asyncio.sleep(1)
    again = await engine.ensure()
    assert again.pid != endpoint.pid
    await engine.close(linger=False)
    assert await gone(again.pid)


async def test_truncated_model(desk, model_05b, tmp_path):
    """A model cut short is refused: ours by its size, any other by llama.cpp's own words."""
    with model_05b.open("rb") as whole:
        head = whole.read(30_000_000)
    for name, message in ((model_05b.name, "is damaged; run `qwen-lsp model pull"), ("other.gguf", "is damaged or")):
        path = tmp_path / name
        path.write_bytes(head)
        with pytest.raises(BackendError, match=message) as error:
            await desk.engine(**REAL, model=path).ensure()
        assert error.value.kind is Kind.MODEL


async def test_partial_mode_without_fim(desk, model_smollm2):
    """A model without fill-in-the-middle goes on with a trailing assistant message."""
    endpoint = await desk.engine(**REAL, model=model_smollm2).ensure()
    messages = [
        {"role": "user", "content": "Count from one to ten in words."},
        {"role": "assistant", "content": "One, two, three,"},
    ]
    body = {"messages": messages, "max_tokens": 4, "temperature": 0, "stream": True}
    status, _, text = await asyncio.to_thread(ask, endpoint, "/v1/chat/completions", body)
    assert status == 200
    assert "four" in text
