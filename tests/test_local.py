"""Sharing, watching and ending the embedded engine, with a stand-in for llama.cpp."""

import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from qwen_lsp.backend import engine_link, engine_worker
from qwen_lsp.backend.local import available_memory
from qwen_lsp.core.model import BackendError, Kind
from tests.desk import FAKE, SOON, Desk, alive, crash, gone, keepers, until


@pytest.fixture
async def desk(tmp_path):
    desk = Desk(tmp_path)
    yield desk
    await desk.clear()


# Sharing


async def test_editors_share_one_engine(desk):
    """Two editors that start at the same moment get the same process, address and key."""
    first, second = desk.engine(), desk.engine()
    one, two = await asyncio.gather(first.ensure(), second.ensure())
    assert one == two
    assert one.base_url.endswith("/v1")
    assert await first.ensure() is one


async def test_other_settings_are_another_engine(desk):
    """Settings that matter to the engine get an engine of their own; how long it stays does not matter."""
    one = await desk.engine().ensure()
    assert (await desk.engine(keep_alive=7).ensure()).pid == one.pid
    assert (await desk.engine(context=512).ensure()).pid != one.pid


async def test_changed_model_is_another_engine(desk):
    """A model file that was replaced is not served by the engine that has the old one."""
    one = await desk.engine().ensure()
    desk.model.write_bytes(b"GGUF another")
    os.utime(desk.model, ns=(1, 1))
    assert (await desk.engine().ensure()).pid != one.pid


def seen(pid: int, part: str) -> str:
    """What others can see of a process."""
    return Path(f"/proc/{pid}/{part}").read_text()


async def test_key_is_secret(desk):
    """The key stands in a file for the owner alone, and in no command line, environment or log."""
    endpoint = await desk.engine().ensure()
    state = desk.state()
    assert state.stat().st_mode & 0o777 == 0o600
    assert state.parent.stat().st_mode & 0o777 == 0o700
    key = endpoint.key.reveal()
    assert len(key) == 64
    pids = {endpoint.pid, *keepers(desk.state_dir)}
    assert len(pids) == 2
    for pid in pids:
        assert key not in seen(pid, "cmdline")
        assert key not in seen(pid, "environ")
    (log,) = state.parent.glob("*.log")
    assert log.stat().st_mode & 0o777 == 0o600
    assert key not in log.read_text()


async def test_engine_inherits_no_keys(desk):
    """The engine, which may outlive the editor that started it, does not have that editor's keys."""
    names = {name for name in os.environ if name.endswith("_KEY")}
    endpoint = await desk.engine().ensure()
    environment = seen(endpoint.pid, "environ").split("\0")
    assert not names & {entry.partition("=")[0] for entry in environment}
    assert not [entry for entry in environment if entry.partition("=")[0].endswith(("_KEY", "_TOKEN"))]


# Ending


async def test_goodbye_lets_it_linger(desk):
    """After the last editor's goodbye the engine stays, so that the next editor finds it loaded."""
    first = desk.engine(keep_alive=60)
    one = await first.ensure()
    await first.close(linger=True)
    second = desk.engine()
    assert await second.ensure() == one
    await second.close(linger=True)  # its own keep_alive is 0
    assert await gone(one.pid)


async def test_coming_back_in_time(desk):
    """An editor that comes back while the engine lingers keeps it beyond that time."""
    first = desk.engine(keep_alive=1)
    one = await first.ensure()
    await first.close(linger=True)
    assert await desk.engine().ensure() == one
    assert not await gone(one.pid, 1.2)


async def test_last_goodbye_counts(desk):
    """The engine stays while anyone uses it, whatever others said."""
    first, second = desk.engine(), desk.engine()
    one = await first.ensure()
    await second.ensure()
    await first.close(linger=True)
    assert not await gone(one.pid, 0.3)
    await second.close(linger=False)
    assert await gone(one.pid)
    assert not list(desk.state_dir.glob("engine/*.json"))


