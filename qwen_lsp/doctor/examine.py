"""The checks in their order, run one after the other: the whole of `qwen-lsp doctor` but for its printing.

Promises: every check gives one finding whatever happens; nothing is sent with `offline`; no finding holds a key.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable
from dataclasses import dataclass, replace

from qwen_lsp.core.model import BackendError, Kind
from qwen_lsp.doctor import behaviour, here, reach
from qwen_lsp.doctor.asking import TooDear
from qwen_lsp.doctor.case import Case
from qwen_lsp.doctor.findings import Finding, error, failed, parted, skipped


@dataclass(frozen=True, slots=True)
class Check:
    """One check. `needs` says of what: "" of nothing, "contact" of the network, "answer" of a service that answers."""

    name: str
    look: Callable[[Case], Awaitable[Finding]]
    needs: str = ""


CHECKS: tuple[Check, ...] = (
    Check("python", here.python),
    Check("configuration", here.configuration),
    Check("files", here.files),
    Check("provider", reach.provider),
    Check("key", reach.key),
    Check("reachability", reach.reachability, "contact"),
    Check("tls", reach.tls, "contact"),
    Check("model", reach.model, "contact"),
    Check("fim", behaviour.fim, "answer"),
    Check("partial mode", behaviour.partial, "answer"),
    Check("echo, fences", behaviour.echo, "answer"),
    Check("stops", behaviour.stops, "answer"),
    Check("streaming", behaviour.streaming, "answer"),
    Check("cancel", behaviour.cancel, "answer"),
    Check("speed", behaviour.speed, "answer"),
    Check("context cache", behaviour.cache, "answer"),
    Check("rate limits", behaviour.limits, "contact"),
    Check("embedded model", here.embedded),
    Check("editors", here.editors),
)


_DOWN = {Kind.NETWORK, Kind.TIMEOUT, Kind.OVERLOADED, Kind.QUOTA, Kind.AUTH}
"""Failures after which asking on would only take time."""


async def examine(case: Case, on_check: Callable[[str], None] = lambda _name: None) -> AsyncGenerator[Finding, None]:
    """The findings as they come. `on_check` hears the name of each check that begins."""
    for check in CHECKS:
        on_check(check.name)
        yield replace(await _found(check, case), check=check.name)


async def _found(check: Check, case: Case) -> Finding:
    if check.needs and (why := _hindrance(check, case)):
        return skipped(why)
    try:
        return await check.look(case)
    except TooDear:
        return skipped(f"it could cost more than what is left of {case.asker.limit:,} tokens")
    except BackendError as refusal:
        if refusal.kind is Kind.RATE:
            return skipped("the service wants to be asked less often")
        if refusal.kind in _DOWN:
            case.down = parted(refusal.message)[0]
        return failed(refusal.message)
    except Exception as fault:  # noqa: BLE001 - the others are still worth looking at
        # Not the exception itself: its text may quote anything.
        return error(f"this check failed ({type(fault).__name__})", "report it; the others do not depend on it")


def _hindrance(check: Check, case: Case) -> str:
    """Why a check can't be made; empty where it can."""
    if case.offline:
        return "--offline: nothing is sent"
    if check.needs == "answer":
        if case.down:
            return f"nothing more is asked: {case.down}"
        if case.contact is None or case.contact.first is None:
            return "there is no answer to look at"
    return ""
