"""lsp/following.py and indexing.py: what the session tells whoever reads the workspace, and the editor about it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from qwen_lsp.core.model import Snippet
from tests.test_server import CAN_BE_ASKED, INLINE, URI, Desk, at, pulled

BOOK, CELL = "file:///w/n.ipynb", "vscode-notebook-cell:/w/n.ipynb#{}"
SHOWS_PROGRESS = {"capabilities": {"window": {"workDoneProgress": True}}}
WATCHES = {"capabilities": {"workspace": {"didChangeWatchedFiles": {"dynamicRegistration": True}}}}


@pytest.fixture
async def desk() -> Desk:
    return Desk()


def told(desk: Desk, *kinds: str) -> list[tuple[Any, ...]]:
    return [entry for entry in desk.follower.told if entry[0] in kinds]


async def until(condition: Callable[[], object]) -> None:
    """Lets the session work until this is so, which takes no time but some turns of the event loop."""
    for _ in range(50):
        if condition():
            return
        await asyncio.sleep(0)
    raise AssertionError("it did not come")


async def a_while(desk: Desk) -> None:
    """Longer than whatever is under way takes: completions, which go through more hands than anything that is told."""
    for _ in range(3):
        await desk.ask(INLINE, at(0, 0))


def sent(desk: Desk, method: str) -> list[dict[str, Any]]:
    return [message for message in desk.sent if message.get("method") == method]


async def asked(desk: Desk, method: str, nth: int = 1) -> dict[str, Any]:
    """The nth request of the server's to the editor."""
    await until(lambda: len(sent(desk, method)) >= nth)
    return sent(desk, method)[nth - 1]


@pytest.mark.parametrize(
    ("params", "folders"),
    [
        ({"workspaceFolders": [{"uri": "file:///a", "name": "a"}, {"uri": "file:///b"}], "rootUri": "file:///c"}, "ab"),
        ({"workspaceFolders": None, "rootUri": "file:///c", "rootPath": "/d"}, "c"),
        ({"workspaceFolders": [], "rootUri": "file:///c"}, "c"),
        ({"rootUri": None, "rootPath": "file:///d"}, "d"),
        ({"rootUri": None}, ""),
        ({"workspaceFolders": [3, {"name": "x"}, {"uri": "file:///b"}]}, "b"),
    ],
    ids=str,
)
async def test_the_folders_are_those_that_the_editor_names(desk, params, folders):
    """In the newest of LSP's three ways; a single file that is opened has none."""
    desk.begin(**params)
    assert told(desk, "folders") == [("folders", *(f"file:///{name}" for name in folders))]


async def test_folders_come_and_go(desk):
    """`workspace/didChangeWorkspaceFolders` adds at the end; what it says twice is one."""
    desk.begin(workspaceFolders=[{"uri": "file:///a"}, {"uri": "file:///b"}])
    event = {"added": [{"uri": "file:///c"}, {"uri": "file:///b"}], "removed": [{"uri": "file:///a"}]}
    desk.notify("workspace/didChangeWorkspaceFolders", {"event": event})
    desk.notify("workspace/didChangeWorkspaceFolders", {"event": {"added": [{}], "removed": []}})
    assert told(desk, "folders")[1:] == [("folders", "file:///b", "file:///c")]


async def test_documents_are_told_as_they_are_after_the_change(desk):
    """Opening, typing, asking, saving and closing, with the line of the change."""
    desk.begin("a\nb\n", rootUri="file:///w")
    desk.type(1, 1, "!")
    await desk.ask(INLINE, at(1, 2))
    desk.notify("textDocument/didSave", {"textDocument": {"uri": URI}})
    desk.notify("textDocument/didClose", {"textDocument": {"uri": URI}})
    assert told(desk, "opened", "changed", "asked", "saved", "closed") == [
        ("opened", URI, ""),
        ("changed", URI, "a\nb!\n", 1),
        ("asked", 1, 2),
        ("saved", URI),
        ("closed", URI),
    ]
    assert desk.engine.told == [f"closed {URI}"]


async def test_a_document_whose_edit_is_not_understood_is_closed_for_all(desk):
    """Nobody keeps a text that may not be the editor's any more."""
    desk.begin()
    change = {"textDocument": {"uri": URI}, "contentChanges": [{"text": 3}]}
    desk.notify("textDocument/didChange", change)
    assert told(desk, "changed", "closed") == [("closed", URI)]


