"""`qwen.why` over a real session: every named reason, met the way a person meets it.

Reasons come from every room (the gate, the workspace, the guard, the model's answer, the editor's edge), and each
could be told as another one on its way out.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any, TypeAlias

import pytest
import pytest_asyncio

from qwen_lsp.core.gate import MAX_LINES
from qwen_lsp.core.model import Reason
from tests.e2e.test_faults import PATIENCE, Session, served
from tests.e2e.test_hostile import INLINE, environment
from tests.fake_dashscope import FAILURES, Answer, FakeService
from tests.workspace.trees import tree

pytestmark = pytest.mark.asyncio(loop_scope="module")

BY_HAND, AUTOMATIC = 1, 2
EXECUTE = "workspace/executeCommand"
SHOWN = "A suggestion was shown after"


class Person:
    """Who types in a session, and asks why nothing is shown."""

    def __init__(self, session: Session, folder: Path) -> None:
        self.session, self.service, self.folder = session, session.service, folder
        self._names = iter(range(1_000_000))

    async def run(self, command: str, *arguments: Any) -> dict[str, Any]:
        """What a command answers."""
        reply = await self.session.client.ask(EXECUTE, {"command": command, "arguments": list(arguments)})
        return reply["result"]

    async def why(self, *uri: str) -> dict[str, Any]:
        return await self.run("qwen.why", *uri)

    async def outcomes(self, uri: str) -> list[str]:
        """What `qwen.records` says of a document's requests, the last first."""
        return [each["outcome"] for each in (await self.run("qwen.records"))["records"] if each["uri"] == uri]

    def open(self, text: str, uri: str = "") -> str:
        """A new document; the cursor's mark is no part of it."""
        uri = uri or (self.folder / f"{next(self._names)}.py").as_uri()
        self.session.client.open(uri, text.replace("█", ""))
        return uri

    def edit(self, uri: str, text: str) -> None:
        """All of the document is this now."""
        document = {"uri": uri, "version": 2}
        changes = [{"text": text.replace("█", "")}]
        self.session.client.notify("textDocument/didChange", {"textDocument": document, "contentChanges": changes})

    def request(self, uri: str, text: str, trigger: int = AUTOMATIC, **context: Any) -> object:
        """Asks where the mark stands; the request's number."""
        above = text.partition("█")[0]
        position = {"line": above.count("\n"), "character": len(above.rpartition("\n")[2])}
        params = {"textDocument": {"uri": uri}, "position": position, "context": {"triggerKind": trigger} | context}
        return self.session.client.request(INLINE, params)

    async def shown(self, ident: object) -> list[str]:
        """What a request has brought onto the screen."""
        result = (await self.session.client.reply(ident))["result"]
        return [item["insertText"] for item in (result or {"items": []})["items"]]

    async def types(self, text: str, uri: str = "", trigger: int = AUTOMATIC, **context: Any) -> str:
        """Opens a document and stops at the mark, where nothing comes up."""
        uri = self.open(text, uri)
        assert await self.shown(self.request(uri, text, trigger, **context)) == []
        return uri

    async def goes_on(self) -> None:
        """Everything is as it was at the beginning."""
        self.service.default = "pass"
        self.session.use()
        await self.run("qwen.resume")
        await self.run("qwen.clearCache")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def person(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Person]:
    """One session for all reasons: what one leaves behind, the next would be told."""
    folder = tree(tmp_path_factory.mktemp("project"), {".git/HEAD": "", ".gitignore": "ignored.py\n"})
    home = tmp_path_factory.mktemp("home")
    async with (
        FakeService() as service,
        served(home, service, timeout=60_000, DASHSCOPE_API_KEY="sk-test-0123456789") as session,
    ):
        yield Person(session, folder)
        session.is_sound()


# One a reason: what a person does, and the document in which nothing comes up.


async def disabled(person: Person) -> str:
    person.session.use(enabled=False)
    return await person.types("x = █\n")


async def paused(person: Person) -> str:
    await person.run("qwen.snooze", 5)
    return await person.types("x = █\n")


async def language(person: Person) -> str:
    person.session.use(disabledLanguages=["python"])
    return await person.types("x = █\n")


async def file(person: Person) -> str:
    uri = person.open(text := "x = █\n")
    await person.run("qwen.toggleFile", uri)
    assert await person.shown(person.request(uri, text)) == []
    return uri


async def not_open(person: Person) -> str:
    uri = (person.folder / "never-opened.py").as_uri()
    assert await person.shown(person.request(uri, "x = █\n")) == []
    return uri


