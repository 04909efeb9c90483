"""Whole sessions as editors hold them: from an editor's own greeting to the document after accepting.

Everything is real but the editor's screen and the model: the server's process, its standard input and output, the
HTTP and the event stream, over loopback.
"""

from __future__ import annotations

import itertools
import sys
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest
import pytest_asyncio
from lsprotocol import types
from pytest_lsp import ClientServerConfig, LanguageClient

from tests.fake_dashscope import COMPATIBLE, NATIVE, FakeService, Scripted
from tests.marks import CURSOR

pytestmark = pytest.mark.asyncio(loop_scope="module")
KEY = "sk-test-0123456789"


@dataclass(frozen=True)
class Editor:
    """How an editor announces itself, and the service it is set up for."""

    name: str
    version: str
    encodings: Sequence[str]
    inline: bool
    region: str
    path: str
    options: dict[str, Any] = field(default_factory=dict)

    def params(self, service: FakeService) -> types.InitializeParams:
        text = types.TextDocumentClientCapabilities(
            inline_completion=types.InlineCompletionClientCapabilities() if self.inline else None,
            completion=types.CompletionClientCapabilities(
                completion_item=types.ClientCompletionItemOptions(
                    documentation_format=[types.MarkupKind.Markdown], preselect_support=True
                )
            ),
        )
        base = service.openai if self.options.get("provider") == "openai" else service.dashscope
        return types.InitializeParams(
            client_info=types.ClientInfo(self.name, self.version),
            capabilities=types.ClientCapabilities(
                general=types.GeneralClientCapabilities(position_encodings=list(self.encodings)),
                text_document=text,
                workspace=types.WorkspaceClientCapabilities(configuration=True),
            ),
            initialization_options={"baseUrl": base, "debounce": 0} | self.options,
        )


NEOVIM = Editor(
    "Neovim",
    "0.12.4",
    ["utf-8", "utf-16", "utf-32"],
    inline=True,
    region="cn-beijing",
    path="/v1/completions",
    options={"provider": "openai", "model": "qwen2.5-coder-7b-instruct"},
)
VSCODE = Editor(
    "Visual Studio Code",
    "1.139.1",
    ["utf-16"],
    inline=True,
    region="cn-beijing",
    path=COMPATIBLE + "/completions",
    options={"provider": "dashscope", "region": "cn-beijing"},
)
EMACS = Editor(
    "Eglot",
    "1.17.30",
    ["utf-32", "utf-8", "utf-16"],
    inline=False,
    region="ap-southeast-1",
    path=COMPATIBLE + "/chat/completions",
    options={"provider": "dashscope", "region": "ap-southeast-1"},
)
HELIX = Editor(
    "helix",
    "25.07.1",
    ["utf-8", "utf-32", "utf-16"],
    inline=False,
    region="ap-southeast-1",
    path=NATIVE,
    options={"provider": "dashscope", "region": "ap-southeast-1", "apiStyle": "native"},
)


