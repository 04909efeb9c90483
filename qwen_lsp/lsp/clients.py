"""What each editor needs: the one table of differences, and what an `initialize` says about its sender.

Promises: reads any `initialize` params without raising; a client it does not know gets what LSP 3.18 says. Plain
values only: this module is loaded before pygls is, so that the greeting is fast.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from qwen_lsp.core.text import Encoding


@dataclass(frozen=True, slots=True)
class Needs:
    """How an editor differs from the specification."""

    snippet: bool = False
    """Of a plain menu entry only the first line is inserted; of a snippet all of it, each line indented again."""
    document_ends: bool = False
    """Inserts line ends as they come, so a CRLF document needs them so."""
    commands: bool = True
    """Runs an entry's command when it is accepted."""
    results: bool = True
    """Shows a person what a command answers."""


# Seen with the real editors (Neovim 0.11 and 0.12, Helix 25.07); the others behave as the specification says.
NEEDS: Mapping[str, Needs] = MappingProxyType(
    {
        "neovim": Needs(snippet=True),
        "helix": Needs(document_ends=True, commands=False, results=False),
    }
)


@dataclass(frozen=True, slots=True)
class Client:
    """The editor at the other end."""

    name: str = ""
    """Lower case, as in `NEEDS`; empty if it did not say."""
    encoding: Encoding = "utf-16"
    """What its columns count: its own first choice among those we know (LSP 3.17, PositionEncodingKind)."""
    inline: bool = False
    """It asks for inline completion, so the completion menu need not carry ours."""
    configuration: bool = False
    """It answers `workspace/configuration`."""
    snippets: bool = False
    """Its completion menu takes snippets."""
    markdown: bool = False
    """Its completion menu shows Markdown beside an entry."""
    notebooks: bool = False
    """It tells of notebooks as such (LSP 3.17)."""
    progress: bool = False
    """It shows the progress of work that the server begins by itself."""
    watches: bool = False
    """It can be asked to watch files."""
    statuses: bool = False
    """It shows our own notification `qwen/status`."""
    needs: Needs = field(default_factory=Needs)


def read(params: Mapping[str, Any]) -> Client:
    """What `initialize` params say of their sender."""
    info = _at(params, "clientInfo")
    name = str(_at(info, "name") or "").lower()
    needs = NEEDS.get(name, Needs())
    capabilities = _at(params, "capabilities")
    document = _at(capabilities, "textDocument")
    entry = _at(_at(document, "completion"), "completionItem")
    formats = _at(entry, "documentationFormat")
    workspace = _at(capabilities, "workspace")
    watching = _at(workspace, "didChangeWatchedFiles")
    return Client(
        name=name,
        encoding=_encoding(_at(_at(capabilities, "general"), "positionEncodings")),
        inline=_inline(document),
        configuration=_at(workspace, "configuration") is True,
        snippets=_at(entry, "snippetSupport") is True,
        markdown=isinstance(formats, list) and "markdown" in formats,
        notebooks=isinstance(_at(_at(capabilities, "notebookDocument"), "synchronization"), Mapping),
        progress=_at(_at(capabilities, "window"), "workDoneProgress") is True,
        watches=_at(watching, "dynamicRegistration") is True,
        statuses=_at(_at(capabilities, "experimental"), "qwenStatus") is True,
        needs=needs,
    )


def wants_menu(client: Client, setting: str) -> bool:
    """Whether completions are also offered as entries of the completion menu (`qwen.completionFallback`)."""
    return setting == "on" or (setting == "auto" and not client.inline)


def _inline(document: object) -> bool:
    """Whether the editor will ask for inline completion.

    The capability counts when its key is there at all: lsp-mode 10 sends null and asks nevertheless.
    """
    return isinstance(document, Mapping) and "inlineCompletion" in document


def _encoding(offered: object) -> Encoding:
    for encoding in offered if isinstance(offered, list) else ():
        if encoding in ("utf-8", "utf-16", "utf-32"):
            return encoding  # type: ignore[no-any-return]  # one of the three literals
    return "utf-16"


def _at(value: object, key: str) -> Any:  # noqa: ANN401 - whatever the client sent
    """A key of what should be an object; None where it is none."""
    return value.get(key) if isinstance(value, Mapping) else None
