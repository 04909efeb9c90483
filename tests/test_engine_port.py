"""The embedded engine's ports: who has not its key, or is a web page, gets nothing done and learns nothing."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import json
import os
import socket
import stat
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from qwen_lsp.backend.local import Endpoint
from tests.desk import Desk, alive, keepers

pytestmark = pytest.mark.real_model

SOON = 10.0
PAGE = "https://evil.example"
BODY = json.dumps(
    {"prompt": "x = ", "content": "x", "input": "x", "messages": [{"role": "user", "content": "x"}], "max_tokens": 1}
)

WORKS = (
    *("/v1/completions", "/completions", "/completion", "/v1/chat/completions", "/chat/completions", "/infill"),
    *("/v1/responses", "/v1/messages", "/v1/messages/count_tokens", "/api/chat", "/v1/embeddings", "/embedding"),
    *("/v1/chat/completions/input_tokens", "/v1/responses/input_tokens", "/v1/streams/lookup", "/v1/systemone"),
    *("/v1/rerank", "/tokenize", "/detokenize", "/apply-template", "/v1/audio/transcriptions"),
    *("/props", "/slots/0?action=save", "/lora-adapters", "/models/load", "/models/unload", "/tools", "/cors-proxy"),
)
"""What llama.cpp's server takes by POST, some of it only with settings that we leave off."""
TELLS = (
    *("/v1/models", "/models", "/api/tags", "/props", "/slots", "/metrics", "/lora-adapters", "/tools", "/cors-proxy"),
    *("/docs", "/openapi.json", "/sse", "/no/such/path"),
)
"""What is asked by GET. What there is not must not be another matter than what there is."""
EMPTY = ("/", "/index.html", "/favicon.ico", "/bundle.js")
"""llama.cpp's own page, which we leave off (but for `/sw.js`, a script that is the same everywhere)."""
STRANGERS: dict[str, dict[str, str]] = {
    "no key": {},
    "a wrong key": {"Authorization": "Bearer wrong"},
    "an empty key": {"Authorization": "Bearer "},
    "a wrong key by another name": {"X-Api-Key": "wrong"},
    "a page's simple request": {"Origin": PAGE, "Content-Type": "text/plain", "Cookie": "a=b", "Referer": f"{PAGE}/"},
    "a page in a sandbox, or a file": {"Origin": "null"},
    "a page of another server here": {"Origin": "http://127.0.0.1:8000", "Authorization": "Bearer wrong"},
    "a page whose name was bound to us": {"Origin": "http://evil.example:80", "Host": "evil.example:80"},
}


@dataclass
class Real:
    """The engine that all tests here share."""

    endpoint: Endpoint
    desk: Desk

    @property
    def key(self) -> str:
        return self.endpoint.key.reveal()

    @property
    def address(self) -> tuple[str, int]:
        host, _, port = self.endpoint.base_url.removeprefix("http://").removesuffix("/v1").partition(":")
        return host, int(port)

    def ask(self, method: str, path: str, headers: Mapping[str, str], body: str | None = None) -> Any:
        """One request with just these headers: the reply, and what is in it."""
        connection = http.client.HTTPConnection(*self.address, timeout=SOON)
        try:
            connection.request(method, path, body, dict(headers))
            reply = connection.getresponse()
            return reply, reply.read()
        finally:
            connection.close()

    @property
    def state(self) -> dict[str, Any]:
        return json.loads(self.desk.state().read_bytes())


@pytest.fixture(scope="module")
def real(tmp_path_factory, model_05b) -> Iterator[Real]:
    """Started where files are everybody's unless something is done about it."""
    desk = Desk(tmp_path_factory.mktemp("port"))
    desk.model = model_05b

    async def start() -> Endpoint:
        share = desk.engine(worker=None, clock=time.monotonic, keep_alive=600)
        endpoint = await share.ensure()
        await share.close(linger=True)
        return endpoint

    async def end() -> None:
        await desk.engine(worker=None, clock=time.monotonic).ensure()
        await desk.clear()

    mask = os.umask(0)
    try:
        endpoint = asyncio.run(start())
    finally:
        os.umask(mask)
    yield Real(endpoint, desk)
    asyncio.run(end())


def kept_from(page: str, reply: http.client.HTTPResponse) -> bool:
    """Whether a browser keeps a reply from this page."""
    allowed = [value.strip() for value in reply.headers.get_all("Access-Control-Allow-Origin", [])]
    secret = reply.headers.get("Access-Control-Allow-Credentials", "false") == "false"
    return (
        secret
        and not {page, "*", "null"} & set(allowed)
        and "Access-Control-Allow-Private-Network" not in reply.headers
    )


def test_who_has_the_key_is_served(real):
    """Else the tests below would show nothing."""
    reply, said = real.ask("POST", "/v1/completions", {"Authorization": f"Bearer {real.key}"}, BODY)
    assert reply.status == 200
    assert "text" in json.loads(said)["choices"][0]


