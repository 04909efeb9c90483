"""How an endpoint wants to be asked, found out by a few short questions: once for each endpoint and model.

Promises: at most six questions of 150 tokens, one where the usual way works. Keeps nothing (learned.py does).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from dataclasses import replace
from typing import TypeAlias

from qwen_lsp.backend.learned import Learned, by, is_open
from qwen_lsp.core import questions
from qwen_lsp.core.dialects import models
from qwen_lsp.core.model import BackendError, Kind, Prompt, Route, Service

NO_INTERFACE = {Kind.BAD_REQUEST, Kind.CONFIG, Kind.MODEL, Kind.PROTOCOL}
"""What a service says to a question that it has no interface for."""

Ask: TypeAlias = Callable[[Service, Prompt], Awaitable[str]]
"""Gives the whole answer; raises BackendError."""


async def find_out(service: Service, ask: Ask, *, reroute: bool) -> Learned:
    """Asks as the service is asked now, and if that does not work in other ways, until one does.

    With `reroute` by other routes too.

    Raises:
        BackendError: nothing can be told; the service is down, say, or refuses the key.
    """
    learned, most = Learned(), 0
    for way in _ways(service, reroute=reroute):
        text = None
        for stops in (most,) if most else (service.stops, 1):
            try:
                text = await ask(replace(way, stops=stops), questions.opening(way.route))
            except BackendError as refusal:
                if refusal.kind not in NO_INTERFACE:
                    raise
            else:
                most = stops
                break
        good = text is not None and questions.works(way.route, text)
        learned = _noted(learned, way, works=good)
        if good and text is not None:
            form = questions.form(questions.opening(way.route), text)
            learned = replace(learned, leaks=form.leaks, echoes=form.echoes, fences=form.fences)
            break
    return replace(learned, stops=most) if 0 < most < service.stops else learned


def works(learned: Learned) -> bool:
    """Whether there is a way to ask it."""
    return bool(learned.fim or learned.suffix or learned.partial)


def _ways(service: Service, *, reroute: bool) -> Iterator[Service]:
    yield service
    if service.route is Route.FIM:
        yield replace(service, has_suffix=True)
        if reroute and not models.always_thinks(service.model):
            yield by(service, Route.PARTIAL)
    elif reroute and is_open(service):
        yield by(service, Route.FIM)
        yield replace(by(service, Route.FIM), has_suffix=True)


def _noted(learned: Learned, way: Service, *, works: bool) -> Learned:
    if way.route is Route.PARTIAL:
        return replace(learned, partial=works)
    return replace(learned, suffix=works) if way.has_suffix else replace(learned, fim=works)
