"""What a failing reply means: one table from status, code and message to a kind, and one from kind to policy.

Promises a message of one line that names the fix. Quotes the service's error code at most, and only where
it looks like one: what else a service says may hold the key or the code it was sent. Reads no clock, so a
Retry-After that is a date is not understood.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from qwen_lsp.core.dialects import models
from qwen_lsp.core.model import BackendError, Kind, Service

_LONGEST_WAIT = 3600.0
"""Seconds; a service that asks for more has asked for nonsense, or for more than an editing session."""


@dataclass(frozen=True, slots=True)
class Policy:
    """What follows a failure of one kind."""

    retry: bool
    """Ask once more, if nothing of the answer has come and the service did not ask for a long wait."""
    cool_down: float
    """Seconds in which automatic requests leave the service alone; its Retry-After wins if it is longer."""
    tell: bool
    """The person has to know, once: it does not pass by itself, or they would wait for ghost text in vain."""


# AUTH and QUOTA are asked again after minutes, not never: a key's command may give another key by then, a
# bill be paid. MODEL and CONFIG are mended on this machine, mostly (weights pulled, a server started), so
# they are looked at sooner.
POLICIES: Mapping[Kind, Policy] = MappingProxyType(
    {
        Kind.AUTH: Policy(retry=False, cool_down=300, tell=True),
        Kind.QUOTA: Policy(retry=False, cool_down=300, tell=True),
        Kind.RATE: Policy(retry=False, cool_down=5, tell=False),
        Kind.OVERLOADED: Policy(retry=True, cool_down=1, tell=False),
        Kind.BAD_REQUEST: Policy(retry=False, cool_down=0, tell=True),
        Kind.MODEL: Policy(retry=False, cool_down=30, tell=True),
        Kind.TIMEOUT: Policy(retry=False, cool_down=2, tell=False),
        Kind.NETWORK: Policy(retry=True, cool_down=1, tell=True),
        Kind.PROTOCOL: Policy(retry=False, cool_down=2, tell=True),
        Kind.CONFIG: Policy(retry=False, cool_down=10, tell=True),
    }
)


@dataclass(frozen=True, slots=True)
class Fault:
    """An error as a service says it, in whichever form; `status` is 0 where there is none."""

    status: int = 0
    code: str = ""
    kind: str = ""
    """OpenAI's `type`; llama.cpp and vLLM put there what others call a code."""
    message: str = ""

    @classmethod
    def of(cls, status: int, payload: object) -> Fault | None:
        """The error in a decoded JSON value, or None if there is none.

        Compatible: `{"error": {"message", "type", "code"}}`; native: `{"code", "message"}`; Ollama:
        `{"error": "…"}`; vLLM: `{"object": "error", "message", "type", "code": 404}`; FastAPI: `{"detail":
        "…"}`.
        """
        if not isinstance(payload, dict):
            return None
        error = payload.get("error")
        if isinstance(error, str) and error:
            return cls(status, message=error)
        if not isinstance(error, dict):
            if not (payload.get("code") or payload.get("object") == "error" or "detail" in payload):
                return None
            error = payload
        code = error.get("code")
        if isinstance(code, int) and not isinstance(code, bool) and 400 <= code < 600:
            status = status or code
        return cls(status, _text(code), _text(error.get("type")), _text(error.get("message", error.get("detail"))))


@dataclass(frozen=True, slots=True)
class _Row:
    """One line of the table: the first row that fits a fault tells what it means. "" fits everything."""

    kind: Kind
    say: str
    status: tuple[int, ...] = ()
    code: str = ""
    message: str = ""
    provider: str = ""
    wait: float | None = None
    """Seconds to wait where the service names none."""


