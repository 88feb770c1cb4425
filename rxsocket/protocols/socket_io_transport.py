"""How a socket connects to a server of Socket.IO, and what the link does for it (C48)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from rxsocket.auth.credentials import CredentialValue
from rxsocket.errors import CredentialRefused, HandshakeInvalid
from rxsocket.protocols.socket_io_packets import (
    NO_PACKET,
    SPEAKS_OTHER,
    Kind,
    Packet,
    PacketCodec,
    PacketWire,
    said,
)
from rxsocket.protocols.speaking import SpeakingTransport
from rxsocket.protocols.translating import TranslatingTransport
from rxsocket.transports.base import Transport
from rxsocket.transports.names import TransportName
from rxsocket.validation import is_mapping

PROTOCOL = "Socket.IO"
AuthPayload: TypeAlias = Callable[[CredentialValue], Mapping[str, Any] | None]
_codec = PacketCodec()
_QUERY = {"EIO": "4", "transport": "websocket"}


class ConnectRefused(CredentialRefused):
    """The server refused the credential with CONNECT_ERROR; the text has what it said.

    Attributes:
        data: What it said besides; ``None`` if nothing.
    """

    def __init__(self, text: str, data: Any = None) -> None:
        super().__init__(text)
        self.data = data


class SocketIOTransport(SpeakingTransport):
    """What the socket and its link have to know of one another.

    Args:
        transport: The transport that moves the bytes.
        namespace: The main namespace.
        path: The path of the server, where an address has none.
        payload: Makes the payload of CONNECT.
    """

    def __init__(
        self,
        transport: TransportName | Transport,
        namespace: str,
        path: str,
        payload: AuthPayload,
    ) -> None:
        translating = TranslatingTransport(
            transport, lambda _: PacketWire(namespace), lambda url: _address(url, path)
        )
        super().__init__(translating, PROTOCOL, reply=_pong)
        self.wraps = transport
        self.namespace = namespace
        self._payload = payload
        self._pid: str | None = None

    def connect_to(
        self, namespace: str, also: Mapping[str, Any] | None = None
    ) -> Callable[[CredentialValue], Packet]:
        """What makes the packet that connects a namespace, of a credential."""

        def connect(credential: CredentialValue) -> Packet:
            payload = self._payload(credential)
            if payload is not None and not is_mapping(payload):
                kind = type(payload).__name__
                raise TypeError(f"auth_payload: return a mapping or None, not {kind}")
            whole = {**(payload or {}), **(also or {})}
            return Packet(Kind.CONNECT, namespace, whole or None)

        return connect

    def greeting(self, credential: CredentialValue, cursor: Any) -> str | bytes:
        """CONNECT; with the place in the stream, if the server goes on from there."""
        is_ours = isinstance(cursor, _Place)
        also = {"pid": cursor.pid, "offset": cursor.offset} if is_ours else None
        return _codec.encode(self.connect_to(self.namespace, also)(credential))

    def accepted(self, message: str | bytes) -> bool:
        """Whether a message says that the main namespace is connected."""
        packet = self._of_main(message, Kind.CONNECT)
        if packet is None:
            return False
        self._pid = packet.data.get("pid")
        return True

    def rejected(self, message: str | bytes) -> Exception | None:
        """Why the main namespace is not, if a message says so."""
        packet = self._of_main(message, Kind.CONNECT_ERROR)
        if packet is not None:
            text = f"the server refused the namespace {self.namespace}: {said(packet)}"
            if said(packet) == "Invalid namespace":
                return HandshakeInvalid(f"{text}; pass the name of one that it has as namespace=")
            return ConnectRefused(
                text, packet.data.get("data") if is_mapping(packet.data) else None
            )
        packet = self._of_main(message, Kind.CONNECT)
        if packet is not None and not (is_mapping(packet.data) and "sid" in packet.data):
            text = "the server answered without a session id, as Socket.IO 2 does"
            return HandshakeInvalid(f"{text}; {SPEAKS_OTHER}")
        return None

    def is_thrown_out(self, also: Callable[[Any], object] | None) -> Callable[[Any], object]:
        """Whether a message before the connection is stable says that the credential is refused."""
        main = "" if self.namespace == "/" else f"{self.namespace},"
        disconnect = f"{Kind.DISCONNECT.value}{main}"
        return lambda message: message == disconnect or (also is not None and also(message))

    def place(self, packet: Packet) -> _Place | None:
        """The place of an event, of a server that recovers the state of connections."""
        pid, args = self._pid, packet.data
        if pid is None or packet.kind is not Kind.EVENT or packet.namespace != self.namespace:
            return None
        return _Place(pid, args[-1]) if len(args) > 1 and isinstance(args[-1], str) else None

    def _of_main(self, message: str | bytes, kind: Kind) -> Packet | None:
        try:
            packet = _codec.decode(message)
        except NO_PACKET:
            return None
        is_it = packet.kind is kind and packet.namespace == self.namespace
        return packet if is_it else None


class _Place(tuple[str, str]):
    """A place in the stream of a session on the server."""

    __slots__ = ()

    def __new__(cls, pid: str, offset: str) -> _Place:
        return super().__new__(cls, (pid, offset))

    @property
    def pid(self) -> str:
        return self[0]

    @property
    def offset(self) -> str:
        return self[1]


def _pong(message: str | bytes) -> str | None:
    return Kind.PONG.value if message == Kind.PING.value else None


def _address(url: str, path: str) -> str:
    """The address to dial."""
    parts = urlsplit(url)
    query = dict(parse_qsl(parts.query, keep_blank_values=True))
    added = {key: text for key, text in _QUERY.items() if key not in query}
    joined = "&".join(filter(None, (parts.query, urlencode(added))))
    return urlunsplit(
        parts._replace(path=parts.path if parts.path.rstrip("/") else path, query=joined)
    )
