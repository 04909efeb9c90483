"""What the engine needs from the world outside it; `backend` fits these shapes without importing them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Protocol

from qwen_lsp.core.model import Delta, Prompt, Service


class Generation(Protocol):
    """An answer that is being streamed. Iterate it once; it raises `BackendError` when the service fails."""

    def __aiter__(self) -> AsyncIterator[Delta]:
        """The deltas as they come."""

    def stop(self) -> None:
        """Nobody needs the rest: ends the work without cancelling any task. Idempotent; iteration then ends."""


class Backend(Protocol):
    """Whoever turns prompts into text."""

    async def service(self) -> Service:
        """The service that the settings name, found out once and remembered.

        Raises:
            BackendError: there is none, or it can't be used; kind CONFIG, AUTH, MODEL or NETWORK.
        """

    def generate(self, service: Service, prompt: Prompt) -> Generation:
        """Starts to ask; the request is on the wire as soon as the loop runs."""

    async def close(self, *, linger: bool = False) -> None:
        """Ends all work and gives back connections and processes; with `linger` a model stays loaded for a while."""
