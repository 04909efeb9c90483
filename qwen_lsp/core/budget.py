"""A day's budget for paid services: how much of it is used."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from qwen_lsp.core.config import BudgetSettings

WARNING = 0.8
"""The share from which a person is told."""


@dataclass(frozen=True, slots=True)
class Spent:
    """What paid services took on a day, in all of a person's editors."""

    day: str = ""
    tokens: float = 0.0
    costs: Mapping[str, float] = field(default_factory=lambda: MappingProxyType({}))
    """By currency."""


def used(spent: Spent, budget: BudgetSettings, today: str, currency: str) -> float:
    """The share of today's budget that is used; the larger one of tokens and price, 0 without a budget.

    The price is that of all services of this currency: yuan are not added to dollars.
    """
    if spent.day != today:
        return 0.0
    shares = [
        spent.tokens / budget.tokens if budget.tokens else 0.0,
        spent.costs.get(currency, 0.0) / budget.price if budget.price else 0.0,
    ]
    return max(shares)


def told(share: float) -> str:
    """What a person is told from `WARNING` on."""
    if share >= 1:
        return "the day's budget is used up: paid completions are off until tomorrow; qwen.budget raises it"
    return f"{100 * share:.0f} % of the day's budget is used (qwen.budget)"
