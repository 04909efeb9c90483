"""cli/config.py: what the configuration file, the environment and options say, and what is made of mistakes in them."""

from __future__ import annotations

from pathlib import Path

import pytest

from qwen_lsp.cli.config import base_layer
from qwen_lsp.core.config import HELD, Settings, merged


def settings_of(home: Path, text: str | bytes, **env: str) -> tuple[Settings, list[str]]:
    file = home / "qwen-lsp/config.toml"
    file.parent.mkdir()
    file.write_bytes(text.encode() if isinstance(text, str) else text)
    layer, problems = base_layer({"HOME": str(home), "XDG_CONFIG_HOME": str(home)} | env)
    return merged(layer), problems


@pytest.mark.parametrize(
    "text",
    [
        'model = "m"\nexclude = ["*.sql"]\n',
        'qwen.model = "m"\nqwen.exclude = ["*.sql"]\n',
        '[qwen]\nmodel = "m"\nexclude = ["*.sql"]\n',
        'model = "m"\n[qwen]\nmodel = "other"\nexclude = "*.sql"\n',
    ],
)
def test_settings_may_be_spelled_as_messages_spell_them(tmp_path: Path, text: str) -> None:
    """`qwen.model` in a message is `model` in the file, or `qwen.model`, or `model` in the table `[qwen]`."""
    settings, problems = settings_of(tmp_path, text)
    assert (settings.model, settings.exclude, problems) == ("m", ["*.sql"], [])


@pytest.mark.parametrize("text", ["provider = local\n", b"model = 'caf\xe9'\n", "[[[\n"])
def test_a_file_that_can_not_be_read_lets_nothing_out(tmp_path: Path, text: str | bytes) -> None:
    """Whatever it was meant to forbid; what the environment says besides still holds."""
    settings, (problem,) = settings_of(tmp_path, text, QWEN_LSP_MAX_TOKENS="9")
    assert (settings.local_only, settings.max_tokens) == (True, 9)
    assert "config.toml" in problem
    assert problem.endswith(HELD)


def test_a_directory_in_its_place_is_told(tmp_path: Path) -> None:
    """As any file that the system does not let us read."""
    (tmp_path / "qwen-lsp/config.toml").mkdir(parents=True)
    layer, (problem,) = base_layer({"XDG_CONFIG_HOME": str(tmp_path), "HOME": str(tmp_path)})
    assert merged(layer).local_only
    assert "can't be read" in problem


def test_no_file_is_no_mistake(tmp_path: Path) -> None:
    """Most people have none."""
    assert base_layer({"XDG_CONFIG_HOME": str(tmp_path), "HOME": str(tmp_path)}) == ({}, [])


def test_a_table_that_is_none_is_an_unknown_setting(tmp_path: Path) -> None:
    """`qwen = 7` is nobody's."""
    settings, (problem,) = settings_of(tmp_path, "qwen = 7\n")
    assert settings == Settings()
    assert "qwen.qwen: unknown setting" in problem
