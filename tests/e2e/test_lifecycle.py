"""How a server's process begins and ends, whatever it is doing."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest

from qwen_lsp.lsp.transport import FrameDecoder, framed
from tests.fake_dashscope import STALL, Answer, FakeService
from tests.raw_client import RawClient

URI = "file:///w/a.py"
INLINE = "textDocument/inlineCompletion"
QUESTION = {"textDocument": {"uri": URI}, "position": {"line": 0, "character": 4}}
SERVE = [sys.executable, "-m", "qwen_lsp", "serve"]
ENDING = 2.0
"""Seconds in which a process must be gone; editors kill it after that."""


@pytest.fixture
async def service() -> AsyncIterator[FakeService]:
    async with FakeService() as fake:
        yield fake


async def busy(client: RawClient, service: FakeService, **options: Any) -> None:
    """A session with a request that the service keeps waiting."""
    service.script(Answer(["1", STALL]))
    await client.initialize(initializationOptions={"provider": "openai", "baseUrl": service.openai} | options)
    client.open(URI, "x = \n")
    client.request(INLINE, QUESTION, "waiting")


async def gone_in_time(client: RawClient) -> int:
    began = time.monotonic()
    status = await client.exited()
    assert time.monotonic() - began < ENDING
    return status


@pytest.mark.parametrize("end", ["end of input", "SIGTERM", "shutdown and exit", "exit alone"])
async def test_a_busy_server_is_gone_within_two_seconds(service, tmp_path, end):
    """While the service stalls: the end of input, a signal and `exit` all end the process, with their status."""
    async with RawClient.started(env={"HOME": str(tmp_path), "NO_PROXY": "*"}) as client:
        await busy(client, service)
        await service.until(1)
        expected = {"end of input": 0, "SIGTERM": 128 + signal.SIGTERM, "shutdown and exit": 0, "exit alone": 1}
        if end == "end of input":
            client.process.stdin.close()
        elif end == "SIGTERM":
            client.process.send_signal(signal.SIGTERM)
        else:
            if end == "shutdown and exit":
                assert (await client.ask("shutdown"))["result"] is None
                assert (await client.reply("waiting"))["error"]["code"] == -32800
            client.notify("exit")
        assert await gone_in_time(client) == expected[end]
        async with asyncio.timeout(ENDING):
            await service.generations[0].gone.wait()


async def test_a_server_whose_editor_was_killed_ends_also_while_its_input_is_open(service, tmp_path):
    """A child of the editor may hold the pipe: LSP has the server look for the process that `initialize` names."""
    editor = subprocess.Popen(["sleep", "60"])  # noqa: ASYNC220 - starts at once
    async with RawClient.started(env={"HOME": str(tmp_path), "NO_PROXY": "*"}) as client:
        await client.initialize(processId=editor.pid)
        await asyncio.sleep(0.2)
        assert client.process.returncode is None
        editor.kill()
        editor.wait()
        assert await gone_in_time(client) == 0


async def test_an_editor_that_can_not_be_seen_is_not_taken_for_a_dead_one(service, tmp_path):
    """From inside a container its number means nothing."""
    editor = subprocess.Popen(["true"])  # noqa: ASYNC220 - starts at once
    editor.wait()
    async with RawClient.started(env={"HOME": str(tmp_path), "NO_PROXY": "*"}) as client:
        await client.initialize(processId=editor.pid)
        await asyncio.sleep(1)
        assert (await client.ask("workspace/executeCommand", {"command": "qwen.status"}))["result"]


async def test_a_command_for_the_key_does_not_outlive_the_server(service, tmp_path):
    """A child that hangs, here the one that should give the key, neither holds the process nor stays behind."""
    left = tmp_path / "pid"
    async with RawClient.started(env={"HOME": str(tmp_path), "NO_PROXY": "*"}) as client:
        await busy(client, service, apiKeyCommand=f"sh -c 'echo $$ > {left}; exec sleep 60'")
        for _ in range(500):
            if left.exists() and left.read_text().strip():
                break
            await asyncio.sleep(0.01)
        pid = int(left.read_text())
        client.process.stdin.close()
        assert await gone_in_time(client) == 0
        for _ in range(100):
            if not _runs(pid):
                break
            await asyncio.sleep(0.01)
        assert not _runs(pid)


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    with open(f"/proc/{pid}/stat") as stat:  # noqa: PTH123 - a process that nobody waited for is no file to look at
        return stat.read().split()[2] != "Z"


HELLO = framed(b'{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"capabilities":{}}}')
GOODBYE = framed(b'{"jsonrpc":"2.0","id":2,"method":"shutdown"}') + framed(b'{"jsonrpc":"2.0","method":"exit"}')


def test_a_file_is_an_input_like_a_pipe(tmp_path):
    """A recorded session can be replayed from a file into a file."""
    recorded, replies = tmp_path / "in", tmp_path / "out"
    recorded.write_bytes(HELLO + GOODBYE)
    with recorded.open("rb") as stdin, replies.open("wb") as stdout:
        assert subprocess.run(SERVE, stdin=stdin, stdout=stdout, timeout=20, check=False).returncode == 0
    assert len(FrameDecoder().feed(replies.read_bytes())) == 2


def test_an_input_that_ends_at_once_ends_the_server():
    """After a greeting, and where the null device stands for the input, which event loops can't wait for."""
    for how in ({"input": HELLO}, {"stdin": subprocess.DEVNULL}):
        ended = subprocess.run(SERVE, **how, stdout=subprocess.PIPE, timeout=20, check=False)
        assert ended.returncode == 0


