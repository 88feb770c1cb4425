"""Topics: their place in a message, their names, with parameters as in ``chat/:room``, emitters."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Mapping
from typing import Any, Generic, Protocol, TypeVar

import msgspec

from rxsocket.codecs import decoding_into
from rxsocket.event_text import EventText
from rxsocket.runtime.threads import as_exception
from rxsocket.sending.interceptors import Outgoing
from rxsocket.sending.outbox import Sent
from rxsocket.streams.receipts import Receipt
from rxsocket.validation import is_mapping

T = TypeVar("T")


class Envelope(Protocol):
    """How a topic and its payload are one message; ``envelope=`` takes any object like this.

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
        """The message for a payload of a topic."""
        ...

    def unwrap(self, message: Any) -> tuple[Any, Any] | None:
        """The topic and the payload of a message; ``None`` if it is of no topic."""
        ...


class _TopicText(msgspec.Struct):
    topic: Any
    data: msgspec.Raw = msgspec.Raw(b"null")


_decode = msgspec.json.Decoder(_TopicText).decode
"""One for all sockets: it takes as long to make as several handshakes."""


class JsonEnvelope:
    """The default: ``{"topic": ..., "data": ...}``.

    On a socket without a codec it is JSON text, and a payload is left as it is until a listener
    wants it: a topic without listeners costs no more than finding its name.
    """

    def wrap(self, topic: str, data: Any) -> Any:
        return {"topic": topic, "data": data}

    def unwrap(self, message: Any) -> tuple[Any, Any] | None:
        """The topic and the payload; ``None`` if the message has not the form of an envelope."""
        if type(message) is str or isinstance(message, (str, bytes)):  # the first is quicker
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


def converter(type: Any) -> Callable[[Any], Any]:
    """The function that converts payloads to a type; one for all listeners of the type.

    It raises ``ValueError`` for a payload that cannot be converted.

    Raises:
        TypeError: If no payload can be converted to this type.
    """
    try:
        return _kept_converter(type)
    except TypeError:  # it is not hashable, or no type
        return _new_converter(type)


def _new_converter(type: Any) -> Callable[[Any], Any]:
    decode, raw = decoding_into("type", type), msgspec.Raw

    def convert(data: Any) -> Any:
        if isinstance(data, raw):
            return decode(data)
        if isinstance(data, EventText) and type not in (Any, str):
            return decode(str(data))
        return data if type is Any else msgspec.convert(data, type)

    return convert


_kept_converter = functools.lru_cache(maxsize=256)(_new_converter)


_NAME = re.compile(r"[A-Za-z_]\w*\Z")


class Pattern:
    """A topic whose segments may be parameters: those that begin with a colon.

    Raises:
        TypeError: If it is not a string.
        ValueError: If it is empty, or a parameter has no name or one that is there already.

    Examples:
        >>> Pattern("chat/:room").bind({"room": 1}).topic
        'chat/1'
    """

    __slots__ = ("_segments", "text", "unbound")

    def __init__(self, text: str) -> None:
        self.text = text  # first: what shows the frame of an error below shows this, too
        if not isinstance(text, str):
            raise TypeError(f"topic: pass a string, not {type(text).__name__}")
        if not text:
            raise ValueError("topic: pass a name, such as 'chat/:room'")
        self._segments = text.split("/")
        self.unbound = tuple(part[1:] for part in self._segments if part.startswith(":"))
        for name in self.unbound:
            if not _NAME.match(name) or self.unbound.count(name) > 1:
                raise ValueError(f"topic: {text!r} needs another name for the parameter :{name}")

    def __repr__(self) -> str:
        return f"<Pattern {self.text}>"

    @property
    def topic(self) -> str:
        """The topic.

        Raises:
            ValueError: If a parameter is unbound; it says which.
        """
        if self.unbound:
            raise ValueError(f"params: {self.text!r} needs a value for :{self.unbound[0]}")
        return self.text

    def bind(self, params: Mapping[str, Any]) -> Pattern:
        """The pattern with values in place of parameters.

        Raises:
            ValueError: If there is no such parameter, or a value is empty or holds a slash.
        """
        for name, value in params.items():
            if name not in self.unbound:
                raise ValueError(f"params: there is no :{name} in {self.text!r}")
            text = str(value)
            if not text or "/" in text or text.startswith(":"):
                raise ValueError(  # not quoted: it may be a key
                    f"params: what is passed for :{name} cannot be the segment :{name} of a topic: "
                    "it is empty, holds a slash or begins with a colon"
                )
        parts = (
            str(params[part[1:]]) if part.startswith(":") and part[1:] in params else part
            for part in self._segments
        )
        return Pattern("/".join(parts))

    def matches(self, topic: str) -> bool:
        """Whether a topic is this pattern with some values in place of its parameters."""
        parts = topic.split("/")
        return len(parts) == len(self._segments) and all(
            part == mine or (mine.startswith(":") and part)
            for part, mine in zip(parts, self._segments, strict=True)
        )


class Emitter(Outgoing, Generic[T]):
    """Sends payloads to a topic; ``socket.emitter``. It is an observer, as ``outgoing`` is.

    ::

        readings   --1--2--3|
        sent       --{"topic": "meter/7", "data": 1}--{..., 2}--{..., 3}--

    Examples:
        >>> chat = socket.emitter("chat/:room")
        >>> chat.emit({"text": "hello"}, params={"room": 1})
        >>> readings.subscribe(socket.emitter("meter/:id").with_params(id=7))
    """

    def __init__(
        self,
        send: Callable[[Any], Receipt[Sent]],
        not_sent: Callable[[Exception], None],
        envelope: Envelope,
        pattern: Pattern,
        mapper: Callable[[T], Any] | None,
        masked: Callable[[str], str],
    ) -> None:
        super().__init__(send, not_sent)
        self._masked = masked
        self._send: Callable[[Any], Receipt[Sent]] = send
        self._envelope = envelope
        self._pattern = pattern
        self._mapper = mapper

    def __repr__(self) -> str:
        return f"<Emitter {self._masked(self._pattern.text)}>"  # which may be named by a key

    def with_params(self, **params: Any) -> Emitter[T]:
        """The same emitter with values for parameters: ``.with_params(room=1)``.

        Raises:
            ValueError: If there is no such parameter, or the value cannot be a segment.
        """
        pattern = self._pattern.bind(params)
        send, not_sent = self._send, self._not_sent
        return Emitter(send, not_sent, self._envelope, pattern, self._mapper, self._masked)

    def emit(self, payload: T, params: Mapping[str, Any] | None = None) -> Receipt[Sent]:
        """Send a payload; see ``Socket.send`` for when and how.

        Args:
            payload: The payload, before the mapper.
            params: Values for the parameters that are still unbound.

        Returns:
            A receipt, as ``Socket.send`` gives.

        Raises:
            ValueError: If a parameter has no value.
        """
        topic = self._pattern.bind(params or {}).topic
        data = payload if self._mapper is None else self._mapper(payload)
        return self._send(self._envelope.wrap(topic, data))

    def on_next(self, value: T) -> None:
        """Send a payload; what cannot be sent is on ``errors``."""
        try:
            self.emit(value)
        except BaseException as error:
            self._not_sent(as_exception(error))
