"""What is counted of completing, and by what: the columns of the ledger (usage/ledger.py)."""

from __future__ import annotations

from dataclasses import dataclass

COUNTS = (
    "requests",
    "shown",
    "accepted",
    "accepted_words",
    "accepted_lines",
    "typed",
    "dismissed",
    "kept",
    "asked",
    "tokens_in",
    "tokens_cached",
    "tokens_out",
    "tokens_paid",
    "cost",
)
"""Requests of editors; suggestions shown, taken (whole, by word, by line), typed to their end, left, and still there
half a minute after they were taken; questions to a model, its tokens, those that may be billed, and their price."""


@dataclass(frozen=True, slots=True)
class Key:
    """What counts belong to. `day` is a date in the person's own time zone, as ISO 8601 writes it."""

    day: str
    provider: str = ""
    model: str = ""
    currency: str = ""
    language: str = ""
