"""The language server: what each message of the editor does.

Converts to the values of `core` in the first, synchronous step of a handler, asks the engine, and converts back.
Decides nothing about completions. Answers: a suggestion whose document has changed since is not shown, since
editors ask again at each key and some insert what comes late at the wrong place; an entry of the completion menu
is, as long as what was typed is its beginning, since menus filter and do not ask again.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
import time
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, TypeAlias

from lsprotocol import types
from pygls.lsp.server import LanguageServer

from qwen_lsp import __version__
from qwen_lsp.core.config import Settings
from qwen_lsp.core.model import Ghost, Notice, Reason, Request, Skip, Snapshot
from qwen_lsp.core.status import Health
from qwen_lsp.engine.record import Answer, Record
from qwen_lsp.engine.tally import Tally
from qwen_lsp.lsp import answers, questions
from qwen_lsp.lsp.board import Board
from qwen_lsp.lsp.clients import Client
from qwen_lsp.lsp.controls import Controls
from qwen_lsp.lsp.documents import Documents, object_of, string_of
from qwen_lsp.lsp.fetching import Fetching, Models
from qwen_lsp.lsp.following import Follower, Following
from qwen_lsp.lsp.greeting import ACCEPTED, NAME, greet
from qwen_lsp.lsp.indexing import Indexing, watch_files
from qwen_lsp.lsp.preferences import Preferences
from qwen_lsp.lsp.protocol import INVALID_REQUEST, Protocol, Refused, fault
from qwen_lsp.lsp.questions import Question, typed_through
from qwen_lsp.lsp.settings import SECTION, Layers, needs_new_engine
from qwen_lsp.lsp.starting import Starting

if TYPE_CHECKING:
    from qwen_lsp.engine.engine import Engine

logger = logging.getLogger(__name__)

EngineFactory: TypeAlias = "Callable[[Settings, Callable[[Notice], None]], Engine]"

_LEVELS = {"error": types.MessageType.Error, "warning": types.MessageType.Warning, "info": types.MessageType.Info}


class Server(LanguageServer):
    """One session. Made by `build`."""

    protocol: Protocol

    def __init__(  # noqa: PLR0913 - effects are arguments
        self,
        make_engine: EngineFactory,
        layers: Layers,
        follower: Follower,
        *,
        on_settings: Callable[[Settings], None] = lambda _settings: None,
        on_ready: Callable[[], object] = lambda: None,
        tally: Tally | None = None,
        board: Board | None = None,
        models: Models | None = None,
    ) -> None:
        super().__init__(NAME, __version__, protocol_cls=Protocol)
        self._make_engine = make_engine
        self.preferences = Preferences(layers, self._configuration, self._in_background, self._changed)
        self._follower = follower
        self._on_settings = on_settings
        self._on_ready = on_ready
        self._client = Client()
        self._controls = Controls(self, tally, board)
        self._tally = tally
        self._fetching = Fetching(self, models, self._ask, on_end=self._fetched) if models else None
        self._menu = False
        self._documents = Documents()
        self._engine: Engine | None = None
        self._greeted = False
        self._starting: Starting | None = None
        self._newest: dict[str, Request] = {}
        """The last request of each document."""
        self._told: set[str] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._asking: set[asyncio.Task[None]] = set()
        """Those that wait for the editor and may be given up."""
        self._numbers = itertools.count(1)
        on_settings(self.settings)

    # The session

    def initialize(self, params: dict[str, Any]) -> dict[str, Any]:
        """`initialize`: from here on the documents count in the editor's units."""
        if self.protocol.started:
            raise Refused(INVALID_REQUEST, "initialize comes once")
        self._client, self._menu, result = greet(params, self.preferences.layers)
        self._documents = Documents(self._client.encoding)
        following = Following(self._documents, self._follower, self._forget)
        self.protocol.plain |= following.handlers()
        self.protocol.begin(self._documents)
        self._controls.begin(self._client.name, listening=self._client.statuses)
        if self._client.progress:
            self._follower.on_progress = Indexing(self, self._ask).heard
            self._starting = Starting(self, self._ask)
        following.begin(params)
        self.preferences.asks = self._client.configuration
        self.preferences.apply()
        return result

    def initialized(self) -> None:
        """`initialized`: asks for the settings; until they are there, or 5 s have passed, completions wait."""
        self._greeted = True
        self.preferences.look()
        self._on_ready()

    async def stop(self) -> None:
        """Ends all work: running requests are answered, the engine is closed.

        After `shutdown` an embedded model stays loaded for the next editor; without it, nothing may be left behind.
        """
        self.protocol.cancel_all()
        self._controls.close()
        self._follower.close()
        for task in self._asking:
            task.cancel()
        engine, self._engine = self._engine, None
        if engine is not None:
            self._in_background(self._close(engine, linger=self.protocol.over))
        if self._tasks:
            await asyncio.wait(self._tasks)
        if self._tally is not None:
            await asyncio.to_thread(self._tally.close)

    def _forget(self, uri: str) -> None:
        """A document was closed."""
        self._controls.closed(uri)
        self._newest.pop(uri, None)
        if self._engine is not None:
            self._engine.closed(uri)

    # Completions

    def inline(self, params: dict[str, Any]) -> Coroutine[Any, Any, dict[str, Any] | None]:
        """`textDocument/inlineCompletion`; whoever asks is answered, whatever its capabilities said."""
        return self._inline(self._question(params))

    def menu(self, params: dict[str, Any]) -> Coroutine[Any, Any, dict[str, Any] | None]:
        """`textDocument/completion`.

        Editors say "invoked" for a menu that opens by itself, so all of them count as automatic.
        """
        wanted = self._menu and self.settings.completion_fallback != "off"
        return self._menu_list(self._question(params | {"context": None}, once=True) if wanted else None)

    # What commands reach (lsp/controls.py)

    def execute(self, params: dict[str, Any]) -> dict[str, Any] | None:
        """`workspace/executeCommand`."""
        result = self._controls.execute(params)
        if result and not self._client.needs.results:
            self._show("info", result.get("text") or result["reason"] or result["state"])
        return result

    @property
    def settings(self) -> Settings:
        """As they are now."""
        return self.preferences.now

    def health(self) -> Health:
        """Of whoever completes."""
        return self._engine.health if self._engine is not None else Health()

    def spent(self) -> tuple[int, int]:
        """How often a model was asked, and how many tokens it wrote, by the engine that runs now."""
        return self._engine.spent if self._engine is not None else (0, 0)

    def override(self, settings: Mapping[str, Any]) -> None:
        """These settings win over all others, for this session; None takes one back."""
        self.preferences.override(settings)

    def renew(self) -> None:
        """Forgets all answers and all that was found out about the service."""
        if self._engine is not None:
            self._in_background(self._close(self._engine, linger=True))
            self._engine = None

    def fetch(self, model: str) -> str:
        """Begins to fetch an embedded model's weights, which stay here for all editors.

        Raises:
            BackendError: there is no such model.
        """
        if self._fetching is None or self.settings.local_only:
            return "qwen.localOnly is on, so nothing is fetched; `qwen-lsp model pull` in a terminal does it"
        return self._fetching.begin(model, shown=self._client.progress)

    def _fetched(self, level: str, said: str) -> None:
        self._show(level, said)
        self.renew()

    def accepted(self, uri: str) -> None:
        """The last suggestion in a document was taken."""
        if self._engine is not None:
            self._engine.accepted(uri)

    def document(self, uri: str) -> Snapshot | None:
        """An open document as it is now."""
        return self._documents.snapshot(uri)

    def tell(self, method: str, params: dict[str, Any]) -> None:
        """Sends a notification."""
        self.protocol.tell(method, params)

    def _question(self, params: dict[str, Any], *, once: bool = False) -> Question | None:
        """What is asked, as the document is now: later edits may be in the same read. None if it is not open.

        `once`: by an editor that keeps what it is given.
        """
        document = self._documents.asked(params)
        if document is None:
            logger.info("outcome=%s", Reason.NOT_OPEN.value)
            nowhere = Snapshot(string_of(object_of(params, "textDocument"), "uri"), "", 0, ("",))
            self._controls.ended(Request(nowhere, 0, 0), _nothing(Skip(Reason.NOT_OPEN)))
            return None
        arguments = [document.uri, str(next(self._numbers))]
        command = {"title": "Completion accepted", "command": ACCEPTED, "arguments": arguments}
        question = questions.read(document, params, self._client, command)
        if once:
            question = replace(question, request=replace(question.request, once=True))
        self._newest[document.uri] = question.request
        self._follower.asked(question.request)
        return question

    async def _inline(self, question: Question | None) -> dict[str, Any] | None:
        if question is None:
            return {"items": []}
        # The same object as long as nothing was edited: versions may repeat or be missing.
        answer = await self._completed(
            question, lambda now, _ghost: now is question.request.snapshot, partial(answers.inline_item, question)
        )
        outcome = answer.outcome
        if isinstance(outcome, Skip) and outcome.reason is Reason.SUPERSEDED:
            return None  # Neovim takes an empty list as "hide", and would hide the newer answer
        return answers.inline_list(question, outcome if isinstance(outcome, Ghost) else None, answer.others)

    async def _menu_list(self, question: Question | None) -> dict[str, Any] | None:
        if question is None:
            return None
        answer = await self._completed(
            question, partial(typed_through, question.request), partial(answers.menu_item, question)
        )
        return answers.menu_list(question, answer.outcome if isinstance(answer.outcome, Ghost) else None)

    async def _completed(
        self, question: Question, fits: Callable[[Snapshot | None, Ghost], bool], item: Callable[[Ghost], object]
    ) -> Answer:
        """What is to be shown, and what else might be: if it `fits` the document by then, and makes an `item`."""
        request = question.request
        await self.preferences.settled()
        if not request.asks_like(self._newest.get(request.snapshot.uri)):
            return _nothing(Skip(Reason.SUPERSEDED))  # it has waited, and who came later has not
        began, answer = time.perf_counter(), _nothing(Skip(Reason.CANCELLED))
        self._controls.begins(request)
        try:
            answer = await self._answer(request)
            if isinstance(ghost := answer.outcome, Ghost):
                if not fits(self._documents.snapshot(request.snapshot.uri), ghost):
                    answer = replace(answer, outcome=Skip(Reason.STALE))
                elif item(ghost) is None:
                    answer = replace(answer, outcome=Skip(Reason.FILTERED, "this editor can't show it here"))
        finally:
            self._controls.ends(request, answer, 1000 * (time.perf_counter() - began))
        return answer

    async def _answer(self, request: Request) -> Answer:
        if skip := self._controls.refusal(request):
            logger.info("outcome=%s", skip.reason.value)
            return _nothing(skip)
        try:
            if self._engine is None:
                self._engine = self._make_engine(self.settings, self._notify)
                if self._starting is not None:
                    self._engine.on_starting, self._engine.on_started = self._starting.begins, self._starting.ends
            return await self._engine.complete(request)
        except Exception as error:  # noqa: BLE001 - VS Code pops up a message for every error reply
            logger.error("completing failed: %s", fault(error))  # noqa: TRY400 - the message may quote code
            return _nothing(Skip(Reason.ERROR))

    # Settings and messages

    async def _configuration(self) -> object:
        """`workspace/configuration`: the editor's own settings."""
        items = [types.ConfigurationItem(section=SECTION)]
        found = await self.workspace_configuration_async(types.ConfigurationParams(items=items))
        return found[0] if found else None

    def _changed(self, before: Settings, now: Settings, problems: list[str]) -> None:
        """A new engine if the settings reach it, and a message for each mistake in them."""
        self._on_settings(now)
        if self._engine is not None and needs_new_engine(before, now):
            self._in_background(self._close(self._engine, linger=True))
            self._engine = None
            self._told.clear()
        elif self._engine is not None:
            self._engine.use(now)
        for problem in problems:
            self._show("warning", problem)
        self._follower.exclude(now.exclude)
        if self._greeted:
            self._follow(snippets=now.snippets)
            self._controls.changed()

    def _follow(self, *, snippets: bool) -> None:
        """Reads the workspace, if that is wanted; not before the person's own settings have said so."""
        self._follower.use(snippets=snippets)
        if snippets and self._client.watches and not self._follower.watched:
            self._ask(self._watch())

    async def _watch(self) -> None:
        self._follower.watched = await watch_files(self)

    def _notify(self, notice: Notice) -> None:
        if notice.key not in self._told:
            self._told.add(notice.key)
            self._show(notice.level, notice.text)

    def _show(self, level: str, message: str) -> None:
        logger.log(logging.getLevelName(level.upper()), message)
        kind = _LEVELS.get(level, types.MessageType.Info)
        self.window_show_message(types.ShowMessageParams(type=kind, message=f"qwen-lsp: {message}"))

    def report_server_error(self, error: Exception, source: Any) -> None:  # noqa: ANN401, ARG002 - pygls' own
        """In place of pygls' pop-up."""
        logger.error("pygls: %s", fault(error))

    async def _close(self, engine: Engine, *, linger: bool) -> None:
        try:
            await engine.close(linger=linger)
        except Exception as error:  # noqa: BLE001 - nothing is left to be done about it
            logger.error("closing the engine failed: %s", fault(error))  # noqa: TRY400 - as above

    def _in_background(self, work: Coroutine[Any, Any, None]) -> None:
        _kept(self._tasks, work)

    def _ask(self, work: Coroutine[Any, Any, None]) -> None:
        _kept(self._asking, work)


