"""What was found out about endpoints, kept: one file, by base URL and model.

`qwen-lsp doctor` writes it, and the server when it meets an endpoint for the first time (probing.py).

Promises: it holds facts about services only, no key, no password and no code; it is its owner's alone (0600) and
whole at any moment; what can't be read or makes no sense counts as unknown.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, fields, replace
from datetime import date
from pathlib import Path
from urllib.parse import urlsplit

from qwen_lsp.core.dialects import models
from qwen_lsp.core.model import Api, Route, Service
from qwen_lsp.private import write_private

MOST = 100
"""Endpoints that are remembered; the oldest goes first."""


@dataclass(frozen=True, slots=True)
class Learned:
    """What one endpoint was seen to do. None is unknown."""

    fim: bool | None = None
    """A fill-in-the-middle prompt is understood, what follows the cursor included."""
    suffix: bool | None = None
    """So it is where the server puts it together itself, from `prompt` and `suffix`."""
    partial: bool | None = None
    """A chat continues its last message."""
    stops: int | None = None
    """How many stop strings of one request are honoured: 4, 1 or 0."""
    leaks: bool | None = None
    """Control tokens stood in an answer."""
    echoes: bool | None = None
    """An answer began with what stands before the cursor."""
    fences: bool | None = None
    """An answer had a markdown fence or sentences around the code."""
    streams: bool | None = None
    """Answers come in pieces."""
    cached: int | None = None
    """Prompt tokens that its cache served when the same prompt came again."""
    seen: str = ""
    """The day, as in 2026-11-22."""


class LearnedStore:
    """The file. One that can't be written costs the memory, no more."""

    def __init__(self, path: Path, today: Callable[[], date] = date.today) -> None:
        self._path = path
        self._today = today

    def recall(self, service: Service) -> Learned | None:
        """What is known of this model at this address."""
        known = self._read().get(_name(service))
        return None if known is None else _checked(known)

    def keep(self, service: Service, learned: Learned) -> bool:
        """Remembers it, with the day, in place of what was known; False where the file can't be written."""
        name = _name(service)
        known = {each: value for each, value in self._read().items() if each != name}
        known[name] = asdict(replace(learned, seen=self._today().isoformat()))
        for oldest in list(known)[:-MOST]:
            del known[oldest]
        try:
            write_private(self._path, json.dumps(known, indent=1).encode())
        except OSError:
            return False
        return True

    def _read(self) -> dict[str, object]:
        try:
            known = json.loads(self._path.read_bytes())
        except (OSError, ValueError, RecursionError):
            return {}
        return known if isinstance(known, dict) else {}


def fitted(service: Service, learned: Learned | None, *, reroute: bool) -> Service:
    """The service, asked the way that was seen to work where the usual way was seen not to.

    With `reroute` (`qwen.route: "auto"`: who chooses a route is believed) partial mode takes the place of FIM that is
    not understood, at any provider; FIM that of partial mode at OpenAI-compatible servers only, which have one
    interface.
    """
    if learned is None:
        return service
    if learned.stops is not None:
        service = replace(service, stops=learned.stops)
    fills_in = learned.fim or learned.suffix
    if reroute and service.route is Route.FIM and not fills_in and learned.fim is False and learned.partial:
        return by(service, Route.PARTIAL)
    if reroute and service.route is Route.PARTIAL and learned.partial is False and fills_in and is_open(service):
        service = by(service, Route.FIM)
    has_suffix = service.route is Route.FIM and learned.fim is False and bool(learned.suffix)
    return replace(service, has_suffix=has_suffix) if has_suffix else service


def by(service: Service, route: Route) -> Service:
    """The same service, asked by this route."""
    if route is service.route:
        return service
    api = Api.COMPLETIONS if route is Route.FIM else Api.CHAT
    thinks = route is Route.PARTIAL and models.thinks(service.model)
    return replace(service, route=route, api=api, disable_thinking=thinks, has_suffix=False)


def is_open(service: Service) -> bool:
    """Whether nothing but asking tells what it can do: it is no provider's, whose documents say it."""
    return service.provider == "openai"


def _name(service: Service) -> str:
    """How an endpoint is called in the file. The embedded engine's address changes with each start."""
    if service.is_local:
        return f"local {service.model}"
    parts = urlsplit(service.base_url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path} {service.model}"


_KINDS: dict[str, type] = {"bool | None": bool, "int | None": int, "str": str}


def _checked(raw: object) -> Learned | None:
    """The value, without what is not of its field's kind."""
    if not isinstance(raw, dict):
        return None
    # `type`, not isinstance: to Python True is a number.
    good = {each.name: raw[each.name] for each in fields(Learned) if type(raw.get(each.name)) is _KINDS[str(each.type)]}
    return Learned(**good)
