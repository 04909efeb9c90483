"""VS Code itself, with the extension that the README's section builds and installs: what is typed, seen, saved."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import signal
import subprocess
import time
import urllib.parse
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.editors.browser import PATIENCE, Browser
from tests.editors.home import MODEL, Home, settle
from tests.editors.install import folder, missing
from tests.editors.writer import writes
from tests.fake_dashscope import FakeService

pytestmark = pytest.mark.asyncio(loop_scope="module")

ROOT = Path(__file__).parent.parent.parent
SCREENSHOT = ROOT / "editors/vscode/ghost-text.png"
"""Made anew with QWEN_LSP_SCREENSHOTS set."""
# What would be in the way of a test: the trust dialog, the menu of words beside the ghost text, texts kept from before.
SETTINGS = {
    "security.workspace.trust.enabled": False,
    "editor.quickSuggestions": {"other": "off", "comments": "off", "strings": "off"},
    "editor.suggestOnTriggerCharacters": False,
    "editor.wordBasedSuggestions": "off",
    "files.hotExit": "off",
    "workbench.startupEditor": "none",
    "workbench.tips.enabled": False,
    "git.enabled": False,
    "chat.commandCenter.enabled": False,
}
GHOST = """(() => {
  const text = (one) => [...document.querySelectorAll(one)].map((span) => span.textContent)
  const lines = [text('.ghost-text-decoration, .ghost-text-decoration-preview').join('')]
  for (const block of document.querySelectorAll('.view-zones .suggest-preview-text .view-line'))
    lines.push(block.textContent)
  return lines.join('\\n').replaceAll('\\u00a0', ' ')
})()"""
_ASKING = "document.activeElement?.closest('.quick-input-widget') != null"
_ITEM = '[id="qwen-lsp.qwen-lsp.status"]'
STATUS = f"document.querySelector('{_ITEM}')?.ariaLabel ?? ''"
BAR = "document.querySelector('.statusbar')?.textContent ?? ''"
TOASTS = "[...document.querySelectorAll('.notification-list-item-message')].map((toast) => toast.textContent)"


class Code:
    """VS Code's server, and a browser with its window."""

    def __init__(self, home: Home, server: asyncio.subprocess.Process, page: Browser) -> None:
        self.home, self.page = home, page
        self._server = server

    @classmethod
    async def start(cls, home: Home) -> Code:
        """Opens the home's workspace and waits until the extension is up."""
        command = [
            "code",
            "--host",
            "127.0.0.1",
            "--port",
            "0",
            "--without-connection-token",
            "--telemetry-level",
            "off",
        ]
        log = home.path / "code.log"
        with log.open("wb") as out:
            server = await asyncio.create_subprocess_exec(
                home.path / "bin" / command[0],
                *command[1:],
                env=home.env,
                start_new_session=True,
                stdout=out,
                stderr=out,
            )
        while not (found := re.search(r"agent listening on (\d+)", log.read_text())):
            assert server.returncode is None, f"VS Code's server did not start: {log.read_text()}"
            await asyncio.sleep(0.05)
        page = await Browser.start()
        code = cls(home, server, page)
        try:
            query = urllib.parse.urlencode({"folder": str(home.work)})
            await page.call("goto", f"http://127.0.0.1:{found[1]}/?{query}")
            await code.until_status("ready")
        except BaseException:
            await code.close()
            raise
        return code

    async def open(self, name: str, text: str, line: int) -> Path:
        """Opens a new file of the workspace with the cursor at the end of a line, counted from 1."""
        path = self.home.file(name, text)
        opened = self.home.logged().count("document=opened")
        await self.page.call("dblclick", f".explorer-folders-view >> text={name}")
        await self.home.until_opened(opened + 1)
        await self.page.until(f"document.querySelector('.tab.active')?.ariaLabel?.startsWith({name!r})")
        await self.page.press("Control+g")
        await self.page.until(_ASKING)
        await self.page.type(str(line), delay=0)
        # Enter does nothing before the line is found.
        await self.page.until(f"document.querySelector('.quick-input-widget')?.textContent.includes('line {line}.')")
        await self.page.press("Enter")
        await self.page.until(f"!({_ASKING})")
        await self.page.press("End")
        at = f"Ln {line}, Col {len(text.splitlines()[line - 1]) + 1}"
        await self.page.until(f"document.querySelector('.statusbar')?.textContent.includes({at!r})")
        await self.page.until("document.activeElement?.closest('.monaco-editor') !== null")
        return path

    async def until_ghost(self, text: str) -> None:
        """Waits for just this ghost text."""
        await self.page.until(GHOST, lambda seen: seen == text)

    async def until_status(self, words: str) -> str:
        """Waits until the status item says these words, and gives all it says."""
        return await self.page.until(STATUS, lambda said: words in said)

    async def run(self, title: str) -> None:
        """Runs a command by its title in the palette."""
        await self.page.press("F1")
        await self.page.until(_ASKING)
        await self.page.type(title, delay=0)
        await self.choose(title)

    async def choose(self, label: str) -> None:
        """Takes the first entry of the open list once it is this one."""
        first = "document.querySelector('.quick-input-list .monaco-list-row')?.textContent ?? ''"
        await self.page.until(first, lambda seen: label in seen)
        await self.page.press("Enter")

    async def saved(self, path: Path, text: str) -> None:
        """Saves, and waits until the file holds the text."""
        await self.page.press("Control+s")
        end = time.monotonic() + PATIENCE
        while (held := _held(path)) != text:
            assert time.monotonic() < end, f"the file holds {held!r}"
            await asyncio.sleep(0.05)

    async def close(self) -> None:
        """Ends the browser, the server, and all that it has started."""
        await self.page.close()
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._server.pid, signal.SIGKILL)
        await self._server.wait()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def service() -> AsyncIterator[FakeService]:
    async with FakeService(default="") as fake:
        yield fake


