"""JSON-RPC over pygls' protocol: every request id gets exactly one reply, whatever comes.

Messages reach their handler in one of two ways. The *plain* ones, which editors send at every key or fill in ways
lsprotocol's types reject, are handled as the JSON they are (`Protocol.plain`); all others are structured and
dispatched by pygls. Promises: a handler's first step runs while its message is read, so it sees the documents as
they were then; nothing of a message but its method reaches a log; a failure is a reply or a log line, never a pop-up.
"""

from __future__ import annotations

import asyncio
import json
import logging
import uuid
from collections.abc import Callable, Coroutine, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, TypeAlias

from lsprotocol import types
from pygls.exceptions import JsonRpcException
from pygls.protocol import LanguageServerProtocol

from qwen_lsp.core import codec
from qwen_lsp.lsp.documents import Documents, Malformed
from qwen_lsp.lsp.transport import framed

if TYPE_CHECKING:
    from cattrs import Converter
    from pygls.lsp.server import LanguageServer

logger = logging.getLogger(__name__)

Id: TypeAlias = str | int | float | None
Plain: TypeAlias = Callable[[dict[str, Any]], object]
"""Takes a message's params; returns a request's result, or a coroutine of it when that takes time."""

PARSE_ERROR, INVALID_REQUEST, METHOD_NOT_FOUND, INVALID_PARAMS = -32700, -32600, -32601, -32602
INTERNAL_ERROR, NOT_INITIALIZED, CANCELLED = -32603, -32002, -32800


