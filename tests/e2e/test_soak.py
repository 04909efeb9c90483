"""A long storm: thousands of keystrokes over real stdio, while a tenth of what the service answers is broken.

The typist types a known text into several documents at once, goes wrong now and then, takes requests back, closes and
reopens documents and changes settings. The service knows the text, and continues it, unless it is told to fail.
"""

from __future__ import annotations

import asyncio
import itertools
import random
import re
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from tests.fake_dashscope import CUT, CUT_MID_CHUNK, CUT_MID_EVENT, FAILURES, STALL, Answer, FakeService, Fault, failing
from tests.fake_script import Received
from tests.raw_client import RawClient

KEYSTROKES, SETTLED = 5000, 1000
"""In all, and after which memory may not grow."""
GROWTH = 8 * 1024
"""KiB of resident memory that the other four thousand may add."""
HASTE = (1, 2, 8)
"""Requests without an answer while the next key is typed: from who waits for each to who waits for none."""
ENGINE_LIFE = 50
"""Keys between changes of settings. Each makes a new engine, which has not learned to leave the service alone."""
WIRE = 2
"""Requests to the service at once."""
MOST_TOLD = 5
"""Different messages that pop up in all."""
ENDING = 2.0
"""Seconds in which a process must be gone; editors kill it after that."""
INLINE = "textDocument/inlineCompletion"
CANCELLED = -32800

TEXT = "".join(
    f"def step_{n}(value_{n}):\n    return combine(value_{n}, {n * 7919}, 'part {n}')\n\n\n" for n in range(60)
)
TAIL = 20
"""Characters before the cursor that tell where in the text it stands."""

FAULTS: dict[str, Answer] = {
    "reset before the status": Answer(cut=True),
    "reset after the headers": Answer([CUT]),
    "reset between chunks": Answer(["pass", CUT]),
    "reset inside a chunk": Answer(["pa", CUT_MID_CHUNK]),
    "reset inside an event": Answer(["pa", CUT_MID_EVENT]),
    "an error in the stream": Answer(["pa", Fault("internal_error", "An internal error has occurred.")]),
    "429": failing(429, "Throttling.RateQuota", "Requests rate limit exceeded."),
    "429 with Retry-After": failing(429, "Throttling.RateQuota", "Requests rate limit exceeded.", retry_after="1"),
    "429 for a burst": failing(429, "Throttling.BurstRate", "Request rate increased too quickly."),
    "503": FAILURES["overloaded"],
    "503 with Retry-After": failing(503, "ServiceUnavailable", "The service is overloaded.", retry_after="1"),
    "stall before the status": Answer(hold=asyncio.Event()),
    "stall in the stream": Answer(["pa", STALL]),
    "garbage": FAILURES["garbage"],
    "garbage in the stream": Answer(["pa", b"data: {not json\n\n", b"\xff\xfe\0\0"]),
    "NULs": Answer(["\0\0pass\0", b"\0\0\0\n\n"]),
    "no end": Answer(["pass"], done=False, close=True),
}


