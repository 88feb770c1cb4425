"""What a socket knows about topics: its envelope, and who listens to which."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar
from weakref import WeakValueDictionary

from rxsocket.callables import function
from rxsocket.engine.engine import Engine
from rxsocket.topics.dispatch import Dispatch, Sink
from rxsocket.topics.emitter import Emitter
from rxsocket.topics.envelope import Envelope
from rxsocket.topics.listener import Listener
from rxsocket.topics.pattern import Pattern

__all__ = ["Topics"]

T = TypeVar("T")


class Topics:
    """The topics of one socket.

    Args:
        engine: The running parts of the socket.
        envelope: How a topic and a payload are one message.
    """

    def __init__(self, engine: Engine, envelope: Envelope) -> None:
        self._engine = engine
        self._envelope = envelope
        self._dispatch = Dispatch(engine.home, engine.publisher, engine.hold, envelope)
        # A sink lives as long as somebody has a listener of it, or is subscribed to one.
        self._sinks: WeakValueDictionary[tuple[str, Any], Sink] = WeakValueDictionary()

    def listener(self, topic: str, type: Any) -> Listener[Any]:
        """See ``Socket.listener``."""
        return Listener(self.sink, Pattern(topic), type)

    def emitter(self, topic: str, mapper: Callable[[T], Any] | None) -> Emitter[T]:
        """See ``Socket.emitter``."""
        checked = None if mapper is None else function("mapper", mapper)
        engine, pattern = self._engine, Pattern(topic)
        return Emitter(engine.send_value, engine.not_sent, self._envelope, pattern, checked)

    def sink(self, pattern: Pattern, type: Any) -> Sink:
        """Who passes a topic's payloads on as values of a type: one for all of its listeners."""
        key = (pattern.text, type)
        with self._engine.home.lock:
            sink = self._sinks.get(key)
            if sink is None:
                sink = self._sinks[key] = Sink(pattern, type, self._dispatch)
            return sink
