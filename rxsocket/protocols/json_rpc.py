"""JSON-RPC 2.0 over WebSocket: requests, notifications, subscriptions and batches (C48).

::

    request         a request of the socket (C30), whose id is a number
    notifications   a listener: the method is the topic (C29)
    subscribe       a channel (C22); what the server calls it is new on each connection
    the server's    requests are answered by handlers, or with "Method not found"
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, TypeVar, Unpack, overload

import msgspec
from reactivex import Observable, abc
from reactivex import operators as ops

from rxsocket.endpoint.endpoint import AddressSource, Endpoint
from rxsocket.protocols.arguments import SocketArguments
from rxsocket.protocols.json_rpc_batch import Params, RpcBatch, listed_calls
from rxsocket.protocols.json_rpc_in_flight import in_flight_of
from rxsocket.protocols.json_rpc_messages import call, check, error_of, notification
from rxsocket.protocols.json_rpc_socket import PROTOCOL, Handlers, json_rpc_options, responder_of
from rxsocket.protocols.json_rpc_subscription import (
    RpcSubscription,
    SubscriptionIds,
    unsubscribe_of,
)
from rxsocket.protocols.on_demand import OnDemand, numbers_of, publish_undecodable, undecodable
from rxsocket.protocols.speaking import count_answers, made_for
from rxsocket.sending.outbox import Sent
from rxsocket.socket import Socket
from rxsocket.streams.receipts import Receipt
from rxsocket.streams.stream import CheckedObservable
from rxsocket.topics.listeners import Listener
from rxsocket.topics.topic import converter
from rxsocket.validation import seconds_or_none

T = TypeVar("T")


def json_rpc(
    to: AddressSource | Endpoint | Socket[Any, Any],
    *,
    handlers: Handlers | None = None,
    subprotocol: str | None = None,
    **arguments: Unpack[SocketArguments],
) -> JsonRpc:
    """Speak JSON-RPC 2.0 over a WebSocket.

    Nothing is dialled before something is subscribed to or awaited.

    Args:
        to: An address, as ``Socket`` takes it; or a socket that was made with
            ``Socket(url, **json_rpc_options(...))``.
        handlers: Functions of the params of what the server requests, by method, called on the
            socket's loop. What they return is the result; a ``JsonRpcError`` that they raise is
            the answer; another exception is an "Internal error" to the server and an
            ``ObserverFailed`` here. Other methods are answered with "Method not found".
        subprotocol: The subprotocol that the server has to choose, if it wants one.
        arguments: Others of ``Socket``: ``auth``, ``carrier``, ``on_auth_change`` and so on.

    Raises:
        TypeError: If an argument is of a wrong type, or does not go with a socket.
        ValueError: If the socket was not made for this protocol; the text says what to do.

    Examples:
        >>> rpc = json_rpc("wss://example.com/rpc", auth=token, carrier=header())
        >>> await rpc.request("sum", [1, 2])
        >>> rpc.subscribe("eth_subscribe", ["newHeads"]).subscribe(print)
    """
    if isinstance(to, Socket):
        socket: Socket[Any, Any] = to  # pyright: ignore[reportUnknownVariableType]
        own = {"handlers": handlers, "subprotocol": subprotocol}
        given = {name: value for name, value in own.items() if value is not None}
        return JsonRpc(made_for(socket, PROTOCOL, "json_rpc", {**given, **arguments}))
    options = json_rpc_options(handlers=handlers, subprotocol=subprotocol, **arguments)
    return JsonRpc(Socket(to, **options))


class JsonRpc:
    """Requests, notifications and subscriptions over one socket; :func:`json_rpc` makes it.

    ::

        request         ?------answer|
        notifications   ---n-----n-------n---      of one method
        subscribe       S--r--r---x S-r---r--      what the server calls it has changed
        batch           ???-----[a, error, c]|     one message, and one answer

    Attributes:
        socket: The socket, for ``set_auth``, ``errors``, ``explain()``, ``close()`` and the rest.
    """

    def __init__(self, socket: Socket[Any, Any]) -> None:
        self.socket = socket
        self._numbers = numbers_of(socket)
        count_answers(socket)
        self._in_flight = in_flight_of(socket)
        self._ids = SubscriptionIds(socket, self._numbers)
        self._responder = responder_of(socket)

    def __repr__(self) -> str:
        return f"<JsonRpc of {self.socket!r}>"

    @overload
    def request(
        self,
        method: str,
        params: Params = None,
        *,
        type: type[T],
        timeout: float | None = 10.0,
        idempotent: bool = False,
    ) -> CheckedObservable[T]: ...
    @overload
    def request(
        self,
        method: str,
        params: Params = None,
        *,
        type: Any = ...,
        timeout: float | None = 10.0,
        idempotent: bool = False,
    ) -> CheckedObservable[Any]: ...
    def request(
        self,
        method: str,
        params: Params = None,
        *,
        type: Any = Any,
        timeout: float | None = 10.0,
        idempotent: bool = False,
    ) -> CheckedObservable[Any]:
        """The result of a method: await it, or subscribe to it.

        Nothing is sent before. An error of the server's is a :class:`JsonRpcError`; it fails with
        ``ConnectionLost`` when the connection that carried it ends (rule C30, requests).

        Args:
            method: The method.
            params: A list, by position; a mapping, by name; or ``None`` for none.
            type: What to convert the result into, as for ``listener``.
            timeout: Seconds to wait; ``None`` for as long as it takes.
            idempotent: Whether it may be sent again on the next connection.

        Raises:
            TypeError: If an argument is of a wrong type.
        """
        check(method, params)
        limit, convert = seconds_or_none("timeout", timeout), converter(type)

        def ask(observer: abc.ObserverBase[Any]) -> abc.DisposableBase:
            def on_answer(message: Any) -> None:
                if "error" in message:
                    observer.on_error(error_of(self.socket, message["error"]))
                    return
                try:
                    result = convert(message.get("result"))
                except (ValueError, msgspec.MsgspecError) as error:
                    observer.on_error(undecodable(error))
                    return
                observer.on_next(result)

            request = call(next(self._numbers), method, params)
            return self._waiting(
                request["id"],
                self.socket.request(
                    request, id=self._in_flight.id_of, timeout=limit, idempotent=idempotent
                ),
            ).subscribe(on_answer, self._failing(observer), observer.on_completed)

        return OnDemand(self.socket, f"request({method!r})", ask, is_lazy=True)

    def notify(self, method: str, params: Params = None) -> Receipt[Sent]:
        """Send a notification, which is not answered; see ``Socket.send``.

        Raises:
            TypeError: If an argument is of a wrong type.
        """
        check(method, params)
        return self.socket.send(notification(method, params))

    @overload
    def notifications(self, method: str, *, type: type[T]) -> Listener[T]: ...
    @overload
    def notifications(self, method: str, *, type: Any = ...) -> Listener[Any]: ...
    def notifications(self, method: str, *, type: Any = Any) -> Listener[Any]:
        """The params of each notification of a method; see ``Socket.listener``.

        Args:
            method: The method.
            type: What to convert the params into. What cannot be is a ``TopicFailed``.
        """
        return self.socket.listener(method, type=type)

    @overload
    def subscribe(
        self,
        method: str,
        params: Params = None,
        *,
        unsubscribe: str | None = None,
        type: type[T],
    ) -> CheckedObservable[T]: ...
    @overload
    def subscribe(
        self,
        method: str,
        params: Params = None,
        *,
        unsubscribe: str | None = None,
        type: Any = ...,
    ) -> CheckedObservable[Any]: ...
    def subscribe(
        self,
        method: str,
        params: Params = None,
        *,
        unsubscribe: str | None = None,
        type: Any = Any,
    ) -> CheckedObservable[Any]:
        """What a subscription gives, in the manner of Ethereum; each observer has one of its own.

        The server answers the request with an id, and sends notifications whose params are
        ``{"subscription": id, "result": ...}``: the results are emitted. Each connection is asked
        for it, and what the server calls it there does not matter. One that is refused fails with
        the ``JsonRpcError``. Who leaves unsubscribes.

        Args:
            method: What subscribes, such as ``"eth_subscribe"``.
            params: Its params, as for :meth:`request`.
            unsubscribe: What ends it, given the id. Left out, it is named as ``method`` is:
                ``"eth_unsubscribe"``.
            type: What to convert results into. One that cannot be is a ``TopicFailed`` on
                ``socket.errors``, and the next one comes as ever.

        Raises:
            TypeError: If an argument is of a wrong type.
            ValueError: If it cannot be told what ends it.

        Examples:
            >>> rpc.subscribe("eth_subscribe", ["newHeads"]).subscribe(print)
            >>> rpc.subscribe("accountSubscribe", [address], type=Account).subscribe(print)
        """
        check(method, params)
        convert, ending = converter(type), unsubscribe or unsubscribe_of(method)
        if ending is None:
            raise ValueError(
                f"unsubscribe: name the method that ends what {method!r} subscribes to"
            )

        def ask(observer: abc.ObserverBase[Any]) -> abc.DisposableBase:
            def on_message(message: Any) -> None:
                try:
                    result = convert(message["params"].get("result"))
                except (ValueError, msgspec.MsgspecError) as error:
                    publish_undecodable(self.socket, method, error)
                    return
                observer.on_next(result)

            subscription = RpcSubscription(self._ids, method, params, ending)
            subscription.deliver = on_message
            return self.socket.channel(
                subscribe=subscription.subscribe_message,
                unsubscribe=subscription.unsubscribe_message,
                key=subscription,
                by=self._ids.subscription_of,
                acknowledged=subscription.accepted,
            ).subscribe(on_message, observer.on_error, observer.on_completed)

        return OnDemand(self.socket, f"subscribe({method!r})", ask)

    def batch(
        self, calls: Iterable[str | tuple[str, Params]], *, timeout: float | None = 10.0
    ) -> CheckedObservable[list[Any]]:
        """Many requests in one message; their results in one list, in the order of the calls.

        A request that the server answers with an error has that ``JsonRpcError`` in its place.
        Answers may come in any order, in one message or in several.

        Args:
            calls: Methods, or pairs of a method and its params.
            timeout: Seconds to wait; ``None`` for as long as it takes.

        Raises:
            TypeError: If an argument is of a wrong type.
            ValueError: If there are no calls.

        Examples:
            >>> number, chain = await rpc.batch(["eth_blockNumber", ("eth_getLogs", [{}])])
        """
        listed = listed_calls(calls)
        limit = seconds_or_none("timeout", timeout)

        def ask(observer: abc.ObserverBase[list[Any]]) -> abc.DisposableBase:
            requests = [call(next(self._numbers), method, params) for method, params in listed]
            batch = RpcBatch(self.socket, requests, observer)
            return self._waiting(
                batch,
                self.socket.request(requests, match=batch.takes, answers=None, timeout=limit),
            ).subscribe(batch.on_answer, self._failing(observer), observer.on_completed)

        return OnDemand(self.socket, f"batch of {len(listed)} requests", ask, is_lazy=True)

    def _waiting(self, what: object, answers: Observable[Any]) -> Observable[Any]:
        """Count it as in flight, until it has ended or nobody waits any more."""
        waiting = self._in_flight.waiting
        waiting[what] = None
        return answers.pipe(ops.finally_action(lambda: waiting.pop(what, None)))

    def _failing(self, observer: abc.ObserverBase[Any]) -> Any:
        """Fail an observer; a server that says nothing may speak something else."""

        def on_error(error: Exception) -> None:
            if isinstance(error, TimeoutError) and not self._responder.has_heard:
                error = TimeoutError(
                    f"{error}; no message of JSON-RPC 2.0 has come from this server: check the "
                    "path in the URL"
                )
            observer.on_error(error)

        return on_error
