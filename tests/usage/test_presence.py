"""usage/presence.py and `qwen-lsp why`: how the servers stand that run for a person's editors."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from qwen_lsp.cli import main
from qwen_lsp.usage.presence import Presence, present

STANDING = {"state": "error", "reason": "", "provider": "openai", "model": "m", "editor": "Neovim"}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    return tmp_path / "qwen-lsp" / "servers"


def test_a_running_server_is_listed_as_it_stands_now(folder: Path) -> None:
    """What it said last, in a file that only its owner can read; gone when it ends."""
    server = Presence(folder, os.getpid())
    server.tell(STANDING)
    server.tell(STANDING | {"state": "ready"})
    assert present(folder) == [{"pid": os.getpid(), **STANDING, "state": "ready"}]
    assert [oct(file.stat().st_mode & 0o777) for file in folder.iterdir()] == ["0o600"]
    server.close()
    assert present(folder) == []


def test_a_server_that_was_killed_is_not_listed(folder: Path) -> None:
    """Its file goes, too."""
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    Presence(folder, dead.pid).tell(STANDING)
    assert present(folder) == []
    assert list(folder.iterdir()) == []


def test_what_is_no_server_s_file_is_passed_over(folder: Path) -> None:
    """Half a file, for instance, or someone else's."""
    folder.mkdir(parents=True)
    (folder / f"{os.getpid()}.json").write_text('{"state": ')
    (folder / "notes.json").write_text("[]")
    assert present(folder) == []


def test_why_tells_of_each_server(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Who completes, how it stands, why nothing was shown last, and the setting that would change it."""
    why = "Completion is turned off for this language (`qwen.disabledLanguages`)."
    Presence(folder, os.getpid()).tell(STANDING | {"state": "ready", "why": why, "setting": "qwen.disabledLanguages"})
    assert main(["why"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        f"Neovim (process {os.getpid()}): ready, openai m",
        f"  {why}",
        "  qwen.disabledLanguages would change it",
    ]
    assert main(["why", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)[0]["why"] == why


def test_without_a_server_it_says_how_to_get_one(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """And exits with 1, for programs."""
    assert main(["why"]) == 1
    assert "qwen-lsp setup" in capsys.readouterr().out
    assert main(["why", "--json"]) == 1
    assert capsys.readouterr().out == "[]\n"


def test_a_folder_that_can_t_be_written_is_no_trouble(tmp_path: Path) -> None:
    """The server goes on."""
    (tmp_path / "servers").write_text("a file")
    server = Presence(tmp_path / "servers", os.getpid())
    server.tell(STANDING)
    server.close()
    assert present(tmp_path / "servers") == []
