"""Checks of this machine: Python, the configuration, the embedded model, the editors."""

from __future__ import annotations

import asyncio
import platform
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import metadata

from qwen_lsp import __version__
from qwen_lsp.backend import weights
from qwen_lsp.backend.local import available_memory
from qwen_lsp.backend.resolve import configured
from qwen_lsp.core import config
from qwen_lsp.core.model import Kind
from qwen_lsp.doctor.case import Case
from qwen_lsp.doctor.findings import Finding, error, failed, ok, parted, skipped, warning
from qwen_lsp.private import private_dir
from qwen_lsp.setup import disk
from qwen_lsp.setup.editors import PLANS
from qwen_lsp.setup.plan import Unusable

OLDEST = (3, 11)
_RUN_SECONDS = 10.0


async def python(_case: Case) -> Finding:
    """What runs this."""
    version = platform.python_version()
    said = f"{version} on {platform.system()} {platform.machine()}, qwen-lsp {__version__}"
    facts = {"python": version, "qwen-lsp": __version__, "executable": sys.executable}
    if sys.version_info[:2] < OLDEST:
        return error(said, f"install Python {'.'.join(map(str, OLDEST))} or newer", **facts)
    return ok(said, **facts)


async def configuration(case: Case) -> Finding:
    """Where the settings come from, and the mistakes in them. Names of variables only: values may be secret."""
    given, env = case.configuration, case.env
    known = {config.PREFIX + "_".join(option.attribute).upper() for option in config.options()}
    variables = sorted(name for name in env if name in known)
    file = str(given.file) if given.found else f"no {given.file}"
    parts = [file, *([f"environment: {', '.join(variables)}"] if variables else [])]
    parts += [f"command line: {', '.join(given.options)}"] if given.options else []
    problems = list(given.problems)
    facts = {"file": str(given.file), "found": given.found, "variables": variables, "problems": problems}
    if not problems:
        return ok("; ".join(parts), **facts)
    said = "; ".join(problems)
    if any(config.HELD in problem for problem in problems):
        where = given.file if str(given.file) in said else "it"
        return error(said, f"mend {where}; `qwen-lsp schema` prints what the settings may be", **facts)
    return warning(said, "the other settings apply; `qwen-lsp schema` prints what they may be", **facts)


async def files(case: Case) -> Finding:
    """Whether there is a place for what is remembered, counted and shared between editors."""
    folder = case.state_dir
    try:
        with tempfile.TemporaryFile(dir=private_dir(folder)):
            return ok(f"{folder} can be written", folder=str(folder))
    except OSError as wrong:
        said = f"{folder} can't be written ({wrong.strerror}): nothing is counted, and the embedded engine can't start"
        return error(
            said, "check the directory's owner and rights, or set XDG_STATE_HOME to another", folder=str(folder)
        )


async def embedded(case: Case) -> Finding:
    """The embedded model's weights and engine: needed where it completes, else only looked at."""
    settings, contact = case.settings, case.contact
    used = contact is not None and contact.service is not None and contact.service.is_local
    needed = used or configured(settings, case.env) == "local"
    wrong = contact.error if needed and contact is not None else None
    if wrong is not None and wrong.kind is Kind.MODEL:
        return failed(wrong.message)
    name = (settings.model if needed else "") or weights.DEFAULT
    path, engine = weights.find(name, case.cache_dir), _engine()
    row = weights.known(name)
    pull = f"`qwen-lsp model pull{'' if name == weights.DEFAULT or row is None else f' {row.short}'}`"
    if path is None:
        if needed:
            return error(f"the model {row.name if row else name} is not on this machine", f"run {pull}")
        return skipped(f"not on this machine and not needed; {pull} would fetch one that needs no key")
    try:
        await asyncio.to_thread(weights.verify, path)
    except weights.WeightsError as damage:
        said, fix = parted(damage.message)
        return error(said, fix) if needed else warning(said, fix)
    if engine is None:
        said, fix = (
            f"{path.name} is whole, but the engine is not installed",
            "run pip install '.[local]' in your copy of qwen-lsp",
        )
        return error(said, fix) if needed else skipped(f"{said}; {fix}")
    there = available_memory()
    if row is not None and there is not None and there < row.memory:
        said = f"{row.name} takes {weights.gigabytes(row.memory)} of memory, and {weights.gigabytes(there)} are free"
        fix = "close other programs, or set qwen.model to qwen2.5-coder-0.5b"
        return warning(said, fix) if needed else skipped(said)
    return ok(f"{path.name} is whole, xllamacpp {engine}", weights=str(path), engine=engine, needed=needed)


def _engine() -> str | None:
    try:
        return metadata.version("xllamacpp")
    except metadata.PackageNotFoundError:
        return None


@dataclass(frozen=True, slots=True)
class _Editor:
    """An editor, by the names of its programs and by the one that `qwen-lsp setup` has for it."""

    setup: str
    name: str
    programs: tuple[str, ...]
    version: str
    """A pattern for what `--version` prints."""


_EDITORS = (
    _Editor("nvim", "Neovim", ("nvim",), r"NVIM v(\S+)"),
    _Editor("helix", "Helix", ("hx", "helix"), r"helix (\S+)"),
    _Editor("vscode", "VS Code", ("code", "codium", "code-insiders"), r"^(\d\S+)"),
    _Editor("emacs", "Emacs", ("emacs",), r"Emacs (\S+)"),
)
_EXTENSION = "qwen-lsp.qwen-lsp"


async def editors(case: Case) -> Finding:
    """Which editors are here, and whether they are set up: `qwen-lsp setup` would change nothing."""
    found: dict[str, dict[str, str]] = {}
    for editor in _EDITORS:
        path = case.env.get("PATH")
        program = next((where for each in editor.programs if (where := shutil.which(each, path=path))), None)
        if program is None:
            continue
        said = await asyncio.to_thread(_said, [program, "--version"], case.env)
        version = re.search(editor.version, said, re.MULTILINE)
        state = await asyncio.to_thread(_state, editor, program, case)
        found[editor.setup] = {"name": editor.name, "version": version[1] if version else "", "state": state}
    if not found:
        return skipped("none of nvim, hx, code and emacs is on the PATH")
    said = "; ".join(f"{each['name']} {each['version']}".strip() + f": {each['state']}" for each in found.values())
    if any(each["state"] == _DONE for each in found.values()):
        return ok(said, editors=found)
    return warning(
        said, f"run `qwen-lsp setup {next(iter(found))} --write`; a plugin manager's set-up is not seen here"
    )


_DONE, _UNDONE = "set up", "not set up"


def _state(editor: _Editor, program: str, case: Case) -> str:
    """By the set-up's own plan; an extension of VS Code is no file of a plan."""
    if editor.setup == "vscode" and _EXTENSION not in _said([program, "--list-extensions"], case.env).split():
        return _UNDONE
    try:
        return _UNDONE if PLANS[editor.setup](case.machine(editor.setup), disk.read).pending else _DONE
    except Unusable as reason:
        return f"can't be set up ({reason})"


def _said(command: list[str], env: Mapping[str, str]) -> str:
    """What a program prints; nothing where it can't be run."""
    try:
        ran = subprocess.run(  # noqa: S603 - the person's own editor
            command, env=env, stdin=subprocess.DEVNULL, capture_output=True, timeout=_RUN_SECONDS, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return ran.stdout.decode(errors="replace")
