"""The command line: one module a command, each with a `register` that adds its parser.

Modules here import nothing heavy at their top, so that `qwen-lsp --version` and `serve` start fast.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from qwen_lsp import __version__
from qwen_lsp.cli import complete, doctor, eval_, model, schema, serve, setup, stats, try_, why

COMMANDS = (serve, setup, doctor, try_, complete, why, stats, eval_, model, schema)


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

    Without a command it serves, as editors expect, unless a person sits at the terminal: then it prints help.
    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    if not arguments or (arguments[0].startswith("--") and arguments[0] not in {"--version", "--help"}):
        if not arguments and sys.stdin is not None and sys.stdin.isatty():
            parser().print_help()
            return 0
        arguments.insert(0, "serve")
    # argparse takes "-:1:5" for an option, and anything with a blank in it for none; `target` strips the blank.
    options = parser().parse_args([f" {word}" if word.startswith("-:") else word for word in arguments])
    try:
        status: int = options.run(options)
    except KeyboardInterrupt:
        print("\nstopped", file=sys.stderr)
        return 130
    except BrokenPipeError:
        # The reader of a pipe has gone (`qwen-lsp … | head`): nothing is wrong, and nobody hears more.
        sys.stderr.close()
        return 0
    return status
