"""Settings for commands and for the server's lowest layers: the configuration file, the environment, options.

The file is TOML, `~/.config/qwen-lsp/config.toml` by XDG, with the same names as the editor's settings.
"""

from __future__ import annotations

import argparse
import tomllib
import typing
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from qwen_lsp.cli.paths import config_file
from qwen_lsp.core import config

SECTION = "qwen"
LEFT_OUT = "its settings are left out"
"""What is said of a file as a whole."""


def base_layer(env: Mapping[str, str]) -> tuple[dict[str, Any], list[str]]:
    """What the file and the environment say, the latter winning, and a line for each mistake in them."""
    tree, problems = from_file(config_file(env))
    environment, wrong = config.from_environment(env)
    return config.joined(tree, environment), problems + wrong


def from_file(path: Path) -> tuple[dict[str, Any], list[str]]:
    """What a configuration file says. One that can't be read is a problem: nobody knows what it forbids."""
    try:
        raw = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}, []
    except OSError as error:
        return _unread(f"{path}: can't be read ({error.strerror})")
    except UnicodeDecodeError:
        return _unread(f"{path}: is not UTF-8 text; save it as UTF-8")
    except tomllib.TOMLDecodeError as error:
        return _unread(f"{path}: is not TOML ({error})")
    # In documents and messages every setting has its section before it.
    inner = raw.pop(SECTION, {})
    layer, problems = config.parse({**inner, **raw} if isinstance(inner, dict) else raw | {SECTION: inner})
    return layer, [f"{path}: {problem}" for problem in problems]


def _unread(problem: str) -> tuple[dict[str, Any], list[str]]:
    return {"local_only": True}, [f"{problem}; {LEFT_OUT}, and {config.HELD}"]


def add_options(parser: argparse.ArgumentParser) -> None:
    """The options that every command takes that asks a model."""
    group = parser.add_argument_group("settings", "win over the configuration file and the environment")
    group.add_argument("--provider", choices=["auto", "dashscope", "openai", "local"])
    group.add_argument("--model", help="the model's name, or the path of a .gguf file")
    group.add_argument("--base-url", metavar="URL", help="an OpenAI-compatible server, up to and with /v1")
    regions = typing.get_args(config.Region)
    group.add_argument("--region", choices=regions, help="the region of the DashScope key")
    group.add_argument("--route", choices=["auto", "fim", "partial"])
    group.add_argument("--api-style", choices=["compatible", "native"])
    group.add_argument("--max-tokens", type=int, metavar="N")


def settings(options: argparse.Namespace, env: Mapping[str, str]) -> tuple[config.Settings, list[str]]:
    """The settings of a command, and a line for each mistake in them."""
    layer, problems = base_layer(env)
    names = ("provider", "model", "base_url", "region", "route", "api_style", "max_tokens")
    given = {name: getattr(options, name) for name in names if getattr(options, name) is not None}
    camel = {option.attribute[0]: option.path for option in config.options() if len(option.attribute) == 1}
    chosen: dict[str, Any] = {}
    for name, value in given.items():
        choice, wrong = config.parse({camel[name]: value})
        chosen |= choice
        problems += [f"--{name.replace('_', '-')}: {line.partition(': ')[2]}" for line in wrong]
    return config.merged(layer, chosen), problems
