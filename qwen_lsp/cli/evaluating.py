"""The work behind `qwen-lsp eval`: the files that are evaluated, the engines that are asked, and the asking itself.

Asks a person before anything is spent, shows how far it is, and keeps what is done when it is stopped.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import AsyncExitStack, closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from qwen_lsp.cli.commands import MistakeError

if TYPE_CHECKING:
    from qwen_lsp.core.config import Settings
    from qwen_lsp.core.model import Notice, Service
    from qwen_lsp.evaluation.hole import Hole
    from qwen_lsp.evaluation.rows import Row
    from qwen_lsp.evaluation.run import Pipeline
    from qwen_lsp.workspace.workspace import Workspace


class DeclinedError(Exception):
    """The person does not want to spend that."""


@dataclass(frozen=True, slots=True)
class Tree:
    """The files that are evaluated: where they lie, and how they are listed and read."""

    root: Path
    sizes: dict[str, int]
    read: Callable[[str], str | None]


@dataclass(frozen=True, slots=True)
class Opened:
    """One configuration, ready to be asked."""

    settings: Settings
    service: Service
    workspace: Workspace
    pipeline: Pipeline


@dataclass(slots=True)
class Work:
    """What is to be done, and what of it is done."""

    options: argparse.Namespace
    tree: Tree
    holes: Sequence[Hole]
    opened: list[Opened] = field(default_factory=list)
    rows: list[Sequence[Row]] = field(default_factory=list)
    notices: list[Notice] = field(default_factory=list)
    """What the engines had to tell; the same may come again and again."""
    interrupted: bool = False
    error: str = ""


def tree_at(given: str) -> Tree:
    """The files at a path."""
    from qwen_lsp.core.gate import is_private
    from qwen_lsp.workspace.files import find, read
    from qwen_lsp.workspace.ignore import Rules
    from qwen_lsp.workspace.places import folders_of

    path = Path(given).expanduser().resolve()
    if not path.exists():
        raise MistakeError(f"{given}: there is nothing there; give a folder or a file of yours")
    root = path if path.is_dir() else path.parent
    (folder,) = folders_of([root.as_posix()], "")
    if path.is_dir():
        sizes = {found.path: found.size for found in find(folder, Rules())}
    else:
        sizes = {} if is_private(path.as_uri()) else {path.name: path.stat().st_size}
    return Tree(root, sizes, lambda name: read(folder, name))


def evaluate(work: Work, settings: Sequence[Settings]) -> None:
    """Fills the holes; what is done stands in `work`, however this ends.

    Raises:
        BackendError: there is nobody to ask.
        MistakeError, DeclinedError: nothing was asked.
    """
    import asyncio

    stack = AsyncExitStack()
    with asyncio.Runner() as runner:
        try:
            work.opened = runner.run(_opened(stack, work.tree.root, settings, work.notices))
            _confirm(work)  # between two runs: while the loop runs, Ctrl-C would not reach the question
            runner.run(_complete(work))
        except KeyboardInterrupt:
            work.interrupted = True
        finally:
            runner.run(stack.aclose())


async def _opened(
    stack: AsyncExitStack, root: Path, settings: Sequence[Settings], notices: list[Notice]
) -> list[Opened]:
    """An engine for each configuration, with somebody to ask behind it, and the project around the files."""
    from qwen_lsp.cli.asking import engine_for
    from qwen_lsp.core.prices import price
    from qwen_lsp.evaluation.run import Pipeline

    workspaces: dict[tuple[bool, tuple[str, ...]], Workspace] = {}
    found = []
    for each in settings:
        seen = (each.snippets, tuple(each.exclude))
        if seen not in workspaces:
            workspaces[seen] = stack.enter_context(closing(_workspace(root, each)))
        workspace = workspaces[seen]
        engine, backend = await stack.enter_async_context(engine_for(each, os.environ, workspace, notices.append))
        service = await backend.service()
        found.append(Opened(each, service, workspace, Pipeline(engine, price(service, each.prices), workspace)))
    return found


async def _read(workspace: Workspace) -> None:
    """Waits until the project is read, and shows how far that is."""
    from qwen_lsp.cli.progress import Progress

    progress = Progress("reading", sys.stderr, unit="files")
    workspace.on_progress = progress
    await workspace.ready()
    workspace.on_progress = lambda _done, _total: None
    progress.close()


def _workspace(root: Path, settings: Settings) -> Workspace:
    """What an editor would have open: the repository that the files lie in, or else their folder."""
    from qwen_lsp.workspace.workspace import Workspace

    workspace = Workspace(snippets=settings.snippets)
    workspace.exclude(settings.exclude)
    workspace.folders([str(next((up for up in (root, *root.parents) if (up / ".git").exists()), root))])
    return workspace


def _confirm(work: Work) -> None:
    """Asks before anything is spent.

    Raises:
        MistakeError: there is nobody to ask.
        DeclinedError: the answer is no.
    """
    from qwen_lsp.core.prices import is_paid
    from qwen_lsp.evaluation.estimate import estimate, question

    paid = [opened for opened in work.opened if is_paid(opened.service)]
    if work.options.yes or not paid:
        return
    for opened in paid:
        found = estimate(work.holes, opened.settings, opened.service)
        print(question(found, len(work.holes), opened.service), file=sys.stderr)
    if not (sys.stdin and sys.stdin.isatty()):
        raise MistakeError(
            "this asks a paid provider, and there is no terminal to confirm it at; add --yes to go ahead"
        )
    print("Go on? [y/N] ", end="", file=sys.stderr, flush=True)
    if sys.stdin.readline().strip().lower() not in {"y", "yes"}:
        raise DeclinedError


async def _complete(work: Work) -> None:
    """Fills the holes, with a progress bar; a provider that does not answer ends it, and is told in `work`."""
    import asyncio

    from qwen_lsp.cli.progress import Progress
    from qwen_lsp.evaluation.run import ProviderError, complete

    for workspace in {id(opened.workspace): opened.workspace for opened in work.opened}.values():
        await _read(workspace)
    progress = Progress("eval", sys.stderr, unit="holes")
    with _details(work.options.details) as details:

        def done(rows: Sequence[Row]) -> None:
            work.rows.append(rows)
            details(rows)
            progress(len(work.rows), len(work.holes))

        progress(0, len(work.holes))
        try:
            await complete(
                work.holes,
                [opened.pipeline for opened in work.opened],
                uri=lambda hole: (work.tree.root / hole.path).as_uri(),
                on_rows=done,
                sleep=asyncio.sleep,
            )
        except ProviderError as error:
            work.error = str(error)
        finally:
            progress.close()


@contextmanager
def _details(path: Path | None) -> Iterator[Callable[[Sequence[Row]], None]]:
    """Writes rows as they come, so that nothing is lost however the run ends."""
    from qwen_lsp.evaluation.rows import as_json

    if path is None:
        yield lambda _rows: None
        return
    with path.open("w", encoding="utf-8") as file:

        def write(rows: Sequence[Row]) -> None:
            for letter, row in zip("AB", rows, strict=False):
                named = {"configuration": letter} if len(rows) > 1 else {}
                file.write(json.dumps(named | as_json(row, text=True), ensure_ascii=False) + "\n")
            file.flush()

        yield write
