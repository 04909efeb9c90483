"""Real Neovim in a terminal, with the plugin put where a person puts it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from tests.editors.home import Home
from tests.editors.install import program
from tests.editors.terminal import Terminal

ROOT = Path(__file__).parents[2]
PLUGIN = ROOT / "editors/nvim"


def install(home: Home) -> None:
    """Links the plugin into a home as a package that Neovim finds by itself."""
    place = home.path / ".local/share/nvim/site/pack/qwen/start"
    place.mkdir(parents=True)
    (place / "qwen").symlink_to(PLUGIN)


def configure(home: Home, lua: str) -> None:
    """Writes the person's init.lua."""
    path = home.path / ".config/nvim/init.lua"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(lua)


class Neovim:
    """One running Neovim."""

    def __init__(self, terminal: Terminal, home: Home) -> None:
        self.terminal = terminal
        self.home = home
        self._opened = 0

    async def edit(self, name: str, text: str) -> Path:
        """Opens a file with this text and waits until the server knows it."""
        path = self.home.file(name, text)
        await self.run(f"edit {name}")
        self._opened += 1
        await self.home.until_opened(self._opened)
        return path

    async def run(self, command: str) -> None:
        """Runs an Ex command from any mode."""
        await self.terminal.keys("Escape")
        # An Escape with a letter right behind it is that letter with Alt; the mode's name is gone when it is through.
        await self.terminal.until(lambda screen: "-- INSERT --" not in screen)
        await self.terminal.type(f":{command}")
        await self.terminal.keys("Enter")

    async def insert(self, where: str, text: str) -> None:
        """Goes into insert mode by the normal mode keys `where`, and types."""
        await self.terminal.type(where)
        await self.terminal.until("-- INSERT --")
        await self.terminal.type(text)

    async def saved(self, path: Path) -> str:
        """Writes the file, and gives what is on disk then."""
        await self.run("silent write | echo 'is ' .. 'written'")
        await self.terminal.until("is written")
        await self.run("echo ''")
        return path.read_bytes().decode()  # noqa: ASYNC240 - a small file, and nothing else to do


@asynccontextmanager
async def neovim(name: str, home: Home, *arguments: str, columns: int = 100, rows: int = 30) -> AsyncIterator[Neovim]:
    """Runs a Neovim (`nvim`, `nvim-0.11`) in the home's workspace until the block ends."""
    command = [str(program(name)), *arguments]
    terminal = await Terminal.start(command, env=home.env, cwd=home.work, columns=columns, rows=rows)
    async with terminal:
        yield Neovim(terminal, home)
