"""The type of what commands register themselves with."""

from __future__ import annotations

import argparse
from typing import TypeAlias

# argparse gives what `add_subparsers` returns no public name.
Commands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"  # noqa: SLF001
