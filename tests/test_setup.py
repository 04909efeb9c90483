"""`qwen-lsp setup`: what a person wrote is joined with, kept and never lost."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
import tomllib
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import pytest

from qwen_lsp.setup import disk, helix, jsonc, places
from qwen_lsp.setup.editors import PLANS
from qwen_lsp.setup.plan import Change, Machine, Unusable

ROOT = Path(__file__).parent.parent
USUAL = {"python": ("ty", "ruff"), "rust": ("rust-analyzer",)}
QWEN = '{ name = "qwen", only-features = ["completion", "workspace-command"] }'
SERVER = '[language-server.qwen]\ncommand = "qwen-lsp"\nargs = ["serve"]\n'
PYTHON = f'[[language]]\nname = "python"\nlanguage-servers = ["ty", "ruff", {QWEN}]\n'
RUST = f'[[language]]\nname = "rust"\nlanguage-servers = ["rust-analyzer", {QWEN}]\n'


@dataclass
class Ran:
    status: int
    out: str
    err: str


def setup(*arguments: str, home: Path, **env: str) -> Ran:
    """The command as scripts run it: nobody sits at a terminal, and no editor is installed."""
    (home / "bin").mkdir(exist_ok=True)
    (home / "bin/qwen-lsp").touch(mode=0o755)
    clean = {"HOME": str(home), "PATH": str(home / "bin"), "PYTHONPATH": str(ROOT), **env}
    ran = subprocess.run(
        [sys.executable, "-m", "qwen_lsp", "setup", *arguments],
        env=clean, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
    )  # fmt: skip
    return Ran(ran.returncode, ran.stdout, ran.stderr)


def machine(home: Path, **more) -> Machine:
    facts = {
        "env": {}, "platform": "linux", "command": "qwen-lsp", "on_path": lambda _: False,
        "shipped": lambda _: {PurePosixPath("plugin/qwen.lua"): "-- ours\n", PurePosixPath("qwen-lsp.el"): ";; ours\n"},
    }  # fmt: skip
    return Machine(home=home, **facts | more)


def listing(folder: Path) -> dict[str, str]:
    return {path.relative_to(folder).as_posix(): path.read_text() for path in folder.rglob("*") if path.is_file()}


def helix_file(home: Path, text: str) -> Path:
    path = home / ".config/helix/languages.toml"
    path.parent.mkdir(parents=True)
    path.write_bytes(text.encode())
    return path


# Helix' languages.toml


def test_an_empty_file_gets_the_usual_servers() -> None:
    """Every language has its usual servers, and qwen as the last, which Helix shows on top."""
    assert helix.merged(None, "qwen-lsp", USUAL) == f"{SERVER}\n{PYTHON}\n{RUST}"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        pytest.param(
            '# mine\n[[language]] # py\nname = "python"\nauto-format = true\nlanguage-servers = ["pyright"] # only\n',
            f'# mine\n[[language]] # py\nname = "python"\nauto-format = true\nlanguage-servers = ["pyright", {QWEN}]'
            f" # only\n\n{SERVER}\n{RUST}",
            id="a list of one's own wins",
        ),
        pytest.param(
            '[[language]]\nname = "python"\nauto-format = true\n\n[[language]]\nname = "rust"\nlanguage-servers = []\n',
            f'[[language]]\nname = "python"\nauto-format = true\nlanguage-servers = ["ty", "ruff", {QWEN}]\n\n'
            f'[[language]]\nname = "rust"\nlanguage-servers = [{QWEN}]\n\n{SERVER}',
            id="an entry without a list, and one with none in it",
        ),
        pytest.param(
            '[[language]]\nname = "mine"\nlanguage-servers = [\n  "a", # first\n  "b",\n]\n',
            f'[[language]]\nname = "mine"\nlanguage-servers = [\n  "a", # first\n  "b",\n  {QWEN},\n]\n\n{SERVER}\n'
            f"{PYTHON}\n{RUST}",
            id="a list over several lines, of a language we don't name",
        ),
        pytest.param(
            f'[language-server.a]\ncommand = "a"\n\n{PYTHON}\n[language-server.b]\ncommand = "b"\n',
            f'[language-server.a]\ncommand = "a"\n\n{PYTHON}\n[language-server.b]\ncommand = "b"\n\n{SERVER}\n{RUST}',
            id="servers before and after the languages",
        ),
        pytest.param(
            '[language-server.qwen]\ncommand = "/opt/qwen"\n[[language]]\nname = "python"\n'
            'language-servers = ["qwen", "ty"]',
            '[language-server.qwen]\ncommand = "/opt/qwen"\n[[language]]\nname = "python"\n'
            f'language-servers = ["qwen", "ty"]\n\n{RUST}',
            id="qwen where a person wants it",
        ),
        pytest.param(
            '[[language]]\nname = "python"\n\n[[language]]\nname = "python"\nlanguage-servers = ["ty"]\n',
            f'[[language]]\nname = "python"\n\n[[language]]\nname = "python"\nlanguage-servers = ["ty", {QWEN}]\n\n'
            f"{SERVER}\n{RUST}",
            id="a language in two entries, which Helix joins",
        ),
    ],
)
def test_a_file_of_one_s_own_is_added_to(before: str, after: str) -> None:
    """Nothing in it changes but the lists of servers; doing it again changes nothing; CRLF stays CRLF."""
    assert helix.merged(before, "qwen-lsp", USUAL) == after
    assert helix.merged(after, "qwen-lsp", USUAL) == after
    assert helix.merged(before.replace("\n", "\r\n"), "qwen-lsp", USUAL) == after.replace("\n", "\r\n")


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ('[[language]]\nname = "python', "is not TOML: "),
        ("language-server = { a = { command = 'a' } }\n", "in a form that can't be added to"),
        ("language = [{ name = 'mine' }]\n", "in a form that can't be added to"),
        ("language = 3\n", "no list of tables"),
        ("language-server = 3\n", "no table"),
    ],
)
def test_a_file_that_can_t_be_joined_with_is_left(tmp_path: Path, text: str, complaint: str) -> None:
    """One line names the file and what is wrong; the file is as it was."""
    path = helix_file(tmp_path, text)
    ran = setup("helix", "--write", "--yes", home=tmp_path)
    assert (ran.status, ran.out) == (1, "")
    assert ran.err.startswith(f"qwen-lsp: {path}: ")
    assert complaint in ran.err
    assert ran.err.count("\n") == 1
    assert listing(path.parent) == {"languages.toml": text}


def test_the_file_in_the_repository_is_the_command_s() -> None:
    """editors/helix/languages.toml is what the command writes where nothing is."""
    text = (ROOT / "editors/helix/languages.toml").read_text()
    assert text == helix.merged(None, "qwen-lsp")
    assert [entry["name"] for entry in tomllib.loads(text)["language"]] == list(helix.USUAL)


@pytest.mark.parametrize(("version", "languages"), [("25.07.1", 1), ("24.07", len(helix.USUAL))])
def test_the_servers_come_from_the_helix_that_is_there(tmp_path: Path, version: str, languages: int) -> None:
    """Each version has other defaults; a language that it doesn't know would make it reject the whole file."""
    hx = tmp_path / "bin/hx"
    hx.parent.mkdir()
    hx.write_text(
        '#!/bin/sh\n[ -z "$(ls "$XDG_CONFIG_HOME")" ] || exit 1\n'
        f'[ "$1" != --version ] || exec echo "helix {version} (0b7f5b1)"\n[ "$2" = python ] || exit 1\n'
        "printf 'Configured language servers:\\n  \\033[31m✘\\033[m pylsp: not found\\n  ✓ ruff: /bin/ruff\\n"
        "Configured debug adapter: None\\n'\n"
    )
    hx.chmod(0o755)
    helix_file(tmp_path, "# mine\n")
    ran = setup("helix", home=tmp_path, PATH=f"{hx.parent}:/usr/bin:/bin")
    assert (f'name = "python"\nlanguage-servers = ["pylsp", "ruff", {QWEN}]\n' in ran.out) is (languages == 1)
    assert ran.out.count("[[language]]") == languages


