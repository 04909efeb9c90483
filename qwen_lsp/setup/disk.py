"""The disk and the programs on it, for the set-up: what is there, and the writing.

Promises: a file is whole at any moment, either as it was or as it should be; what was there is kept beside it; a link
stays a link; what a person has made read-only is not replaced. Says what is wrong in one line (`Unusable`).
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path, PurePosixPath

from qwen_lsp.setup.plan import Change, Unusable

_PACKAGE = Path(__file__).resolve().parent.parent
_SHIPPED = (_PACKAGE / "editors", _PACKAGE.parent / "editors")
"""In an installed package, and in a checkout."""
_SKIPPED = {"tests", "test", "node_modules", "out", "dist", "__pycache__"}
_HELIX_TIMEOUT = 10.0
_LISTED = "Configured language servers:"
_COLOUR = re.compile(r"\x1b\[[\d;]*m")
_SERVER = re.compile(r"^  \S (\S+): ", re.MULTILINE)
_HELIX_SINCE = (25, 1)
"""The first Helix that is known to list servers by the names that its settings have for them."""


def read(path: Path) -> str | None:
    """A file's text, its line ends as they are; None where there is none.

    Raises:
        Unusable: it can't be read as text.
    """
    try:
        return path.read_bytes().decode()
    except (FileNotFoundError, NotADirectoryError):
        if path.is_symlink():
            raise Unusable(f"{path}: is a link to a file that is not there") from None
        return None
    except UnicodeDecodeError:
        raise Unusable(f"{path}: is not UTF-8 text; save it as UTF-8") from None
    except OSError as error:
        raise Unusable(f"{path}: can't be read ({error.strerror})") from None


def shipped(editor: str) -> Mapping[PurePosixPath, str]:
    """The files that come with qwen-lsp for an editor, by their path in its folder.

    Raises:
        Unusable: this installation has none.
    """
    for folder in (base / editor for base in _SHIPPED):
        files = [path for path in folder.rglob("*") if path.is_file() and not _skipped(path.relative_to(folder))]
        if files:
            return {PurePosixPath(path.relative_to(folder).as_posix()): path.read_text("utf-8") for path in files}
    raise Unusable(f"the files for {editor} are not in this installation; install qwen-lsp anew")


def packed() -> Path | None:
    """The packed VS Code extension, where it has been built; the newest."""
    found = [path for base in _SHIPPED for path in (base / "vscode").glob("*.vsix")]
    return max(found, key=lambda path: path.stat().st_mtime, default=None)


def helix_servers(languages: Iterable[str], env: Mapping[str, str]) -> Mapping[str, tuple[str, ...]] | None:
    """The usual servers of these languages as the Helix that is installed has them, without those it doesn't know.

    None where no Helix is, or one too old to tell.
    """
    program = shutil.which("hx", path=env.get("PATH")) or shutil.which("helix", path=env.get("PATH"))
    if program is None:
        return None
    # An empty folder: the person's own settings, or those of a workspace, would come mixed with the defaults.
    with tempfile.TemporaryDirectory() as empty:
        bare = {**env, "XDG_CONFIG_HOME": empty, "APPDATA": empty}
        version = re.match(r"helix (\d+)\.(\d+)", _said([program, "--version"], bare, empty))
        if version is None or (int(version[1]), int(version[2])) < _HELIX_SINCE:
            return None
        said = {language: _said([program, "--health", language], bare, empty) for language in languages}
    return {language: _servers(text) for language, text in said.items() if _LISTED in text} or None


def _servers(text: str) -> tuple[str, ...]:
    return tuple(_SERVER.findall(text.partition(_LISTED)[2].partition("\nConfigured")[0]))


def _said(command: list[str], env: Mapping[str, str], folder: str) -> str:
    """What a program prints, without colours; nothing where it can't be run."""
    try:
        ran = subprocess.run(  # noqa: S603 - the person's own Helix
            command, env=env, cwd=folder, stdin=subprocess.DEVNULL, capture_output=True,
            timeout=_HELIX_TIMEOUT, check=False,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return _COLOUR.sub("", ran.stdout.decode(errors="replace"))


def write(change: Change) -> Path | None:
    """Makes a file what it should be, and gives where what was there is kept.

    Raises:
        Unusable: it is read-only, has changed since it was read, or can't be written.
    """
    target = Path(os.path.realpath(change.path))
    if read(target) != change.before:
        raise Unusable(f"{change.path}: has changed meanwhile; run this again")
    try:
        _refuse_read_only(target)
        target.parent.mkdir(parents=True, exist_ok=True)
        kept = _keep(target) if change.before is not None else None
        _replace(target, change.after)
    except OSError as error:
        raise Unusable(f"{change.path}: can't be written ({error.strerror}); nothing of it was changed") from None
    return kept


def _refuse_read_only(target: Path) -> None:
    # Replacing needs no right to the file itself, only to its folder; root may even write to what is read-only.
    if target.exists() and not (os.access(target, os.W_OK) and target.stat().st_mode & 0o222):
        raise Unusable(f"{target}: is read-only; put the text in by hand where the file is made, or make it writable")


def _keep(target: Path) -> Path:
    """Copies the file to a name beside it that is free."""
    number = 0
    while True:
        kept = target.with_name(f"{target.name}.bak{number or ''}")
        try:
            with kept.open("xb") as copy:
                copy.write(target.read_bytes())
        except FileExistsError:
            number += 1
            continue
        shutil.copystat(target, kept)
        return kept


def _replace(target: Path, text: str) -> None:
    made = target.with_name(f".{target.name}.{os.getpid()}.new")
    try:
        with made.open("xb") as file:
            file.write(text.encode())
            file.flush()
            os.fsync(file.fileno())
        if target.exists():
            shutil.copymode(target, made)
        made.replace(target)
    finally:
        with contextlib.suppress(FileNotFoundError):
            made.unlink()


def _skipped(path: Path) -> bool:
    return any(part in _SKIPPED or part.startswith(".") for part in path.parts)
