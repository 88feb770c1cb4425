"""Channels: the messages of one subscription on the wire, or of many keys (C22, C37).

::

    message ── by(message) ── routes[by][key] ── its channels        one look-up for each ``by``
                        `──── each channel that has a ``match``

``channels`` of many keys is one more channel on the route of each of them.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Any

from reactivex import abc
from reactivex.disposable import CompositeDisposable

from rxsocket.engine.engine import Engine
from rxsocket.events import ChannelFailed, Closed
from rxsocket.hooks import without
from rxsocket.streams.multicast import RoutedHub, observer_name
from rxsocket.streams.stream import Stream
from rxsocket.topics.asking import (
    ChannelOptions,
    ManyOptions,
    group_of_many,
    group_of_one,
    name_of,
)
from rxsocket.topics.subscriptions import (
    Subscription,
    SubscriptionGroup,
    Subscriptions,
    name_of_function,
)
from rxsocket.topics.topic import Envelope

if sys.version_info >= (3, 13):
    from typing import TypeVar
else:
    from typing_extensions import TypeVar

T = TypeVar("T", default=Any)


class ChannelHub(RoutedHub[Any]):
    """The observers of one channel, or of many keys.

    Attributes:
        group: How it is asked for.
        match: Tells whether a message is of it; ``None`` if a key does.
        by: Returns the key of a message.
        keys: The keys of its messages.
        is_merged: Whether it goes on when one of its subscriptions fails.
        subscriptions: What it gets, each with its key, while it is observed.
    """

    __slots__ = ("by", "group", "is_merged", "keys", "match", "subscriptions")

    def __init__(
        self,
        name: str,
        routes: ChannelRoutes,
        group: SubscriptionGroup,
        match: Callable[[Any], object] | None,
        by: Callable[[Any], Any],
        keys: tuple[Hashable, ...],
        *,
        is_merged: bool = False,
    ) -> None:
        super().__init__(
            f"channel {name}",
            routes.loop,
            routes.publisher.report,
            routes.connect,
            routes.publisher.read_gate,
            on_first=routes.add_hub,
            on_last=routes.remove_hub,
        )
        self.group = group
        self.match = match
        self.by = by
        self.keys = keys
        self.is_merged = is_merged
        self.subscriptions: dict[Subscription, Hashable] = {}


class Channel(Stream[T]):
    """The messages of one subscription; ``socket.channel``, or one key of ``socket.channels``.

    Its first subscriber asks for it, its last one that leaves ends it, and each reconnect asks for
    it again, before anything that was queued is sent (rule C19, re-open order).

    ::

        connection    o-----------------x   o-------------
        subscribers   --1--2------------------------0
        on the wire   --S-----------------  S-------U
        messages      ----a--b--other-----  --c------
        channel       ----a--b------------  --c------
    """

    def __init__(self, hub: ChannelHub, masked: Callable[[str], str]) -> None:
        super().__init__(hub)
        self._masked = masked

    def __repr__(self) -> str:
        return self._masked(super().__repr__())  # it may be named by a key


class Channels(Channel[T]):
    """The messages of many keys; ``socket.channels``. ``channels[key]`` is the channel of one.

    However many observe a key, here or by itself, it is asked for once on each connection, in one
    message with others: as many as ``limits=Limits(batch=...)`` says, at the pace of these. A key
    that the server refuses fails alone: whoever observes it gets the error, this stream goes on,
    and ``errors`` names it.

    ::

        keys           A B C D E          batch=2
        on the wire    [AB] [CD] [E]      pace="5/s": 0.2 s apart, also after a reconnect
        answers         ✓✗   ✓✓   ✓
        channels       --a--c--d--a--e-   also while others wait for their turn
        channels[B]    X                  SubscriptionRefused
    """

    def __init__(
        self,
        hub: ChannelHub,
        masked: Callable[[str], str],
        channel_of: Callable[[Hashable], Channel[T]],
    ) -> None:
        super().__init__(hub, masked)
        self._channel_of = channel_of
        self._keys = dict.fromkeys(hub.keys)

    @property
    def keys(self) -> tuple[Hashable, ...]:
        """The keys, in the order in which they are asked for."""
        return tuple(self._keys)

    def __getitem__(self, key: Any) -> Channel[T]:
        """The channel of one key.

        Raises:
            KeyError: If it is not one of the keys.
        """
        if key not in self._keys:
            raise KeyError(f"{key!r} is not one of these {len(self._keys)} keys")
        return self._channel_of(key)


@dataclass(slots=True, eq=False)
class _Route:
    """Where messages of one key go.

    Attributes:
        hubs: Those that get them.
        watched: The subscriptions of which it matters when they were heard of.
    """

    hubs: tuple[ChannelHub, ...] = ()
    watched: tuple[Subscription, ...] = ()


class ChannelRoutes:
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
        self._routes: dict[Callable[[Any], Any], dict[Any, _Route]] = {}
        self._matching: tuple[ChannelHub, ...] = ()
        self._reported: set[Callable[..., Any]] = set()
        self._messages: abc.DisposableBase | None = None

    def channel(self, options: ChannelOptions) -> Channel[Any]:
        group = group_of_one(options, self._engine, self.subscriptions)
        match, key, by = options.match, options.key, options.by or self._topic_of
        hub = ChannelHub(options.name, self, group, match, by, (key,))
        return Channel(hub, self.publisher.history.as_read)

    def channels(self, options: ManyOptions) -> Channels[Any]:
        group = group_of_many(options, self._engine, self.subscriptions)
        by, masked = options.by or self._topic_of, self.publisher.history.as_read

        def channel_of(key: Hashable) -> Channel[Any]:
            return Channel(ChannelHub(name_of(key), self, group, None, by, (key,)), masked)

        name = f"of {len(options.keys):,} keys"
        hub = ChannelHub(name, self, group, None, by, options.keys, is_merged=True)
        return Channels(hub, masked, channel_of)

    # --- which hubs are routed to, on the loop

    def add_hub(self, hub: ChannelHub) -> None:
        """Route messages to a hub, and subscribe on the wire, as it is observed."""
        if self._messages is None:
            self._messages = CompositeDisposable(
                self.publisher.closes.passive().subscribe(self._on_closed, lambda _: None),
                self.publisher.messages.passive().subscribe(self._on_message, self._end, self._end),
            )
        if hub.match is not None:
            self._matching = (*self._matching, hub)
        group = hub.group
        for key in hub.keys:
            place = key if group.is_many else None
            name = name_of(key) if hub.match is None else hub.name.removeprefix("channel ")
            subscription = group.member(place, key, name)
            hub.subscriptions[subscription] = key
            if hub.match is None:
                self._add_route(hub, key, subscription)
            self.subscriptions.want(subscription, hub)
        self.subscriptions.ask(group)

    def remove_hub(self, hub: ChannelHub) -> None:
        """Stop routing to a hub, as it is no longer observed, and unsubscribe on the wire."""
        for subscription in tuple(hub.subscriptions):
            self._stop_routing(hub, subscription)
            self.subscriptions.unwant(subscription, hub)
        self.subscriptions.ask(hub.group)
        self._stop_listening_if_unused()

    def _add_route(self, hub: ChannelHub, key: Hashable, subscription: Subscription) -> None:
        routes = self._routes.setdefault(hub.by, {})
        route = routes.get(key)
        if route is None:
            route = routes[key] = _Route()
        route.hubs = (*route.hubs, hub)
        if hub.group.is_watched:
            route.watched = (*route.watched, subscription)

    def _stop_routing(self, hub: ChannelHub, subscription: Subscription) -> None:
        key = hub.subscriptions.pop(subscription)
        if hub.match is not None:
            self._matching = without(self._matching, hub)
            return
        routes = self._routes[hub.by]
        route = routes[key]
        route.hubs = without(route.hubs, hub)
        if subscription in route.watched:
            watched = list(route.watched)
            watched.remove(subscription)  # once: another hub may have it, too
            route.watched = tuple(watched)
        if not route.hubs:
            del routes[key]
        if not routes:
            del self._routes[hub.by]

    def _stop_listening_if_unused(self) -> None:
        if not (self._routes or self._matching) and self._messages is not None:
            messages, self._messages = self._messages, None
            messages.dispose()

    def _fail(self, subscription: Subscription, error: Exception, epoch: int) -> None:
        hubs, name = subscription.hubs, self.publisher.history.as_read(subscription.name)
        if not hubs:
            return  # it was left meanwhile
        self.subscriptions.discard(subscription, epoch)
        at = self.loop.wall_time()
        self.publisher.publish(ChannelFailed(epoch=epoch, channel=name, error=error, at=at))
        for hub in hubs:
            if subscription in hub.subscriptions:
                self._stop_routing(hub, subscription)
                if not hub.is_merged:
                    hub.end(error)
        self._stop_listening_if_unused()

    def _end(self, error: Exception | None = None) -> None:
        hubs = dict.fromkeys(self._matching)
        for routes in self._routes.values():
            hubs |= dict.fromkeys(hub for route in routes.values() for hub in route.hubs)
        self.subscriptions.clear()
        self._routes.clear()
        self._matching, self._messages = (), None
        for hub in hubs:
            hub.subscriptions.clear()
        for hub in hubs:
            hub.end(error)

    def _on_closed(self, event: Closed) -> None:
        self.subscriptions.on_closed(event.epoch)

    # --- messages, on the loop

    def _on_message(self, message: Any) -> None:
        epoch = self._engine.outbox.epoch
        if epoch is not None:
            self.subscriptions.on_message(epoch, message)
        for by, routes in tuple(self._routes.items()):
            route = routes.get(self._key_of(message, by))
            if route is None:
                continue
            if route.watched:
                self.subscriptions.watch.on_message(route.watched)
            for hub in route.hubs:
                hub.emit(message)
        for hub in self._matching:
            if hub.match is not None and self._matches(hub.match, message):
                if hub.group.is_watched:
                    self.subscriptions.watch.on_message(hub.subscriptions)
                hub.emit(message)

    def _topic_of(self, message: Any) -> Any:
        unwrapped = self._envelope.unwrap(message)
        return None if unwrapped is None else unwrapped[0]

    def _key_of(self, message: Any, by: Callable[[Any], Any]) -> Hashable:
        try:
            key: Hashable = by(message)
        except BaseException as error:
            self._report(by, error)
            return None
        try:
            hash(key)
        except TypeError:
            self._report_key(by, key)
            return None
        except BaseException as error:  # of a class of the user's
            self._report(by, error)
            return None
        return key

    def _report_key(self, by: Callable[[Any], Any], key: Any) -> None:
        name, kind = f"by={name_of_function(by)}", type(key).__name__
        if by == self._topic_of:
            name = "envelope="
        text = f"{name} gave a {kind}; a key can be looked up, such as a str or a tuple"
        self._report(by, TypeError(text), name)

    def _matches(self, match: Callable[[Any], object], message: Any) -> bool:
        try:
            return bool(match(message))
        except BaseException as error:
            self._report(match, error)
            return False

    def _report(self, function: Callable[..., Any], error: BaseException, name: str = "") -> None:
        if function not in self._reported:  # once: every message may fail
            self._reported.add(function)
            name = name or observer_name(error)
            self.publisher.report(name, "channel", error, detached=False)
        else:
            self.loop.exit_later(error)
