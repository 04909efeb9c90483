"""What commands share: the type they register with, what a mistake in a command is, and the settings of one."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from qwen_lsp.core.config import Settings

# argparse gives what `add_subparsers` returns no public name.
Commands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"  # noqa: SLF001

JSON = "print JSON, for programs"
"""The help of `--json`, wherever there is one."""


class MistakeError(Exception):
    """The command can't be done as it was given. Each argument is one line that names what to do; see `main`."""


def settings_for(options: argparse.Namespace, env: Mapping[str, str]) -> tuple[Settings, list[str]]:
    """The settings of a command, and a line for each mistake in the file and the environment: the rest applies.

    Raises:
        MistakeError: an option of the command itself is wrong; nothing else was meant.
    """
    from qwen_lsp.cli import config

    settings, problems = config.settings(options, env)
    if own := [problem for problem in problems if problem.startswith("--")]:
        raise MistakeError(*own)
    return settings, problems
