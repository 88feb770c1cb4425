"""How a topic and its payload are put into one message, and found in one."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, Protocol

import msgspec

from rxsocket.arguments import is_mapping

__all__ = ["Envelope", "JsonEnvelope", "converter", "envelope_or_default"]


class Envelope(Protocol):
    """What stands for ``envelope=``: any object with these two methods.

    Examples:
        >>> class Pair:  # ["chat/1", {...}]
        ...     def wrap(self, topic, data):
        ...         return json.dumps([topic, data])
        ...
        ...     def unwrap(self, message):
        ...         topic, data = json.loads(message)
        ...         return topic, data
    """

    def wrap(self, topic: str, data: Any) -> Any:
        """What is sent for a payload of a topic."""
        ...

    def unwrap(self, message: Any) -> tuple[Any, Any] | None:
        """The topic and the payload of a message; ``None`` if it is of no topic."""
        ...


class _Text(msgspec.Struct):
    topic: Any
    data: msgspec.Raw = msgspec.Raw(b"null")


_decode = msgspec.json.Decoder(_Text).decode
"""One for all sockets: making it takes as long as some handshakes."""


class JsonEnvelope:
    """The default: ``{"topic": ..., "data": ...}``.

    On a socket without a codec it is JSON text, and a payload is left as it is until a listener
    wants it: a topic that nobody listens to costs no more than finding its name.
    """

    def wrap(self, topic: str, data: Any) -> Any:
        """A mapping of both."""
        return {"topic": topic, "data": data}

    def unwrap(self, message: Any) -> tuple[Any, Any] | None:
        """The topic and the payload; ``None`` if the message has not the form of an envelope."""
        if isinstance(message, (str, bytes)):
            try:
                text = _decode(message)
            except (msgspec.DecodeError, UnicodeError):
                return None
            return text.topic, text.data
        if is_mapping(message) and "topic" in message:
            return message["topic"], message.get("data")
        return None


_default = JsonEnvelope()


def envelope_or_default(envelope: Envelope | None) -> Envelope:
    """Check ``envelope``.

    Raises:
        TypeError: If it lacks one of its two methods.
    """
    if envelope is None:
        return _default
    for name in ("wrap", "unwrap"):
        if not callable(getattr(envelope, name, None)):
            raise TypeError(
                "envelope: pass an object with wrap(topic, data) and unwrap(message), not "
                f"{type(envelope).__name__}"
            )
    return envelope


@functools.lru_cache(maxsize=256)
def converter(type: Any) -> Callable[[Any], Any]:
    """What makes values of a type of payloads: one for all listeners of that type.

    It raises ``ValueError`` for a payload that has no such value.

    Raises:
        TypeError: If values of this type cannot be made.
    """
    decode, raw = msgspec.json.Decoder(type).decode, msgspec.Raw

    def convert(data: Any) -> Any:
        if isinstance(data, raw):
            return decode(data)
        return data if type is Any else msgspec.convert(data, type)

    return convert
