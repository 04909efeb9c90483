"""`qwen-lsp model`: the embedded models' weights, listed, fetched, found and removed."""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path
from typing import Any

from qwen_lsp.cli.commands import JSON


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Adds `model` and its four commands; each sets `run`, which returns an exit status."""
    parser = subparsers.add_parser(
        "model",
        help="list, fetch and remove the embedded models",
        description="Lists, fetches, finds and removes the weights of the models that run on this machine.",
    )
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)

    listing = commands.add_parser(
        "list",
        help="the models, and which of them are here",
        description="Lists the models, and which of them are here.",
    )
    listing.add_argument("--json", action="store_true", help=JSON)
    listing.set_defaults(run=show_list)

    pulling = commands.add_parser(
        "pull",
        help="fetch a model's weights and verify them",
        description="Fetches a model's weights, goes on where it was stopped, and accepts the official bytes only.",
    )
    _name(pulling, "the default model")
    pulling.add_argument("--from", dest="source", type=Path, metavar="FILE", help="take a file you have")
    pulling.set_defaults(run=pull)

    where = commands.add_parser(
        "where",
        help="print the path of a model's weights",
        description="Prints the path of a model's weights; exit status 1 when they are not here.",
    )
    _name(where, "the default model")
    where.set_defaults(run=show_where)

    removing = commands.add_parser(
        "remove",
        help="delete a model's weights",
        description="Deletes a model's weights and what an interrupted pull left.",
    )
    removing.add_argument("name", metavar="MODEL", help="a name that `model list` shows")
    removing.set_defaults(run=remove)


def _name(parser: argparse.ArgumentParser, default: str) -> None:
    parser.add_argument("name", nargs="?", default="1.5b", metavar="MODEL", help=f"a name, by default {default}")


def show_list(arguments: argparse.Namespace) -> int:
    """Prints the table of models."""
    from qwen_lsp.backend.weights import MODELS, gigabytes
    from qwen_lsp.cli import paths

    rows = [_row(name, paths.cache_dir(os.environ)) for name in MODELS]
    if arguments.json:
        print(json.dumps(rows, indent=2))
        return 0
    print(f"{'name':20} {'download':>9} {'memory':>9}  {'state':8} remark")
    for row in rows:
        sizes = f"{gigabytes(row['size']):>9} {gigabytes(row['memory']):>9}"
        print(f"{row['name']:20} {sizes}  {row['state']:8} {row['remark']}")
    return 0


def _row(name: str, cache: Path) -> dict[str, Any]:
    """A model as `list --json` tells it. Size only: hashing a gigabyte is for `pull` and the engine."""
    from qwen_lsp.backend.weights import MODELS, models_dir

    weights = MODELS[name]
    path = models_dir(cache) / weights.file
    there = path.stat().st_size if path.is_file() else None
    state = "-" if there is None else "here" if there == weights.size else "damaged"
    return {
        "name": name,
        "size": weights.size,
        "memory": weights.memory,
        "state": state,
        "path": str(path) if there is not None else None,
        "fim": weights.fim,
        "remark": weights.remark,
    }


def pull(arguments: argparse.Namespace) -> int:
    """Fetches, with a progress bar on standard error; the path goes to standard output."""
    from qwen_lsp.backend import download
    from qwen_lsp.backend.weights import WeightsError, known
    from qwen_lsp.cli import paths
    from qwen_lsp.cli.progress import Progress

    weights = known(arguments.name)
    progress = Progress(weights.name if weights else arguments.name, sys.stderr)
    try:
        path = download.pull(
            arguments.name,
            paths.cache_dir(os.environ),
            source_file=arguments.source,
            on_progress=progress,
            on_note=progress.note,
        )
    except WeightsError as error:
        progress.note(f"qwen-lsp: {error.message}")
        return 1
    except KeyboardInterrupt:
        progress.note("Stopped. What was fetched is kept: the same command goes on from there.")
        return 130
    progress.close()
    print(path)
    return 0


def show_where(arguments: argparse.Namespace) -> int:
    """Prints the path, or says how to get the model."""
    from qwen_lsp.backend.weights import find, known
    from qwen_lsp.cli import paths

    name: str = arguments.name
    path = find(name, paths.cache_dir(os.environ))
    if path is None:
        lacking = f"{name} is not here; run `qwen-lsp model pull {name}`" if known(name) else _unknown(name)
        print(f"qwen-lsp: {lacking}", file=sys.stderr)
        return 1
    print(path)
    return 0


def remove(arguments: argparse.Namespace) -> int:
    """Deletes the weights and what an interrupted pull left."""
    from qwen_lsp.backend.weights import gigabytes, known
    from qwen_lsp.backend.weights import remove as delete
    from qwen_lsp.cli import paths

    weights = known(arguments.name)
    if weights is None:
        print(f"qwen-lsp: {_unknown(arguments.name)}", file=sys.stderr)
        return 1
    freed = delete(weights, paths.cache_dir(os.environ))
    print(f"{weights.name}: {gigabytes(freed)} freed" if freed else f"{weights.name} was not here")
    return 0


def _unknown(name: str) -> str:
    from qwen_lsp.backend.weights import MODELS

    return f"there is no model {name!r}; choose one of {', '.join(MODELS)}"
