"""`qwen-lsp try`: see a real completion, in colour, with nothing set up.

Without a provider it fetches the embedded model, after saying what and how big; never in place of what was asked for.
Exit status 0 only if text came.
"""

from __future__ import annotations

import argparse
import os
import sys
from contextlib import AsyncExitStack, suppress
from typing import TYPE_CHECKING, Self, TextIO

from qwen_lsp.cli import config
from qwen_lsp.cli.commands import Commands, settings_for
from qwen_lsp.cli.progress import CLEAR, is_colourful, is_terminal

if TYPE_CHECKING:
    from qwen_lsp.core.config import Settings
    from qwen_lsp.core.model import BackendError, Notice, Request, Service
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
    parser.add_argument(
        "target",
        nargs="?",
        metavar="FILE:LINE[:COL]",
        help="a place in your file, or a line's end; without it, a sample",
    )
    config.add_options(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Asks once and prints while the answer streams."""
    import asyncio

    from qwen_lsp.cli.asking import read_file, target
    from qwen_lsp.core.config import replaced

    settings, problems = settings_for(options, os.environ)
    for problem in problems:
        print(f"qwen-lsp: {problem}", file=sys.stderr)
    request = target(options.target, read_file) if options.target else sample()
    return asyncio.run(_try(request, replaced(settings, candidates=1)))


def sample() -> Request:
    """The bundled sample with its cursor."""
    from qwen_lsp.core.model import Request, Snapshot, Trigger
    from qwen_lsp.core.text import split

    before, _, after = SAMPLE.partition("█")
    row, column = before.count("\n"), len(before.rpartition("\n")[2])
    lines = tuple(split(before + after))
    return Request(Snapshot("untitled:inventory.py", "python", 0, lines), row, column, Trigger.INVOKED)


async def _try(request: Request, settings: Settings) -> int:
    from qwen_lsp.core.config import replaced
    from qwen_lsp.core.model import BackendError

    try:
        try:
            return await _show(request, settings)
        except BackendError as error:
            if not fetching_helps(error, settings):
                raise
            if settings.provider == "auto" and not settings.model:
                print("No provider is set up: trying the embedded model, which needs no key.", file=sys.stderr)
            fetch(error.lacks)
            return await _show(request, replaced(settings, provider="local"))
    except BackendError as error:
        print(f"qwen-lsp: {error.message}", file=sys.stderr)
        return 1


def fetching_helps(error: BackendError, settings: Settings) -> bool:
    """Whether the embedded model is what was asked for, or nothing was, and all that it lacks are its weights.

    Not where nothing may be asked of other machines: `qwen-lsp model pull` is there for who wants it all the same.
    """
    from qwen_lsp.backend import weights

    if (
        not error.lacks
        or settings.local_only
        or settings.base_url.strip()
        or settings.provider not in {"auto", "local"}
    ):
        return False
    return not settings.model or weights.known(settings.model) is not None


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

    wanted = weights.known(name)
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
    from qwen_lsp.cli.asking import engine_for, tell, workspace_of
    from qwen_lsp.core.model import Ghost

    notices: list[Notice] = []
    async with AsyncExitStack() as stack:
        sources = await stack.enter_async_context(workspace_of(request.snapshot, settings))
        engine, backend = await stack.enter_async_context(engine_for(settings, os.environ, sources, notices.append))
        redrawn = is_terminal(sys.stderr, os.environ)
        if redrawn:
            print("Waking the model …", end="", file=sys.stderr, flush=True)
        try:
            service = await backend.service()
        finally:
            print(CLEAR if redrawn else "", end="", file=sys.stderr, flush=True)
        with Screen(request, sys.stdout) as screen:
            answer = await engine.complete(request, on_text=screen.grow)
            screen.end(answer)
    print(summary(answer, service), file=sys.stderr)
    # Not before: they would stand amid the code.
    tell(notices, answer.outcome)
    return 0 if isinstance(answer.outcome, Ghost) else 1


class Screen:
    """Prints the lines around the cursor, and the ghost text between them as it grows.

    As a context: what stands before the cursor is printed first, and the terminal has its own colours again at the end.
    """

    AROUND = 12
    """Lines shown before and after the cursor's."""

    def __init__(self, request: Request, out: TextIO) -> None:
        lines, row, column = request.snapshot.lines, request.line, request.column
        self._before = "".join(lines[max(0, row - self.AROUND) : row]) + lines[row][:column]
        self._after = lines[row][column:] + "".join(lines[row + 1 : row + 1 + self.AROUND])
        self._out = out
        self._colour = is_colourful(out, os.environ)
        self._shown = ""
        self._open = False
        """Whether what is written now is ghost text."""

    def __enter__(self) -> Self:
        self._write(self._before.replace("\r\n", "\n"))
        self._open_ghost()
        return self

    def __exit__(self, *_: object) -> None:
        with suppress(OSError):
            self._close_ghost()

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
            self._close_ghost()
            self._write("\n(cut and polished:)\n")
            self._open_ghost()
            self._write(final)
        self._close_ghost()
        self._write(self._after[max(covered, 0) :].replace("\r\n", "\n").rstrip("\n") + "\n\n")

    def _open_ghost(self) -> None:
        self._open = True
        self._write(GHOST if self._colour else "⟦")

    def _close_ghost(self) -> None:
        if self._open:
            self._open = False
            self._write(PLAIN if self._colour else "⟧")

    def _write(self, text: str) -> None:
        self._out.write(text)
        self._out.flush()


def summary(answer: Answer, service: Service) -> str:
    """Provider, model, route, time to first token, tokens and speed, on one line; or why there was no text."""
    from qwen_lsp.cli.asking import silence
    from qwen_lsp.core.model import Ghost

    record = answer.record
    parts = [f"{service.provider} · {service.model} · {ROUTES[service.route.value]}"]
    if record.flight and record.first_token_ms is not None and record.generation_ms is not None:
        tokens = record.flight.usage.completion if record.flight.usage else record.flight.pieces
        seconds = (record.generation_ms - record.first_token_ms) / 1000
        parts.append(f"first token after {record.first_token_ms / 1000:.2f} s")
        parts.append(f"{tokens} tokens" + (f", {tokens / seconds:.0f} a second" if seconds > 0.01 else ""))
    if not isinstance(answer.outcome, Ghost):
        parts.append(silence(answer.outcome))
    return " · ".join(parts)


ROUTES = {"fim": "FIM", "partial": "partial mode"}
