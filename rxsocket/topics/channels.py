"""The channels of one socket: which subscriptions the open connection has to carry (C19, C22).

::

    open, epoch 2 ── greeting: a subscribe message for each that is wanted ── what was queued ── …
    message ── by(message) ── keyed[by][key] ── its channels         one look-up for each ``by``
                        `──── each channel that has a ``match``

All of it happens on the home loop, but for ``channel`` and ``join``.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Hashable
from typing import Any
from weakref import WeakValueDictionary

from reactivex import abc
from reactivex.disposable import Disposable

from rxsocket.arguments import callback
from rxsocket.engine import Engine
from rxsocket.errors import SubscriptionRefused
from rxsocket.streams import observer_name
from rxsocket.topics.channel import Channel
from rxsocket.topics.envelope import Envelope
from rxsocket.topics.subscription import Answer, Frame, Subscription
from rxsocket.transports.seam import Link

__all__ = ["Channels", "Greeting"]


class Channels:
    """The channels of one socket.

    Args:
        engine: The running parts of the socket.
        envelope: Where a message's topic is, the key of channels that say no other.
    """

    def __init__(self, engine: Engine, envelope: Envelope) -> None:
        self.home = engine.home
        self.publisher = engine.publisher
        self._engine = engine
        self._outbox = engine.outbox
        self._outbox.greeting = self._greeting
        self._envelope = envelope
        self._known: WeakValueDictionary[Hashable, Subscription] = WeakValueDictionary()
        self._subscriptions: dict[Subscription, None] = {}
        self._joined: dict[object, Channel] = {}
        self._counts: dict[Channel, int] = {}
        self._keyed: dict[Callable[[Any], Any], dict[Any, tuple[Channel, ...]]] = {}
        self._matching: tuple[Channel, ...] = ()
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
        subscription = self._subscription(subscribe, unsubscribe, acknowledged)
        name = repr(key) if match is None else _name(match)
        return Channel(name, self, subscription, match, by or self._topic, key)

    def join(self, channel: Channel) -> abc.DisposableBase:
        """Want a channel, and stay connected, until disposed; from any thread."""
        token = object()
        self.home.run(lambda: self._join(token, channel))
        held = self._engine.hold()

        def leave() -> None:
            self.home.run(lambda: self._leave(token))
            held.dispose()

        return Disposable(leave)

    def greet(self, link: Link, epoch: int) -> Greeting:
        """Ask for everything that is wanted on a connection that is not delivering yet (C13).

        What it then says is to be passed to :meth:`Greeting.hear`, until it delivers.
        """
        frames = self._asked_for(epoch)
        if frames:
            link.write(frames)
        return Greeting(self, epoch)

    # --- on the wire

    def _subscription(
        self, subscribe: Any, unsubscribe: Any, acknowledged: Answer | None
    ) -> Subscription:
        """What is asked of the server: the same message is asked for once, whoever wants it."""
        asking = self._frame("subscribe", subscribe)
        ending = None if unsubscribe is None else self._frame("unsubscribe", unsubscribe)
        same: Hashable = subscribe if callable(subscribe) else asking()
        with self.home.lock:
            found = self._known.get(same)
            if found is None:
                found = self._known[same] = Subscription(asking, ending, acknowledged)
            return found

    def _frame(self, name: str, value: Any) -> Frame:
        make: Callable[[], Any] = value if callable(value) else lambda: value

        def frame() -> str | bytes:
            data, _ = self._engine.encode_value(make())
            if not isinstance(data, (str, bytes)):
                raise TypeError(f"{name}: pass one whole message, not fragments")
            return data

        if not callable(value):
            frame()  # what cannot be sent fails here, at once
        return frame

    def _greeting(self, epoch: int) -> list[str | bytes]:
        """What a connection that delivers from now on is told first."""
        frames = self._asked_for(epoch)
        for subscription in list(self._subscriptions):
            if not subscription.wanted:
                del self._subscriptions[subscription]
                if epoch in subscription.carried:
                    frames.extend(self._ending(subscription))
            subscription.only(epoch)
        return frames

    def _asked_for(self, epoch: int) -> list[str | bytes]:
        frames: list[str | bytes] = []
        for subscription in list(self._subscriptions):
            if subscription.wanted and epoch not in subscription.carried:
                frame = self._made(subscription)
                if frame is not None:
                    frames.append(frame)
                    subscription.sent(epoch)
        return frames

    def _made(self, subscription: Subscription) -> str | bytes | None:
        try:
            return subscription.subscribe()
        except Exception as error:  # of the user's function: an error of that channel alone
            failure = error
        self.home.run(lambda: self._fail(subscription, failure))
        return None

    def _ending(self, subscription: Subscription) -> list[str | bytes]:
        try:
            return [] if subscription.unsubscribe is None else [subscription.unsubscribe()]
        except Exception as error:  # of the user's function: there is nobody left to fail
            self.publisher.report(observer_name(error), "channel", error)
            return []

    def _want(self, subscription: Subscription) -> None:
        subscription.wanted += 1
        self._subscriptions[subscription] = None
        epoch = self._outbox.epoch
        if epoch is not None and epoch not in subscription.carried:
            frame = self._made(subscription)
            if frame is not None:
                subscription.sent(epoch)
                self._outbox.write(frame)

    def _want_no_more(self, subscription: Subscription) -> None:
        subscription.wanted -= 1
        if subscription.wanted:
            return
        epoch = self._outbox.epoch
        if epoch is not None and epoch in subscription.carried:
            for frame in self._ending(subscription):
                self._outbox.write(frame)
            subscription.gone(epoch)
        if not subscription.carried:
            self._subscriptions.pop(subscription, None)

    # --- who subscribes

    def _join(self, token: object, channel: Channel) -> None:
        self._joined[token] = channel
        self._counts[channel] = self._counts.get(channel, 0) + 1
        if self._counts[channel] == 1:
            self._add(channel)
        if self._messages is None:
            self._messages = self.publisher.messages.passive().subscribe(
                self._message, self._ended, self._ended
            )
        self._want(channel.subscription)

    def _leave(self, token: object) -> None:
        channel = self._joined.pop(token, None)
        if channel is None:
            return  # it was refused, or the socket ended since
        self._counts[channel] -= 1
        if not self._counts[channel]:
            self._remove(channel)
        self._want_no_more(channel.subscription)
        self._rest()

    def _rest(self) -> None:
        if not self._joined and self._messages is not None:
            messages, self._messages = self._messages, None
            messages.dispose()

    def _add(self, channel: Channel) -> None:
        if channel.match is not None:
            self._matching = (*self._matching, channel)
        else:
            keys = self._keyed.setdefault(channel.by, {})
            keys[channel.key] = (*keys.get(channel.key, ()), channel)

    def _remove(self, channel: Channel) -> None:
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

    # --- messages

    def _message(self, message: Any) -> None:
        epoch = self._outbox.epoch
        if epoch is not None:
            self.hear(epoch, message)
        for by, keys in tuple(self._keyed.items()):
            for channel in self._of_key(by, keys, message):
                channel.emit(message)
        for channel in self._matching:
            if channel.match is not None and self._asked(channel.match, message):
                channel.emit(message)

    def _of_key(
        self, by: Callable[[Any], Any], keys: dict[Any, tuple[Channel, ...]], message: Any
    ) -> tuple[Channel, ...]:
        try:
            return keys.get(by(message), ())
        except Exception as error:
            self._report(by, error)
            return ()

    def _topic(self, message: Any) -> Any:
        unwrapped = self._envelope.unwrap(message)
        return None if unwrapped is None else unwrapped[0]

    def hear(self, epoch: int, message: Any) -> None:
        """See whether a message of a connection answers a subscription."""
        for subscription in tuple(self._subscriptions):
            if epoch not in subscription.pending or subscription.acknowledged is None:
                continue
            answer = self._asked(subscription.acknowledged, message)
            if answer is None:
                continue
            subscription.pending.discard(epoch)
            if answer is True:
                continue
            subscription.gone(epoch)
            refused = SubscriptionRefused("the server refused the subscription")
            self._fail(subscription, answer if isinstance(answer, Exception) else refused)

    def waits(self, epoch: int) -> bool:
        """Whether answers are still to come on a connection."""
        return any(epoch in subscription.pending for subscription in self._subscriptions)

    def _asked(self, function: Callable[[Any], Any], message: Any) -> Any:
        """What a user's function says of a message; it may not know what to make of any."""
        try:
            return function(message)
        except Exception as error:
            self._report(function, error)
            return None

    def _report(self, function: Callable[..., Any], error: Exception) -> None:
        if function not in self._reported:  # once: it may raise at every message
            self._reported.add(function)
            self.publisher.report(observer_name(error), "channel", error)

    def _fail(self, subscription: Subscription, error: Exception) -> None:
        """An error of the channels of one subscription alone."""
        self._subscriptions.pop(subscription, None)
        subscription.wanted = 0
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
        for subscription in self._subscriptions:
            subscription.wanted = 0
        self._subscriptions.clear()
        self._joined.clear()
        self._counts.clear()
        self._keyed.clear()
        self._matching, self._messages = (), None
        for channel in channels:
            channel.end(error)


class Greeting:
    """What a connection that does not deliver yet was asked for; it is ready when all is answered.

    Examples:
        >>> greeting = channels.greet(link, epoch)    # the link was opened, messages are held back
        >>> greeting.hear(message)                    # for each message of that link
        >>> await greeting.acknowledged()             # handover(ready=acknowledged)
    """

    def __init__(self, channels: Channels, epoch: int) -> None:
        self._channels = channels
        self._epoch = epoch
        self._answered = asyncio.Event()
        self._look()

    @property
    def done(self) -> bool:
        """Whether every subscription has its answer."""
        return self._answered.is_set()

    def hear(self, message: Any) -> None:
        """The connection says something."""
        self._channels.hear(self._epoch, message)
        self._look()

    async def acknowledged(self) -> None:
        """Return when every subscription has its answer; a refused one has failed its channel."""
        await self._answered.wait()

    def _look(self) -> None:
        if not self._channels.waits(self._epoch):
            self._answered.set()


def _name(function: Callable[..., Any]) -> str:
    """The name of a user's function."""
    return getattr(function, "__qualname__", type(function).__name__)
