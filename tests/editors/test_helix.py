"""Real Helix: no ghost text, but the completion is the top entry of its menu, set up by `qwen-lsp setup helix`."""

from __future__ import annotations

import asyncio
import re
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.editors.home import Home
from tests.editors.install import program
from tests.editors.terminal import Terminal
from tests.editors.writer import writes
from tests.fake_dashscope import FakeService

ROOT = Path(__file__).parent.parent.parent
CIRCLE = """class Circle:
    def __init__(self, radius):
        self.radius = radius

    def area(self):
        square = self.radius ** 2
        return 3.14159 * square
"""
BEGUN = CIRCLE.partition("\n    def area")[0] + "\n\n"
"""Without the method; Helix' `ge` goes to the line below."""

OTHER = '''"""A language server that offers one name, as the usual ones do."""
import json, sys

def send(message):
    body = json.dumps({"jsonrpc": "2.0", **message}).encode()
    sys.stdout.buffer.write(b"Content-Length: %d\\r\\n\\r\\n" % len(body) + body)
    sys.stdout.buffer.flush()

while header := sys.stdin.buffer.readline():
    while sys.stdin.buffer.readline().strip():
        pass
    message = json.loads(sys.stdin.buffer.read(int(header.split(b":")[1])))
    if message.get("method") == "initialize":
        send({"id": message["id"], "result": {"capabilities": {"completionProvider": {}}}})
    elif message.get("method") == "textDocument/completion":
        send({"id": message["id"], "result": [{"label": "area_code"}]})
    elif "id" in message:
        send({"id": message["id"], "result": None})
'''


def environment(home: Home) -> dict[str, str]:
    return home.env | {"PATH": f"{program('hx').parent}:{home.env['PATH']}"}


def set_up(home: Home) -> None:
    """As a person does, with nobody at the terminal."""
    subprocess.run(
        [home.path / "bin/qwen-lsp", "setup", "helix", "--write", "--yes"],
        env=environment(home), cwd=home.work, check=True, capture_output=True,
    )  # fmt: skip


@asynccontextmanager
async def helix(home: Home, path: Path, opened: int = 1) -> AsyncIterator[Terminal]:
    """Helix with a file that the server knows, in insert mode at the file's last line."""
    async with await Terminal.start(["hx", str(path)], env=environment(home), cwd=home.work) as terminal:
        await home.until_opened(opened)
        await terminal.keys("g", "e", "A")
        await terminal.until(" INS ")
        yield terminal


async def normal(terminal: Terminal, *keys: str) -> None:
    """Leaves insert mode, then presses keys: right after Escape, they would be taken with it for Alt."""
    await terminal.keys("Escape")
    await terminal.until(" NOR ")
    await terminal.keys(*keys)


async def saved(terminal: Terminal, path: Path) -> bytes:
    """The file, written from insert mode."""
    await normal(terminal)
    await terminal.type(":w\r")
    await terminal.until("written")
    return path.read_bytes()  # noqa: ASYNC240 - a file of seven lines


async def test_the_completion_is_the_menu_s_top_entry(home: Home, service: FakeService) -> None:
    """Beside a server that a person has set up; the block is inserted as it is, rightly indented."""
    service.default = writes(CIRCLE)
    (home.path / "other.py").write_text(OTHER)
    languages = home.path / ".config/helix/languages.toml"
    languages.parent.mkdir(parents=True)
    languages.write_text(
        f"# mine\n[language-server.other]\ncommand = '{sys.executable}'\nargs = ['{home.path / 'other.py'}']\n"
        "[[language]]\nname = 'python'\nlanguage-servers = ['other'] # one\n"
    )
    set_up(home)
    path = home.file("shapes.py", BEGUN)
    async with helix(home, path) as terminal:
        await terminal.type("    def area")
        screen = await terminal.until(lambda screen: "area(self):" in screen and "area_code" in screen)
        assert screen.index("area(self):") < screen.index("area_code")
        await terminal.keys("Tab")
        await terminal.until("return 3.14159 * square")
        await terminal.keys("Enter")
        assert (await saved(terminal, path)).decode() == CIRCLE
    assert languages.read_text().startswith("# mine\n[language-server.other]\n")


