"""The plan for each editor: pure functions of a machine and what stands on it."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType

from qwen_lsp.setup import helix, jsonc, places
from qwen_lsp.setup.plan import Change, Machine, Plan, Read, Unusable, joined

_PRODUCTS = (("code", "Code"), ("codium", "VSCodium"), ("code-insiders", "Code - Insiders"))
"""VS Code's programs, and what their folders are called."""
_LOADED = re.compile(r"^\s*\((?:require\s+'|use-package\s+)qwen-lsp\b", re.MULTILINE)
"""How a start-up file says that it loads `qwen-lsp.el`."""


def for_helix(machine: Machine, read: Read) -> Plan:
    """The languages' settings, with qwen beside the usual servers."""
    usual = helix.USUAL if machine.helix_servers is None else machine.helix_servers
    change = _merged(places.helix(machine), read, lambda text: helix.merged(text, machine.command, usual))
    return Plan((change,), notes=("`hx --health python` then lists qwen; `:lsp-restart` in a Helix that is running.",))


def for_nvim(machine: Machine, read: Read) -> Plan:
    """The plugin, in a place where Neovim finds it by itself."""
    folder = places.nvim(machine)
    changes = tuple(
        Change(folder / path, read(folder / path), text, ours=True)
        for path, text in sorted(machine.shipped("nvim").items())
    )
    notes = ["Neovim loads it at its next start; `:checkhealth qwen` says whether all is well."]
    if machine.command != "qwen-lsp":
        cmd = f"{{ cmd = {{ {json.dumps(machine.command)}, 'serve' }} }}"
        notes.append(f"qwen-lsp is not on the PATH; put this into init.lua: vim.lsp.config('qwen', {cmd})")
    return Plan(changes, notes=tuple(notes))


def for_emacs(machine: Machine, read: Read) -> Plan:
    """The package, and the lines that load it."""
    folder, init = places.emacs(machine, read)
    lisp = folder / "qwen-lsp/qwen-lsp.el"
    package = next(text for path, text in machine.shipped("emacs").items() if path.name == lisp.name)
    changes = Change(lisp, read(lisp), package, ours=True), _merged(init, read, lambda text: _init(text, lisp, machine))
    return Plan(changes, notes=("Emacs loads it at its next start.",))


def for_vscode(machine: Machine, read: Read) -> Plan:
    """The extension; the settings only where it would not find the server."""
    program, product = next((each for each in _PRODUCTS if machine.on_path(each[0])), _PRODUCTS[0])
    settings = places.vscode(machine, product)
    changes: tuple[Change, ...] = ()
    notes = [f"{settings} needs nothing: the extension finds qwen-lsp on the PATH."]
    if machine.command != "qwen-lsp":
        changes = (_merged(settings, read, lambda text: jsonc.with_member(text or "", "qwen.path", machine.command)),)
        notes = []
    if machine.vsix is None:
        notes.append("The extension is not built yet: `npm ci && npm run package` in editors/vscode of a checkout.")
        notes.append(f"Then install the .vsix: `{program} --install-extension FILE`, or Extensions, Install from VSIX.")
        return Plan(changes, notes=tuple(notes))
    if not machine.on_path(program):
        notes.append(f"Install {machine.vsix} in VS Code: Extensions, Install from VSIX.")
        return Plan(changes, notes=tuple(notes))
    return Plan(changes, ((program, "--install-extension", str(machine.vsix)),), tuple(notes))


PLANS: Mapping[str, Callable[[Machine, Read], Plan]] = MappingProxyType(
    {"nvim": for_nvim, "vscode": for_vscode, "helix": for_helix, "emacs": for_emacs}
)


def _merged(path: Path, read: Read, merge: Callable[[str | None], str]) -> Change:
    """The change of a person's own file; what is wrong with it is said with its name."""
    before = read(path)
    try:
        return Change(path, before, merge(before))
    except Unusable as error:
        raise Unusable(f"{path}: {error}; nothing was changed") from None


def _init(before: str | None, lisp: Path, machine: Machine) -> str:
    """Emacs' start-up file with the lines that load the package at its end."""
    text = before or ""
    if _LOADED.search(text):
        return text
    lines = [f"(add-to-list 'load-path {json.dumps(lisp.parent.as_posix(), ensure_ascii=False)})"]
    if machine.command != "qwen-lsp":
        lines.append(f'(setq qwen-lsp-command \'({json.dumps(machine.command, ensure_ascii=False)} "serve"))')
    lines += ["(require 'qwen-lsp)", "(global-qwen-lsp-mode)"]
    gap = "" if not text else "\n" if text.endswith("\n") else "\n\n"
    return joined(before, f"{text}{gap}" + "\n".join(lines) + "\n")
