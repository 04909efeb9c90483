"""What a service, a disk, an engine or an editor may do to the server: nothing is lost, and the next request works.

The real server over standard input and output, real HTTP and TLS on loopback. Each fault is checked in the same way:
every request has exactly one reply, a request after it is completed, and memory stays within bounds.
"""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import json
import os
import re
import signal
import ssl
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from qwen_lsp.backend.http import Http
from qwen_lsp.backend.http11 import LONGEST_HEAD, ReplyDecoder
from qwen_lsp.backend.httpx_wire import HttpxWire
from qwen_lsp.core.model import BackendError, Kind
from qwen_lsp.lsp.documents import Documents
from qwen_lsp.lsp.transport import Foreign, FrameDecoder, framed
from qwen_lsp.private import private_dir, write_private
from tests.desk import alive, keepers, until
from tests.e2e.test_hostile import INLINE, environment
from tests.fake_dashscope import CUT, STALL, Answer, FakeService
from tests.fake_script import RESET, Repeat
from tests.raw_client import RawClient
from tests.test_http import PROMPT, serviced
from tests.tls import PRIVATE_KEY, relayed

on_one_loop = pytest.mark.asyncio(loop_scope="module")
KEY = "sk-canary-9b1e"
TIMEOUT = 300
"""Milliseconds: `qwen.timeout` for services that stall."""
PATIENCE = 60.0
"""Seconds, on machines that do other things besides; never waited for otherwise."""
MIB = 1024
"""KiB, in which memory is counted."""

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n"
CHUNKED = HEAD.replace(b"\r\n\r\n", b"\r\nTransfer-Encoding: chunked\r\n\r\n")
EVENT = b'data: {"choices": [{"index": 0, "text": "pa", "finish_reason": null}]}\n\n'
LONG_EVENT = EVENT.replace(b"pa", b"x" * 1000)


def whole(body: bytes, *headers: str) -> Answer:
    lines = ["HTTP/1.1 200 OK", f"Content-Length: {len(body)}", *headers]
    return Answer(raw=["\r\n".join([*lines, "", ""]).encode() + body], close=True)


SIGNS = (
    b"internal error",
    b"never awaited",
    b"exchange failed",
    b"failed inside",
    b"Exception in thread",
    b"Traceback",
)
"""In the log: something broke inside."""

