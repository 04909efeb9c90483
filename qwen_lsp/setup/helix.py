"""Helix' `languages.toml` with qwen as one more server of each common language.

Promises: what a person wrote stays, comments and order included; where they list the servers of a language, that list
wins and gets qwen at its end, which is the top of Helix' menu. The result is read again before it is given.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping, Sequence
from typing import Any

from qwen_lsp.setup import toml
from qwen_lsp.setup.plan import Unusable, joined

NAME = "qwen"
# Completion is what there is to see; with workspace commands, `:lsp-workspace-command qwen.pause` works.
FEATURES = ("completion", "workspace-command")
ENTRY: Mapping[str, Any] = {"name": NAME, "only-features": list(FEATURES)}

# The defaults of Helix 25.07. Naming a server that is not installed does no harm, Helix does so itself; naming a
# language that it does not know makes it reject the whole file, so all of these are older than Helix 23.10, the first
# with several servers a language.
USUAL: Mapping[str, tuple[str, ...]] = {
    "bash": ("bash-language-server",),
    "c": ("clangd",),
    "c-sharp": ("roslyn-language-server", "omnisharp", "csharp-ls"),
    "clojure": ("clojure-lsp",),
    "cmake": ("neocmakelsp", "cmake-language-server"),
    "cpp": ("clangd",),
    "css": ("vscode-css-language-server",),
    "dart": ("dart",),
    "dockerfile": ("docker-langserver", "docker-language-server"),
    "elixir": ("elixir-ls", "expert"),
    "elm": ("elm-language-server",),
    "fortran": ("fortls",),
    "gleam": ("gleam",),
    "go": ("gopls", "golangci-lint-lsp"),
    "graphql": ("graphql-language-service",),
    "haskell": ("haskell-language-server",),
    "hcl": ("terraform-ls",),
    "html": ("vscode-html-language-server", "superhtml"),
    "java": ("jdtls",),
    "javascript": ("typescript-language-server",),
    "json": ("vscode-json-language-server",),
    "jsx": ("typescript-language-server",),
    "julia": ("julia",),
    "kotlin": ("kotlin-language-server",),
    "latex": ("texlab",),
    "lua": ("lua-language-server",),
    "make": (),
    "markdown": ("marksman", "markdown-oxide", "rumdl"),
    "nix": ("nil", "nixd"),
    "ocaml": ("ocamllsp",),
    "perl": ("perlnavigator",),
    "php": ("intelephense",),
    "python": ("ty", "ruff", "jedi", "pylsp", "zuban"),
    "r": ("r",),
    "ruby": ("ruby-lsp", "solargraph"),
    "rust": ("rust-analyzer",),
    "scala": ("metals",),
    "scss": ("vscode-css-language-server",),
    "solidity": ("solc",),
    "sql": (),
    "svelte": ("svelteserver",),
    "swift": ("sourcekit-lsp",),
    "toml": ("taplo", "tombi"),
    "tsx": ("typescript-language-server",),
    "typescript": ("typescript-language-server",),
    "vue": ("vuels",),
    "yaml": ("yaml-language-server", "ansible-language-server"),
    "zig": ("zls",),
}


def merged(before: str | None, command: str, usual: Mapping[str, Sequence[str]] = USUAL) -> str:
    """The file's text with qwen in it; a text that has it already comes back as it is.

    Raises:
        Unusable: the text is not TOML, or has the parts in a form that can't be added to.
    """
    text = before or ""
    there = _parsed(text)
    wanted = _wanted(there, command, usual)
    if wanted == there:
        return text
    body = _with_own_lists(text, wanted)
    named = {entry.get("name") for entry in _languages(there)}
    server = "" if NAME in there.get("language-server", {}) else _server(command)
    languages = [_language(name, servers) for name, servers in usual.items() if name not in named]
    added = "\n".join(part for part in (server, *languages) if part)
    gap = "\n" if body and added else ""
    after = joined(before, f"{body}{'' if not body or body.endswith(chr(10)) else chr(10)}{gap}{added}")
    try:
        right = tomllib.loads(after) == wanted
    except tomllib.TOMLDecodeError:
        right = False
    if not right:
        raise Unusable("has its languages in a form that can't be added to safely; put the text in by hand")
    return after


def _parsed(text: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise Unusable(f"is not TOML: {error}") from None


def _languages(document: Mapping[str, Any]) -> list[dict[str, Any]]:
    languages = document.get("language", [])
    if not isinstance(languages, list) or not all(isinstance(entry, dict) for entry in languages):
        raise Unusable("has a `language` that is no list of tables")
    return languages


def _wanted(there: Mapping[str, Any], command: str, usual: Mapping[str, Sequence[str]]) -> dict[str, Any]:
    """What the file should say, as plain values."""
    servers = there.get("language-server", {})
    if not isinstance(servers, dict):
        raise Unusable("has a `language-server` that is no table")
    entries = [dict(entry) for entry in _languages(there)]
    for entry in entries:
        name, own = entry.get("name"), entry.get("language-servers")
        if isinstance(own, list):
            entry["language-servers"] = own if NAME in map(_name, own) else [*own, ENTRY]
        elif isinstance(name, str) and name in usual and not _listed(entries, name):
            entry["language-servers"] = [*usual[name], ENTRY]
    named = {entry.get("name") for entry in entries}
    more = [
        {"name": name, "language-servers": [*servers, ENTRY]} for name, servers in usual.items() if name not in named
    ]
    server = {NAME: {"command": command, "args": ["serve"]}}
    return {**there, "language-server": {**server, **servers}, "language": [*entries, *more]}


def _listed(entries: Sequence[Mapping[str, Any]], name: str) -> bool:
    """Whether an entry of this language lists its servers; Helix joins entries of the same name."""
    return any(entry.get("name") == name and "language-servers" in entry for entry in entries)


def _name(server: object) -> object:
    return server.get("name") if isinstance(server, dict) else server


def _with_own_lists(text: str, wanted: Mapping[str, Any]) -> str:
    """The text with the lists of servers that its own entries should have."""
    edits = []
    for table, should in zip(toml.tables(text, "language"), wanted["language"], strict=False):
        servers, own = should.get("language-servers"), table.values.get("language-servers")
        if own is None and servers is not None:
            edits.append((table.end, table.end, f"\nlanguage-servers = {_list(servers)}"))
        elif own is not None and servers is not None and servers[-1] is ENTRY:
            edits.append(toml.with_item(text, own, _inline(ENTRY)))
    for start, end, new in reversed(edits):
        text = f"{text[:start]}{new}{text[end:]}"
    return text


def _server(command: str) -> str:
    return f'[language-server.{NAME}]\ncommand = {_string(command)}\nargs = ["serve"]\n'


def _language(name: str, servers: Sequence[str]) -> str:
    return f"[[language]]\nname = {_string(name)}\nlanguage-servers = {_list([*servers, ENTRY])}\n"


def _list(servers: Sequence[object]) -> str:
    return f"[{', '.join(_inline(server) if isinstance(server, dict) else _string(server) for server in servers)}]"


def _inline(server: Mapping[str, Any]) -> str:
    return f"{{ {', '.join(f'{key} = {json.dumps(value)}' for key, value in server.items())} }}"


def _string(value: object) -> str:
    """TOML's basic strings are JSON's."""
    return json.dumps(value, ensure_ascii=False)
