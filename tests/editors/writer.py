"""A model that knows what the person is about to write."""

from __future__ import annotations

import re
from collections.abc import Callable

from tests.fake_dashscope import Answer, Received

_PROMPT = re.compile(r"<\|fim_prefix\|>(.*)<\|fim_suffix\|>(.*)<\|fim_middle\|>", re.DOTALL)
_TAILS = (4000, 400, 120, 60, 30, 15)
"""How many code points before the cursor are looked for, at most; the more the surer."""


def writes(*texts: str) -> Callable[[Received], Answer]:
    """Answers a fill-in-the-middle prompt with what follows the cursor in one of these documents.

    Up to where the text after the cursor goes on in it; the whole rest where nothing follows. Says nothing at a place
    that is in none of them.
    """

    def answer(request: Received) -> Answer:
        found = _PROMPT.search(request.json["prompt"])
        assert found, "only a fill-in-the-middle prompt is understood here"
        prefix, suffix = found[1], found[2].strip()
        for size in _TAILS:
            for text in texts:
                tail = prefix[-size:]
                if text.count(tail) == 1:
                    rest = text.partition(tail)[2]
                    end = rest.find(suffix) if suffix else len(rest)
                    return Answer(_pieces(rest[: max(end, 0)]))
        return Answer("")

    return answer


def _pieces(text: str) -> list[str]:
    """Pieces about as long as tokens."""
    return re.findall(r"\s*\S{1,6}|\s+$", text) or [""]
