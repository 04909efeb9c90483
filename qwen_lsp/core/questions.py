"""The questions that a service is asked, and what its answers show. Pure.

The questions have one right answer each that is short, and that a model can only find by doing what is looked at.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from qwen_lsp.core.model import Prompt, Route, Usage
from qwen_lsp.core.prompt import SERVER_STOPS, fim_text, partial_messages
from qwen_lsp.core.tokens import estimate

_HARBOUR = "4711"
_FENCE = re.compile(r"^\s*(```|~~~)", re.MULTILINE)
_TOKEN = re.compile(r"<\|[A-Za-z0-9_]{1,40}\|>")
_PROSE = re.compile(
    r"^\s*(sure|certainly|here(?:'s| is| are)|the (?:answer|code|completed)|to complete|i )\b", re.IGNORECASE
)


@dataclass(frozen=True, slots=True)
class Heard:
    """An answer: its text as it was written, and when its pieces came, in seconds after it was asked for."""

    text: str = ""
    times: tuple[float, ...] = ()
    finish: str | None = None
    usage: Usage | None = None

    @property
    def tokens(self) -> int:
        """What the model wrote, as the service counts; else a token a piece, as most services send them."""
        return self.usage.completion if self.usage else len(self.times)

    @property
    def per_second(self) -> float | None:
        """Tokens a second after the first; None where too few came to tell."""
        if len(self.times) < 2 or self.tokens < 8 or self.times[-1] - self.times[0] < 1e-3:
            return None
        return (self.tokens - 1) / (self.times[-1] - self.times[0])


def _prompt(prefix: str, suffix: str, most: int, stop: tuple[str, ...] = SERVER_STOPS) -> Prompt:
    return Prompt(prefix, suffix, "python", "check.py", max_tokens=most, temperature=0.0, stop=stop)


FIM = _prompt("harbour = ", f"\n\n\nassert harbour == {_HARBOUR}\n", 12)
"""Only what follows the cursor says which number it is."""
PARTIAL = _prompt('def add(a, b):\n    """The sum of a and b."""\n    return a', "", 12)
"""Who continues goes on with an operator; who begins anew does not."""
_COUNTING = "# The numbers from 1 to 100.\nnumbers = [1, 2, 3, 4, 5,"
COUNT = _prompt(_COUNTING, "\n\nprint(numbers)\n", 28)
"""An answer of some length."""
LONG_COUNT = _prompt(_COUNTING, COUNT.suffix, 48)
"""An answer that is long enough to be ended by us."""

STOP = ", 9"
FOUR_STOPS = _prompt(COUNT.prefix, COUNT.suffix, 24, ("<|endoftext|>", "<|fim_pad|>", "\nclass ", STOP))
"""The fourth of them is the one that would show."""
ONE_STOP = _prompt(COUNT.prefix, COUNT.suffix, 24, (STOP,))

REPEATED = _prompt("".join(f"def number_{n}():\n    return {n}\n\n\n" for n in range(1, 24)), "\n\nprint(1)\n", 1)
"""The prompt that is sent twice: DashScope's context cache begins at 256 tokens by some of its documents."""


def opening(route: Route) -> Prompt:
    """The first question, which tells at the same time whether the route works."""
    return FIM if route is Route.FIM else PARTIAL


def works(route: Route, text: str) -> bool:
    """Whether the answer to the route's `opening` is right."""
    return fills_in(text) if route is Route.FIM else continues(text)


def cost(prompt: Prompt, route: Route) -> int:
    """The most tokens that asking can cost; on the safe side of the estimate's error."""
    texts = (each["content"] for each in partial_messages(prompt)) if route is Route.PARTIAL else (fim_text(prompt),)
    return round(1.15 * sum(estimate(text) + 8 for text in texts)) + prompt.max_tokens


@dataclass(frozen=True, slots=True)
class Form:
    """What is wrong with the form of an answer."""

    leaks: bool
    """Control tokens."""
    echoes: bool
    """It begins with what stands before the cursor."""
    fences: bool
    """A markdown fence, or sentences."""

    @property
    def faults(self) -> str:
        """In words; empty for an answer without fault."""
        named = (
            (self.leaks, "control tokens in it"),
            (self.echoes, "what stands before the cursor again"),
            (self.fences, "a markdown fence or sentences around the code"),
        )
        return ", ".join(words for there, words in named if there)


def form(prompt: Prompt, text: str) -> Form:
    """What there is to say against an answer's form."""
    head = text.strip()
    lines = [line.strip() for line in prompt.prefix.splitlines()]
    echo = any(len(line) > 5 and head.startswith(line) for line in (lines[0], lines[-1]))
    return Form(bool(_TOKEN.search(text)), echo, bool(_FENCE.search(text) or _PROSE.match(text)))


def fills_in(text: str) -> bool:
    """The answer to `FIM` fits what follows the cursor."""
    return re.match(rf"{_HARBOUR}\b", _TOKEN.sub("", text).strip()) is not None


def continues(text: str) -> bool:
    """The answer to `PARTIAL` goes on where it ended."""
    return _TOKEN.sub("", text).lstrip().startswith("+ b")


def counts(text: str) -> bool:
    """The answer to `COUNT` and its like counts on, so that what it lacks is telling."""
    return text.lstrip().startswith("6, 7")


def stopped(heard: Heard) -> bool | None:
    """Whether the answer ended at the stop string; None where it never came to it."""
    if not counts(heard.text):
        return None
    if STOP in heard.text:
        # Some servers leave the stop string in (SGLang's no_stop_trim); they did stop.
        return heard.text.rstrip().endswith(STOP) and heard.finish != "length"
    return True if "8" in heard.text and heard.finish != "length" else None
