"""lsp/server.py and protocol.py in one process, with an engine that says what the test tells it."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from qwen_lsp.core.model import Notice, Reason, Skip, Trigger
from tests.session_desk import HELIX, INLINE, MENU, URI, Desk, at, ghost


@pytest.fixture
async def desk() -> Desk:
    return Desk()


async def test_a_request_becomes_the_engine_s_question_and_its_ghost_the_answer(desk):
    """Position and trigger go in; a one-line range, plain text and the command of acceptance come out."""
    desk.begin()
    result = await desk.ask(INLINE, at(0, 4, triggerKind=1))
    (request,) = desk.engine.requests
    assert (request.line, request.column, request.trigger) == (0, 4, Trigger.INVOKED)
    (item,) = result["items"]
    assert item["insertText"] == "hello()"
    assert item["range"] == {"start": {"line": 0, "character": 4}, "end": {"line": 0, "character": 4}}
    desk.notify("workspace/executeCommand", None)
    await desk.ask("workspace/executeCommand", {k: item["command"][k] for k in ("command", "arguments")})
    assert desk.engine.told == [f"accepted {URI}"]


async def test_the_document_is_frozen_when_the_request_is_read(desk):
    """Edits of the same read, which the engine's task starts after, are not in the request."""
    desk.begin()
    ident = desk.request(INLINE, at(0, 4))
    desk.type(0, 4, "later")
    await desk.reply(ident)
    assert desk.engine.requests[0].snapshot.lines == ("x = \n", "")


async def test_further_candidates_are_further_items(desk):
    """The best first; none of them once the document has changed."""
    desk.begin()
    await desk.ask(INLINE, at(0, 4, triggerKind=1))
    desk.engine.others = (ghost(desk.engine.requests[0], "other()"), ghost(desk.engine.requests[0], "third()"))
    items = (await desk.ask(INLINE, at(0, 4, triggerKind=1)))["items"]
    assert [item["insertText"] for item in items] == ["hello()", "other()", "third()"]
    ident = desk.request(INLINE, at(0, 4))
    desk.type(0, 4, "h")
    assert (await desk.reply(ident))["result"] == {"items": []}


async def test_a_late_answer_is_not_shown_inline(desk):
    """Neovim would insert it at the wrong place: the document has changed, and the editor asks again."""
    desk.begin()
    ident = desk.request(INLINE, at(0, 4))
    desk.type(0, 4, "h")
    assert (await desk.reply(ident))["result"] == {"items": []}


@pytest.mark.parametrize(
    ("typed", "shown"), [((0, 4, "he"), True), ((0, 4, "x"), False), ((1, 0, "h"), False), ((0, 0, "he"), False)]
)
async def test_a_late_menu_entry_is_shown_while_it_is_typed_through(desk, typed, shown):
    """Menus filter by what was typed since and do not ask again; anything else typed makes it wrong."""
    desk.begin(**HELIX)
    ident = desk.request(MENU, at(0, 4))
    desk.type(*typed)
    items = (await desk.reply(ident))["result"]["items"]
    assert [item["textEdit"]["newText"] for item in items] == (["hello()"] if shown else [])


async def test_a_menu_is_given_all_or_nothing(desk):
    """It keeps what it is given, and does not ask again for the rest."""
    desk.begin(**HELIX)
    await desk.ask(MENU, at(0, 4))
    assert desk.engine.requests[0].once
    other = Desk()
    other.begin()
    await other.ask(INLINE, at(0, 4))
    assert not other.engine.requests[0].once


@pytest.mark.parametrize(
    ("reason", "result"), [(Reason.SUPERSEDED, None), (Reason.EMPTY, {"items": []}), (Reason.ERROR, {"items": []})]
)
async def test_only_a_superseded_request_is_answered_null(desk, reason, result):
    """Null leaves what is on the screen, which belongs to the newer request; an empty list clears it."""
    desk.begin()
    desk.notify("textDocument/didSave", {"textDocument": {"uri": URI}})
    await desk.ask(INLINE, at(0, 4))
    desk.engine.says = lambda _request: Skip(reason)
    assert await desk.ask(INLINE, at(0, 4)) == result


