"""A generation in flight: what has come so far, and who waits for it.

A flight belongs to the place it was asked for. It goes on when a waiter leaves, so that the next key can take it
over; whoever owns it (scheduler.py) stops it. Its task is never cancelled: the HTTP below must end by itself.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import NamedTuple

from qwen_lsp.core.model import BackendError, Kind, Prompt, Route, Service, Usage
from qwen_lsp.core.polish import FILTERS, Polished, polish, without_trailing_blanks, without_unfinished_line
from qwen_lsp.core.prompt import fim_text, partial_messages
from qwen_lsp.core.reuse import Place, remainder
from qwen_lsp.core.scene import Scene
from qwen_lsp.core.stop import Stopper
from qwen_lsp.engine.ports import Generation


def prompt_text(prompt: Prompt, route: Route) -> str:
    """All that a model is asked, in the order in which it reads it."""
    if route is Route.FIM:
        return fim_text(prompt)
    return "\n".join(f"[{message['role']}]\n{message['content']}" for message in partial_messages(prompt))


class Change(NamedTuple):
    """What a step made of a text."""

    name: str
    before: str
    after: str


_FILTERS = dict((*FILTERS, ("unfinished line", without_unfinished_line), ("trailing blanks", without_trailing_blanks)))


class Flight:
    """One streamed answer. Settled means that its text, or its error, will not change any more."""

    def __init__(  # noqa: PLR0913 - what a generation is of
        self,
        place: Place,
        scene: Scene,
        service: Service,
        prompt: Prompt,
        clock: Callable[[], float],
        *,
        background: bool = False,
        alternative: bool = False,
    ) -> None:
        self.place = place
        self.service = service
        self.prompt = prompt
        self.background = background
        """Asked for before anyone wanted it: it yields to whoever does."""
        self.alternative = alternative
        """Asked for beside the likeliest answer, and more varied: no other request takes it over."""
        self.settled = False
        self.abandoned = False
        """Stopped before it had said enough: its text is a part, and not to be kept."""
        self.shown = False
        """Something of it has been given to the editor: the rest will be wanted."""
        self.error: BackendError | None = None
        self.finish: str | None = None
        self.usage: Usage | None = None
        """Known once the stream has ended, a moment after the flight has settled; never where a stop rule ended it."""
        self.estimate: Usage | None = None
        """What it is likely to have cost, where the stream has ended and the service has not said."""
        self.pieces = 0
        """Deltas with text: the tokens generated, where a service streams token by token."""
        self.started = clock()
        self.first_text: float | None = None
        self.ended: float | None = None
        self.waiting: set[asyncio.Event] = set()
        """Woken when it has settled."""
        self.listening: set[asyncio.Event] = set()
        """Woken at every piece."""
        self.on_settled: Callable[[Flight], None] = lambda _flight: None
        """Called once, before any waiter hears of it."""
        self.on_ended: Callable[[Flight], None] = lambda _flight: None
        """Called once, when the stream has ended and all is known."""
        self._scene = scene
        self._stopper = Stopper(scene)
        self._clock = clock
        self._generation: Generation | None = None
        self._polished: tuple[int, Polished] | None = None

    @property
    def raw(self) -> str:
        """What the model wrote."""
        return self._stopper.raw

    @property
    def rule(self) -> str | None:
        """The stop rule that ended it, if one did."""
        return self._stopper.rule

    @property
    def filters(self) -> tuple[str, ...]:
        """The names of all that changed what the model wrote, in order."""
        opened = self._stopper.opening
        return (*(opened.names if opened else ()), *self.polished.changed)

    @property
    def changes(self) -> tuple[Change, ...]:
        """Each step that changed what the model wrote, in order, with the text before and after it."""
        opened, text = self._stopper.opening, self.raw
        steps = [(", ".join(opened.names), text[opened.skip :])] if opened else []
        steps.append((f"stop: {self.rule or 'the end'}", self._stopper.text))
        text_so_far = self._stopper.text
        for name in self.polished.changed:
            text_so_far = _FILTERS[name](text_so_far, self._scene)
            steps.append((name, text_so_far))
        before = [text, *(after for _, after in steps)]
        changes = (Change(name, was, after) for was, (name, after) in zip(before, steps, strict=False))
        return tuple(change for change in changes if change.before != change.after)

    @property
    def polished(self) -> Polished:
        """What is worth showing of what has come so far."""
        at = len(self._stopper.text) if not self.settled else -1
        if self._polished is None or self._polished[0] != at:
            self._polished = (at, polish(self._stopper.text, self._scene, finish=self.finish))
        return self._polished[1]

    def rest(self, typed: str) -> str | None:
        """What is left after this was typed, "" when it may yet come; None when the answer does not fit that."""
        if not (self.settled or self._stopper.text):
            return ""
        text = self.polished.text
        if not self.settled and typed.startswith(text):
            return ""
        return remainder(text, typed)

    def may_fit(self, place: Place) -> bool:
        """Whether there is, or may yet be, something for a place."""
        typed = place.typed_since(self.place)
        return typed is not None and self.rest(typed) is not None

    @property
    def whole_lines(self) -> str:
        """What is worth showing of the lines that have come to their end; "" when there are none yet."""
        lines = self._stopper.text.rpartition("\n")[0]
        return polish(lines, self._scene).text if lines.strip() else ""

    def early(self, typed: str) -> str:
        """What the whole lines have left, while the flight has not settled; the rest is for later requests."""
        rest = remainder(self.whole_lines, typed)
        return rest if rest and rest.strip() else ""

    async def run(self, generation: Generation) -> None:
        """Takes the stream until the stop rules, the service or `stop` end it. Never raises."""
        self._generation = generation
        if self.abandoned:
            generation.stop()
        _ = self._scene.wanted  # takes a millisecond and is remembered: better now than when the answer is complete
        try:
            async for delta in generation:
                self.usage = delta.usage or self.usage
                self.finish = self.finish or delta.finish
                if delta.text and not self.settled:
                    self._take(delta.text)
                if self._stopper.rule is not None:
                    generation.stop()
                    break
                if self.finish and not self.settled:
                    # What is left of the stream is the bill; nobody waits for that.
                    self._stopper.end()
                    self._settle()
            if not (self.abandoned or self.settled):
                self._stopper.end()
        except BackendError as error:
            # An error after the model has finished takes nothing away from what it wrote.
            self.error = None if self.settled else error
        except Exception as fault:  # noqa: BLE001 - a fault of ours must not leave a request without its reply
            name = type(fault).__name__
            self.error = BackendError(Kind.PROTOCOL, f"qwen-lsp failed inside ({name}); please report it")
        finally:
            if not self.settled:
                self._settle()
            self.on_ended(self)

    def stop(self) -> None:
        """Nobody needs it any more."""
        if not self.settled:
            self.abandoned = True
            if self._generation is not None:
                self._generation.stop()

    def _take(self, text: str) -> None:
        if self.first_text is None:
            self.first_text = self._clock()
        self.pieces += 1
        self._stopper.feed(text)
        for event in self.listening:
            event.set()

    def _settle(self) -> None:
        self.ended = self._clock()
        self.settled = True
        self.on_settled(self)
        for event in self.waiting:
            event.set()
