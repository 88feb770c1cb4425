"""The messages of JSON-RPC 2.0: requests, answers, errors and notifications (C48)."""

from __future__ import annotations

from typing import Any

from rxsocket.errors import SocketError
from rxsocket.protocols.on_demand import as_read
from rxsocket.socket import Socket
from rxsocket.validation import is_list, is_mapping

METHOD_NOT_FOUND = -32601
INTERNAL_ERROR = -32603


class JsonRpcError(SocketError):
    """The other end answered with an error; a handler raises one to answer so.

    Attributes:
        code: Its number.
        message: Its text, as it was sent.
        data: What was sent besides; ``None`` if nothing.
    """

    def __init__(self, code: int, message: str, data: Any = None) -> None:
        super().__init__(f"{message} ({code})")
        self.code = code
        self.message = message
        self.data = data


class JsonRpcEnvelope:
    """Notifications as topics: the method is the topic, and the params are its payload (C29)."""

    def wrap(self, topic: str, data: Any) -> Any:
        """The notification."""
        return {"jsonrpc": "2.0", "method": topic, "params": data}

    def unwrap(self, message: Any) -> tuple[Any, Any] | None:
        """Method and params of a notification; ``None`` for a request or an answer."""
        if not is_mapping(message) or "method" not in message or "id" in message:
            return None
        return message["method"], message.get("params")


class Call(dict[str, Any]):
    """A request of ours, which is told from one of the server's by its class."""


def call(number: int, method: str, params: Any) -> Call:
    """A request."""
    return Call(notification(method, params), id=number)


def notification(method: str, params: Any) -> dict[str, Any]:
    """A notification; params are left out if they are ``None``."""
    message = {"jsonrpc": "2.0", "method": method}
    return message if params is None else {**message, "params": params}


def check(method: Any, params: Any) -> None:
    """Check what a request or a notification is made of.

    Raises:
        TypeError: If the method is no string, or the params are neither a list nor a mapping.
    """
    if not isinstance(method, str):
        raise TypeError(f"method: pass a string, not {type(method).__name__}")
    if params is not None and not (is_list(params) or is_mapping(params)):
        raise TypeError(f"params: pass a list, a mapping or None, not {type(params).__name__}")


def id_of(message: Any) -> Any:
    """The id of a request of ours, or of what answers one; ``None`` of other messages."""
    if not is_mapping(message) or ("method" in message and not isinstance(message, Call)):
        return None
    return message.get("id")


def error_of(socket: Socket[Any, Any], error: Any) -> JsonRpcError:
    """The error of an answer; its text is of one line, without secrets (C28, C32)."""
    if not is_mapping(error):
        return JsonRpcError(0, "the server sent an error that is none of JSON-RPC 2.0")
    code, text = error.get("code"), error.get("message")
    number = code if isinstance(code, int) else 0
    said = as_read(socket, text) if isinstance(text, str) else "no text"
    return JsonRpcError(number, said, error.get("data"))
