"""A generation in flight: what has come so far, and who waits for it.

A flight belongs to the place it was asked for. It goes on when a waiter leaves, so that the next key can take it
over; whoever owns it (scheduler.py) stops it. Its task is never cancelled: the HTTP below must end by itself.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from qwen_lsp.core.model import BackendError, Kind, Prompt, Service, Usage
from qwen_lsp.core.polish import Polished, polish
from qwen_lsp.core.reuse import Place, remainder
from qwen_lsp.core.scene import Scene
from qwen_lsp.core.stop import Stopper
from qwen_lsp.engine.ports import Generation


class Flight:
    """One streamed answer. Settled means that its text, or its error, will not change any more."""

    def __init__(
        self, place: Place, scene: Scene, service: Service, prompt: Prompt, clock: Callable[[], float]
    ) -> None:
        self.place = place
        self.service = service
        self.prompt = prompt
        self.settled = False
        self.abandoned = False
        """Stopped before it had said enough: its text is a part, and not to be kept."""
        self.error: BackendError | None = None
        self.finish: str | None = None
        self.usage: Usage | None = None
        self.pieces = 0
        """Deltas with text: the tokens generated, where a service streams token by token."""
        self.started = clock()
        self.first_text: float | None = None
        self.ended: float | None = None
        self.waiting: set[asyncio.Event] = set()
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
    def polished(self) -> Polished:
        """What is worth showing of what has come so far."""
        at = len(self._stopper.text) if not self.settled else -1
        if self._polished is None or self._polished[0] != at:
            self._polished = (at, polish(self._stopper.text, self._scene, finish=self.finish))
        return self._polished[1]

    def rest(self, place: Place) -> str | None:
        """What is left for a place, "" when it may yet come; None when the answer does not fit there."""
        typed = place.typed_since(self.place)
        if typed is None:
            return None
        text = self.polished.text
        if not self.settled and typed.startswith(text):
            return ""
        return remainder(text, typed)

    @property
    def filters(self) -> tuple[str, ...]:
        """The names of all that changed what the model wrote, in order."""
        opened = self._stopper.opening
        return (*(opened.names if opened else ()), *self.polished.changed)

    async def run(self, generation: Generation) -> None:
        """Takes the stream until the stop rules, the service or `stop` end it. Never raises."""
        self._generation = generation
        if self.abandoned:
            generation.stop()
        try:
            async for delta in generation:
                self.usage = delta.usage or self.usage
                self.finish = delta.finish or self.finish
                if delta.text and self._took_enough(delta.text):
                    generation.stop()
                    break
            if not self.abandoned:
                self._stopper.end()
        except BackendError as error:
            self.error = error
        except Exception as fault:  # noqa: BLE001 - a fault of ours must not leave a request without its reply
            name = type(fault).__name__
            self.error = BackendError(Kind.PROTOCOL, f"qwen-lsp failed inside ({name}); please report it")
        finally:
            self.ended = self._clock()
            self.settled = True
            self._wake()

    def stop(self) -> None:
        """Nobody needs it any more."""
        if not self.settled:
            self.abandoned = True
            if self._generation is not None:
                self._generation.stop()

    def _took_enough(self, text: str) -> bool:
        if self.first_text is None:
            self.first_text = self._clock()
        self.pieces += 1
        enough = self._stopper.feed(text)
        self._wake()
        return enough

    def _wake(self) -> None:
        for event in self.waiting:
            event.set()
