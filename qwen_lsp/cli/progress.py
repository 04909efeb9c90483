"""A progress bar on standard error: name, bytes and speed, or a count of things, and the time left.

On a terminal one line that is redrawn; elsewhere a plain line every ten seconds, so that logs stay readable.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from typing import TextIO

REDRAW = 0.1
PLAIN = 10.0
WIDTH = 24
CLEAR = "\r\x1b[K"


def is_terminal(stream: TextIO, env: Mapping[str, str]) -> bool:
    """Whether a line there can be drawn anew: not in a file, nor where `TERM` says so, as an editor's shell does."""
    return stream.isatty() and env.get("TERM") != "dumb"


def is_colourful(stream: TextIO, env: Mapping[str, str]) -> bool:
    """Whether colours are understood there, and wanted (no-color.org)."""
    return is_terminal(stream, env) and not env.get("NO_COLOR")


class Progress:
    """Call it with the bytes that are there and those there will be, as often as you like.

    With a `unit` what is counted are such things: "12 of 60 holes".
    """

    def __init__(
        self,
        name: str,
        stream: TextIO,
        clock: Callable[[], float] = time.monotonic,
        *,
        unit: str = "",
        env: Mapping[str, str] = os.environ,
    ) -> None:
        self._unit = unit
        self._name = name
        self._stream = stream
        self._clock = clock
        self._terminal = is_terminal(stream, env)
        self._every = REDRAW if self._terminal else PLAIN
        self._begun: tuple[float, int] | None = None
        self._shown_at = clock()

    def __call__(self, done: int, total: int) -> None:
        """Shows the state, unless it was shown a moment ago."""
        now = self._clock()
        if self._begun is None or done < self._begun[1]:
            self._begun = (now, done)  # what was there before does not count for the speed
        if now - self._shown_at < self._every and done < total:
            return
        self._shown_at = now
        line = self._line(now, done, total)
        self._stream.write(f"{CLEAR}{line}" if self._terminal else f"{line}\n")
        self._stream.flush()

    def note(self, text: str) -> None:
        """A line of its own, above the bar."""
        self._stream.write(f"{CLEAR if self._terminal else ''}{text}\n")
        self._stream.flush()

    def close(self) -> None:
        """Takes the bar away."""
        if self._terminal:
            self._stream.write(CLEAR)
            self._stream.flush()

    def _line(self, now: float, done: int, total: int) -> str:
        began, there = self._begun or (now, done)
        speed = (done - there) / (now - began) if now > began else 0.0
        left = f", {_span((total - done) / speed)} left" if speed > 0 and done < total else ""
        numbers = f"{done / 1e6:.0f} of {total / 1e6:.0f} MB, {speed / 1e6:.1f} MB/s"
        numbers = (f"{done} of {total} {self._unit}" if self._unit else numbers) + left
        if not self._terminal:
            return f"{self._name}: {numbers}"
        filled = WIDTH * done // max(total, 1)
        return f"{self._name} [{'#' * filled}{'.' * (WIDTH - filled)}] {numbers}"


def _span(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02d} s" if minutes else f"{rest} s"
