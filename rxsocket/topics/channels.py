"""Who subscribes to the channels of one socket, and which messages go to whom (C22).

::

    message ── by(message) ── keyed[by][key] ── its channels         one look-up for each ``by``
                        `──── each channel that has a ``match``

All of it happens on the loop of the socket, but for ``channel`` and ``join``.


Channels: messages that a server sends because it was asked to, by message (C22).
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any

from reactivex import abc
from reactivex.disposable import Disposable

from rxsocket.engine.engine import Engine
from rxsocket.runtime.loop import SocketLoop
from rxsocket.streams.multicast import Hub, Report, observer_name
from rxsocket.streams.stream import Stream
from rxsocket.topics.subscriptions import Answer, Subscription, Subscriptions
from rxsocket.topics.topic import Envelope
from rxsocket.validation import callback

__all__ = ["Channel", "ChannelHub", "Channels"]


class ChannelHub(Hub[Any]):
    """The observers of one channel, and what it is.

    Attributes:
        match: Whether a message is of this channel, when there is no key.
        by: What a message's key is.
        key: The key of this channel's messages.
        subscription: What is asked of the server.
    """

    __slots__ = ("by", "key", "match", "subscription")

    def __init__(
        self,
        name: str,
        loop: SocketLoop,
        report: Report,
        join: Callable[[ChannelHub], abc.DisposableBase],
        subscription: Subscription,
        match: Callable[[Any], object] | None,
        by: Callable[[Any], Any],
        key: Hashable,
    ) -> None:
        super().__init__(f"channel {name}", loop, report, lambda: join(self))
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
    """The channels of one socket.

    Args:
        engine: The running parts of the socket.
        envelope: Where a message's topic is, the key of channels that say no other.

    Attributes:
        subscriptions: What they ask of the server.
    """

    def __init__(self, engine: Engine, envelope: Envelope) -> None:
        self.loop = engine.loop
        self.publisher = engine.publisher
        self.subscriptions = Subscriptions(engine, self._fail, self._report)
        self._engine = engine
        self._envelope = envelope
        self._joined: dict[object, ChannelHub] = {}
        self._counts: dict[ChannelHub, int] = {}
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
        """See ``Socket.channel``."""
        if (match is None) == (key is None):
            raise ValueError(
                "match, key: pass one of them, to tell which messages are of a channel"
            )
        if by is not None and key is None:
            raise ValueError("by: pass key= with it, or match= instead of both")
        for name, given in (("match", match), ("by", by), ("acknowledged", acknowledged)):
            if given is not None:
                callback(name, given)
        hash(key)  # what cannot be looked up fails here, at once
        subscription = self.subscriptions.subscription(subscribe, unsubscribe, acknowledged)
        name = repr(key) if match is None else getattr(match, "__qualname__", type(match).__name__)
        report = self.publisher.report
        by = by or self._topic
        return Channel(ChannelHub(name, self.loop, report, self.join, subscription, match, by, key))

    def join(self, channel: ChannelHub) -> abc.DisposableBase:
        """Want a channel, and stay connected, until disposed; from any thread."""
        token = object()
        self.loop.run(lambda: self._join(token, channel))
        held = self._engine.connect()

        def leave() -> None:
            self.loop.run(lambda: self._leave(token))
            held.dispose()

        return Disposable(leave)

    # --- who subscribes

    def _join(self, token: object, channel: ChannelHub) -> None:
        self._joined[token] = channel
        self._counts[channel] = self._counts.get(channel, 0) + 1
        if self._counts[channel] == 1:
            self._add(channel)
        if self._messages is None:
            self._messages = self.publisher.messages.passive().subscribe(
                self._message, self._ended, self._ended
            )
        self.subscriptions.want(channel.subscription)

    def _leave(self, token: object) -> None:
        channel = self._joined.pop(token, None)
        if channel is None:
            return  # it was refused, or the socket ended since
        self._counts[channel] -= 1
        if not self._counts[channel]:
            self._remove(channel)
        self.subscriptions.want_no_more(channel.subscription)
        self._rest()

    def _rest(self) -> None:
        if not self._joined and self._messages is not None:
            messages, self._messages = self._messages, None
            messages.dispose()

    def _add(self, channel: ChannelHub) -> None:
        if channel.match is not None:
            self._matching = (*self._matching, channel)
        else:
            keys = self._keyed.setdefault(channel.by, {})
            keys[channel.key] = (*keys.get(channel.key, ()), channel)

    def _remove(self, channel: ChannelHub) -> None:
        del self._counts[channel]
        if channel.match is not None:
            self._matching = tuple(other for other in self._matching if other is not channel)
            return
        keys = self._keyed[channel.by]
        rest = tuple(other for other in keys.pop(channel.key) if other is not channel)
        if rest:
            keys[channel.key] = rest
        elif not keys:
            del self._keyed[channel.by]

    def _fail(self, subscription: Subscription, error: Exception) -> None:
        """An error of the channels of one subscription alone."""
        self.subscriptions.forget(subscription)
        failed = {
            token: channel
            for token, channel in self._joined.items()
            if channel.subscription is subscription
        }
        for token in failed:
            del self._joined[token]
        for channel in dict.fromkeys(failed.values()):
            self._remove(channel)
            channel.end(error)
        self._rest()

    def _ended(self, error: Exception | None = None) -> None:
        channels = tuple(self._counts)
        self.subscriptions.clear()
        self._joined.clear()
        self._counts.clear()
        self._keyed.clear()
        self._matching, self._messages = (), None
        for channel in channels:
            channel.end(error)

    # --- messages

    def _message(self, message: Any) -> None:
        epoch = self._engine.outbox.epoch
        if epoch is not None:
            self.subscriptions.hear(epoch, message)
        for by, keys in tuple(self._keyed.items()):
            for channel in keys.get(self._key(by, message), ()):
                channel.emit(message)
        for channel in self._matching:
            if channel.match is not None and self._matches(channel.match, message):
                channel.emit(message)

    def _topic(self, message: Any) -> Any:
        unwrapped = self._envelope.unwrap(message)
        return None if unwrapped is None else unwrapped[0]

    def _key(self, by: Callable[[Any], Any], message: Any) -> Hashable:
        try:
            key: Hashable = by(message)
            hash(key)
        except Exception as error:
            self._report(by, error)
            return None
        return key

    def _matches(self, match: Callable[[Any], object], message: Any) -> bool:
        try:
            return bool(match(message))
        except Exception as error:
            self._report(match, error)
            return False

    def _report(self, function: Callable[..., Any], error: Exception) -> None:
        if function not in self._reported:  # once: it may raise at every message
            self._reported.add(function)
            self.publisher.report(observer_name(error), "channel", error)
