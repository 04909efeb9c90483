"""The project's only fake: a model service on loopback, over real HTTP/1.1, that says what it is told to say.

    async with FakeService(region="cn-beijing", key="sk-test") as fake:
        fake.script("return a", Answer(["x", gate, CUT]), FAILURES["rate"])
        ...  # talk to fake.dashscope (…/compatible-mode/v1) or fake.openai (…/v1)
        assert fake.generations[0].json["prompt"].startswith("<|fim_prefix|>")

It checks requests the way Model Studio's documents say DashScope does (under `/compatible-mode/v1` and the
native path; a plain `/v1` stands for any OpenAI-compatible server and checks key, model and the number of
stops), then plays the next scripted answer, or `default`. Bytes leave in awkward pieces, at places that a
seeded generator chooses: inside UTF-8 sequences, between CR and LF. It does *not* apply `stop` and
`max_tokens`, counts tokens as characters / 4, and speaks no TLS.
"""

from __future__ import annotations

import asyncio
import random
import re
from collections import deque
from collections.abc import Iterator, Sequence
from typing import Any, Self

from tests.fake_script import (
    CUT,
    CUT_MID_CHUNK,
    CUT_MID_EVENT,
    FAILURES,
    STALL,
    Answer,
    Fault,
    Received,
    Scripted,
    Step,
    as_answer,
    failing,
)
from tests.fake_wire import NATIVE, Connection, Reply, dumps, read_request

__all__ = [
    "CHAT_MODELS",
    "COMPATIBLE",
    "CUT",
    "CUT_MID_CHUNK",
    "CUT_MID_EVENT",
    "FAILURES",
    "FIM_MODELS",
    "NATIVE",
    "STALL",
    "THINKING_MODELS",
    "Answer",
    "FakeService",
    "Fault",
    "Received",
    "Scripted",
    "Step",
    "failing",
]

COMPATIBLE = "/compatible-mode/v1"
FIM_MODELS = (
    "qwen-coder-turbo",
    "qwen-coder-turbo-latest",
    "qwen-coder-turbo-0919",
    *(f"qwen2.5-coder-{size}-instruct" for size in ("0.5b", "1.5b", "3b", "7b", "14b", "32b")),
)
THINKING_MODELS = ("qwen3-8b", "qwen3.5-plus")
CHAT_MODELS = (*FIM_MODELS, "qwen3-coder-flash", "qwen3-coder-plus", "qwen3-coder-next", *THINKING_MODELS)

_MODELS_PATHS = (COMPATIBLE + "/models", "/v1/models")
_TEXT_PATHS = (
    *(base + tail for base in (COMPATIBLE, "/v1") for tail in ("/completions", "/chat/completions")),
    NATIVE,
)


