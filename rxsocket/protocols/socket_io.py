"""Socket.IO 4: events with arguments, acknowledgements and bytes, in namespaces (C48).

It is Socket.IO's protocol 5 over Engine.IO 4, on a WebSocket from the beginning::

    OPEN                 the link is there when the server said it; its pings are answered
    CONNECT              the credential, as the first message (C19)
    CONNECT_ERROR        the credential is refused (C9)
    EVENT, ACK           listeners (C29), requests (C30)
    DISCONNECT           the server is done (1000), or refuses the credential, if that is at once
    other namespaces     channels (C22)
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Unpack
from urllib.parse import urlsplit

from rxsocket.auth.carrier import Combinable
from rxsocket.auth.carriers import first_message
from rxsocket.auth.credentials import CredentialValue
from rxsocket.endpoint.endpoint import AddressSource, Endpoint
from rxsocket.protocols.arguments import SocketArguments
from rxsocket.protocols.socket_io_namespace import Namespace, topic_of
from rxsocket.protocols.socket_io_packets import (
    Kind,
    Packet,
    PacketCodec,
)
from rxsocket.protocols.socket_io_transport import PROTOCOL, AuthPayload, SocketIOTransport
from rxsocket.protocols.speaking import count_answers, made_for
from rxsocket.socket import Socket
from rxsocket.validation import function_of_one

_SCHEMES = {"http": "ws", "https": "wss", "ws": "ws", "wss": "wss"}
_DEFAULTS = {"namespace": "/", "path": "/socket.io/", "auth_payload": None}


def socket_io_options(
    *,
    namespace: str = "/",
    path: str = "/socket.io/",
    auth_payload: AuthPayload | None = None,
    **arguments: Unpack[SocketArguments],
) -> dict[str, Any]:
    """The arguments of a ``Socket`` that speaks it: ``Socket(url, **socket_io_options(auth=...))``.

    Args:
        namespace: See :func:`socket_io`.
        path: See :func:`socket_io`.
        auth_payload: See :func:`socket_io`.
        arguments: Others of ``Socket``. To a ``carrier`` the first message is added.

    Raises:
        TypeError: If an argument is of a wrong type.
        ValueError: If the namespace or the path cannot be one.
    """
    carrier, cursor = arguments.get("carrier"), arguments.get("cursor")
    if auth_payload is None:
        auth_payload = _whole if carrier is None else _no_payload
    function_of_one("auth_payload", auth_payload, "a function of the credential")
    transport = SocketIOTransport(
        arguments.get("transport", "websockets"),
        _path("namespace", namespace, "/admin"),
        _path("path", path, "/socket.io/"),
        auth_payload,
    )
    first: Combinable = first_message(transport.greeting, transport.accepted, transport.rejected)
    refused = arguments.get("rejected")
    options: dict[str, Any] = {
        "auth": {},  # CONNECT is sent without a credential, too
        **arguments,
        "carrier": first if carrier is None else first & carrier,
        "rejected": transport.is_thrown_out(refused),
        "codec": PacketCodec(),
        "cursor": transport.place if cursor is None else cursor,
        "envelope": _Events(namespace),
        "transport": transport,
    }
    return options


def socket_io(
    to: AddressSource | Endpoint | Socket[Any, Any],
    *,
    namespace: str = "/",
    path: str = "/socket.io/",
    auth_payload: AuthPayload | None = None,
    **arguments: Unpack[SocketArguments],
) -> SocketIO:
    """Speak Socket.IO 4 over a WebSocket: ``socket_io(url, auth=...).on("news")``.

    Nothing is dialled before something is subscribed to, emitted or awaited.

    Args:
        to: An address, as ``Socket`` takes it; a single one may also begin with ``https://``. Or a
            socket that was made with ``Socket(url, **socket_io_options(...))``.
        namespace: The main namespace; its CONNECT carries the credential.
        path: The path of the server, where an address has none.
        auth_payload: Makes the payload of CONNECT of the credential's value, a string or a mapping,
            for each connection and namespace. Left out, a mapping is the payload, and a string is
            ``{"token": <string>}``; with ``carrier=``, which says where the credential goes, there
            is no payload.
        arguments: Others of ``Socket``: ``auth``, ``carrier``, ``on_auth_change`` and so on.

    Raises:
        TypeError: If an argument is of a wrong type, or does not go with a socket.
        ValueError: If the socket was not made for this protocol, the text says what to do; or the
            address, the namespace or the path cannot be used.

    Examples:
        >>> io = socket_io("https://example.com", auth={"token": "abc"})
        >>> io.on("news").subscribe(lambda args: print(*args))
        >>> io.emit("say", "hello")
        >>> total = await io.emit_with_ack("sum", 1, 2, type=int)
    """
    if isinstance(to, Socket):
        given: dict[str, Any] = {"namespace": namespace, "path": path, "auth_payload": auth_payload}
        given = {name: value for name, value in given.items() if value != _DEFAULTS[name]}
        socket: Socket[Any, Any] = to  # pyright: ignore[reportUnknownVariableType]
        return SocketIO(made_for(socket, PROTOCOL, "socket_io", {**given, **arguments}))
    options = socket_io_options(
        namespace=namespace, path=path, auth_payload=auth_payload, **arguments
    )
    if isinstance(to, str):
        to = _websocket(to, path)
    return SocketIO(Socket(to, **options))


class SocketIO(Namespace):
    """Events over one socket, of its main namespace; :func:`socket_io` makes it.

    ::

        connection   o------------------x   o---------------
        on the wire  C---------E-----------  C------------    C connect, E event
        events       ----n--n---------------  ---n----------
        on("n")      ----a--b--------------------c----------
        emit         ----------e----------------------------
    """

    def __init__(self, socket: Socket[Any, Any]) -> None:
        transport: Any = socket._engine.options.transport  # pyright: ignore[reportPrivateUsage]
        self._transport: SocketIOTransport = transport
        super().__init__(socket, transport.namespace)
        count_answers(socket)
        self._engine.publisher.has_requests = True  # events and pings may be nobody's
        self._namespaces: dict[str, Namespace] = {self.name: self}

    def namespace(self, name: str) -> Namespace:
        """Another namespace on the same connection.

        It is connected while something of it is subscribed to or on its way; what the server
        refuses fails that, alone, with ``NamespaceRefused``.

        Args:
            name: Its name, as ``"/admin"``.

        Raises:
            ValueError: If it cannot be one.
        """
        _path("namespace(name)", name, "/admin")
        with self._engine.loop.lock:
            found = self._namespaces.get(name)
        if found is None:
            connect = self._transport.connect_to(name)
            found = self._namespaces.setdefault(name, Namespace(self.socket, name, connect))
        return found


class _Events:
    """Events as topics."""

    def __init__(self, main: str) -> None:
        self._main = main

    def wrap(self, topic: str, data: Any) -> Packet:
        return Packet(Kind.EVENT, self._main, [topic, data])

    def unwrap(self, message: Any) -> tuple[str, Any] | None:
        if message.kind is not Kind.EVENT:
            return None
        return topic_of(message.namespace, message.data[0]), message.data[1:]


def _whole(credential: CredentialValue) -> Mapping[str, Any]:
    return {"token": credential} if isinstance(credential, str) else credential


def _no_payload(_: CredentialValue) -> None:
    return None


def _path(name: str, value: Any, example: str) -> str:
    if not isinstance(value, str) or not value.startswith("/") or set(value) & set(",?# "):
        raise ValueError(f"{name}: pass a name that begins with a slash, such as {example!r}")
    return value


def _websocket(url: str, path: str) -> str:
    """The address of a WebSocket, for one that a browser would be given."""
    scheme, _, rest = url.partition("://")
    if scheme not in _SCHEMES:
        return url  # a unix socket, or what the socket refuses
    url = f"{_SCHEMES[scheme]}://{rest}"
    found = urlsplit(url).path
    if found.rstrip("/") and found.rstrip("/") != path.rstrip("/"):
        raise ValueError(
            f"url: has the path {found!r}; if that is a namespace, pass namespace={found!r} and an "
            f"address without it; if it is where the server is, pass path={found!r}, too"
        )
    return url