async def test_killed_editor_leaves_nothing(desk):
    """When the last editor's server is killed, the engine is gone within two seconds."""
    script = (
        "import asyncio, sys, pathlib\n"
        "from qwen_lsp.backend.local import LocalEngine\n"
        "from qwen_lsp.core.config import LocalSettings\n"
        "async def main():\n"
        "    engine = LocalEngine(pathlib.Path(sys.argv[1]), LocalSettings(), state_dir=pathlib.Path(sys.argv[2]),\n"
        "        on_notice=print, worker=sys.argv[3:])\n"
        "    print((await engine.ensure()).pid, flush=True)\n"
        "    await asyncio.sleep(60)\n"
        "asyncio.run(main())\n"
    )
    with subprocess.Popen(  # noqa: ASYNC220 - it takes no time
        [sys.executable, "-c", script, desk.model, desk.state_dir, *FAKE, "serve"],
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])},
    ) as editor:
        pid = int(await asyncio.to_thread(editor.stdout.readline))
        assert alive(pid)
        editor.kill()
    assert await gone(pid)


async def test_drop_while_loading(desk):
    """Giving up an engine that still loads ends it."""
    engine = desk.engine("hang")
    asking = asyncio.create_task(engine.ensure())
    assert await until(lambda: len(keepers(desk.state_dir)) == 2, 10)
    await engine.close(linger=True)
    with pytest.raises(asyncio.CancelledError):
        await asking
    # the fixture asserts that nothing is left


async def test_creator_dies_before_it_joins(desk):
    """A keeper whose creator dies before anyone came ends."""
    files = engine_link.place(desk.state_dir, "test")
    started = await asyncio.to_thread(engine_link.start, files, {"model": "x"}, (*FAKE, "serve"))
    assert alive(started.process.pid)
    started.let_go()
    assert await gone(started.process.pid)


async def test_cancelled_caller_does_not_stop_it(desk):
    """One completion that is taken back while the engine loads does not end the loading."""
    engine = desk.engine()
    asking = asyncio.create_task(engine.ensure())
    await asyncio.sleep(0)
    asking.cancel()
    assert alive((await engine.ensure()).pid)


# Trust


async def test_wrong_key_is_dropped(desk):
    """A connection that does not know the key is dropped, and the engine stays as it is."""
    endpoint = await desk.engine().ensure()
    port = json.loads(desk.state().read_bytes())["port"]
    assert await engine_link.join(port, "0" * 64) is None
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"GET / HTTP/1.1\r\n\r\n")
    assert await reader.read() == b""
    writer.close()
    assert alive(endpoint.pid)


@pytest.mark.parametrize("answer", [b"HTTP/1.1 400 Bad Request\r\n\r\n", b"welcome 00 11\njoined\n", b""])
async def test_port_taken_by_another_program(desk, answer):
    """A program that listens where a dead engine did is never taken for it, nor told the key."""
    heard = []

    async def other(reader, writer):
        heard.append(await reader.readline())
        writer.write(answer)
        writer.close()

    async with await asyncio.start_server(other, "127.0.0.1", 0) as server:
        engine = desk.engine()
        identity = await asyncio.to_thread(engine._identity)
        stale = engine_link.place(desk.state_dir, identity).state
        state = {"port": server.sockets[0].getsockname()[1], "key": "k" * 64, "pid": 1}
        stale.write_text(json.dumps(state))
        endpoint = await engine.ensure()
    assert alive(endpoint.pid)
    assert heard
    assert not any(b"k" * 64 in line for line in heard)
    assert json.loads(stale.read_bytes())["key"] == endpoint.key.reveal()


@pytest.mark.parametrize("content", ["", "{}", "[]", '{"port": "x"}', '{"port": 1, "key": "k"}'])
async def test_stale_state_file(desk, content):
    """What a dead engine left behind is replaced."""
    engine = desk.engine()
    identity = await asyncio.to_thread(engine._identity)
    engine_link.place(desk.state_dir, identity).state.write_text(content)
    assert alive((await engine.ensure()).pid)


# Failing