@pytest.mark.parametrize("stranger", STRANGERS)
def test_a_stranger_gets_nothing_done_and_learns_nothing(real, stranger):
    """Whatever is asked for, and whether or not there is such a thing, the answer is the same refusal."""
    headers = STRANGERS[stranger]
    for method, paths in (("POST", WORKS), ("GET", (*TELLS, *WORKS)), ("DELETE", WORKS), ("HEAD", TELLS)):
        for path in (*paths, f"{paths[0]}?api_key={real.key}"):
            reply, said = real.ask(method, path, headers, BODY if method == "POST" else None)
            assert (path, reply.status) == (path, 401)
            assert method == "HEAD" or json.loads(said)["error"]["message"] == "Invalid API Key"
            assert kept_from(headers.get("Origin", PAGE), reply)
    for path in EMPTY:
        reply, said = real.ask("GET", path, headers)
        assert (path, reply.status) in ((path, 401), (path, 404))
        assert b"qwen" not in said


@pytest.mark.parametrize("path", ["/health", "/v1/health"])
def test_that_it_is_well_is_all_that_is_told(real, path):
    """To whoever asks on this machine; to no page."""
    for headers in STRANGERS.values():
        reply, said = real.ask("GET", path, headers)
        assert (reply.status, said) == (200, b'{"status":"ok"}')
        assert kept_from(headers.get("Origin", PAGE), reply)
    assert real.ask("POST", path, {}, BODY)[0].status == 404


@pytest.mark.parametrize("page", [PAGE, "null", "http://127.0.0.1:8000", "http://evil.example:80"])
def test_no_browser_sends_a_page_s_key(real, page):
    """A page may not even try keys: it would have to put one in a header, for which browsers ask leave first."""
    for path in (*WORKS, *TELLS, *EMPTY, "/health"):
        for wanted in ("authorization, content-type", "x-api-key"):
            asked = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": wanted}
            reply, said = real.ask("OPTIONS", path, {"Origin": page, **asked})
            assert said == b""
            assert kept_from(page, reply)


def test_a_stranger_is_refused_before_it_has_said_all(real):
    """The body is not waited for, and nothing of it is kept."""
    with socket.create_connection(real.address, timeout=SOON) as stranger:
        stranger.sendall(b"POST /v1/completions HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000000\r\n\r\n{")
        assert stranger.recv(100).startswith(b"HTTP/1.1 401 ")


def test_it_listens_on_this_machine_only(real):
    """Two ports, of the engine and of its keeper, both on 127.0.0.1, and nothing else."""
    own = {
        os.readlink(handle)  # noqa: PTH115 - no path, but "socket:[123]"
        for pid in keepers(real.desk.state_dir)
        for handle in Path(f"/proc/{pid}/fd").iterdir()
    }
    listening = set()
    for family in ("tcp", "tcp6"):
        for line in Path(f"/proc/net/{family}").read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == "0A" and f"socket:[{fields[9]}]" in own:
                address, _, port = fields[1].partition(":")
                listening.add((address, int(port, 16)))
    here = "0100007F"  # 127.0.0.1, as Linux writes it
    assert listening == {(here, real.address[1]), (here, real.state["port"])}


def test_the_key_stands_in_one_private_file(real):
    """In no command line, in no environment, and of what the engine writes only in what its user alone can read."""
    key = real.key.encode()
    for process in Path("/proc").iterdir():
        if process.name.isdigit() and alive(int(process.name)):
            assert key not in (process / "cmdline").read_bytes()
    running = keepers(real.desk.state_dir)
    assert len(running) == 2
    for pid in running:
        assert key not in Path(f"/proc/{pid}/environ").read_bytes()
        for handle in Path(f"/proc/{pid}/fd").iterdir():
            writable = int(Path(f"/proc/{pid}/fdinfo/{handle.name}").read_text().split("flags:")[1].split()[0], 8) & 3
            if writable and stat.S_ISREG(handle.stat().st_mode):
                assert handle.readlink().is_relative_to(real.desk.state_dir)
    below = [real.desk.state_dir, *real.desk.state_dir.rglob("*")]
    for path in below:
        assert stat.S_IMODE(path.stat().st_mode) == (0o700 if path.is_dir() else 0o600)
    assert [path for path in below if path.is_file() and key in path.read_bytes()] == [real.desk.state()]


PROOFS = {
    "nothing": b"",
    "a page": b"POST / HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 99\r\n\r\nhello abc\nbye 0\n",
    "no hello": b"bye 0\n",
    "a wrong proof": b"hello abc\n" + b"0" * 64 + b"\n",
    "an empty proof": b"hello abc\n\n",
    "no text": b"hello \xff\xfe\n\xff\xfe\n",
    "a long line": b"hello " + b"a" * 100_000,
    "its own words": b"hello abc\nECHO\n",
}


@pytest.mark.parametrize("case", PROOFS)
def test_a_stranger_can_t_hold_or_end_the_engine(real, case):
    """The keeper's port is told nothing of it either: who does not prove that it knows the key is hung up on."""
    with socket.create_connection(("127.0.0.1", real.state["port"]), timeout=SOON) as stranger:
        before, _, after = PROOFS[case].partition(b"ECHO")
        heard = b""
        with contextlib.suppress(OSError):  # hung up on before all was said
            stranger.sendall(before)
            if after:
                proof = stranger.recv(200).split()[1]
                stranger.sendall(proof + after)
            stranger.shutdown(socket.SHUT_WR)
            while data := stranger.recv(1000):
                heard += data
    assert b"joined" not in heard
    assert b"ready" not in heard
    assert real.key.encode() not in heard
    assert alive(real.endpoint.pid)
    (log,) = (real.desk.state_dir / "engine").glob("*.log")
    assert "Traceback" not in log.read_text()
