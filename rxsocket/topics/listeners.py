"""Listeners: the payloads of a topic, as an Observable of their type.

From a message to the listeners of its topic there is one look-up, whatever the number of topics::

    message ── unwrap ── topic ── routes[topic] ──┬─ hub (topic, type) ── its listeners
               once a message      one look-up    └─ hub (pattern, type)

The first message of a topic is matched against each pattern with unbound parameters; the result is
kept. The route of a topic with one listener leads straight to it: with many topics, what a message
touches for each is not in the processor's cache.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias, TypeVar
from weakref import WeakValueDictionary

from reactivex import abc

from rxsocket.connection.decoding import why_undecodable
from rxsocket.engine.engine import Engine
from rxsocket.errors import Undecodable
from rxsocket.event_text import event_text, event_type
from rxsocket.events import TopicFailed
from rxsocket.hooks import without
from rxsocket.publishing.publisher import Publisher
from rxsocket.streams.multicast import HubSubscription, RoutedHub
from rxsocket.streams.stream import CheckedObservable
from rxsocket.topics.topic import Emitter, Envelope, Pattern, converter
from rxsocket.validation import function

T = TypeVar("T")

MAX_ROUTES = 4096
"""Topics whose route is kept: the number of topics of a server has no bound."""
MAX_ROUTE_BYTES = 2**20
"""Bytes of their names."""


class TopicHub(RoutedHub[Any]):
    """The listeners of one pattern and type; a payload is converted once for all of them.

    Attributes:
        pattern: The topic, or the pattern of topics.
        convert: Converts a payload to the type.
    """

    __slots__ = ("__weakref__", "_topics", "convert", "pattern")

    def __init__(self, pattern: Pattern, type: Any, topics: Topics) -> None:
        super().__init__(
            f"listener {pattern.text}",
            topics.loop,
            topics.publisher.report,
            topics.connect,
            topics.publisher.read_gate,
            on_first=topics.add_hub,
            on_last=topics.remove_hub,
        )
        self.pattern = pattern
        self.convert = converter(type)
        self._topics = topics

    @property
    def only_observer(self) -> HubSubscription[Any] | None:
        return self._observers[0] if len(self._observers) == 1 else None

    def _add(self, observer: HubSubscription[Any]) -> None:
        super()._add(observer)
        self._topics.refresh_route(self)

    def _remove(self, observer: HubSubscription[Any]) -> None:
        super()._remove(observer)
        self._topics.refresh_route(self)


_Route: TypeAlias = tuple[tuple[TopicHub, ...], Callable[[Any], Any], Callable[[Any], None] | None]
"""All hubs of a topic; ``convert`` of the first, and ``on_next`` of the listener if it is one."""


def _keep(data: Any) -> Any:
    return data


class EventEnvelope:
    """Of an event stream: the topic of a message is the type of its event (C50).

    Args:
        publisher: What delivers the messages.
        are_texts: Whether there is no codec: then a listener decodes what it wants of another type.
    """

    def __init__(self, publisher: Publisher, *, are_texts: bool) -> None:
        self._publisher = publisher
        self._are_texts = are_texts
        publisher.messages.holds_sources = True

    def wrap(self, topic: str, data: Any) -> Any:
        return data  # it is never sent

    def unwrap(self, message: Any) -> tuple[Any, Any]:
        """The type and the message: what a codec made of it has none, but what it came as."""
        publisher = self._publisher
        topic = event_type(publisher.messages.source or publisher.source)
        return topic, event_text(message) if self._are_texts and type(message) is str else message


class Topics:
    """The topics of one socket, and the hubs that they are routed to."""

    def __init__(self, engine: Engine, envelope: Envelope) -> None:
        self.loop = engine.loop
        self.publisher = engine.publisher
        self.connect = engine.connect_observer
        self._engine = engine
        self._envelope = envelope
        self._unwrap = envelope.unwrap
        # A hub lives as long as a listener of it, or an observer of one.
        self._hubs: WeakValueDictionary[tuple[str, Any], TopicHub] = WeakValueDictionary()
        self._exact: dict[str, tuple[TopicHub, ...]] = {}
        self._patterns: tuple[TopicHub, ...] = ()
        self._routes: dict[str, _Route] = {}
        self._route_bytes = 0
        self._messages: abc.DisposableBase | None = None
        self._reported_in: int | None = None

    # --- from any thread

    def listener(self, topic: str, type: Any) -> Listener[Any]:
        return Listener(self, Pattern(topic), type)

    def emitter(self, topic: str, mapper: Callable[[T], Any] | None) -> Emitter[T]:
        checked = None if mapper is None else function("mapper", mapper)
        engine, pattern = self._engine, Pattern(topic)
        masked, send = self.publisher.history.as_read, engine.send_value
        return Emitter(send, engine.report_not_sent, self._envelope, pattern, checked, masked)

    def hub(self, pattern: Pattern, type: Any) -> TopicHub:
        """The hub that all listeners of a pattern and type share."""
        converter(type)  # says what is wrong with one that nothing can be decoded into
        key = (pattern.text, type)
        with self.loop.lock:
            hub = self._hubs.get(key)
            if hub is None:
                hub = self._hubs[key] = TopicHub(pattern, type, self)
            return hub

    # --- routes, on the loop

    def add_hub(self, hub: TopicHub) -> None:
        """Route messages to a hub, as it is observed."""
        if self._messages is None:
            self._messages = self.publisher.messages.passive().subscribe(
                self._on_message, self._end, self._end
            )
        if hub.pattern.unbound:
            self._patterns = (*self._patterns, hub)
            self._forget_routes()
        else:
            topic = hub.pattern.topic
            self._exact[topic] = (*self._exact.get(topic, ()), hub)
            self._routes[topic] = self._find_route(topic)

    def remove_hub(self, hub: TopicHub) -> None:
        """Route nothing to a hub, as it is not observed any more."""
        if hub.pattern.unbound:
            self._patterns = without(self._patterns, hub)
            self._forget_routes()
        else:
            topic = hub.pattern.topic
            rest = without(self._exact.pop(topic), hub)
            self._routes.pop(topic)
            if rest:
                self._exact[topic] = rest
                self._routes[topic] = self._find_route(topic)
        if not (self._exact or self._patterns) and self._messages is not None:
            messages, self._messages = self._messages, None
            messages.dispose()

    def refresh_route(self, hub: TopicHub) -> None:
        """Find the route of a hub's topic again, as its observers changed."""
        if not hub.pattern.unbound and hub.pattern.topic in self._exact:
            self._routes[hub.pattern.topic] = self._find_route(hub.pattern.topic)

    def _forget_routes(self) -> None:
        self._routes = {topic: self._find_route(topic) for topic in self._exact}
        self._route_bytes = 0

    def _find_route(self, topic: str) -> _Route:
        hubs = [
            *self._exact.get(topic, ()),
            *(hub for hub in self._patterns if hub.pattern.matches(topic)),
        ]
        if not hubs:
            return (), _keep, None
        first, *others = hubs
        observer = first.only_observer
        if observer is None or others or first.pattern.unbound:
            return tuple(hubs), first.convert, None
        return (first,), first.convert, observer.on_next

    # --- messages, on the loop

    def _on_message(self, message: Any) -> None:
        try:
            unwrapped = self._unwrap(message)
            if unwrapped is None:
                return
            topic, data = unwrapped
            try:
                route = self._routes.get(topic)
            except TypeError:  # a list, such as no topic is
                route = None
            if route is None:
                route = self._new_route(topic)
        except BaseException as error:  # of a user's envelope; the message may be of no topic
            self._report(error)
            return
        hubs, convert, on_next = route
        if on_next is None or self.loop.timing is not None:
            for hub in hubs:
                self._emit(hub, topic, data)
            return
        try:
            value = convert(data)
        except BaseException as error:
            self._fail(topic, error)
            return
        on_next(value)

    def _new_route(self, topic: Any) -> _Route:
        if not isinstance(topic, str):
            kind = type(topic).__name__
            text = f"a topic is a string, not {kind}; pass envelope= for other messages"
            if self._is_first_of_epoch():
                self._publish_failed(repr(topic), text)
            return (), _keep, None
        route = self._find_route(topic)
        size = self._route_bytes + len(topic)
        if len(self._routes) < MAX_ROUTES and size <= MAX_ROUTE_BYTES:
            self._routes[topic] = route
            self._route_bytes = size
        return route

    def _emit(self, hub: TopicHub, topic: str, data: Any) -> None:
        try:
            value = hub.convert(data)
        except BaseException as error:
            self._fail(topic, error)
            return
        hub.emit(value)

    def _fail(self, topic: str, error: BaseException) -> None:
        """Publish that a payload cannot be converted, without text and frames that may quote it."""
        self._publish_failed(topic, why_undecodable(error))
        self.loop.exit_later(error)

    def _publish_failed(self, topic: str, why: str) -> None:
        at, error = self.loop.wall_time(), Undecodable(why)
        topic = self.publisher.history.as_read(topic)  # it may be named by a key
        self.publisher.publish(TopicFailed(topic=topic, error=error, at=at))

    def _report(self, error: BaseException) -> None:
        if self._is_first_of_epoch():
            self.publisher.report("envelope.unwrap", "listeners", error, detached=False)
        else:
            self.loop.exit_later(error)

    def _is_first_of_epoch(self) -> bool:
        """Whether nothing was said of a message yet: it may be so with every message."""
        epoch, reported = self.publisher.delivering_epoch, self._reported_in
        self._reported_in = epoch
        return epoch is None or epoch != reported

    def _end(self, error: Exception | None = None) -> None:
        hubs = dict.fromkeys(hub for hubs in self._exact.values() for hub in hubs)
        hubs.update(dict.fromkeys(self._patterns))
        self._exact.clear()
        self._routes.clear()
        self._route_bytes = 0
        self._patterns, self._messages, self._reported_in = (), None, None
        for hub in hubs:
            hub.end(error)


