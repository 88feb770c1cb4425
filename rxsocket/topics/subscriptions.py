"""Which subscriptions the open connection has to carry, and what it answered (C19, C22).

::

    open, epoch 2 ── greeting: a subscribe message for each that is wanted ── what was queued ── …

All of it happens on the loop of the socket, but for ``subscription``.


A subscription that a server keeps, as this side knows it: who wants it, what carried it.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from contextlib import suppress
from typing import Any
from weakref import WeakValueDictionary

from rxsocket.engine.engine import Engine
from rxsocket.errors import ConnectionLost, SubscriptionRefused
from rxsocket.streams.multicast import observer_name
from rxsocket.transports.base import Link

__all__ = ["Answer", "EarlySubscriptions", "Frame", "Subscription", "Subscriptions"]

Frame = Callable[[], "str | bytes"]
Answer = Callable[[Any], "bool | Exception | None"]


class Subscription:
    """One subscription on the wire, however many channels and subscribers share it (C22).

    Attributes:
        subscribe: Makes the message that asks for it.
        unsubscribe: Makes the message that ends it, if there is one.
        acknowledged: Says of a message whether it is the answer, and which.
        wanted: How many subscribers there are.
        carried: The epochs whose connection carried the subscribe message.
        pending: The epochs on which the answer has not come yet.
    """

    __slots__ = (
        "__weakref__",
        "acknowledged",
        "carried",
        "pending",
        "subscribe",
        "unsubscribe",
        "wanted",
    )

    def __init__(
        self, subscribe: Frame, unsubscribe: Frame | None, acknowledged: Answer | None
    ) -> None:
        self.subscribe = subscribe
        self.unsubscribe = unsubscribe
        self.acknowledged = acknowledged
        self.wanted = 0
        self.carried: set[int] = set()
        self.pending: set[int] = set()

    def sent(self, epoch: int) -> None:
        """The subscribe message is on its way on a connection."""
        self.carried.add(epoch)
        if self.acknowledged is not None:
            self.pending.add(epoch)

    def gone(self, epoch: int) -> None:
        """A connection does not carry it any more."""
        self.carried.discard(epoch)
        self.pending.discard(epoch)

    def only(self, epoch: int) -> None:
        """Every other connection is over."""
        self.carried &= {epoch}
        self.pending &= {epoch}


class Subscriptions:
    """The subscriptions of one socket.

    Args:
        engine: The running parts of the socket.
        failed: Told of a subscription that was refused, or cannot be asked for.
        report: Told of a user's function that raised, and what it raised.
    """

    def __init__(
        self,
        engine: Engine,
        failed: Callable[[Subscription, Exception], None],
        report: Callable[[Callable[..., Any], Exception], None],
    ) -> None:
        self.loop = engine.loop
        self._engine = engine
        self._outbox = engine.outbox
        engine.hooks.opening_frames = self._opening_frames
        engine.hooks.subscribe_early = self.subscribe_early
        self._failed = failed
        self._report = report
        self._known: WeakValueDictionary[Hashable, Subscription] = WeakValueDictionary()
        self._all: dict[Subscription, None] = {}

    def subscription(
        self, subscribe: Any, unsubscribe: Any, acknowledged: Answer | None
    ) -> Subscription:
        """What is asked of the server: the same message is asked for once, whoever wants it."""
        asking = self._frame("subscribe", subscribe)
        ending = None if unsubscribe is None else self._frame("unsubscribe", unsubscribe)
        same: Hashable = subscribe if callable(subscribe) else asking()
        with self.loop.lock:
            found = self._known.get(same)
            if found is None:
                found = self._known[same] = Subscription(asking, ending, acknowledged)
            return found

    def want(self, subscription: Subscription) -> None:
        """One more wants it: ask for it, if the connection does not carry it."""
        subscription.wanted += 1
        self._all[subscription] = None
        epoch = self._outbox.epoch
        if epoch is not None and epoch not in subscription.carried:
            frame = self._asking(subscription)
            if frame is not None:
                subscription.sent(epoch)
                self._outbox.write(frame)

    def want_no_more(self, subscription: Subscription) -> None:
        """One less wants it: end it with the last of them, where it is carried."""
        subscription.wanted -= 1
        if subscription.wanted:
            return
        epoch = self._outbox.epoch
        if epoch is not None and epoch in subscription.carried:
            for frame in self._ending(subscription):
                self._outbox.write(frame)
            subscription.gone(epoch)
        if not subscription.carried:
            self._all.pop(subscription, None)

    def forget(self, subscription: Subscription) -> None:
        """The server does not keep it, and nobody wants it any more."""
        self._all.pop(subscription, None)
        subscription.wanted = 0

    def clear(self) -> None:
        """The socket ended."""
        for subscription in tuple(self._all):
            self.forget(subscription)

    def hear(self, epoch: int, message: Any) -> None:
        """See whether a message of a connection answers one of them."""
        for subscription in tuple(self._all):
            if epoch not in subscription.pending:
                continue
            answer = self.answer(subscription, message)
            if answer is None:
                continue
            subscription.pending.discard(epoch)
            if answer is True:
                continue
            subscription.gone(epoch)
            refused = SubscriptionRefused("the server refused the subscription")
            self._failed(subscription, answer if isinstance(answer, Exception) else refused)

    def answer(self, subscription: Subscription, message: Any) -> bool | Exception | None:
        """What a message says to a subscription, if it is an answer."""
        if subscription.acknowledged is None:
            return None
        try:
            return subscription.acknowledged(message)
        except Exception as error:  # of the user's function: no answer that it knows
            self._report(subscription.acknowledged, error)
            return None

    def received(self, message: Any) -> Any:
        """What becomes of a message that is decoded, before observers get it."""
        for intercept in self._engine.hooks.after_receive:
            message = intercept(message)
        return message

    def subscribe_early(self, link: Link, epoch: int) -> EarlySubscriptions:
        """Ask for everything that is wanted on a connection that is not delivering yet (C13).

        What comes there is for :meth:`EarlySubscriptions.on_message`, until it delivers. It
        is not asked again when the outbox opens it.
        """
        frames = self._asked_for(epoch)
        if frames:
            with suppress(ConnectionLost):  # the transport is about to say how it ended
                link.write(frames)
        asked = [subscription for subscription in self._all if epoch in subscription.pending]
        return EarlySubscriptions(self, asked)

    def _opening_frames(self, epoch: int) -> list[str | bytes]:
        """What a connection that delivers from now on is told first."""
        frames = self._asked_for(epoch)
        for subscription in tuple(self._all):
            if not subscription.wanted:
                del self._all[subscription]
                if epoch in subscription.carried:
                    frames.extend(self._ending(subscription))
            subscription.only(epoch)
        return frames

    def _asked_for(self, epoch: int) -> list[str | bytes]:
        frames: list[str | bytes] = []
        for subscription in tuple(self._all):
            if subscription.wanted and epoch not in subscription.carried:
                frame = self._asking(subscription)
                if frame is not None:
                    frames.append(frame)
                    subscription.sent(epoch)
        return frames

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

    def _asking(self, subscription: Subscription) -> str | bytes | None:
        try:
            return subscription.subscribe()
        except Exception as error:  # of the user's function: an error of its channels alone
            failure = error
        self.loop.run(lambda: self._failed(subscription, failure))
        return None

    def _ending(self, subscription: Subscription) -> list[str | bytes]:
        if subscription.unsubscribe is None:
            return []
        try:
            return [subscription.unsubscribe()]
        except Exception as error:  # of the user's function: there is nobody left to fail
            self._engine.publisher.report(observer_name(error), "channel", error)
            return []


class EarlySubscriptions:
    """What a connection that does not deliver yet was asked for; it is ready when all is answered.

    An answer takes effect when its message is delivered, which is after the switch: a refusal there
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
        """Whether every subscription that is still wanted has its answer."""
        return not any(subscription.wanted for subscription in self._unanswered)

    def on_message(self, message: Any) -> None:
        """The connection says something, decoded."""
        if not self._unanswered:
            return
        try:
            value = self._subscriptions.received(message)
        except Exception:  # of the user's interceptor; reported when it is delivered
            return
        answer = self._subscriptions.answer
        self._unanswered = tuple(
            subscription for subscription in self._unanswered if answer(subscription, value) is None
        )
