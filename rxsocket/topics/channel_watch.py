"""Which subscriptions are silent, or not answered, for too long (C37).

::

    asked      S----------------------S-------------------------S         the last patience is
    messages   --m--m                                                     16 times the first one
    patience        |-- stale_after --|----- twice as long -----|
    events                            ChannelStale              ChannelStale
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from rxsocket.events import ChannelStale
from rxsocket.publishing.publisher import Publisher
from rxsocket.runtime.loop import SocketLoop
from rxsocket.topics.line import ConnectionSubscriptions
from rxsocket.topics.overdue import Overdue

if TYPE_CHECKING:
    from rxsocket.topics.subscriptions import Subscription

DOUBLED = 4
"""How many times the patience is doubled."""


class ChannelWatch:
    """Looks at the subscriptions of the connection that delivers, with one timer for all.

    One is asked for again at a time, when the one before was: when all keys of a closed market are
    silent, what somebody wants now does not wait for them.

    Args:
        loop: Where the socket lives.
        publisher: Told what is silent.
        ask_again: Called with one that is; ``True`` if it was live before.
    """

    def __init__(
        self,
        loop: SocketLoop,
        publisher: Publisher,
        ask_again: Callable[[Subscription, bool], None],
    ) -> None:
        self._loop = loop
        self._publisher = publisher
        self._ask_again = ask_again
        self._connection: ConnectionSubscriptions | None = None
        self._overdue: Overdue[Subscription] = Overdue(loop, self._on_overdue)
        self._late: dict[Subscription, None] = {}
        self._asking_again: Subscription | None = None

    def begin(self, connection: ConnectionSubscriptions) -> None:
        """This connection delivers from now on."""
        self.end()
        self._connection = connection

    def end(self) -> None:
        """None does."""
        self._connection = self._asking_again = None
        self._overdue.clear()
        self._late.clear()

    def on_asked(self, subscription: Subscription) -> None:
        """It was asked for, on the connection that delivers."""
        if subscription.group.is_watched:
            subscription.asked_at = self._loop.event_loop.time()
            if not (subscription.silent or subscription.unanswered):
                subscription.since = subscription.asked_at
            self.look(subscription)
            if subscription is self._asking_again:
                self._ask_for_late()

    def on_accepted(self, subscription: Subscription) -> None:
        """The server said so."""
        if subscription.group.is_watched:
            subscription.unanswered = 0
            subscription.asked_at = self._loop.event_loop.time()
            self.look(subscription)

    def on_message(self, subscriptions: Iterable[Subscription]) -> None:
        """A message of these came."""
        now = self._loop.event_loop.time()
        for subscription in subscriptions:
            subscription.heard_at = now

    def look(self, subscription: Subscription) -> None:
        """Look at it again when it may have been silent for too long."""
        limit = self._patience(subscription)
        if limit is not None:
            self._overdue.set(subscription, self._last_sign(subscription) + limit)

    def discard(self, subscription: Subscription) -> None:
        """Nobody wants it any more."""
        self._overdue.discard(subscription)
        self._late.pop(subscription, None)
        if subscription is self._asking_again:
            self._ask_for_late()

    def _last_sign(self, subscription: Subscription) -> float:
        resumed_at = self._publisher.read_gate.resumed_at  # what was sent before may be unread
        return max(subscription.asked_at, subscription.heard_at, resumed_at)

    def _patience(self, subscription: Subscription) -> float | None:
        group = subscription.group
        if subscription.heard_at >= subscription.asked_at:
            subscription.restart()
        limit, repeats = group.stale_after, subscription.silent
        if group.acknowledged_within is not None and self._awaits_answer(subscription):
            limit, repeats = group.acknowledged_within, subscription.unanswered
        return None if limit is None else limit * 2.0 ** min(repeats, DOUBLED)

    def _awaits_answer(self, subscription: Subscription) -> bool:
        """A message of it is as good as an answer."""
        connection = self._connection
        is_answered = connection is None or subscription not in connection.unanswered
        return not is_answered and subscription.heard_at < subscription.asked_at

    def _on_overdue(self, subscription: Subscription) -> None:
        if self._asking_again is not None:
            self._late[subscription] = None
            return
        connection, limit = self._connection, self._patience(subscription)
        if connection is None or limit is None or subscription not in connection.carried:
            return
        now = self._loop.event_loop.time()
        at = self._last_sign(subscription) + limit
        if self._publisher.read_gate.is_paused:
            at = now + limit
        if at > now:
            self._overdue.set(subscription, at)
            return
        answered = not self._awaits_answer(subscription)
        silence = now - max(subscription.since, subscription.heard_at)
        if answered:
            subscription.silent += 1
        else:
            subscription.unanswered += 1
        self._asking_again = subscription
        self._publisher.publish(
            ChannelStale(
                epoch=connection.epoch,
                channel=self._publisher.history.as_read(subscription.name),
                silence=silence,
                answered=answered,
                at=self._loop.wall_time(),
            )
        )
        self._ask_again(subscription, answered)

    def _ask_for_late(self) -> None:
        self._asking_again = None
        if self._late:
            self._loop.run(self._look_at_late)

    def _look_at_late(self) -> None:
        while self._late and self._asking_again is None:
            subscription = next(iter(self._late))
            del self._late[subscription]
            self._on_overdue(subscription)
