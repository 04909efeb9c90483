"""Emacs: ghost text of `qwen-lsp-mode` and of lsp-mode 10, and eglot's completion at point."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.editors import install
from tests.editors.home import MODEL, Home
from tests.editors.terminal import Terminal
from tests.editors.writer import writes
from tests.fake_dashscope import Answer, FakeService, Received

ROOT = Path(__file__).parents[2]
CLIENT = ROOT / "editors/emacs/qwen-lsp.el"
GLOBAL = f'(load "{CLIENT}" nil t)\n(global-qwen-lsp-mode)\n'
C_RETURN = "\x1b[27;5;13~"
"""As terminals that tell it from Enter send it (xterm's modifyOtherKeys)."""

LIBRARY = "def add(a, b):\n    return a + b\n\n\ndef mul(a, b):\n    return a * b\n"
CALL = "total = sum(prices, start)\nprint(total)\n"
CRLF = LIBRARY.replace("\n", "\r\n")
MUL = ["def mul(", "a, b):", "a", "return a * b"]
EMOJI = 'print("🙂👍", name)\n'
# The file, with █ for the cursor; what is typed and what the screen then shows, in turn; the file afterwards.
CASES = {
    "line end": ("def add(a, b):\n    █\n", ["return", "return a + b"], "def add(a, b):\n    return a + b\n"),
    "closers present": ("total = sum(█)\nprint(total)\n", ["pri", "sum(prices, start)"], CALL),
    "block": ("def add(a, b):\n    return a + b\n\n\n█", MUL, LIBRARY),
    "emoji": ("print(█)\n", ['"🙂👍", n', '👍", name)'], EMOJI),
    "crlf": ("def add(a, b):\r\n    return a + b\r\n\r\n\r\n█", MUL, CRLF),
}


USUAL = """\
import json, pathlib, sys

while header := sys.stdin.buffer.readline():
    sys.stdin.buffer.readline()
    message = json.loads(sys.stdin.buffer.read(int(header.split(b":")[1])))
    if message.get("method") == "textDocument/didOpen":
        pathlib.Path("usual-server.opened").touch()
    if "id" in message and "method" in message:
        result = {"capabilities": {"textDocumentSync": 1}} if message["method"] == "initialize" else None
        body = json.dumps({"jsonrpc": "2.0", "id": message["id"], "result": result}).encode()
        sys.stdout.buffer.write(b"Content-Length: %d\\r\\n\\r\\n" % len(body) + body)
        sys.stdout.buffer.flush()
"""
"""The language's own server, which knows nothing of completion; it leaves a file when it has been given a document."""


@asynccontextmanager
async def emacs(home: Home, init: str | None, path: Path, cursor: str = "1:1") -> AsyncIterator[Terminal]:
    """Emacs with this init file, or the one that is there, and one file open, at a line and column."""
    if init is not None:
        folder = home.path / ".emacs.d"
        folder.mkdir()
        # Compiling what is loaded would take the machine from the tests.
        (folder / "early-init.el").write_text("(setq native-comp-deferred-compilation nil)")
        (folder / "init.el").write_text(f"(setq inhibit-startup-screen t)\n{init}")
    command = [str(install.program("emacs")), "-nw", f"+{cursor}", str(path)]
    async with await Terminal.start(command, env=home.env, cwd=home.work, columns=140) as terminal:
        yield terminal


async def visited(terminal: Terminal, home: Home, name: str, marked: str) -> Path:
    """A new file of the workspace, open and with the cursor at its █."""
    before, _, after = marked.partition("█")
    path = home.file(name, before + after)
    column = len(before.rpartition("\n")[2])
    await terminal.keys("M-:")
    move = f"(forward-line {before.count(chr(10))}) (forward-char {column})"
    await terminal.type(f'(progn (find-file "{path}") {move})')
    await terminal.keys("Enter")
    await terminal.until(lambda screen: re.search(f"{re.escape(name)} .*Python", screen) is not None)
    return path


async def walked(terminal: Terminal, steps: list[str]) -> None:
    """Types the first, waits for the second on the screen, and so on."""
    for typed, seen in zip(steps[::2], steps[1::2], strict=True):
        await terminal.type(typed)
        await terminal.until(seen)


async def saved(terminal: Terminal, path: Path) -> None:
    await terminal.keys("C-x", "C-s")
    await terminal.until(f"Wrote {path}"[:90])


def at_once(*texts: str) -> Callable[[Received], Answer]:
    """`writes`, in one piece: of a stream Emacs may be given the lines that are whole, until the next key."""
    pieces = writes(*texts)
    return lambda request: Answer("".join(str(piece) for piece in pieces(request).text))


def usual_server(home: Home) -> str:
    """Puts a language's own server there, and gives its command as a list in Lisp."""
    return f'("{sys.executable}" "{home.file("usual.py", USUAL)}")'


async def command(terminal: Terminal, name: str) -> None:
    await terminal.keys("M-x")
    await terminal.until("\nM-x")
    await terminal.type(name)
    await terminal.keys("Enter")


def lsp_mode(home: Home) -> str:
    """An init file in which lsp-mode serves Python, by its usual server."""
    found = sorted((install.folder() / "elpa").glob("*"))
    if not any(path.name.startswith("lsp-mode-10") for path in found):
        install.missing("lsp-mode 10")
    paths = " ".join(f'"{path}"' for path in found)
    return f"""
(setq load-path (append '({paths}) load-path))
(load "lsp-mode-autoloads" nil t)
(setq lsp-auto-guess-root t lsp-enable-snippet nil lsp-warn-no-matched-clients nil
      lsp-headerline-breadcrumb-enable nil lsp-client-packages nil)
{GLOBAL}
(require 'lsp-mode)
(lsp-register-client (make-lsp-client :server-id 'usual :major-modes '(python-mode)
                                      :new-connection (lsp-stdio-connection '{usual_server(home)})))
(add-hook 'python-mode-hook #'lsp)
"""


# qwen-lsp-mode


async def test_suggestions_are_seen_and_taken(home: Home, service: FakeService) -> None:
    """In one file after the other text is typed, the rest is on the screen, TAB takes it, and the file holds it."""
    service.default = at_once(*(after for *_, after in CASES.values()))
    async with emacs(home, GLOBAL, home.file("other.py", "")) as terminal:
        for number, (marked, steps, after) in enumerate(CASES.values(), 2):
            path = await visited(terminal, home, f"main_{number}.py", marked)
            await home.until_opened(number)
            await walked(terminal, steps)
            await terminal.keys("Tab")
            await saved(terminal, path)
            assert path.read_bytes().decode() == after


async def test_typed_through_and_taken_by_words(home: Home, service: FakeService) -> None:
    """What is typed of a suggestion leaves the rest of it, which is taken by words and by lines."""
    service.default = at_once(LIBRARY)
    path = home.file("main.py", "def add(a, b):\n    return a + b\n\n\n")
    async with emacs(home, GLOBAL, path, "5:1") as terminal:
        await home.until_opened()
        await walked(terminal, MUL)
        await walked(terminal, [", b", "def mul(a, b):"])
        await home.until_logged("source=cache")
        await terminal.until("return a * b")
        assert len(service.generations) == 1
        await terminal.keys("C-M-Right")
        await terminal.keys("M-Right")
        await terminal.until("return a * b")
        await saved(terminal, path)
        assert path.read_text() == "def add(a, b):\n    return a + b\n\n\ndef mul(a, b):\n    return\n"


async def test_dismissed(home: Home, service: FakeService) -> None:
    """C-g hides a suggestion, TAB is then Emacs' own, and the file holds only what was typed."""
    service.default = at_once(LIBRARY)
    path = home.file("main.py", "")
    async with emacs(home, GLOBAL, path) as terminal:
        await home.until_opened()
        await walked(terminal, ["def add(", "a, b):"])
        await terminal.keys("C-g")
        await terminal.until(lambda screen: "a, b" not in screen)
        await saved(terminal, path)
        assert path.read_text() == "def add(\n"  # Python's mode ends a file so


async def test_edits_anywhere_reach_the_server(home: Home, service: FakeService) -> None:
    """After cutting, pasting, undoing and replacing all over a buffer, the server has the buffer's text."""
    path = home.file("main.py", "".join(f"line_{n} = {n}\n" for n in range(8)) + "end")
    script = """(progn
      (goto-char (point-max)) (insert "\\n\\n") (backward-delete-char 2)
      (goto-char 3) (kill-line 2) (goto-char (point-max)) (yank) (insert "é🙂")
      (goto-char (point-min)) (while (search-forward "line" nil t) (replace-match "a\\nb"))
      (narrow-to-region 4 40) (goto-char 6) (delete-region 6 20) (widen)
      (upcase-region 1 12) (delete-region (- (point-max) 5) (- (point-max) 2)))"""
    async with emacs(home, GLOBAL, path) as terminal:
        await home.until_opened()
        await terminal.keys("M-:")
        await terminal.type(re.sub(r"\s*\n\s*", " ", script))
        await terminal.keys("Enter")
        await terminal.keys("M->")
        await terminal.type("x")
        await home.until_logged("asks ")
        await saved(terminal, path)
        prompt = service.requests[-1].json["prompt"]
        assert f"<|fim_prefix|>{path.read_text().rstrip()}<|fim_suffix|>" in prompt
        # In the middle now, in lines that the server has; so what follows them must be where it was.
        await terminal.keys("M-<", "C-n", "C-n", "C-k", "C-k", "C-k", "C-o", "C-o")
        await terminal.type("y = ")
        await home.until_logged("asks ", 2)
        await saved(terminal, path)
        before, _, after = path.read_text().partition("y = ")
        prompt = service.requests[-1].json["prompt"]
        assert f"<|fim_prefix|>{before}y = <|fim_suffix|>{after}".rstrip() in prompt


async def test_service_down(home: Home, service: FakeService) -> None:
    """Nothing pops up when the service can't be reached; the mode line and the status say so."""
    await service.stop()
    path = home.file("main.py", "")
    async with emacs(home, GLOBAL, path) as terminal:
        await home.until_opened()
        await terminal.type("def add(")
        await home.until_logged("outcome=(error|cooling-down)")
        screen = await terminal.until(lambda screen: re.search(r"Qwen[?!]", screen) is not None)
        assert "Warning" not in screen
        assert screen.count("main.py") == 1
        await command(terminal, "qwen-lsp-status")
        await terminal.until(lambda screen: re.search(r"qwen-lsp: (warning|error); \w", screen) is not None)
        await command(terminal, "qwen-lsp-why")
        await terminal.until(lambda screen: re.search(r"qwen-lsp: [A-Z].*\.", screen) is not None)


async def test_key_missing(home: Home) -> None:
    """Without a key there is one notice, however much is typed."""
    home.configure('provider = "dashscope"\n')
    path = home.file("main.py", "")
    async with emacs(home, GLOBAL, path) as terminal:
        await home.until_opened()
        await terminal.type("def add(")
        await terminal.until("DASHSCOPE_API_KEY")
        await terminal.type("a")
        await home.until_logged("outcome=", 2)
        await terminal.keys("C-h", "e")
        screen = await terminal.until("*Messages*")
        assert screen.count("DASHSCOPE_API_KEY") == 1


async def test_command_missing(home: Home) -> None:
    """Without the server there is one line that names the remedy, and Emacs is as it was."""
    (home.path / "bin/qwen-lsp").unlink()
    path = home.file("main.py", "")
    async with emacs(home, GLOBAL, path) as terminal:
        await terminal.until("pip install qwen-lsp")
        await terminal.type("def add(")
        await saved(terminal, path)
        await terminal.until("Qwen!")
        assert path.read_text() == "def add(\n"  # Python's mode ends a file so


async def test_paused_and_resumed(home: Home, service: FakeService) -> None:
    """Paused, nothing is shown, the mode line tells and the reason can be asked for; resumed, all is as before."""
    service.default = at_once(LIBRARY)
    path = home.file("main.py", "")
    async with emacs(home, GLOBAL, path) as terminal:
        await home.until_opened()
        await command(terminal, "qwen-lsp-toggle")
        await terminal.until("Qwen-")
        await terminal.type("def add(a, b):")
        await home.until_logged("outcome=paused")
        await command(terminal, "qwen-lsp-toggle")
        await terminal.until("qwen-lsp: resumed")
        await terminal.keys("Enter")
        await terminal.until("return a + b")


async def test_each_command_says_what_it_has_done(home: Home, service: FakeService) -> None:
    """Until when it is paused, who is meant to complete; what would help is done; a wrong number is told so."""
    path = home.file("main.py", "")
    async with emacs(home, GLOBAL, path) as terminal:
        await home.until_opened()
        for name, said in (
            ("status", f"qwen-lsp: ready; nothing asked yet (provider openai, model {MODEL} by the settings)"),
            ("pause", "qwen-lsp: paused until you resume"),
            ("fix", "qwen-lsp: resumed"),
            ("fix", "qwen-lsp: there is nothing to fix: ready"),
            ("snooze", r"qwen-lsp: paused until \d\d:\d\d"),
            ("resume", "qwen-lsp: resumed"),
        ):
            await command(terminal, f"qwen-lsp-{name}")
            pattern = said if "\\d" in said else re.escape(said)
            await terminal.until(lambda screen, pattern=pattern: re.search(pattern, screen) is not None)
        await terminal.keys("C-u", "0", "M-x")
        await terminal.until("\n0 M-x")
        await terminal.type("qwen-lsp-snooze\r")
        await terminal.until("qwen.snooze: minutes are a number from above 0 to 1440")


async def test_server_ended(home: Home, service: FakeService) -> None:
    """When the server has ended one line says how to start it again, and that does."""
    service.default = at_once(LIBRARY)
    path = home.file("main.py", "")
    async with emacs(home, GLOBAL, path) as terminal:
        await home.until_opened()
        await terminal.keys("M-:")
        await terminal.type('(kill-process (get-process "qwen-lsp"))')
        await terminal.keys("Enter")
        await terminal.until("qwen-lsp-restart")
        await command(terminal, "qwen-lsp-restart")
        await home.until_opened(2)
        await walked(terminal, ["def add(", "a, b):"])


# lsp-mode


async def test_lsp_mode_shows_and_takes_suggestions(home: Home, service: FakeService) -> None:
    """In lsp-mode the server is an add-on: lsp-mode shows the text, and C-RET takes it."""
    service.default = at_once(*(after for *_, after in CASES.values()))
    async with emacs(home, lsp_mode(home), home.file("other.py", "")) as terminal:
        await home.until_opened()
        for number, (marked, steps, after) in enumerate(CASES.values(), 2):
            path = await visited(terminal, home, f"main_{number}.py", marked)
            await home.until_opened(number)
            await walked(terminal, steps)
            await terminal.until("Completion 1/")
            await terminal.type(C_RETURN)
            await saved(terminal, path)
            assert path.read_bytes().decode() == after
        await command(terminal, "qwen-lsp-inspect")
        await terminal.until("# ")
        await terminal.keys("q")
        await command(terminal, "qwen-lsp-statistics")
        await terminal.until(f"{len(CASES)} accepted")
        await command(terminal, "qwen-lsp-clear-cache")
        await terminal.until("qwen-lsp: all answers are forgotten")
        await command(terminal, "qwen-lsp-use")
        await terminal.type("openai\rqwen-coder-turbo\r")
        await terminal.until("qwen-lsp: provider openai, model qwen-coder-turbo for this session")
        await command(terminal, "qwen-lsp-fix")
        await terminal.until("qwen-lsp: there is nothing to fix: ready")
        await command(terminal, "qwen-lsp-pause")
        await terminal.until("qwen-lsp: paused until you resume")
        await command(terminal, "qwen-lsp-fix")
        await terminal.until("qwen-lsp: resumed")
        await command(terminal, "qwen-lsp-fetch-model")
        await terminal.type("nonsense\r")
        await terminal.until("choose one of")
        await command(terminal, "qwen-lsp-toggle")
        await terminal.until("Qwen-")
        assert len(re.findall("document=opened", home.logged())) == len(CASES) + 1
        assert list(home.path.rglob("usual-server.opened"))


# eglot


async def test_eglot_completes_at_point(home: Home, service: FakeService) -> None:
    """With the server alone under eglot, the suggestion is what completion at point inserts."""
    service.default = at_once(LIBRARY)
    path = home.file("main.py", "def add(a, b):\n    return a + b\n\n\n")
    init = """(require 'eglot)
(add-to-list 'eglot-server-programs '(python-mode . ("qwen-lsp" "serve")))
(add-hook 'python-mode-hook #'eglot-ensure)
"""
    async with emacs(home, init, path, "5:1") as terminal:
        await home.until_opened()
        await terminal.type("def mul(")
        await terminal.keys("C-M-i")
        await terminal.until("return a * b")
        await saved(terminal, path)
        assert path.read_text() == LIBRARY


async def test_ghost_text_beside_eglot(home: Home, service: FakeService) -> None:
    """Where eglot serves the buffer with another server, `qwen-lsp-mode` shows ghost text nevertheless."""
    service.default = at_once(LIBRARY)
    path = home.file("main.py", "def add(a, b):\n    return a + b\n\n\n")
    init = f"""(require 'eglot)
(add-to-list 'eglot-server-programs '(python-mode . {usual_server(home)}))
(add-hook 'python-mode-hook #'eglot-ensure)
{GLOBAL}"""
    async with emacs(home, init, path, "5:1") as terminal:
        await home.until_opened()
        await walked(terminal, MUL)
        await terminal.keys("Tab")
        await saved(terminal, path)
        assert path.read_text() == LIBRARY
        assert list(home.path.rglob("usual-server.opened"))


@pytest.mark.real_model
async def test_the_embedded_model(home: Home, model_05b: Path) -> None:
    """A real Qwen2.5-Coder completes in Emacs."""
    home.configure(f'provider = "local"\nmodel = "{model_05b}"\n')
    before = "def add(a, b):\n    return a + b\n\n\ndef subtract(a, b):\n    "
    path = home.file("subtract.py", before)
    async with emacs(home, GLOBAL, path, "6:5") as terminal:
        await home.until_opened()
        await terminal.type("return ")
        await terminal.until("return a - b")
        await terminal.keys("Tab")
        await saved(terminal, path)
        assert path.read_text().rstrip() == f"{before}return a - b"


# The package


@pytest.fixture
def batch(home: Home) -> Callable[..., str]:
    """Runs Emacs without a screen and gives what it said; fails when it does."""

    def run(*arguments: str, cwd: Path = ROOT) -> str:
        program = str(install.program("emacs"))
        done = subprocess.run(
            [program, "-q", "--batch", *arguments], cwd=cwd, env=home.env, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout + done.stderr

    return run


def test_compiles_without_warnings(home: Home, batch: Callable[..., str]) -> None:
    """Byte compilation finds nothing, warnings counted as errors."""
    copy = home.file("qwen-lsp.el", CLIENT.read_text())
    batch("--eval", "(setq byte-compile-error-on-warn t)", "-f", "batch-byte-compile", str(copy))


def test_checkdoc_finds_nothing(batch: Callable[..., str]) -> None:
    """The documentation is in the form that Emacs' own check asks for."""
    said = batch("--eval", f'(progn (require \'checkdoc) (checkdoc-file "{CLIENT}"))')
    assert CLIENT.name + ":" not in said


async def test_readme(home: Home, service: FakeService) -> None:
    """The README's section, followed word for word in an empty home, ends with ghost text on the screen."""
    section = (ROOT / "README.md").read_text().partition("<!-- emacs -->")[2].partition("<!-- /emacs -->")[0]
    assert len(section.strip().splitlines()) <= 15
    install.program("emacs")
    commands = re.findall(r"```sh\n(.*?)```", section, re.DOTALL)
    assert commands
    async with await Terminal.start(["sh"], env=home.env, cwd=home.work) as shell:
        for line in "".join(commands).splitlines():
            await shell.type(line)
            await shell.keys("Enter")
            await shell.until("[y/N]")
            await shell.type("y")
            await shell.keys("Enter")
            await shell.until("Emacs loads it at its next start.")
    service.default = at_once(LIBRARY)
    path = home.file("main.py", "def add(a, b):\n    return a + b\n\n\n")
    async with emacs(home, None, path, "5:1") as terminal:
        await home.until_opened()
        await walked(terminal, MUL)