async def test_cells_are_told_with_their_notebook_and_asked_with_their_neighbours(desk):
    """A question in a cell carries the cells above and below it."""
    desk.begin(capabilities={"notebookDocument": {"synchronization": {}}})
    cells = [{"kind": 2, "document": CELL.format(name)} for name in "ab"]
    texts = [{"uri": CELL.format(n), "languageId": "python", "version": 1, "text": f"{n} = "} for n in "ab"]
    opened = {"notebookDocument": {"uri": BOOK, "cells": cells}, "cellTextDocuments": texts}
    desk.notify("notebookDocument/didOpen", opened)
    place = {"textDocument": {"uri": CELL.format("b")}, "position": {"line": 0, "character": 4}}
    assert (await desk.ask(INLINE, place))["items"]
    assert desk.engine.requests[0].snapshot.before == (Snippet("cell", "a = ", source="python"),)
    array = {"start": 0, "deleteCount": 1}
    change = {"cells": {"structure": {"array": array, "didClose": [{"uri": CELL.format("a")}]}}}
    desk.notify("notebookDocument/didChange", {"notebookDocument": {"uri": BOOK}, "change": change})
    desk.notify("notebookDocument/didClose", {"notebookDocument": {"uri": BOOK}, "cellTextDocuments": []})
    assert told(desk, "opened", "closed")[1:] == [
        ("opened", CELL.format("a"), BOOK),
        ("opened", CELL.format("b"), BOOK),
        ("closed", CELL.format("a")),
        ("closed", CELL.format("b")),
    ]


async def test_a_notebook_that_is_not_understood_is_closed_for_all(desk):
    """Its cells, those that came with the same message too; told once, and not again when it is closed."""
    desk.begin(capabilities={"notebookDocument": {"synchronization": {}}})
    await desk.ask(INLINE, at(0, 0))
    texts = [{"uri": CELL.format(n), "languageId": "python", "version": 1, "text": f"{n} = "} for n in "abc"]
    cells = [{"kind": 2, "document": text["uri"]} for text in texts]
    book = {"uri": BOOK, "cells": cells[:2]}
    desk.notify("notebookDocument/didOpen", {"notebookDocument": book, "cellTextDocuments": texts[:2]})
    structure = {"array": {"start": 2, "deleteCount": 0, "cells": cells[2:]}, "didOpen": texts[2:]}
    edit = {"document": {"uri": CELL.format("a"), "version": 2}, "changes": [{"text": 5}]}
    change = {"cells": {"structure": structure, "textContent": [edit]}}
    desk.notify("notebookDocument/didChange", {"notebookDocument": {"uri": BOOK}, "change": change})
    listed = [{"uri": text["uri"]} for text in texts]
    desk.notify("notebookDocument/didClose", {"notebookDocument": {"uri": BOOK}, "cellTextDocuments": listed})
    desk.notify("notebookDocument/didOpen", {"notebookDocument": book, "cellTextDocuments": [texts[0], {}]})
    assert told(desk, "closed") == [("closed", CELL.format(name)) for name in "abca"]
    assert desk.engine.told == [f"closed {CELL.format(name)}" for name in "abca"]


@pytest.mark.parametrize(("client", "announced"), [({"synchronization": {}}, True), (None, False)])
async def test_notebooks_are_announced_to_editors_that_have_them(desk, client, announced):
    """All notebooks, all languages; folders and saving to every editor."""
    ident = desk.request("initialize", {"capabilities": {"notebookDocument": client}})
    capabilities = (await desk.reply(ident))["result"]["capabilities"]
    selector = [{"notebook": "*", "cells": [{"language": "*"}]}]
    assert capabilities.get("notebookDocumentSync", {}).get("notebookSelector") == (selector if announced else None)
    assert capabilities["workspace"]["workspaceFolders"] == {"supported": True, "changeNotifications": True}
    assert capabilities["textDocumentSync"]["save"] == {"includeText": False}


async def test_nothing_is_read_before_the_settings_are_known(desk):
    """A person who has turned snippets off does not see their disk read because a server was hasty."""
    desk.begin(**CAN_BE_ASKED)
    question = await pulled(desk)
    assert told(desk, "use") == []
    desk.take(id=question["id"], result=[{"snippets": False}])
    await until(lambda: told(desk, "use"))
    assert told(desk, "use") == [("use", False)]
    desk.notify("workspace/didChangeConfiguration", {"settings": {"qwen": {"snippets": True}}})
    desk.take(id=(await asked(desk, "workspace/configuration", 2))["id"], result=[{}])
    await until(lambda: told(desk, "use")[-1] == ("use", True))