@dataclass
class Session:
    """An editor at work, and the service behind its server."""

    editor: Editor
    client: LanguageClient
    service: FakeService
    numbers: Any = field(default_factory=itertools.count)

    async def completed(self, before: str, model: Scripted) -> str:
        """Opens a document, types its last character before the `█`, asks there, accepts: the document then."""
        self.service.script(model)
        head, _, tail = before.partition(CURSOR)
        uri = f"file:///w/{next(self.numbers)}.py"
        item = types.TextDocumentItem(uri, "python", 1, head[:-1] + tail)
        self.client.text_document_did_open(types.DidOpenTextDocumentParams(item))
        place = self.position(head[:-1])
        change = types.TextDocumentContentChangePartial(types.Range(place, place), head[-1])
        self.client.text_document_did_change(
            types.DidChangeTextDocumentParams(types.VersionedTextDocumentIdentifier(5, uri), [change])
        )
        edit, new = await self.suggestion(types.TextDocumentIdentifier(uri), self.position(head))
        return self.applied(head + tail, edit, new)

    async def suggestion(self, document: Any, position: types.Position) -> tuple[types.Range, str]:
        if self.editor.inline:
            context = types.InlineCompletionContext(types.InlineCompletionTriggerKind.Automatic)
            (item,) = (
                await self.client.text_document_inline_completion_async(
                    types.InlineCompletionParams(context=context, text_document=document, position=position)
                )
            ).items
            return item.range, item.insert_text
        (entry,) = (await self.client.text_document_completion_async(types.CompletionParams(document, position))).items
        return entry.text_edit.range, entry.text_edit.new_text

    def position(self, head: str) -> types.Position:
        """The end of `head`, in the editor's units."""
        lines = head.replace("\r\n", "\n").split("\n")
        return types.Position(len(lines) - 1, len(lines[-1].encode(self.codec)) // self.unit)

    def applied(self, text: str, edit: types.Range, new: str) -> str:
        """The text after the editor has put `new` in the range, between marks."""
        lines = text.splitlines(keepends=True)
        line = lines[edit.start.line].encode(self.codec)
        left, right = line[: edit.start.character * self.unit], line[edit.end.character * self.unit :]
        assert edit.start.line == edit.end.line
        lines[edit.start.line] = left.decode(self.codec) + f"⟦{new}⟧" + right.decode(self.codec)
        return "".join(lines)

    @property
    def encoding(self) -> str:
        return self.editor.encodings[0]

    @property
    def codec(self) -> str:
        return "utf-8" if self.encoding == "utf-8" else f"{self.encoding}-le"

    @property
    def unit(self) -> int:
        """Bytes a unit has in the codec."""
        return {"utf-8": 1, "utf-16": 2, "utf-32": 4}[self.encoding]


@pytest_asyncio.fixture(
    scope="module",
    loop_scope="module",
    params=[NEOVIM, VSCODE, EMACS, HELIX],
    ids=lambda editor: editor.name,
)
async def session(request, tmp_path_factory) -> AsyncIterator[Session]:
    """One session an editor; each costs a process."""
    editor: Editor = request.param
    environment = {"HOME": str(tmp_path_factory.mktemp("home")), "DASHSCOPE_API_KEY": KEY, "NO_PROXY": "*"}
    environment["QWEN_LSP_PROBE"] = "false"
    async with FakeService(region=editor.region, key=None if "openai" in editor.options.values() else KEY) as fake:
        command = [sys.executable, "-m", "qwen_lsp", "serve"]
        client = await ClientServerConfig(server_command=command, server_env=environment).start()
        result = await client.initialize_session(editor.params(fake))
        assert result.capabilities.position_encoding == editor.encodings[0]
        yield Session(editor, client, fake)
        await client.shutdown_session()
        await client.stop()


async def test_a_completion_streams_in_and_is_put_at_the_cursor(session):
    """Keystroke, request, stream, acceptance: the text stands where the cursor was, and nothing else changed."""
    after = await session.completed("def add(a, b):\n    return █\n", ["a", " +", " b\n"])
    assert after == "def add(a, b):\n    return ⟦a + b⟧\n"
    asked = session.service.generations[-1]
    assert asked.path == session.editor.path
    assert b"return" in asked.body


async def test_columns_are_counted_in_the_editor_s_units(session):
    """Behind an astral character, an accented and a Chinese one, the cursor is where the editor says it is."""
    after = await session.completed("s = 'é你😋', █\n", "'x'\n")
    assert after.replace("⟦", "").replace("⟧", "") == "s = 'é你😋', 'x'\n"


async def test_a_crlf_document_is_completed_with_the_line_ends_its_editor_wants(session):
    """Several lines go into a CRLF document as LF, which editors convert, or as CRLF for Helix, which does not."""
    after = await session.completed("if x:\r\n    █\r\n", "a()\n    b()\n")
    end = "\r\n" if session.editor.name == "helix" else "\n"
    assert after == f"if x:\r\n    ⟦a(){end}    b()⟧\r\n"
    assert b"\\r" not in session.service.generations[-1].body


async def test_the_session_is_quiet(session):
    """Ordinary completing shows no message and logs nothing to the editor."""
    assert session.client.messages == []
    assert session.client.log_messages == []
