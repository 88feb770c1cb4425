"""Subscriptions on the wire: the connections that carry them, and the answers there (C19, C22).

::

    open, epoch 2 ── a subscribe message for each that is wanted ── what was queued ── …
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any
from weakref import WeakValueDictionary

from rxsocket.engine.engine import Engine
from rxsocket.errors import ConnectionLost, SubscriptionRefused
from rxsocket.transports.base import Link

MakeFrame = Callable[[], "str | bytes"]
Answer = Callable[[Any], "bool | Exception | None"]


@dataclass(slots=True, weakref_slot=True, eq=False)
class Subscription:
    """One subscription on the wire, however many channels share it (C22).

    Attributes:
        subscribe: Makes the subscribe message.
        unsubscribe: Makes the unsubscribe message, if there is one.
        acknowledged: Tells whether a message is the answer; ``None`` if it is not.
        channels: The number of channels with subscribers.
        carried: The epochs that carried the subscribe message.
        unanswered: Those of them without an answer yet.
    """

    subscribe: MakeFrame
    unsubscribe: MakeFrame | None
    acknowledged: Answer | None
    channels: int = 0
    carried: set[int] = field(default_factory=set[int])
    unanswered: set[int] = field(default_factory=set[int])

    def add_epoch(self, epoch: int) -> None:
        self.carried.add(epoch)
        if self.acknowledged is not None:
            self.unanswered.add(epoch)

    def discard_epoch(self, epoch: int) -> None:
        self.carried.discard(epoch)
        self.unanswered.discard(epoch)

    def keep_epoch(self, epoch: int) -> None:
        self.carried &= {epoch}
        self.unanswered &= {epoch}


class Subscriptions:
    """The subscriptions of one socket; on its loop, but for ``subscription``.

    Args:
        engine: The running parts of the socket.
        fail: Called with a subscription that was refused, or whose message cannot be made.
        report: Called with a user's function, and the exception that it raised.
    """

    def __init__(
        self,
        engine: Engine,
        fail: Callable[[Subscription, Exception], None],
        report: Callable[[Callable[..., Any], BaseException], None],
    ) -> None:
        self.loop = engine.loop
        self._engine = engine
        self._outbox = engine.outbox
        engine.hooks.opening_frames = self._opening_frames
        engine.hooks.subscribe_early = self.subscribe_early
        self._fail = fail
        self._report = report
        self._known: WeakValueDictionary[Hashable, Subscription] = WeakValueDictionary()
        self._all: dict[Subscription, None] = {}

    def subscription(
        self, subscribe: Any, unsubscribe: Any, acknowledged: Answer | None
    ) -> Subscription:
        """The subscription that all channels with this subscribe message share; any thread."""
        asking = self._frame("subscribe", subscribe)
        ending = None if unsubscribe is None else self._frame("unsubscribe", unsubscribe)
        same: Hashable = subscribe if callable(subscribe) else asking()
        with self.loop.lock:
            found = self._known.get(same)
            if found is None:
                found = self._known[same] = Subscription(asking, ending, acknowledged)
            return found

    def add_channel(self, subscription: Subscription) -> None:
        """Subscribe for one more channel, unless the connection carries it already."""
        subscription.channels += 1
        self._all[subscription] = None
        epoch = self._outbox.epoch
        if epoch is not None and epoch not in subscription.carried:
            frame = self._subscribe_frame(subscription)
            if frame is not None:
                subscription.add_epoch(epoch)
                self._outbox.write(frame)

    def remove_channel(self, subscription: Subscription) -> None:
        """Unsubscribe with the last of the channels, if the connection carries it."""
        subscription.channels -= 1
        if subscription.channels:
            return
        epoch = self._outbox.epoch
        if epoch is not None and epoch in subscription.carried:
            for frame in self._unsubscribe_frames(subscription):
                self._outbox.write(frame)
            subscription.discard_epoch(epoch)
        if not subscription.carried:
            self._all.pop(subscription, None)

    def discard(self, subscription: Subscription) -> None:
        self._all.pop(subscription, None)
        subscription.channels = 0

    def clear(self) -> None:
        for subscription in tuple(self._all):
            self.discard(subscription)

    def on_message(self, epoch: int, message: Any) -> None:
        """Take a message of a connection, which may be an answer."""
        for subscription in tuple(self._all):
            if epoch not in subscription.unanswered:
                continue
            answer = self.answer(subscription, message)
            if answer is None:
                continue
            subscription.unanswered.discard(epoch)
            if answer is True:
                continue
            subscription.discard_epoch(epoch)
            refused = SubscriptionRefused("the server refused the subscription")
            self._fail(subscription, answer if isinstance(answer, Exception) else refused)

    def answer(self, subscription: Subscription, message: Any) -> bool | Exception | None:
        """The answer of a message to a subscription; ``None`` if it is not one."""
        if subscription.acknowledged is None:
            return None
        try:
            return subscription.acknowledged(message)
        except BaseException as error:  # of the user's function
            self._report(subscription.acknowledged, error)
            return None

    def received(self, message: Any) -> Any:
        """A message after the interceptors, as observers get it."""
        for intercept in self._engine.hooks.after_receive:
            message = intercept(message)
        return message

    def subscribe_early(self, link: Link, epoch: int) -> EarlySubscriptions:
        """Subscribe on a connection that is not delivering yet (C13).

        Its messages go to :meth:`EarlySubscriptions.on_message` until it delivers. The outbox does
        not subscribe again when it opens the connection.
        """
        frames = self._subscribe_frames(epoch)
        if frames:
            with suppress(ConnectionLost):  # the transport reports the end
                link.write(frames)
        asked = [subscription for subscription in self._all if epoch in subscription.unanswered]
        return EarlySubscriptions(self, asked)

    def _opening_frames(self, epoch: int) -> list[str | bytes]:
        """The first messages to write on a connection that delivers from now on."""
        frames = self._subscribe_frames(epoch)
        for subscription in tuple(self._all):
            if not subscription.channels:
                del self._all[subscription]
                if epoch in subscription.carried:
                    frames.extend(self._unsubscribe_frames(subscription))
            subscription.keep_epoch(epoch)
        return frames

    def _subscribe_frames(self, epoch: int) -> list[str | bytes]:
        frames: list[str | bytes] = []
        for subscription in tuple(self._all):
            if subscription.channels and epoch not in subscription.carried:
                frame = self._subscribe_frame(subscription)
                if frame is not None:
                    frames.append(frame)
                    subscription.add_epoch(epoch)
        return frames

    def _frame(self, name: str, value: Any) -> MakeFrame:
        make: Callable[[], Any] = value if callable(value) else lambda: value

        def frame() -> str | bytes:
            data, _ = self._engine.encode_value(make())
            if not isinstance(data, (str, bytes)):
                raise TypeError(f"{name}: pass one whole message, not fragments")
            return data

        if not callable(value):
            frame()  # raises if it cannot be sent
        return frame

    def _subscribe_frame(self, subscription: Subscription) -> str | bytes | None:
        try:
            return subscription.subscribe()
        except Exception as error:  # of the user's function: an error of its channels alone
            failure = error
        except BaseException as error:  # on_error takes an Exception
            self._report(subscription.subscribe, error)
            failure = RuntimeError(f"subscribe: raised {type(error).__name__}")
        self.loop.run(lambda: self._fail(subscription, failure))
        return None

    def _unsubscribe_frames(self, subscription: Subscription) -> list[str | bytes]:
        if subscription.unsubscribe is None:
            return []
        try:
            return [subscription.unsubscribe()]
        except BaseException as error:  # of the user's function; no channel is left to fail
            self._report(subscription.unsubscribe, error)
            return []


class EarlySubscriptions:
    """The answers on a connection that does not deliver yet; it is ready when all have come.

    An answer takes effect when its message is delivered, after the switch: until then, a refusal
    must not fail a channel that the old connection still carries.

    Examples:
        >>> answers = subscriptions.subscribe_early(link, epoch)  # the link delivers nothing yet
        >>> answers.on_message(message)                  # for each message of that link
        >>> answers.is_complete                          # handover(ready="acknowledged")
    """

    def __init__(self, subscriptions: Subscriptions, asked: Sequence[Subscription]) -> None:
        self._subscriptions = subscriptions
        self._unanswered = tuple(asked)

    @property
    def is_complete(self) -> bool:
        """True if every subscription that still has channels has its answer."""
        return not any(subscription.channels for subscription in self._unanswered)

    def on_message(self, message: Any) -> None:
        if not self._unanswered:
            return
        try:
            value = self._subscriptions.received(message)
        except BaseException as error:  # of the user's interceptor; reported at the delivery
            self._subscriptions.loop.exit_later(error)
            return
        answer = self._subscriptions.answer
        self._unanswered = tuple(
            subscription for subscription in self._unanswered if answer(subscription, value) is None
        )
