"""Codecs: how values go on the wire as text and binary messages, and come back.

::

    json_codec()                     text      dict, list, str, float, ...
    json_codec(type=Trade)           text      a msgspec.Struct, dataclass, TypedDict, union by tag
    messagepack_codec(type=Trade)    binary
    any object with encode(value) and decode(data)
    "auto"                     whatever comes: JSON decoded, other text as str, binary as bytes
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol, overload

import msgspec

from rxsocket.validation import is_async

if sys.version_info >= (3, 13):
    from typing import TypeVar
else:
    from typing_extensions import TypeVar
if TYPE_CHECKING:
    from typing_extensions import TypeForm

T = TypeVar("T")
S = TypeVar("S")
F = TypeVar("F", default=Any)
G = TypeVar("G", default=Any)
"""With a default: a type checker that does not know ``TypeForm`` then has ``Any``."""
In = TypeVar("In", contravariant=True)
Out = TypeVar("Out", covariant=True)


def size_in_bytes(message: str | bytes) -> int:
    """What a message takes on the wire, without the header of its frame.

    Raises:
        UnicodeEncodeError: If it is a text with half a surrogate pair.
    """
    if not isinstance(message, str) or message.isascii():
        return len(message)
    return len(message.encode())


class Codec(Protocol[In, Out]):
    r"""Turns values into messages, and messages into values.

    ``encode`` is called on the thread that sends, ``decode`` on the socket's loop, once for each
    message. A failure of ``decode`` is a ``DecodeFailed`` on ``socket.errors``, and the next
    message is delivered as ever; a failure of ``encode`` is raised to who sends.

    Examples:
        >>> class Lines:
        ...     def encode(self, value: list[str]) -> str:
        ...         return "\n".join(value)
        ...
        ...     def decode(self, data: str | bytes) -> list[str]:
        ...         text = data if isinstance(data, str) else data.decode()
        ...         return text.splitlines()
        >>> socket = Socket("wss://example.com/feed", codec=Lines())
    """

    def encode(self, value: In, /) -> str | bytes:
        """The message for a value: ``str`` for a text message, ``bytes`` for a binary one.

        Raises:
            TypeError: If values of this type cannot be sent.
            ValueError: If this value cannot be sent.
        """
        ...

    def decode(self, data: str | bytes, /) -> Out:
        """The value of a message; any exception says that it has none."""
        ...


class _Functions:
    """A codec made of two functions, called without anything in between."""

    __slots__ = ("_name", "decode", "encode")

    # Any: to type checkers a function in an attribute of a class is a method.
    def __init__(self, name: str, encode: Any, decode: Any) -> None:
        self._name = name
        self.encode = encode
        self.decode = decode

    def __repr__(self) -> str:
        return self._name


@overload
def json_codec() -> Codec[Any, Any]: ...
@overload
def json_codec(*, type: type[T]) -> Codec[T, T]: ...
@overload
def json_codec(*, type: type[T], sends: type[S]) -> Codec[S, T]: ...
@overload
def json_codec(*, type: TypeForm[F]) -> Codec[F, F]: ...
@overload
def json_codec(*, type: TypeForm[F], sends: TypeForm[G]) -> Codec[G, F]: ...
@overload
def json_codec(*, type: Any, sends: Any = ...) -> Codec[Any, Any]: ...
def json_codec(*, type: Any = Any, sends: Any = None) -> Codec[Any, Any]:
    """JSON in text messages; binary ones that hold JSON are decoded, too (RFC 8259).

    Args:
        type: What to decode into: a ``msgspec.Struct``, dataclass, ``TypedDict``, or a union of
            tagged structs. A message of another shape does not decode. Left out: dictionaries and
            lists.
        sends: What is sent, for type checkers, where that is something else than what is received.
            Any value that has a form in JSON can be sent; NaN and infinities are sent as ``null``.

    Raises:
        TypeError: If values of this type cannot be decoded.

    Examples:
        >>> class Trade(msgspec.Struct):
        ...     price: float
        >>> socket = Socket("wss://example.com/feed", codec=json_codec(type=Trade))
        >>> socket.messages.subscribe(lambda trade: print(trade.price))
    """
    encode = msgspec.json.Encoder().encode
    decode = decoding_into("json_codec(type)", type)

    def encode_text(value: object) -> str:
        return encode(value).decode()

    return _Functions(_name("json_codec", type), encode_text, decode)


@overload
def messagepack_codec() -> Codec[Any, Any]: ...
@overload
def messagepack_codec(*, type: type[T]) -> Codec[T, T]: ...
@overload
def messagepack_codec(*, type: type[T], sends: type[S]) -> Codec[S, T]: ...
@overload
def messagepack_codec(*, type: TypeForm[F]) -> Codec[F, F]: ...
@overload
def messagepack_codec(*, type: TypeForm[F], sends: TypeForm[G]) -> Codec[G, F]: ...
@overload
def messagepack_codec(*, type: Any, sends: Any = ...) -> Codec[Any, Any]: ...
def messagepack_codec(*, type: Any = Any, sends: Any = None) -> Codec[Any, Any]:
    """MessagePack in binary messages; a text message does not decode.

    Args:
        type: What to decode into, as for :func:`json_codec`.
        sends: What is sent, for type checkers, where that is something else than what is received.

    Raises:
        TypeError: If values of this type cannot be decoded.

    Examples:
        >>> socket = Socket("wss://example.com/feed", codec=messagepack_codec())
    """
    decode = decoding_into("messagepack_codec(type)", type, msgspec.msgpack.Decoder)
    encode = msgspec.msgpack.Encoder().encode
    return _Functions(_name("messagepack_codec", type), encode, decode)


json = json_codec
"""The same by its first name, which hides the module of Python's."""
messagepack = messagepack_codec
"""Likewise."""