def _nothing(skip: Skip) -> Answer:
    """An answer without an engine."""
    return Answer(skip, Record(time.monotonic))


def _kept(tasks: set[asyncio.Task[None]], work: Coroutine[Any, Any, None]) -> None:
    """Runs work as a task that is kept until it is done."""
    task = asyncio.ensure_future(work)
    tasks.add(task)
    task.add_done_callback(tasks.discard)


def build(  # noqa: PLR0913 - as above
    make_engine: EngineFactory,
    layers: Layers,
    follower: Follower,
    *,
    on_settings: Callable[[Settings], None] = lambda _settings: None,
    on_ready: Callable[[], object] = lambda: None,
    tally: Tally | None = None,
    board: Board | None = None,
    models: Models | None = None,
) -> Server:
    """A server with its handlers. Needs a running event loop.

    `make_engine` is called with the settings and a function that shows notices, anew when settings change that
    matter to it. `follower` is told of the workspace. `on_settings` hears of all settings, `on_ready` that the editor
    has been greeted. `tally` counts what becomes of suggestions, `board` hears how the session
    stands, `models` is where embedded models' weights come from.
    """
    server = Server(
        make_engine,
        layers,
        follower,
        on_settings=on_settings,
        on_ready=on_ready,
        tally=tally,
        board=board,
        models=models,
    )
    server.protocol.plain |= {
        types.INITIALIZE: server.initialize,
        types.TEXT_DOCUMENT_INLINE_COMPLETION: server.inline,
        types.TEXT_DOCUMENT_COMPLETION: server.menu,
        types.WORKSPACE_DID_CHANGE_CONFIGURATION: server.preferences.changed,
        types.WORKSPACE_EXECUTE_COMMAND: server.execute,
    }

    @server.feature(types.INITIALIZED)
    def initialized(_params: types.InitializedParams) -> None:
        server.initialized()

    return server
