"""The socket that speaks JSON-RPC 2.0: its arguments, and what it answers itself (C48)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias, Unpack

import msgspec

from rxsocket.codecs import json
from rxsocket.policy.verdicts import standard
from rxsocket.protocols.arguments import SocketArguments, check_own
from rxsocket.protocols.json_rpc_messages import (
    INTERNAL_ERROR,
    METHOD_NOT_FOUND,
    JsonRpcEnvelope,
    JsonRpcError,
)
from rxsocket.protocols.speaking import SpeakingTransport, judging
from rxsocket.runtime.reporting import Report
from rxsocket.socket import Socket
from rxsocket.validation import function_of_one, is_async, is_list, is_mapping

PROTOCOL = "JSON-RPC 2.0"

Handlers: TypeAlias = Mapping[str, Callable[[Any], Any]]
"""Functions of the params of a request that the server makes, by its method."""


class _Head(msgspec.Struct):
    method: Any = msgspec.UNSET
    id: Any = msgspec.UNSET


_head = msgspec.json.Decoder(_Head).decode


class Responder:
    """Answers the requests that a server makes, on the link that they came over.

    Args:
        handlers: The functions of the user's.

    Attributes:
        has_heard: Whether any message of the protocol came.
        report: Told what a function of the user's raised; ``None`` before there is a client.
    """

    def __init__(self, handlers: Handlers) -> None:
        self.has_heard = False
        self.report: Report | None = None
        self._handlers = handlers

    def __call__(self, message: str | bytes) -> str | bytes | None:
        """The answer to a message, if it is a request."""
        method, id, version = _TEXT if isinstance(message, str) else _BYTES
        if not self.has_heard:
            self.has_heard = version in message  # type: ignore[operator]
        if method not in message or id not in message:  # type: ignore[operator]
            return None
        try:
            if message.lstrip()[:1] not in ("[", b"["):
                head = _head(message)
                if head.method is msgspec.UNSET or head.id is msgspec.UNSET:
                    return None
            request = msgspec.json.decode(message)
        except (msgspec.DecodeError, UnicodeError):
            return None  # the socket says so
        if is_list(request):
            answers = [self._answer(each) for each in request if _is_request(each)]
            return msgspec.json.encode(answers).decode() if answers else None
        return msgspec.json.encode(self._answer(request)).decode()

    def _answer(self, request: Any) -> dict[str, Any]:
        method, answer = request["method"], {"jsonrpc": "2.0", "id": request["id"]}
        handler = self._handlers.get(method) if isinstance(method, str) else None
        if handler is None:
            return {**answer, "error": _error(METHOD_NOT_FOUND, "Method not found")}
        try:
            result = handler(request.get("params"))
            msgspec.json.encode(result)  # raises if it cannot be sent
        except JsonRpcError as error:
            return {**answer, "error": _error(error.code, error.message, error.data)}
        except BaseException as error:
            if self.report is not None:
                self.report(f"handlers[{method!r}]", PROTOCOL, error, detached=False)
            return {**answer, "error": _error(INTERNAL_ERROR, "Internal error")}
        return {**answer, "result": result}


_TEXT = ('"method"', '"id"', '"jsonrpc"')
_BYTES = (b'"method"', b'"id"', b'"jsonrpc"')


def _is_request(message: Any) -> bool:
    return is_mapping(message) and "method" in message and "id" in message


def _error(code: int, message: str, data: Any = None) -> dict[str, Any]:
    error: dict[str, Any] = {"code": code, "message": message}
    return error if data is None else {**error, "data": data}


def json_rpc_options(
    *,
    handlers: Handlers | None = None,
    subprotocol: str | None = None,
    **arguments: Unpack[SocketArguments],
) -> dict[str, Any]:
    """The arguments of a ``Socket`` that speaks it: ``Socket(url, **json_rpc_options(auth=...))``.

    Args:
        handlers: See :func:`json_rpc`.
        subprotocol: See :func:`json_rpc`.
        arguments: Others of ``Socket``.

    Raises:
        TypeError: If a handler is not a plain function of one argument, or an argument is the
            protocol's own.
    """
    check_own(PROTOCOL, arguments)
    if handlers is not None and not is_mapping(handlers):
        kind = type(handlers).__name__
        raise TypeError(f"handlers: pass a mapping of methods to functions, not {kind}")
    for method, handler in (handlers or {}).items():
        name = f"handlers[{method!r}]"
        if is_async(handler):
            raise TypeError(f"{name}: pass a plain function; an async one would never be awaited")
        function_of_one(name, handler, "a function of the params")
    return {
        "verdicts": judging(standard()),
        **arguments,
        "codec": json(),
        "envelope": JsonRpcEnvelope(),
        "subprotocols": None if subprotocol is None else [subprotocol],
        "transport": SpeakingTransport(
            arguments.get("transport", "websockets"),
            PROTOCOL,
            subprotocol=subprotocol,
            hint="check the path in the URL, and the name of the subprotocol",
            reply=Responder(handlers or {}),
        ),
    }


def responder_of(socket: Socket[Any, Any]) -> Responder:
    """What answers the requests of the server; from here on it reports to this socket."""
    engine = socket._engine  # pyright: ignore[reportPrivateUsage]
    speaking: Any = engine.options.transport
    responder: Responder = speaking.reply
    responder.report = engine.publisher.report
    return responder
