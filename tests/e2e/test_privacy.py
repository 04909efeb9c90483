"""Nothing private leaves the machine (invariant 12): a whole session, with a service that writes down what it gets.

Each file holds a passage that fits the place being completed, with a canary of its own: what was shown of whom can be
told from the service's requests alone. That what may be shown does arrive is tested in the same breath.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Iterable
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from tests.e2e.test_hostile import INLINE, environment
from tests.fake_dashscope import FakeService
from tests.raw_client import PATIENCE, RawClient
from tests.workspace.trees import tree

pytestmark = pytest.mark.asyncio(loop_scope="module")

HERE = "def total_of_order(invoice, customer):\n    discount = customer.discount_for(invoice)\n    subtotal = invoice."


def passage(canary: str) -> str:
    return (
        f"def total_{canary}(invoice, customer):\n    discount = customer.discount_for(invoice)\n"
        f"    subtotal = invoice.subtotal_{canary}()\n    return subtotal - discount\n"
    )


ALLOWED = {
    "neighbour.py": "may_disk",
    "deep/er/neighbour.py": "may_deep",
    ".env.example": "",
}
FORBIDDEN = {
    ".env": "no_env",
    ".env.production.py": "no_env_production",
    "deploy/id_rsa": "no_key",
    "deploy/server.pem": "no_pem",
    "credentials.py": "no_credentials",
    "ignored_by_git.py": "no_git",
    "build/made.py": "no_build",
    "sub/nested.py": "no_nested",
    "excluded.py": "no_exclude",
    "ignored.py": "no_ignore",
    "mine/a.py": "no_qwen",
    "by_setting/a.py": "no_setting",
}
NOT_READ = {
    ".hidden/a.py": "no_hidden",
    "node_modules/a.py": "no_modules",
    "book.ipynb": "no_book",
}
"""Nobody may read these from the disk, but who opens one may complete in it, and be shown it."""
RULES = {
    ".gitignore": "ignored_by_git.py\nbuild/\nmine.ipynb\n",
    "sub/.gitignore": "nested.*\n",
    ".git/info/exclude": "excluded.py\n",
    ".ignore": "/ignored.py\n",
    "mine/.qwenignore": "*\n",
}


class Session:
    """A server with a workspace, and the service it asks."""

    def __init__(self, client: RawClient, service: FakeService, folder: Path) -> None:
        self.client, self.service, self.folder = client, service, folder
        self.versions = 1
        self.text = ""
        """The one asked in last."""

    def uri(self, name: str) -> str:
        return (self.folder / name).as_uri()

    def open(self, name: str, text: str) -> None:
        self.client.open(self.uri(name), text)

    def type(self, uri: str, text: str) -> None:
        """Replaces the whole text."""
        self.versions += 1
        document = {"uri": uri, "version": self.versions}
        self.client.notify("textDocument/didChange", {"textDocument": document, "contentChanges": [{"text": text}]})

    async def ask(self, uri: str, text: str, *, by_hand: bool = True) -> dict[str, Any]:
        """Asks at the end of a document's text."""
        lines = text.split("\n")
        place = {"line": len(lines) - 1, "character": len(lines[-1])}
        question = {"textDocument": {"uri": uri}, "position": place, "context": {"triggerKind": 2 - by_hand}}
        return (await self.client.ask(INLINE, question))["result"]

    async def complete(self, name: str, until: Iterable[str] = ()) -> set[str]:
        """Asks in a document, on one new line after the other, until these canaries have come. All that came since."""
        before, wanted = len(self.service.requests), set(until)
        text = HERE
        for number in range(50):
            text = f"{'pass' * (number > 0)}\n" * number + HERE
            self.text = text
            self.type(self.uri(name), text)
            await self.ask(self.uri(name), text)
            if wanted <= self.canaries(before):
                break
            await asyncio.sleep(0.05)  # the index is built by a thread of another process
        return self.canaries(before)

    def canaries(self, since: int = 0) -> set[str]:
        """The canaries in all requests since one, whatever part of them they stand in."""
        sent = b"\n".join(request.body for request in self.service.requests[since:]).decode()
        return set(re.findall(r"(?:total|subtotal)_((?:may|no)_\w+)", sent))

    async def indexed(self, nth: int = 1) -> None:
        async with asyncio.timeout(PATIENCE):
            while self.client.stderr.count(b"indexed files=") < nth:  # noqa: ASYNC110 - of another process
                await asyncio.sleep(0.01)


