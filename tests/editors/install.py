"""Where the editors are: on the PATH, or where `.ci/editors` has put them."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest


def folder() -> Path:
    """Where `.ci/editors` puts what the system's own packages don't have: `$QWEN_LSP_EDITORS`, or in the cache."""
    chosen = os.environ.get("QWEN_LSP_EDITORS")
    return Path(chosen) if chosen else Path.home() / ".cache/qwen-lsp/editors"


def program(name: str) -> Path:
    """The path of a program (`nvim`, `nvim-0.11`, `hx`, `emacs`, `tmux`, `chromium`): ours first, else on the PATH.

    Where it is missing the test is skipped, and fails in CI.
    """
    ours = folder() / "bin" / name
    found = str(ours) if ours.exists() else shutil.which(name)
    if found is None:
        missing(name)
    return Path(found)


def missing(what: str) -> None:
    """Ends the test: something is not installed."""
    reason = f"{what} is not here; run `.ci/editors`"
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)
