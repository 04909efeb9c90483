"""What surrounds the ghost text in Neovim: keys, `:Qwen`, statusline, `:checkhealth`, help, menus, README, picture."""

from __future__ import annotations

import asyncio
import os
import re

import pytest

from tests.editors import screenshot
from tests.editors.home import MODEL
from tests.editors.install import program
from tests.editors.neovim import PLUGIN, ROOT, configure, install, neovim
from tests.editors.terminal import Terminal
from tests.editors.writer import writes
from tests.fake_dashscope import Answer

BOTH = pytest.mark.parametrize("name", ["nvim", "nvim-0.11"])
HELP = PLUGIN / "doc/qwen.txt"
PICTURE = PLUGIN / "ghost-text.svg"
STATUSLINE = "vim.o.statusline = '[%{v:lua.require(\"qwen\").status()}]'\n"
SUM = "def add(a, b):\n    return a + b\n"


def example(tag: str) -> str:
    """The Lua of a section of the help file, word for word."""
    section = HELP.read_text().partition(f"*{tag}*")[2].partition("\n====")[0]
    return "\n".join(re.findall(r">lua\n(.*?)\n<", section, re.DOTALL))


async def test_the_readme_s_section(home, service):
    """Followed word for word in an empty home, it ends with ghost text on the screen."""
    section = (ROOT / "README.md").read_text().partition("<!-- nvim -->\n")[2].partition("<!-- /nvim -->")[0]
    assert len(section.splitlines()) <= 15
    (command,) = re.findall(r"```sh\n(.*?)\n```", section, re.DOTALL)
    service.default = writes(SUM)
    async with await Terminal.start(["sh"], env=home.env, cwd=home.work) as terminal:
        await terminal.type(f"{command}\r")
        await terminal.until("write this? [y/N]")
        await terminal.type("y\r")
        await terminal.until(":checkhealth qwen")
    async with neovim("nvim", home) as editor:
        path = await editor.edit("sum.py", "")
        await editor.insert("i", "def add")
        await editor.terminal.until("def add(a, b):")
        await editor.terminal.type("(a")
        await editor.terminal.until("return a + b")
        await editor.terminal.keys("Tab")
        assert await editor.saved(path) == SUM
        await editor.run("help qwen-keys")
        await editor.terminal.until("<M-C-Right>")


@BOTH
async def test_keys_of_one_s_own(name, home, service):
    """A mapping stays; a key chosen by setup is mapped; a key without ghost text does what it did."""
    install(home)
    configure(
        home,
        "vim.keymap.set('i', '<M-Right>', 'mine')\n"
        "vim.keymap.set('i', '<F2>', function() vim.snippet.expand('pair($1, $2)') end)\n"
        "require('qwen').setup({ keys = { accept_line = '<F3>', next = false } })\n",
    )
    service.default = ""
    async with neovim(name, home) as editor:
        path = await editor.edit("keys.py", "")
        await editor.insert("i", "")
        await editor.terminal.keys("F2")
        await editor.terminal.until("pair(, )")
        await editor.terminal.type("1")
        await editor.terminal.keys("Tab")
        await editor.terminal.type("2")
        await editor.terminal.keys("M-Right")
        assert await editor.saved(path) == "pair(1, 2mine)\n"
        await editor.run("checkhealth qwen")
        await editor.terminal.until(
            lambda screen: "<M-Right> has a mapping of yours" in screen and "<F3>: accept_line" in screen
        )
        assert "<M-]>" not in await editor.terminal.screen()


@BOTH
async def test_another_model_for_this_session(name, home, service):
    """`:Qwen use` and `:Qwen clear` lead to new questions, `:Qwen fetch` says what there is to be fetched."""
    install(home)
    configure(home, STATUSLINE)
    service.default = writes(SUM)
    async with neovim(name, home) as editor:
        await editor.edit("sum.py", "")
        await editor.insert("i", "def add")
        await service.until(1)
        await editor.run("Qwen use openai qwen-coder-turbo")
        asked = len(service.generations)
        await editor.insert("A", "(")
        await service.until(asked + 1)
        assert service.generations[-1].json["model"] == "qwen-coder-turbo"
        await editor.run("Qwen clear")
        await editor.run("Qwen use")
        asked = len(service.generations)
        await editor.insert("A", "a")
        await service.until(asked + 1)
        assert service.generations[-1].json["model"] == MODEL
        await editor.run("Qwen fetch nonsense")
        await editor.terminal.until("choose one of")