FAULTS: dict[str, Answer] = {
    "reset before the head": Answer(raw=[RESET]),
    "reset in the head": Answer(raw=[HEAD[:30], 0.01, RESET]),
    "reset after the head": Answer(raw=[CHUNKED, 0.01, RESET]),
    "reset in an event": Answer(raw=[HEAD, EVENT[:20], 0.01, RESET]),
    "reset between events": Answer(raw=[HEAD, EVENT, 0.01, RESET]),
    "the end in an event": Answer(raw=[HEAD, EVENT, EVENT[:20], CUT]),
    "stall before the head": Answer(raw=[STALL]),
    "stall in the head": Answer(raw=[HEAD[:30], STALL]),
    "stall after the head": Answer(raw=[CHUNKED, STALL]),
    "stall in an event": Answer(raw=[HEAD, EVENT[:20], STALL]),
    "stall between events": Answer(raw=[HEAD, EVENT, STALL]),
    "another protocol": Answer(raw=[b"SSH-2.0-OpenSSH_9.6\r\n", STALL]),
    "garbage for a head": Answer(raw=[os.urandom(5000)], close=True),
    "garbage for events": Answer(raw=[HEAD, b"data: " + bytes(range(256)) * 20, b"\n\n"], close=True),
    "an event that is JSON and no answer": Answer(
        raw=[HEAD, b"data: [[[{}]]]\n\ndata: 7\n\ndata: null\n\n"], close=True
    ),
    "an event of nothing but brackets": Answer(raw=[HEAD, b"data: ", b"[" * 200_000, b"\n\n"], close=True),
    "half a character at the end": Answer(raw=[HEAD, EVENT, EVENT[:41] + "你".encode()[:2]], close=True),
    "half a character in a text": Answer(raw=[HEAD, EVENT.replace(b"pa", b"pa\xe4\xbd"), EVENT], close=True),
    "wrong numbers": Answer(
        raw=[
            HEAD,
            EVENT,
            b'data: {"choices": [], "usage": {"completion_tokens": 1e300, "prompt_tokens": ' + b"9" * 40 + b"}}\n\n",
        ],
        close=True,
    ),
    "a web page": whole(b"<html>" * 9, "Content-Type: text/html"),
    "an image": whole(b"\x89PNG\r\n\x1a\n" * 99, "Content-Type: image/png"),
    "no content type": whole(b"hello"),
    "compressed": whole(gzip.compress(bytes(8 << 20)), "Content-Type: text/event-stream", "Content-Encoding: gzip"),
    "a head of one endless line": Answer(raw=[b"HTTP/1.1 200 OK\r\nX: ", Repeat(b"x" * 1000)]),
    "endless heads before the head": Answer(raw=[Repeat(b"HTTP/1.1 100 Continue\r\n\r\n" * 100)]),
    "an endless size of a chunk": Answer(raw=[CHUNKED, Repeat(b"0" * 1000)]),
    "endless trailers": Answer(raw=[CHUNKED, b"0\r\n", Repeat(b"X: y\r\n" * 100)]),
    "an endless event": Answer(raw=[HEAD, b"data: ", Repeat(b"x" * 10_000)]),
    "endless events that say nothing": Answer(raw=[HEAD, Repeat(b'data: {"choices": []}\n\n' * 100)]),
    "an endless line of text": Answer(raw=[HEAD, Repeat(LONG_EVENT)]),
    "an endless line of brackets": Answer(raw=[HEAD, Repeat(LONG_EVENT.replace(b"x", b">"))]),
    "endless small pieces": Answer(raw=[HEAD, Repeat(EVENT.replace(b"pa", b">") * 100)]),
    "endless blank lines": Answer(raw=[HEAD, Repeat(b"\n" * 10_000)]),
    "endless comments": Answer(raw=[HEAD, Repeat(b": keep-alive\n\n" * 100)]),
    "an endless web page": Answer(raw=[HEAD.replace(b"event-stream", b"html"), Repeat(b"<p>" * 1000)]),
    "an endless refusal": Answer(raw=[HEAD.replace(b"200", b"500"), Repeat(b"no" * 1000)]),
    "a hundred megabytes": Answer(raw=[HEAD, Repeat(LONG_EVENT, 100_000)], close=True),
    "a hundred megabytes in one piece": Answer(
        raw=[
            b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 104857600\r\n\r\n",
            Repeat(b" " * 65536, 1600),
        ],
        close=True,
    ),
}


class Session:
    """A server that asks a fake service."""

    def __init__(self, client: RawClient, service: FakeService) -> None:
        self.client, self.service = client, service
        self._numbers = iter(range(1_000_000))

    async def begin(self, **options: Any) -> None:
        given = {"provider": "openai", "baseUrl": self.service.openai, "model": "qwen-coder-turbo", "debounce": 0}
        await self.client.initialize(initializationOptions=given | {"snippets": False, "candidates": 1} | options)

    def use(self, **settings: Any) -> None:
        self.client.notify("workspace/didChangeConfiguration", {"settings": {"qwen": settings}})

    def open(self, text: str = "x = \n") -> str:
        uri = f"file:///w/{next(self._numbers)}.py"
        self.client.open(uri, text)
        return uri

    async def ask(self, text: str = "x = \n") -> list[str]:
        """What is shown at the end of the first line of a new document."""
        question = at(self.open(text), 0, len(text.partition("\n")[0]))
        reply = await self.client.ask(INLINE, question)
        return [item["insertText"] for item in reply["result"]["items"]]

    async def works(self) -> None:
        """Completions are shown again, as soon as what was learned of the fault lets it."""
        async with asyncio.timeout(PATIENCE):
            while await self.ask() != ["pass"]:  # noqa: ASYNC110 - another process has no events
                await asyncio.sleep(0.05)

    def told(self) -> list[str]:
        return [m["params"]["message"] for m in self.client.messages if m.get("method") == "window/showMessage"]

    @property
    def memory(self) -> int:
        return memory(self.client.process.pid, "VmRSS")

    def is_sound(self, signs: Sequence[bytes] = SIGNS) -> None:
        """No request has two replies, and nothing broke inside."""
        ids = Counter(json.dumps(message["id"]) for message in self.client.messages if "method" not in message)
        assert set(ids.values()) == {1}
        for sign in signs:
            assert sign not in self.client.stderr