async def test_typing_on_narrows_and_closes_nothing(home: Home, service: FakeService) -> None:
    """What is typed of the entry keeps it in the menu, and nobody is asked again; dismissed, nothing stays."""
    service.default = writes(CIRCLE)
    set_up(home)
    path = home.file("shapes.py", BEGUN)
    async with helix(home, path) as terminal:
        await terminal.type("    def ar")
        await terminal.until("area(self): text")
        await terminal.type("ea")
        await terminal.until(lambda screen: "def area\n" in screen and "area(self): text" in screen)
        assert home.logged().count("outcome=") == 1
        await terminal.keys("Tab")
        await terminal.until("return 3.14159 * square")
        await terminal.keys("C-c")
        await terminal.until(lambda screen: "3.14159" not in screen)
        assert (await saved(terminal, path)).decode() == BEGUN[:-1] + "    def area\n"


async def test_places_in_a_line(home: Home, service: FakeService) -> None:
    """At the line's end after an emoji; before the closing bracket that Helix has put there."""
    true = 'mark = "🙂" + emphasis\nprint(mark + mark)\n'
    service.default = writes(true)
    set_up(home)
    path = home.file("mark.py", "\n")
    async with helix(home, path) as terminal:
        await terminal.type('mark = "🙂" + ')
        await terminal.until("emphasis text")
        await terminal.keys("Tab")
        await terminal.until("+ emphasis\n")
        await terminal.keys("Enter")
        await normal(terminal, "o")
        await terminal.type("print(")
        await terminal.until(lambda screen: "print()" in screen and "mark + mark text" in screen)
        await terminal.keys("Tab")
        await terminal.until("print(mark + mark)")
        await terminal.keys("Enter")
        assert (await saved(terminal, path)).decode() == true


async def test_a_crlf_file_keeps_its_line_ends(home: Home, service: FakeService) -> None:
    """Helix inserts what it gets, so a second file with CRLF gets CRLF."""
    service.default = writes(CIRCLE)
    set_up(home)
    path = home.file("windows.py", BEGUN.replace("\n", "\r\n"))
    async with helix(home, path) as terminal:
        await terminal.type("    def area")
        await terminal.until("area(self): text")
        await terminal.keys("Tab")
        await terminal.until("return 3.14159 * square")
        await terminal.keys("Enter")
        assert (await saved(terminal, path)).decode() == CIRCLE.replace("\n", "\r\n")


async def test_a_service_that_is_down(home: Home, service: FakeService) -> None:
    """There is no menu and no pop-up; a command says why."""
    set_up(home)
    path = home.file("shapes.py", BEGUN)
    await service.stop()
    async with helix(home, path) as terminal:
        await terminal.type("    def area")
        await home.until_logged("outcome=error")
        assert " text" not in await terminal.screen()
        await normal(terminal)
        await terminal.type(":lsp-workspace-command qwen.why\r")
        await terminal.until("nothing answers at")


async def test_a_missing_key_is_told_once(home: Home, service: FakeService) -> None:
    """The notice stands in Helix' last line and says what to do; typing on brings no second one."""
    home.configure('provider = "dashscope"\n')
    set_up(home)
    path = home.file("shapes.py", BEGUN)
    async with helix(home, path) as terminal:
        await terminal.type("    def area")
        await terminal.until("DASHSCOPE_API_KEY")
        await normal(terminal, "o")
        await terminal.type("    def area")
        await home.until_logged("outcome=error", 2)
    assert home.logged().count("DASHSCOPE_API_KEY") == 1


