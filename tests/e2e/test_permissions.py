"""What is written is for its owner alone, also where files are everybody's unless a program says otherwise."""

from __future__ import annotations

import asyncio
import contextlib
import os
import stat
import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Self

import pytest

from qwen_lsp.cli.paths import cache_dir, config_file, ledger_file, servers_dir, state_dir
from tests.doctor.patients import KEY, well
from tests.fake_dashscope import FakeService
from tests.raw_client import RawClient
from tests.test_cli import asking, run

URI = "file:///w/a.py"
INLINE = "textDocument/inlineCompletion"
NO_XDG = {f"XDG_{name}_HOME": "" for name in ("CONFIG", "STATE", "CACHE")}
PATIENCE = 30.0


@pytest.fixture(autouse=True)
def careless() -> Iterator[None]:
    """A umask that takes nothing away: all that is not said to be private is everybody's."""
    mask = os.umask(0)
    yield
    os.umask(mask)


class Watch:
    """Every file and directory below a place that there is at any time, with the modes that it has had."""

    def __init__(self, place: Path) -> None:
        self.modes: dict[Path, set[int]] = defaultdict(set)
        self._place = place
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_exc: object) -> None:
        self._over.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._over.is_set():
            self._see(self._place)
            time.sleep(0.0003)

    def _see(self, folder: Path) -> None:
        with contextlib.suppress(OSError):
            for entry in list(os.scandir(folder)):
                with contextlib.suppress(OSError):  # gone again
                    self.modes[Path(entry.path)].add(entry.stat(follow_symlinks=False).st_mode)
                    if entry.is_dir(follow_symlinks=False):
                        self._see(Path(entry.path))


async def test_nobody_else_can_read_what_a_session_and_the_commands_write(tmp_path):
    """Every file has mode 0600 and every directory 0700, from the first moment: also temporary ones, and SQLite's."""
    home = tmp_path / "home"
    home.mkdir(0o700)
    log = home / "own.log"
    env = {"HOME": str(home), "NO_PROXY": "*", "QWEN_LSP_API_KEY": KEY, "PYTHONDONTWRITEBYTECODE": "1"} | NO_XDG
    ledger = ledger_file(env)
    passing = {ledger.with_name(f"{ledger.name}{end}") for end in ("-wal", "-shm")}
    async with FakeService(key=KEY, default=well) as fake:
        with Watch(home) as watch:
            async with RawClient.started("--log-file", str(log), env=env) as client:
                options = {"provider": "openai", "baseUrl": fake.openai, "model": "qwen-coder-turbo", "debounce": 0}
                await client.initialize(initializationOptions=options)
                client.open(URI, "".join(f"x{line} = \n" for line in range(1000)))
                wanted = {servers_dir(env) / f"{client.process.pid}.json", *passing}
                line = 0
                async with asyncio.timeout(PATIENCE):
                    while not wanted < watch.modes.keys():  # SQLite's are there only while something is written
                        place = {"line": line, "character": len(f"x{line} = ")}
                        await client.ask(INLINE, {"textDocument": {"uri": URI}, "position": place})
                        await asyncio.sleep(0.02)
                        line += 1
                more = {name: env[name] for name in env if name != "HOME"}
                assert (await run("why", home=home, **more)).status == 0
                assert (await run("stats", home=home, **more)).status == 0
                await run("doctor", *asking(fake), home=home, **more)
                await client.ask("shutdown")
                client.notify("exit")
                await client.exited()
    made = watch.modes.keys()
    assert {log, ledger, state_dir(env) / "learned.json"} <= made
    wrong = {
        (str(path.relative_to(home)), oct(mode))
        for path, modes in watch.modes.items()
        for mode in modes
        if stat.S_IMODE(mode) != (0o700 if stat.S_ISDIR(mode) else 0o600)
    }
    assert not wrong
    ours = (log, state_dir(env), cache_dir(env), config_file(env).parent)
    assert all(any(path.is_relative_to(own) or own.is_relative_to(path) for own in ours) for path in made)
