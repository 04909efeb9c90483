"""Dialects: how a `Prompt` becomes a request, a stream's event a `Delta`, a failing reply a `BackendError`.

Pure functions of a `Service`; its key is looked at only so as never to be quoted. One module a kind of
service; what a model can do stands in `models`, what an error means in `errors`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from qwen_lsp.core import codec
from qwen_lsp.core.dialects import dashscope, errors, openai
from qwen_lsp.core.model import Api, BackendError, Delta, Prompt, Service

_DONE = "[DONE]"


@dataclass(frozen=True, slots=True)
class Call:
    """A request to POST. `headers` lack Authorization, which `backend/http.py` adds in its one place."""

    url: str
    headers: dict[str, str]
    body: dict[str, object]


def call(service: Service, prompt: Prompt) -> Call:
    """The request that asks `service` to continue `prompt`, streamed."""
    headers = {"Content-Type": "application/json", "Accept": "text/event-stream"}
    if service.provider == "dashscope":
        url, extra, body = dashscope.request(service, prompt)
        return Call(url, headers | extra, body)
    path, body = openai.request(service, prompt)
    return Call(service.base_url + path, headers, body)


def delta(service: Service, data: str) -> Delta | None:
    """What one event's data says; None is the end of the stream (the native interface just ends).

    A whole unstreamed reply counts as one event, for servers that don't stream.

    Raises:
        BackendError: the event is an error, of the kind it means, or none of the interface's events
        (PROTOCOL).
    """
    if data.strip() == _DONE:
        return None
    if not data.strip():
        return Delta()
    payload = _decoded(data)
    if not isinstance(payload, dict):
        raise errors.protocol_error(service)
    native = service.provider == "dashscope" and service.api is Api.NATIVE
    result = dashscope.native_delta(payload) if native else openai.delta(payload)
    # A service may say `"error": null` or `"code": ""` beside an answer, so a fault is looked for where it
    # has content.
    if result is None or payload.get("error"):
        fault = errors.Fault.of(0, payload)
        if fault is not None:
            raise errors.explain(service, fault)
    if result is None:
        raise errors.protocol_error(service)
    return result


def failure(service: Service, status: int, headers: Mapping[str, str], body: bytes) -> BackendError:
    """The error that a reply other than 200 means. Any body will do: JSON, a proxy's page, nothing."""
    payload = _decoded(body.decode("utf-8", "replace"))
    fault = errors.Fault.of(status, payload) or errors.Fault(status)
    return errors.explain(service, fault, headers)


def _decoded(text: str) -> object:
    """A JSON value, or None for what is none (a bare `null` included: no interface says that)."""
    try:
        return codec.decode(text)
    except (ValueError, RecursionError):
        return None
