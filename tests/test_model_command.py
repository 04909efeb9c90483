"""`qwen-lsp model`, the directories it works in, and its progress bar."""

import argparse
import io
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from qwen_lsp.backend import weights
from qwen_lsp.cli import model, paths
from qwen_lsp.cli.progress import Progress


def run(cache: Path, *arguments: str) -> subprocess.CompletedProcess:
    """The command in a process of its own, with its own cache."""
    code = (
        "import argparse, sys\n"
        "from qwen_lsp.cli import model\n"
        "parser = argparse.ArgumentParser()\n"
        "model.register(parser.add_subparsers())\n"
        "options = parser.parse_args(['model', *sys.argv[1:]])\n"
        "sys.exit(options.run(options))\n"
    )
    env = {**os.environ, "XDG_CACHE_HOME": str(cache), "PYTHONPATH": str(Path(__file__).parents[1])}
    return subprocess.run(
        [sys.executable, "-c", code, *arguments], env=env, capture_output=True, text=True, check=False
    )


def test_list(tmp_path):
    """Every model is listed with its state, and the 0.5b with its warning."""
    folder = weights.models_dir(tmp_path / "qwen-lsp")
    folder.mkdir(parents=True)
    damaged = weights.MODELS["qwen2.5-coder-0.5b"]
    (folder / damaged.file).write_bytes(b"GGUF")
    rows = {row["name"]: row for row in json.loads(run(tmp_path, "list", "--json").stdout)}
    assert list(rows) == list(weights.MODELS)
    assert rows["qwen2.5-coder-1.5b"]["state"] == "-"
    assert rows["qwen2.5-coder-0.5b"]["state"] == "damaged"
    assert rows["qwen2.5-coder-0.5b"]["path"] == str(folder / damaged.file)
    table = run(tmp_path, "list").stdout
    assert damaged.remark in table


def test_where_and_remove(tmp_path):
    """`where` prints the path alone, `remove` deletes; both say what is missing."""
    absent = run(tmp_path, "where", "0.5b")
    assert absent.returncode == 1
    assert "run `qwen-lsp model pull 0.5b`" in absent.stderr
    assert absent.stdout == ""
    path = weights.models_dir(tmp_path / "qwen-lsp") / weights.MODELS["qwen2.5-coder-0.5b"].file
    path.parent.mkdir(parents=True)
    path.write_bytes(b"GGUF")
    assert run(tmp_path, "where", "0.5b").stdout == f"{path}\n"
    assert run(tmp_path, "remove", "0.5b").returncode == 0
    assert not path.exists()


def test_a_name_that_is_none_is_told_with_those_that_are(tmp_path):
    """By every command that takes one, in the same words."""
    for command in ("pull", "where", "remove"):
        told = run(tmp_path, command, "nope")
        assert (told.returncode, told.stdout) == (1, "")
        assert told.stderr == f"qwen-lsp: there is no model 'nope'; choose one of {', '.join(weights.MODELS)}\n"


def test_pull_of_a_wrong_file(tmp_path):
    """A failed pull is exit status 1 and one line on standard error; the person's file stays."""
    wrong = tmp_path / "wrong.gguf"
    wrong.write_bytes(b"GGUF but another")
    result = run(tmp_path, "pull", "0.5b", "--from", str(wrong))
    assert result.returncode == 1
    assert result.stdout == ""
    (line,) = result.stderr.splitlines()
    assert line.startswith(f"qwen-lsp: qwen2.5-coder-0.5b was not taken from {wrong}: its SHA-256 is ")
    assert "deleted" not in line
    assert wrong.exists()


def test_register_needs_a_command():
    """`model` alone is a usage error."""
    parser = argparse.ArgumentParser()
    model.register(parser.add_subparsers())
    with pytest.raises(SystemExit):
        parser.parse_args(["model"])


def test_directories():
    """XDG variables choose the directories; without them, and for relative ones, the home directory does."""
    home = {"HOME": "/home/u"}
    assert paths.state_dir(home) == Path("/home/u/.local/state/qwen-lsp")
    assert paths.cache_dir(home) == Path("/home/u/.cache/qwen-lsp")
    assert paths.config_file(home) == Path("/home/u/.config/qwen-lsp/config.toml")
    assert paths.cache_dir({**home, "XDG_CACHE_HOME": "/big"}) == Path("/big/qwen-lsp")
    assert paths.state_dir({**home, "XDG_STATE_HOME": "here"}) == Path("/home/u/.local/state/qwen-lsp")


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_progress_on_a_terminal():
    """On a terminal one line is redrawn with the bytes, the speed and the time left."""
    stream, now = Terminal(), [0.0]
    progress = Progress("m", stream, lambda: now[0], env={})
    progress(0, 100_000_000)
    now[0] = 2.0
    progress(20_000_000, 100_000_000)
    assert stream.getvalue() == "\r\x1b[Km [####....................] 20 of 100 MB, 10.0 MB/s, 8 s left"
    progress.close()
    assert stream.getvalue().endswith("\r\x1b[K")


@pytest.mark.parametrize(("stream", "env"), [(io.StringIO(), {}), (Terminal(), {"TERM": "dumb"})])
def test_progress_in_a_log(stream, env):
    """Elsewhere, and on a terminal that can do no more, there is a plain line now and then, and one at the end."""
    now = [0.0]
    progress = Progress("m", stream, lambda: now[0], env=env)
    for second in range(25):
        now[0] = float(second)
        progress(second * 1_000_000, 100_000_000)
    progress(100_000_000, 100_000_000)
    lines = stream.getvalue().splitlines()
    assert len(lines) == 3
    assert lines[0] == "m: 10 of 100 MB, 1.0 MB/s, 1 min 30 s left"
