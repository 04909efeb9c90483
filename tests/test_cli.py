"""The command line, as a person runs it: real processes against the loopback service."""

from __future__ import annotations

import asyncio
import json
import os
import pty
import re
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from qwen_lsp import __version__
from qwen_lsp.cli.asking import TargetError, target
from tests.fake_dashscope import FAILURES, Answer, FakeService

SOURCE = "def add(a, b):\n    return \n\n\ndef sub(a, b):\n    return a - b\n"

SHAPES = """class Circle:
    \"\"\"A circle about the origin.\"\"\"

    def __init__(self, radius: float) -> None:
        self.radius = radius

    def area(self) -> float:
        return 3.14159 * self.radius ** 2
"""
TYPED = "Circle("


@dataclass
class Ran:
    """What a command printed, and how it ended."""

    status: int
    out: str
    err: str


def environment(home: Path, **more: str) -> dict[str, str]:
    """A fresh home, and none of the settings or proxies of whoever runs the tests."""
    kept = {name: os.environ[name] for name in ("PATH", "SYSTEMROOT", "LANG") if name in os.environ}
    folders = {f"XDG_{name}_HOME": str(home / name.lower()) for name in ("CONFIG", "STATE", "CACHE")}
    return kept | folders | {"HOME": str(home), "PYTHONPATH": str(Path(__file__).parent.parent)} | more


async def run(*arguments: str, home: Path, stdin: bytes | None = None, patience: float = 60, **env: str) -> Ran:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "qwen_lsp", *arguments,
        stdin=asyncio.subprocess.PIPE if stdin is not None else asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE, env=environment(home, **env), cwd=home,
    )  # fmt: skip
    async with asyncio.timeout(patience):
        out, err = await process.communicate(stdin)
    assert process.returncode is not None
    return Ran(process.returncode, out.decode(), err.decode())


def asking(fake: FakeService) -> list[str]:
    return ["--provider", "openai", "--base-url", fake.openai, "--model", "qwen-coder-turbo"]


async def test_complete_prints_the_text_and_every_stage(tmp_path: Path) -> None:
    """The text goes to standard output and nothing else does; the stages and their times to standard error."""
    (tmp_path / "app.py").write_text(SOURCE)
    async with FakeService() as fake:
        fake.script("a + b  \n\n\ndef more")
        ran = await run("complete", "app.py:2:12", *asking(fake), home=tmp_path)
    assert (ran.status, ran.out) == (0, "a + b\n")
    for stage in ("gate", "provider", "context", "reuse", "model", "place"):
        assert f"ms  {stage}" in ran.err
    assert "stopped by: end of the statement, trailing blanks" in ran.err
    assert "Traceback" not in ran.err


async def test_complete_gives_machines_one_object(tmp_path: Path) -> None:
    """`--json` holds the text, its range, the route, the times and the tokens; with `--show-prompt` the prompt too."""
    (tmp_path / "app.py").write_text(SOURCE)
    async with FakeService() as fake:
        fake.script("a + b")
        ran = await run("complete", "app.py:2:12", "--json", "--show-prompt", *asking(fake), home=tmp_path)
    said = json.loads(ran.out)
    assert (said["outcome"], said["source"], said["insertText"]) == ("shown", "model", "a + b")
    assert said["range"] == {"line": 1, "start": 11, "end": 11}
    assert (said["provider"], said["model"], said["route"]) == ("openai", "qwen-coder-turbo", "fim")
    assert said["prompt"].startswith("<|fim_prefix|>def add(a, b):\n    return <|fim_suffix|>\n\n\ndef sub")
    assert said["raw"] == "a + b"
    assert said["changes"] == []
    assert said["others"] == []
    assert said["tokens"]["prompt"] > 0
    assert 0 < said["context"]["before"]["tokens"] < said["context"]["before"]["budget"]
    assert said["context"]["why"]
    assert said["totalMs"] >= said["firstTokenMs"] > 0


async def test_complete_tells_what_was_shown_of_other_files_and_why(tmp_path: Path) -> None:
    """Tokens against the budget, each passage with its score and source, what the service counted."""
    folder = tmp_path / "project"
    (folder / ".git").mkdir(parents=True)
    (folder / "shapes.py").write_text(SHAPES)
    (folder / "app.py").write_text(f"from shapes import Circle\n\n\ndef main():\n    circle = {TYPED}\n")
    where = f"project/app.py:5:{14 + len(TYPED)}"
    async with FakeService() as fake:
        fake.script("2)")
        ran = await run("complete", where, "--json", *asking(fake), home=tmp_path)
        fake.script("2)")
        told = await run("complete", where, *asking(fake), home=tmp_path)
    context = json.loads(ran.out)["context"]
    assert "shapes.py" in {passage["path"] for passage in context["passages"]}
    assert 0 < context["snippets"]["tokens"] <= context["snippets"]["budget"]
    assert f"{context['snippets']['tokens']} of other files (of {context['snippets']['budget']})" in told.err
    assert "shapes.py" in told.err
    assert re.search(r"\d+ tokens read, 0 of them cached; \d+ written", told.err)


