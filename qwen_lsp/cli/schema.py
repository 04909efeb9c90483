"""`qwen-lsp schema`: the settings as JSON schema, or as the README's table."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from qwen_lsp.cli.commands import Commands


def register(commands: Commands) -> None:
    """Adds the command."""
    parser = commands.add_parser(
        "schema",
        help="print the JSON schema of the settings",
        description="Prints the JSON schema of the settings, or the README's table of them.",
    )
    parser.add_argument("--markdown", action="store_true", help="the settings table of the README instead")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Prints to standard output."""
    import json

    from qwen_lsp.core import config

    if options.markdown:
        print(config.markdown_table(), end="")
    else:
        print(json.dumps(config.json_schema(), indent=2, ensure_ascii=False))
    return 0
