"""From settings and environment to a service: who completes, where, with which model, key and route.

`configured` decides what can be decided without looking; `resolve` looks at the rest through `Effects`. It never
goes from a model on this machine to a paid one by itself, and never sends a DashScope key to someone else's host.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol
from urllib.parse import urlsplit

from qwen_lsp.backend import weights
from qwen_lsp.backend.keys import DASHSCOPE_KEY, OWN_KEY, find_key
from qwen_lsp.backend.nearby import find_server, offered
from qwen_lsp.backend.regions import (
    PLAN_HOSTS,
    PLAN_PREFIX,
    Probe,
    find_region,
    is_dashscope,
    region_of,
)
from qwen_lsp.backend.wire import checked_url, origin
from qwen_lsp.core.config import Settings, replaced
from qwen_lsp.core.dialects import dashscope, models
from qwen_lsp.core.model import Api, BackendError, Kind, Route, Secret, Service

LIST_SECONDS = 5.0
_PLAN_MODEL = "qwen3-coder-plus"


class Memory(Protocol):
    """What is remembered of keys; `Regions` is one."""

    def recall(self, key: Secret) -> str | None:
        """The key's region, if it is known."""

    def remember(self, key: Secret, region: str) -> None:
        """Keeps it."""


class Place(Protocol):
    """Where the embedded engine answers; `LocalEngine.ensure` gives one."""

    @property
    def base_url(self) -> str:
        """Ends in /v1."""

    @property
    def key(self) -> Secret:
        """What it asks for."""


@dataclass(frozen=True, slots=True)
class Effects:
    """All that resolving does to the world, and all it learns from it."""

    probe: Probe
    regions: Memory
    key_command: Callable[[str], Awaitable[str]]
    """Runs `qwen.apiKeyCommand`."""
    weights: Callable[[str], Path | None]
    """The file of a model's name or path, if it is on this machine."""
    engine: Callable[[Path], Awaitable[Place]]
    """Starts the embedded engine with a model file, or finds it running."""
    ports: Sequence[int]
    """Where model servers on this machine usually listen."""
    hosts: Callable[[str, str], str] = dashscope.hosts
    """DashScope's base URL for a region and a workspace ("" for none)."""
    plan_hosts: Mapping[str, str] = field(default_factory=lambda: PLAN_HOSTS)


def configured(settings: Settings, env: Mapping[str, str]) -> str | None:
    """The provider that the settings name, or that the DashScope key's being there makes the one; else None.

    A key makes no one the provider where nothing may be sent away.
    """
    if settings.provider != "auto":
        return settings.provider
    if settings.base_url.strip():
        return "dashscope" if is_dashscope(settings.base_url) else "openai"
    if settings.model.endswith(".gguf") or weights.known(settings.model):
        return "local"
    if settings.region != "auto" or settings.workspace_id or settings.api_key_command:
        return "dashscope"
    return "dashscope" if env.get(DASHSCOPE_KEY, "").strip() and not settings.local_only else None


def standing_in(settings: Settings, env: Mapping[str, str], provider: str) -> tuple[Settings, Mapping[str, str]]:
    """Settings and environment of a provider that answers in another's place: what is that one's is not for this.

    An address can't be the embedded model's, so where that one is the first, it is that of a server to stand in. A key
    that does not name whose it is (`qwen.apiKeyCommand`, QWEN_LSP_API_KEY) belongs to the first one, or to the address.
    """
    first = configured(settings, env)
    if first == provider:
        return settings, env
    named = "dashscope" if is_dashscope(settings.base_url) or not settings.base_url.strip() else "openai"
    owner = named if first in {None, "local"} else first
    changes = {"provider": provider, "model": "", "route": "auto"}
    if first != "local" or named != provider:
        changes["base_url"] = ""
    if owner != provider:
        changes["api_key_command"] = ""
        env = {name: value for name, value in env.items() if name != OWN_KEY}
    return replaced(settings, **changes), env


async def resolve(settings: Settings, env: Mapping[str, str], effects: Effects) -> Service:
    """The service that the settings mean.

    Raises:
        BackendError: there is none, or it can't be used; its message names what to set or to run.
    """
    provider = configured(settings, env)
    if provider == "dashscope":
        return await _dashscope(settings, env, effects)
    if provider == "openai":
        return await _openai(settings, env, effects)
    if provider == "local":
        return await _local(settings, effects)
    server = await find_server(settings.model, effects.ports, effects.probe)
    if server is not None:
        return _service(settings, "openai", server.base_url, server.model)
    if not settings.model and effects.weights(weights.DEFAULT) is not None:
        return await _local(settings, effects)
    if settings.model:
        raise BackendError(
            Kind.CONFIG,
            f"no model server on this machine has {models.shown(settings.model)}, and it is none that can be embedded "
            f"({', '.join(weights.MODELS)}): correct qwen.model, or set qwen.provider",
        )
    raise BackendError(
        Kind.CONFIG,
        f"no model is set up: run `qwen-lsp model pull` for one on this machine, or set {DASHSCOPE_KEY} for DashScope",
        lacks=weights.DEFAULT,
    )