# VS Code's settings.json


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("", '{\n  "k": "v"\n}\n'),
        ("// mine", '// mine\n{\n  "k": "v"\n}\n'),
        ("{}", '{\n  "k": "v"\n}'),
        ('{\n\t"a": 1 // one\n}\n', '{\n\t"a": 1, // one\n\t"k": "v"\n}\n'),
        (
            '{\n    "a": [1, 2,], /* x */\n    // "k": 1\n}\n',
            '{\n    "a": [1, 2,], /* x */\n    // "k": 1\n    "k": "v"\n}\n',
        ),
        ('{"a": "}//{"}', '{"a": "}//{",\n  "k": "v"\n}'),
        ('{"k": "mine", // so\n}', '{"k": "mine", // so\n}'),
    ],
)
def test_settings_with_comments_get_a_member(before: str, after: str) -> None:
    """Comments and form stay; a member that is there stays as it is."""
    assert jsonc.with_member(before, "k", "v") == after
    assert jsonc.with_member(after, "k", "v") == after


@pytest.mark.parametrize("text", ['{"a": }', "[1]", '{"a": 1', "{a: 1}", '{"a": "\n', "{} {}", "/* open", "{,}", '"a"'])
def test_settings_that_are_broken_are_left(text: str) -> None:
    """What is no JSON object is not guessed at."""
    with pytest.raises(Unusable):
        jsonc.with_member(text, "k", "v")


