"""The one table of models: which of them fill in the middle where, which think, and which is the default.

Names are compared without vendor, path, tag, quantisation and case: `Qwen/Qwen2.5-Coder-7B-Instruct-AWQ`,
`qwen2.5-coder:1.5b` and `/models/Qwen2.5-Coder-1.5B-Q4_K_M.gguf` are all Qwen coders. Knows nothing of what
a server has at the moment: a model that is not there is the service's error.
"""

from __future__ import annotations

import re

from qwen_lsp.core.model import Route

FIM_REGION = "cn-beijing"
"""The only DashScope region that has the Completions API, and with it FIM (Model Studio, Qwen-Coder)."""

# Model Studio, Completions: qwen2.5-coder-{0.5b,…,32b}-instruct, qwen-coder-turbo and its dated versions.
# Qwen3-Coder has the FIM tokens too, but DashScope does not list it there.
_DASHSCOPE_FIM = re.compile(r"qwen2\.5-coder-[0-9.]+b-instruct|qwen-coder-turbo(-[a-z0-9-]+)?")

# CodeQwen1.5 is no match on purpose: its FIM tokens are others (`<fim_prefix>`; QwenLM,
# CodeQwen1.5-base-fim.py), and the prompt of Qwen2.5-Coder would be plain text to it.
_QWEN_CODER = re.compile(r"qwen.*coder")

# Qwen3 in its first form and everything from 3.5 on think unless told; coders and instruct models never do.
# To tell it to a model that does not think is harmless.
_NEVER_THINKS = re.compile(r"coder|instruct|embedding|rerank|-base\b")
_THINKS = re.compile(r"qwen-?(3\.[0-9]|[4-9]|3([-:][0-9.]+b|:|$))")
_ALWAYS_THINKS = re.compile(r"^(qwq|qvq)|(?<!non)(?<!non-)thinking|deepseek-r1")

_DEFAULT_LOCAL = "qwen2.5-coder-1.5b"
_DEFAULT_FIM = "qwen-coder-turbo"
_DEFAULT_ELSEWHERE = "qwen3-coder-flash"


def fim_capable(model: str, provider: str, region: str | None) -> bool:
    """Whether `model` takes Qwen2.5-Coder's raw FIM prompt at this provider and, for DashScope, region."""
    if provider == "dashscope":
        return region == FIM_REGION and has_dashscope_fim(model)
    return bool(_QWEN_CODER.search(_short(model)))


def has_dashscope_fim(model: str) -> bool:
    """Whether DashScope's Completions API lists `model`; it is asked by that name in cn-beijing only."""
    return bool(_DASHSCOPE_FIM.fullmatch(model.lower()))


def default_model(provider: str, region: str | None) -> str:
    """The model that an empty setting means; "" is the first one that the server lists."""
    if provider == "dashscope":
        return _DEFAULT_FIM if region == FIM_REGION else _DEFAULT_ELSEWHERE
    return _DEFAULT_LOCAL if provider == "local" else ""


def thinks(model: str) -> bool:
    """Whether `model` thinks before it writes unless it is told not to (`Service.disable_thinking`)."""
    name = _tagged(model)
    return not _NEVER_THINKS.search(name) and bool(_THINKS.match(name))


def always_thinks(model: str) -> bool:
    """Whether `model` can't be told not to think, which partial mode needs (Model Studio, Partial mode)."""
    return bool(_ALWAYS_THINKS.search(_short(model)))


def route_for(settings_route: str, provider: str, region: str | None, model: str) -> Route | str:
    """The route to ask `model` by, or one line that says which region, model or route to choose.

    `settings_route` is "auto", "fim" or "partial". Someone who says "fim" of a server of their own is
    believed: a deployment can have any name.
    """
    fim = fim_capable(model, provider, region)
    if settings_route == "fim" and not fim and provider == "dashscope":
        return _no_fim(model, region)
    if settings_route == "fim" or (settings_route == "auto" and fim):
        return Route.FIM
    if always_thinks(model):
        return (
            f"{shown(model)} always thinks before it writes and can't complete code at the cursor: "
            "set qwen.model to a Qwen coder, such as qwen3-coder-flash."
        )
    return Route.PARTIAL


def shown(model: str) -> str:
    """A model's name for a message: one line of printable characters, and not endless."""
    name = "".join(letter if letter.isprintable() else "?" for letter in model)
    return name if len(name) <= 80 else name[:79] + "…"


def _no_fim(model: str, region: str | None) -> str:
    if has_dashscope_fim(model):
        return (
            f"{shown(model)} fills in the middle in {FIM_REGION} only, and the region is "
            f"{region or 'not known'}: set qwen.route to auto, or qwen.region to {FIM_REGION} with a key of "
            "that region."
        )
    where = "" if region == FIM_REGION else f" in region {FIM_REGION}"
    return (
        f"DashScope has no fill-in-the-middle for {shown(model)}: set qwen.route to auto, or qwen.model to "
        f"{_DEFAULT_FIM} or qwen2.5-coder-7b-instruct{where}."
    )


def _tagged(model: str) -> str:
    """The name without vendor and path, in lower case."""
    return re.split(r"[/\\]", model.strip())[-1].lower().removesuffix(".gguf")


def _short(model: str) -> str:
    """The name without vendor, path and tag: `Qwen/Qwen2.5-Coder-3B:Q4_K_M` is `qwen2.5-coder-3b`."""
    return _tagged(model).partition(":")[0]
