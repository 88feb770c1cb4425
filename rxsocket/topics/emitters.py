"""Emitters: send payloads to a topic, one at a time or as a stream."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Generic, TypeVar

from rxsocket.sending.interceptors import Outgoing
from rxsocket.sending.outbox import Sent
from rxsocket.streams.receipts import Receipt
from rxsocket.topics.topic import Envelope, Pattern

T = TypeVar("T")


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
    ) -> None:
        super().__init__(send, not_sent)
        self._send: Callable[[Any], Receipt[Sent]] = send
        self._envelope = envelope
        self._pattern = pattern
        self._mapper = mapper

    def __repr__(self) -> str:
        return f"<Emitter {self._pattern.text}>"

    def with_params(self, **params: Any) -> Emitter[T]:
        """The same emitter with values for parameters: ``.with_params(room=1)``.

        Raises:
            ValueError: If there is no such parameter, or the value cannot be a segment.
        """
        pattern = self._pattern.bind(params)
        return Emitter(self._send, self._not_sent, self._envelope, pattern, self._mapper)

    def emit(self, payload: T, params: Mapping[str, Any] | None = None) -> Receipt[Sent]:
        """Send a payload; see ``Socket.send`` for when and how.

        Args:
            payload: What to send, before the mapper.
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
        except Exception as error:
            self._not_sent(error)