async def test_a_fault_in_the_engine_is_an_empty_answer(desk):
    """VS Code pops up a message for every error reply."""
    desk.begin()
    await desk.ask(INLINE, at(0, 4))
    desk.engine.says = lambda _request: 1 / 0
    assert await desk.ask(INLINE, at(0, 4)) == {"items": []}
    assert desk.told() == []


async def test_a_cancelled_request_is_answered_as_cancelled(desk):
    """Taken back in the middle or before its first step, it gets -32800 once."""
    desk.begin()
    await desk.ask(INLINE, at(0, 4))
    desk.engine.go.clear()
    waiting = desk.request(INLINE, at(0, 4))
    await asyncio.sleep(0)
    fresh = desk.request(INLINE, at(0, 4))
    for ident in (waiting, fresh):
        desk.notify("$/cancelRequest", {"id": ident})
        assert (await desk.reply(ident))["error"]["code"] == -32800


async def test_shutdown_takes_running_requests_back(desk):
    """Every request is answered before the session is over."""
    desk.begin()
    await desk.ask(INLINE, at(0, 4))
    desk.engine.go.clear()
    waiting = desk.request(INLINE, at(0, 4))
    assert await desk.ask("shutdown") is None
    assert (await desk.reply(waiting))["error"]["code"] == -32800
    await desk.server.stop()
    assert desk.engine.told == ["close, lingering"]


async def test_a_session_that_breaks_off_leaves_no_model_loaded(desk):
    """The embedded model waits for the next editor after an orderly end only."""
    desk.begin()
    await desk.ask(INLINE, at(0, 4))
    await desk.server.stop()
    assert desk.engine.told == ["close"]


async def test_the_selected_entry_reaches_the_engine_in_columns(desk):
    """`selectedCompletionInfo` is read in the editor's units, as an object or a list of two."""
    desk.begin("😋.pri\n")
    start, end = {"line": 0, "character": 3}, {"line": 0, "character": 6}
    for span in ({"start": start, "end": end}, [start, end]):
        await desk.ask(INLINE, at(0, 6, selectedCompletionInfo={"range": span, "text": "print"}))
        selected = desk.engine.requests[-1].selected
        assert (selected.start, selected.end, selected.text) == (2, 5, "print")


async def test_a_document_that_is_not_open_gets_an_empty_answer(desk):
    """There is nothing to look at, and nothing is read from the disk."""
    desk.begin()
    desk.notify("textDocument/didClose", {"textDocument": {"uri": URI}})
    assert await desk.ask(INLINE, at(0, 4)) == {"items": []}
    assert desk.engines == []


async def test_settings_that_matter_make_a_new_engine(desk):
    """The old one is closed in the background; a setting of the editor's edge alone changes nothing."""
    desk.begin()
    await desk.ask(INLINE, at(0, 4))
    desk.notify("workspace/didChangeConfiguration", {"settings": {"qwen": {"logLevel": "error"}}})
    await desk.ask(INLINE, at(0, 4))
    assert len(desk.engines) == 1
    desk.notify("workspace/didChangeConfiguration", {"settings": {"qwen": {"model": "other"}}})
    await desk.ask(INLINE, at(0, 4))
    first, second = desk.engines
    assert first.told == ["close, lingering"]
    assert second.settings.model == "other"


CAN_BE_ASKED = {"capabilities": {"workspace": {"configuration": True}}}


async def pulled(desk: Desk) -> dict[str, Any]:
    """The server's question for the settings."""
    for _ in range(50):
        asked = [message for message in desk.sent if message.get("method") == "workspace/configuration"]
        if asked:
            return asked[-1]
        await asyncio.sleep(0)
    raise AssertionError("not asked")


async def test_completions_wait_for_the_settings_that_were_asked_for(desk):
    """Nothing is sent to a service before the person's own settings are known."""
    desk.begin(**CAN_BE_ASKED)
    waiting = desk.request(INLINE, at(0, 4))
    question = await pulled(desk)
    assert question["params"] == {"items": [{"section": "qwen"}]}
    await asyncio.sleep(0.01)
    assert desk.engines == []
    desk.take(id=question["id"], result=[{"provider": "openai", "model": "m"}])
    assert (await desk.reply(waiting))["result"]["items"]
    assert desk.engine.settings.model == "m"