async def test_progress_is_begun_reported_and_ended(desk):
    """Once the editor has agreed to show it; in percent."""
    desk.begin(**SHOWS_PROGRESS)
    desk.follower.on_progress(1, 10)
    create = await asked(desk, "window/workDoneProgress/create")
    desk.take(id=create["id"], result=None)
    await asked(desk, "$/progress")
    desk.follower.on_progress(5, 10)
    desk.follower.on_progress(10, 10)
    await asked(desk, "$/progress", 3)
    shown = [message["params"] for message in sent(desk, "$/progress")]
    assert {entry["token"] for entry in shown} == {create["params"]["token"]}
    assert [(entry["value"]["kind"], entry["value"].get("percentage")) for entry in shown] == [
        ("begin", 10),
        ("report", 50),
        ("end", None),
    ]
    assert shown[0]["value"]["title"] == "qwen-lsp: indexing"
    desk.follower.on_progress(0, 3)
    assert (await asked(desk, "window/workDoneProgress/create", 2))["params"]["token"] != create["params"]["token"]


@pytest.mark.parametrize("reply", [{"result": None}, {"error": {"code": 1, "message": "no"}}])
async def test_progress_that_ends_before_it_is_shown_is_not_begun(desk, reply):
    """What is over, or refused, leaves nothing on the screen."""
    desk.begin(**SHOWS_PROGRESS)
    desk.follower.on_progress(1, 10)
    create = await asked(desk, "window/workDoneProgress/create")
    desk.follower.on_progress(10, 10)
    desk.follower.on_progress(1, 3)  # heard after that: once it is asked about, that is over
    later = await asked(desk, "window/workDoneProgress/create", 2)
    desk.take(id=create["id"], **reply)
    desk.take(id=later["id"], result=None)
    await asked(desk, "$/progress")
    assert [message["params"]["token"] for message in sent(desk, "$/progress")] == [later["params"]["token"]]


async def test_progress_that_the_editor_refuses_is_not_shown(desk):
    """The next one is asked about anew."""
    desk.begin(**SHOWS_PROGRESS)
    desk.follower.on_progress(1, 10)
    create = await asked(desk, "window/workDoneProgress/create")
    desk.take(id=create["id"], error={"code": 1, "message": "no"})
    await a_while(desk)
    desk.follower.on_progress(5, 10)
    desk.follower.on_progress(10, 10)
    desk.follower.on_progress(1, 3)
    later = await asked(desk, "window/workDoneProgress/create", 2)
    desk.take(id=later["id"], result=None)
    await asked(desk, "$/progress")
    assert [message["params"]["token"] for message in sent(desk, "$/progress")] == [later["params"]["token"]]


async def test_an_editor_that_shows_no_progress_is_not_asked_to(desk):
    """Nor one that watches no files to watch them."""
    desk.begin()
    desk.follower.on_progress(1, 10)
    await a_while(desk)
    assert [message for message in desk.sent if "method" in message] == []


@pytest.mark.parametrize(("reply", "watched"), [({"result": None}, True), ({"error": {"code": 1}}, False)])
async def test_the_editor_is_asked_to_watch_files(desk, reply, watched):
    """Where it can; what it tells is told on."""
    desk.begin(**WATCHES)
    request = await asked(desk, "client/registerCapability")
    (registration,) = request["params"]["registrations"]
    assert registration["method"] == "workspace/didChangeWatchedFiles"
    desk.follower.watched = None
    desk.take(id=request["id"], **reply)
    await until(lambda: desk.follower.watched is not None)
    assert desk.follower.watched is watched
    changes = [{"uri": "file:///w/a.py", "type": 2}, {"uri": "file:///w/b.py", "type": 3}]
    desk.notify("workspace/didChangeWatchedFiles", {"changes": changes})
    assert told(desk, "touched") == [("touched", "file:///w/a.py", "file:///w/b.py")]


async def test_the_end_does_not_wait_for_an_editor_that_does_not_answer(desk):
    """What was asked of it is given up, and the follower hears of the end."""
    desk.begin(capabilities=WATCHES["capabilities"] | SHOWS_PROGRESS["capabilities"])
    desk.follower.on_progress(1, 10)
    await asked(desk, "client/registerCapability")
    await asked(desk, "window/workDoneProgress/create")
    async with asyncio.timeout(1):
        await desk.server.stop()
    assert told(desk, "close") == [("close",)]
    desk.follower.on_progress(2, 10)
