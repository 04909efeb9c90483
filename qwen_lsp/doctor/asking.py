"""Questions to the service, paid from a purse, with the times of what comes.

Promises: no question is asked that could overdraw the purse; a service that is asked for patience is given a little.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from qwen_lsp.backend.http import Http
from qwen_lsp.core.model import BackendError, Kind, Prompt, Service, Usage
from qwen_lsp.core.questions import Heard, cost

LIMIT = 2000
"""Tokens that one run may cost, those read and those written together."""
PATIENCE = 5.0
"""Seconds that a service may ask us to wait and still be asked again."""


class TooDear(Exception):  # noqa: N818 - a state of the purse
    """The question could cost more than is left."""


@dataclass(slots=True)
class Asker:
    """All questions of one run."""

    http: Http
    timeout: float
    limit: int = LIMIT
    spent: int = 0
    requests: int = 0
    limited: list[BackendError] = field(default_factory=list)
    """The refusals of a service that was asked too often."""
    on_spent: Callable[[Service, Usage], None] = lambda _service, _usage: None
    """Hears what each question took, or may have taken."""

    async def ask(self, service: Service, prompt: Prompt, *, pieces: int | None = None) -> Heard:
        """The whole answer; with `pieces` it is ended by us after so many.

        Raises:
            BackendError: the service failed, after one more try if it only wanted a moment's rest.
            TooDear: it was not asked.
        """
        try:
            return await self._ask(service, prompt, pieces)
        except BackendError as error:
            pause = error.retry_after or 1.0
            if error.kind is not Kind.RATE or pause > PATIENCE:
                raise
        await asyncio.sleep(pause)
        return await self._ask(service, prompt, pieces)

    def afford(self, service: Service, *prompts: Prompt) -> None:
        """Makes sure that all of these could be asked.

        Raises:
            TooDear: they could cost more than is left.
        """
        if self.spent + sum(cost(prompt, service.route) for prompt in prompts) > self.limit:
            raise TooDear

    async def _ask(self, service: Service, prompt: Prompt, pieces: int | None) -> Heard:
        self.afford(service, prompt)
        price = cost(prompt, service.route)
        self.requests += 1
        heard, begun = Heard(), time.monotonic()
        exchange = self.http.generate(service, prompt, timeout=self.timeout)
        try:
            async for delta in exchange:
                at = (*heard.times, time.monotonic() - begun) if delta.text else heard.times
                heard = Heard(heard.text + delta.text, at, delta.finish or heard.finish, delta.usage or heard.usage)
                if pieces is not None and len(at) >= pieces:
                    break
        except BackendError as error:
            if error.kind is Kind.RATE:
                self.limited.append(error)
            # What had begun to answer is billed, and so perhaps is what was too slow.
            if heard.times or error.kind is Kind.TIMEOUT:
                self._pay(service, Usage(price, 0))
            raise
        finally:
            exchange.stop(drain=False)
        self._pay(service, heard.usage or Usage(price, 0))
        return heard

    def _pay(self, service: Service, used: Usage) -> None:
        self.spent += used.prompt + used.completion
        self.on_spent(service, used)
