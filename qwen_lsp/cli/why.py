"""`qwen-lsp why`: why the servers that run for this person's editors show nothing just now."""

from __future__ import annotations

import argparse
import json
import os

from qwen_lsp.cli.commands import JSON, Commands


def register(commands: Commands) -> None:
    """Adds the command."""
    parser = commands.add_parser(
        "why",
        help="why nothing was suggested last, in each editor that runs",
        description="Says how the server of each editor that runs stands, and why nothing was suggested last.",
    )
    parser.add_argument("--json", action="store_true", help=JSON)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Prints a line or two for each running server; 1 when none runs."""
    from qwen_lsp.cli.paths import servers_dir
    from qwen_lsp.usage.presence import present

    found = present(servers_dir(os.environ))
    if options.json:
        print(json.dumps(found, indent=2))
    elif not found:
        print("no server runs: is qwen-lsp set up in your editor? `qwen-lsp setup EDITOR` says how")
    for standing in () if options.json else found:
        who = standing.get("editor") or "an editor"
        service = " ".join(str(standing[name]) for name in ("provider", "model") if standing.get(name))
        print(f"{who} (process {standing['pid']}): {standing.get('state', '')}" + (f", {service}" if service else ""))
        for line in (standing.get("reason"), standing.get("why")):
            if line:
                print(f"  {line}")
        if setting := standing.get("setting"):
            print(f"  {setting} would change it")
    return 0 if found else 1
