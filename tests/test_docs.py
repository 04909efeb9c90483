"""What the README says is true today."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path

import pytest

from qwen_lsp.core import config, model
from qwen_lsp.core.context import _CLOUD

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")


def between(mark: str) -> str:
    return README.partition(f"<!-- {mark} -->\n")[2].partition(f"<!-- /{mark} -->")[0]


def test_the_settings_table_is_the_schema() -> None:
    """The table is what `qwen-lsp schema --markdown` prints."""
    assert between("settings") == config.markdown_table()


def test_the_table_of_reasons_is_the_code() -> None:
    """Every reason stands in the README with the sentence that the code has."""
    rows = "".join(f"| `{reason.value}` | {reason.sentence} |\n" for reason in model.Reason)
    assert between("reasons") == f"| reason | what it means |\n| --- | --- |\n{rows}"


def test_the_two_commands_are_those_ci_runs() -> None:
    """The commands that a newcomer copies are run, word for word, on every change."""
    commands = re.findall(r"```sh\n(.*\n)```", README)[:2]
    script = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    for command in commands:
        assert command in script


def test_examples_of_settings_are_right() -> None:
    """A settings file copied from the README has no mistake in it."""
    for example in re.findall(r"```toml\n# ~/.config/qwen-lsp/config.toml\n(.*?)```", README, re.DOTALL):
        layer, problems = config.parse(tomllib.loads(example))
        assert layer
        assert problems == []


def test_what_is_said_to_leave_the_machine_is_the_budget() -> None:
    """The privacy section names the window's true size."""
    said = " ".join(README.split())
    assert f"{_CLOUD.before:,} tokens before the cursor and {_CLOUD.after:,} after it" in said
    assert f"{_CLOUD.snippets:,} tokens of passages" in said


@pytest.mark.parametrize("path", ["qwen_lsp/ARCHITECTURE.md", "README.md"])
def test_files_that_documents_name_exist(path: str) -> None:
    """A path in a table or a sentence leads somewhere."""
    text = (ROOT / path).read_text(encoding="utf-8")
    named = re.findall(r"`((?:[a-z]+/)*[a-z_]+\.py)`", text)
    for name in named:
        room = "tests" if "test_" in name else "qwen_lsp"
        assert (ROOT / name).exists() or list((ROOT / room).rglob(name)), name


def test_the_schema_is_json_that_editors_take() -> None:
    """The schema is one JSON object with a type for every setting."""
    schema = json.loads(json.dumps(config.json_schema()))
    assert all({"type", "anyOf", "enum", "allOf", "$ref"} & set(entry) for entry in schema["properties"].values())


@pytest.mark.parametrize("editor", ["nvim", "vscode", "helix", "emacs", "others"])
def test_an_editor_s_section_is_short(editor: str) -> None:
    """It is read by someone who wants to type; its commands are run word for word by its test in tests/editors."""
    assert 0 < len(between(editor).splitlines()) <= 15


def test_pictures_are_there() -> None:
    """What the README shows is in the repository."""
    for picture in re.findall(r"!\[[^\]]*\]\(([^)]+)\)", README):
        assert (ROOT / picture).is_file()


def test_every_command_is_in_the_table() -> None:
    """With a word about what it does."""
    from qwen_lsp.cli import parser

    (commands,) = (action for action in parser()._actions if action.choices and "serve" in action.choices)
    for command in commands.choices:
        assert f"| `qwen-lsp {command}" in README