@BOTH
async def test_commands_and_statusline(name, home, service):
    """`:Qwen` pauses, resumes, tells; the statusline follows; names are completed."""
    install(home)
    configure(home, STATUSLINE)
    release = asyncio.Event()
    service.default = writes(SUM)
    async with neovim(name, home) as editor:
        await editor.edit("sum.py", "")
        await editor.terminal.until("[qwen]")
        for command, word in (("toggle", "[qwen paused]"), ("toggle", "[qwen]"), ("snooze 5", "[qwen paused]")):
            await editor.run(f"Qwen {command}")
            await editor.terminal.until(word)
        await editor.terminal.until(lambda screen: re.search(r"qwen: paused until \d\d:\d\d", screen) is not None)
        await editor.insert("i", "def add")
        await home.until_logged("outcome=paused")
        await editor.run("Qwen why")
        await editor.terminal.until("qwen: Completion is paused")
        await editor.run("Qwen toggle")
        await editor.terminal.until("[qwen]")
        service.script(Answer(SUM.partition("add")[2], hold=release))
        await editor.insert("A", "(")
        await editor.terminal.until("[qwen …]")
        release.set()
        await editor.terminal.until("[qwen]")
        await editor.run("Qwen status")
        await editor.terminal.until("qwen: ready; openai, qwen2.5-coder-7b-instruct")
        await editor.run("Qwen stats")
        await editor.terminal.until("accepted")
        await editor.terminal.keys("Enter")
        await editor.run("echo getcompletion('Qwen s', 'cmdline') + getcompletion('Qwen toggle f', 'cmdline')")
        await editor.terminal.until("['snooze', 'stats', 'status', 'file']")
        await editor.run("Qwen nonsense")
        takes = "takes clear, fetch, fix, inspect, log, pause, resume, snooze, stats, status, toggle, use, why"
        await editor.terminal.until(lambda screen: takes in screen.replace("\n", ""))
        await editor.terminal.keys("Enter")
        await editor.run("Qwen inspect")
        await editor.terminal.until("# A suggestion")
        await editor.run("Qwen log")
        await editor.terminal.until("document=opened")


@BOTH
async def test_each_command_says_what_it_has_done(name, home, service):
    """Off or on for what, until when; before anybody was asked, who is meant; a wrong argument, what is right."""
    install(home)
    configure(home, STATUSLINE)
    service.default = writes(SUM)
    async with neovim(name, home) as editor:
        await editor.edit("sum.py", "")
        await editor.terminal.until("[qwen]")
        meant = "(provider openai, model {} by the settings)"
        for command, said in (
            ("status", f"qwen: ready; nothing asked yet {meant.format(MODEL)}"),
            ("toggle file", "qwen: off for this file in this session"),
            ("toggle file", "qwen: on for this file"),
            ("toggle language", "qwen: off for python in this session; to make it last: qwen.disabledLanguages"),
            ("toggle language", "qwen: on for python in this session; to make it last: qwen.disabledLanguages"),
            ("toggle foo", "qwen: `:Qwen toggle` takes file, language, or nothing"),
            ("snooze abc", "qwen: `:Qwen snooze` takes minutes, a number from above 0 to 1440, or nothing"),
            ("snooze 0", "qwen: qwen.snooze: minutes are a number from above 0 to 1440"),
            ("fix", "qwen: there is nothing to fix: ready"),
            ("pause", "qwen: paused until you resume"),
            ("fix", "qwen: resumed"),
            ("pause", "qwen: paused until you resume"),
            ("resume", "qwen: resumed"),
            ("use auto", f"qwen: provider auto, model {MODEL} for this session"),
            ("use local 0.5b", "qwen: provider local, model 0.5b for this session"),
            ("clear", "qwen: all answers are forgotten, and the service is looked for anew"),
        ):
            await editor.run(f"redraw | Qwen {command}")
            screen = await editor.terminal.until(lambda screen, said=said: said in screen.replace("\n", ""))
            if "Press ENTER" in screen:
                await editor.terminal.keys("Enter")


@BOTH
async def test_what_would_help_is_done(name, home):
    """`:Qwen fix` asks for the model that is lacking: here the settings forbid to fetch it."""
    install(home)
    home.configure('provider = "local"\nmodel = "1.5b"\nlocalOnly = true\n')
    async with neovim(name, home, columns=160) as editor:
        await editor.edit("sum.py", "")
        await editor.insert("i", "def add")
        await home.until_logged("outcome=(error|no-provider)")
        await editor.run("Qwen fix")
        await editor.terminal.until("qwen: qwen.localOnly is on, so nothing is fetched")


@BOTH
async def test_health(name, home, service):
    """What is well is said, and what is not names the fix, once by itself and in `:checkhealth`."""
    install(home)
    async with neovim(name, home) as editor:
        await editor.edit("sum.py", SUM)
        await editor.run("checkhealth qwen")
        shows = "Neovim's inline completion" if name == "nvim" else "this plugin"
        screen = await editor.terminal.until(f"shown by {shows}")
        assert "qwen-lsp 0" in screen
        assert "ready" in screen
        assert "<Tab>: accept" in screen
    (home.path / "bin/qwen-lsp").unlink()
    async with neovim(name, home, "sum.py") as editor:
        await editor.terminal.type("i")
        await editor.terminal.until("qwen: qwen-lsp is not installed or not on the PATH; `pip install` it")
        await editor.terminal.keys("Enter")
        await editor.run("checkhealth qwen")
        await editor.terminal.until("ERROR qwen-lsp is not installed or not on the PATH")