class Refused(Exception):  # noqa: N818 - a reply, not a fault
    """The reply to a request is this error."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


class Protocol(LanguageServerProtocol):
    """One session with one editor."""

    def __init__(self, server: LanguageServer, converter: Converter) -> None:
        super().__init__(server, converter)
        self.plain: dict[str, Plain] = {
            "$/cancelRequest": self._cancel,
            "shutdown": self._shut_down,
            "exit": self._exit,
        }
        self.exit_code: asyncio.Future[int] | None = None
        """Set by whoever runs the session; done once the client says `exit`."""

    @property
    def started(self) -> bool:
        """Whether `initialize` has been handled."""
        return self._workspace is not None

    def begin(self, documents: Documents) -> None:
        """The session is initialized: from now on everything is handled."""
        self._workspace = documents
        self.client_capabilities = types.ClientCapabilities()

    @property
    def over(self) -> bool:
        """Whether the client has asked to shut down."""
        return self._shutdown

    def receive(self, body: bytes) -> None:
        """Takes the body of one frame."""
        try:
            message = codec.decode(body)
        except (ValueError, RecursionError):
            logger.warning("a message of %d bytes is not JSON", len(body))
            self._refuse(None, PARSE_ERROR, "not JSON")
            return
        if not isinstance(message, dict):
            self._refuse(None, INVALID_REQUEST, "a message is one JSON object; batches are no part of LSP")
            return
        method = message.get("method")
        if method is None and ("result" in message or "error" in message):
            self._answered(message)
            return
        ident = message.get("id")
        if not _is_id(ident):
            self._refuse(None, INVALID_REQUEST, "an id is a string or a number")
        elif message.get("jsonrpc") != self.VERSION or not isinstance(method, str):
            self._refuse(ident, INVALID_REQUEST, 'a message has "jsonrpc": "2.0" and a method')
        elif "id" in message:
            self._request(ident, method, message)
        else:
            self._notification(method, message)

    def cancel_all(self) -> None:
        """Takes every running request back; each is answered so."""
        for future in list(self._request_futures.values()):
            future.cancel()

    # Requests

    def _request(self, ident: Id, method: str, message: dict[str, Any]) -> None:
        token = _token(ident)
        if self._shutdown:
            self._refuse(ident, INVALID_REQUEST, "the server is shutting down")
        elif not self.started and method != "initialize":
            self._refuse(ident, NOT_INITIALIZED, "initialize comes first")
        elif token in self._request_futures:
            self._refuse(ident, INVALID_REQUEST, "a request with this id is still running")
        elif method in self.plain:
            self._request_plain(ident, self.plain[method], message.get("params"))
        elif method in self.fm.builtin_features or method in self.fm.features:
            self._request_typed(ident, method, message)
        else:
            self._refuse(ident, METHOD_NOT_FOUND, f"no such method: {method[:80]}")

    def _request_plain(self, ident: Id, handler: Plain, params: object) -> None:
        try:
            result = handler(_params(params))
        except Exception as error:  # noqa: BLE001 - any failure is this request's reply
            self._failed(ident, error)
            return
        if asyncio.iscoroutine(result):
            task = asyncio.ensure_future(self._answer(ident, result))
            self._request_futures[_token(ident)] = task  # type: ignore[assignment]  # as pygls itself does
            task.add_done_callback(partial(self._unanswered, ident, result))
        else:
            self._reply(ident, result)

    async def _answer(self, ident: Id, work: Coroutine[Any, Any, object]) -> None:
        """Replies as soon as a handler knows what, which a callback would do one turn of the event loop later."""
        result = await work
        del self._request_futures[_token(ident)]
        self._reply(ident, result)

    def _unanswered(self, ident: Id, work: Coroutine[Any, Any, object], task: asyncio.Task[None]) -> None:
        """Replies for a task that could not: one that failed, or was cancelled, perhaps before its first step."""
        work.close()
        if task.cancelled() or task.exception() is not None:
            self._finished(ident, task)

    def _request_typed(self, ident: Id, method: str, message: dict[str, Any]) -> None:
        token = _token(ident)
        try:
            typed = self._converter.structure(message | {"id": token}, self._type_of(method))
        except Exception as error:  # noqa: BLE001 - cattrs raises groups of anything
            logger.warning("%.80r: params that are not what the protocol says (%s)", method, type(error).__name__)
            self._refuse(ident, INVALID_PARAMS, f"{method}: params are not what the protocol says")
            return
        self._execute_handler(token, self._get_handler(method), partial(self._finished, ident), args=(typed.params,))

    def _finished(self, ident: Id, future: Any) -> None:  # noqa: ANN401 - asyncio's or concurrent's
        self._request_futures.pop(_token(ident), None)
        if future.cancelled():
            self._refuse(ident, CANCELLED, "cancelled")
        elif (error := future.exception()) is not None:
            self._failed(ident, error)
        else:
            self._send_data({"jsonrpc": self.VERSION, "id": ident, "result": future.result()})

    def _failed(self, ident: Id, error: BaseException) -> None:
        if isinstance(error, Refused | JsonRpcException):
            self._refuse(ident, error.code, error.message)
        elif isinstance(error, Malformed):
            self._refuse(ident, INVALID_PARAMS, str(error))
        else:
            logger.error("a request failed: %s", fault(error))
            self._refuse(ident, INTERNAL_ERROR, f"internal error: {type(error).__name__}")

    # Notifications

    def _notification(self, method: str, message: dict[str, Any]) -> None:
        if method != "exit" and (self._shutdown or not self.started):
            logger.info("%.80r ignored: the session has not begun, or is over", method)
            return
        try:
            if method in self.plain:
                result = self.plain[method](_params(message.get("params")))
                if asyncio.iscoroutine(result):
                    result.close()  # a request without an id: nobody could be answered
            elif method in self.fm.builtin_features or method in self.fm.features:
                typed = self._converter.structure(message, self._type_of(method))
                handler = self._get_handler(method)
                self._execute_handler(str(uuid.uuid4()), handler, partial(self._noticed, method), args=(typed.params,))
            else:
                logger.debug("%.80r is not handled", method)
        except (Malformed, Refused) as problem:
            logger.warning("%.80r ignored: %s", method, problem)
        except Exception as error:  # noqa: BLE001 - one bad message must not end the session
            logger.warning("%.80r ignored: %s", method, fault(error))

    @staticmethod
    def _noticed(method: str, future: Any) -> None:  # noqa: ANN401 - asyncio's or concurrent's
        if not future.cancelled() and (error := future.exception()) is not None:
            logger.error("%.80r failed: %s", method, fault(error))

    def _cancel(self, params: dict[str, Any]) -> None:
        ident = params.get("id")
        future = self._request_futures.get(_token(ident)) if _is_id(ident) else None
        if future is not None:
            future.cancel()

    def _shut_down(self, _params: dict[str, Any]) -> None:
        self.cancel_all()
        self._shutdown = True

    def _exit(self, _params: dict[str, Any]) -> None:
        if self.exit_code is not None and not self.exit_code.done():
            self.exit_code.set_result(0 if self._shutdown else 1)

    # Replies to what we asked

    def _answered(self, message: dict[str, Any]) -> None:
        """A reply; what was not asked, or is not waited for any more, is dropped (pygls 2.1.1 raises there)."""
        ident = message.get("id")
        if not isinstance(ident, str) or ident not in self._result_types:
            return
        result_type = self._result_types.pop(ident)
        future = self._request_futures.pop(ident, None)
        if future is None or future.done():
            return
        if "error" in message:
            future.set_exception(Refused(INTERNAL_ERROR, "the client answered with an error"))
            return
        try:
            future.set_result(self._converter.structure(message, result_type).result)
        except Exception as error:  # noqa: BLE001 - handed to whoever asked
            future.set_exception(error)

    # Out

    def tell(self, method: str, params: dict[str, Any]) -> None:
        """Sends a notification of our own."""
        self._write(codec.encode({"jsonrpc": self.VERSION, "method": method, "params": params}))

    def _reply(self, ident: Id, result: object) -> None:
        self._write(codec.encode({"jsonrpc": self.VERSION, "id": ident, "result": result}))

    def _refuse(self, ident: Id, code: int, message: str) -> None:
        self._write(codec.encode({"jsonrpc": self.VERSION, "id": ident, "error": {"code": code, "message": message}}))

    def _send_data(self, data: Any) -> None:  # noqa: ANN401 - as pygls declares it
        """In place of pygls' own, which logs every body."""
        self._write(json.dumps(data, default=self._serialize_message).encode())

    def _write(self, body: bytes) -> None:
        if self.writer is not None:
            self.writer.write(framed(body))

    def _type_of(self, method: str) -> type[Any]:
        kind = self.get_message_type(method)
        if kind is None:
            raise Refused(METHOD_NOT_FOUND, "no such method")
        return kind


def fault(error: BaseException) -> str:
    """What went wrong and where, without the message: it may quote what the person wrote."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    where = f" at {trace.tb_frame.f_globals.get('__name__')}:{trace.tb_lineno}" if trace is not None else ""
    return type(error).__name__ + where


def _params(params: object) -> dict[str, Any]:
    if params is None:
        return {}
    if not isinstance(params, Mapping):
        raise Malformed("params: no object")
    return dict(params)


def _is_id(ident: object) -> bool:
    return ident is None or (isinstance(ident, str | int | float) and not isinstance(ident, bool))


def _token(ident: object) -> str:
    """A client's id among pygls' own, which are UUIDs."""
    return f"client:{ident!r}"