_OVERDUE = "The DashScope account is overdue: settle the bill in the Alibaba Cloud console"
_USED_UP = (
    "The account's quota for {model} is used up: raise it or enable billing in the service's console, or set "
    "another qwen.model"
)
_RATE = "Too many requests for {model}: completions pause for a moment"
_LONG = "The prompt is too long for {model}: set qwen.model to one with a longer context"
_LONG_LOCAL = "The prompt is too long for the embedded engine: raise qwen.local.context"
_INSPECTION = "DashScope's content inspection refused this text: nothing is completed here"
_KEY_DASHSCOPE = (
    "DashScope refused the key for {where}: set DASHSCOPE_API_KEY to a key of that region, or qwen.region to "
    "the region of the key"
)
_KEY_OPENAI = "{host} refused the key: set QWEN_LSP_API_KEY or qwen.apiKeyCommand"
_NO_KEY = "{host} wants a key: set QWEN_LSP_API_KEY or qwen.apiKeyCommand"
_KEY_LOCAL = "The embedded engine refused its key: restart the language server"
_DENIED_DASHSCOPE = (
    "DashScope denies this key {model} at {where}: allow it in the workspace of DASHSCOPE_API_KEY; a key "
    "that begins with sk-sp- (Coding Plan) needs qwen.baseUrl at coding.dashscope.aliyuncs.com or "
    "coding-intl.dashscope.aliyuncs.com"
)
_DENIED_OPENAI = "{host} denies access to {model}: check QWEN_LSP_API_KEY or qwen.apiKeyCommand, and qwen.model"
_NO_MODEL_DASHSCOPE = "DashScope has no model {model} at {where}: set qwen.model to {other}"
_NO_MODEL = "{host} has no model {model}: set qwen.model to one that it serves"
_NO_PATH = "{host} has no such interface: check qwen.baseUrl, which ends with /v1 at most servers"
_BAD = "{host} does not take the request: check qwen.model, qwen.maxTokens and qwen.temperature"
_NO_INTERFACE = "{host} gave a reply that is none of an OpenAI-compatible service: check qwen.baseUrl"
_PROXY = "The proxy before {host} wants a login: put user and password into HTTPS_PROXY"
_DOWN = "{host} can't answer at the moment: nothing to do but wait"

_TABLE: tuple[_Row, ...] = (
    _Row(Kind.QUOTA, _OVERDUE, code=r"arrearage|billoverdue"),
    _Row(
        Kind.QUOTA,
        _OVERDUE,
        status=(400, 403),
        message=r"account is in good standing|overdue",
        provider="dashscope",
    ),
    # Two meanings share a code: a limit by the minute ("Allocated quota exceeded", which passes) and a
    # quota that is gone.
    _Row(Kind.QUOTA, _USED_UP, code=r"freetieronly|commoditynotpurchased|billing_hard_limit"),
    _Row(Kind.QUOTA, _USED_UP, status=(402,)),
    _Row(
        Kind.QUOTA,
        _USED_UP,
        status=(0, 403, 429),
        message=r"free (tier|quota|allocated quota)|exceeded your current quota|plan and billing|"
        r"(hour|day|week|month)\w* allocated quota",
    ),
    _Row(Kind.RATE, _RATE, code=r"throttling|rate_?limit|insufficient_quota|limit_requests|too_?many_?requests"),
    _Row(Kind.RATE, _RATE, status=(429,)),
    _Row(Kind.BAD_REQUEST, _INSPECTION, code=r"data_?inspection_?failed|content_filter"),
    _Row(Kind.BAD_REQUEST, _LONG_LOCAL, code=r"exceed_context_size", provider="local"),
    _Row(Kind.BAD_REQUEST, _LONG, code=r"context_length_exceeded|exceed_context_size|string_above_max_length"),
    _Row(
        Kind.BAD_REQUEST,
        _LONG,
        status=(0, 400, 422, 500),
        message=r"range of input length|context (size|length|window)|input length exceeds",
    ),
    _Row(Kind.BAD_REQUEST, _LONG, status=(413,)),
    _Row(Kind.AUTH, _KEY_DASHSCOPE, status=(401,), provider="dashscope"),
    _Row(Kind.AUTH, _KEY_DASHSCOPE, code=r"invalid_?api_?-?key", provider="dashscope"),
    _Row(Kind.AUTH, _KEY_LOCAL, status=(401, 403), provider="local"),
    _Row(Kind.AUTH, _KEY_OPENAI, status=(401,)),
    _Row(Kind.AUTH, _KEY_OPENAI, code=r"invalid_?api_?-?key|authentication"),
    _Row(Kind.AUTH, _DENIED_DASHSCOPE, status=(403,), provider="dashscope"),
    _Row(Kind.AUTH, _DENIED_DASHSCOPE, code=r"access_?denied", provider="dashscope"),
    _Row(Kind.AUTH, _DENIED_OPENAI, status=(403,)),
    _Row(Kind.MODEL, _NO_MODEL_DASHSCOPE, status=(404,), provider="dashscope"),
    _Row(
        Kind.MODEL,
        _NO_MODEL_DASHSCOPE,
        code=r"model_?not_?(found|supported)|invalid_?model",
        provider="dashscope",
    ),
    _Row(
        Kind.MODEL,
        _NO_MODEL_DASHSCOPE,
        status=(0, 400),
        message=r"unsupported model|model \S+ is not supported",
        provider="dashscope",
    ),
    _Row(Kind.MODEL, _NO_MODEL, code=r"model_?not_?(found|supported)|invalid_?model"),
    _Row(Kind.MODEL, _NO_MODEL, status=(0, 400, 404), message=r"\bmodel\b.*(not found|not exist|not supported)"),
    _Row(Kind.CONFIG, _NO_PATH, status=(301, 302, 303, 307, 308, 404, 405, 410, 501)),
    _Row(Kind.TIMEOUT, _DOWN, code=r"request_?time_?out"),
    _Row(Kind.TIMEOUT, _DOWN, status=(408, 504)),
    _Row(Kind.NETWORK, _PROXY, status=(407,)),
    _Row(Kind.OVERLOADED, _DOWN, status=(503, 529), wait=5),
    _Row(Kind.OVERLOADED, _DOWN, status=tuple(range(500, 600))),
    _Row(Kind.BAD_REQUEST, _BAD, status=tuple(range(400, 500))),
    _Row(Kind.BAD_REQUEST, _BAD, code=r"invalid_?(request|parameter)"),
    # Only an error inside a stream has no status: the service began to answer and then could not.
    _Row(Kind.OVERLOADED, _DOWN, status=(0,)),
    _Row(Kind.PROTOCOL, _NO_INTERFACE),
)