async def test_pausing(home: Home, service: FakeService) -> None:
    """The server's commands are at hand: paused, there is no menu; resumed, there is."""
    service.default = writes(CIRCLE)
    set_up(home)
    path = home.file("shapes.py", BEGUN)
    async with helix(home, path) as terminal:
        await normal(terminal)
        await terminal.type(":lsp-workspace-command qwen.pause\r")
        await terminal.keys("A")
        await terminal.type("    def area")
        await home.until_logged("outcome=paused")
        assert "area(self)" not in await terminal.screen()
        await normal(terminal)
        await terminal.type(":lsp-workspace-command qwen.resume\r")
        await terminal.keys("A", "C-x")
        await terminal.until("area(self): text")


async def test_the_commands_of_its_own_readme(home: Home, service: FakeService) -> None:
    """Each says in Helix' last line what it has done, also those that take something."""
    set_up(home)
    readme = (ROOT / "editors/helix/README.md").read_text().partition("## Commands")[2]
    path = home.file("shapes.py", BEGUN)
    async with helix(home, path) as terminal:
        await normal(terminal)
        said = {
            "qwen.status": "ready; nothing asked yet (provider openai",
            "qwen.why": "Nothing has been asked",
            "qwen.pause": "paused until you resume",
            "qwen.resume": "resumed",
            "qwen.snooze 15": "paused until ",
            "qwen.toggle": "resumed",
            'qwen.toggleLanguage "python"': "off for python in this session",
            'qwen.use "local" "1.5b"': "provider local, model 1.5b for this session",
            "qwen.clearCache": "all answers are forgotten",
            "qwen.statistics": "0 requests",
        }
        assert {
            command
            for row in re.findall("^\\| (`.*?) \\|", readme, re.MULTILINE)
            for command in row[1:-1].split("`, `")
        } == {
            *said,
            'qwen.fetchModel "1.5b"',
        }
        for command, text in said.items():
            await terminal.type(f":lsp-workspace-command {command}\r")
            await terminal.until(text)


async def test_the_readme_s_section(home: Home, service: FakeService) -> None:
    """Followed word for word in an empty home, it ends with a completion in the menu."""
    section = (ROOT / "README.md").read_text().partition("<!-- helix -->\n")[2].partition("<!-- /helix -->")[0]
    assert len(section.splitlines()) <= 15
    (command,) = re.findall(r"```sh\n(.*?)\n```", section, re.DOTALL)
    service.default = writes(CIRCLE)
    async with await Terminal.start(["sh"], env=environment(home), cwd=home.work) as terminal:
        await terminal.type(f"{command}\r")
        await terminal.until("write this? [y/N]")
        await terminal.type("y\r")
        await terminal.until("wrote")
    path = home.file("shapes.py", BEGUN)
    async with helix(home, path) as terminal:
        await terminal.type("    def area")
        await terminal.until("area(self): text")
        await terminal.keys("Tab")
        await terminal.until("return 3.14159 * square")


async def test_helix_takes_the_settings_as_they_are(home: Home) -> None:
    """Each language that we name is known to Helix, and lists qwen."""
    set_up(home)
    text = (home.path / ".config/helix/languages.toml").read_text()
    names = re.findall(r'^name = "(.*)"$', text, re.MULTILINE)
    assert len(names) > 40
    for name in names:
        ran = await asyncio.create_subprocess_exec(
            "hx", "--health", name, env=environment(home), cwd=home.work, stdout=asyncio.subprocess.PIPE
        )
        said = (await ran.communicate())[0].decode()
        assert re.search(r"✓\S* qwen: ", said), said
    assert names == re.findall(r'^name = "(.*)"$', (ROOT / "editors/helix/languages.toml").read_text(), re.MULTILINE)


@pytest.mark.real_model
async def test_the_embedded_model(home: Home, model_05b: Path) -> None:
    """A real Qwen2.5-Coder completes in Helix."""
    home.configure(f'provider = "local"\nmodel = "{model_05b}"\n')
    set_up(home)
    path = home.file("add.py", "def add(a, b):\n    return a + b\n\n\ndef subtract(a, b):\n\n")
    async with helix(home, path) as terminal:
        await terminal.type("    return ")
        await home.until_logged("outcome=shown")
        await terminal.until("a - b")
        await terminal.keys("Tab", "Enter")
        assert b"    return a - b\n" in await saved(terminal, path)
