"""One query with all that its sources share: what is being written, the words of the place, who holds them.

Worked out when it is first asked for, once. Needs the stock to hold still meanwhile.
"""

from __future__ import annotations

import re
from functools import cached_property

from qwen_lsp.core.chunks import words
from qwen_lsp.core.declares import family
from qwen_lsp.core.expressions import receiver
from qwen_lsp.core.imports import import_at
from qwen_lsp.core.snippets import Query
from qwen_lsp.workspace.catalog import Catalog
from qwen_lsp.workspace.resolving import Resolver
from qwen_lsp.workspace.stock import File, Stock

_NEAR_LINES = 12
"""Lines before the cursor whose words are what the place is about."""
_WEIGHED_LINES, _WEIGHED_AFTER = 30, 8
"""Lines before and after the cursor whose words are looked for elsewhere."""


class Surroundings:
    """A place, as its sources look at it."""

    def __init__(self, stock: Stock, query: Query, room: int) -> None:
        self.stock = stock
        self.query = query
        self.room = room
        """Code points that all passages may take together."""
        self.kind = family(query.language)
        self.catalog = Catalog(stock, query)
        self.resolver = Resolver(self.catalog, query)
        self.chain, self.partial = receiver(query.prefix)
        """The expression whose member comes next, and what is typed of it."""

    @property
    def own(self) -> File | None:
        """The file itself, as it was last read."""
        return self.stock.files.get(self.query.path)

    @cached_property
    def listing(self) -> str | None:
        """The module whose names are being listed at the cursor, in an import."""
        return import_at(self.query.prefix, self.query.suffix, self.query.language)

    @cached_property
    def shown(self) -> set[str]:
        """The words that the model sees anyway."""
        return words(self.query.prefix) | words(self.query.suffix)

    @cached_property
    def line(self) -> set[str]:
        """The words of the cursor's line."""
        return words(self.query.head) | words(self.query.rest)

    @cached_property
    def near(self) -> set[str]:
        """The words of the lines around."""
        above = "\n".join(self.query.prefix.split("\n")[-_NEAR_LINES:])
        return words(above) | words("\n".join(self.query.suffix.split("\n")[:_WEIGHED_AFTER]))

    @cached_property
    def about(self) -> dict[str, float]:
        """The parts of these words, with how much the place is about each."""
        known = {part: 0.4 for word in self.near for part in parts_of(word)}
        return known | {part: 1.0 for word in self.line for part in parts_of(word)}

    @cached_property
    def weights(self) -> dict[str, float]:
        """The place's words, the nearer the weightier."""
        weights: dict[str, float] = {}
        for back, line in enumerate(reversed(self.query.prefix.split("\n")[-_WEIGHED_LINES:])):
            weight = 2.0 if back == 0 else 1.2 if back < 4 else 0.7 if back < 12 else 0.4
            for word in words(line):
                weights[word] = max(weights.get(word, 0.0), weight)
        for ahead, line in enumerate(self.query.suffix.split("\n")[:_WEIGHED_AFTER]):
            for word in words(line):
                weights[word] = max(weights.get(word, 0.0), 0.8 if ahead < 3 else 0.4)
        return weights

    @cached_property
    def scores(self) -> dict[int, float]:
        """Passages by the place's words that they hold."""
        return self.stock.postings.scores(self.weights, max(200, len(self.stock.files) * 2))

    @cached_property
    def perfect(self) -> float:
        """What a passage would score that holds all of them."""
        rarity = self.stock.postings.rarity
        return sum(weight * rarity(word) for word, weight in self.weights.items()) or 1.0


def parts_of(name: str) -> list[str]:
    """The words that a name is put together of, in small letters.

    >>> parts_of("HTTPServer_v2start")
    ['http', 'server', 'start']
    """
    return [part.lower().removesuffix("s")[:6] for part in _PART.findall(name)]


_PART = re.compile(r"[A-Z]+(?![a-z])(?<=..)|[A-Z][a-z]+|[a-z]{2,}")
