"""The backend as the engine sees it: one service, found out once, and exchanges with it.

Owns the connections, the embedded engine's process and what is remembered of keys. Decides nothing about completion.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Protocol

from qwen_lsp.backend import weights
from qwen_lsp.backend.exchange import Exchange
from qwen_lsp.backend.http import Http
from qwen_lsp.backend.keys import run_key_command
from qwen_lsp.backend.learned import LearnedStore, fitted, is_open
from qwen_lsp.backend.nearby import PORTS
from qwen_lsp.backend.probing import find_out, works
from qwen_lsp.backend.regions import Regions
from qwen_lsp.backend.resolve import Effects, Place, resolve
from qwen_lsp.core.config import LocalSettings, Settings
from qwen_lsp.core.dialects import dashscope, models
from qwen_lsp.core.hosts import is_loopback
from qwen_lsp.core.model import BackendError, Kind, Notice, Prompt, Service, Usage
from qwen_lsp.core.questions import cost

log = logging.getLogger(__name__)

RETRY_PAUSE = 10.0
"""Seconds in which a failed search for the service is not repeated: keys come faster than servers start."""


class Engine(Protocol):
    """The embedded engine; `LocalEngine` is one."""

    async def ensure(self) -> Place:
        """Starts it, or finds it running."""

    async def close(self, *, linger: bool) -> None:
        """Lets go of it; with `linger` it stays for the next editor."""


class ModelBackend:
    """Fits the engine's `Backend`. The last four arguments are effects that tests choose.

    With `probing` an endpoint that is met for the first time is asked, beside the first completions, how it wants to be
    asked: for sessions, which live long enough to use the answer. `on_spent` hears what that took.
    """

    def __init__(  # noqa: PLR0913 - effects are arguments
        self,
        settings: Settings,
        env: Mapping[str, str],
        *,
        state_dir: Path,
        cache_dir: Path,
        on_notice: Callable[[Notice], None],
        probing: bool = False,
        on_spent: Callable[[Service, Usage], None] = lambda _service, _usage: None,
        make_engine: Callable[[Path], Engine] | None = None,
        ports: Sequence[int] = PORTS,
        hosts: Callable[[str, str], str] = dashscope.hosts,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._settings = settings
        self._env = env
        self._http = Http(local_only=settings.local_only)
        self._regions = Regions(state_dir / "regions.json")
        self._learned = LearnedStore(state_dir / "learned.json")
        self._on_notice = on_notice
        self._on_spent = on_spent
        self._is_probing = probing and settings.probe
        self._probe: asyncio.Task[None] | None = None
        self._clock = clock
        self._make_engine = make_engine or partial(_local_engine, settings.local, state_dir, on_notice)
        self._engine: Engine | None = None
        self._effects = Effects(
            probe=self._http.get_json,
            regions=self._regions,
            key_command=lambda command: run_key_command(command, env),
            weights=lambda name: weights.find(name, cache_dir),
            engine=self._start_engine,
            ports=ports,
            hosts=hosts,
        )
        self._service: Service | None = None
        self._resolving: asyncio.Task[Service] | None = None
        self._failure: BackendError | None = None
        self._retry_at = 0.0
        self._closed = False

    async def service(self) -> Service:
        """The service that the settings name, found out once; callers at the same time share the search.

        Raises:
            BackendError: there is none, or it can't be used. The search is repeated after `RETRY_PAUSE`.
        """
        if self._closed:
            raise _shutting_down()
        if self._service is not None:
            return await self._at_engine(self._service)
        if self._failure is not None and self._clock() < self._retry_at:
            failure = self._failure
            raise BackendError(failure.kind, failure.message, retry_after=failure.retry_after, lacks=failure.lacks)
        if self._resolving is None:
            self._resolving = asyncio.create_task(self._resolve())
            self._resolving.add_done_callback(self._resolved)
        resolving = self._resolving
        try:
            return await asyncio.shield(resolving)
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if resolving.cancelled() and task is not None and not task.cancelling():
                raise _shutting_down() from None
            raise

    def generate(self, service: Service, prompt: Prompt) -> Exchange:
        """Starts to ask the service."""
        return self._http.generate(
            service,
            prompt,
            timeout=self._settings.timeout / 1000,
            on_error=partial(self._on_error, service),
        )

    async def close(self, *, linger: bool = False) -> None:
        """Ends all work, within about a second, and lets go of the embedded engine. Idempotent."""
        self._closed = True
        if under_way := {task for task in (self._resolving, self._probe) if task is not None}:
            for task in under_way:
                task.cancel()
            with suppress(asyncio.CancelledError):
                await asyncio.wait(under_way)
        await self._http.close()
        if self._engine is not None:
            engine, self._engine = self._engine, None
            await engine.close(linger=linger)

    async def _resolve(self) -> Service:
        service = await resolve(self._settings, self._env, self._effects)
        learned = self._learned.recall(service)
        await self._http.warm(service.base_url)
        if learned is None and self._is_probing and self._probe is None and _is_unknown(service):
            self._probe = asyncio.create_task(self._look_into(service))
        return fitted(service, learned, reroute=self._may_reroute)

    @property
    def _may_reroute(self) -> bool:
        return self._settings.route == "auto"

    async def _look_into(self, service: Service) -> None:
        """Finds out how a service wants to be asked, keeps it, and asks it that way from then on."""
        try:
            learned = await find_out(service, self._answer, reroute=self._may_reroute)
        except BackendError as error:
            log.info("probe=failed kind=%s", error.kind.name)
            self._probe = None  # the next search for the service tries again
            return
        log.info("probe=done %s", learned)
        self._learned.keep(service, learned)
        if not works(learned):
            said = f"{models.shown(service.model)} completes no code the way it is asked; run `qwen-lsp doctor`"
            self._on_notice(Notice("probe", "warning", said))
        # Unless it has gone meanwhile, and another come.
        if self._service == service:
            self._service = fitted(service, learned, reroute=self._may_reroute)

    async def _answer(self, service: Service, prompt: Prompt) -> str:
        exchange = self._http.generate(service, prompt, timeout=self._settings.timeout / 1000)
        deltas = [delta async for delta in exchange]
        counted = next((delta.usage for delta in reversed(deltas) if delta.usage), None)
        self._on_spent(service, counted or Usage(cost(prompt, service.route), 0))
        return "".join(delta.text for delta in deltas)

    def _resolved(self, task: asyncio.Task[Service]) -> None:
        self._resolving = None
        if task.cancelled():
            return
        error = task.exception()
        if error is None:
            self._service, self._failure = task.result(), None
        elif isinstance(error, BackendError):
            pause = RETRY_PAUSE if error.retry_after is None else min(error.retry_after, RETRY_PAUSE)
            self._failure, self._retry_at = error, self._clock() + pause

    async def _at_engine(self, service: Service) -> Service:
        """The embedded engine starts again when it has crashed, elsewhere; other services stay where they are."""
        if not service.is_local or self._engine is None:
            return service
        place = await self._engine.ensure()
        if (place.base_url, place.key) != (service.base_url, service.key):
            service = self._service = replace(service, base_url=place.base_url, key=place.key)
        return service

    async def _start_engine(self, model: Path) -> Place:
        if self._engine is None:
            self._engine = self._make_engine(model)
        return await self._engine.ensure()

    def _on_error(self, service: Service, error: BackendError) -> None:
        """Forgets what a failure has shown to be no longer true, so that the next `service` looks again."""
        if service is not self._service:
            return
        if error.kind is Kind.AUTH:
            # The key may have changed (its command prints another) or belong to another region by now.
            if service.key is not None:
                self._regions.forget(service.key)
            self._service = None
        elif error.kind is Kind.NETWORK and is_loopback(service.base_url):
            # The server that was found on this machine may have gone, and another come.
            self._service = None


def _is_unknown(service: Service) -> bool:
    """Whether only asking tells what it can do: a server of any kind, or weights that are not ours."""
    return is_open(service) or (service.is_local and weights.known(service.model) is None)


def _shutting_down() -> BackendError:
    return BackendError(Kind.CONFIG, "qwen-lsp is shutting down")


def _local_engine(settings: LocalSettings, state_dir: Path, on_notice: Callable[[Notice], None], model: Path) -> Engine:
    from qwen_lsp.backend.local import LocalEngine  # noqa: PLC0415 - only who embeds a model pays for it

    return LocalEngine(model, settings, state_dir=state_dir, on_notice=on_notice)
