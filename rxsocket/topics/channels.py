"""Channels: the messages of one subscription on the wire (C22).

::

    message ── by(message) ── keyed[by][key] ── its channels         one look-up for each ``by``
                        `──── each channel that has a ``match``
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any

from reactivex import abc

from rxsocket.engine.engine import Engine
from rxsocket.hooks import without
from rxsocket.streams.multicast import RoutedHub, observer_name
from rxsocket.streams.stream import Stream
from rxsocket.topics.subscriptions import Answer, Subscription, Subscriptions
from rxsocket.topics.topic import Envelope
from rxsocket.validation import callback


class ChannelHub(RoutedHub[Any]):
    """The observers of one channel.

    Attributes:
        subscription: Its subscription on the wire.
        match: Tells whether a message is of this channel; ``None`` if a key does.
        by: Returns the key of a message.
        key: The key of this channel's messages.
    """

    __slots__ = ("by", "key", "match", "subscription")

    def __init__(
        self,
        name: str,
        channels: Channels,
        subscription: Subscription,
        match: Callable[[Any], object] | None,
        by: Callable[[Any], Any],
        key: Hashable,
    ) -> None:
        super().__init__(
            f"channel {name}",
            channels.loop,
            channels.publisher.report,
            channels.connect,
            channels.publisher.read_gate,
            on_first=channels.add_hub,
            on_last=channels.remove_hub,
        )
        self.subscription = subscription
        self.match = match
        self.by = by
        self.key = key


class Channel(Stream[Any]):
    """The messages of one subscription; ``socket.channel``.

    Its first subscriber asks for it, its last one that leaves ends it, and each reconnect asks for
    it again, before anything that was queued is sent (C19).

    ::

        connection    o-----------------x   o-------------
        subscribers   --1--2------------------------0
        on the wire   --S-----------------  S-------U
        messages      ----a--b--other-----  --c------
        channel       ----a--b------------  --c------
    """


class Channels:
    """The channels of one socket, and the hubs that its messages are routed to.

    Args:
        engine: The running parts of the socket.
        envelope: Finds a message's topic, the key of a message unless a channel has ``by``.

    Attributes:
        subscriptions: Their subscriptions on the wire.
    """

    def __init__(self, engine: Engine, envelope: Envelope) -> None:
        self.loop = engine.loop
        self.publisher = engine.publisher
        self.connect = engine.connect_observer
        self.subscriptions = Subscriptions(engine, self._fail, self._report)
        self._engine = engine
        self._envelope = envelope
        self._keyed: dict[Callable[[Any], Any], dict[Any, tuple[ChannelHub, ...]]] = {}
        self._matching: tuple[ChannelHub, ...] = ()
        self._reported: set[Callable[..., Any]] = set()
        self._messages: abc.DisposableBase | None = None

    def channel(
        self,
        subscribe: Any,
        unsubscribe: Any,
        match: Callable[[Any], object] | None,
        key: Hashable,
        by: Callable[[Any], Any] | None,
        acknowledged: Answer | None,
    ) -> Channel:
        if (match is None) == (key is None):
            raise ValueError(
                "match, key: pass one of them, to tell which messages are of a channel"
            )
        if by is not None and key is None:
            raise ValueError("by: pass key= with it, or match= instead of both")
        for name, given in (("match", match), ("by", by), ("acknowledged", acknowledged)):
            if given is not None:
                callback(name, given)
        hash(key)  # raises at once if it cannot be looked up
        subscription = self.subscriptions.subscription(subscribe, unsubscribe, acknowledged)
        name = repr(key) if match is None else getattr(match, "__qualname__", type(match).__name__)
        return Channel(ChannelHub(name, self, subscription, match, by or self._topic_of, key))

    # --- which hubs are routed to, on the loop

    def add_hub(self, hub: ChannelHub) -> None:
        """Route messages to a hub, and subscribe on the wire, as it is observed."""
        if self._messages is None:
            self._messages = self.publisher.messages.passive().subscribe(
                self._on_message, self._end, self._end
            )
        if hub.match is not None:
            self._matching = (*self._matching, hub)
        else:
            keys = self._keyed.setdefault(hub.by, {})
            keys[hub.key] = (*keys.get(hub.key, ()), hub)
        self.subscriptions.add_channel(hub.subscription)

    def remove_hub(self, hub: ChannelHub) -> None:
        """Stop routing to a hub, as it is no longer observed, and unsubscribe on the wire."""
        self._stop_routing(hub)
        self.subscriptions.remove_channel(hub.subscription)

    def _stop_routing(self, hub: ChannelHub) -> None:
        if hub.match is not None:
            self._matching = without(self._matching, hub)
        else:
            keys = self._keyed[hub.by]
            rest = without(keys.pop(hub.key), hub)
            if rest:
                keys[hub.key] = rest
            elif not keys:
                del self._keyed[hub.by]
        if not (self._keyed or self._matching) and self._messages is not None:
            messages, self._messages = self._messages, None
            messages.dispose()

    def _hubs(self) -> tuple[ChannelHub, ...]:
        keyed = (hub for keys in self._keyed.values() for hubs in keys.values() for hub in hubs)
        return (*self._matching, *keyed)

    def _fail(self, subscription: Subscription, error: Exception) -> None:
        self.subscriptions.discard(subscription)
        for hub in self._hubs():
            if hub.subscription is subscription:
                self._stop_routing(hub)
                hub.end(error)

    def _end(self, error: Exception | None = None) -> None:
        hubs = self._hubs()
        self.subscriptions.clear()
        self._keyed.clear()
        self._matching, self._messages = (), None
        for hub in hubs:
            hub.end(error)

    # --- messages, on the loop

    def _on_message(self, message: Any) -> None:
        epoch = self._engine.outbox.epoch
        if epoch is not None:
            self.subscriptions.on_message(epoch, message)
        for by, keys in tuple(self._keyed.items()):
            for hub in keys.get(self._key_of(message, by), ()):
                hub.emit(message)
        for hub in self._matching:
            if hub.match is not None and self._matches(hub.match, message):
                hub.emit(message)

    def _topic_of(self, message: Any) -> Any:
        unwrapped = self._envelope.unwrap(message)
        return None if unwrapped is None else unwrapped[0]

    def _key_of(self, message: Any, by: Callable[[Any], Any]) -> Hashable:
        try:
            key: Hashable = by(message)
            hash(key)
        except BaseException as error:
            self._report(by, error)
            return None
        return key

    def _matches(self, match: Callable[[Any], object], message: Any) -> bool:
        try:
            return bool(match(message))
        except BaseException as error:
            self._report(match, error)
            return False

    def _report(self, function: Callable[..., Any], error: BaseException) -> None:
        if function not in self._reported:  # once: every message may fail
            self._reported.add(function)
            self.publisher.report(observer_name(error), "channel", error, detached=False)
        else:
            self.loop.exit_later(error)
