"""A session in one process, with an engine that says what the test tells it, and an editor that the test plays."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from qwen_lsp.core.budget import Spent
from qwen_lsp.core.config import Settings
from qwen_lsp.core.counts import Key
from qwen_lsp.core.model import BackendError, Ghost, Kind, Notice, Outcome, Request, Snapshot
from qwen_lsp.core.status import Health
from qwen_lsp.engine.record import Answer, Record
from qwen_lsp.engine.tally import Tally
from qwen_lsp.lsp.server import build
from qwen_lsp.lsp.settings import Layers
from qwen_lsp.lsp.transport import FrameDecoder

URI = "file:///a.py"
INLINE, MENU = "textDocument/inlineCompletion", "textDocument/completion"
HELIX = {"clientInfo": {"name": "helix"}, "capabilities": {}}


class Engine:
    """Answers each request with `says(request)`, once `go` is set."""

    def __init__(self, settings: Settings, on_notice: Callable[[Notice], None]) -> None:
        self.settings, self.on_notice = settings, on_notice
        self.requests: list[Request] = []
        self.go = asyncio.Event()
        self.go.set()
        self.told: list[str] = []
        self.says: Callable[[Request], Outcome] = lambda request: ghost(request, "hello()")
        self.others: tuple[Ghost, ...] = ()
        self.is_well = Health(latency=0.2)
        self.on_starting: Callable[[], None] = lambda: None
        self.on_started: Callable[[], None] = lambda: None

    async def complete(self, request: Request) -> Answer:
        self.requests.append(request)
        await self.go.wait()
        return Answer(self.says(request), Record(time.monotonic), self.others)

    def accepted(self, uri: str) -> None:
        self.told.append(f"accepted {uri}")

    @property
    def health(self) -> Health:
        return self.is_well

    @property
    def spent(self) -> tuple[int, int]:
        return len(self.requests), 7

    def use(self, settings: Settings) -> None:
        self.settings = settings

    def closed(self, uri: str) -> None:
        self.told.append(f"closed {uri}")

    async def close(self, *, linger: bool = False) -> None:
        self.told.append("close, lingering" if linger else "close")


def ghost(request: Request, insert: str) -> Ghost:
    return Ghost(request.line, request.column, request.column, insert, insert)


class Follower:
    """Writes down what it is told."""

    watched = False

    def __init__(self) -> None:
        self.told: list[tuple[Any, ...]] = []
        self.on_progress: Callable[[int, int], None] = lambda _done, _total: None

    def folders(self, places: Iterable[str]) -> None:
        self.told.append(("folders", *places))

    def use(self, *, snippets: bool) -> None:
        self.told.append(("use", snippets))

    def exclude(self, patterns: Iterable[str]) -> None:
        self.excluded = list(patterns)

    def opened(self, snapshot: Snapshot, *, within: str = "") -> None:
        self.told.append(("opened", snapshot.uri, within))

    def changed(self, snapshot: Snapshot, line: int) -> None:
        self.told.append(("changed", snapshot.uri, "".join(snapshot.lines), line))

    def saved(self, uri: str) -> None:
        self.told.append(("saved", uri))

    def touched(self, uris: Iterable[str]) -> None:
        self.told.append(("touched", *uris))

    def closed(self, uri: str) -> None:
        self.told.append(("closed", uri))

    def asked(self, request: Request) -> None:
        self.told.append(("asked", request.line, request.column))

    def close(self) -> None:
        self.told.append(("close",))


class Board:
    """Writes down what it is told; nothing is the end."""

    def __init__(self, desk: Desk) -> None:
        self.desk = desk

    def tell(self, standing: Mapping[str, Any]) -> None:
        self.desk.standings.append(dict(standing))

    def close(self) -> None:
        self.desk.standings.append({})


class Desk:
    """A session; `sent` holds what the server has written."""

    def __init__(self, **options: Any) -> None:
        self.follower = Follower()
        self.engines: list[Engine] = []
        self.sent: list[dict[str, Any]] = []
        self.decoder = FrameDecoder()
        tally = Tally(self, lambda: "2026-11-22")
        self.standings: list[dict[str, Any]] = []
        self.counted: list[tuple[str, dict[str, float]]] = []
        self.fetching: Callable[[str, Callable[[int, int], None]], object] = lambda _name, _told: None
        self.server = build(  # type: ignore[arg-type]
            self.make,
            Layers(**options),
            self.follower,
            tally=tally,
            board=Board(self),
            models=self,
        )
        self.server.protocol.set_writer(self)  # type: ignore[arg-type]
        self.ids = 0

    def name(self, model: str) -> str:
        """As where weights come from: there is one whose name begins so."""
        if model and not "embedded-1.5b".endswith(model):
            raise BackendError(Kind.MODEL, f"there is no model {model!r}; choose one of embedded-1.5b")
        return "embedded-1.5b"

    def fetch(self, name: str, on_progress: Callable[[int, int], None]) -> None:
        """As above."""
        self.fetching(name, on_progress)

    def make(self, settings: Settings, on_notice: Callable[[Notice], None]) -> Engine:
        self.engines.append(Engine(settings, on_notice))
        return self.engines[-1]

    @property
    def engine(self) -> Engine:
        return self.engines[-1]

    def write(self, data: bytes) -> None:
        self.sent += map(json.loads, self.decoder.feed(data))

    def add(self, key: Key, *, ms: float | None = None, **counts: float) -> None:
        """As the ledger."""
        assert key.day == "2026-11-22"
        self.counted.append((key.language, counts))

    spent = Spent()

    def look(self, day: str) -> None:
        """As the ledger."""

    def close(self) -> None:
        """As the ledger."""

    def take(self, **message: Any) -> None:
        self.server.protocol.receive(json.dumps({"jsonrpc": "2.0"} | message).encode())

    def notify(self, method: str, params: object = None) -> None:
        self.take(method=method, params=params)

    def request(self, method: str, params: object = None) -> int:
        self.ids += 1
        self.take(id=self.ids, method=method, params=params)
        return self.ids

    async def reply(self, ident: int) -> dict[str, Any]:
        for _ in range(50):
            found = [message for message in self.sent if message.get("id") == ident and "method" not in message]
            if found:
                assert len(found) == 1
                return found[0]
            await asyncio.sleep(0)
        raise AssertionError(f"no reply to {ident}")

    async def ask(self, method: str, params: object = None) -> Any:
        return (await self.reply(self.request(method, params)))["result"]

    def begin(self, text: str = "x = \n", **params: Any) -> None:
        self.request("initialize", {"capabilities": {"textDocument": {"inlineCompletion": {}}}} | params)
        self.notify("initialized", {})
        self.notify("textDocument/didOpen", {"textDocument": {"uri": URI, "text": text, "languageId": "python"}})

    def type(self, line: int, character: int, text: str) -> None:
        where = {"line": line, "character": character}
        edit = {"range": {"start": where, "end": where}, "text": text}
        self.notify("textDocument/didChange", {"textDocument": {"uri": URI}, "contentChanges": [edit]})

    def statuses(self) -> list[dict[str, Any]]:
        return [m["params"] for m in self.sent if m.get("method") == "qwen/status"]

    def told(self) -> list[str]:
        return [m["params"]["message"] for m in self.sent if m.get("method") == "window/showMessage"]


def at(line: int, character: int, **context: Any) -> dict[str, Any]:
    place = {"line": line, "character": character}
    return {"textDocument": {"uri": URI}, "position": place, "context": {"triggerKind": 2} | context}
