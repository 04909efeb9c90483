"""Ghost text in real Neovim: 0.12, which shows it itself, and 0.11, where the plugin does."""

from __future__ import annotations

import pytest

from tests.editors.neovim import configure, install, neovim
from tests.editors.writer import writes

BOTH = pytest.mark.parametrize("name", ["nvim", "nvim-0.11"])

HEAD = "def add(a, b):\n    return a + b\n\n\n"
MATHS = HEAD + "def scale(values, factor):\n    return [factor * value for value in values]\n"


@BOTH
async def test_ghost_text_is_typed_through_and_taken(name, home, service):
    """Several lines at a line's end: shown, typed through without asking again, taken by Tab, undone by one u."""
    install(home)
    service.default = writes(MATHS)
    async with neovim(name, home) as editor:
        path = await editor.edit("maths.py", HEAD)
        await editor.insert("Go", "def sc")
        await editor.terminal.until("def scale(values, factor):")
        asked = len(service.generations)
        await editor.terminal.type("ale(")
        await editor.terminal.until("scale(values, factor):\n    return [factor")
        assert len(service.generations) == asked
        # Typed and taken faster than any answer comes: nothing is there twice.
        await editor.terminal.type("val")
        await editor.terminal.keys("Tab")
        assert await editor.saved(path) == HEAD + MATHS[len(HEAD) :]
        await editor.terminal.type("u")
        assert await editor.saved(path) == HEAD + "def scale(val\n"


@BOTH
async def test_a_part_is_taken(name, home, service):
    """Word by word and line by line, as fast as one types; what is left stays on the screen."""
    install(home)
    service.default = writes(MATHS)
    async with neovim(name, home) as editor:
        path = await editor.edit("maths.py", HEAD)
        await editor.insert("Go", "def scale(")
        await editor.terminal.until("def scale(values, factor):")
        await editor.terminal.keys("M-Right", "M-Right", "M-Right")
        assert await editor.saved(path) == HEAD + "def scale(values, factor\n"
        await editor.terminal.type("A")
        await editor.terminal.until("return [factor * value for")
        await editor.terminal.keys("M-C-Right", "M-C-Right")
        assert await editor.saved(path) == MATHS


@BOTH
async def test_in_the_middle_of_a_line(name, home, service):
    """Brackets that are there already stay, also where the text goes on behind them."""
    install(home)
    service.default = writes("result = total(add(1, 2))\n")
    async with neovim(name, home) as editor:
        path = await editor.edit("calls.py", "result = total(add())\n")
        await editor.insert("f)i", "1")
        await editor.terminal.until("result = total(add(1, 2))")
        await editor.terminal.keys("Tab")
        assert await editor.saved(path) == "result = total(add(1, 2))\n"
        service.default = lambda request: "x).then(done);"["each(x" in request.json["prompt"] :]
        path = await editor.edit("calls.js", "each()\n")
        await editor.insert("f)i", "x")
        await editor.terminal.until("each(x).then(done);")
        await editor.terminal.keys("Tab")
        assert await editor.saved(path) == "each(x).then(done);\n"


@BOTH
async def test_a_suggestion_is_dismissed_and_tab_is_tab_again(name, home, service):
    """Gone by its key; without ghost text Tab does what it did."""
    install(home)
    service.default = writes("value = compute(1)\n")
    async with neovim(name, home) as editor:
        path = await editor.edit("plain.py", "")
        await editor.insert("i", "value =")
        await editor.terminal.until("value = compute(1)")
        await editor.terminal.keys("C-]")
        await editor.terminal.until(lambda screen: "compute" not in screen)
        await editor.terminal.keys("Tab")
        await editor.terminal.type("2")
        assert await editor.saved(path) == "value = 2\n"


@BOTH
async def test_crlf_and_emoji(name, home, service):
    """A CRLF file keeps its line ends, and columns are right behind an astral character."""
    install(home)
    lines = MATHS.replace("def add", "# \N{WAVING HAND SIGN} add\ndef add")
    service.default = writes(lines, "smile = '\N{GRINNING FACE}', wave()\n")
    async with neovim(name, home) as editor:
        first = await editor.edit("first.py", "x = 1\n")
        path = await editor.edit("dos.py", lines[: lines.index("def scale")].replace("\n", "\r\n"))
        await editor.insert("Go", "def sc")
        await editor.terminal.until("def scale(values, factor):")
        await editor.terminal.type("ale")
        await editor.terminal.until("return [factor * value")
        await editor.terminal.keys("Tab")
        assert await editor.saved(path) == lines.replace("\n", "\r\n")
        path = await editor.edit("emoji.py", "smile = '\N{GRINNING FACE}',\n")
        await editor.insert("A", " wa")
        await editor.terminal.until("ve()")
        await editor.terminal.keys("Tab")
        assert await editor.saved(path) == "smile = '\N{GRINNING FACE}', wave()\n"
        assert first.read_text() == "x = 1\n"


@BOTH
async def test_candidates_are_asked_for_by_hand(name, home, service):
    """The trigger asks for several; next and previous go round; the one shown is taken."""
    install(home)
    async with neovim(name, home) as editor:
        path = await editor.edit("pick.py", "first = 1\n")
        await editor.insert("o", "x =")
        await service.until(1)
        service.script(" alpha(1)", " beta(2)", " gamma(3)")
        await editor.terminal.keys("M-\\")
        await editor.terminal.until("x = alpha(1)")
        # How many there are in time depends on the machine.
        await editor.terminal.keys("M-]")
        await editor.terminal.until("x = beta(2) (2/")
        await editor.terminal.keys("M-[")
        await editor.terminal.until("x = alpha(1) (1/")
        await editor.terminal.keys("M-]")
        await editor.terminal.until("x = beta(2) (2/")
        await editor.terminal.keys("Tab")
        assert await editor.saved(path) == "first = 1\nx = beta(2)\n"


@BOTH
async def test_a_service_that_is_down(name, home, service):
    """No message and no ghost text; the statusline and `:Qwen why` say why."""
    install(home)
    configure(home, "vim.o.statusline = '[%{v:lua.require(\"qwen\").status()}]'\n")
    await service.stop()
    async with neovim(name, home) as editor:
        await editor.edit("down.py", "x = 1\n")
        await editor.insert("o", "y = ")
        screen = await editor.terminal.until("[qwen: nothing answers at http://127.0.0.1:")
        assert [line for line in screen.splitlines() if line.strip(" ~")][:2] == ["x = 1", "y ="]
        assert screen.rstrip().endswith("-- INSERT --")
        await editor.run("Qwen why")
        await editor.terminal.until("qwen: The service failed: nothing answers at http://127.0.0.1:")


@BOTH
async def test_a_missing_key(name, home, service):
    """One notice, however often one types."""
    install(home)
    home.configure('provider = "dashscope"\n')
    async with neovim(name, home) as editor:
        await editor.edit("key.py", "x = 1\n")
        await editor.insert("o", "y = ")
        await editor.terminal.until("set DASHSCOPE_API_KEY")
        answered = home.logged().count("outcome=")
        await editor.terminal.type("2")
        await home.until_logged("outcome=", answered + 1)
        await editor.run("messages")
        screen = await editor.terminal.until("set DASHSCOPE_API_KEY")
        assert screen.count("set DASHSCOPE_API_KEY") == 1
