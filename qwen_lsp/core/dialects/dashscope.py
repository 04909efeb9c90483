"""DashScope (Alibaba Cloud Model Studio): regions and hosts, the compatible interfaces and the native one.

Facts are those of Model Studio's documents Qwen-Coder, Completions, OpenAI-compatible Chat, Partial mode
and DashScope API reference. Only the native interface and the limits of the compatible ones differ from
dialects/openai.py.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType

from qwen_lsp.core.dialects import openai
from qwen_lsp.core.model import Api, BackendError, Delta, Kind, Prompt, Route, Service
from qwen_lsp.core.prompt import fim_text, partial_messages, prefix_only_text

REGIONS: Mapping[str, str | None] = MappingProxyType(
    {
        "cn-beijing": "dashscope.aliyuncs.com",
        "ap-southeast-1": "dashscope-intl.aliyuncs.com",
        "us-east-1": "dashscope-us.aliyuncs.com",
        "cn-hongkong": "cn-hongkong.dashscope.aliyuncs.com",
        "ap-northeast-1": None,
    }
)
"""Every region and the host that all its workspaces share; Tokyo has none. A key belongs to one of them."""

COMPATIBLE = "/compatible-mode/v1"
NATIVE = "/api/v1/services/aigc/text-generation/generation"

# Chat refuses a temperature of 0 and of 2 (OpenAI-compatible Chat: above 0, below 2); this is as good as 0.
_COLDEST, _HOTTEST = 0.01, 1.99


def hosts(region: str, workspace_id: str = "") -> str:
    """The base URL of a region's compatible mode, at the workspace's own host if there is one.

    Raises:
        BackendError: kind CONFIG: no such region, a region without a shared host, or a workspace that is no
            name, which would lead the key to another host.
    """
    if region not in REGIONS:
        raise BackendError(Kind.CONFIG, f"Set qwen.region to one of {', '.join(REGIONS)}.")
    host = REGIONS[region]
    if workspace_id:
        if not re.fullmatch(r"[A-Za-z0-9]([A-Za-z0-9_-]{0,62})", workspace_id):
            raise BackendError(Kind.CONFIG, "Set qwen.workspaceId to the workspace's id: letters, digits and hyphens.")
        host = f"{workspace_id}.{region}.maas.aliyuncs.com"
    if host is None:
        raise BackendError(Kind.CONFIG, f"Set qwen.workspaceId: region {region} has no host without one.")
    return f"https://{host}{COMPATIBLE}"


def native_url(base_url: str) -> str:
    """The native interface's URL at the host of a base URL."""
    base = base_url.rstrip("/")
    for tail in (COMPATIBLE, "/api/v1", "/v1"):
        if base.endswith(tail):
            return base.removesuffix(tail) + NATIVE
    return base + NATIVE


def request(service: Service, prompt: Prompt) -> tuple[str, dict[str, str], dict[str, object]]:
    """URL, extra headers and body."""
    if service.route is Route.FIM:
        text = fim_text(prompt) if prompt.suffix else prefix_only_text(prompt)
        return f"{service.base_url}/completions", {}, openai.common(service, prompt) | {"prompt": text}
    if service.api is Api.NATIVE:
        return native_url(service.base_url), {"X-DashScope-SSE": "enable"}, _native_body(service, prompt)
    body = openai.common(service, prompt)
    body |= {"messages": _messages(prompt), "temperature": _temperature(prompt)}
    if service.disable_thinking:
        body["enable_thinking"] = False
    return f"{service.base_url}/chat/completions", {}, body


def native_delta(payload: Mapping[str, object]) -> Delta | None:
    """One event of the native interface; None if it is none. Its usage is that of the stream so far."""
    output = payload.get("output")
    if not isinstance(output, dict):
        return None
    choices = output.get("choices")
    # Without choices it is the older form, `result_format: text`, in which `output` itself is the choice.
    choice = choices[0] if isinstance(choices, list) and choices else output
    if not isinstance(choice, dict):
        return None
    usage = openai.read_usage(payload.get("usage"), "input_tokens", "output_tokens")
    return Delta(openai.choice_text(choice), openai.finish(choice), usage)


def _native_body(service: Service, prompt: Prompt) -> dict[str, object]:
    parameters: dict[str, object] = {
        "result_format": "message",
        "incremental_output": True,
        "max_tokens": prompt.max_tokens,
        "temperature": _temperature(prompt),
    }
    if stop := openai.stops(service, prompt):
        parameters["stop"] = stop
    if service.disable_thinking:
        parameters["enable_thinking"] = False
    return {"model": service.model, "input": {"messages": _messages(prompt)}, "parameters": parameters}


def _messages(prompt: Prompt) -> list[dict[str, object]]:
    """Partial mode's messages: the last is marked as the beginning of the reply."""
    messages: list[dict[str, object]] = [dict(message) for message in partial_messages(prompt)]
    messages[-1]["partial"] = True
    return messages


def _temperature(prompt: Prompt) -> float:
    return min(max(prompt.temperature, _COLDEST), _HOTTEST)
