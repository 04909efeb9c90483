"""What a run will take before it is begun: tokens and money, as an upper bound."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from qwen_lsp.core import prices, tokens
from qwen_lsp.core.config import Settings
from qwen_lsp.core.model import Service
from qwen_lsp.core.prices import Price
from qwen_lsp.evaluation.hole import Hole

_MOST = 6_000
"""Tokens of a prompt for a service at most, passages of other files included, where the settings say nothing else."""
_PASSAGES = 1_000


@dataclass(frozen=True, slots=True)
class Estimate:
    """At most so many tokens, and so much money in the price's currency; None when the price is not known."""

    prompt: int
    generated: int
    cost: float | None
    price: Price | None


def estimate(holes: Sequence[Hole], settings: Settings, service: Service) -> Estimate:
    """What completing these holes takes at most, if nothing comes from a cache."""
    most = _MOST if settings.prompt_tokens == "auto" else settings.prompt_tokens
    prompts = [min(most, tokens.estimate(hole.before + hole.after) + _PASSAGES) for hole in holes]
    price = prices.price(service, settings.prices)
    cost = None if price is None else sum(price.of(prompt, settings.max_tokens) for prompt in prompts)
    return Estimate(sum(prompts), len(holes) * settings.max_tokens, cost, price)


def question(found: Estimate, holes: int, service: Service) -> str:
    """What a person is asked before anything is spent: one line."""
    where = f" in {service.region}" if service.region else f" at {service.base_url}"
    money = "the list has no price for it (qwen.prices)"
    if found.cost is not None and found.price is not None:
        money = f"at most {prices.shown(found.cost, found.price)} by {prices.dated(found.price)}"
    return (
        f"{holes} completions by {service.model} ({service.provider}{where}): up to {found.prompt:,} tokens of prompt "
        f"and {found.generated:,} generated, {money}."
    )
