"""`qwen-lsp stats`: what completing has cost and what became of it, from the ledger on this machine."""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path

from qwen_lsp.cli.commands import JSON, Commands
from qwen_lsp.usage.legend import sentence

_MOST_DAYS = 36500


def register(commands: Commands) -> None:
    """Adds the command."""
    parser = commands.add_parser(
        "stats",
        help="what completions cost and what became of them, by day, model, language",
        description="Tells what completions cost and what became of them, from the ledger on this machine.",
        epilog=f"The columns: {sentence()}.",
    )
    parser.add_argument("--days", type=_days, default=30, metavar="N", help="the last N days, by default 30; 0 for all")
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help=JSON)
    form.add_argument("--html", type=Path, metavar="FILE", help="write a page with plots")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Prints the statistics, or writes them."""
    import sqlite3

    from qwen_lsp.cli.paths import ledger_file
    from qwen_lsp.usage.ledger import latencies, rows
    from qwen_lsp.usage.report import Statistics, as_json, as_page, as_text

    path, since = ledger_file(os.environ), _since(options.days)
    try:
        statistics = Statistics(rows(path, since), latencies(path, since), since)
    except (OSError, sqlite3.Error) as error:
        print(f"qwen-lsp: {path}: can't be read ({error}); move it away to begin a new one", file=sys.stderr)
        return 1
    if options.json:
        print(json.dumps(as_json(statistics), indent=2))
    elif options.html is None:
        print(as_text(statistics))
    else:
        try:
            options.html.write_text(as_page(statistics), encoding="utf-8")
        except OSError as error:
            print(f"qwen-lsp: {options.html}: can't be written ({error.strerror})", file=sys.stderr)
            return 1
        print(options.html)
    return 0


def _since(days: int) -> str:
    from datetime import datetime, timedelta

    return "" if not days else (datetime.now().astimezone() - timedelta(days=days - 1)).date().isoformat()


def _days(text: str) -> int:
    try:
        days = int(text)
    except ValueError:
        days = -1
    if not 0 <= days <= _MOST_DAYS:
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number of days from 0 to {_MOST_DAYS}")
    return days
