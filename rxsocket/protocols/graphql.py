"""GraphQL over WebSocket: the subprotocol ``graphql-transport-ws`` (C48).

It is what ``PROTOCOL.md`` of graphql-ws describes::

    connection_init   carries the credential, as the first message; connection_ack opens (C19)
    subscribe         a channel with an id of its own (C22), or a request (C30)
    next, error       data, or a GraphQLError
    complete          disposing sends it; the server's completes the Observable
    ping              is answered with pong, on the connection that it came over
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar, Unpack, overload

import msgspec
from reactivex import abc

from rxsocket.endpoint.endpoint import AddressSource, Endpoint
from rxsocket.protocols.arguments import SocketArguments
from rxsocket.protocols.graphql_operation import GraphQLResult, Operation, id_of, payload_of
from rxsocket.protocols.graphql_socket import PROTOCOL, InitPayload, graphql_options
from rxsocket.protocols.on_demand import OnDemand, numbers_of, publish_undecodable, undecodable
from rxsocket.protocols.speaking import count_answers, made_for
from rxsocket.socket import Socket
from rxsocket.streams.stream import CheckedObservable
from rxsocket.topics.topic import converter
from rxsocket.validation import seconds_or_none

T = TypeVar("T")


def graphql(
    to: AddressSource | Endpoint | Socket[Any, Any],
    *,
    init_payload: InitPayload | None = None,
    **arguments: Unpack[SocketArguments],
) -> GraphQL:
    """Speak GraphQL over a WebSocket: ``graphql(url, auth=...).subscribe(query, variables)``.

    Nothing is dialled before something is subscribed to or awaited.

    Args:
        to: An address, as ``Socket`` takes it; or a socket that was made with
            ``Socket(url, **graphql_options(...))``.
        init_payload: Makes the payload of ``connection_init`` of the credential's value, a string
            or a mapping, for each connection; ``None`` from it sends none. Left out, a mapping is
            the payload, and a string is ``{"Authorization": "Bearer <string>"}``; with
            ``carrier=``, which says where the credential goes, there is no payload.
        arguments: Others of ``Socket``: ``auth``, ``carrier``, ``on_auth_change`` and so on.

    Raises:
        TypeError: If an argument is of a wrong type, or does not go with a socket.
        ValueError: If the socket was not made for this protocol; the text says what to do.

    Examples:
        >>> api = graphql("wss://example.com/graphql", auth=refreshing(fetch_token))
        >>> api.subscribe("subscription { trades { price } }").subscribe(print)
        >>> await api.execute("query($id: ID!) { user(id: $id) { name } }", {"id": 7})
    """
    if isinstance(to, Socket):
        socket: Socket[Any, Any] = to  # pyright: ignore[reportUnknownVariableType]
        given = {"init_payload": init_payload} if init_payload else {}
        return GraphQL(made_for(socket, PROTOCOL, "graphql", {**given, **arguments}))
    return GraphQL(Socket(to, **graphql_options(init_payload=init_payload, **arguments)))


class GraphQL:
    """Operations over one socket; :func:`graphql` makes it.

    ::

        connection   o-------------x  o-------------
        on the wire  S                S         C        S subscribe, C complete
        messages     ---n--n--------  ---n--n---
        subscribe()  ---a--b-------------c--d---         disposed

    Attributes:
        socket: The socket, for ``set_auth``, ``errors``, ``explain()``, ``close()`` and the rest.
    """

    def __init__(self, socket: Socket[Any, Any]) -> None:
        self.socket = socket
        self._numbers = numbers_of(socket)
        count_answers(socket)

    def __repr__(self) -> str:
        return f"<GraphQL of {self.socket!r}>"

    @overload
    def subscribe(
        self,
        query: str,
        variables: Mapping[str, Any] | None = None,
        *,
        operation_name: str | None = None,
        type: type[T],
    ) -> CheckedObservable[T]: ...
    @overload
    def subscribe(
        self,
        query: str,
        variables: Mapping[str, Any] | None = None,
        *,
        operation_name: str | None = None,
        type: Any = ...,
    ) -> CheckedObservable[Any]: ...
    def subscribe(
        self,
        query: str,
        variables: Mapping[str, Any] | None = None,
        *,
        operation_name: str | None = None,
        type: Any = Any,
    ) -> CheckedObservable[Any]:
        """The data of a subscription; each observer has an operation of its own.

        It outlives reconnects and handovers: each connection is asked for it. When the server
        completes it, it completes; disposing it sends ``complete``. A result with errors fails it,
        also one with data besides: :meth:`results` has these as values.

        Args:
            query: The document.
            variables: Its variables.
            operation_name: Which of the operations in the document it is.
            type: What to convert data into, as for ``listener``. Data of another shape is a
                ``TopicFailed`` on ``socket.errors``, and the next one comes as ever.

        Raises:
            TypeError: If an argument is of a wrong type.

        Examples:
            >>> api.subscribe("subscription($of: ID!) { price(of: $of) }", {"of": 7}).subscribe(f)
        """
        convert = converter(type)

        def on_result(operation: Operation, result: GraphQLResult) -> None:
            if result.errors:
                operation.fail(result.errors, result.data)
                return
            try:
                data = convert(result.data)
            except (ValueError, msgspec.MsgspecError) as error:
                publish_undecodable(self.socket, "graphql data", error)
                return
            operation.observer.on_next(data)

        return self._subscription(payload_of(query, variables, operation_name), on_result)

    def results(
        self,
        query: str,
        variables: Mapping[str, Any] | None = None,
        *,
        operation_name: str | None = None,
    ) -> CheckedObservable[GraphQLResult]:
        """The results of a subscription, errors in them as values; see :meth:`subscribe`."""
        payload = payload_of(query, variables, operation_name)
        return self._subscription(payload, lambda it, result: it.observer.on_next(result))

    @overload
    def execute(
        self,
        query: str,
        variables: Mapping[str, Any] | None = None,
        *,
        operation_name: str | None = None,
        type: type[T],
        timeout: float | None = 10.0,
        idempotent: bool = False,
    ) -> CheckedObservable[T]: ...
    @overload
    def execute(
        self,
        query: str,
        variables: Mapping[str, Any] | None = None,
        *,
        operation_name: str | None = None,
        type: Any = ...,
        timeout: float | None = 10.0,
        idempotent: bool = False,
    ) -> CheckedObservable[Any]: ...
    def execute(
        self,
        query: str,
        variables: Mapping[str, Any] | None = None,
        *,
        operation_name: str | None = None,
        type: Any = Any,
        timeout: float | None = 10.0,
        idempotent: bool = False,
    ) -> CheckedObservable[Any]:
        """The data of a query or a mutation: await it, or subscribe to it.

        It is a request (rule C30, requests): nothing is sent before, and it fails with
        ``ConnectionLost`` when the connection that carried it ends. Errors fail it, also with data
        besides, which the error has.

        Args:
            query: The document.
            variables: Its variables.
            operation_name: Which of the operations in the document it is.
            type: What to convert the data into.
            timeout: Seconds to wait; ``None`` for as long as it takes.
            idempotent: Whether it may be sent again on the next connection, as a query may.

        Raises:
            TypeError: If an argument is of a wrong type.

        Examples:
            >>> await api.execute("mutation($to: ID!) { follow(user: $to) { name } }", {"to": 7})
        """
        payload, convert = payload_of(query, variables, operation_name), converter(type)
        limit = seconds_or_none("timeout", timeout)

        def on_result(operation: Operation, result: GraphQLResult) -> None:
            if result.errors:
                operation.fail(result.errors, result.data)
                return
            try:
                data = convert(result.data)
            except (ValueError, msgspec.MsgspecError) as error:
                operation.observer.on_error(undecodable(error))
                return
            operation.observer.on_next(data)

        def ask(observer: abc.ObserverBase[Any]) -> abc.DisposableBase:
            id = str(next(self._numbers))
            operation = Operation(self.socket, id, observer, on_result, is_single=True)
            return operation.follow(
                self.socket.request(
                    operation.subscribe_message(payload),
                    id=id_of,
                    answers=None,
                    timeout=limit,
                    idempotent=idempotent,
                )
            )

        return OnDemand(self.socket, "execute(query)", ask, is_lazy=True)

    def _subscription(
        self, payload: Mapping[str, Any], on_result: Callable[[Operation, GraphQLResult], None]
    ) -> CheckedObservable[Any]:
        def ask(observer: abc.ObserverBase[Any]) -> abc.DisposableBase:
            operation = Operation(self.socket, str(next(self._numbers)), observer, on_result)
            return operation.follow(
                self.socket.channel(
                    subscribe=operation.subscribe_message(payload),
                    unsubscribe=operation.complete_message,
                    key=operation.id,
                    by=id_of,
                )
            )

        return OnDemand(self.socket, "subscribe(query)", ask)