@contextlib.asynccontextmanager
async def served(
    home: Path, service: FakeService, *, shell: Sequence[str] = (), command: Sequence[str] = (), **options: Any
) -> AsyncIterator[Session]:
    """A server of its own. Capital options are environment variables."""
    env = environment(home, QWEN_LSP_API_KEY=KEY, **{k: options.pop(k) for k in list(options) if k.isupper()})
    pipe = asyncio.subprocess.PIPE
    command = command or (sys.executable, "-m", "qwen_lsp", "serve")
    process = await asyncio.create_subprocess_exec(
        *shell, *command, stdin=pipe, stdout=pipe, stderr=pipe, env={**os.environ, **env}
    )
    client = RawClient(process)
    try:
        session = Session(client, service)
        await session.begin(**options)
        yield session
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await asyncio.gather(process.wait(), *client._tasks)


def at(uri: str, line: int, character: int) -> dict[str, Any]:
    return {
        "textDocument": {"uri": uri},
        "position": {"line": line, "character": character},
        "context": {"triggerKind": 1},
    }


def memory(pid: int, what: str) -> int:
    """KiB that a process holds now (VmRSS), or has held at most (VmHWM)."""
    return int(re.search(rf"{what}:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())[1])


# A service that fails


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def session(tmp_path_factory) -> AsyncIterator[Session]:
    """One for all faults of a service: what one leaves behind, the next would meet."""
    env = environment(tmp_path_factory.mktemp("home"), QWEN_LSP_API_KEY=KEY)
    async with FakeService() as service, RawClient.started(env=env) as client:
        made = Session(client, service)
        await made.begin(timeout=TIMEOUT)
        await made.works()
        yield made
        made.is_sound()
        assert KEY.encode() not in client.stderr


@on_one_loop
@pytest.mark.parametrize("fault", FAULTS)
async def test_a_service_that_fails_costs_one_answer(session, fault):
    """However it fails, and in whatever phase: the request is answered, the next one completes, memory is bounded."""
    session.use(
        maxTokens=64 + list(FAULTS).index(fault)
    )  # a new engine, which has learned nothing of the faults before
    before = memory(session.client.process.pid, "VmHWM")
    session.service.default = FAULTS[fault]
    await session.ask()
    session.service.default = "pass"
    await session.works()
    assert memory(session.client.process.pid, "VmHWM") - before < 40 * MIB


async def test_a_service_that_is_not_there_and_comes_back(tmp_path):
    """Who is refused a connection is answered with nothing; once the service listens, completions are shown."""
    async with FakeService() as service, served(tmp_path, service) as session:
        await session.works()
        await service.stop()
        assert await session.ask() == []
        async with service:
            await session.works()


@pytest.mark.parametrize("status", [301, 302, 307, 308])
async def test_no_redirect_is_followed(tmp_path, status):
    """Neither code nor key go to the address that a service names; the person is told to set it instead."""
    async with FakeService() as service, FakeService() as other, served(tmp_path, service) as session:
        service.default = Answer(status=status, body=b"", headers={"Location": other.openai + "/completions"})
        assert await session.ask() == []
        assert "redirects to another address" in session.told()[0]
        assert other.connections == 0
        service.default = "pass"
        session.use(maxTokens=65)
        await session.works()


EXPIRED = """\
-----BEGIN CERTIFICATE-----
MIIBZzCCAQ6gAwIBAgIBAjAKBggqhkjOPQQDAjAbMRkwFwYDVQQDDBBxd2VuLWxz
cCBleHBpcmVkMB4XDTIwMDEwMTAwMDAwMFoXDTIxMDEwMTAwMDAwMFowGzEZMBcG
A1UEAwwQcXdlbi1sc3AgZXhwaXJlZDBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IA
BF3uTo35PanVwdkwxOuKTasvcjtFSe0r0KizwCDTcMLBk4nnRYiQeVeaYmglNWN6
USTcBYTXLVKsARpaq+qJt9qjQzBBMA8GA1UdEQQIMAaHBH8AAAEwDwYDVR0TAQH/
BAUwAwEB/zAdBgNVHQ4EFgQUUSfRSrjF/OZw5Y0IlTH0erjya6YwCgYIKoZIzj0E
AwIDRwAwRAIgHV+lBIYRVFBv8ZNleR11FvG+SI/aoyVUtb/1MneoqB0CIFWoBLQ8
wvngd6jNEdX4QyuTv/4tz+OdJjqFJ+rza3Bg
-----END CERTIFICATE-----
"""
"""For 127.0.0.1, of the year 2020, with the key of tests/tls.py; its own issuer."""


async def test_who_shows_no_good_certificate_is_sent_nothing(tmp_path):
    """A certificate that nobody vouches for, or one that was good once: no request, no key; the status says why."""
    (tmp_path / "expired.pem").write_text(EXPIRED)
    (tmp_path / "server.pem").write_text(PRIVATE_KEY + EXPIRED)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "server.pem")
    heard: list[bytes] = []

    async def hear(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.append(await reader.read(1))
        writer.close()

    trusted = {"SSL_CERT_FILE": str(tmp_path / "expired.pem")}
    listener = await asyncio.start_server(hear, "127.0.0.1", 0, ssl=context)
    (folder := tmp_path / "untrusted").mkdir()
    async with (
        listener,
        FakeService() as service,
        relayed(service.port, folder) as untrusted,
        served(tmp_path, service, **trusted) as session,
    ):
        for port in (listener.sockets[0].getsockname()[1], untrusted):
            session.use(baseUrl=f"https://127.0.0.1:{port}/v1", timeout=5000)
            assert await session.ask() == []
            status = await session.client.ask("workspace/executeCommand", {"command": "qwen.status"})
            assert "the certificate of https://127.0.0.1" in status["result"]["reason"]
        assert heard == []
        assert service.requests == []
        session.use(baseUrl=service.openai)
        await session.works()


@pytest.mark.parametrize("coding", ["gzip", "gzip, gzip", "br", "zstd"])
async def test_what_is_compressed_is_not_unpacked_by_httpx_either(coding):
    """Ten kilobytes, packed twice, would become ten gigabytes: whoever asks for plain bytes takes no others."""
    async with FakeService() as service:
        bomb = gzip.compress(gzip.compress(bytes(10 << 20)))
        service.overrides["/v1/models"] = Answer(body=bomb, headers={"Content-Encoding": coding})
        http = Http(HttpxWire())
        with pytest.raises(BackendError, match="compresses what was asked for plain") as error:
            await http.get_json(f"{service.openai}/models", key=None, timeout=5)
        assert error.value.kind is Kind.PROTOCOL
        service.overrides.clear()
        assert (await http.get_json(f"{service.openai}/models", key=None, timeout=5))[0] == 200
        await http.close()


@pytest.mark.parametrize("piece", [LONG_EVENT, EVENT * 100], ids=["long pieces", "many pieces"])
async def test_an_answer_without_an_end_is_left_long_before_its_last_byte(piece):
    """Judging text takes the longer the more there is: megabytes of it would hold up the person's other requests."""
    async with FakeService(default=Answer(raw=[HEAD, Repeat(piece)])) as service:
        http, texts = Http(), []

        async def read() -> None:
            async for delta in http.generate(serviced(service), PROMPT, timeout=PATIENCE):
                texts.append(delta.text)  # noqa: PERF401 - what came before the error counts

        with pytest.raises(BackendError, match="does not end"):
            await read()
        assert len(texts) <= 8192
        assert sum(map(len, texts)) <= 256 * 1024
        await http.close()


@pytest.mark.parametrize("before", [HEAD[:-2] + b"X: ", CHUNKED + b"0\r\nX: "], ids=["head", "trailers"])
def test_a_head_that_comes_byte_by_byte_costs_no_more_than_one_that_comes_whole(before):
    """Each byte of a head, or of trailers, is looked at once: 64 KiB of them, one at a time, took 50 s."""
    decoder = ReplyDecoder()
    decoder.feed(before)
    began = time.process_time()
    for _ in range(LONGEST_HEAD - len(before) - 8):
        decoder.feed(b"x")
    assert time.process_time() - began < 5
    decoder.feed(b"\r\n")
    decoder.feed(b"\r\n")
    assert decoder.head is not None


# An editor that asks too much


async def test_ten_thousand_requests_in_a_burst(tmp_path):
    """Without a pause between them, in eight documents: each has its reply, and memory is what it was."""
    async with FakeService() as service, served(tmp_path, service) as session:
        await session.works()
        uris = [session.open(f"x{number} = \n") for number in range(8)]
        before = session.memory
        frames = []
        for number in range(10_000):
            asked = {"jsonrpc": "2.0", "id": f"b{number}", "method": INLINE, "params": at(uris[number % 8], 0, 5)}
            frames.append(framed(json.dumps(asked).encode()))
        session.client.send_bytes(b"".join(frames))
        await session.client.until(lambda: len(session.client.messages) >= 10_000, PATIENCE)
        await session.works()
        replied = Counter(m["id"] for m in session.client.messages if str(m.get("id")).startswith("b"))
        assert len(replied) == 10_000
        assert len(service.generations) < 100
        assert session.memory - before < 60 * MIB
        session.is_sound()


async def test_two_hundred_open_documents_and_one_of_fifty_megabytes(tmp_path):
    """All of them are completed but the one that is too large; closed, they leave nothing behind."""
    text = "x = \n" + "def a(b):\n    return b\n\n" * 800
    async with FakeService() as service, served(tmp_path, service, timeout=5000) as session:
        await session.works()
        before = session.memory
        for _ in range(2):
            uris = [session.open(text) for _ in range(200)]
            asked = [session.client.request(INLINE, at(uri, 0, 4)) for uri in uris]
            for ident in asked:
                await session.client.reply(ident)
            large = session.open("y = 1\n" * 8_000_000)
            assert (await session.client.ask(INLINE, at(large, 0, 6)))["result"] == {"items": []}
            edit = {"range": {"start": {"line": 9, "character": 0}, "end": {"line": 9, "character": 1}}, "text": "z"}
            for _ in range(10):
                session.client.notify(
                    "textDocument/didChange", {"textDocument": {"uri": large}, "contentChanges": [edit]}
                )
            await session.works()
            for uri in (*uris, large):
                session.client.notify("textDocument/didClose", {"textDocument": {"uri": uri}})
            await session.works()
        assert session.memory - before < 100 * MIB
        session.is_sound()


# A disk that fails


@pytest.mark.parametrize("disk", ["full", "no directory", "full for the log"])
async def test_a_disk_that_takes_nothing(tmp_path, disk):
    """Neither ledger nor log nor cache is worth a completion, or more than a line in the log."""
    shell: Sequence[str] = ()
    log = str(tmp_path / "log" / "qwen.log")
    (tmp_path / "log").mkdir()
    if disk == "full":
        shell = ("sh", "-c", 'ulimit -f 0; exec "$@"', "sh")  # no file may have a byte; works for root, too
    elif disk == "no directory":
        for name in (".local", ".cache"):
            (tmp_path / name).write_text("a file, where a directory should be made")
        log = str(tmp_path / ".local" / "qwen.log")
    else:
        log = "/dev/full"
    async with FakeService() as service, served(tmp_path, service, shell=shell, logFile=log) as session:
        for _ in range(3):
            await session.works()
        assert session.told() == []
        session.client.process.stdin.close()
        assert await session.client.exited() == 0
        session.is_sound()


# The embedded engine

WORKER = "import sys; sys.stdin.readline(); print('ready', sys.argv[1], flush=True); sys.stdin.read()"
"""In the place of llama.cpp: says that it answers where the fake service does."""
SERVE = """\
import sys
from qwen_lsp.backend import engine_link
from qwen_lsp.cli import main
engine_link.WORKER = (sys.executable, "-c", *sys.argv[1:])
sys.argv[1:] = ["serve"]
sys.exit(main())
"""
EDITOR = """\
import subprocess, sys
server = subprocess.Popen(sys.argv[1:], stdin=subprocess.PIPE)
print("server", server.pid, file=sys.stderr, flush=True)
while data := sys.stdin.buffer.read1():
    server.stdin.write(data)
    server.stdin.flush()
"""
"""Starts a server and hands it what it is told itself, until it is killed."""


def local(folder: Path) -> dict[str, Any]:
    (folder / "model.gguf").write_bytes(b"GGUF made up")
    return {"provider": "local", "model": str(folder / "model.gguf"), "local": {"keepAlive": 0}, "baseUrl": ""}


def worker_of(state: Path) -> int:
    (pid,) = [pid for pid in keepers(state) if b"ready" in Path(f"/proc/{pid}/cmdline").read_bytes()]
    return pid


async def test_an_engine_that_is_killed_and_weights_that_are_deleted(tmp_path):
    """A killed engine is started again; without its file it is not, and says so; with it, it is."""
    state = tmp_path / ".local/state/qwen-lsp"
    async with FakeService(models=("model",)) as service:
        serve = (sys.executable, "-c", SERVE, WORKER, service.url)
        async with served(tmp_path, service, command=serve, **local(tmp_path)) as session:
            await session.works()
            os.kill(worker_of(state), signal.SIGKILL)
            await session.client.until(lambda: len(session.told()) == 1)
            await session.works()
            (tmp_path / "model.gguf").unlink()
            await session.works()  # what is loaded goes on
            os.kill(worker_of(state), signal.SIGKILL)
            assert await until(lambda: not keepers(state))
            async with asyncio.timeout(PATIENCE):
                # In a real engine's place the fake service answers also after its worker's end, until that is noticed.
                while not any("model" in line and ".gguf" in line for line in session.told()):
                    await session.ask()
                    await asyncio.sleep(0.1)
            assert await session.ask() == []
            (tmp_path / "model.gguf").write_bytes(b"GGUF made up again")
            await session.works()
            session.is_sound()
        assert await until(lambda: not keepers(state))


async def test_nothing_outlives_an_editor_that_is_killed(tmp_path):
    """SIGKILL of the editor, with no word to anyone: within two seconds neither server nor engine is left."""
    state = tmp_path / ".local/state/qwen-lsp"
    async with FakeService(models=("model",)) as service:
        editor = (sys.executable, "-c", EDITOR, sys.executable, "-c", SERVE, WORKER, service.url)
        async with served(tmp_path, service, command=editor, **local(tmp_path)) as session:
            await session.works()
            pids = [int(session.client.stderr.split(b"server ")[1].split()[0]), *keepers(state)]
            assert len(pids) == 3
            assert all(map(alive, pids))
            service.default = Answer([STALL])
            session.client.request(INLINE, at(session.open("z = "), 0, 4))
            await service.until(len(service.generations) + 1)
            session.client.process.kill()
            assert await until(lambda: not any(map(alive, pids)), 2)


async def test_only_the_owner_may_read_what_is_written(tmp_path):
    """Ledger, log, engines and regions: every file below the home directory, whatever the umask says."""
    async with FakeService(models=("model",)) as service:
        serve = ("sh", "-c", 'umask 000; exec "$@"', "sh", sys.executable, "-c", SERVE, WORKER, service.url)
        log = str(tmp_path / "qwen.log")
        async with served(tmp_path, service, command=serve, logFile=log, **local(tmp_path)) as session:
            await session.works()
            state = tmp_path / ".local/state/qwen-lsp"
            assert await until(lambda: list(state.glob("ledger.db*")) != [])
            write_private(state / "new" / "regions.json", b"{}")
            found = [path for path in tmp_path.rglob("*") if path.name != "model.gguf"]
            assert {path.name for path in found} >= {"ledger.db", "qwen.log", "regions.json"}
            assert {path.suffix for path in found} >= {".json", ".lock", ".log", ".db"}
            assert {path.stat().st_mode & 0o777 for path in found if path.is_file()} == {0o600}
            assert {path.stat().st_mode & 0o777 for path in found if path.is_dir()} == {0o700}


# Who speaks something else

ATTACK = framed(b'{"jsonrpc":"2.0","id":1,"method":"initialize","params":{}}')
PAGE = (
    b"POST / HTTP/1.1\r\nHost: 127.0.0.1:9257\r\nContent-Length: %d\r\nOrigin: http://evil.example\r\n"
    b"Referer: http://evil.example/content-length:0\r\n\r\n" % len(ATTACK)
)


@pytest.mark.parametrize("sent", [PAGE + ATTACK, b"\x16\x03\x01", b"X: 1\r\n" + ATTACK], ids=repr)
@pytest.mark.parametrize("at_once", [True, False])
def test_a_port_takes_no_message_out_of_a_web_page_s_request(sent, at_once):
    """A browser sends the body that a page chooses; in it, a session could be hidden. An editor's own goes through."""
    decoder = FrameDecoder(strict=True)
    assert decoder.feed(ATTACK + b"content-length : 2 \nCONTENT-TYPE: x\r\n\r\n{}" + ATTACK[:5]) == [
        ATTACK.partition(b"\r\n\r\n")[2],
        b"{}",
    ]
    decoder = FrameDecoder(strict=True)
    with pytest.raises(Foreign):
        list(map(decoder.feed, [sent] if at_once else (sent[at : at + 1] for at in range(len(sent)))))


def test_a_language_that_is_no_text_is_made_one():
    """Half an emoji for a language id would have ended the ledger's thread, and with it all counting."""
    item = {"uri": "file:///a", "text": "", "languageId": "py\ud83d"}
    assert Documents().opened({"textDocument": item}).language_id == "py\ufffd"


def test_directories_above_a_private_one_are_private(tmp_path):
    """The state directory, when the first to write in it makes one below it."""
    made = private_dir(tmp_path / "state" / "qwen-lsp" / "engine")
    assert {folder.stat().st_mode & 0o777 for folder in (made, made.parent, made.parent.parent)} == {0o700}


async def test_a_web_page_can_t_run_a_session_over_tcp() -> None:
    """A browser that posts to the debug port is hung up on; the next client is served."""
    hello = framed(b'{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"initializationOptions":{"tcpKey":"k"}}}')
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "qwen_lsp", "serve", "--tcp", "127.0.0.1:0"),
        env={**os.environ, "QWEN_LSP_TCP_KEY": "k"},
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        assert process.stderr
        port = 0
        while not port:
            line = (await process.stderr.readline()).decode()
            found = re.search(r"listening on 127\.0\.0\.1:(\d+)", line)
            port = int(found[1]) if found else 0
        for sent, answered in ((PAGE + hello, False), (hello, True)):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(sent)
            async with asyncio.timeout(30):
                assert (await reader.read(100) != b"") is answered
            writer.close()
    finally:
        process.kill()
        await process.wait()