async def private(person: Person) -> str:
    return await person.types("TOKEN = █\n", (person.folder / ".env").as_uri())


async def too_large(person: Person) -> str:
    return await person.types("x = █\n" + "\n" * MAX_LINES)


async def binary(person: Person) -> str:
    return await person.types("x = █\n\0\n", trigger=BY_HAND)


async def mid_word(person: Person) -> str:
    return await person.types("val█ue = 1\n")


async def rest_of_line(person: Person) -> str:
    return await person.types("begin()█ end()\n")


async def comment(person: Person) -> str:
    person.session.use(disableIn=["comments"])
    return await person.types("# begin█\n")


async def string(person: Person) -> str:
    person.session.use(disableIn=["strings"])
    return await person.types('x = "begin █"\n')


async def read_only(person: Person) -> str:
    return await person.types("x = █\n", f"git:{person.folder}/a.py?HEAD")


async def ignored(person: Person) -> str:
    return await person.types("x = █\n", (person.folder / "ignored.py").as_uri(), BY_HAND)


async def just_accepted(person: Person) -> str:
    uri = person.open(text := "x = █\n")
    assert await person.shown(person.request(uri, text)) == ["pass"]
    person.edit(uri, text := "x = pass█\n")
    await person.run("qwen.accepted", uri, "1")
    assert await person.shown(person.request(uri, text)) == []
    return uri


async def selected(person: Person) -> str:
    """An editor that says that the menu's entry will stand right of the cursor, where nothing is typed."""
    span = {"start": {"line": 0, "character": 6}, "end": {"line": 0, "character": 6}}
    return await person.types("x = █  \n", selectedCompletionInfo={"text": "print", "range": span})


async def no_provider(person: Person) -> str:
    person.session.use(provider="openai", baseUrl="")
    return await person.types("x = █\n")


async def budget(person: Person) -> str:
    paid = {"provider": "dashscope", "baseUrl": person.service.dashscope, "region": "cn-beijing"}
    person.session.use(**paid, budget={"tokens": 1})
    async with asyncio.timeout(PATIENCE):
        while True:  # the ledger is written beside the completions
            uri = person.open(text := "x = █\n")
            if await person.shown(person.request(uri, text)) == []:
                return uri


async def cooling_down(person: Person) -> str:
    person.service.default = FAILURES["overloaded"]
    await person.types("x = █\n")
    return await person.types("y = █\n")


async def rate_limited(person: Person) -> str:
    """Two go out together, and one is one too many: from then on there is room for so many a second."""
    person.service.default = lambda _request: next(refusals, "pass")
    refusals = iter(["pass", Answer(status=429, body=b"{}")])
    first = [(uri := person.open(text := "x = █\n"), person.request(uri, text, BY_HAND)) for _ in range(2)]
    for _, ident in first:
        await person.shown(ident)
    async with asyncio.timeout(PATIENCE):
        while True:  # until they come as fast as a person types in a row
            uri = person.open(text)
            if await person.shown(person.request(uri, text, BY_HAND)) == []:
                return uri


async def error(person: Person) -> str:
    person.service.default = FAILURES["key"]
    return await person.types("x = █\n")


async def empty(person: Person) -> str:
    person.service.default = ""
    return await person.types("x = █\n")


async def filtered(person: Person) -> str:
    person.service.default = ")"
    return await person.types("begin(█)\n")


async def stale(person: Person) -> str:
    """The editor has changed the document, and is not going to ask again."""
    person.service.default = Answer("pass", hold=(hold := asyncio.Event()))
    asked = len(person.service.generations)
    uri = person.open(text := "x = █\n")
    ident = person.request(uri, text)
    await person.service.until(asked + 1)
    person.edit(uri, "y = 1\n")
    await person.why()  # the edit has arrived
    hold.set()
    assert await person.shown(ident) == []
    return uri


async def filtered_before(person: Person) -> str:
    """Nobody is asked again for what is known to be nothing: that something was written is known, too."""
    person.service.default = "```\n"
    uri = await person.types(text := "x = █\n")
    asked = len(person.service.generations)
    assert await person.shown(person.request(uri, text)) == []
    assert len(person.service.generations) == asked
    return uri


async def filtered_by_the_edge(person: Person) -> str:
    """What the suggestion would replace holds a character that no message may hold."""
    return await person.types("x = █\x0c\n")


