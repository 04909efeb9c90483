"""One completion for a command: from `FILE:LINE:COL` to the engine's answer, without an editor."""

from __future__ import annotations

import contextlib
import re
import sys
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping
from contextlib import asynccontextmanager, closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from qwen_lsp.cli.commands import MistakeError
from qwen_lsp.core.languages import language_of
from qwen_lsp.core.model import Notice, Outcome, Request, Skip, Snapshot, Trigger
from qwen_lsp.core.text import split

if TYPE_CHECKING:
    from qwen_lsp.backend.backend import ModelBackend
    from qwen_lsp.core.config import Settings
    from qwen_lsp.engine.engine import Engine
    from qwen_lsp.engine.ports import Sources
    from qwen_lsp.engine.tally import Tally
    from qwen_lsp.workspace.workspace import Workspace


PATIENCE = 10.0
"""Seconds that a command waits for a repository to be read."""


class TargetError(MistakeError):
    """What a person asked for can't be completed."""


def target(text: str, read: Callable[[str], bytes], *, language: str = "") -> Request:
    """The request that `FILE:LINE:COL` means: line and column from 1, the column in characters, before which to write.

    Without a column it is the end of the line. `read` gives a file's bytes; the name `-` is standard input. `language`
    is the language's LSP id, where the name does not tell it.

    Raises:
        TargetError: the place is not in the file, or the file is none to complete in.
    """
    text = text.strip()
    name, line, column = _parts(text)
    if not line or column == 0:
        raise TargetError(f"{text}: lines and columns count from 1")
    lines = tuple(split(_content(name, read)))
    if line > len(lines):
        raise TargetError(f"{text}: the file has {len(lines)} lines")
    width = len(lines[line - 1].rstrip("\r\n"))
    column = width + 1 if column is None else column
    if column > width + 1:
        raise TargetError(f"{text}: line {line} has {width} characters; give a column from 1 to {width + 1}")
    uri = "untitled:stdin" if name == "-" else Path(name).resolve().as_uri()
    return Request(Snapshot(uri, language or language_of(name), 0, lines), line - 1, column - 1, Trigger.INVOKED)


def read_file(name: str) -> bytes:
    """A file's bytes, or standard input's."""
    return sys.stdin.buffer.read() if name == "-" else Path(name).read_bytes()


def silence(skip: Skip) -> str:
    """That there is nothing, and why, as `qwen-lsp why` says it too."""
    from qwen_lsp.engine.journal import Entry

    return f"nothing to show ({skip.reason.value}): {Entry('', '', skip, 0.0).text}"


def tell(notices: Iterable[Notice], outcome: Outcome) -> None:
    """Prints what the engine had to tell, each thing once, but for what the outcome says anyway."""
    said = outcome.detail if isinstance(outcome, Skip) else ""
    for text in dict.fromkeys(notice.text for notice in notices):
        if text != said:
            print(f"qwen-lsp: {text}", file=sys.stderr)


@asynccontextmanager
async def engine_for(
    settings: Settings, env: Mapping[str, str], sources: Sources | None, on_notice: Callable[[Notice], None]
) -> AsyncIterator[tuple[Engine, ModelBackend]]:
    """An engine and its backend for one command. A running embedded model is left on for the next one.

    What it takes is counted in the ledger.
    """
    from qwen_lsp.backend.backend import ModelBackend
    from qwen_lsp.cli.paths import cache_dir, state_dir
    from qwen_lsp.engine.engine import Engine

    backend = ModelBackend(
        settings, env, state_dir=state_dir(env), cache_dir=cache_dir(env), on_notice=lambda _notice: None
    )
    with counting(settings, env) as tally:
        engine = Engine(backend, settings, sources=sources, on_notice=on_notice, on_spent=tally.spent)
        try:
            yield engine, backend
        finally:
            await engine.close(linger=True)


@contextmanager
def counting(settings: Settings, env: Mapping[str, str]) -> Iterator[Tally]:
    """What one command adds to the ledger; written, within a second, when it is over."""
    from qwen_lsp.cli.paths import ledger_file
    from qwen_lsp.engine.tally import Tally
    from qwen_lsp.usage.ledger import Ledger

    tally = Tally(Ledger(ledger_file(env)))
    tally.prices = settings.prices
    with closing(tally):
        yield tally


@asynccontextmanager
async def workspace_of(snapshot: Snapshot, settings: Settings) -> AsyncIterator[Workspace | None]:
    """The repository that a file lies in; None for what is no file. Without one, the current directory or the file's.

    Where snippets are wanted it is read, as far as `PATIENCE` allows; its rules for what is never sent always hold.
    """
    import asyncio

    from qwen_lsp.workspace.places import path_of
    from qwen_lsp.workspace.workspace import Workspace

    if not snapshot.uri.startswith("file:"):
        yield None
        return
    path, here = Path(path_of(snapshot.uri)), Path.cwd()
    usual = here if path.is_relative_to(here) else path.parent
    workspace = Workspace(snippets=settings.snippets)
    workspace.exclude(settings.exclude)
    try:
        workspace.folders([str(next((up for up in path.parents if (up / ".git").exists()), usual))])
        workspace.opened(snapshot)
        if settings.snippets:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(PATIENCE):
                    await workspace.ready()
        yield workspace
    finally:
        workspace.close()


def _parts(text: str) -> tuple[str, int, int | None]:
    parts = re.fullmatch(r"(.+?):(\d+)(?::(\d+))?", text, re.ASCII | re.DOTALL)
    if parts is None:
        raise TargetError(
            f"{text}: expected FILE:LINE:COL, such as src/app.py:12:5, or FILE:LINE for the end of a line "
            "(- is standard input)"
        )
    name, line, column = parts.groups()
    return name, int(line), None if column is None else int(column)


def _content(name: str, read: Callable[[str], bytes]) -> str:
    try:
        content = read(name)
    except OSError as error:
        raise TargetError(f"{name}: can't be read ({error.strerror})") from None
    if b"\0" in content:
        raise TargetError(f"{name}: holds NUL bytes; it is not a text file")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise TargetError(f"{name}: is not UTF-8 text; save it as UTF-8") from None
