"""Listeners: the payloads of a topic, as an Observable of their type.

From a message to the listeners of its topic: one look-up, whatever the number of topics.

::

    message ── unwrap ── topic ── routes[topic] ──┬─ sink (topic, type) ── its listeners
               once a message      one look-up    └─ sink (pattern, type)

The first message of a topic asks each pattern with unbound parameters whether it matches; the
answer is kept. A topic with one listener has a short way to it: what a message has to touch for
each of many topics is what no cache holds.

What a socket knows about topics: its envelope, and who listens to which.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias, TypeVar
from weakref import WeakValueDictionary

from reactivex import abc
from reactivex.disposable import Disposable

from rxsocket.connection.decoding import why_undecodable
from rxsocket.engine.engine import Engine
from rxsocket.errors import Undecodable
from rxsocket.events import TopicFailed
from rxsocket.publishing.publisher import Publisher
from rxsocket.runtime.loop import SocketLoop
from rxsocket.streams.multicast import Connect, Hub, SafeObserver
from rxsocket.streams.stream import CheckedObservable
from rxsocket.topics.emitters import Emitter
from rxsocket.topics.topic import Envelope, Pattern, converter
from rxsocket.validation import function

__all__ = ["Dispatch", "Listener", "Sink", "Topics"]

MAX_ROUTES = 4096
"""Topics whose route is kept; a server may name ever new ones."""


class Sink(Hub[Any]):
    """All listeners of one pattern and type; a payload is converted once for all of them."""

    __slots__ = ("__weakref__", "_dispatch", "convert", "pattern")

    def __init__(self, pattern: Pattern, type: Any, dispatch: Dispatch) -> None:
        super().__init__(
            f"listener {pattern.text}",
            dispatch.loop,
            dispatch.publisher.report,
            lambda: dispatch.join(self),
        )
        self.pattern = pattern
        self.convert = converter(type)
        self._dispatch = dispatch

    @property
    def only(self) -> SafeObserver[Any] | None:
        """The listener, if there is one and no other."""
        return self._fences[0] if len(self._fences) == 1 else None

    def receive(self, topic: str, data: Any) -> None:
        """A payload came: pass it on as a value, or report that it has none."""
        try:
            value = self.convert(data)
        except Exception as error:
            self._dispatch.failed(topic, error)
            return
        self.emit(value)

    def _admit(self, fence: SafeObserver[Any]) -> None:
        super()._admit(fence)
        self._dispatch.changed(self)

    def _remove(self, fence: SafeObserver[Any]) -> None:
        super()._remove(fence)
        self._dispatch.changed(self)


_Route: TypeAlias = tuple[Callable[[Any], Any] | None, SafeObserver[Any] | None, tuple[Sink, ...]]
"""The short way, if there is one, and all sinks."""


class Dispatch:
    """Passes the messages of one socket on to the listeners of their topics.

    Args:
        home: Where listeners are called.
        publisher: Where messages come from, and failures go.
        hold: Keeps the socket connected until disposed (C1).
        envelope: Finds the topic in a message.
    """

    def __init__(
        self, loop: SocketLoop, publisher: Publisher, hold: Connect, envelope: Envelope
    ) -> None:
        self.loop = loop
        self.publisher = publisher
        self._hold = hold
        self._unwrap = envelope.unwrap
        self._joined: dict[object, Sink] = {}
        self._counts: dict[Sink, int] = {}
        self._exact: dict[Any, tuple[Sink, ...]] = {}
        self._patterns: tuple[Sink, ...] = ()
        self._routes: dict[Any, _Route] = {}
        self._messages: abc.DisposableBase | None = None

    def join(self, sink: Sink) -> abc.DisposableBase:
        """Pass messages on to a sink, and stay connected, until disposed; from any thread."""
        token = object()
        self.loop.run(lambda: self._join(token, sink))
        held = self._hold()

        def leave() -> None:
            self.loop.run(lambda: self._leave(token))
            held.dispose()

        return Disposable(leave)

    def changed(self, sink: Sink) -> None:
        """Somebody came to a sink, or left it."""
        if not sink.pattern.unbound and sink.pattern.topic in self._routes:
            self._routes[sink.pattern.topic] = self._route(sink.pattern.topic)

    def failed(self, topic: str, error: Exception) -> None:
        """A payload has no value; what was raised has a text and frames that hold the payload."""
        at, shown = self.loop.wall_time(), Undecodable(why_undecodable(error))
        self.publisher.publish(TopicFailed(topic=topic, error=shown, at=at))

    def _join(self, token: object, sink: Sink) -> None:
        self._joined[token] = sink
        self._counts[sink] = self._counts.get(sink, 0) + 1
        if self._counts[sink] == 1:
            self._add(sink)
        if self._messages is None:
            self._messages = self.publisher.messages.passive().subscribe(
                self._message, self._ended, self._ended
            )

    def _leave(self, token: object) -> None:
        sink = self._joined.pop(token, None)
        if sink is None:
            return  # the socket ended since
        self._counts[sink] -= 1
        if not self._counts[sink]:
            del self._counts[sink]
            self._remove(sink)
        if not self._joined and self._messages is not None:
            messages, self._messages = self._messages, None
            messages.dispose()

    def _add(self, sink: Sink) -> None:
        if sink.pattern.unbound:
            self._patterns = (*self._patterns, sink)
            self._route_all()
        else:
            topic = sink.pattern.topic
            self._exact[topic] = (*self._exact.get(topic, ()), sink)
            self._routes[topic] = self._route(topic)

    def _remove(self, sink: Sink) -> None:
        if sink.pattern.unbound:
            self._patterns = tuple(other for other in self._patterns if other is not sink)
            self._route_all()
            return
        topic = sink.pattern.topic
        rest = tuple(other for other in self._exact.pop(topic) if other is not sink)
        self._routes.pop(topic)
        if rest:
            self._exact[topic] = rest
            self._routes[topic] = self._route(topic)

    def _route_all(self) -> None:
        self._routes = {topic: self._route(topic) for topic in self._exact}

    def _route(self, topic: Any) -> _Route:
        sinks = self._exact.get(topic, ()) + self._matching(topic)
        if len(sinks) != 1 or sinks[0].pattern.unbound:
            return None, None, sinks
        return sinks[0].convert, sinks[0].only, sinks

    def _matching(self, topic: Any) -> tuple[Sink, ...]:
        if not isinstance(topic, str):
            return ()
        return tuple(sink for sink in self._patterns if sink.pattern.matches(topic))

    def _message(self, message: Any) -> None:
        try:
            unwrapped = self._unwrap(message)
            if unwrapped is None:
                return
            topic, data = unwrapped
            route = self._routes.get(topic)
        except Exception as error:  # a user's envelope; the message may be of no topic
            self.publisher.report("envelope.unwrap", "listeners", error)
            return
        if route is None:
            route = self._route(topic)
            if len(self._routes) < MAX_ROUTES:
                self._routes[topic] = route
        convert, fence, sinks = route
        if fence is None or convert is None or self.loop.timing is not None:
            for sink in sinks:
                sink.receive(topic, data)
            return
        try:
            value = convert(data)
        except Exception as error:
            self.failed(topic, error)
            return
        if fence.live:  # what SafeObserver.on_next does, without the call of it
            try:
                fence.run(fence.next, value)
            except Exception as error:
                fence.raised(error)

    def _ended(self, error: Exception | None = None) -> None:
        sinks = tuple(self._counts)
        self._joined.clear()
        self._counts.clear()
        self._exact.clear()
        self._routes.clear()
        self._patterns, self._messages = (), None
        for sink in sinks:
            sink.end(error)


T = TypeVar("T")


class Listener(CheckedObservable[T]):
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


class Topics:
    """The topics of one socket.

    Args:
        engine: The running parts of the socket.
        envelope: How a topic and a payload are one message.
    """

    def __init__(self, engine: Engine, envelope: Envelope) -> None:
        self._engine = engine
        self._envelope = envelope
        self._dispatch = Dispatch(engine.loop, engine.publisher, engine.connect, envelope)
        # A sink lives as long as somebody has a listener of it, or is subscribed to one.
        self._sinks: WeakValueDictionary[tuple[str, Any], Sink] = WeakValueDictionary()

    def listener(self, topic: str, type: Any) -> Listener[Any]:
        """See ``Socket.listener``."""
        return Listener(self.sink, Pattern(topic), type)

    def emitter(self, topic: str, mapper: Callable[[T], Any] | None) -> Emitter[T]:
        """See ``Socket.emitter``."""
        checked = None if mapper is None else function("mapper", mapper)
        engine, pattern = self._engine, Pattern(topic)
        return Emitter(engine.send_value, engine.report_not_sent, self._envelope, pattern, checked)

    def sink(self, pattern: Pattern, type: Any) -> Sink:
        """Who passes a topic's payloads on as values of a type: one for all of its listeners."""
        key = (pattern.text, type)
        with self._engine.loop.lock:
            sink = self._sinks.get(key)
            if sink is None:
                sink = self._sinks[key] = Sink(pattern, type, self._dispatch)
            return sink
