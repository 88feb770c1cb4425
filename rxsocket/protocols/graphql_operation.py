"""One operation of GraphQL over WebSocket: what its messages mean, and how it ends (C48)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from reactivex import Observable, abc
from reactivex.disposable import SingleAssignmentDisposable

from rxsocket.errors import SocketError
from rxsocket.protocols.on_demand import as_read
from rxsocket.socket import Socket
from rxsocket.state import State
from rxsocket.topics.subscribing import Subscribing
from rxsocket.validation import is_list, is_mapping


class GraphQLError(SocketError):
    """The server answered with errors; the text is that of the first one.

    Attributes:
        errors: The errors, as the server sent them: mappings with ``message`` and, maybe, ``path``,
            ``locations`` and ``extensions``.
        data: What there was of the data in spite of them; ``None`` if nothing.
    """

    def __init__(self, message: str, errors: Sequence[Any] = (), data: Any = None) -> None:
        super().__init__(message)
        self.errors = tuple(errors)
        self.data = data


class GraphQLResult(NamedTuple):
    """One result of an operation, as the server sent it.

    Attributes:
        data: The data; ``None`` if there is none.
        errors: The errors, mappings with ``message``; empty if there are none.
        extensions: What the server says besides.
    """

    data: Any = None
    errors: tuple[Any, ...] = ()
    extensions: Mapping[str, Any] | None = None


def id_of(message: Any) -> Any:
    """The id of the operation that a message is of; ``None`` of one that is of none."""
    return message.get("id") if is_mapping(message) else None


def payload_of(query: Any, variables: Any, operation_name: Any) -> dict[str, Any]:
    """What ``subscribe`` sends.

    Raises:
        TypeError: If an argument is of a wrong type.
    """
    if not isinstance(query, str):
        raise TypeError(f"query: pass the document as a string, not {type(query).__name__}")
    payload: dict[str, Any] = {"query": query}
    if variables is not None:
        if not is_mapping(variables):
            raise TypeError(f"variables: pass a mapping or None, not {type(variables).__name__}")
        payload["variables"] = variables
    if operation_name is not None:
        if not isinstance(operation_name, str):
            kind = type(operation_name).__name__
            raise TypeError(f"operation_name: pass a string or None, not {kind}")
        payload["operationName"] = operation_name
    return payload


class Operation(abc.DisposableBase):
    """One operation, for one observer.

    Args:
        socket: The socket.
        id: Its id.
        observer: Who asked for it.
        on_result: Called with each result.
        is_single: Whether it has one result, and no channel that ends it.
    """

    def __init__(
        self,
        socket: Socket[Any, Any],
        id: str,
        observer: abc.ObserverBase[Any],
        on_result: Callable[[Operation, GraphQLResult], None],
        *,
        is_single: bool = False,
    ) -> None:
        self.id = id
        self.observer = observer
        self._socket = socket
        self._on_result = on_result
        self._is_single = is_single
        self._has_result = False
        self._has_ended = False
        self._messages = SingleAssignmentDisposable()

    def subscribe_message(self, payload: Mapping[str, Any]) -> dict[str, Any]:
        """The message that asks for it."""
        return {"id": self.id, "type": "subscribe", "payload": payload}

    def complete_message(self, to: Subscribing) -> Any:
        """The message that ends it, unless the server has done so."""
        return to.nothing if self._has_ended else {"id": self.id, "type": "complete"}

    def follow(self, messages: Observable[Any]) -> Operation:
        """Go by the messages of an Observable."""
        self._messages.disposable = messages.subscribe(
            self._on_message, self._on_error, self.observer.on_completed
        )
        return self

    def fail(self, errors: Sequence[Any], data: Any = None) -> None:
        """Fail with errors of the server's."""
        first = errors[0].get("message") if errors and is_mapping(errors[0]) else None
        text = as_read(self._socket, first) if isinstance(first, str) else ""
        more = f" (and {len(errors) - 1} more)" if len(errors) > 1 else ""
        text = (text or "the server sent an error without a text") + more
        self.observer.on_error(GraphQLError(text, errors, data))

    def dispose(self) -> None:
        """Nobody waits for it any more; of a request, the server is told here."""
        if self._is_single and not self._has_ended and self._socket.state.value is State.OPEN:
            self._socket.send({"id": self.id, "type": "complete"})
        self._has_ended = self._has_ended or self._is_single
        self._messages.dispose()

    def _on_message(self, message: Mapping[str, Any]) -> None:
        payload = message.get("payload")
        match message.get("type"):
            case "next":
                self._on_next(payload)
            case "error":
                self._has_ended = True
                self.fail(payload if is_list(payload) else ())
            case "complete":
                self._has_ended = True
                if self._is_single and not self._has_result:
                    self.observer.on_error(GraphQLError("the server sent no result"))
                else:
                    self.observer.on_completed()
            case _:
                pass  # of a later version of the protocol

    def _on_next(self, payload: Any) -> None:
        if self._is_single and self._has_result:
            text = "execute(query) has more than one result; use subscribe(query)"
            self.observer.on_error(GraphQLError(text))
            return
        self._has_result = True
        if not is_mapping(payload):
            self.observer.on_error(GraphQLError("the server sent a result without a payload"))
            return
        errors = payload.get("errors")
        listed = tuple(errors) if errors and is_list(errors) else ()
        self._on_result(self, GraphQLResult(payload.get("data"), listed, payload.get("extensions")))

    def _on_error(self, error: Exception) -> None:
        if not isinstance(error, TimeoutError):  # then the server still works at it
            self._has_ended = True
        self.observer.on_error(error)