def explain(service: Service, fault: Fault, headers: Mapping[str, str] | None = None) -> BackendError:
    """The error for a fault of this service; `headers` may hold a Retry-After."""
    row = next(row for row in _TABLE if _fits(row, service, fault))
    said = _quotable(fault.code, service) or _quotable(fault.kind, service)
    facts = ", ".join(part for part in (f"HTTP {fault.status}" if fault.status else "", said) if part)
    say = _NO_KEY if row.say is _KEY_OPENAI and service.key is None else row.say
    message = say.format(
        model=models.shown(service.model) or "the model",
        where=f"region {service.region}" if service.region else "the host of qwen.baseUrl",
        host=_host(service),
        other=_another_model(service),
    )
    wait = retry_after(headers or {})
    return BackendError(
        row.kind,
        f"{message}{f' ({facts})' if facts else ''}.",
        retry_after=row.wait if wait is None else wait,
    )


def protocol_error(service: Service) -> BackendError:
    """The error for something that is not what the interface promises, such as an event that is no JSON."""
    return BackendError(Kind.PROTOCOL, _NO_INTERFACE.format(host=_host(service)) + ".")


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds of a Retry-After header, at most an hour; None if there is none or it is a date."""
    for name, value in headers.items():
        if name.lower() == "retry-after" and re.fullmatch(r"[0-9]{1,9}(\.[0-9]{1,9})?", value.strip()):
            return min(float(value), _LONGEST_WAIT)
    return None


def _fits(row: _Row, service: Service, fault: Fault) -> bool:
    if row.provider and row.provider != service.provider:
        return False
    if row.status and fault.status not in row.status:
        return False
    if row.code and not re.search(row.code, f"{fault.code} {fault.kind}", re.IGNORECASE):
        return False
    return not row.message or bool(re.search(row.message, fault.message, re.IGNORECASE))


def _quotable(code: str, service: Service) -> str:
    """A code that may stand in a message: it looks like one, and it is not the key."""
    if not re.fullmatch(r"[A-Za-z0-9_.-]{1,64}", code):
        return ""
    return "" if service.key is not None and service.key.reveal() in code else code


def _host(service: Service) -> str:
    """Who answered, in a person's words. Without user, password and path of the address."""
    if service.provider == "dashscope":
        return "DashScope"
    if service.is_local:
        return "The embedded engine"
    authority = service.base_url.partition("://")[2].partition("/")[0]
    return models.shown(authority.rpartition("@")[2]) or "The server"


def _another_model(service: Service) -> str:
    """Which model to choose instead of one that DashScope does not have here."""
    other = models.default_model("dashscope", service.region)
    if models.has_dashscope_fim(service.model) and service.region != models.FIM_REGION:
        return f"{other}, or qwen.region to {models.FIM_REGION} with a key of that region"
    others = (other, "qwen3-coder-flash", "qwen3-coder-plus")
    return next(name for name in others if name != service.model.lower())


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""
