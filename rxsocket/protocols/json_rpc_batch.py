"""Many requests of JSON-RPC 2.0 in one message, and their answers (C48)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

from reactivex import abc

from rxsocket.protocols.json_rpc_messages import (
    INTERNAL_ERROR,
    Call,
    JsonRpcError,
    check,
    error_of,
    id_of,
)
from rxsocket.socket import Socket
from rxsocket.validation import is_iterable, is_list, is_mapping

Params: TypeAlias = Sequence[Any] | Mapping[str, Any] | None
"""The params of a method: a list, by position; a mapping, by name; or none."""

_CALLS = "calls: pass a list of methods or of pairs with their params"


def listed_calls(calls: Any) -> list[tuple[str, Params]]:
    """Check the calls of a batch; each is a method and its params.

    Raises:
        TypeError: If they are not several, or one is none.
        ValueError: If there are none.
    """
    if isinstance(calls, (str, bytes)) or is_mapping(calls) or not is_iterable(calls):
        raise TypeError(f"{_CALLS}, not {type(calls).__name__}")
    listed: list[tuple[str, Params]] = []
    for one in calls:
        pair: Any = (one, None) if isinstance(one, str) else one
        if not is_list(pair) or len(pair) != 2:
            raise TypeError(f"{_CALLS}; {type(one).__name__} is neither")
        check(*pair)
        listed.append((pair[0], pair[1]))
    if not listed:
        raise ValueError("calls: pass at least one; an empty batch is no request")
    return listed


class RpcBatch:
    """The answers to requests that went in one message.

    Args:
        socket: The socket.
        requests: The requests.
        observer: Who waits for the results.
    """

    def __init__(
        self, socket: Socket[Any, Any], requests: Sequence[Call], observer: abc.ObserverBase[Any]
    ) -> None:
        self._socket = socket
        self._observer = observer
        self._ids = [request["id"] for request in requests]
        self._results: dict[Any, Any] = {}

    def takes(self, message: Any) -> bool:
        """Whether a message answers any of them, or refuses them all."""
        if is_list(message):
            return any(self._is_answer(each) for each in message)
        return self._is_answer(message) or self._is_refusal(message)

    def on_answer(self, message: Any) -> None:
        """Take such a message; emit the results when all are there."""
        if self._is_refusal(message):
            self._observer.on_error(error_of(self._socket, message["error"]))
            return
        for answer in message if is_list(message) else [message]:
            if self._is_answer(answer):
                self._results[answer["id"]] = self._result(answer)
        if is_list(message) or len(self._results) == len(self._ids):
            missing = JsonRpcError(INTERNAL_ERROR, "the server left this one out")
            self._observer.on_next([self._results.get(id, missing) for id in self._ids])
            self._observer.on_completed()

    def _result(self, answer: Any) -> Any:
        if "error" in answer:
            return error_of(self._socket, answer["error"])
        return answer.get("result")

    def _is_answer(self, message: Any) -> bool:
        return id_of(message) in self._ids

    def _is_refusal(self, message: Any) -> bool:
        return is_mapping(message) and message.get("id") is None and "error" in message