class Listener(CheckedObservable[T]):
    """The payloads of one topic; ``socket.listener``.

    Subscribing connects (rule C1, lazy and shared), and outlives every reconnect. A payload that
    does not decode into the type is a ``TopicFailed`` on ``errors``; nothing else is lost. With
    unbound parameters it gets every topic that matches.

    ::

        messages                   --{chat/1: a}--{chat/2: b}--{chat/1: 7}--{news: c}--
        listener("chat/1", str)    --a-------------------------(errors)---------------
        listener("chat/:room")     --a------------b------------7----------------------

    Examples:
        >>> chat = socket.listener("chat/:room", type=ChatMessage)
        >>> chat.with_params(room=1).subscribe(lambda message: print(message.text))
    """

    def __init__(self, topics: Topics, pattern: Pattern, type: Any) -> None:
        self._topics = topics
        self._pattern = pattern
        self._hub = topics.hub(pattern, type)
        super().__init__(f"listener {pattern.text}", origin=self._hub)
        self._type = type

    def __repr__(self) -> str:
        return f"<Listener {self._topics.publisher.history.as_read(self._pattern.text)}>"

    def with_params(self, **params: Any) -> Listener[T]:
        """The same listener with values for parameters: ``.with_params(room=1)``.

        Raises:
            ValueError: If there is no such parameter, or the value cannot be a segment.
        """
        return Listener(self._topics, self._pattern.bind(params), self._type)

    def _subscribe_core(
        self, observer: abc.ObserverBase[T], scheduler: abc.SchedulerBase | None = None
    ) -> abc.DisposableBase:
        return self._hub.add_observer(observer)
