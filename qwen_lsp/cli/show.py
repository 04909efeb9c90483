"""`qwen-lsp config`: the settings that hold for this person, and where each comes from."""

from __future__ import annotations

import argparse
import os
import sys
from typing import TYPE_CHECKING, Any

from qwen_lsp.cli.commands import JSON

if TYPE_CHECKING:
    from collections.abc import Mapping

    from qwen_lsp.cli.commands import Commands


def register(commands: Commands) -> None:
    """Adds the command."""
    parser = commands.add_parser(
        "config",
        help="print the settings that hold, and where each comes from",
        description="Prints the settings that differ from their defaults, and whether the file or the environment says "
        "so. An editor's own settings come on top of these.",
    )
    parser.add_argument("--all", action="store_true", help="those that are at their defaults too")
    parser.add_argument("--json", action="store_true", help=JSON)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Prints to standard output, mistakes to standard error; the status is 1 where there are some."""
    import json

    import msgspec

    from qwen_lsp.cli import config
    from qwen_lsp.cli.paths import config_file
    from qwen_lsp.core.config import from_environment, merged

    file = config_file(os.environ)
    of_file, problems = config.from_file(file)
    of_environment, wrong = from_environment(os.environ)
    sources = {"environment": of_environment, str(file): of_file}
    tree = msgspec.to_builtins(merged(of_file, of_environment))
    found = {path: (_at(tree, path), source) for path, source in _sources(sources).items()}
    shown = {path: each for path, each in found.items() if options.all or each[1] != "default"}
    for problem in problems + wrong:
        print(f"qwen-lsp: {problem}", file=sys.stderr)
    if options.json:
        said = {path: {"value": value, "source": source} for path, (value, source) in shown.items()}
        print(json.dumps({"settings": said, "problems": problems + wrong}, indent=2, ensure_ascii=False))
    elif shown:
        width = max(map(len, shown))
        for path, (value, source) in shown.items():
            print(f"{path:{width}}  {json.dumps(value, ensure_ascii=False)}  ({source})")
    else:
        print(f"all settings are at their defaults; {file} or QWEN_LSP_* variables change them")
    return 1 if problems + wrong else 0


def _sources(layers: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    """By each setting's path: the first of the layers that says it, else "default"."""
    from qwen_lsp.core.config import options

    return {
        option.path: next((name for name, layer in layers.items() if _says(layer, option.attribute)), "default")
        for option in options()
    }


def _says(layer: Any, attribute: tuple[str, ...]) -> bool:  # noqa: ANN401 - a tree of settings
    for name in attribute:
        if not isinstance(layer, dict) or name not in layer:
            return False
        layer = layer[name]
    return True


def _at(tree: Any, path: str) -> Any:  # noqa: ANN401 - as above
    for name in path.split("."):
        tree = tree[name]
    return tree
