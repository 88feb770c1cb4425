r"""The packets of Socket.IO 5 over Engine.IO 4, and their form on the wire (C48).

"5" is the revision of the protocol that Socket.IO 3 and 4 speak. A packet with bytes in it is
several messages on the wire: its text, with a placeholder for each, and each by itself. To the
socket it is one, a list of them in MessagePack, so that they are never apart::

    wire      451-["image",{"_placeholder":true,"num":0}]   b"\x89PNG..."
    socket    [that text, b"\x89PNG..."]
    value     Packet(EVENT, "/", ["image", b"\x89PNG..."])
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from enum import Enum
from typing import Any

import msgspec

from rxsocket.errors import HandshakeInvalid
from rxsocket.protocols.translating import Wire
from rxsocket.validation import is_list, is_mapping

NO_PACKET = (ValueError, msgspec.MsgspecError)
"""What ``decode`` raises; the second is not one of the first in each version of msgspec."""
MOST_ATTACHMENTS = 256
"""Attachments of one packet that are waited for."""
SPEAKS_OTHER = (
    "check the URL and path=: what is there has to be Socket.IO 3 or 4 with the WebSocket transport"
)


class Kind(Enum):
    """What a packet is: of the connection (Engine.IO), or of a namespace on it (Socket.IO).

    Attributes:
        OPEN: The connection is there; with how often it pings.
        CLOSE: The connection ends.
        PING: Asks whether the other side is there.
        PONG: Answers that.
        NOOP: Nothing.
        CONNECT: Enters a namespace, with the credential; or says that it was entered.
        DISCONNECT: Leaves a namespace.
        EVENT: An event with its arguments.
        ACK: Answers an event.
        CONNECT_ERROR: The namespace may not be entered.
    """

    OPEN = "0"
    CLOSE = "1"
    PING = "2"
    PONG = "3"
    NOOP = "6"
    CONNECT = "40"
    DISCONNECT = "41"
    EVENT = "42"
    ACK = "43"
    CONNECT_ERROR = "44"


_OF_CONNECTION = {kind.value: kind for kind in Kind if len(kind.value) == 1}
_OF_NAMESPACE = {kind.value[1]: kind for kind in Kind if len(kind.value) == 2}
_WITH_BYTES = {"5": Kind.EVENT, "6": Kind.ACK}
_HEAD = re.compile(r"4([0-6])(?:(\d{1,9})-)?(/[^,]*,|/[^,]*$)?(\d{1,16})?")
_PLACEHOLDER, _NUMBER = "_placeholder", "num"


class Packet(msgspec.Struct, frozen=True):
    """One packet; what ``socket.messages`` has.

    Attributes:
        kind: What it is.
        namespace: Its namespace.
        data: Of an event its name and arguments, of an acknowledgement its values, else a mapping.
        id: What ties an acknowledgement to its event.
    """

    kind: Kind
    namespace: str = "/"
    data: Any = None
    id: int | None = None


def joined(text: str, attachments: Iterable[bytes] = ()) -> bytes:
    """A packet with bytes, as the socket knows it."""
    return msgspec.msgpack.encode([text, *attachments])


def split(message: bytes) -> Sequence[Any]:
    """The text of such a packet, and its bytes.

    Raises:
        ValueError: If it is none.
    """
    parts: Any = msgspec.msgpack.decode(message)
    if not is_list(parts) or not all(isinstance(part, bytes) for part in parts[1:]):
        raise ValueError("no packet")
    return parts


def said(refusal: Packet) -> str:
    """What a CONNECT_ERROR says, in words."""
    data = refusal.data
    text = data.get("message") if is_mapping(data) else data
    return str(text) if text else "it did not say why"


class PacketCodec:
    """From packets to messages, and back; without state."""

    def encode(self, packet: Packet) -> str | bytes:
        """The message for a packet: text, or with bytes in it what :func:`joined` makes."""
        if not isinstance(packet, Packet):  # pyright: ignore[reportUnnecessaryIsInstance]
            kind = type(packet).__name__
            raise TypeError(f"send(data): this socket speaks Socket.IO; pass a Packet, not {kind}")
        if len(packet.kind.value) == 1:
            return packet.kind.value
        attachments: list[bytes] = []
        data = _without_bytes(packet.data, attachments)
        kind = packet.kind.value
        if attachments:
            kind = f"4{5 if packet.kind is Kind.EVENT else 6}{len(attachments)}-"
        namespace = "" if packet.namespace == "/" else f"{packet.namespace},"
        id = "" if packet.id is None else packet.id
        text = "" if data is None else msgspec.json.encode(data).decode()
        text = f"{kind}{namespace}{id}{text}"
        return joined(text, attachments) if attachments else text

    def decode(self, message: str | bytes) -> Packet:
        """The packet of a message.

        Raises:
            ValueError: If it is none; or a ``msgspec.MsgspecError``.
        """
        if isinstance(message, bytes):
            text, *attachments = split(message)
            if not isinstance(text, str):
                raise ValueError("bytes that no packet announced")
            return _decoded(text, attachments)
        return _decoded(message, [])


def _decoded(text: str, attachments: list[bytes]) -> Packet:
    if not text.startswith("4"):
        kind = _OF_CONNECTION.get(text[:1])
        if kind is None or (len(text) > 1 and kind is not Kind.OPEN):
            raise ValueError("no packet of Engine.IO")
        return Packet(kind, data=msgspec.json.decode(text[1:]) if kind is Kind.OPEN else None)
    head = _HEAD.match(text)
    if head is None:
        raise ValueError("no packet of Socket.IO")
    digit, count, namespace, id = head.groups()
    if (digit in _WITH_BYTES) != bool(attachments) or int(count or 0) != len(attachments):
        raise ValueError("a packet without its attachments")
    kind = _WITH_BYTES.get(digit) or _OF_NAMESPACE[digit]
    rest = text[head.end() :]
    data: Any = msgspec.json.decode(rest) if rest else None
    if not _is_valid(kind, data):
        raise ValueError(f"no data of {kind.name}")
    if attachments:
        data = _with_bytes(data, attachments)
    where = "/" if namespace is None else namespace.removesuffix(",")
    return Packet(kind, where, data, None if id is None else int(id))


def _is_valid(kind: Kind, data: Any) -> bool:
    match kind:
        case Kind.EVENT:
            return is_list(data) and bool(data) and isinstance(data[0], (str, int))
        case Kind.ACK:
            return is_list(data)
        case Kind.DISCONNECT:
            return data is None
        case _:
            return data is None or is_mapping(data) or isinstance(data, str)


def _without_bytes(value: Any, attachments: list[bytes]) -> Any:
    """A value with a placeholder for each that is bytes; these go into ``attachments``."""
    if isinstance(value, (bytes, bytearray)):
        attachments.append(bytes(value))
        return {_PLACEHOLDER: True, _NUMBER: len(attachments) - 1}
    if is_list(value):
        return [_without_bytes(item, attachments) for item in value]
    if is_mapping(value):
        return {key: _without_bytes(item, attachments) for key, item in value.items()}
    return value


def _with_bytes(value: Any, attachments: list[bytes]) -> Any:
    if is_list(value):
        return [_with_bytes(item, attachments) for item in value]
    if not is_mapping(value):
        return value
    if value.get(_PLACEHOLDER) is True:
        number = value.get(_NUMBER)
        if type(number) is not int or not 0 <= number < len(attachments):
            raise ValueError("a placeholder without its attachment")
        return attachments[number]
    return {key: _with_bytes(item, attachments) for key, item in value.items()}


class _Opening(msgspec.Struct):
    ping_interval: float = msgspec.field(name="pingInterval")
    ping_timeout: float = msgspec.field(name="pingTimeout")
    sid: str = ""


class PacketWire(Wire):
    """One link: it joins packets and their bytes, and knows how often the server speaks.

    Args:
        namespace: The one whose end is the server's "done".
    """

    opening = f"it does not speak Engine.IO 4; {SPEAKS_OTHER}"

    def __init__(self, namespace: str) -> None:
        suffix = "" if namespace == "/" else f"{namespace},"
        self._disconnected = f"{Kind.DISCONNECT.value}{suffix}"
        self._namespace = namespace
        self._text: str | None = None
        self._missing = 0
        self._attachments: list[bytes] = []

    def check(self, first: str | bytes) -> None:
        """Look for the packet OPEN, which says how often the server speaks."""
        try:
            if not isinstance(first, str) or not first.startswith("0"):
                raise ValueError
            opening = msgspec.json.decode(first[1:], type=_Opening)
        except NO_PACKET:
            text = f"the first message of the server is no packet of Engine.IO 4; {SPEAKS_OTHER}"
            raise HandshakeInvalid(text) from None
        self.patience = (opening.ping_interval + opening.ping_timeout) / 1000

    def received(self, message: str | bytes) -> list[str | bytes]:
        """Join a packet and its bytes."""
        if isinstance(message, bytes):
            return self._on_bytes(message)
        if message == self._disconnected:
            self.left = f"the server disconnected the namespace {self._namespace}"
        complete = self._broken_off()
        if message.startswith(("45", "46")):
            head = _HEAD.match(message)
            missing = int(head[2]) if head is not None and head[2] else 0
            if 0 < missing <= MOST_ATTACHMENTS:
                self._text, self._missing = message, missing
                return complete
        return [*complete, message]

    def sent(self, message: str | bytes) -> Sequence[Any]:
        """Take a packet and its bytes apart."""
        return [message] if isinstance(message, str) else split(message)

    def _on_bytes(self, attachment: bytes) -> list[str | bytes]:
        if self._text is None:
            return [msgspec.msgpack.encode([attachment])]  # it does not decode, and is reported
        self._attachments.append(attachment)
        return self._broken_off() if len(self._attachments) == self._missing else []

    def _broken_off(self) -> list[str | bytes]:
        """What there is of the packet that waits for bytes; if some are missing it is reported."""
        text, self._text = self._text, None
        attachments, self._attachments = self._attachments, []
        return [] if text is None else [joined(text, attachments)]