@pytest.fixture(scope="module")
def dependencies() -> list[str]:
    """The first command of the README's section has been run; the commands that are left."""
    section = (ROOT / "README.md").read_text().partition("<!-- vscode -->")[2].partition("<!-- /vscode -->")[0]
    (commands,) = re.findall(r"```sh\n(.*?)```", section, re.DOTALL)
    first, *others = commands.splitlines()
    run_line(first, dict(os.environ) | {"npm_config_prefer_offline": "true"})
    return others


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory, service: FakeService, dependencies: list[str]) -> Home:
    """A home in which all of the section's commands have been run; `code` is VS Code's own command line."""
    main = folder() / "node/node_modules/code-server/lib/vscode/out/server-main.js"
    if not main.exists():
        missing("VS Code (code-server)")
    home = settle(tmp_path_factory.mktemp("home"), service)
    options = (
        f"--accept-server-license-terms --server-data-dir '{home.path}/data' --extensions-dir '{home.path}/extensions'"
    )
    (home.path / "bin/code").write_text(f"#!/bin/sh\nexec node '{main}' {options} \"$@\"\n")
    (home.path / "bin/code").chmod(0o755)
    # VS Code takes the PATH from a login shell; this line is Debian's.
    (home.path / ".profile").write_text('PATH="$HOME/bin:$PATH"\n')
    settings = home.path / "data/data/User/settings.json"
    settings.parent.mkdir(parents=True)
    settings.write_text(json.dumps(SETTINGS))
    for line in dependencies:
        run_line(line, home.env)
    return home


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def code(home: Home) -> AsyncIterator[Code]:
    code = await Code.start(home)
    yield code
    await code.close()


async def test_the_lock_file_names_no_registry(dependencies: list[str]) -> None:
    """Whoever builds the extension takes its dependencies from the registry they use."""
    lock = json.loads((ROOT / "editors/vscode/package-lock.json").read_text())
    assert dependencies
    assert [name for name, entry in lock["packages"].items() if "resolved" in entry] == []


async def test_the_extension_is_built_and_installed(home: Home) -> None:
    """The README's commands end with the extension, its walkthrough and the server that it can install, in VS Code."""
    (extension,) = (home.path / "extensions").glob("qwen-lsp.qwen-lsp-*")
    for name in ("dist/extension.js", "walkthrough/model.md", "server/pyproject.toml", "server/qwen_lsp/cli/serve.py"):
        assert (extension / name).exists(), name
    assert not list(extension.rglob("node_modules"))


async def test_tab_takes_the_rest_of_a_line(code: Code, service: FakeService) -> None:
    """Ghost text appears at the line's end, Tab takes it, and the file holds it."""
    after = "def area(width, height):\n    return width * height\n"
    service.default = writes(after)
    path = await code.open("area.py", "def area(width, height):\n    \n", 2)
    await code.page.type("return wi")
    await code.until_ghost("dth * height")
    await code.page.press("Tab")
    await code.saved(path, after)


async def test_inside_a_call_the_brackets_stay_single(code: Code, service: FakeService) -> None:
    """In the middle of a line, before the closer that VS Code has put there, the text fits between."""
    after = "def longest(words):\n    return max(words, key=len)\n"
    service.default = writes(after)
    path = await code.open("longest.py", "def longest(words):\n    return \n", 2)
    await code.page.type("max(wo")
    await code.until_ghost("rds, key=len")
    await code.page.press("Tab")
    await code.saved(path, after)


