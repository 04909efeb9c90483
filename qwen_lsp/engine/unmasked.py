"""An answer in which the secrets that its prompt was sent without are put back, as it streams in."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace

from qwen_lsp.core.model import Delta
from qwen_lsp.core.secrets import Unmasker, Vault
from qwen_lsp.engine.ports import Generation


class Unmasked:
    """A `Generation` over another one."""

    def __init__(self, generation: Generation, vault: Vault) -> None:
        self._generation = generation
        self._unmasker = Unmasker(vault)

    async def __aiter__(self) -> AsyncIterator[Delta]:
        """The deltas as they come; what may be the beginning of a stand-in comes with the next one."""
        async for delta in self._generation:
            text = self._unmasker.feed(delta.text)
            if delta.finish:
                text += self._unmasker.end()
            yield replace(delta, text=text)
        if held := self._unmasker.end():
            yield Delta(held)

    def stop(self) -> None:
        """Nobody needs the rest."""
        self._generation.stop()