async def test_crash_is_told_once_and_repaired(desk):
    """A crash is told once; the engine starts again, after a pause that grows with each crash."""
    engine = desk.engine()
    for pause in (1, 2, 4):
        endpoint = await engine.ensure()
        await crash(engine, endpoint.pid)
        with pytest.raises(BackendError, match=f"again in {pause} s") as error:
            await engine.ensure()
        assert error.value.kind is Kind.OVERLOADED
        assert error.value.retry_after == pause
        desk.clock.now += pause
    assert alive((await engine.ensure()).pid)
    assert [notice.key for notice in desk.notices] == ["engine-crash"]
    assert "signal 9" in desk.notices[0].text


async def test_pause_is_short_again_after_a_good_minute(desk):
    """A crash after a minute of good work counts as the first."""
    engine = desk.engine()
    for _ in range(3):
        endpoint = await engine.ensure()
        desk.clock.now += 60
        await crash(engine, endpoint.pid)
        with pytest.raises(BackendError) as error:
            await engine.ensure()
        assert error.value.retry_after == 1
        desk.clock.now += 1


async def test_crash_reaches_every_editor(desk):
    """All editors learn of the crash, and share the engine that takes its place."""
    first, second = desk.engine(), desk.engine()
    endpoint = await first.ensure()
    await second.ensure()
    await asyncio.gather(crash(first, endpoint.pid), asyncio.wait_for(second._watching, SOON))
    desk.clock.now += 1
    one, two = await asyncio.gather(first.ensure(), second.ensure())
    assert one == two
    assert one.pid != endpoint.pid


@pytest.mark.parametrize(
    ("last_words", "message"),
    [
        ("E llama_model_load: model is corrupted or incomplete", "is damaged or no model"),
        ("E alloc: failed to allocate CPU buffer", "not enough memory for model.gguf; close programs or set"),
        ("ModuleNotFoundError: No module named 'xllamacpp'", r"pip install '\.\[local\]' in your copy"),
        ("something else", r"could not load model.gguf \(exit 1\); see .*\.log"),
    ],
)
async def test_engine_that_dies_while_loading(desk, last_words, message):
    """An engine that can't load is one line that says what to do, and stays so during the pause."""
    engine = desk.engine(last_words)
    for _ in range(2):
        with pytest.raises(BackendError, match=message) as error:
            await engine.ensure()
        assert error.value.kind is Kind.MODEL
        assert "\n" not in error.value.message
    assert desk.notices == []


async def test_damaged_file_is_told_without_an_engine(desk):
    """A file that is no model is refused before a process is started."""
    desk.model.write_bytes(b"<html>")
    with pytest.raises(BackendError, match="is damaged or no GGUF model"):
        await desk.engine().ensure()


async def test_missing_file(desk):
    """A file that is not there names the command that fetches it."""
    desk.model.unlink()
    with pytest.raises(BackendError, match="qwen-lsp model pull"):
        await desk.engine().ensure()


async def test_too_little_memory(desk):
    """Too little memory is told before a process is started, with the smaller model as the way out."""
    with pytest.raises(BackendError, match=r"needs 211 MB .* 100 MB are free; .*qwen2.5-coder-0.5b") as error:
        await desk.engine(memory=lambda: 100_000_000).ensure()
    assert error.value.kind is Kind.MODEL


async def test_closed_engine(desk):
    """After closing there is no engine to be had, and closing again does nothing."""
    engine = desk.engine()
    await engine.ensure()
    await engine.close(linger=False)
    await engine.close(linger=True)
    with pytest.raises(BackendError, match="closed"):
        await engine.ensure()


# What the machine offers


def test_available_memory(tmp_path):
    """The memory that programs can still get, or None where nobody says."""
    meminfo = tmp_path / "meminfo"
    meminfo.write_text("MemTotal: 900 kB\nMemAvailable:     512 kB\n")
    assert available_memory(meminfo) == 512 * 1024
    assert available_memory(tmp_path / "absent") is None


def test_cores_of_a_container(tmp_path):
    """Threads are never more than the container's share of the processor."""
    assert 1 <= engine_worker.physical_cores(tmp_path) <= (os.cpu_count() or 1)
    (tmp_path / "fs/cgroup").mkdir(parents=True)
    (tmp_path / "fs/cgroup/cpu.max").write_text("50000 100000\n")
    assert engine_worker.physical_cores(tmp_path) == 1
