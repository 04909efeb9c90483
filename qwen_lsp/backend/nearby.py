"""Model servers on this machine: which of the usual ports has one, and which of its models completes code.

Sends no key and no text; a server that does not list its models as OpenAI's interface does is none.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from qwen_lsp.backend.regions import Probe
from qwen_lsp.core.model import BackendError

PORTS: tuple[int, ...] = (8012, 8080, 11434, 1234, 8000)
"""llama.cpp (llama.vim's port, then its own default), Ollama, LM Studio, vLLM; the first in this order wins."""
PROBE_SECONDS = 0.3

# Servers list them beside the others; none of them writes text.
_WRITES_NOTHING = ("embed", "rerank", "whisper", "tts", "clip")


@dataclass(frozen=True, slots=True)
class Nearby:
    """A model at a server on this machine."""

    base_url: str
    model: str


async def find_server(model: str, ports: Sequence[int], probe: Probe) -> Nearby | None:
    """The first server with the model; with an empty `model`, with one that writes text, a Qwen coder if it can be."""

    async def ask(port: int) -> Nearby | None:
        base_url = f"http://127.0.0.1:{port}/v1"
        try:
            status, body = await probe(f"{base_url}/models", key=None, timeout=PROBE_SECONDS)
        except BackendError:
            return None
        names = offered(body) if status == 200 else ()
        chosen = model if model in names else "" if model else preferred(names)
        return Nearby(base_url, chosen) if chosen else None

    found = await asyncio.gather(*(ask(port) for port in ports))
    return next((server for server in found if server is not None), None)


def offered(body: object) -> tuple[str, ...]:
    """The models in a reply of `/models`, in its order; none if it is not one (OpenAI API, List models)."""
    if not isinstance(body, dict) or body.get("object") != "list" or not isinstance(body.get("data"), list):
        return ()
    names = [entry.get("id") if isinstance(entry, dict) else None for entry in body["data"]]
    return tuple(name for name in names if isinstance(name, str) and name)


def preferred(names: Sequence[str]) -> str:
    """A Qwen coder, else a Qwen, else the first that writes text, else ""."""
    writers = [name for name in names if not any(word in name.lower() for word in _WRITES_NOTHING)]

    def rank(name: str) -> int:
        qwen, coder = "qwen" in name.lower(), "coder" in name.lower()
        return 0 if qwen and coder else 1 if qwen else 2

    return min(writers, key=rank, default="")
