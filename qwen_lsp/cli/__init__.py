"""The command line: one module a command, each with a `register` that adds its parser.

Modules here import nothing heavy at their top, so that `qwen-lsp --version` and `serve` start fast.
"""

from __future__ import annotations

import argparse
import errno
import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import TextIO

from qwen_lsp import __version__
from qwen_lsp.cli import complete, doctor, eval_, model, schema, serve, setup, show, stats, try_, why
from qwen_lsp.cli.commands import MistakeError

COMMANDS = (serve, setup, doctor, try_, complete, why, stats, eval_, model, show, schema)


def parser() -> argparse.ArgumentParser:
    """The whole command line."""
    top = argparse.ArgumentParser(
        prog="qwen-lsp",
        description="Ghost text from Qwen-Coder in any editor: a language server for inline completion.",
        epilog="First time here? `qwen-lsp try` shows a completion from the embedded model.",
    )
    top.add_argument("--version", action="version", version=f"qwen-lsp {__version__}")
    commands = top.add_subparsers(title="commands", metavar="COMMAND")
    for command in COMMANDS:
        command.register(commands)
    return top


def main(argv: Sequence[str] | None = None) -> int:
    """Runs a command and returns its exit status.

    Without a command it serves, as editors expect, unless a person sits at the terminal: then it prints help. A mistake
    in the command is status 2 and a line; so is a disk that is full, with status 1.
    """
    try:
        try:
            return _run(_meant(list(sys.argv[1:] if argv is None else argv)))
        finally:
            # Not at the interpreter's end, where nobody could say what went wrong.
            if sys.stdout is not None and not sys.stdout.closed:
                sys.stdout.flush()
    except MistakeError as mistake:
        for line in mistake.args:
            print(f"qwen-lsp: {line}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("\nstopped", file=sys.stderr)
        return 130
    except BrokenPipeError:
        # The reader of a pipe has gone (`qwen-lsp … | head`): nothing is wrong, and nobody hears more.
        _abandon(sys.stdout)
        _abandon(sys.stderr)
        return 0
    except OSError as error:
        if error.errno not in _FULL:
            raise
        _abandon(sys.stdout)
        with suppress(OSError):  # standard error may lie on the same disk
            print(f"qwen-lsp: can't write: {error.strerror}", file=sys.stderr)
        return 1


_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO}
"""What writing fails with where there is no more room, or no more disk."""


def _meant(arguments: list[str]) -> list[str]:
    """The arguments as `parser` wants them."""
    match arguments:
        case []:
            return ["--help"] if sys.stdin is not None and sys.stdin.isatty() else ["serve"]
        case ["help", *command]:
            return [*command, "--help"]
        case ["version"]:
            return ["--version"]
        case [first, *_] if first.startswith("--") and first not in {"--version", "--help"}:
            arguments = ["serve", *arguments]
    # argparse takes "-:1:5" for an option, and anything with a blank in it for none; `target` strips the blank.
    return [f" {word}" if word.startswith("-:") else word for word in arguments]


def _run(arguments: list[str]) -> int:
    options = parser().parse_args(arguments)
    status: int = options.run(options)
    return status


def _abandon(stream: TextIO) -> None:
    """Lets nothing more be written to it: what it still holds would fail again when the interpreter ends."""
    with suppress(OSError, ValueError), Path(os.devnull).open("wb") as nowhere:
        os.dup2(nowhere.fileno(), stream.fileno())