async def test_a_block_of_lines(code: Code, service: FakeService) -> None:
    """After Enter several lines are shown below each other, and taken with their indentation."""
    after = "def clamp(value, low, high):\n    if value < low:\n        return low\n    return min(value, high)\n"
    service.default = writes(after)
    path = await code.open("clamp.py", "def clamp(value, low, high):\n", 1)
    await code.page.press("Enter")
    await code.until_ghost("if value < low:\n        return low\n    return min(value, high)")
    if "QWEN_LSP_SCREENSHOTS" in os.environ:
        clip = {"x": 298, "y": 35, "width": 560, "height": 150}
        await code.page.call("screenshot", {"path": str(SCREENSHOT), "clip": clip})
    await code.page.press("Tab")
    await code.saved(path, after)


async def test_typing_through(code: Code, service: FakeService) -> None:
    """What is typed of the ghost text leaves the rest of it, and the model is not asked again."""
    after = "def total(prices):\n    return sum(prices)\n"
    service.default = writes(after)
    path = await code.open("total.py", "def total(prices):\n    \n", 2)
    await code.page.type("ret")
    await code.until_ghost("urn sum(prices)")
    asked = len(service.generations)
    await code.page.type("urn s")
    await code.until_ghost("um(prices)")
    assert asked == len(service.generations)
    await code.page.press("Tab")
    await code.saved(path, after)


async def test_escape_dismisses(code: Code, service: FakeService) -> None:
    """After Escape there is no ghost text, and none of it in the file."""
    service.default = writes("def half(number):\n    return number / 2\n")
    path = await code.open("half.py", "def half(number):\n    \n", 2)
    await code.page.type("return nu")
    await code.until_ghost("mber / 2")
    await code.page.press("Escape")
    await code.until_ghost("")
    await code.saved(path, "def half(number):\n    return nu\n")


async def test_a_word_at_a_time(code: Code, service: FakeService) -> None:
    """Ctrl+Right takes a word; the rest stays."""
    after = "def volume(base, height):\n    return base * height\n"
    service.default = writes(after)
    path = await code.open("volume.py", "def volume(base, height):\n    \n", 2)
    await code.page.type("return ba")
    await code.until_ghost("se * height")
    await code.page.press("Control+ArrowRight")
    await code.until_ghost(" * height")
    await code.saved(path, "def volume(base, height):\n    return base\n")
    await code.page.press("Tab")
    await code.saved(path, after)


async def test_windows_line_ends_stay(code: Code, service: FakeService) -> None:
    """Lines taken into a file with CRLF end with CRLF."""
    after = "def sign(number):\n    if number < 0:\n        return -1\n    return 1\n"
    service.default = writes(after)
    path = await code.open("sign.py", "def sign(number):\r\n", 1)
    await code.page.press("Enter")
    await code.until_ghost("if number < 0:\n        return -1\n    return 1")
    await code.page.press("Tab")
    await code.saved(path, after.replace("\n", "\r\n"))


async def test_an_emoji_before_the_cursor(code: Code, service: FakeService) -> None:
    """Characters that count double do not shift the text."""
    after = 'def greet(name):\n    return "🎉🎉 " + name.title()\n'
    service.default = writes(after)
    path = await code.open("greet.py", 'def greet(name):\n    return "🎉🎉 " + \n', 2)
    await code.page.type("na")
    await code.until_ghost("me.title()")
    await code.page.press("Tab")
    await code.saved(path, after)


async def test_the_menu_pauses_and_says_why(code: Code, service: FakeService) -> None:
    """Paused from the menu, nothing is shown, and the menu says why."""
    service.default = writes("def zero():\n    return 0\n")
    await code.open("zero.py", "def zero():\n    \n", 2)
    await code.run("Qwen: Pause or Resume")
    await code.until_status("paused")
    await code.page.until(BAR, lambda seen: "Qwen: paused until you resume" in seen)
    assert await code.page.call("evaluate", TOASTS) == []
    await code.page.type("return")
    await code.page.call("click", _ITEM)
    await code.choose("Why is there no suggestion?")
    (said,) = await code.page.until(TOASTS)
    assert "paused" in said
    await code.run("Notifications: Clear All Notifications")
    await code.run("Qwen: Pause or Resume")
    await code.until_status("ready")


async def test_another_model_for_this_session(code: Code, service: FakeService) -> None:
    """Chosen in the menu, it is asked from then on; a file can be turned off there."""
    service.default = writes("def zero():\n    return 0\n")
    await code.open("none.py", "def zero():\n    \n", 2)
    await code.run("Qwen: Use Another Provider or Model")
    await code.page.until("document.querySelector('.quick-input-list .monaco-list-row')?.textContent ?? ''")
    await code.page.type("OpenAI")
    await code.choose("An OpenAI-compatible server")
    title = "document.querySelector('.quick-input-title')?.textContent ?? ''"
    await code.page.until(title, lambda seen: "openai" in seen)
    await code.page.type("qwen-coder-turbo")
    await code.page.press("Enter")
    asked = len(service.generations)
    await code.page.type("re")
    await service.until(asked + 1)
    assert service.generations[-1].json["model"] == "qwen-coder-turbo"
    await code.run("Qwen: Use Another Provider or Model")
    await code.choose("As the settings say")
    await code.run("Qwen: Forget All Answers")
    asked = len(service.generations)
    await code.page.type("tu")
    await service.until(asked + 1)
    assert service.generations[-1].json["model"] == MODEL
    await code.run("Qwen: Turn Off or On for This File")
    await code.page.until(BAR, lambda seen: "Qwen: off for this file in this session" in seen)
    end = time.monotonic() + PATIENCE
    while "outcome=file" not in code.home.logged():  # the command may reach the server after the next key
        assert time.monotonic() < end
        await code.page.type("r")
        await asyncio.sleep(0.5)


