"""Listeners: the payloads of a topic, as an Observable of their type."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from rxsocket.streams.guarded import Guarded
from rxsocket.topics.dispatch import Sink
from rxsocket.topics.pattern import Pattern

__all__ = ["Listener"]

T = TypeVar("T")


class Listener(Guarded[T]):
    """The payloads of one topic; ``socket.listener``.

    Subscribing connects (C1), and outlives every reconnect. A payload that does not decode into the
    type is a ``TopicFailed`` on ``errors``; nothing else is lost. With unbound parameters it hears
    every topic that fits.

    ::

        messages                   --{chat/1: a}--{chat/2: b}--{chat/1: 7}--{news: c}--
        listener("chat/1", str)    --a-------------------------(errors)---------------
        listener("chat/:room")     --a------------b------------7----------------------

    Examples:
        >>> chat = socket.listener("chat/:room", type=ChatMessage)
        >>> chat.with_params(room=1).subscribe(lambda message: print(message.text))
    """

    def __init__(
        self, sink_for: Callable[[Pattern, Any], Sink], pattern: Pattern, type: Any
    ) -> None:
        sink = sink_for(pattern, type)  # an unusable type fails here, at once
        super().__init__(f"listener {pattern.text}", sink.attach)
        self._sink_for = sink_for
        self._pattern = pattern
        self._type = type

    def __repr__(self) -> str:
        return f"<Listener {self._pattern.text}>"

    def with_params(self, **params: Any) -> Listener[T]:
        """The same listener with values for parameters: ``.with_params(room=1)``.

        Raises:
            ValueError: If there is no such parameter, or the value cannot be a segment.
        """
        return Listener(self._sink_for, self._pattern.bind(params), self._type)
