"""`qwen-lsp try`: see a real completion, in colour, with nothing set up.

Without a provider it fetches the embedded model, after saying what and how big. Exit status 0 only if text came.
"""

from __future__ import annotations

import argparse
import os
import sys
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, TextIO

from qwen_lsp.cli import config

if TYPE_CHECKING:
    from qwen_lsp.cli.commands import Commands
    from qwen_lsp.core.config import Settings
    from qwen_lsp.core.model import Request, Service
    from qwen_lsp.engine.record import Answer

SAMPLE = '''\
"""A small inventory."""

from dataclasses import dataclass, field


@dataclass
class Item:
    name: str
    price: float
    quantity: int = 0


@dataclass
class Inventory:
    items: dict[str, Item] = field(default_factory=dict)

    def add(self, item: Item) -> None:
        """Add an item; the same name again adds to its quantity."""
        if item.name in self.items:
            self.items[item.name].quantity += item.quantity
        else:
            self.items[item.name] = item

    def total(self) -> float:
        """The value of everything in stock."""
        █

    def names(self) -> list[str]:
        """All names in alphabetical order."""
        return sorted(self.items)
'''
"""`█` marks the cursor."""

GHOST, PLAIN = "\x1b[96m", "\x1b[0m"


def register(commands: Commands) -> None:
    """Adds the command."""
    parser = commands.add_parser(
        "try",
        help="show a completion in colour, on a sample or on your file",
        description="Shows a completion as it streams. Without any provider set up it fetches the embedded model.",
    )
    parser.add_argument("target", nargs="?", metavar="FILE:LINE:COL", help="your file; without it, a sample")
    config.add_options(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Asks once and prints while the answer streams."""
    import asyncio

    from msgspec.structs import replace

    from qwen_lsp.cli.asking import TargetError, read_file, target

    settings, problems = config.settings(options, os.environ)
    for problem in problems:
        print(f"qwen-lsp: {problem}", file=sys.stderr)
    try:
        request = target(options.target, read_file) if options.target else sample()
    except TargetError as error:
        print(f"qwen-lsp: {error}", file=sys.stderr)
        return 2
    return asyncio.run(_try(request, replace(settings, candidates=1)))


def sample() -> Request:
    """The bundled sample with its cursor."""
    from qwen_lsp.core.model import Request, Snapshot, Trigger
    from qwen_lsp.core.text import split

    before, _, after = SAMPLE.partition("█")
    row, column = before.count("\n"), len(before.rpartition("\n")[2])
    lines = tuple(split(before + after))
    return Request(Snapshot("untitled:inventory.py", "python", 0, lines), row, column, Trigger.INVOKED)


async def _try(request: Request, settings: Settings) -> int:
    from msgspec.structs import replace

    from qwen_lsp.core.model import BackendError, Kind

    try:
        if settings.provider == "local":
            fetch(settings.model)
        return await _show(request, settings)
    except BackendError as error:
        if settings.provider != "auto" or error.kind is not Kind.CONFIG:
            print(f"qwen-lsp: {error.message}", file=sys.stderr)
            return 1
    print("No provider is set up: trying the embedded model, which needs no key.", file=sys.stderr)
    return await _try(request, replace(settings, provider="local", model=""))


def fetch(name: str) -> None:
    """Fetches the weights of a name of ours, if they are not here; says which and how big they are.

    Raises:
        BackendError: kind MODEL: they can't be had.
    """
    from qwen_lsp.backend import weights
    from qwen_lsp.backend.download import pull
    from qwen_lsp.cli.paths import cache_dir
    from qwen_lsp.cli.progress import Progress
    from qwen_lsp.core.model import BackendError, Kind

    wanted = weights.known(name or weights.DEFAULT)
    cache = cache_dir(os.environ)
    if wanted is None or weights.find(wanted.name, cache):
        return
    print(f"Fetching {wanted.name}, {weights.gigabytes(wanted.size)}, once, to {cache}.", file=sys.stderr)
    progress = Progress(wanted.name, sys.stderr)
    try:
        pull(wanted.name, cache, on_progress=progress, on_note=progress.note)
    except weights.WeightsError as error:
        raise BackendError(Kind.MODEL, error.message) from None
    finally:
        progress.close()


async def _show(request: Request, settings: Settings) -> int:
    """Asks and prints as the answer streams. Raises BackendError when there is nobody to ask."""
    from qwen_lsp.cli.asking import engine_for, workspace_of
    from qwen_lsp.core.model import Ghost

    async with AsyncExitStack() as stack:
        sources = await stack.enter_async_context(workspace_of(request.snapshot, settings))
        engine, backend = await stack.enter_async_context(engine_for(settings, os.environ, sources))
        if sys.stderr.isatty():
            print("Waking the model …", end="\r", file=sys.stderr)
        service = await backend.service()
        screen = Screen(request, sys.stdout)
        screen.begin()
        answer = await engine.complete(request, on_text=screen.grow)
        screen.end(answer)
    print(summary(answer, service), file=sys.stderr)
    return 0 if isinstance(answer.outcome, Ghost) else 1


class Screen:
    """Prints the lines around the cursor, and the ghost text between them as it grows."""

    AROUND = 12
    """Lines shown before and after the cursor's."""

    def __init__(self, request: Request, out: TextIO) -> None:
        lines, row, column = request.snapshot.lines, request.line, request.column
        self._before = "".join(lines[max(0, row - self.AROUND) : row]) + lines[row][:column]
        self._after = lines[row][column:] + "".join(lines[row + 1 : row + 1 + self.AROUND])
        self._out = out
        self._colour = out.isatty() and not os.environ.get("NO_COLOR")
        self._shown = ""

    def begin(self) -> None:
        """What stands before the cursor."""
        self._write(self._before.replace("\r\n", "\n"))
        self._write(self._opening)

    def grow(self, text: str) -> None:
        """The ghost text so far: its first line as it grows, the others when they are whole.

        A line below the first may turn out to be one too many (core/stop.py), and paper can't be wiped.
        """
        if "\n" in text:
            text = text.rpartition("\n")[0].rstrip()
        if text.startswith(self._shown):
            self._write(text[len(self._shown) :])
            self._shown = text

    def end(self, answer: Answer) -> None:
        """The final ghost text, and what stands after the cursor."""
        from qwen_lsp.core.model import Ghost

        outcome = answer.outcome
        final = outcome.insert if isinstance(outcome, Ghost) else ""
        covered = 0
        if isinstance(outcome, Ghost):
            covered = outcome.end - len(self._before.rpartition("\n")[2])
        if final.startswith(self._shown):
            self._write(final[len(self._shown) :])
        else:
            self._write(f"{self._closing}\n(cut and polished:)\n{self._opening}{final}")
        self._write(self._closing)
        self._write(self._after[max(covered, 0) :].replace("\r\n", "\n").rstrip("\n") + "\n\n")

    @property
    def _opening(self) -> str:
        return GHOST if self._colour else "⟦"

    @property
    def _closing(self) -> str:
        return PLAIN if self._colour else "⟧"

    def _write(self, text: str) -> None:
        self._out.write(text)
        self._out.flush()


def summary(answer: Answer, service: Service) -> str:
    """Provider, model, route, time to first token, tokens and speed, on one line; or why there was no text."""
    from qwen_lsp.core.model import Ghost

    record = answer.record
    parts = [f"{service.provider} · {service.model} · {ROUTES[service.route.value]}"]
    if record.flight and record.first_token_ms is not None and record.generation_ms is not None:
        tokens = record.flight.usage.completion if record.flight.usage else record.flight.pieces
        seconds = (record.generation_ms - record.first_token_ms) / 1000
        parts.append(f"first token after {record.first_token_ms / 1000:.2f} s")
        parts.append(f"{tokens} tokens" + (f", {tokens / seconds:.0f} a second" if seconds > 0.01 else ""))
    if not isinstance(answer.outcome, Ghost):
        parts.append(f"nothing to show: {answer.outcome.reason.value} {answer.outcome.detail}".rstrip())
    return " · ".join(parts)


ROUTES = {"fim": "FIM", "partial": "partial mode"}