Way: TypeAlias = "Callable[[Person], Awaitable[str]]"
MET: dict[Reason, Way] = {
    Reason.DISABLED: disabled,
    Reason.PAUSED: paused,
    Reason.LANGUAGE: language,
    Reason.FILE: file,
    Reason.NOT_OPEN: not_open,
    Reason.PRIVATE: private,
    Reason.TOO_LARGE: too_large,
    Reason.BINARY: binary,
    Reason.MID_WORD: mid_word,
    Reason.REST_OF_LINE: rest_of_line,
    Reason.COMMENT: comment,
    Reason.STRING: string,
    Reason.READ_ONLY: read_only,
    Reason.IGNORED: ignored,
    Reason.JUST_ACCEPTED: just_accepted,
    Reason.SELECTED: selected,
    Reason.NO_PROVIDER: no_provider,
    Reason.BUDGET: budget,
    Reason.COOLING_DOWN: cooling_down,
    Reason.RATE_LIMITED: rate_limited,
    Reason.ERROR: error,
    Reason.EMPTY: empty,
    Reason.FILTERED: filtered,
    Reason.STALE: stale,
}
MET_AGAIN = [(Reason.FILTERED, filtered_before), (Reason.FILTERED, filtered_by_the_edge)]
"""Other ways to some of them, on which it was another reason once."""
OVERTAKEN = {Reason.SUPERSEDED, Reason.CANCELLED}
"""Nobody sees anything of these: `qwen.records` has them, `qwen.why` tells what was before."""


async def test_every_reason_is_met_here() -> None:
    """Who adds a reason adds the way to it."""
    assert set(MET) | OVERTAKEN == set(Reason)


@pytest.mark.parametrize(
    ("reason", "meet"), [*MET.items(), *MET_AGAIN], ids=lambda each: getattr(each, "__name__", None)
)
async def test_each_reason_is_told_when_it_is_met(person: Person, reason: Reason, meet: Way) -> None:
    """By its name, with its sentence and the setting that would change it; and no longer once something is shown."""
    await person.goes_on()
    uri = await meet(person)
    for told in (await person.why(uri), await person.why()):
        assert told["reason"] == reason.value
        assert told["setting"] == reason.setting
        assert told["text"].startswith(reason.sentence.rstrip("."))
    assert (await person.outcomes(uri))[0] == reason.value
    await person.goes_on()
    other = person.open(text := "x = █\n")
    assert await person.shown(person.request(other, text)) == ["pass"]
    for told in (await person.why(other), await person.why()):
        assert told["text"].startswith(SHOWN)
        assert (told["reason"], told["setting"]) == (None, None)
    assert (await person.why(uri))["reason"] == reason.value


@pytest.mark.parametrize("how", OVERTAKEN, ids=lambda reason: reason.value)
async def test_a_request_that_is_overtaken_tells_nothing(person: Person, how: Reason) -> None:
    """While its successor waits, why is what it was before; the list of requests has it by its name."""
    await person.goes_on()
    uri = await empty(person)
    person.service.default = Answer("pass", hold=(hold := asyncio.Event()))
    person.edit(uri, text := "yes = 1\nz = █\n")
    asked = len(person.service.generations)
    ident = person.request(uri, text)
    await person.service.until(asked + 1)
    following = None
    if how is Reason.CANCELLED:
        person.session.client.notify("$/cancelRequest", {"id": ident})
        assert "error" in await person.session.client.reply(ident)
    else:
        following = person.request(uri, "yes = 1█\nz = \n")
        assert (await person.session.client.reply(ident))["result"] is None
    assert (await person.outcomes(uri))[:2] == [how.value, "empty"]
    assert (await person.why(uri))["reason"] == "empty"
    hold.set()
    if following is not None:
        assert await person.shown(following) == ["pass"]
        assert (await person.why(uri))["text"].startswith(SHOWN)


async def test_the_command_line_says_the_same(tmp_path: Path) -> None:
    """`qwen-lsp why`, in another terminal, a second later."""
    async with FakeService() as service, served(tmp_path, service) as session:
        person = Person(session, tmp_path)
        uri = await language(person)
        told = await person.why(uri)
        command, said = (sys.executable, "-m", "qwen_lsp", "why"), ""
        async with asyncio.timeout(PATIENCE):
            while told["text"] not in said:
                await asyncio.sleep(0.3)
                process = await asyncio.create_subprocess_exec(
                    *command, stdout=asyncio.subprocess.PIPE, env={**os.environ, **environment(tmp_path)}
                )
                said = (await process.communicate())[0].decode()
        assert said.splitlines() == [
            f"an editor (process {session.client.process.pid}): ready",
            f"  {told['text']}",
            "  qwen.disabledLanguages would change it",
        ]