def test_vscode_needs_settings_only_without_a_path(tmp_path: Path) -> None:
    """The extension finds the server on the PATH; elsewhere its path is one setting."""
    plan = PLANS["vscode"](machine(tmp_path), disk.read)
    assert plan.changes == plan.commands == ()
    plan = PLANS["vscode"](machine(tmp_path, command="/venv/bin/qwen-lsp", vsix=Path("q.vsix")), disk.read)
    assert [(change.path.name, json.loads(change.after)) for change in plan.changes] == [
        ("settings.json", {"qwen.path": "/venv/bin/qwen-lsp"})
    ]
    assert plan.commands == ()
    codium = machine(tmp_path, on_path=lambda program: program == "codium", vsix=Path("q.vsix"))
    assert PLANS["vscode"](codium, disk.read).commands == (("codium", "--install-extension", "q.vsix"),)


def test_the_extension_is_installed_or_it_is_said_how(tmp_path: Path) -> None:
    """VS Code's own installer is run; where it fails, the command is named. Unbuilt, the extension has to be built."""
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/code").write_text("#!/bin/sh\nexit 1\n")
    (tmp_path / "bin/code").chmod(0o755)
    ran = setup("vscode", "--write", "--yes", home=tmp_path)
    if disk.packed() is None:
        assert (ran.status, "is not built yet" in ran.out) == (0, True)
    else:
        assert (ran.status, "failed; run it by hand" in ran.err) == (1, True)


# Where things belong


@pytest.mark.parametrize(
    ("platform", "env", "expected"),
    [
        ("linux", {}, [".config/helix", ".local/share/nvim/site", ".config/Code/User"]),
        ("linux", {"XDG_CONFIG_HOME": "here", "NVIM_APPNAME": "n"}, [".config/helix", ".local/share/n", ".config"]),
        ("linux", {"XDG_CONFIG_HOME": "/c", "XDG_DATA_HOME": "/d"}, ["/c/helix", "/d/nvim/site", "/c/Code/User"]),
        ("darwin", {}, [".config/helix", ".local/share/nvim", "Library/Application Support/Code/User"]),
        ("win32", {}, ["AppData/Roaming/helix", "AppData/Local/nvim-data/site", "AppData/Roaming/Code/User"]),
    ],
)  # fmt: skip
def test_places(tmp_path: Path, platform: str, env: dict[str, str], expected: list[str]) -> None:
    """Each editor's own rules, on each system."""
    here = machine(tmp_path, platform=platform, env=env)
    found = [places.helix(here), places.nvim(here), places.vscode(here, "Code")]
    assert [path.is_relative_to(tmp_path / start) for path, start in zip(found, expected, strict=True)] == [True] * 3


@pytest.mark.parametrize(
    ("there", "expected"),
    [
        ([], ".emacs.d/init.el"),
        ([".emacs"], ".emacs"),
        ([".config/emacs/init.el"], ".config/emacs/init.el"),
        ([".config/emacs/init.el", ".emacs.d/init.el"], ".emacs.d/init.el"),
    ],
)
def test_the_file_that_emacs_starts_with(tmp_path: Path, there: list[str], expected: str) -> None:
    """The one that is there, in Emacs' own order."""
    for name in there:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("(mine)")
    plan = PLANS["emacs"](machine(tmp_path), disk.read)
    assert plan.changes[1].path == tmp_path / expected
    assert plan.changes[1].after.startswith("(mine)\n\n(add-to-list" if there else "(add-to-list")
    assert plan.changes[1].after.endswith("(require 'qwen-lsp)\n(global-qwen-lsp-mode)\n")


def test_emacs_lines_are_added_once(tmp_path: Path) -> None:
    """Whoever loads the package already, in whatever way, is left alone; a comment is no loading."""
    (tmp_path / ".emacs").write_text('(use-package qwen-lsp :load-path "x")\n')
    assert PLANS["emacs"](machine(tmp_path), disk.read).changes[1].state == "same"
    (tmp_path / ".emacs").write_text(";; (require 'qwen-lsp)\n")
    first = PLANS["emacs"](machine(tmp_path, command="/venv/qwen-lsp"), disk.read).changes[1]
    assert '(setq qwen-lsp-command \'("/venv/qwen-lsp" "serve"))\n' in first.after
    disk.write(first)
    assert PLANS["emacs"](machine(tmp_path), disk.read).changes[1].state == "same"