@pytest.mark.parametrize("command", ["complete", "try"])
@pytest.mark.parametrize("snippets", ["true", "false"])
async def test_an_ignored_file_is_not_sent_by_any_command(tmp_path: Path, command: str, snippets: str) -> None:
    """Whoever names it: the rules of the repository hold, and the reason is told."""
    folder = tmp_path / "project"
    (folder / ".git").mkdir(parents=True)
    (folder / ".qwenignore").write_text("app.py\n")
    (folder / "app.py").write_text(SOURCE)
    async with FakeService() as fake:
        where = "project/app.py:2:12"
        ran = await run(command, where, *asking(fake), home=tmp_path, QWEN_LSP_SNIPPETS=snippets)
        assert fake.generations == []
    assert ran.status == 1
    assert "nothing to show: ignored" in ran.err


async def test_complete_shows_what_each_filter_has_changed(tmp_path: Path) -> None:
    """With `--show-prompt` the text before and after every step that changed it, in order."""
    (tmp_path / "app.py").write_text(SOURCE)
    async with FakeService() as fake:
        fake.script("a + b  \n\n\ndef more")
        ran = await run("complete", "app.py:2:12", "--show-prompt", *asking(fake), home=tmp_path)
    before, after = "--- trailing blanks: before\na + b  \n", "--- trailing blanks: after\na + b\n--- shown\n"
    assert ran.err.index("--- raw answer") < ran.err.index("--- stop: ") < ran.err.index(before) < ran.err.index(after)


async def test_complete_shows_different_candidates(tmp_path: Path) -> None:
    """The likeliest is the text; the others are told beside it, when they are asked for."""
    (tmp_path / "app.py").write_text(SOURCE)
    async with FakeService() as fake:
        fake.script("a + b", "b + a")
        ran = await run("complete", "app.py:2:12", "--candidates", "2", *asking(fake), home=tmp_path)
    assert ran.out == "a + b\n"
    assert "--- candidate 2\nb + a\n" in ran.err


async def test_complete_says_why_there_is_nothing(tmp_path: Path) -> None:
    """With nothing to show the reason is named, and the exit status is 1."""
    (tmp_path / "app.py").write_text(SOURCE)
    (tmp_path / ".env").write_text("KEY=\n")
    async with FakeService() as fake:
        fake.script("", FAILURES["key"])
        empty = await run("complete", "app.py:2:12", *asking(fake), home=tmp_path)
        failed = await run("complete", "app.py:2:12", "--json", *asking(fake), home=tmp_path)
        private = await run("complete", ".env:1:5", *asking(fake), home=tmp_path)
        assert len(fake.generations) == 2
    assert (empty.status, failed.status, private.status) == (1, 1, 1)
    assert "nothing to show: empty" in empty.err
    assert "nothing to show: private" in private.err
    said = json.loads(failed.out)
    assert said["reason"] == "error"
    assert "QWEN_LSP_API_KEY" in said["detail"]


async def test_complete_reads_standard_input(tmp_path: Path) -> None:
    """`-` is standard input, for editors and scripts without a file."""
    async with FakeService() as fake:
        fake.script("1 + 2")
        ran = await run("complete", "-:1:5", *asking(fake), home=tmp_path, stdin=b"x = ")
    assert (ran.status, ran.out) == (0, "1 + 2\n")


@pytest.mark.parametrize(
    ("where", "message"),
    [
        ("app.py", "expected FILE:LINE:COL"),
        ("app.py:0:1", "the file has 7 lines"),
        ("app.py:99:1", "the file has 7 lines"),
        ("app.py:2:99", "line 2 has 11 characters; give a column from 1 to 12"),
        ("gone.py:1:1", "can't be read (No such file or directory)"),
        ("latin.py:1:1", "is not UTF-8 text; save it as UTF-8"),
        ("data.py:1:1", "holds NUL bytes; it is not a text file"),
        ("folder:1:1", "can't be read"),
    ],
)
def test_a_place_that_is_none_is_told_in_one_line(tmp_path: Path, where: str, message: str) -> None:
    """A wrong file or place is a message that says what to do."""
    (tmp_path / "app.py").write_text(SOURCE)
    (tmp_path / "latin.py").write_bytes(b"# caf\xe9\n")
    (tmp_path / "data.py").write_bytes(b"a\0b")
    (tmp_path / "folder").mkdir()
    with pytest.raises(TargetError, match=r"^[^\n]+$") as error:
        target(where, lambda name: (tmp_path / name).read_bytes())
    assert message in str(error.value)


