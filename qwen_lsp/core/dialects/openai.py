"""OpenAI-compatible servers, the embedded engine among them: `/completions` and `/chat/completions`.

Builds bodies and reads events; DashScope's compatible mode (dialects/dashscope.py) starts from these.
Bodies hold what most servers know: a trailing assistant message is what partial mode is at these servers.
"""

from __future__ import annotations

from collections.abc import Mapping

from qwen_lsp.core.model import Delta, Prompt, Route, Service, Usage
from qwen_lsp.core.prompt import fim_parts, fim_text, partial_messages

_MOST_TOKENS = 2**31


def request(service: Service, prompt: Prompt) -> tuple[str, dict[str, object]]:
    """The path under the base URL, and the body."""
    body = common(service, prompt)
    if service.is_local:
        # llama.cpp keeps the prompt it has read and starts from there; on by default, said because all
        # depends on it.
        body["cache_prompt"] = True
    if service.route is Route.FIM and service.has_suffix:
        before, after = fim_parts(prompt)
        return "/completions", body | {"prompt": before, "suffix": after}
    if service.route is Route.FIM:
        return "/completions", body | {"prompt": fim_text(prompt)}
    # vLLM and SGLang need the first two fields to go on with the last message instead of beginning a new
    # one. llama.cpp goes on by itself and gives the same tokens with and without them (measured); Ollama
    # and LM Studio ignore what they don't know.
    body |= {
        "messages": partial_messages(prompt),
        "continue_final_message": True,
        "add_generation_prompt": False,
    }
    if service.disable_thinking:
        # A field of the chat template at vLLM, SGLang and llama.cpp, which refuses to continue a message of
        # a model that thinks.
        body["chat_template_kwargs"] = {"enable_thinking": False}
    return "/chat/completions", body


def common(service: Service, prompt: Prompt) -> dict[str, object]:
    """What both interfaces take. Never `top_p`: DashScope wants one of it and `temperature`."""
    body: dict[str, object] = {
        "model": service.model,
        "stream": True,
        "stream_options": {"include_usage": True},
        "max_tokens": prompt.max_tokens,
        "temperature": prompt.temperature,
    }
    if stop := stops(service, prompt):
        body["stop"] = stop
    return body


def stops(service: Service, prompt: Prompt) -> list[str]:
    """The first stop strings, as many as the service takes: it would refuse more."""
    return [text for text in prompt.stop if text][: service.stops]


def delta(payload: Mapping[str, object]) -> Delta | None:
    """One event of a stream, or a whole unstreamed reply; None if it is neither."""
    choices = payload.get("choices")
    if not isinstance(choices, list):
        return None
    usage = read_usage(payload.get("usage"), "prompt_tokens", "completion_tokens")
    choice = choices[0] if choices and isinstance(choices[0], dict) else {}
    return Delta(choice_text(choice), finish(choice), usage)


def choice_text(choice: Mapping[str, object]) -> str:
    """The text of a choice: `text`, `delta.content` or `message.content`; null is no text."""
    holder: object = choice.get("delta") or choice.get("message")
    text = holder.get("content") if isinstance(holder, dict) else choice.get("text")
    if isinstance(text, list):
        text = "".join(_text(part.get("text")) for part in text if isinstance(part, dict))
    return clean(_text(text))


def clean(text: str) -> str:
    """Text that can be encoded: half a surrogate pair, which JSON can spell, becomes U+FFFD."""
    if text.isascii():
        return text
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def finish(choice: Mapping[str, object]) -> str | None:
    """Why the model stopped, or None while it writes. DashScope's native interface says "null" for that."""
    reason = _text(choice.get("finish_reason"))
    return reason if reason not in ("", "null") else None


def read_usage(raw: object, prompt: str, completion: str) -> Usage | None:
    """The tokens counted, by the names an interface gives them."""
    if not isinstance(raw, dict):
        return None
    details = raw.get("prompt_tokens_details")
    cached = details.get("cached_tokens") if isinstance(details, dict) else 0
    return Usage(_count(raw.get(prompt)), _count(raw.get(completion)), _count(cached))


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _count(value: object) -> int:
    """A number of tokens: anything else is none, and more than any prompt has is no number to calculate with."""
    return min(value, _MOST_TOKENS) if isinstance(value, int) and not isinstance(value, bool) and value > 0 else 0
