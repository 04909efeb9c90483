"""The answer to `initialize`.

Needs neither pygls nor lsprotocol, whose import takes half a second: `cli/serve.py` answers with it before they are
loaded, and the server with the same function when it is asked itself. What is announced here is what
`lsp/server.py` handles.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from qwen_lsp import __version__
from qwen_lsp.lsp.clients import Client, read, wants_menu
from qwen_lsp.lsp.settings import Layers
from qwen_lsp.lsp.transport import FrameDecoder, framed
from qwen_lsp.processes import runs

ACCEPTED = "qwen.accepted"
"""The command that an accepted completion runs, where the editor runs one: the only sign of acceptance there is."""
COMMANDS = (
    ACCEPTED,
    "qwen.status",
    "qwen.why",
    "qwen.inspect",
    "qwen.records",
    "qwen.statistics",
    "qwen.pause",
    "qwen.resume",
    "qwen.toggle",
    "qwen.snooze",
    "qwen.toggleLanguage",
    "qwen.toggleFile",
    "qwen.use",
    "qwen.clearCache",
    "qwen.fetchModel",
)
"""What `workspace/executeCommand` takes (lsp/controls.py)."""
NAME = "qwen-lsp"
INCREMENTAL = 2
"""LSP's TextDocumentSyncKind."""
# Helix asks 5 ms after one of these and otherwise only after two letters of a word; a line's beginning is a blank
# after its indentation.
TRIGGERS = [".", "(", "[", "{", "=", ",", " "]


def greet(params: Mapping[str, Any], layers: Layers) -> tuple[Client, bool, dict[str, Any]]:
    """Who asks, whether its completion menu is served, and what `initialize` is answered.

    The settings that came with the request are put into `layers`.
    """
    client = read(params)
    layers.put("initializationOptions", params.get("initializationOptions"))
    menu = wants_menu(client, layers.merged().completion_fallback)
    return client, menu, result(client, menu=menu)


def result(client: Client, *, menu: bool) -> dict[str, Any]:
    """The InitializeResult."""
    capabilities: dict[str, Any] = {
        "positionEncoding": client.encoding,
        "textDocumentSync": {"openClose": True, "change": INCREMENTAL, "save": {"includeText": False}},
        # Not an empty object: lsp-mode reads that as "unsupported" when it keeps objects as property lists.
        "inlineCompletionProvider": {"workDoneProgress": False},
        "executeCommandProvider": {"commands": list(COMMANDS)},
        "workspace": {"workspaceFolders": {"supported": True, "changeNotifications": True}},
    }
    if client.notebooks:
        capabilities["notebookDocumentSync"] = {
            "notebookSelector": [{"notebook": "*", "cells": [{"language": "*"}]}],
            "save": False,
        }
    if menu:
        capabilities["completionProvider"] = {"triggerCharacters": TRIGGERS, "resolveProvider": False}
    return {"capabilities": capabilities, "serverInfo": {"name": NAME, "version": __version__}}


@dataclass(frozen=True, slots=True)
class Start:
    """How a session has begun: what `initialize` said if it is answered, and what else is read so far."""

    params: dict[str, Any] | None
    bodies: list[bytes]
    decoder: FrameDecoder
    editor: int | None = None
    """The editor's process (LSP, InitializeParams: processId); None if it can't be seen from here, as from inside a
    container."""


def greet_early(read: Callable[[], bytes], write: Callable[[bytes], None], layers: Layers) -> Start:
    """Reads until there is a message, and answers it if it is `initialize`. Any other is left to the server.

    `read` waits for some bytes and returns none at the end of input.
    """
    decoder = FrameDecoder()
    bodies: list[bytes] = []
    while not bodies:
        data = read()
        if not data:
            return Start(None, bodies, decoder)
        bodies = decoder.feed(data)
    try:
        message = json.loads(bodies[0])
    except (ValueError, RecursionError):
        return Start(None, bodies, decoder)
    if not _is_initialize(message):
        return Start(None, bodies, decoder)
    _, _, answer = greet(message["params"], layers)
    reply = {"jsonrpc": "2.0", "id": message["id"], "result": answer}
    write(framed(json.dumps(reply).encode()))
    pid = message["params"].get("processId")
    return Start(message["params"], bodies[1:], decoder, pid if isinstance(pid, int) and runs(pid) else None)


def _is_initialize(message: object) -> bool:
    return (
        isinstance(message, dict)
        and message.get("jsonrpc") == "2.0"
        and message.get("method") == "initialize"
        and isinstance(message.get("id"), str | int)
        and not isinstance(message["id"], bool)
        and isinstance(message.get("params"), dict)
    )