class Typist:
    """Types into documents, asks after each key, and keeps account of the answers."""

    def __init__(self, client: RawClient, chance: random.Random) -> None:
        self.client, self.random = client, chance
        self.replies: Counter[int] = Counter()
        self.shown = 0
        self.told: list[str] = []
        self.haste = 1
        self._asked = 0
        self._read = 0
        self._documents = {f"file:///w/{name}.py": "" for name in "abcdefgh"}
        self._current = next(iter(self._documents))
        for uri in self._documents:
            self._reopen(uri)

    @property
    def waiting(self) -> int:
        """Requests without an answer."""
        self._account()
        return self._asked - len(self.replies)

    def key(self, number: int) -> None:
        """One keystroke, and the request that follows it."""
        chance = self.random
        if chance.random() < 0.05:
            self.haste = chance.choice(HASTE)
        if chance.random() < (0.5 if self.haste == max(HASTE) else 0.05):
            self._current = chance.choice(list(self._documents))
        if chance.random() < 0.01:
            self._reopen(self._current, close=True)
        if self._asked and chance.random() < 0.3:
            self.client.notify("$/cancelRequest", {"id": self._asked})
        if number % ENGINE_LIFE == 0:
            settings = {"maxTokens": 64 + number % 7}
            self.client.notify("workspace/didChangeConfiguration", {"settings": {"qwen": settings}})
        self._type(self._current)
        self.ask(self._current)

    def ask(self, uri: str) -> int:
        """Asks at the end of a document, mostly by hand: who types leaves a service that has failed alone."""
        self._asked += 1
        kind = 1 if self.random.random() < 0.8 else 2
        params = {"textDocument": {"uri": uri}, "position": self._end(uri), "context": {"triggerKind": kind}}
        self.client.request(INLINE, params, self._asked)
        return self._asked

    async def sees_text(self) -> bool:
        """Whether text comes in a document that is newly opened, as soon as what was learned of limits allows."""
        uri, before = "file:///w/fresh.py", self.shown
        self._documents[uri] = TEXT[:100]
        self.client.open(uri, TEXT[:100])
        for _ in range(120):
            self.ask(uri)
            await self.client.until(lambda: self.waiting == 0)
            if self.shown > before:
                return True
            await asyncio.sleep(0.1)
        return False

    def _reopen(self, uri: str, *, close: bool = False) -> None:
        if close:
            self.client.notify("textDocument/didClose", {"textDocument": {"uri": uri}})
        start = self.random.randrange(len(TEXT) // 2)
        self._documents[uri] = TEXT[start : start + 60]
        self.client.open(uri, self._documents[uri])

    def _type(self, uri: str) -> None:
        """The next character of the text, or a wrong one, or a backspace after one."""
        text, end = self._documents[uri], self._end(uri)
        following = continuation(text)
        if following is None:
            start, typed = {"line": end["line"], "character": max(0, end["character"] - 1)}, ""
        else:
            start, typed = end, following[:1] if self.random.random() < 0.9 else "~"
        self._documents[uri] = text[:-1] if following is None else text + typed
        change = {"range": {"start": start, "end": end}, "text": typed}
        self.client.notify("textDocument/didChange", {"textDocument": {"uri": uri}, "contentChanges": [change]})

    def _end(self, uri: str) -> dict[str, int]:
        text = self._documents[uri]
        return {"line": text.count("\n"), "character": len(text.rpartition("\n")[2])}

    def _account(self) -> None:
        """Looks at what has come since the last time."""
        for message in self.client.messages[self._read :]:
            if message.get("method") == "window/showMessage":
                self.told.append(message["params"]["message"])
            elif isinstance(message.get("id"), int) and message["id"] <= self._asked:
                self.replies[message["id"]] += 1
                assert "result" in message or message["error"]["code"] == CANCELLED, message
                self.shown += bool((message.get("result") or {}).get("items"))
        self._read = len(self.client.messages)


def continuation(before: str) -> str | None:
    """What follows in the text, None where it was left."""
    at = TEXT.find(before[-TAIL:])
    return None if at < 0 else TEXT[at + len(before[-TAIL:]) :] or "\n"


class Storm:
    """What the service answers: the true continuation, or, one time in ten, a fault."""

    def __init__(self, chance: random.Random) -> None:
        self.over = False
        self.faults: Counter[str] = Counter()
        self.most = 0
        """Requests that were on the wire at once."""
        self.service: FakeService | None = None
        self._random = chance
        self._next = itertools.cycle(chance.sample(list(FAULTS), len(FAULTS)))

    def answer(self, request: Received) -> Answer:
        assert self.service is not None
        alive = [each for each in self.service.generations[-50:] if not each.ended.is_set()]
        # An engine that has been replaced may still be hanging up; each has a number of tokens of its own.
        mine = [each for each in alive if each.json["max_tokens"] == request.json["max_tokens"]]
        self.most = max(self.most, len(mine))
        if not self.over and self._random.random() < 0.1:
            name = next(self._next)
            self.faults[name] += 1
            return FAULTS[name]
        prefix = re.match(r"<\|fim_prefix\|>(.*)<\|fim_suffix\|>", request.json["prompt"], re.DOTALL)
        true = continuation(prefix[1] if prefix else "") or "= None\n"
        return Answer([true[at : at + 8] for at in range(0, self._random.choice([8, 40, 200]), 8)])


@pytest.fixture
async def storm() -> AsyncIterator[Storm]:
    storm = Storm(random.Random(1))
    async with FakeService(default=storm.answer, seed=1) as storm.service:
        yield storm


def resident(pid: int) -> int:
    """KiB of memory that a process holds."""
    status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    return int(re.search(r"VmRSS:\s+(\d+) kB", status)[1])


async def eventually(holds: Callable[[], Any], patience: float) -> bool:
    """Whether something holds before the patience ends."""
    for _ in range(int(patience / 0.02)):
        if holds():
            break
        await asyncio.sleep(0.02)
    return bool(holds())


async def test_five_thousand_keystrokes_through_a_storm_of_faults(storm, tmp_path):
    """Every request is answered once, nothing is left over, memory does not grow, and afterwards all is well."""
    service = storm.service
    options = {"provider": "openai", "baseUrl": service.openai, "model": "qwen-coder-turbo", "debounce": 0}
    env = {"HOME": str(tmp_path), "XDG_CONFIG_HOME": "", "NO_PROXY": "*", "no_proxy": "*"}
    async with RawClient.started(env=env) as client:
        await client.initialize(initializationOptions=options | {"timeout": 200})
        typist = Typist(client, random.Random(2))
        memory = {}
        for number in range(1, KEYSTROKES + 1):
            typist.key(number)
            await client.until(lambda haste=typist.haste: typist.waiting < haste)
            if number in {SETTLED, KEYSTROKES}:
                await client.until(lambda: typist.waiting == 0)
                memory[number] = resident(client.process.pid)
        storm.over = True
        assert await typist.sees_text(), "the service is asked again soon after its last fault"
        assert min(storm.faults[name] for name in FAULTS) > 0, "it was a storm"
        assert storm.most <= 2 * WIRE, "beside as many whose last bytes nobody needs"
        assert memory[KEYSTROKES] - memory[SETTLED] < GROWTH
        assert len(set(typist.told)) <= MOST_TOLD
        assert await eventually(lambda: service.open_connections <= WIRE, 10)

        for number in range(1, 9):
            typist.key(number)
        client.process.stdin.close()
        began = time.monotonic()
        assert await client.exited() == 0
        assert time.monotonic() - began < ENDING
        assert await eventually(lambda: typist.waiting == 0, 1)
        assert set(typist.replies.values()) == {1}
        assert await eventually(lambda: service.open_connections == 0, 1)
    for sign in (b"Traceback", b"internal error", b"never awaited", b"failed inside", b"pygls:"):
        assert sign not in client.stderr
