"""`qwen-lsp setup`: an editor is set up, or one is told how.

Without `--write` it prints what belongs where. With it, the differences are shown first and a person is asked.
"""

from __future__ import annotations

import argparse
import os
import sys
from typing import TYPE_CHECKING

from qwen_lsp.cli.commands import JSON, Commands, MistakeError

if TYPE_CHECKING:
    from qwen_lsp.setup.plan import Machine, Plan

_EDITORS = ("nvim", "vscode", "helix", "emacs")
_ALIASES = {"neovim": "nvim", "code": "vscode"}


def register(commands: Commands) -> None:
    """Adds the command."""
    parser = commands.add_parser(
        "setup",
        help="set an editor up, or print what to put where",
        description="Prints what belongs where for an editor, or puts it there; what you have is kept.",
    )
    parser.add_argument("editor", type=_editor, metavar="EDITOR", help=", ".join(_EDITORS))
    parser.add_argument("--write", action="store_true", help="put it there, after showing the difference and asking")
    parser.add_argument("--yes", action="store_true", help="with --write: don't ask")
    parser.add_argument("--json", action="store_true", help=JSON)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Prints the plan or carries it out; 1 where something stands in the way or a person said no."""
    from qwen_lsp.setup import disk
    from qwen_lsp.setup.editors import PLANS
    from qwen_lsp.setup.plan import Unusable

    if options.yes and not options.write:
        raise MistakeError("--yes goes with --write: without it nothing is written, and nothing asked")
    try:
        plan = PLANS[options.editor](machine(options.editor), disk.read)
        if options.json:
            return _for_programs(options, plan)
        if not options.write:
            _show(plan)
            return 0
        return _carry_out(plan, yes=options.yes)
    except Unusable as error:
        print(f"qwen-lsp: {error}", file=sys.stderr)
        return 1


def _editor(name: str) -> str:
    """An editor's name of ours; of the others, those that can be set up by hand are pointed at their lines."""
    import re
    from pathlib import Path

    known = name.lower()
    known = _ALIASES.get(known, known)
    if known in _EDITORS:
        return known
    choice = f"choose one of {', '.join(_EDITORS)}"
    by_hand = Path(__file__).parents[2] / "editors" / "OTHERS.md"
    headings = re.findall(r"^## (.*)", by_hand.read_text("utf-8"), re.MULTILINE) if by_hand.is_file() else []
    if not headings:
        raise argparse.ArgumentTypeError(f"{name!r} is none that can be set up; {choice}")
    for heading in headings:
        if known in re.findall(r"[\w.]+", heading.lower()):
            raise argparse.ArgumentTypeError(f"{heading} is set up by hand: {by_hand} has its lines")
    raise argparse.ArgumentTypeError(f"{name!r} is none that can be set up; {choice}, or see {by_hand}")


def machine(editor: str) -> Machine:
    """What a set-up depends on, as it is on this machine."""
    import shutil
    from pathlib import Path

    from qwen_lsp.setup import disk
    from qwen_lsp.setup.helix import USUAL
    from qwen_lsp.setup.plan import Machine

    env = dict(os.environ)
    return Machine(
        env=env,
        home=Path.home(),
        platform=sys.platform,
        command=_command(env),
        on_path=lambda program: shutil.which(program) is not None,
        shipped=disk.shipped,
        vsix=disk.packed() if editor == "vscode" else None,
        helix_servers=disk.helix_servers(USUAL, env) if editor == "helix" else None,
    )


def _command(env: dict[str, str]) -> str:
    """How an editor starts this program: a virtual environment's is on the PATH only while that is activated."""
    import shutil
    from pathlib import Path

    found = shutil.which("qwen-lsp", path=env.get("PATH"))
    own = Path(sys.executable).with_name("qwen-lsp")
    if found is not None and (sys.prefix == sys.base_prefix or not Path(found).is_relative_to(sys.prefix)):
        return "qwen-lsp"
    return found or (str(own) if own.exists() else "qwen-lsp")


def _show(plan: Plan) -> None:
    """What belongs where: text that a person may copy, and the names of files that come with qwen-lsp."""
    for change in plan.changes:
        remark = {"new": "", "changed": " (joined with what is there)", "same": " (is so already)"}[change.state]
        print(f"# {change.path}{remark}" + ("" if change.ours else f"\n{change.after}"))
    for command in plan.commands:
        print(f"$ {_shell(command)}")
    for note in plan.notes:
        print(note)
    if plan.pending or plan.commands:
        print("`--write` does this, after showing the differences; what you have is kept.")


def _carry_out(plan: Plan, *, yes: bool) -> int:
    for change in plan.pending:
        print(f"new: {change.path}\n" if change.ours and change.before is None else change.diff(), end="")
    for command in plan.commands:
        print(f"runs: {_shell(command)}")
    if not plan.pending and not plan.commands:
        print("nothing to change")
    elif not yes and not _agreed():
        return 1
    else:
        _write(plan)
    for note in plan.notes:
        print(note)
    return 0


def _agreed() -> bool:
    if not sys.stdin.isatty():
        print("qwen-lsp: nothing was written; give --yes to write without being asked", file=sys.stderr)
        return False
    sys.stdout.flush()
    print("write this? [y/N] ", end="", file=sys.stderr, flush=True)
    if sys.stdin.readline().strip().lower() in {"y", "yes"}:
        return True
    print("nothing was written", file=sys.stderr)
    return False


def _write(plan: Plan) -> None:
    """Writes the files and runs the programs, telling each on standard error.

    Raises:
        Unusable: one of them can't be; those before it are done.
    """
    import subprocess

    from qwen_lsp.setup import disk
    from qwen_lsp.setup.plan import Unusable

    for change in plan.pending:
        kept = disk.write(change)
        print(f"wrote {change.path}" + (f", what it held is in {kept}" if kept else ""), file=sys.stderr)
    for command in plan.commands:
        try:
            status = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=sys.stderr, check=False).returncode  # noqa: S603 - the editor's own program
        except OSError as error:
            raise Unusable(f"`{_shell(command)}` can't be run ({error.strerror})") from None
        if status:
            raise Unusable(f"`{_shell(command)}` failed; run it by hand to see why")


def _for_programs(options: argparse.Namespace, plan: Plan) -> int:
    """One object on standard output; with `--write` nothing is written unless `--yes` says so."""
    import json

    written = options.write and options.yes
    if written:
        _write(plan)
    changes = [{"path": str(each.path), "state": each.state, "text": each.after} for each in plan.changes]
    commands = [list(command) for command in plan.commands]
    report = {"editor": options.editor, "written": written, "changes": changes, "commands": commands}
    print(json.dumps({**report, "notes": list(plan.notes)}, indent=2, ensure_ascii=False))
    return 0


def _shell(command: tuple[str, ...]) -> str:
    import shlex

    return shlex.join(command)