async def test_a_wrong_place_ends_with_status_2_and_no_traceback(tmp_path: Path) -> None:
    """A mistake of the person's is told as such."""
    ran = await run("complete", "gone.py:1:1", home=tmp_path)
    assert (ran.status, ran.out) == (2, "")
    assert ran.err == "qwen-lsp: gone.py: can't be read (No such file or directory)\n"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"model = 'caf\xe9'", "is not UTF-8 text; save it as UTF-8"),
        (b"model = ", "is not TOML"),
        (b"debounce = 'slow'", 'qwen.debounce: expected whole number or "auto", got "slow"'),
    ],
    ids=["latin-1", "not TOML", "a wrong value"],
)
async def test_a_broken_configuration_file_is_told_and_the_rest_works(
    tmp_path: Path, content: bytes, message: str
) -> None:
    """One line names the file and the mistake, and the command does its work."""
    (tmp_path / "config" / "qwen-lsp").mkdir(parents=True)
    (tmp_path / "config" / "qwen-lsp" / "config.toml").write_bytes(content)
    (tmp_path / "app.py").write_text(SOURCE)
    async with FakeService() as fake:
        fake.script("a + b")
        ran = await run("complete", "app.py:2:12", *asking(fake), home=tmp_path)
    assert (ran.status, ran.out) == (0, "a + b\n")
    assert message in ran.err
    assert "config.toml" in ran.err
    assert "Traceback" not in ran.err


@pytest.mark.parametrize("command", [["complete", "app.py:2:12"], ["try", "app.py:2:12"], ["doctor"], ["eval", "."]])
async def test_what_a_command_asks_is_in_the_ledger(tmp_path: Path, command: list[str]) -> None:
    """Requests and tokens as the service counts them: a bill has no other lines than `qwen-lsp stats`."""
    (tmp_path / "app.py").write_text(SOURCE)
    async with FakeService(default="a + b") as fake:
        await run(*command, *asking(fake), home=tmp_path)
        asked = len(fake.generations)
    rows = json.loads((await run("stats", "--json", home=tmp_path)).out)["rows"]
    assert (sum(row["asked"] for row in rows), {row["model"] for row in rows}) == (asked, {"qwen-coder-turbo"})
    assert asked
    assert all(row["tokens_in"] > 0 for row in rows)
    assert sum(row["shown"] for row in rows) == 0


async def test_try_shows_the_code_with_the_ghost_text_in_it(tmp_path: Path) -> None:
    """Without a terminal the ghost text stands between marks; the summary says who answered, how and how fast."""
    (tmp_path / "app.py").write_text(SOURCE)
    async with FakeService() as fake:
        fake.script(Answer(["a ", "+ ", "b"]))
        ran = await run("try", "app.py:2:12", *asking(fake), home=tmp_path)
    assert ran.status == 0
    assert ran.out.startswith("def add(a, b):\n    return ⟦a + b⟧\n\n\ndef sub(a, b):\n")
    assert "openai · qwen-coder-turbo · FIM · first token after " in ran.err


async def test_try_without_text_fails_and_says_why(tmp_path: Path) -> None:
    """Exit status 0 means that text came."""
    async with FakeService() as fake:
        fake.script("", FAILURES["key"])
        empty = await run("try", *asking(fake), home=tmp_path)
        failed = await run("try", *asking(fake), home=tmp_path)
    assert (empty.status, failed.status) == (1, 1)
    assert "nothing to show: empty" in empty.err
    assert "nothing to show: error" in failed.err


async def test_an_address_without_a_scheme_is_told_with_an_example(tmp_path: Path) -> None:
    """A base URL that is none names its setting and shows a right one."""
    ran = await run("try", "--provider", "openai", "--base-url", "localhost:8080", home=tmp_path)
    assert ran.status == 1
    assert "qwen.baseUrl" in ran.err
    assert "http://" in ran.err
    assert "Traceback" not in ran.err


async def test_an_unknown_model_is_told_with_the_setting(tmp_path: Path) -> None:
    """A model that the service does not have is named as the mistake."""
    async with FakeService() as fake:
        ran = await run("try", "--provider", "openai", "--base-url", fake.openai, "--model", "qwen9", home=tmp_path)
    assert ran.status == 1
    assert "qwen.model" in ran.err


async def test_a_pipe_gets_a_server_and_a_terminal_gets_help(tmp_path: Path) -> None:
    """Editors start `qwen-lsp` with nothing else; a person who does so is not left hanging."""
    body = b'{"jsonrpc":"2.0","id":1,"method":"shutdown"}'
    served = await run(home=tmp_path, stdin=b"Content-Length: %d\r\n\r\n%b" % (len(body), body))
    assert "-32002" in served.out
    master, terminal = pty.openpty()
    helped = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "qwen_lsp", stdin=terminal, stdout=asyncio.subprocess.PIPE, env=environment(tmp_path)
    )
    out, _ = await helped.communicate()
    os.close(master)
    os.close(terminal)
    assert helped.returncode == 0
    assert b"usage: qwen-lsp" in out


async def test_version_and_schema(tmp_path: Path) -> None:
    """The version is the package's, and the schema is JSON."""
    version = await run("--version", home=tmp_path)
    schema = await run("schema", home=tmp_path)
    assert version.out == f"qwen-lsp {__version__}\n"
    assert "debounce" in json.loads(schema.out)["properties"]
