"""A session's settings: where they come from in the course of it, and who has to know of a change.

Promises: completions that wait for the editor's own settings wait 5 s at most; what is wrong is told once; after each
change `on_change` has heard of it before anyone reads the new settings elsewhere.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from typing import Any

from qwen_lsp.core.config import Settings
from qwen_lsp.lsp.settings import COMMAND, Layers

logger = logging.getLogger(__name__)

PATIENCE = 5.0
"""Seconds the editor has to answer `workspace/configuration`."""


class Preferences:
    """One session's. `asks` once its editor is known to answer `workspace/configuration`."""

    def __init__(
        self,
        layers: Layers,
        ask: Callable[[], Awaitable[object]],
        start: Callable[[Coroutine[Any, Any, None]], None],
        on_change: Callable[[Settings, Settings, list[str]], None],
    ) -> None:
        """`ask` gets the editor's own settings; `on_change` hears the settings before and after, and new mistakes."""
        self.asks = False
        self.now = layers.merged()
        """The settings as they are."""
        self.layers = layers
        self._ask = ask
        self._start = start
        self._on_change = on_change
        self._chosen: dict[str, Any] = {}
        """What commands of this session have chosen."""
        self._asked = 0
        self._settled = asyncio.Event()
        self._settled.set()

    async def settled(self) -> None:
        """Waits while the editor is being asked."""
        await self._settled.wait()

    def apply(self) -> None:
        """Takes what the layers say now."""
        before, self.now = self.now, self.layers.merged()
        self._on_change(before, self.now, self.layers.news())

    def look(self) -> None:
        """Asks the editor for its settings, if it answers that."""
        if self.asks:
            self._asked += 1
            self._settled.clear()
            self._start(self._looked())
        else:
            self.apply()

    def changed(self, params: Mapping[str, Any]) -> None:
        """`workspace/didChangeConfiguration`: with the settings, or as a hint to ask for them."""
        self.layers.put("workspace/didChangeConfiguration", params.get("settings", params) or None)
        self.look()

    def override(self, settings: Mapping[str, Any]) -> None:
        """These win over all others, for this session; None takes one back."""
        chosen = {**self._chosen, **settings}
        self._chosen = {name: value for name, value in chosen.items() if value is not None}
        self.layers.put(COMMAND, self._chosen)
        self.apply()

    async def _looked(self) -> None:
        try:
            async with asyncio.timeout(PATIENCE):
                self.layers.put("workspace/configuration", await self._ask())
        except Exception as error:  # noqa: BLE001 - a client that can't answer has nothing to add
            logger.warning("workspace/configuration: no answer (%s); going on without", type(error).__name__)
        finally:
            self.apply()
            self._asked -= 1
            if not self._asked:
                self._settled.set()
