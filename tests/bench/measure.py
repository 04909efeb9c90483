"""What is measured beside typing: added latency, memory, startup and idling.

The letters typed here never begin what the service writes, so nothing of an answer can be used again: each request
costs a round trip to the service, or is refused by the server's own choice.
"""

from __future__ import annotations

import asyncio
import math
import random
import time
from collections.abc import Iterable, Iterator, Sequence

from tests.bench import process
from tests.bench.client import Reply
from tests.bench.editor import View
from tests.bench.service import Behaviour, Exchange
from tests.bench.session import AUTOMATIC, INLINE, Contestant, ServiceProcess, Session
from tests.bench.typing_trace import document

FIXED = Behaviour(text="result = compute_total(items, start)")
_LETTERS = "qzjvk"
_WIDTH = 60
_BREATH = 0.004
"""Seconds between two requests, so that what a server does after answering is not counted to the next."""
_WARM_UP = 10
_MEMORY_AT = (200, 500, 2_000)

Figures = dict[str, float]


def percentile(values: Sequence[float], share: float) -> float:
    """The value below which a share of the values lies, interpolated; nan of none."""
    if not values:
        return math.nan
    ordered = sorted(values)
    place = (len(ordered) - 1) * share
    low = math.floor(place)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (place - low)


def added(reply: Reply, log: Iterable[Exchange]) -> float:
    """Seconds that a reply took beyond the time in which the service was at work."""
    busy, reach = 0.0, reply.sent
    for exchange in sorted(log, key=lambda exchange: exchange.began):
        began, ended = max(exchange.began, reach), min(exchange.ended or reply.got, reply.got)
        busy += max(0.0, ended - began)
        reach = max(reach, ended)
    return reply.got - reply.sent - busy


class Scratch:
    """A document in whose midst letters are typed, a new line every now and then."""

    def __init__(self, session: Session, lines: int, seed: int) -> None:
        self._session, self._random = session, random.Random(seed)
        text = document(lines)
        middle = sum(len(line) + 1 for line in text.split("\n")[: lines // 2])
        self.view, _ = View(text[:middle] + "\n" + text[middle:], middle).typed("    ")
        session.open(self.view.text)

    async def ask(self) -> Reply:
        """Types a letter and waits for the answer."""
        full = self.view.line[1] >= _WIDTH
        self.view, change = self.view.typed("\n    " if full else self._random.choice(_LETTERS))
        question = self._session.question(self.view.position, AUTOMATIC)
        reply = await self._session.client.ask(INLINE, question, after=[self._session.edited(change)])
        await asyncio.sleep(_BREATH)
        return reply


async def latency(session: Session, lines: int, count: int, seed: int) -> Figures:
    """Added milliseconds in a document of so many lines."""
    await session.service.behave(FIXED)
    scratch = Scratch(session, lines, seed)
    for _ in range(_WARM_UP):
        await scratch.ask()
    await session.service.take()
    replies = [await scratch.ask() for _ in range(count)]
    log = await session.service.take()
    session.close()
    milliseconds = [1000 * added(reply, log) for reply in replies]
    shares = {"p50": 0.5, "p95": 0.95, "p99": 0.99}
    return {name: percentile(milliseconds, share) for name, share in shares.items()} | {
        "asked": count,
        "requests": len(log),
    }


async def memory(session: Session, seed: int) -> Figures:
    """MiB of the process tree after 200, 500 and 2,000 requests in a document of 2,000 lines."""
    await session.service.behave(FIXED)
    scratch = Scratch(session, 2000, seed)
    figures: Figures = {}
    for asked in range(1, _MEMORY_AT[-1] + 1):
        await scratch.ask()
        if asked in _MEMORY_AT:
            figures[str(asked)] = process.rss(session.client.pid)
            await session.service.take()
    return figures | {"growth": figures["2000"] - figures["500"]}


async def startup(contestant: Contestant, service: ServiceProcess) -> Figures:
    """Seconds from spawn to the reply to `initialize`, and to the first suggestion."""
    await service.behave(FIXED)
    async with Session.started(contestant, service) as session:
        view = View("total = ", 8)
        session.open(view.text)
        first = await session.first_suggestion(view)
        spawned = session.client.spawned
        return {"initialize": session.greeted.got - spawned, "first": first.got - spawned}


async def idle(session: Session, seconds: float) -> Figures:
    """What a server does while nobody types, once it has settled: CPU in percent of a core, wake-ups a second."""
    await session.service.behave(FIXED)
    view = View(document(2000), 0)
    session.open(view.text)
    await session.first_suggestion(View(view.text, view.text.index("start\n") + 5))
    await asyncio.sleep(seconds)
    pid = session.client.pid
    began, cpu, woken = time.monotonic(), process.cpu(pid), process.wakeups(pid)
    await asyncio.sleep(seconds)
    wall = time.monotonic() - began
    return {
        "cpu": 100 * (process.cpu(pid) - cpu) / wall,
        "wakeups": (process.wakeups(pid) - woken) / wall,
    }


def speed(rounds: int = 5) -> float:
    """Milliseconds that a fixed piece of work takes; what it varies by in a run is the machine's noise."""

    def once() -> Iterator[float]:
        for _ in range(rounds):
            began = time.perf_counter()
            sum(number * number for number in range(100_000))
            yield 1000 * (time.perf_counter() - began)

    return percentile(list(once()), 0.5)
