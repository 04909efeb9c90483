"""What a session adds to the ledger: each request, each question to a model, and what became of each suggestion."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Protocol

from qwen_lsp.core.budget import Spent, used
from qwen_lsp.core.config import BudgetSettings, PriceSettings
from qwen_lsp.core.counts import Key
from qwen_lsp.core.fate import Fate, Fates
from qwen_lsp.core.model import Ghost, Outcome, Request, Service, Usage
from qwen_lsp.core.prices import is_paid, price


class Ledger(Protocol):
    """Where counts are added; `usage` fits this shape without being imported."""

    def add(self, key: Key, *, ms: float | None = None, **counts: float) -> None:
        """Returns at once, never raises."""

    def look(self, day: str) -> None:
        """Finds out what was spent on a day; returns at once."""

    @property
    def spent(self) -> Spent:
        """What paid services took on the day that was looked at last, as far as that is known."""

    def close(self) -> None:
        """Writes what is left; may take a second."""


def today() -> str:
    """The date where the person is."""
    return datetime.now().astimezone().date().isoformat()


class Tally:
    """One session's."""

    def __init__(self, ledger: Ledger, day: Callable[[], str] = today) -> None:
        self._ledger = ledger
        self._day = day
        self._fates = Fates()
        self._service: Service | None = None
        self.prices: Mapping[str, PriceSettings] = {}
        """The person's own list (`qwen.prices`)."""

    def spent(self, service: Service, language: str, usage: Usage) -> None:
        """A model was asked, and took so many tokens."""
        self._service = service
        listed = price(service, self.prices)
        self._ledger.add(
            self._key(service, language),
            asked=1,
            tokens_in=usage.prompt,
            tokens_cached=usage.cached,
            tokens_out=usage.completion,
            tokens_paid=usage.prompt + usage.completion if is_paid(service) else 0,
            cost=listed.of(usage.prompt, usage.completion, usage.cached) if listed else 0.0,
        )

    def used(self, service: Service, budget: BudgetSettings) -> float:
        """The share of the day's budget that is used; 0 for who costs nothing."""
        if not is_paid(service) or not (budget.tokens or budget.price):
            return 0.0
        spent, today = self._ledger.spent, self._day()
        if spent.day != today:
            self._ledger.look(today)  # other editors may have been at work since midnight
        listed = price(service, self.prices)
        return used(spent, budget, today, listed.currency if listed else "")

    def look(self) -> None:
        """Finds out what was spent today, so that the first question of a session knows it."""
        self._ledger.look(self._day())

    def asked(self, request: Request) -> Ghost | None:
        """An editor asks. The suggestion that was taken since, if one was."""
        ended = self._fates.asked(request)
        if ended is None:
            return None
        fate, ghost = ended
        self.add(request.snapshot.language, fate.value)
        return ghost if fate is Fate.TAKEN else None

    def answered(self, request: Request, outcome: Outcome, service: Service | None, ms: float) -> None:
        """What the editor was answered, after so many milliseconds."""
        self._service = service or self._service
        shown = isinstance(outcome, Ghost)
        if isinstance(outcome, Ghost):
            self._fates.shown(request, outcome)
        key = self._key(self._service, request.snapshot.language)
        self._ledger.add(key, ms=ms if shown else None, requests=1, shown=int(shown))

    def add(self, language: str, name: str) -> None:
        """One more of something, of the service that answered last."""
        self._ledger.add(self._key(self._service, language), **{name: 1})

    def closed(self, uri: str) -> None:
        """A document was closed."""
        self._fates.closed(uri)

    def close(self) -> None:
        """The session is over; may take a second."""
        self._ledger.close()

    def _key(self, service: Service | None, language: str) -> Key:
        if service is None:
            return Key(self._day(), language=language)
        listed = price(service, self.prices)
        return Key(self._day(), service.provider, service.model, listed.currency if listed else "", language)
