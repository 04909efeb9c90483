"""Where editors look for their files; pure functions of a machine.

A relative path in an XDG variable is ignored, as the specification asks.
"""

from __future__ import annotations

from pathlib import Path

from qwen_lsp.setup.plan import Machine, Read


def helix(machine: Machine) -> Path:
    """Helix' own settings of languages."""
    if machine.platform == "win32":
        return _named(machine, "APPDATA", "AppData/Roaming") / "helix/languages.toml"
    return _named(machine, "XDG_CONFIG_HOME", ".config") / "helix/languages.toml"


def nvim(machine: Machine) -> Path:
    """Our folder among Neovim's packages, which are loaded without a plugin manager."""
    app = machine.env.get("NVIM_APPNAME") or "nvim"
    if machine.platform == "win32":
        data = _named(machine, "LOCALAPPDATA", "AppData/Local") / f"{app}-data"
    else:
        data = _named(machine, "XDG_DATA_HOME", ".local/share") / app
    return data / "site/pack/qwen/start/qwen-lsp"


def vscode(machine: Machine, product: str) -> Path:
    """The person's settings in VS Code, or in another product made of it."""
    if machine.platform == "win32":
        base = _named(machine, "APPDATA", "AppData/Roaming")
    elif machine.platform == "darwin":
        base = machine.home / "Library/Application Support"
    else:
        base = _named(machine, "XDG_CONFIG_HOME", ".config")
    return base / product / "User/settings.json"


def emacs(machine: Machine, read: Read) -> tuple[Path, Path]:
    """Emacs' folder, and the file it starts with (manual, "Find Init": the first of these that is there)."""
    old, new = machine.home / ".emacs.d", _named(machine, "XDG_CONFIG_HOME", ".config") / "emacs"
    for path in (machine.home / ".emacs.el", machine.home / ".emacs"):
        if read(path) is not None:
            return old, path
    # Emacs takes ~/.emacs.d where it exists; an empty one can't be told from none here, and does no harm.
    folder = new if read(new / "init.el") is not None and read(old / "init.el") is None else old
    return folder, folder / "init.el"


def _named(machine: Machine, variable: str, below_home: str) -> Path:
    chosen = Path(machine.env.get(variable, ""))
    return chosen if chosen.is_absolute() else machine.home / below_home
