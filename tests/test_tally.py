"""engine/tally.py: what a session adds to the ledger."""

from __future__ import annotations

from typing import Any

import pytest

from qwen_lsp.core.budget import Spent, told, used
from qwen_lsp.core.config import BudgetSettings, PriceSettings
from qwen_lsp.core.counts import Key
from qwen_lsp.core.model import Api, Ghost, Reason, Route, Service, Skip, Usage
from qwen_lsp.engine.tally import Tally
from tests.marks import at

DASHSCOPE = Service("dashscope", "https://x", "qwen-coder-turbo", Route.FIM, Api.COMPLETIONS, region="cn-beijing")
LOCAL = Service("local", "http://127.0.0.1:1/v1", "qwen2.5-coder-1.5b", Route.FIM, Api.COMPLETIONS)


class Ledger:
    """Writes down what it is told."""

    def __init__(self) -> None:
        self.spent = Spent()
        self.looked: list[str] = []
        self.added: list[tuple[Key, float | None, dict[str, float]]] = []

    def add(self, key: Key, *, ms: float | None = None, **counts: float) -> None:
        self.added.append((key, ms, {name: count for name, count in counts.items() if count}))

    def look(self, day: str) -> None:
        self.looked.append(day)

    def close(self) -> None:
        self.added.append((Key(""), None, {}))


def tally() -> tuple[Tally, Ledger]:
    ledger = Ledger()
    return Tally(ledger, lambda: "2026-11-22"), ledger


def test_what_a_model_took_has_its_price() -> None:
    """By the list; what the cache served costs a fifth (Model Studio, "Context cache")."""
    counting, ledger = tally()
    counting.spent(DASHSCOPE, "python", Usage(1000, 50, 500))
    key, _, counts = ledger.added[0]
    assert key == Key("2026-11-22", "dashscope", "qwen-coder-turbo", "¥", "python")
    cost = (500 + 0.2 * 500) * 2e-6 + 50 * 6e-6
    assert counts == {
        "asked": 1,
        "tokens_in": 1000,
        "tokens_cached": 500,
        "tokens_out": 50,
        "tokens_paid": 1050,
        "cost": cost,
    }
    counting.spent(LOCAL, "python", Usage(1000, 50))
    assert "cost" not in ledger.added[1][2]


def test_a_persons_own_price_comes_before_the_list() -> None:
    """`qwen.prices`, with its own currency and its own share for what the cache served."""
    counting, ledger = tally()
    counting.prices = {"qwen-coder-turbo": PriceSettings(input=10, output=20, cached=0.5, currency="€")}
    counting.spent(DASHSCOPE, "python", Usage(1000, 50, 500))
    key, _, counts = ledger.added[0]
    assert key.currency == "€"
    assert counts["cost"] == pytest.approx((500 + 0.5 * 500) * 10e-6 + 50 * 20e-6)


def test_latency_is_counted_of_what_was_shown() -> None:
    """Silence has none: it may be the gate's, which takes no time."""
    counting, ledger = tally()
    request = at("x = █\n")
    counting.answered(request, Ghost(0, 4, 4, "y", "y"), LOCAL, 120.0)
    counting.answered(request, Skip(Reason.EMPTY), LOCAL, 80.0)
    of: Any = [(ms, counts) for _, ms, counts in ledger.added]
    assert of == [(120.0, {"requests": 1, "shown": 1}), (None, {"requests": 1})]


def test_what_is_shown_without_asking_belongs_to_the_service_that_wrote_it() -> None:
    """A pause has no service; what is counted then stands under the last one."""
    counting, ledger = tally()
    counting.answered(at("x = █\n"), Skip(Reason.PAUSED), None, 1.0)
    counting.spent(LOCAL, "rust", Usage(1, 1))
    counting.answered(at("x = █\n"), Skip(Reason.PAUSED), None, 1.0)
    assert [key.model for key, _, _ in ledger.added] == ["", LOCAL.model, LOCAL.model]


def test_only_what_was_taken_whole_is_given_back() -> None:
    """For the look at it half a minute later; everything is counted."""
    counting, ledger = tally()
    ghost = Ghost(0, 4, 4, "a(b)", "a(b)")
    for text, taken in (("x = a█\n", None), ("x = a(b)█\n", ghost)):
        request = at("x = █\n")
        counting.answered(request, ghost, LOCAL, 1.0)
        assert counting.asked(at(text)) == taken
        counting.closed(request.snapshot.uri)
    assert ledger.added[-1][2] == {"accepted": 1}


@pytest.mark.parametrize(
    ("budget", "share"),
    [
        (BudgetSettings(), 0.0),
        (BudgetSettings(tokens=1000), 0.5),
        (BudgetSettings(price=0.4), 0.25),
        (BudgetSettings(tokens=1000, price=0.1), 1.0),
        (BudgetSettings(price=10), 0.01),
    ],
)
def test_the_used_share_of_a_budget_is_the_larger_one(budget: BudgetSettings, share: float) -> None:
    """Of tokens and price, whichever is limited. Yesterday's is no part of it, another currency's, what is free."""
    counting, ledger = tally()
    ledger.spent = Spent("2026-11-22", 500, {"¥": 0.1, "$": 99.0})
    assert counting.used(DASHSCOPE, budget) == pytest.approx(share)
    assert counting.used(LOCAL, budget) == 0.0
    assert used(ledger.spent, budget, "2026-11-23", "¥") == 0.0
    assert ledger.looked == []


def test_what_others_spent_is_looked_up_when_the_day_is_not_known() -> None:
    """At a session's start, and after midnight; nobody without a budget asks the disk."""
    counting, ledger = tally()
    assert counting.used(DASHSCOPE, BudgetSettings()) == 0.0
    assert ledger.looked == []
    assert counting.used(DASHSCOPE, BudgetSettings(tokens=1000)) == 0.0
    counting.look()
    assert ledger.looked == ["2026-11-22"] * 2


def test_a_person_is_told_how_much_is_left() -> None:
    """And what to do about it."""
    assert told(0.83) == "83 % of the day's budget is used (qwen.budget)"
    assert "qwen.budget raises it" in told(1.2)
