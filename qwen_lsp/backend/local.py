"""The embedded model: one llama.cpp engine on this machine, shared by every editor that wants the same model.

Promises: the engine runs while someone uses it and a while after an orderly goodbye; it never outlives a killed
editor by more than a moment; a crash is told once and answered by a restart, at growing intervals. Says nothing
of prompts: those go over HTTP from `http.py`. How engines are shared and end: `engine_process.py`.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import qwen_lsp
from qwen_lsp.backend import engine_link, weights
from qwen_lsp.core.config import LocalSettings
from qwen_lsp.core.model import BackendError, Kind, Notice, Secret
from qwen_lsp.private import try_lock

LOAD = 120.0
"""Seconds an engine may take to load: the 1.5B took 0.6 to 15 s, from a slow disk it is a minute."""
POLL = 0.05
LONGEST_PAUSE = 60.0
RAN_WELL = 60.0
"""Seconds after which a crash counts as the first one again."""
SMALLER = "qwen2.5-coder-0.5b"
INSTALL = "the embedded engine is not installed: run pip install '.[local]' in your copy of qwen-lsp"


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where the engine answers. `base_url` ends in `/v1`, `pid` is llama.cpp's process."""

    base_url: str
    key: Secret
    pid: int


def available_memory(meminfo: Path = Path("/proc/meminfo")) -> int | None:
    """Bytes that programs can still get; None where that is not known."""
    try:
        lines = meminfo.read_text().splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:"))
    except (OSError, StopIteration, ValueError):
        return None


