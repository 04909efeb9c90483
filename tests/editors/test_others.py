"""editors/OTHERS.md: what a person copies from it parses, and names what each client's documentation names."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parent.parent.parent
PAGE = (ROOT / "editors/OTHERS.md").read_text()
DOCUMENTED = {
    # coc.nvim: `:h coc-languageserver`, `:h coc-config-inlineSuggest`
    "coc.nvim": {
        "languageserver.*.command",
        "languageserver.*.args",
        "languageserver.*.filetypes",
        "languageserver.*.rootPatterns",
        "inlineSuggest.autoTrigger",
    },
    # LSP4IJ: "User-defined language server template", and the templates that come with it
    "JetBrains, with LSP4IJ": {
        "id",
        "name",
        "programArgs.default",
        "programArgs.windows",
        "fileTypeMappings.fileType.name",
        "fileTypeMappings.fileType.patterns",
        "fileTypeMappings.languageId",
    },
    # LSP for Sublime Text: "Client Configuration"
    "Sublime Text, with LSP": {"clients.*.enabled", "clients.*.command", "clients.*.selector"},
    # Kate's handbook: "LSP Client Plugin", "Configuration"
    "Kate": {"servers.*.command", "servers.*.highlightingModeRegex"},
    # Zed: "Configuring Languages"
    "Zed": {"lsp.*.binary.path", "lsp.*.binary.arguments", "languages.*.language_servers"},
}


def section(name: str) -> str:
    return PAGE.partition(f"\n## {name}\n")[2].partition("\n## ")[0]


def keys(value: Any, documented: set[str], path: str = "") -> Iterator[str]:
    """The paths of all values, with a star for a name that a person chooses."""
    if isinstance(value, list) and all(isinstance(item, dict) for item in value):
        for item in value:
            yield from keys(item, documented, path)
    elif isinstance(value, dict):
        for key, inner in value.items():
            chosen = any(known.startswith(f"{path}*.") for known in documented)
            yield from keys(inner, documented, f"{path}{'*' if chosen else key}.")
    else:
        yield path.removesuffix(".")


@pytest.mark.parametrize("client", DOCUMENTED)
def test_a_snippet_parses_and_has_documented_keys(client: str) -> None:
    """Every snippet starts `qwen-lsp serve`."""
    (snippet,) = re.findall(r"```json\n(.*?)```", section(client), re.DOTALL)
    assert set(keys(json.loads(snippet), DOCUMENTED[client])) == DOCUMENTED[client]
    assert re.search(r'\bqwen-lsp[", \s]+(?:"args": \[|"arguments": \[)?"?serve\b', snippet)


def test_every_section_is_checked() -> None:
    """And the README leads here."""
    assert re.findall(r"^## (.*)$", PAGE, re.MULTILINE) == list(DOCUMENTED)
    readme = (ROOT / "README.md").read_text()
    said = readme.partition("<!-- others -->\n")[2].partition("<!-- /others -->")[0]
    assert "(editors/OTHERS.md)" in said
    assert len(said.splitlines()) <= 15
