"""The real server with an item: the item's workspace and documents, one request, and what came of it."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tests
from tests.bench.client import Client, Reply
from tests.bench.session import INLINE, INVOKED
from tests.eval.items import Item, position
from tests.eval.places import Place

ROOT = Path(tests.__file__).resolve().parent.parent
GREETING = 60.0
ANSWERING = 300.0
INDEXING = 180.0
_INDEXED = b"indexed files="
_PIECES = re.compile(r"ends pieces=(\d+)")
_LANGUAGES = {".cs": "csharp", ".java": "java", ".py": "python", ".ts": "typescript", ".tsx": "typescriptreact"}


class Editor(Client):
    """A client that also hears when the workspace has been read."""

    def __init__(self, settings: Mapping[str, Any] | None = None) -> None:
        super().__init__(settings)
        self.log = b""
        """Standard error since this was last emptied."""
        self._indexed = asyncio.Event()

    def pipe_data_received(self, fd: int, data: bytes) -> None:
        super().pipe_data_received(fd, data)
        if fd == 2:
            self.log += data
            if _INDEXED in self.log:
                self._indexed.set()

    def process_exited(self) -> None:
        super().process_exited()
        self._indexed.set()  # nothing more will be

    async def stop(self) -> None:
        if self._ended.is_set():
            self._transport.close()
        else:
            await super().stop()

    async def asked(self, method: str, params: object, patience: float) -> tuple[Any, float]:
        """A reply's result and the milliseconds it took.

        Raises:
            RuntimeError: an error, or nothing, came.
        """
        reply = await self._replied(method, params, patience)
        if not reply.got or reply.error:
            last = self.stderr.decode(errors="replace").strip().rpartition("\n")[2]
            raise RuntimeError(f"{method}: {reply.error or 'no reply'}; its last word was: {last}")
        return reply.result, 1000 * (reply.got - reply.sent)

    async def caught_up(self) -> None:
        """Waits until the server has read all it was sent, and its log of that is here. It greets before it is up."""
        await self._replied("evaluation/areYouThere", {}, GREETING)

    async def indexed(self) -> None:
        """Waits until the server says that it has read the workspace.

        Raises:
            RuntimeError: it does not.
        """
        try:
            async with asyncio.timeout(INDEXING):
                await self._indexed.wait()
        except TimeoutError:
            raise RuntimeError("the workspace was not read in time") from None

    async def _replied(self, method: str, params: object, patience: float) -> Reply:
        """A reply, or what became of the request instead."""
        reply = self.request(method, params)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(patience):
                await reply.came.wait()
        return reply


@dataclass(frozen=True, slots=True)
class Said:
    """What the server answered. `item` is an InlineCompletionItem or None."""

    item: Mapping[str, Any] | None
    encoding: str
    asked: float
    """time.monotonic() of the request."""
    ms: float
    log: tuple[str, ...]
    """Its lines on standard error since the document was opened."""

    @property
    def pieces(self) -> int | None:
        """Pieces of the model's streams it has looked at; None when it does not say."""
        counts = [int(count) for line in self.log for count in _PIECES.findall(line)]
        return sum(counts) if counts else None


class Server:
    """A greeted server in its editor."""

    def __init__(self, editor: Editor, encoding: str, root: Path) -> None:
        self._editor, self._encoding, self._root = editor, encoding, root

    async def complete(self, item: Item, where: Place, *, wait: bool) -> Said:
        """One completion at the item's cursor, with `wait` once the workspace has been read.

        Nothing of the item is open afterwards, and its folder is none of the workspace if another was greeted.

        Raises:
            RuntimeError: it did not answer.
        """
        editor = self._editor
        editor.log = b""
        if where.root != self._root:
            self._move(added=[where.root])
        documents = [(path, _LANGUAGES.get(path.suffix, item.language), text) for path, text in where.others.items()]
        for path, language, text in [*documents, (where.file, item.language, item.prefix + item.suffix)]:
            opened = {"uri": path.as_uri(), "languageId": language, "version": 1, "text": text}
            editor.notify("textDocument/didOpen", {"textDocument": opened})
        await editor.caught_up()
        if wait:
            await editor.indexed()
        params = {
            "textDocument": {"uri": where.file.as_uri()},
            "position": position(item.prefix, self._encoding),
            "context": {"triggerKind": INVOKED},
        }
        asked = time.monotonic()
        result, ms = await editor.asked(INLINE, params, ANSWERING)
        for path in (*where.others, where.file):
            editor.notify("textDocument/didClose", {"textDocument": {"uri": path.as_uri()}})
        if where.root != self._root:
            self._move(removed=[where.root])
        await editor.caught_up()
        found = result.get("items") if isinstance(result, Mapping) else result
        log = editor.log.decode(errors="replace").splitlines()
        return Said(found[0] if found else None, self._encoding, asked, ms, tuple(log))

    def _move(self, added: Sequence[Path] = (), removed: Sequence[Path] = ()) -> None:
        event = {"added": [_folder(path) for path in added], "removed": [_folder(path) for path in removed]}
        self._editor.notify("workspace/didChangeWorkspaceFolders", {"event": event})


@contextlib.asynccontextmanager
async def serving(settings: Mapping[str, Any], encoding: str, root: Path | None) -> AsyncIterator[Server]:
    """A new server with a HOME of its own, none of this environment's settings, and a workspace.

    Raises:
        RuntimeError: it did not answer.
    """
    with tempfile.TemporaryDirectory(prefix="eval-home-", ignore_cleanup_errors=True) as home:
        root = root or Path(home) / "nothing"
        env = {name: os.environ[name] for name in ("PATH", "LANG", "SYSTEMROOT") if name in os.environ}
        env |= {"HOME": home, "PYTHONPATH": str(ROOT), "QWEN_LSP_PROBE": "false"}
        command = (sys.executable, "-m", "qwen_lsp", "serve")
        editor = await Editor.start(command, env, Path(home), settings)
        assert isinstance(editor, Editor)
        try:
            greeting, _ = await editor.asked("initialize", _greeting(root, settings, encoding), GREETING)
            editor.notify("initialized", {})
            yield Server(editor, greeting["capabilities"].get("positionEncoding", "utf-16"), root)
        finally:
            await editor.stop()


def _folder(path: Path) -> dict[str, str]:
    return {"uri": path.as_uri(), "name": path.name}


def _greeting(root: Path, settings: Mapping[str, Any], encoding: str) -> dict[str, Any]:
    return {
        "processId": os.getpid(),
        "clientInfo": {"name": "evaluation", "version": "1"},
        "rootUri": root.as_uri(),
        "workspaceFolders": [_folder(root)],
        "initializationOptions": settings,
        "capabilities": {
            "general": {"positionEncodings": [encoding]},
            "window": {"workDoneProgress": True},
            "workspace": {"configuration": True, "workspaceFolders": True},
            "textDocument": {"synchronization": {"didSave": True}, "inlineCompletion": {"dynamicRegistration": False}},
        },
    }