# Writing


def test_without_write_nothing_is_written(tmp_path: Path) -> None:
    """The path and the text are printed, and how to go on."""
    ran = setup("helix", home=tmp_path)
    assert ran.status == 0
    assert ran.out.startswith(f"# {tmp_path}/.config/helix/languages.toml\n{SERVER}")
    assert "`--write` does this" in ran.out
    assert not (tmp_path / ".config").exists()


def test_a_person_is_asked_and_may_say_no(tmp_path: Path) -> None:
    """The difference comes first; anything but yes writes nothing; where nobody can be asked, `--yes` is needed."""
    path = helix_file(tmp_path, "# mine\n")
    ran = setup("helix", "--write", home=tmp_path)
    assert (ran.status, path.read_text()) == (1, "# mine\n")
    assert "give --yes" in ran.err
    for answer, status in (("n", 1), ("", 1), ("y", 0)):
        ours, theirs = pty.openpty()
        os.write(ours, f"{answer}\n".encode())
        process = subprocess.run(
            [sys.executable, "-m", "qwen_lsp", "setup", "helix", "--write"],
            env={"HOME": str(tmp_path), "PATH": str(tmp_path / "bin"), "PYTHONPATH": str(ROOT)},
            stdin=theirs, capture_output=True, text=True, check=False,
        )  # fmt: skip
        os.close(ours)
        os.close(theirs)
        assert f"--- {path}\n+++ {path}\n" in process.stdout
        assert process.stderr.startswith("write this? [y/N] ")
        assert process.returncode == status
        assert (path.read_text() == "# mine\n") is (status == 1)


def test_what_was_there_is_kept_and_a_second_time_changes_nothing(tmp_path: Path) -> None:
    """A copy stands beside the file; copies of earlier times are not overwritten; rights stay."""
    path = helix_file(tmp_path, "# mine\n")
    path.with_name("languages.toml.bak").write_text("# of old\n")
    path.chmod(0o600)
    assert setup("helix", "--write", "--yes", home=tmp_path).status == 0
    once = listing(path.parent)
    assert once.pop("languages.toml").startswith("# mine\n\n[language-server.qwen]")
    assert once == {"languages.toml.bak": "# of old\n", "languages.toml.bak1": "# mine\n"}
    assert path.stat().st_mode & 0o777 == 0o600
    before = listing(path.parent)
    again = setup("helix", "--write", "--yes", home=tmp_path)
    assert (again.status, again.err) == (0, "")
    assert "nothing to change" in again.out
    assert listing(path.parent) == before


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    """Dotfiles in a repository are changed there."""
    dotfiles = tmp_path / "dotfiles"
    dotfiles.mkdir()
    (dotfiles / "languages.toml").write_text("# mine\n")
    path = tmp_path / ".config/helix/languages.toml"
    path.parent.mkdir(parents=True)
    path.symlink_to(dotfiles / "languages.toml")
    assert setup("helix", "--write", "--yes", home=tmp_path).status == 0
    assert path.is_symlink()
    assert (dotfiles / "languages.toml").read_text().startswith("# mine\n\n[language-server.qwen]")
    assert (dotfiles / "languages.toml.bak").read_text() == "# mine\n"


@pytest.mark.parametrize("kind", ["read-only", "bytes", "folder", "dangling", "no folder"])
def test_what_can_t_be_written_is_one_line(tmp_path: Path, kind: str) -> None:
    """And nothing is lost."""
    path = tmp_path / ".config/helix/languages.toml"
    if kind == "no folder":
        (tmp_path / ".config").write_text("a file")
    else:
        path.parent.mkdir(parents=True)
    if kind == "read-only":
        path.write_text("# mine\n")
        path.chmod(0o444)
    elif kind == "bytes":
        path.write_bytes(b"\xff\xfe# mine")
    elif kind == "folder":
        path.mkdir()
    elif kind == "dangling":
        path.symlink_to(tmp_path / "gone")
    before = sorted((tmp_path / ".config").rglob("*"))
    ran = setup("helix", "--write", "--yes", home=tmp_path)
    assert ran.status == 1
    assert ran.err.startswith("qwen-lsp: ")
    assert ran.err.count("\n") == 1
    assert "languages.toml: " in ran.err
    assert sorted((tmp_path / ".config").rglob("*")) == before