class FakeService:
    """A service of one region with one valid key (None takes any), which serves `models`."""

    def __init__(
        self,
        *,
        region: str = "cn-beijing",
        key: str | None = None,
        models: Sequence[str] = CHAT_MODELS,
        default: Scripted = "pass",
        seed: int = 0,
    ) -> None:
        self.region, self.key, self.models, self.default = region, key, tuple(models), default
        self.requests: list[Received] = []
        self.overrides: dict[str, Scripted] = {}
        """Answers by path, for instance "/health"; they win over everything and are not used up."""
        self.connections = 0
        """How many were ever opened."""
        self.open_connections = 0
        self.port = 0
        self._random = random.Random(seed)
        self._queue: deque[Scripted] = deque()
        self._changed = asyncio.Event()
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: Connection(self._accept), "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def stop(self) -> None:
        """Hangs up on everyone and gives the port back; entering again listens on the same port."""
        if self._server is not None:
            self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await asyncio.sleep(0)  # lets the transports say goodbye

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def dashscope(self) -> str:
        return self.url + COMPATIBLE

    @property
    def openai(self) -> str:
        return self.url + "/v1"

    @property
    def generations(self) -> list[Received]:
        """The requests for text, without probes."""
        return [request for request in self.requests if request.method == "POST"]

    def script(self, *answers: Scripted) -> None:
        """Answers the next good requests for text with these, in order; then `default` again."""
        self._queue.extend(answers)

    async def until(self, count: int) -> Received:
        """Waits for the `count`-th request for text and gives it."""
        while len(self.generations) < count:
            self._changed.clear()
            await self._changed.wait()
        return self.generations[count - 1]

    def _accept(self, connection: Connection) -> None:
        self.connections += 1
        self.open_connections += 1
        task = asyncio.get_running_loop().create_task(self._serve(connection, self.connections))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, connection: Connection, number: int) -> None:
        try:
            while request := await read_request(connection, number):
                self.requests.append(request)
                self._changed.set()
                if not await self._reply(connection, request):
                    break
            connection.transport.close()
        finally:
            self.open_connections -= 1
            if not connection.transport.is_closing():
                connection.transport.abort()

    async def _reply(self, connection: Connection, request: Received) -> bool:
        """Whether the connection can be used again."""
        answer = self._answer(request)
        try:
            if answer.hold is not None:
                await connection.unless_gone(answer.hold.wait())
            if answer.cut:
                return False
            await Reply(connection, request, answer, self._random).send()
        except ConnectionError:
            return False
        finally:
            if connection.gone.is_set():
                request.gone.set()
            request.ended_at = asyncio.get_running_loop().time()
            request.ended.set()
        return not answer.close

    def _answer(self, request: Received) -> Answer:
        if request.path in self.overrides:
            return as_answer(self.overrides[request.path], request)
        refusal = next(self._refusals(request), None)
        if refusal is not None:
            return refusal
        if request.path == "/health":
            return Answer(body=dumps({"status": "ok"}))
        if request.method == "GET":
            listed = [{"id": name, "object": "model", "owned_by": "system"} for name in self.models]
            return Answer(body=dumps({"object": "list", "data": listed}))
        return as_answer(self._queue.popleft() if self._queue else self.default, request)

    def _refusals(self, request: Received) -> Iterator[Answer]:
        """What the service has against a request; the first is its answer."""
        paths = {"GET": ("/health", *_MODELS_PATHS), "POST": _TEXT_PATHS}
        if request.path not in paths.get(request.method, ()):
            yield failing(404, "NotFound", "There is nothing at this path.", "not_found_error")
        if request.path == "/health":
            return
        if self.key is not None and request.headers.get("authorization") != f"Bearer {self.key}":
            yield FAILURES["key"]
        if request.method == "POST":
            yield from self._wrong_body(request.path, request.json)

    def _wrong_body(self, path: str, body: Any) -> Iterator[Answer]:
        if not isinstance(body, dict):
            yield failing(400, "invalid_request_error", "The body is not a JSON object.")
        if body.get("model") not in self.models:
            yield FAILURES["model"]
        parameters = body.get("parameters", {}) if path == NATIVE else body
        if isinstance(stop := parameters.get("stop", []), list) and len(stop) > 4:
            yield _refused("stop takes at most four strings.")
        if path == COMPATIBLE + "/completions":
            if self.region != "cn-beijing" or body["model"] not in FIM_MODELS:
                yield FAILURES["model"]
            yield from _wrong_fim(body)
        elif path in (COMPATIBLE + "/chat/completions", NATIVE):
            holder = body.get("input", {}) if path == NATIVE else body
            yield from _wrong_chat(holder.get("messages"), body["model"], parameters)


def _wrong_sampling(parameters: dict[str, Any]) -> Iterator[Answer]:
    if "temperature" in parameters and "top_p" in parameters:
        yield _refused("Set temperature or top_p, not both.")
    if not 0 <= parameters.get("temperature", 1) < 2:
        yield _refused("temperature must be in [0, 2).")


def _wrong_fim(body: dict[str, Any]) -> Iterator[Answer]:
    yield from _wrong_sampling(body)
    prompt = body.get("prompt")
    if not isinstance(prompt, str) or not prompt:
        yield _refused("prompt is required.")
    if re.match(r"<\|fim_prefix\|><\|fim_suffix\|>(?!<\|fim_middle\|>|$)", str(prompt)):
        yield _refused("A suffix needs a prefix.")


def _wrong_chat(messages: object, model: str, parameters: dict[str, Any]) -> Iterator[Answer]:
    yield from _wrong_sampling(parameters)
    if parameters.get("temperature") == 0:
        yield _refused("temperature must not be 0.")
    if not isinstance(messages, list) or not messages:
        yield _refused("messages is required.")
        return
    if any(message["role"] == "system" for message in messages[1:]):
        yield _refused("The system message must be the first.")
    marked = [index for index, message in enumerate(messages) if message.get("partial")]
    if marked and (marked != [len(messages) - 1] or messages[-1]["role"] != "assistant"):
        yield _refused("partial is for the last message, an assistant's.")
    if marked and parameters.get("enable_thinking", model in THINKING_MODELS):
        yield _refused("partial needs enable_thinking false.")


def _refused(message: str) -> Answer:
    return failing(400, "invalid_parameter_error", message, "invalid_request_error")
