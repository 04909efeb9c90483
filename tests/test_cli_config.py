"""cli/config.py: what the configuration file, the environment and options say, and what is made of mistakes in them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from qwen_lsp.cli import main
from qwen_lsp.cli.config import base_layer
from qwen_lsp.core.config import HELD, Settings, merged


def settings_of(home: Path, text: str | bytes, **env: str) -> tuple[Settings, list[str]]:
    file = home / "qwen-lsp/config.toml"
    file.parent.mkdir()
    file.write_bytes(text.encode() if isinstance(text, str) else text)
    layer, problems = base_layer({"HOME": str(home), "XDG_CONFIG_HOME": str(home)} | env)
    return merged(layer), problems


def configured(monkeypatch: pytest.MonkeyPatch, home: Path, text: str) -> None:
    """A home with this file; the environment says some things as well."""
    settings_of(home, text)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(home))
    monkeypatch.setenv("QWEN_LSP_MAX_TOKENS", "9")
    monkeypatch.setenv("QWEN_LSP_LOCAL_THREADS", "2")


def test_the_settings_that_hold_are_shown_with_their_sources(tmp_path, monkeypatch, capsys) -> None:
    """Those of the file, and those of the environment, which win; what nobody set is left out."""
    configured(monkeypatch, tmp_path, 'maxTokens = 5\nmodel = "m"\n[budget]\ntokens = 7\n')
    assert main(["config"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split() for line in lines if "probe" not in line] == [
        ["model", '"m"', f"({tmp_path}/qwen-lsp/config.toml)"],
        ["maxTokens", "9", "(environment)"],
        ["budget.tokens", "7", f"({tmp_path}/qwen-lsp/config.toml)"],
        ["local.threads", "2", "(environment)"],
    ]


def test_programs_get_all_settings_as_json(tmp_path, monkeypatch, capsys) -> None:
    """With the mistakes, which also go to standard error and make the status 1."""
    configured(monkeypatch, tmp_path, "localOnly = 7\n")
    assert main(["config", "--json", "--all"]) == 1
    told = capsys.readouterr()
    said = json.loads(told.out)
    assert said["settings"]["localOnly"] == {"value": True, "source": f"{tmp_path}/qwen-lsp/config.toml"}
    assert said["settings"]["debounce"] == {"value": "auto", "source": "default"}
    assert said["problems"][0] in told.err


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
