"""A message on its way from the server to the broker, which gets the bytes that came."""

from __future__ import annotations

from typing import Any

import msgspec

from rxsocket.codecs import Codec, json, messagepack


class Received:
    """A message. Between processes go its bytes, and what was found in it.

    Attributes:
        data: What is stored.
        value: What the codec made of it.
        key: Its channel, once that was looked for.
        own_id: What no other message of its channel has, likewise.
    """

    __slots__ = ("data", "key", "own_id", "value")

    def __init__(self, data: bytes, value: Any, key: str = "", own_id: str = "") -> None:
        self.data = data
        self.value = value
        self.key = key
        self.own_id = own_id

    def __reduce__(self) -> tuple[Any, ...]:
        return Received, (self.data, None, self.key, self.own_id)

    def __repr__(self) -> str:
        return f"Received(<{len(self.data)} bytes>)"


class ReceivedCodec:
    """Keeps the bytes of a message beside what they mean.

    Args:
        name: ``"json"``, ``"messagepack"``, or what a codec of the user's is called.
        codec: That of the user. What it decodes is stored: bytes and text as they are, and all else
            as JSON.
    """

    def __init__(self, name: str, codec: Codec[Any, Any] | None = None) -> None:
        self._given = name, codec
        known = {"json": json, "messagepack": messagepack}
        self._is_own = codec is not None
        self._codec = codec if codec is not None else known[name]()
        self.encode = self._codec.encode

    def __reduce__(self) -> tuple[Any, ...]:
        return ReceivedCodec, self._given

    def __repr__(self) -> str:
        return self._given[0]

    def decode(self, data: str | bytes) -> Received:
        value = self._codec.decode(data)
        return Received(_stored(value if self._is_own else data), value)


def data_of(message: Received) -> bytes:
    """What is stored of a message."""
    return message.data


def _stored(value: Any) -> bytes:
    if isinstance(value, bytes):
        return value
    return value.encode() if isinstance(value, str) else msgspec.json.encode(value)