def test_a_file_that_changes_meanwhile_is_not_overwritten(tmp_path: Path) -> None:
    """What was agreed to is what was shown."""
    path = tmp_path / "a"
    path.write_text("newer")
    with pytest.raises(Unusable, match="has changed meanwhile"):
        disk.write(Change(path, "older", "ours"))
    assert listing(tmp_path) == {"a": "newer"}


def test_programs_get_one_object(tmp_path: Path) -> None:
    """With every path, state and text; `--write` without `--yes` writes nothing, since nobody can be asked."""
    for more, written, state in (([], False, "new"), (["--write"], False, "new"), (["--write", "--yes"], True, "new")):
        told = json.loads(setup("helix", "--json", *more, home=tmp_path).out)
        assert (told["editor"], told["written"]) == ("helix", written)
        (change,) = told["changes"]
        assert change["path"] == str(tmp_path / ".config/helix/languages.toml")
        assert change["state"] == state
        assert tomllib.loads(change["text"])["language-server"]["qwen"]["args"] == ["serve"]
    assert json.loads(setup("helix", "--json", home=tmp_path).out)["changes"][0]["state"] == "same"


@pytest.mark.parametrize(
    ("editor", "shipped", "installed"),
    [
        ("nvim", "editors/nvim", ".local/share/nvim/site/pack/qwen/start/qwen-lsp"),
        ("emacs", "editors/emacs", ".emacs.d/qwen-lsp"),
    ],
)
def test_the_files_that_come_with_it_are_installed(tmp_path: Path, editor: str, shipped: str, installed: str) -> None:
    """As they are in the repository, without tests; an older version of them is replaced, with a copy kept."""
    assert setup(editor, "--write", "--yes", home=tmp_path).status == 0
    ours = listing(tmp_path / installed)
    theirs = listing(ROOT / shipped)
    assert ours
    assert all(theirs[name] == text for name, text in ours.items())
    name = next(iter(sorted(ours)))
    (tmp_path / installed / name).write_text("of old")
    ran = setup(editor, "--write", "--yes", home=tmp_path)
    assert "-of old\n" in ran.out
    assert listing(tmp_path / installed) == {**ours, f"{name}.bak": "of old"}


def test_the_names_we_write_are_the_editors() -> None:
    """The setting, the variable and the mode that the set-up names are those of the clients."""
    manifest = json.loads((ROOT / "editors/vscode/package.json").read_text())
    settings = manifest["contributes"]["configuration"]
    groups = settings if isinstance(settings, list) else [settings]
    assert any("qwen.path" in group["properties"] for group in groups)
    package = (ROOT / "editors/emacs/qwen-lsp.el").read_text()
    assert "(defcustom qwen-lsp-command " in package
    assert "global-qwen-lsp-mode" in package
    assert "(provide 'qwen-lsp)" in package


def test_an_editor_we_don_t_know_is_refused(tmp_path: Path) -> None:
    """With the names of those we do."""
    ran = setup("ed", home=tmp_path)
    assert ran.status == 2
    assert "'ed' is none that can be set up; choose one of nvim, vscode, helix, emacs" in ran.err


@pytest.mark.parametrize(
    ("editor", "told"), [("zed", "Zed"), ("Kate", "Kate"), ("sublime", "Sublime Text"), ("jetbrains", "JetBrains")]
)
def test_an_editor_that_is_set_up_by_hand_is_told_where(tmp_path: Path, editor: str, told: str) -> None:
    """The page with its lines is named."""
    ran = setup(editor, home=tmp_path)
    assert ran.status == 2
    assert f"argument EDITOR: {told}" in ran.err
    assert f"is set up by hand: {ROOT / 'editors/OTHERS.md'} has its lines" in ran.err


@pytest.mark.parametrize(("alias", "editor"), [("neovim", "nvim"), ("code", "vscode"), ("Helix", "helix")])
def test_an_editor_has_the_names_that_people_call_it_by(tmp_path: Path, alias: str, editor: str) -> None:
    """Programs are told ours."""
    assert json.loads(setup(alias, "--json", home=tmp_path).out)["editor"] == editor


def test_a_yes_without_a_question_is_a_mistake(tmp_path: Path) -> None:
    """Who gives it believes that something is written."""
    ran = setup("nvim", "--yes", home=tmp_path)
    assert (ran.status, ran.out) == (2, "")
    assert ran.err == "qwen-lsp: --yes goes with --write: without it nothing is written, and nothing asked\n"
