"""The replay: a trace typed in real time over LSP, and what was asked, answered, right and wrong at each key.

At each key the editor takes back the request before, says the change and asks, as VS Code does. A suggestion is
taken only if all of it is what the person wants to write; keys for what was taken are then left out.
"""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, fields, replace

from tests.bench.client import Reply
from tests.bench.editor import MisfitError, Reader, Shown, View, shown, still_fits
from tests.bench.service import Behaviour
from tests.bench.session import AUTOMATIC, INLINE, Session
from tests.bench.typing_trace import Act, Key, Trace

ON_THE_WAY = 0.05
"""Seconds that a reply and the next key may pass each other in; a text that comes later was sent knowingly."""
_SETTLE, _LAST = 0.3, 1.5
"""Seconds between opening and typing, and for the last answers."""


@dataclass(slots=True)
class Tally:
    """Counts over any number of traces. What is said of keys is said of those with a request, all but none."""

    keys: int = 0
    requests: int = 0
    aborted: int = 0
    answered: int = 0
    """A text came before the next key."""
    within_10: int = 0
    within_100: int = 0
    right: int = 0
    """It came before the next key and is what the person goes on to type."""
    changed: int = 0
    misfits: int = 0
    taken: int = 0
    silent: int = 0
    """Requests that were never answered in any way."""
    tokens_made: int = 0
    tokens_shown: int = 0
    tokens_used: int = 0
    reasons: list[str] = field(default_factory=list)
    """What was wrong with the misfits."""

    def add(self, other: Tally) -> None:
        for one in fields(self):
            setattr(self, one.name, getattr(self, one.name) + getattr(other, one.name))


@dataclass(frozen=True, slots=True)
class Stroke:
    """One key's request, and the document it was asked in."""

    view: View
    reply: Reply


class Typist:
    """Types one trace into one session."""

    def __init__(self, session: Session, trace: Trace) -> None:
        self._session, self._trace = session, trace
        self._view = View(trace.before, trace.start)
        self._reader = Reader(trace.start)
        self._shown: Shown | None = None
        self._strokes: list[Stroke] = []
        self._looked = True
        self._astray = 0
        self.tally = Tally()

    async def type(self, most: int) -> None:
        """Types until the trace ends or `most` keys are typed."""
        due = time.monotonic()
        for key in self._trace.keys:
            if self.tally.keys >= most:
                break
            if not self._wanted(key):
                continue
            due = max(due + key.pause, time.monotonic())
            await asyncio.sleep(due - time.monotonic())
            self._look()
            self._press(key)
        await asyncio.sleep(_LAST)
        self._look()
        self._judge()

    @property
    def _reached(self) -> int:
        """The offset in the truth up to which the document is right."""
        return self._view.offset - self._astray

    def _wanted(self, key: Key) -> bool:
        """Whether there is still a reason for a key, after what was taken."""
        if key.astray or not key.text:
            return key.at == self._reached
        return key.at + len(key.text) > self._reached

    def _press(self, key: Key) -> None:
        match key.act:
            case Act.BACK:
                self._delete()
            case Act.TYPE if key.astray:
                self._astray += 1
                self._type(key.text)
            case Act.TYPE:
                self._type(key.text[self._reached - key.at :])
            case _:
                self._take(whole=key.act is Act.TAKE)

    def _take(self, *, whole: bool) -> None:
        """Takes what is shown, or a word of it, if all of it is what the person wants to write."""
        text, item = self._reader.visible, self._shown
        if not text or item is None or item.replaces or not self._trace.truth.startswith(text, self._reached):
            return
        self.tally.taken += 1
        self._type(text if whole else _first_word(text))
        if whole and item.command is not None:
            self._session.client.request("workspace/executeCommand", item.command)

    def _type(self, text: str) -> None:
        self._view, change = self._view.typed(text)
        self._reader.typed(text)
        self._ask(change)

    def _delete(self) -> None:
        self._view, change = self._view.deleted()
        self._astray -= 1
        self._reader.deleted()
        self._ask(change)

    def _ask(self, change: dict[str, object]) -> None:
        session = self._session
        before = [session.edited(change)]
        if self._strokes and not self._strokes[-1].reply.got:
            before.insert(0, ("$/cancelRequest", {"id": self._strokes[-1].reply.ident}))
        reply = session.client.request(INLINE, session.question(self._view.position, AUTOMATIC), after=before)
        self._strokes.append(Stroke(self._view, reply))
        self._looked = False
        self.tally.keys += 1

    def _look(self) -> None:
        """Takes in what the last key's answer shows, once it has come."""
        if self._looked or not self._strokes[-1].reply.got:
            return
        self._looked = True
        stroke, tally = self._strokes[-1], self.tally
        answer = self._read(stroke)
        if answer is not None and answer.text:
            took = stroke.reply.got - stroke.reply.sent
            tally.answered += 1
            tally.within_10 += took <= 0.010
            tally.within_100 += took <= 0.100
            tally.right += self._right(answer.text)
            self._reader.answered(answer.text)
            self._shown = answer

    def _right(self, text: str) -> bool:
        """Whether the person goes on to type a text."""
        wanted = text.rstrip()
        return bool(wanted) and not self._astray and self._trace.truth.startswith(wanted, self._reached)

    def _read(self, stroke: Stroke) -> Shown | None:
        try:
            return shown(stroke.reply.result, stroke.view)
        except MisfitError as misfit:
            self._misfit(str(misfit))
            return None

    def _misfit(self, reason: str) -> None:
        self.tally.misfits += 1
        self.tally.reasons.append(reason)

    def _judge(self) -> None:
        """The end: what the reader has seen, and the answers that came after the next key had been sent."""
        reader = self._reader
        self.tally.changed = reader.changed
        self.tally.tokens_shown, self.tally.tokens_used = len(reader.shown), len(reader.used)
        self.tally.silent = sum(not stroke.reply.got for stroke in self._strokes)
        for stroke, after in itertools.pairwise(self._strokes):
            late = self._read(stroke) if stroke.reply.got > after.reply.sent + ON_THE_WAY else None
            if late is None:
                continue
            now = [other.view for other in self._strokes if other.reply.sent <= stroke.reply.got][-1]
            if not still_fits(late.text, stroke.view, now):
                self._misfit("the document had moved on")


async def replay(session: Session, traces: Sequence[Trace], behaviour: Behaviour, keys: int) -> Tally:
    """Types the traces, `keys` of each at most, with a service that behaves so but knows the trace's file."""
    total = Tally()
    for trace in traces:
        await session.service.behave(replace(behaviour, truth=trace.truth, near=trace.start))
        session.open(trace.before)
        await asyncio.sleep(_SETTLE)
        await session.service.take()
        typist = Typist(session, trace)
        await typist.type(keys)
        log = await session.service.take()
        typist.tally.requests = len(log)
        typist.tally.aborted = sum(exchange.aborted for exchange in log)
        typist.tally.tokens_made = sum(exchange.tokens for exchange in log)
        total.add(typist.tally)
        session.close()
    return total


def _first_word(text: str) -> str:
    """What VS Code takes with Ctrl+Right: blanks, and then one word or one run of signs."""
    bare = text.lstrip()
    blanks = len(text) - len(bare)
    word = bare[:1].isalnum() or bare[:1] == "_"
    size = next((at for at, sign in enumerate(bare) if sign.isspace() or (sign.isalnum() or sign == "_") != word), None)
    return text if size is None else text[: blanks + size]
