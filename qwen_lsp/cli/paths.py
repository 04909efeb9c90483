"""Where our files lie, by the XDG base directory specification; pure functions of an environment.

Nothing here looks at the disk. A relative path in an XDG variable is ignored, as the specification asks.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path


def state_dir(env: Mapping[str, str]) -> Path:
    """Logs, the ledger and running engines: `$XDG_STATE_HOME/qwen-lsp`."""
    return _base(env, "XDG_STATE_HOME", ".local/state") / "qwen-lsp"


def cache_dir(env: Mapping[str, str]) -> Path:
    """What can be fetched again, such as models: `$XDG_CACHE_HOME/qwen-lsp`."""
    return _base(env, "XDG_CACHE_HOME", ".cache") / "qwen-lsp"


def ledger_file(env: Mapping[str, str]) -> Path:
    """What completing has cost, and what became of it (usage/ledger.py)."""
    return state_dir(env) / "ledger.db"


def servers_dir(env: Mapping[str, str]) -> Path:
    """How each running server stands (usage/presence.py)."""
    return state_dir(env) / "servers"


def config_file(env: Mapping[str, str]) -> Path:
    """The settings for every editor: `$XDG_CONFIG_HOME/qwen-lsp/config.toml`."""
    return _base(env, "XDG_CONFIG_HOME", ".config") / "qwen-lsp" / "config.toml"


def _base(env: Mapping[str, str], variable: str, below_home: str) -> Path:
    chosen = Path(env.get(variable, ""))
    if chosen.is_absolute():
        return chosen
    home = env.get("HOME") or env.get("USERPROFILE")
    return (Path(home) if home else Path.home()) / below_home
