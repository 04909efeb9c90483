"""Checks of what the service does with a question: the routes, the form of answers, stops, streaming, speed, cache."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from statistics import median

from qwen_lsp.backend.learned import by, is_open
from qwen_lsp.backend.probing import NO_INTERFACE
from qwen_lsp.backend.wire import origin
from qwen_lsp.core import questions
from qwen_lsp.core.dialects import models
from qwen_lsp.core.hosts import is_loopback
from qwen_lsp.core.model import BackendError, Kind, Prompt, Route, Service
from qwen_lsp.core.questions import Heard, opening
from qwen_lsp.doctor.asking import TooDear
from qwen_lsp.doctor.case import Case
from qwen_lsp.doctor.findings import Finding, error, failed, ok, skipped, warning

TRIES = 3
SLOW = 2.0
"""Seconds to the first token from which on a person has typed on before anything is there."""
_BUFFERED = 0.3
"""Seconds of silence after which all pieces at once are telling."""
_WATCHED = 1.0
"""Seconds that a server has for ending work that nobody wants."""


async def fim(case: Case) -> Finding:
    """Whether a fill-in-the-middle prompt is understood as one."""
    service = case.service
    used = service.route is Route.FIM
    if not used and service.provider == "dashscope":
        return skipped(f"DashScope has none for {models.shown(service.model)} here; partial mode is used")
    heard = await _answer(case, Route.FIM)
    if heard is None:
        case.learned = replace(case.learned, fim=False)
        return skipped("not offered, and not used: the route is partial mode")
    form, good = questions.form(questions.FIM, heard.text), questions.fills_in(heard.text)
    case.learned = replace(case.learned, fim=good)
    fix = "set qwen.route to partial, or qwen.model to a Qwen coder, which has the tokens"
    if good and not form.leaks:
        hint = "" if used else '; qwen.route = "fim" would let the model see what follows the cursor'
        return ok(f"understood: the answer fits what follows the cursor{hint}", used=used)
    if good:
        said = "understood, but control tokens stood in the answer; qwen-lsp takes them out"
        return warning(said, "let the server stop at <|endoftext|> and <|fim_pad|>", used=used)
    if not used:
        return skipped("not understood, and not used: the route is partial mode", used=used)
    if await _takes_suffix(case):
        return ok(
            "understood where the server puts the prompt together itself, from `suffix`; so it is asked", used=used
        )
    if await _may_continue(case):
        return warning("not understood; partial mode is used in its place", "set qwen.model to a Qwen coder", used=used)
    if form.faults or not heard.text.strip():
        said = f"not understood: {form.faults or 'no text came'}"
        return error(said, fix, used=used)
    return warning("the answer does not fit what follows the cursor", fix, used=used)


async def _takes_suffix(case: Case) -> bool:
    """Whether FIM works by the parameter `suffix`; then it is asked that way from here on, as the server does."""
    assert case.contact is not None  # noqa: S101 - the check needs an answer
    way = replace(case.service, has_suffix=True)
    try:
        heard = await case.asker.ask(way, questions.FIM) if is_open(way) else None
    except BackendError as refusal:
        if refusal.kind not in NO_INTERFACE:
            raise
        heard = None
    good = heard is not None and questions.fills_in(heard.text)
    case.learned = replace(case.learned, suffix=good)
    if good and heard is not None:
        case.answers[Route.FIM], case.contact.service = heard, way
    return good


async def _may_continue(case: Case) -> bool:
    """Whether partial mode works and may take the place of FIM; then it does, as in the server."""
    assert case.contact is not None  # noqa: S101 - the check needs an answer
    if case.settings.route != "auto" or models.always_thinks(case.service.model):
        return False
    heard = await _answer(case, Route.PARTIAL)
    good = heard is not None and questions.continues(heard.text)
    if good:
        case.contact.service = by(case.service, Route.PARTIAL)
    return good


async def partial(case: Case) -> Finding:
    """Whether a chat continues its last message."""
    service = case.service
    used = service.route is Route.PARTIAL
    if not used and models.always_thinks(service.model):
        return skipped(f"{models.shown(service.model)} always thinks first, and is asked by FIM")
    heard = await _answer(case, Route.PARTIAL)
    good = heard is not None and questions.continues(heard.text)
    case.learned = replace(case.learned, partial=good)
    if good:
        return ok("the answer goes on where the last message ends" + ("" if used else " (not used)"), used=used)
    if not used:
        return skipped("does not work here, and is not used: the route is FIM", used=used)
    faults = questions.form(questions.PARTIAL, heard.text if heard else "").faults
    said = f"the answer begins anew instead of going on{f': {faults}' if faults else ''}"
    return error(said, "set qwen.model to a Qwen coder, or qwen.route to fim if the model has the tokens", used=used)


async def echo(case: Case) -> Finding:
    """Whether answers hold anything but the code that was asked for."""
    route = case.service.route
    form = questions.form(opening(route), case.answers[route].text)
    case.learned = replace(case.learned, leaks=form.leaks, echoes=form.echoes, fences=form.fences)
    if not form.faults:
        return ok("answers are code and nothing else")
    said = f"answers have {form.faults}; qwen-lsp takes out what it can"
    return warning(said, "a Qwen coder by FIM writes code alone: set qwen.model or qwen.route")


async def stops(case: Case) -> Finding:
    """How many of four stop strings are honoured; the one that shows is the last."""
    for prompt, count in ((questions.FOUR_STOPS, 4), (questions.ONE_STOP, 1)):
        try:
            heard = await case.asker.ask(case.service, prompt)
        except BackendError as refusal:
            if count == 1 or refusal.kind is not Kind.BAD_REQUEST:
                raise
            continue
        honoured = questions.stopped(heard)
        if honoured is None:
            return skipped("the answer never came to the stop string")
        if honoured:
            case.learned = replace(case.learned, stops=count)
            said = "four in one request are honoured" if count == 4 else "one is honoured, the fourth of four is not"
            return ok(said, stops=count)
    case.learned = replace(case.learned, stops=0)
    return warning(
        "none is honoured: the model writes on; qwen-lsp cuts the text and ends the request itself",
        "see whether the server's settings or a proxy before it drop `stop`; else it only costs some tokens",
        stops=0,
    )


async def streaming(case: Case) -> Finding:
    """Whether answers come piece by piece."""
    heard = await case.asker.ask(case.service, questions.COUNT)
    case.counted.append(heard)
    pieces = len(heard.times)
    fix = "have the server stream, and a proxy before it not buffer; until then suggestions come late"
    if not pieces:
        return warning("no text came", "see whether qwen.model completes code at all")
    first, last = heard.times[0], heard.times[-1]
    if pieces == 1 and heard.tokens < 4:
        return skipped("the answer was too short to tell")
    case.learned = replace(case.learned, streams=pieces > 1)
    if pieces == 1:
        return warning(f"it does not stream: the whole answer came at once, after {_ms(first)}", fix, pieces=1)
    if pieces > 4 and first > _BUFFERED and last - first < first / 50:
        return warning(f"{pieces} pieces came all at once, after {_ms(first)}", fix, pieces=pieces)
    return ok(f"{pieces} pieces, the first after {_ms(first)}, the last after {_ms(last)}", pieces=pieces)


async def cancel(case: Case) -> Finding:
    """Whether a server that shows what it does (llama.cpp's /slots) stops when nobody listens any more."""
    service = case.service
    if case.learned.streams is False:
        return skipped("an answer in one piece can't be ended in its middle")
    heard = await case.asker.ask(service, questions.LONG_COUNT, pieces=2)
    if heard.finish is not None:
        return skipped("the answer was over before it could be ended")
    if not is_loopback(service.base_url) or not (slots := await _busy(case, service)):
        return skipped("the request was ended at once; the service does not show whether its work was")
    if any(slots):
        return warning("the server works on although nobody listens", "update the server: it spends time on nothing")
    return ok("the server stops when nobody listens any more")


async def _busy(case: Case, service: Service) -> Sequence[bool]:
    """What each of the server's slots does a moment later; nothing where it does not show it."""
    end = asyncio.get_running_loop().time() + _WATCHED
    while True:
        try:
            status, body = await case.effects.probe(f"{origin(service.base_url)}/slots", key=service.key, timeout=1.0)
        except BackendError:
            return ()
        if status != 200 or not isinstance(body, list):
            return ()
        busy = [bool(slot.get("is_processing")) for slot in body if isinstance(slot, dict)]
        if not any(busy) or asyncio.get_running_loop().time() >= end:
            return busy
        await asyncio.sleep(0.1)


async def speed(case: Case) -> Finding:
    """The median of three tries: seconds to the first token, tokens a second."""
    while len(case.counted) < TRIES:
        try:
            case.counted.append(await case.asker.ask(case.service, questions.COUNT))
        except TooDear:
            break
    firsts = [heard.times[0] for heard in case.counted if heard.times]
    rates = [rate for heard in case.counted if (rate := heard.per_second) is not None]
    if not firsts:
        return skipped("no text came")
    first, rate = median(firsts), round(median(rates)) if rates else None
    said = f"first token of a short prompt after {_ms(first)}" + (f", {rate} tokens a second" if rate else "")
    said += f" (median of {len(firsts)})"
    facts = {"firstTokenMs": round(first * 1000), "tokensPerSecond": rate, "tries": len(firsts)}
    if first <= SLOW:
        return ok(said, **facts)
    fix = "set qwen.model to a smaller or faster one"
    if case.service.provider != "local":
        fix += ", or qwen.region to one that is nearer (with a key of it)" if case.service.region else ""
    return warning(f"slow: {said}", fix, **facts)


async def cache(case: Case) -> Finding:
    """Whether the same prompt costs less the second time."""
    case.asker.afford(case.service, questions.REPEATED, questions.REPEATED)
    await case.asker.ask(case.service, questions.REPEATED)
    again = await case.asker.ask(case.service, questions.REPEATED)
    usage = again.usage
    if usage is None:
        return skipped("the service counts no tokens")
    case.learned = replace(case.learned, cached=usage.cached)
    facts = {"prompt": usage.prompt, "cached": usage.cached}
    if usage.cached:
        return ok(f"{usage.cached} of {usage.prompt} prompt tokens came from the cache the second time", **facts)
    said = f"no hit with a prompt of {usage.prompt} tokens"
    if case.service.provider == "dashscope":
        said += "; DashScope's may begin at 1,024"
    return skipped(said, **facts)


async def limits(case: Case) -> Finding:
    """Whether the service refused for having been asked too often, or for good."""
    asker, wrong = case.asker, case.contact.error if case.contact else None
    if wrong is not None and wrong.kind is Kind.QUOTA:
        return failed(wrong.message)
    if not asker.requests:
        return skipped("nothing was asked")
    if not asker.limited:
        return ok(
            f"none seen, with {asker.requests} request{'' if asker.requests == 1 else 's'}",
            requests=asker.requests,
            refused=0,
        )
    waits = [each.retry_after for each in asker.limited if each.retry_after is not None]
    said = f"{len(asker.limited)} of {asker.requests} requests were refused as too many"
    said += f"; the service asked for {max(waits):g} s of rest" if waits else ""
    fix = "qwen-lsp waits by itself; for more suggestions raise the account's limits or set another qwen.model"
    facts = {"requests": asker.requests, "refused": len(asker.limited), "retryAfter": max(waits, default=None)}
    return warning(said, fix, **facts)


async def _answer(case: Case, route: Route) -> Heard | None:
    """The answer to the route's question; None where the service does not have a route that is not used.

    Raises:
        BackendError, TooDear: as `Asker.ask`.
    """
    if route not in case.answers:
        prompt: Prompt = opening(route)
        try:
            case.answers[route] = await case.asker.ask(by(case.service, route), prompt)
        except BackendError as refusal:
            if refusal.kind in NO_INTERFACE:
                return None
            raise
    return case.answers[route]


def _ms(seconds: float) -> str:
    return f"{seconds * 1000:.0f} ms" if seconds < 1 else f"{seconds:.2f} s"