@BOTH
async def test_completion_menu(name, home, service):
    """As the help says: the completion is an entry of Neovim's own menu, and all of it is inserted."""
    install(home)
    configure(home, example("qwen-completion") + "\nvim.o.completeopt = 'menuone,noinsert'\n")
    text = "class Stock:\n    def total(self):\n        return sum(\n            self.items\n        )\n"
    service.default = writes(text)
    async with neovim(name, home) as editor:
        path = await editor.edit("stock.py", "class Stock:\n")
        await editor.insert("o", "def total(")
        await editor.terminal.until(lambda screen: re.search(r"self\):.*Text", screen) is not None)
        await editor.terminal.keys("C-y")
        assert await editor.saved(path) == text


async def test_ghost_text_of_one_s_own_on_neovim_0_12(home, service):
    """`ghost_text = 'own'`: the plugin shows it where Neovim could."""
    install(home)
    configure(home, "require('qwen').setup({ ghost_text = 'own' })\n")
    service.default = writes(SUM)
    async with neovim("nvim", home) as editor:
        path = await editor.edit("sum.py", "")
        await editor.insert("i", "def add")
        await editor.terminal.until("def add(a, b):")
        await editor.run("echo 'built in:' v:lua.vim.lsp.inline_completion.is_enabled()")
        await editor.terminal.until("built in: v:false")
        await editor.insert("A", "(a")
        await editor.terminal.until("return a + b")
        await editor.terminal.keys("Tab")
        assert await editor.saved(path) == SUM


async def test_files_of_the_plugin():
    """The help's index is what Neovim makes of the help, and each Lua file is one."""
    for path in PLUGIN.rglob("*.lua"):
        assert await _lua(f"assert(loadfile({str(path)!r}))") == ""
    tags = re.findall(r"\*([^\s*|]+)\*", HELP.read_text())
    assert [line.split("\t")[0] for line in (PLUGIN / "doc/tags").read_text().splitlines()] == sorted(tags)


async def test_wrong_options_are_named(home):
    """A misspelt option is an error that says which there are."""
    plugin = f"vim.opt.runtimepath:append({str(PLUGIN)!r}) print(pcall(require('qwen').setup, "
    assert "setup has no option 'key'; it has keys, settings and ghost_text" in await _lua(plugin + "{ key = {} }))")
    assert "keys has no 'acept'; it has accept, accept_line," in await _lua(plugin + "{ keys = { acept = '' } }))")


async def test_the_picture_in_the_readme(home, service):
    """Shows what is on the screen. `QWEN_LSP_PICTURES=1` makes it anew."""
    install(home)
    configure(home, "vim.o.termguicolors = true\nvim.o.ruler = false\nvim.o.number = true\n")
    text = (
        "from dataclasses import dataclass\n\n\n@dataclass\nclass Item:\n    name: str\n    price: float\n"
        "    quantity: int = 1\n\n\ndef total(items: list[Item]) -> float:\n"
        '    """The value of everything in stock."""\n'
        "    return sum(item.price * item.quantity for item in items)\n"
    )
    service.default = writes(text)
    async with neovim("nvim", home, columns=72, rows=16) as editor:
        await editor.edit("stock.py", text[: text.index("\n    return")] + "\n")
        await editor.insert("Go", "return su")
        await editor.terminal.until("return sum(item.price * item.quantity for item in items)")
        picture = screenshot.svg(await editor.terminal.colours(), "Ghost text in Neovim")
        screen = await editor.terminal.screen()
    if os.environ.get("QWEN_LSP_PICTURES"):
        PICTURE.write_text(picture)
    assert screenshot.shown(picture).split() == screen.split()
    assert screenshot.shown(PICTURE.read_text()) == screenshot.shown(picture)
    assert "http" not in PICTURE.read_text().replace("http://www.w3.org/2000/svg", "")


@pytest.mark.real_model
@BOTH
async def test_the_embedded_model(name, home, model_05b):
    """A real Qwen2.5-Coder completes in Neovim."""
    install(home)
    home.configure(f'provider = "local"\nmodel = "{model_05b}"\n')
    async with neovim(name, home) as editor:
        path = await editor.edit("sub.py", SUM + "\n\ndef subtract(a, b):\n")
        await editor.insert("Go", "return ")
        await home.until_logged("outcome=shown")
        await editor.terminal.until("return a - b")
        await editor.terminal.keys("Tab")
        assert await editor.saved(path) == SUM + "\n\ndef subtract(a, b):\n    return a - b\n"


async def _lua(code: str) -> str:
    """What Neovim prints when it runs Lua without any configuration."""
    ran = await asyncio.create_subprocess_exec(
        str(program("nvim")), "--clean", "--headless", "-c", f"lua {code}", "-c", "qall!",
        stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    return (await ran.communicate())[1].decode()
