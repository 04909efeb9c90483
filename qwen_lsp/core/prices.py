"""What a completion costs: DashScope's list of prices, with its date, a person's own, and the arithmetic of a bill.

Promises nothing of today's prices, discounts and free quotas: the bill is the service's.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from qwen_lsp.core.config import PriceSettings
from qwen_lsp.core.hosts import is_private
from qwen_lsp.core.model import Service

AS_OF = "2025-10"
"""When the list was read (Model Studio, "Qwen-Coder", models and prices)."""

CACHED = 0.2
"""What a token costs that the context cache served, beside one that was read (Model Studio, "Context cache")."""
MILLION = 1_000_000

_Tier: TypeAlias = tuple[int, float, float]
"""Up to so many prompt tokens a million tokens of prompt cost so much, and a million generated ones so much."""


@dataclass(frozen=True, slots=True)
class Price:
    """What a model costs. The prompt's length decides about the price of the whole request."""

    currency: str
    tiers: tuple[_Tier, ...]
    cached: float = CACHED
    """What a token of the prompt costs that came from the service's cache, as a share of one that was read."""
    as_of: str = AS_OF
    """When the list was read; empty where nobody said."""

    def of(self, prompt: int, generated: int, cached: int = 0) -> float:
        """The price of one request; `cached` of the `prompt` tokens came from the context cache."""
        _, reading, writing = next((tier for tier in self.tiers if prompt <= tier[0]), self.tiers[-1])
        return ((prompt - cached * (1 - self.cached)) * reading + generated * writing) / MILLION


FREE = Price("", ((MILLION, 0.0, 0.0),))

_K = 1_024
_CN = {
    "qwen3-coder-plus": Price(
        "¥", ((32 * _K, 4, 16), (128 * _K, 6, 24), (256 * _K, 10, 40), (MILLION, 20, 200)),
    ),
    "qwen3-coder-flash": Price(
        "¥", ((32 * _K, 1, 4), (128 * _K, 1.5, 6), (256 * _K, 2.5, 10), (MILLION, 5, 25)),
    ),
    "qwen-coder-plus": Price("¥", ((MILLION, 3.5, 7),)),
    "qwen-coder-turbo": Price("¥", ((MILLION, 2, 6),)),
    "qwen2.5-coder-32b-instruct": Price("¥", ((MILLION, 2, 6),)),
    "qwen2.5-coder-14b-instruct": Price("¥", ((MILLION, 2, 6),)),
    "qwen2.5-coder-7b-instruct": Price("¥", ((MILLION, 1, 2),)),
}  # fmt: skip
_INTERNATIONAL = {
    "qwen3-coder-plus": Price(
        "$", ((32 * _K, 1, 5), (128 * _K, 1.8, 9), (256 * _K, 3, 15), (MILLION, 6, 60)),
    ),
    "qwen3-coder-flash": Price(
        "$", ((32 * _K, 0.3, 1.5), (128 * _K, 0.5, 2.5), (256 * _K, 0.8, 4), (MILLION, 1.6, 9.6)),
    ),
}  # fmt: skip
_BY_REGION = {"cn-beijing": _CN, "ap-southeast-1": _INTERNATIONAL}


def price(service: Service, own: Mapping[str, PriceSettings] | None = None) -> Price | None:
    """What a service costs; None when it may cost something, and nobody says what.

    A person's `own` list (`qwen.prices`) comes before the built-in one.
    """
    if not is_paid(service):
        return FREE
    if own and (name := _fitting(service.model, own)):
        said = own[name]
        return Price(said.currency, ((MILLION, said.input, said.output),), said.cached, said.as_of)
    listed = _BY_REGION.get(service.region or "", {}) if service.provider == "dashscope" else {}
    name = _fitting(service.model, listed)
    return listed[name] if name else None


def dated(price: Price) -> str:
    """Which list a price is of, for a person."""
    return f"the list prices of {price.as_of}" if price.as_of else "the prices in qwen.prices"


def _fitting(model: str, names: Iterable[str]) -> str | None:
    # A snapshot ("qwen3-coder-plus-2025-09-23", "-latest") costs what the stable version does.
    return max((name for name in names if model == name or model.startswith(f"{name}-")), key=len, default=None)


def is_paid(service: Service) -> bool:
    """Whether someone may send a bill for it: all but what runs on this machine or in its own network."""
    if service.provider != "openai":
        return service.provider == "dashscope"
    return not is_private(service.base_url)


def shown(amount: float, price: Price | None) -> str:
    """An amount for people, with as many digits as it needs to be more than nothing."""
    if price is None:
        return "?"
    if price == FREE:
        return "0"
    digits = 2 if amount >= 1 else 4
    return f"{price.currency}{amount:.{digits}f}"