def _as_it_comes() -> Codec[Any, Any]:
    """What ``codec="auto"`` means: JSON where a text is JSON, else the text; binary as it is."""
    to_json, from_json = msgspec.json.Encoder().encode, msgspec.json.Decoder().decode

    def encode(value: object) -> str | bytes:
        return value if isinstance(value, (str, bytes)) else to_json(value).decode()

    def decode(data: str | bytes) -> Any:
        if isinstance(data, bytes):
            return data
        try:
            return from_json(data)
        except (msgspec.DecodeError, RecursionError):
            return data

    return _Functions("auto", encode, decode)


def decoding_into(
    argument: str, kind: Any, decoder: Callable[[Any], Any] = msgspec.json.Decoder
) -> Callable[[Any], Any]:
    """What decodes a message into a type.

    Args:
        argument: What the type was passed as, for errors.
        kind: The type.
        decoder: A class of decoders of ``msgspec``.

    Raises:
        TypeError: If nothing can be decoded into it.
    """
    try:
        decode: Callable[[Any], Any] = decoder(kind).decode
    except TypeError as error:
        raise TypeError(
            f"{argument}: pass a type such as dict[str, int], a dataclass or a msgspec.Struct; "
            f"of several classes in a union each is a msgspec.Struct with tag=. {error}"
        ) from None
    return decode


def _name(function: str, kind: Any) -> str:
    if kind is Any:
        return f"{function}()"
    return f"{function}(type={kind.__name__ if inspect.isclass(kind) else kind})"


def codec_or_none(value: Any) -> Codec[Any, Any] | None:
    """Check the argument ``codec``; ``"auto"`` becomes one.

    Raises:
        TypeError: If it is not an object with ``encode`` and ``decode``.
    """
    if value is None:
        return None
    if isinstance(value, str) and value == "auto":
        return _as_it_comes()
    return _checked_codec(value)


def _checked_codec(value: Any) -> Codec[Any, Any]:
    for method in ("encode", "decode"):
        function = getattr(value, method, None)
        if inspect.isclass(value) or not callable(function):
            raise TypeError(
                "codec: pass json_codec(), messagepack_codec(), 'auto' or an object with "
                f"encode(value) and decode(data), not {value!r}"
            )
        if is_async(function):
            raise TypeError(f"codec: {method} is async; a codec works at once")
    codec: Codec[Any, Any] = value
    return codec


def encoded(codec: Codec[Any, Any], value: Any) -> str | bytes:
    """The message for a value.

    Raises:
        TypeError: If values of this type cannot be encoded.
        ValueError: If this value cannot be encoded.
    """
    try:
        data: Any = codec.encode(value)
    except (OverflowError, RecursionError) as error:
        raise ValueError(f"send(value): {error}") from None
    if not isinstance(data, (str, bytes)):
        raise TypeError(f"codec: encode returned {type(data).__name__}; return str or bytes")
    return data