async def _dashscope(settings: Settings, env: Mapping[str, str], effects: Effects) -> Service:
    key = await find_key((DASHSCOPE_KEY, OWN_KEY), env, settings.api_key_command, effects.key_command)
    if key is None:
        # Short: Neovim asks for Enter at a message that does not fit into a line.
        raise BackendError(Kind.AUTH, f"no DashScope key: set {DASHSCOPE_KEY} or qwen.apiKeyCommand")
    named = None if settings.region == "auto" else settings.region
    if settings.base_url.strip():
        base_url = _dashscope_url(settings.base_url)
        return _service(settings, "dashscope", base_url, settings.model, key, named or region_of(base_url))
    if key.reveal().startswith(PLAN_PREFIX):
        # The plan's hosts have no Completions API: without a region nobody expects FIM there.
        base_url = effects.plan_hosts[await _plan_region(named, key, effects)]
        return _service(settings, "dashscope", base_url, settings.model or _PLAN_MODEL, key)
    region = named or await _region(key, settings.workspace_id, effects)
    base_url = effects.hosts(region, settings.workspace_id)
    return _service(settings, "dashscope", base_url, settings.model, key, region)


async def _region(key: Secret, workspace_id: str, effects: Effects) -> str:
    region = effects.regions.recall(key)
    if region is None:
        shared = {name for name, host in dashscope.REGIONS.items() if host is not None or workspace_id}
        candidates = {name: effects.hosts(name, workspace_id) for name in dashscope.REGIONS if name in shared}
        region = await find_region(key, candidates, effects.probe)
        effects.regions.remember(key, region)
    return region


async def _plan_region(named: str | None, key: Secret, effects: Effects) -> str:
    region = named or effects.regions.recall(key)
    if region is None:
        region = await find_region(key, effects.plan_hosts, effects.probe)
        effects.regions.remember(key, region)
    if region not in effects.plan_hosts:
        raise BackendError(
            Kind.CONFIG, f"a Coding Plan key (sk-sp-) works in {' or '.join(effects.plan_hosts)}: set qwen.region"
        )
    return region


def _dashscope_url(given: str) -> str:
    base_url = checked_url(given)
    if is_dashscope(base_url) and not base_url.startswith("https:"):
        raise BackendError(Kind.CONFIG, "qwen.baseUrl: DashScope is asked over https:// only")
    return base_url if urlsplit(base_url).path else base_url + dashscope.COMPATIBLE


async def _openai(settings: Settings, env: Mapping[str, str], effects: Effects) -> Service:
    if not settings.base_url.strip():
        raise BackendError(
            Kind.CONFIG, "qwen.provider is openai: set qwen.baseUrl to its address, such as http://127.0.0.1:8080/v1"
        )
    base_url = checked_url(settings.base_url)
    if not urlsplit(base_url).path:
        base_url += "/v1"
    names = (DASHSCOPE_KEY, OWN_KEY) if is_dashscope(base_url) else (OWN_KEY,)
    key = await find_key(names, env, settings.api_key_command, effects.key_command)
    model = settings.model or await _first_model(base_url, key, effects.probe)
    return _service(settings, "openai", base_url, model, key)


async def _first_model(base_url: str, key: Secret | None, probe: Probe) -> str:
    status, body = await probe(f"{base_url}/models", key=key, timeout=LIST_SECONDS)
    where = origin(base_url)
    if status in (401, 403):
        wants = "wants a key" if key is None else "refuses the key"
        raise BackendError(Kind.AUTH, f"{where} {wants}: set {OWN_KEY} or qwen.apiKeyCommand")
    names = offered(body) if status == 200 else ()
    if not names:
        raise BackendError(
            Kind.MODEL, f"{where} names no model: set qwen.model to one that it serves, and check qwen.baseUrl"
        )
    return names[0]


async def _local(settings: Settings, effects: Effects) -> Service:
    name = settings.model or models.default_model("local", None)
    known = weights.known(name)
    path = effects.weights(name)
    if path is None:
        raise BackendError(Kind.MODEL, _missing(known.name if known else name), lacks=known.name if known else "")
    place = await effects.engine(path)
    return _service(settings, "local", place.base_url, known.name if known else path.stem, place.key)


def _missing(name: str) -> str:
    shown = models.shown(name)
    if name in weights.MODELS:
        return f"the model {shown} is not on this machine; run `qwen-lsp model pull {shown}`"
    if name.endswith(".gguf"):
        return f"there is no file {shown}; set qwen.model to a .gguf file that exists, or to {weights.DEFAULT}"
    return f"{shown} can't be embedded; set qwen.model to a .gguf file or one of {', '.join(weights.MODELS)}"


def _service(  # noqa: PLR0913, PLR0917 - what a service is made of
    settings: Settings,
    provider: str,
    base_url: str,
    model: str,
    key: Secret | None = None,
    region: str | None = None,
) -> Service:
    model = model or models.default_model(provider, region)
    route = models.route_for(settings.route, provider, region, model)
    if not isinstance(route, Route):
        raise BackendError(Kind.CONFIG, route)
    native = provider == "dashscope" and settings.api_style == "native"
    api = Api.COMPLETIONS if route is Route.FIM else Api.NATIVE if native else Api.CHAT
    thinks = route is Route.PARTIAL and models.thinks(model)
    return Service(provider, base_url, model, route, api, key, region, disable_thinking=thinks)