@pytest_asyncio.fixture(loop_scope="module")
async def session(tmp_path: Path) -> AsyncIterator[Session]:
    outside = tree(tmp_path / "outside", {"o.py": passage("no_outside"), "dir/p.py": passage("no_linked_dir")})
    files = {name: passage(canary) for name, canary in (ALLOWED | FORBIDDEN | NOT_READ).items()}
    folder = tree(tmp_path / "project", RULES | files | {"here.py": HERE})
    (folder / "link.py").symlink_to(outside / "o.py")
    (folder / "linked").symlink_to(outside / "dir")
    (folder / "harmless.py").symlink_to(folder / ".env")
    env = environment(tmp_path, QWEN_LSP_API_KEY="sk-test")
    async with FakeService() as service, RawClient.started("--log-level", "debug", env=env) as client:
        await client.initialize(
            workspaceFolders=[{"uri": folder.as_uri(), "name": "project"}],
            capabilities={"notebookDocument": {"synchronization": {}}, "textDocument": {"inlineCompletion": {}}},
            initializationOptions={
                "provider": "openai",
                "baseUrl": service.openai,
                "debounce": 0,
                "candidates": 1,
                "exclude": ["by_setting/"],
            },
        )
        made = Session(client, service, folder)
        await made.indexed()
        made.open("here.py", HERE)
        yield made
        assert not re.search(r"(?:may|no)_\w+", client.stderr.decode()), "a canary in the log"


async def test_files_on_the_disk(session):
    """Allowed neighbours are shown; private, ignored, hidden and linked files are not, nor is anything outside."""
    assert await session.complete("here.py", {"may_disk", "may_deep"}) == {"may_disk", "may_deep"}


async def test_documents_that_are_open(session, tmp_path):
    """What is open is shown as it is in the editor, unless it is private or ignored, or lies outside the folders."""
    for name, canary in FORBIDDEN.items():
        session.open(name, passage(f"{canary}_open"))
        session.type(session.uri(name), passage(f"{canary}_typed"))
    for uri in (session.uri("link.py"), session.uri("harmless.py"), (tmp_path / "outside/o.py").as_uri()):
        session.client.open(uri, passage("no_through_a_link"))
    session.open("neighbour.py", passage("may_open"))
    session.open("new.py", passage("may_new"))
    session.open("node_modules/a.py", passage("may_modules"))
    expected = {"may_open", "may_new", "may_deep", "may_modules"}
    assert await session.complete("here.py", expected) == expected


async def test_private_documents_are_not_completed(session):
    """Asked by hand in one, the server does not even say so to the service."""
    for name, canary in FORBIDDEN.items():
        session.open(name, passage(canary))
        assert await session.ask(session.uri(name), passage(canary)) == {"items": []}, name
    session.open("harmless.py", passage("no_env"))
    assert await session.ask(session.uri("harmless.py"), passage("no_env")) == {"items": []}
    assert session.service.generations == []
    assert await session.ask(session.uri("here.py"), HERE)
    assert len(session.service.generations) == 1


async def test_cells_of_an_ignored_notebook(session):
    """They are neither completed nor shown; those of another notebook are, each with its neighbours."""
    for book, canary in (("mine.ipynb", "no_cell"), ("ours.ipynb", "may_cell")):
        cells = [f"vscode-notebook-cell:{book}#{number}" for number in (1, 2)]
        texts = [passage(f"{canary}_above"), HERE]
        session.client.notify(
            "notebookDocument/didOpen",
            {
                "notebookDocument": {
                    "uri": session.uri(book),
                    "notebookType": "jupyter-notebook",
                    "version": 1,
                    "cells": [{"kind": 2, "document": uri} for uri in cells],
                },
                "cellTextDocuments": [
                    {"uri": uri, "languageId": "python", "version": 1, "text": text}
                    for uri, text in zip(cells, texts, strict=True)
                ],
            },
        )
        for uri, text in zip(cells, texts, strict=True):
            await session.ask(uri, text)
    shown = session.canaries()
    assert "may_cell_above" in shown
    assert not {canary for canary in shown if canary.startswith("no_")}
    assert await session.complete("here.py", {"may_disk", "may_deep"}) == {"may_disk", "may_deep"}


async def test_a_rule_that_comes_later(session):
    """A file that is ignored from now on is not shown from now on, though it was shown, read and cached before."""
    assert "may_disk" in await session.complete("here.py", {"may_disk"})
    tree(session.folder, {".qwenignore": "/neighbour.py\n"})
    session.client.notify("textDocument/didSave", {"textDocument": {"uri": session.uri(".qwenignore")}})
    before, text = len(session.service.requests), session.text + "subtotal_"
    session.type(session.uri("here.py"), text)
    await session.ask(session.uri("here.py"), text, by_hand=False)
    assert session.canaries(before) == {"may_deep"}
    await session.indexed(2)
    session.open("other.py", HERE)
    assert await session.complete("other.py", {"may_deep"}) == {"may_deep"}
    assert await session.complete("here.py", {"may_deep"}) == {"may_deep"}
