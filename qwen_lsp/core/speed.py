"""How fast a service reads prompts: what it has shown, in steps, so that nothing follows from noise. Knows no clock."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from qwen_lsp.core.tokens import stepped

TELLING = 64
"""Tokens read anew from which on the time to the first token is mostly reading."""
SAMPLES = 5
_STEP = 2**0.5


@dataclass(slots=True)
class Speed:
    """The last flights of one service. Other work on the machine makes single ones slow: the median counts."""

    shown: float | None = None
    """Tokens a second, in steps of a factor of 1.4; None while nothing is known."""
    _samples: deque[float] = field(default_factory=lambda: deque(maxlen=SAMPLES))

    def heard(self, tokens: float, seconds: float) -> None:
        """A prompt of which this many tokens had to be read had its first answer after this long; few say nothing."""
        if tokens < TELLING or seconds <= 0:
            return
        self._samples.append(tokens / seconds)
        usual = sorted(self._samples)[len(self._samples) // 2]
        self.shown = stepped(usual, _STEP, self.shown)
