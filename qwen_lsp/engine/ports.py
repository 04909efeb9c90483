"""What the engine needs from the world outside it; `backend` fits these shapes without importing them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Protocol

from qwen_lsp.core.context import Window
from qwen_lsp.core.model import Delta, Prompt, Request, Service, Skip, Snippet


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


class Sources(Protocol):
    """Whoever knows what else there is in the workspace, and what of it may be shown to a model."""

    def refusal(self, uri: str) -> Skip | None:
        """Why a file must not be sent, by the workspace's own rules; None when it may. Fast, never raises."""

    def repository(self, uri: str) -> tuple[str, str]:
        """The name of the workspace folder that a file lies in, and its path in there with slashes.

        ("", the file's name) for what lies in none.
        """

    def shows(self, uri: str, path: str) -> bool:
        """Whether a passage that was given for a document, from the file at this path, may be shown still. Fast."""

    async def snippets(self, request: Request, around: Window, room: int) -> Sequence[Snippet]:
        """Passages from elsewhere for this place, the most helpful first, `room` code points together at most.

        Gives what is ready within 0.1 s, nothing when nothing fits well; never raises.
        """