@pytest.mark.parametrize("answer", [{"result": None}, {"result": []}, {"result": 7}, {"error": {"code": 1}}])
async def test_an_editor_without_settings_is_served_without(desk, answer):
    """Whatever comes in place of the settings, completions go on with what is known."""
    desk.begin(**CAN_BE_ASKED)
    waiting = desk.request(INLINE, at(0, 4))
    question = await pulled(desk)
    desk.take(id=question["id"], **answer)
    desk.take(id=question["id"], **answer)
    assert (await desk.reply(waiting))["result"]["items"]


async def test_a_mistake_in_the_settings_is_shown_once():
    """Each wrong line is one warning, however often the settings are sent."""
    desk = Desk(problems=["config.toml: wrong"])
    desk.begin(initializationOptions={"maxTokens": "many"})
    desk.notify("workspace/didChangeConfiguration", {"settings": {"qwen": {"maxTokens": "many"}}})
    assert len(desk.told()) == 2


async def test_a_notice_is_shown_once_until_the_settings_change(desk):
    """A missing key is told, and not told again at each keystroke."""
    desk.begin()
    await desk.ask(INLINE, at(0, 4))
    notice = Notice("auth", "error", "no key; set DASHSCOPE_API_KEY")
    desk.engine.on_notice(notice)
    desk.engine.on_notice(notice)
    assert desk.told() == ["qwen-lsp: no key; set DASHSCOPE_API_KEY"]
    desk.notify("workspace/didChangeConfiguration", {"settings": {"qwen": {"model": "other"}}})
    await desk.ask(INLINE, at(0, 4))
    desk.engine.on_notice(notice)
    assert len(desk.told()) == 2


async def test_the_menu_is_silent_where_it_is_not_wanted(desk):
    """An editor with inline completion gets no second copy in its menu."""
    desk.begin()
    assert await desk.ask(MENU, at(0, 4)) is None
    assert desk.engines == []


async def test_what_a_person_excludes_is_told_on_at_each_change(desk):
    """Before anything is completed, and whenever the settings change."""
    desk.begin(initializationOptions={"exclude": ["*.sql"]})
    assert desk.follower.excluded == ["*.sql"]
    desk.notify("workspace/didChangeConfiguration", {"settings": {"qwen": {"exclude": ["internal/"]}}})
    assert desk.follower.excluded == ["internal/"]


async def test_an_editor_that_shows_progress_sees_that_a_model_is_started(desk):
    """From when it takes a while until it is over; what was begun is ended."""
    desk.begin(capabilities={"textDocument": {"inlineCompletion": {}}, "window": {"workDoneProgress": True}})
    await desk.ask(INLINE, at(0, 4))
    desk.engine.on_starting()
    await asyncio.sleep(0)
    (create,) = (message for message in desk.sent if message.get("method") == "window/workDoneProgress/create")
    desk.take(id=create["id"], result=None)
    desk.engine.on_starting()  # a second request that waits for the same
    await asyncio.sleep(0.01)
    desk.engine.on_started()
    await asyncio.sleep(0.01)
    kinds = [message["params"]["value"]["kind"] for message in desk.sent if message.get("method") == "$/progress"]
    assert kinds == ["begin", "end"]


async def test_an_editor_without_progress_is_told_nothing_of_it(desk):
    """Nor asked."""
    desk.begin()
    await desk.ask(INLINE, at(0, 4))
    desk.engine.on_starting()
    desk.engine.on_started()
    assert [message["method"] for message in desk.sent if "method" in message] == []


async def test_who_waited_for_the_settings_does_not_overtake_who_came_later(desk):
    """A request from before they were there is superseded by one from after, whoever's task runs first."""
    desk.begin(capabilities={"textDocument": {"inlineCompletion": {}}, "workspace": {"configuration": True}})
    early = desk.request(INLINE, at(0, 2))
    await asyncio.sleep(0)
    desk.server.preferences._settled.set()
    late = desk.request(INLINE, at(0, 4))
    assert (await desk.reply(late))["result"]["items"]
    assert (await desk.reply(early))["result"] is None
    assert [request.column for request in desk.engine.requests] == [4]
