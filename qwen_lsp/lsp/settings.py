"""The settings of one session: what each source says, which one wins, and what is wrong with them.

Later sources win over earlier ones, value by value: the configuration file and the environment (read by `cli`),
then `initializationOptions`, `workspace/configuration` and `workspace/didChangeConfiguration`, and what a command of
this session has chosen. Promises: whatever
comes is a setting or a problem line, never an error; a problem is told once. Does not talk to the editor.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from qwen_lsp.core import config
from qwen_lsp.core.config import Settings

SECTION = "qwen"
COMMAND = "workspace/executeCommand"
_ORDER = ("initializationOptions", "workspace/configuration", "workspace/didChangeConfiguration", COMMAND)
_OWN = frozenset(option.path.partition(".")[0] for option in config.options())
# What editors' own plug-ins keep in the same section and send along; the first is every VS Code client's.
_PLUGIN = frozenset({"trace", "command"})
_EDGE_ONLY = {"log_level", "log_file", "completion_fallback", "exclude"}
_GATES = {"enabled", "disabled_languages", "disable_in", "debounce", "prefetch", "budget"}
MOST_TOLD = 5
"""Wrong settings told one by one; the rest is one line. A wrong file must not bury the editor in messages."""


class Layers:
    """The sources, in order, and the problems found in them."""

    def __init__(self, base: Mapping[str, Any] | None = None, problems: Iterable[str] = ()) -> None:
        self._base = dict(base or {})
        self._layers: dict[str, dict[str, Any]] = {}
        self._problems = list(problems)
        self._told: set[str] = set()

    def put(self, source: str, raw: object) -> None:
        """Takes what one source says now, in place of what it said before.

        `raw` is the section's object or one that holds it under "qwen"; other tools' settings are ignored.
        """
        layer, problems = config.parse(_section(raw), SECTION)
        self._layers[source] = layer
        self._problems += problems

    def merged(self) -> Settings:
        """The settings that result."""
        return config.merged(self._base, *(self._layers.get(source, {}) for source in _ORDER))

    def news(self) -> list[str]:
        """The problems that were not told yet, few enough to show."""
        fresh = [line for line in dict.fromkeys(self._problems) if line not in self._told]
        self._told.update(fresh)
        self._problems.clear()
        if len(fresh) <= MOST_TOLD:
            return fresh
        more = len(fresh) - MOST_TOLD
        return [*fresh[:MOST_TOLD], f"{SECTION}: {more} more settings are wrong; check the section `{SECTION}`"]


def needs_new_engine(old: Settings, new: Settings) -> bool:
    """Whether a change reaches beyond the editor's edge and what an engine takes as it runs (`Engine.use`)."""
    taken = _EDGE_ONLY | _GATES
    return any(getattr(old, name) != getattr(new, name) for name in new.__struct_fields__ if name not in taken)


def _section(raw: object) -> object:
    """The object of our settings in what a client sent; None if it is not about us."""
    if not isinstance(raw, Mapping):
        return raw
    if SECTION in raw:
        raw = raw[SECTION]
        if not isinstance(raw, Mapping):
            return raw
    elif raw and not _OWN & raw.keys() and all(isinstance(value, Mapping) for value in raw.values()):
        return None  # sections of other tools
    return {name: value for name, value in raw.items() if name not in _PLUGIN}
