"""The VS Code extension's manifest says what the server's schema says."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from qwen_lsp import __version__
from qwen_lsp.core import config

MANIFEST = json.loads((Path(__file__).parent.parent / "editors/vscode/package.json").read_text(encoding="utf-8"))
CONTRIBUTED: dict[str, Any] = MANIFEST["contributes"]["configuration"]["properties"]
OPTIONS = list(config.options())


def test_the_settings_are_the_servers() -> None:
    """`npm run settings` was run after the last change of the settings; `qwen.path` alone is the extension's own."""
    assert list(CONTRIBUTED) == ["qwen.path", *(f"qwen.{option.path}" for option in OPTIONS)]


@pytest.mark.parametrize("option", OPTIONS, ids=lambda option: option.path)
def test_a_setting_says_what_the_schema_says(option: config.Option) -> None:
    """The type, the limits, the default and the sentence."""
    entry = CONTRIBUTED[f"qwen.{option.path}"]
    schema = config.json_schema()
    *parents, name = option.path.split(".")
    properties = (
        schema["$defs"][f"{parents[0].capitalize()}Settings"]["properties"] if parents else schema["properties"]
    )
    expected = {key: value for key, value in properties[name].items() if key != "description"}
    if "$ref" in (values := expected.get("additionalProperties", {})):
        expected["additionalProperties"] = schema["$defs"][values["$ref"].rpartition("/")[2]]
    assert expected == {key: value for key, value in entry.items() if key not in ("markdownDescription", "scope")}
    assert option.description == entry["markdownDescription"]


def test_a_folder_that_is_not_trusted_chooses_nothing_that_is_executed_sent_or_paid() -> None:
    """Programs, commands, files, models, addresses, budgets and what is never sent come from the person only."""
    restricted = MANIFEST["capabilities"]["untrustedWorkspaces"]["restrictedConfigurations"]
    where = ("provider", "baseUrl", "model", "region", "workspaceId", "localOnly", "fallback", "exclude")
    names = ("path", "apiKeyCommand", "logFile", "budget.tokens", "budget.price", "prices", *where)
    assert {f"qwen.{name}" for name in names} == set(restricted)
    assert set(restricted) <= set(CONTRIBUTED)


def test_no_setting_holds_a_key() -> None:
    """A key belongs into the secret storage."""
    assert [name for name in CONTRIBUTED if name.lower().endswith("key")] == []


def test_the_version_is_the_servers() -> None:
    """The extension installs the server it was made with."""
    assert __version__ == MANIFEST["version"]
