"""What the fake service can be told to do: answers, failures and the steps of a stream; and what it received."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias


@dataclass(frozen=True)
class Act:
    """Something a script does between pieces of text."""

    name: str


CUT = Act("cut the connection between two chunks")
CUT_MID_CHUNK = Act("cut the connection inside an announced chunk")
CUT_MID_EVENT = Act("cut the connection after half an event")
STALL = Act("say nothing more until the client hangs up")
RESET = Act("reset the connection: what is on the way may be lost, and nobody says goodbye")


@dataclass(frozen=True)
class Repeat:
    """The same bytes again and again, as fast as the client takes them; for ever without `times`."""

    piece: bytes
    times: int | None = None


@dataclass(frozen=True)
class Fault:
    """An error object: as the body of a failing answer, or, as a step, inside a stream that began well."""

    code: str
    message: str = "An error, told in a sentence."
    kind: str = "error"


Step: TypeAlias = str | bytes | float | asyncio.Event | Act | Fault | Repeat
"""Text of one delta, raw bytes for the body, seconds to wait, an event to wait for, an act, or an error event."""


@dataclass(frozen=True)
class Answer:
    """One reply. With `body` or `fault` it is that body and no stream."""

    text: str | Sequence[Step] = ""
    finish: str = "stop"
    status: int = 200
    fault: Fault | None = None
    body: bytes | None = None
    raw: Sequence[Step] | None = None
    """Bytes, waits and acts in place of all of the reply, its head included."""
    headers: Mapping[str, str] = field(default_factory=dict)
    delay: float = 0.0
    """Seconds before each piece of text."""
    hold: asyncio.Event | None = None
    """Nothing is said, not even a status, before this is set."""
    cut: bool = False
    """Hangs up instead of answering."""
    close: bool = False
    """Hangs up after the reply without having announced it, as llama.cpp does."""
    cached: int = 0
    """Tokens of the prompt that came from the context cache."""
    done: bool = True
    """Ends a compatible stream with `data: [DONE]`."""

    @property
    def steps(self) -> list[Step]:
        return [self.text] if isinstance(self.text, str) else list(self.text)


def failing(status: int, code: str, message: str, kind: str = "error", retry_after: str = "") -> Answer:
    headers = {"Retry-After": retry_after} if retry_after else {}
    return Answer(status=status, fault=Fault(code, message, kind), headers=headers)


FAILURES: Mapping[str, Answer] = {
    "parameters": failing(400, "invalid_parameter_error", "A parameter is wrong.", "invalid_request_error"),
    "length": failing(400, "InvalidParameter", "Range of input length should be [1, 129024]"),
    "inspection": failing(400, "DataInspectionFailed", "Input data may contain inappropriate content."),
    "arrearage": failing(400, "Arrearage", "Access denied, make sure your account is in good standing."),
    "overdue": failing(403, "Arrearage", "Access denied, make sure your account is in good standing."),
    "key": failing(401, "invalid_api_key", "Incorrect API key provided.", "invalid_request_error"),
    "denied": failing(403, "access_denied", "Access to the model is denied."),
    "free tier": failing(403, "AllocationQuota.FreeTierOnly", "The free tier of the model is exhausted."),
    "model": failing(404, "model_not_found", "The model does not exist.", "invalid_request_error"),
    "rate": failing(429, "Throttling.RateQuota", "Requests rate limit exceeded.", retry_after="2"),
    "burst": failing(429, "Throttling.BurstRate", "Request rate increased too quickly.", retry_after="1"),
    "tokens": failing(429, "Throttling.AllocationQuota", "Allocated quota exceeded.", retry_after="30"),
    "tokens, compatible": failing(429, "insufficient_quota", "Allocated quota exceeded.", retry_after="30"),
    "quota": failing(429, "insufficient_quota", "You exceeded your current quota, check your plan and billing."),
    "internal": failing(500, "internal_error", "An internal error has occurred."),
    "overloaded": failing(503, "ServiceUnavailable", "The service is overloaded."),
    "html": Answer(status=502, body=b"<html><body>Bad gateway</body></html>"),
    "garbage": Answer(body=b"\x00\xff this is no event stream \x1b[0m\n\n"),
}
"""An answer for every row of Model Studio's error table, and two that no service means to give."""


@dataclass
class Received:
    """One request as it came."""

    method: str
    path: str
    headers: dict[str, str]
    """Names in lower case."""
    body: bytes
    at: float
    """The loop's clock when the request was complete."""
    connection: int
    """Counts connections from 1."""
    ended: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when the reply is over, one way or another."""
    gone: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when the client hung up before the reply was over."""
    ended_at: float | None = None

    @property
    def json(self) -> Any:
        try:
            return json.loads(self.body)
        except ValueError:
            return None

    @property
    def hung_up(self) -> bool:
        return self.gone.is_set()


Scripted: TypeAlias = Answer | str | Sequence[Step] | Callable[[Received], "Answer | str | Sequence[Step]"]


def as_answer(scripted: Scripted, request: Received) -> Answer:
    made = scripted(request) if callable(scripted) else scripted
    return made if isinstance(made, Answer) else Answer(made)