async def test_without_a_key_one_notice_and_with_one_ghost_text(code: Code, service: FakeService) -> None:
    """A missing key is told once and in the status; the key that is then given reaches the service."""
    settings = f'provider = "dashscope"\nbaseUrl = "{service.dashscope}"\nregion = "cn-beijing"\n'
    with configured(code.home, settings):
        await code.run("Qwen: Restart the Server")
        after = "def twice(number):\n    return number * 2\n"
        service.default = writes(after)
        path = await code.open("twice.py", "def twice(number):\n    \n", 2)
        failed = code.home.logged().count("outcome=error")
        await code.page.type("return nu")
        assert "DASHSCOPE_API_KEY" in await code.until_status("error")
        await code.home.until_logged("outcome=error", failed + 2)
        (said,) = await code.page.until(TOASTS)
        assert "no DashScope key" in said
        await code.run("Notifications: Clear All Notifications")
        await code.run("Qwen: Set API Key")
        await code.choose("DashScope")
        await code.page.until("document.activeElement?.type === 'password'")
        await code.page.type("sk-test", delay=0)
        await code.page.press("Enter")
        await code.until_status("ready")
        await code.page.type("mb")
        await code.until_ghost("er * 2")
        await code.page.press("Tab")
        await code.saved(path, after)
        assert service.generations[-1].headers["authorization"] == "Bearer sk-test"


@pytest.mark.real_model
async def test_the_embedded_model(code: Code, model_05b: Path) -> None:
    """A real Qwen2.5-Coder completes in VS Code."""
    with configured(code.home, f'provider = "local"\nmodel = "{model_05b}"\n'):
        await code.run("Qwen: Restart the Server")
        await code.until_status("ready")
        before = "def add(a, b):\n    return a + b\n\n\ndef subtract(a, b):\n    \n"
        path = await code.open("subtract.py", before, 6)
        await code.page.type("return ")
        await code.until_ghost("a - b")
        await code.page.press("Tab")
        await code.saved(path, before.replace("    \n", "    return a - b\n"))


async def test_the_server_of_the_workspace_and_none(code: Code) -> None:
    """Not on the PATH, the virtual environment's is started; with none, one message offers to install it."""
    on_path = code.home.path / "bin/qwen-lsp"
    environment = code.home.work / ".venv/bin"
    environment.mkdir(parents=True)
    inside = on_path.rename(environment / "qwen-lsp")
    try:
        await code.run("Qwen: Restart the Server")
        await code.until_status("ready")
        await code.run("Notifications: Clear All Notifications")
        inside.chmod(0o600)
        await code.run("Qwen: Restart the Server")
        await code.until_status("error. qwen-lsp is not installed.")
        toasts = await code.page.until(TOASTS)
        assert toasts == ["Qwen: qwen-lsp is not installed."]
        assert await code.page.call("textContent", ".notification-list-item .monaco-button") == "Install"
    finally:
        inside.chmod(0o700)
        inside.rename(on_path)
        await code.run("Notifications: Clear All Notifications")


async def test_a_service_that_is_down_is_told_in_the_status_only(code: Code, service: FakeService) -> None:
    """No message pops up while one types; the status item says why there is no text."""
    await code.run("Qwen: Restart the Server")
    await code.until_status("ready")
    await code.open("down.py", "def down():\n    \n", 2)
    await service.stop()
    await code.page.type("return 1")
    await code.until_status("nothing answers at")
    assert await code.page.call("evaluate", TOASTS) == []


def run_line(line: str, env: dict[str, str]) -> None:
    """Runs a line of the README in the repository."""
    done = subprocess.run(["bash", "-euc", line], cwd=ROOT, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def _held(path: Path) -> str:
    """A file's text, its line ends as they are."""
    return path.read_bytes().decode()


@contextlib.contextmanager
def configured(home: Home, toml: str) -> Iterator[None]:
    """Other settings, for servers that are started meanwhile."""
    path = home.path / ".config/qwen-lsp/config.toml"
    before = path.read_text()
    home.configure(toml)
    try:
        yield
    finally:
        path.write_text(before)