def test_what_is_printed_does_not_reach_the_protocol():
    """Frames go to standard output, whatever any library prints to standard error instead."""
    program = (
        "import os\nfrom qwen_lsp.lsp.transport import claim_stdout, write_all\n"
        "out = claim_stdout()\nprint('stray', flush=True)\nos.system('echo child')\nwrite_all(out, b'frame')\n"
    )
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, timeout=20, check=True)
    assert ran.stdout == b"frame"
    assert ran.stderr.split() == [b"stray", b"child"]


def test_other_packages_log_the_form_of_a_message_only():
    """What they fill in may be code or a key: pygls prints the params of requests that fail."""
    program = (
        "import logging\nfrom qwen_lsp.cli.serve import _log_to_stderr\n_log_to_stderr('debug')\n"
        "logging.getLogger('pygls.x').info('quiet')\n"
        "try: {}['canary']\nexcept KeyError: logging.getLogger('pygls.x').exception('failed: %s', 'canary')\n"
    )
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, timeout=20, check=True)
    assert ran.stderr.decode().split(" ", 2)[2] == "ERROR pygls.x failed: %s\n"


async def test_tcp_serves_one_client_after_the_other(tmp_path):
    """For debugging: a client that hangs up makes room for the next, and `exit` ends the process."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    hello = framed(b'{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"initializationOptions":{"tcpKey":"k"}}}')
    env = {"HOME": str(tmp_path), "QWEN_LSP_TCP_KEY": "k"}
    async with RawClient.started("--tcp", f":{port}", env=env) as client:
        for last in (False, True):
            reader, writer = await _connected(port)
            writer.write(hello + (GOODBYE if last else b""))
            header = await reader.readuntil(b"\r\n\r\n")
            assert header.startswith(b"Content-Length: ")
            if not last:
                writer.close()
        assert await client.exited() == 0
        writer.close()


async def _connected(port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A connection that is served; while the server starts, or has a client, there is none."""
    async with asyncio.timeout(20):
        while True:
            try:
                reader, writer = await asyncio.open_connection("127.0.0.1", port)
            except ConnectionError:
                await asyncio.sleep(0.02)
                continue
            writer.write(b"")
            try:
                async with asyncio.timeout(0.1):
                    assert await reader.read(1) == b""
            except TimeoutError:
                return reader, writer
            writer.close()


@pytest.mark.parametrize(("address", "status"), [("taken", 1), ("nonsense", 2)])
def test_a_wrong_address_is_one_line_that_says_what_to_do(address, status):
    """A port that is taken, or no port at all."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        where = f"127.0.0.1:{taken.getsockname()[1]}" if address == "taken" else address
        ran = subprocess.run([*SERVE, "--tcp", where], capture_output=True, timeout=20, check=False)
    assert ran.returncode == status
    lines = ran.stderr.decode().splitlines()
    assert len(lines) == 1
    assert "--tcp" in lines[0]


@pytest.mark.parametrize("how", ["option", "setting"])
async def test_the_log_goes_to_a_file_too(service, tmp_path, how):
    """Of its owner alone; the setting wins over the option, and a file that can't be written is one line."""
    log = tmp_path / "own.log"
    arguments = ("--log-file", str(log)) if how == "option" else ("--log-file", str(tmp_path / "other.log"))
    options = {"logFile": str(log)} if how == "setting" else {}
    service.script("1")
    async with RawClient.started(*arguments, env={"HOME": str(tmp_path), "NO_PROXY": "*"}) as client:
        await client.initialize(initializationOptions={"provider": "openai", "baseUrl": service.openai} | options)
        client.open(URI, "canary = \n")
        await client.ask(INLINE, QUESTION | {"position": {"line": 0, "character": 9}})
        await client.ask("shutdown")
        client.notify("exit")
        await client.exited()
    said = log.read_text()
    assert "outcome=shown" in said
    assert "canary" not in said
    assert log.stat().st_mode & 0o777 == 0o600
    assert not (tmp_path / "other.log").exists() or "outcome=" not in (tmp_path / "other.log").read_text()


async def test_a_log_file_that_can_t_be_written_is_one_line(service, tmp_path):
    """The session goes on without it."""
    async with RawClient.started("--log-file", str(tmp_path), env={"HOME": str(tmp_path), "NO_PROXY": "*"}) as client:
        await client.initialize(initializationOptions={"provider": "openai", "baseUrl": service.openai})
        client.open(URI, "x = \n")
        assert (await client.ask(INLINE, QUESTION))["result"]["items"]
        assert client.stderr.count(b"qwen.logFile: can't be written (Is a directory)") == 1