class LocalEngine:
    """A share in the engine for one model file and one set of settings."""

    def __init__(  # noqa: PLR0913 - the last three are effects, for tests
        self,
        model: Path,
        settings: LocalSettings,
        *,
        state_dir: Path,
        on_notice: Callable[[Notice], None],
        clock: Callable[[], float] = time.monotonic,
        memory: Callable[[], int | None] = available_memory,
        worker: Sequence[str] | None = None,
    ) -> None:
        self._model = model.absolute()
        self._settings = settings
        self._state_dir = state_dir
        self._on_notice = on_notice
        self._clock = clock
        self._memory = memory
        self._worker = worker
        self._link: engine_link.Link | None = None
        self._endpoint: Endpoint | None = None
        self._starting: asyncio.Task[Endpoint] | None = None
        self._watching: asyncio.Task[None] | None = None
        self._closed = False
        self._told = False
        self._failures = 0
        self._ready_at = clock()
        self._pause: tuple[float, BackendError] | None = None

    async def ensure(self) -> Endpoint:
        """The engine's address, once it is loaded; joins a running one or starts one. Cheap when it runs.

        A caller that is cancelled does not stop the loading.

        Raises:
            BackendError: kind MODEL if it can't be loaded, OVERLOADED within the pause after a crash.
        """
        if self._endpoint:
            return self._endpoint
        if self._closed:
            raise BackendError(Kind.MODEL, "the embedded engine was closed")
        if self._starting is None:
            self._check_pause()
            self._starting = asyncio.create_task(self._start())
            self._starting.add_done_callback(self._started)
        return await asyncio.shield(self._starting)

    async def close(self, *, linger: bool) -> None:
        """Gives the share back. With `linger` the engine stays for `keepAlive` seconds if it was the last one."""
        self._closed = True
        for task in (self._starting, self._watching):
            if task:
                task.cancel()
                with contextlib.suppress(asyncio.CancelledError, BackendError):
                    await task
        link, self._link, self._endpoint = self._link, None, None
        if link:
            await link.leave(self._settings.keep_alive if linger else None)

    def _started(self, task: asyncio.Task[Endpoint]) -> None:
        self._starting = None
        if not task.cancelled() and isinstance(error := task.exception(), BackendError):
            self._failed(error)

    def _failed(self, error: BackendError, ran: float = 0.0) -> None:
        """Sets the pause before the next start, longer each time unless the engine had run well for a while."""
        now = self._clock()
        if ran >= RAN_WELL:
            self._failures = 0
        pause = min(LONGEST_PAUSE, 2.0**self._failures)
        self._failures += 1
        self._pause = (now + pause, error)

    def _check_pause(self) -> None:
        until, error = self._pause or (0.0, None)
        left = until - self._clock()
        if error is not None and left > 0:
            again = "" if error.kind is Kind.MODEL else f"; it starts again in {left:.0f} s at the earliest"
            raise BackendError(error.kind, error.message + again, retry_after=left)

    async def _start(self) -> Endpoint:
        try:
            async with asyncio.timeout(LOAD):
                files = engine_link.place(self._state_dir, await asyncio.to_thread(self._identity))
                link = await self._join_or_start(files)
                try:
                    endpoint = await self._loaded(link, files.log)
                except BaseException:
                    link.drop()
                    raise
        except TimeoutError:
            raise BackendError(
                Kind.MODEL, f"{self._model.name} did not load within {LOAD:.0f} s; try {SMALLER}"
            ) from None
        except OSError as error:
            where = f"{error.filename} can't be used" if error.filename else "the system does not let it"
            message = f"the embedded engine can't be started: {where} ({error.strerror}); check its owner and rights"
            raise BackendError(Kind.MODEL, message) from error
        self._link, self._endpoint = link, endpoint
        self._ready_at = self._clock()
        self._watching = asyncio.create_task(self._watch(link))
        return endpoint

    def _identity(self) -> str:
        """Names the engine that fits: the same model file, settings that matter, engine and protocol."""
        settings = self._settings
        try:
            status = self._model.stat()
        except OSError:
            message = f"{self._model} is not there; run `qwen-lsp model pull`"
            raise BackendError(Kind.MODEL, message) from None
        what = [
            *(str(self._model), status.st_size, status.st_mtime_ns),
            *(settings.threads, settings.gpu_layers, settings.context),
            *(self._engine_version(), qwen_lsp.__version__),
        ]
        return hashlib.sha256(json.dumps(what).encode()).hexdigest()[:16]

    def _engine_version(self) -> str:
        from importlib import metadata  # noqa: PLC0415 - 20 ms, for those who use it

        if self._worker is not None:
            return " ".join(self._worker)
        try:
            return metadata.version("xllamacpp")
        except metadata.PackageNotFoundError:
            raise BackendError(Kind.MODEL, INSTALL) from None

    async def _join_or_start(self, files: engine_link.Place) -> engine_link.Link:
        while True:
            if link := await engine_link.find(files.state):
                return link
            with try_lock(files.lock) as mine:
                if mine:
                    return await engine_link.find(files.state) or await self._start_one(files)
            await asyncio.sleep(POLL)  # someone else starts it right now

    async def _start_one(self, files: engine_link.Place) -> engine_link.Link:
        await asyncio.to_thread(self._check_model)
        params = {
            "model": str(self._model),
            "context": self._settings.context,
            "threads": self._settings.threads,
            "gpu_layers": self._settings.gpu_layers,
        }
        work = asyncio.create_task(
            asyncio.to_thread(engine_link.start, files, params, self._worker or engine_link.WORKER)
        )
        try:
            started = await asyncio.shield(work)
        except asyncio.CancelledError:
            work.add_done_callback(_abandon)
            raise
        if started is None:
            raise self._load_failure("it ended at once", files.log)
        try:
            link = await engine_link.join(started.port, started.key)
        finally:
            started.let_go()
        if link is None:
            raise self._load_failure("it does not answer", files.log)
        return link

    def _check_model(self) -> None:
        """What can be known before a process is started: a whole file, and room for it."""
        try:
            weights.verify(self._model)
        except weights.WeightsError as error:
            raise BackendError(Kind.MODEL, error.message) from None
        # Measured: llama.cpp keeps 0.73 of the 1.5B's file once more, rearranged for the processor, and 29 kB a
        # token of context; the mapped file itself may be dropped from memory at any time.
        needed = int(self._model.stat().st_size * 0.8) + 150_000_000 + self._settings.context * 30_000
        there = self._memory()
        if there is not None and there < needed:
            message = (
                f"{self._model.name} needs {weights.gigabytes(needed)} of memory and "
                f"{weights.gigabytes(there)} are free; close other programs{self._or_smaller()}"
            )
            raise BackendError(Kind.MODEL, message)

    def _or_smaller(self) -> str:
        return "" if SMALLER in self._model.name else f" or set qwen.model to {SMALLER}"

    async def _loaded(self, link: engine_link.Link, log: Path) -> Endpoint:
        line = await link.line()
        word, _, rest = line.partition(" ")
        if word != "ready":
            raise self._load_failure(rest, log)
        pid, _, url = rest.partition(" ")
        while not await _healthy(url):  # noqa: ASYNC110 - another process's state has no event
            await asyncio.sleep(POLL)
        return Endpoint(f"{url}/v1", Secret(link.key), int(pid))

    def _load_failure(self, reason: str, log: Path) -> BackendError:
        """What the engine's log says, in words that tell what to do."""
        try:
            lines = log.read_text(errors="replace").splitlines()[-100:]
        except OSError:
            lines = []
        said = "\n".join(lines)
        if reason == "signal 9" or any(sign in said for sign in ("allocate", "bad_alloc", "out of memory")):
            message = f"there is not enough memory for {self._model.name}; close programs{self._or_smaller()}"
        elif any(sign in said for sign in ("corrupted or incomplete", "invalid magic", "error loading model")):
            message = f"{self._model} is damaged or no model llama.cpp knows; run `qwen-lsp model pull` for ours"
        elif "ModuleNotFoundError" in said:
            message = INSTALL
        else:
            message = f"the embedded engine could not load {self._model.name} ({reason or 'it ended'}); see {log}"
        return BackendError(Kind.MODEL, message)

    async def _watch(self, link: engine_link.Link) -> None:
        """Waits until the engine goes; while we hold a share, that is a crash."""
        reason = ""
        while line := await link.line():
            word, _, rest = line.partition(" ")
            reason = rest if word == "failed" else reason
        link.drop()
        self._link = self._endpoint = None
        message = f"the embedded engine stopped ({reason or 'without a word'})"
        self._failed(BackendError(Kind.OVERLOADED, message), self._clock() - self._ready_at)
        if not self._told:
            self._told = True
            self._on_notice(Notice("engine-crash", "warning", f"{message}; the next completion starts it again"))


async def _healthy(url: str) -> bool:
    """Whether the engine's `/health` says 200; it says 503 while it loads."""
    writer = None
    try:
        parts = urlsplit(url)
        reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
        writer.write(f"GET /health HTTP/1.1\r\nHost: {parts.netloc}\r\nConnection: close\r\n\r\n".encode())
        return b" 200 " in await reader.readline()
    except OSError:
        return False
    finally:
        if writer:
            writer.transport.abort()


def _abandon(work: asyncio.Task[engine_link.Started | None]) -> None:
    """Nobody waits for this engine any more."""
    if not work.cancelled() and work.exception() is None and (started := work.result()):
        started.let_go()
