"""Subscriptions on the wire: what is asked for on which connection, and the answers (C22, C37).

::

    wanted      A B C D E F                    in order of arrival
    open        [A B] [C D] [E F]              one message for ``batch`` keys, at the pace (C36)
    C left           [A B] [D E] [F]           a message is made when it may be written
    answers     {B: False}                     B fails, alone
    D silent    [D]                            asked for again, alone

A channel of its own is a group of one key.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from weakref import WeakValueDictionary

from rxsocket.auth.credentials import Credential, for_user
from rxsocket.engine.engine import Engine
from rxsocket.errors import SubscriptionRefused
from rxsocket.hooks import without
from rxsocket.texts import without_frames
from rxsocket.topics.channel_watch import ChannelWatch
from rxsocket.topics.early import EarlySubscriptions
from rxsocket.topics.line import ConnectionSubscriptions, Step
from rxsocket.topics.subscribing import Subscribing
from rxsocket.topics.unanswered import Verdict
from rxsocket.transports.base import Link

if TYPE_CHECKING:
    from rxsocket.topics.channels import ChannelHub

MakeFrame = Callable[[Subscribing], "str | bytes | None"]
Answer = Callable[[Any], Any]


def name_of_function(function: Callable[..., Any]) -> str:
    return getattr(function, "__qualname__", type(function).__name__)


@dataclass(slots=True, weakref_slot=True, eq=False)
class SubscriptionGroup:
    """Keys that are asked for in one way.

    Attributes:
        subscribe: Makes the message that asks for keys.
        unsubscribe: Makes the message that ends them, if there is one.
        acknowledged: Tells what a message answers; ``None`` if it is no answer.
        acknowledged_within: Seconds that an answer may take.
        stale_after: Seconds that a key may be silent.
        batch: How many keys may be in one message.
        is_many: Whether its functions are given keys.
        members: The subscriptions that are wanted, or were until now.
    """

    subscribe: MakeFrame
    unsubscribe: MakeFrame | None
    acknowledged: Answer | None
    acknowledged_within: float | None = None
    stale_after: float | None = None
    batch: int = 1
    is_many: bool = False
    members: WeakValueDictionary[Hashable, Subscription] = field(
        default_factory=WeakValueDictionary[Hashable, "Subscription"]
    )

    @property
    def is_watched(self) -> bool:
        """Whether it matters when a key was heard of."""
        return self.stale_after is not None or self.acknowledged_within is not None

    def member(self, place: Hashable, key: Hashable, name: str) -> Subscription:
        """The subscription of a key; ``place`` is the key, or ``None`` in a group of one."""
        found = self.members.get(place)
        if found is None:
            found = self.members[place] = Subscription(self, key, name)
        return found


@dataclass(slots=True, weakref_slot=True, eq=False)
class Subscription:
    """One key on the wire, however many observe it.

    Attributes:
        group: How it is asked for.
        key: What its messages have in common, for the functions of the group.
        name: What it is called.
        hubs: Those that want it.
        since: When it was asked for first, on this connection, on the loop's clock.
        asked_at: When it was asked for last, or that was answered.
        heard_at: When a message of it came last; only if the group is watched, as all of these.
        unanswered: How many times it was asked for again for want of an answer.
        silent: How many times for want of a message.
    """

    group: SubscriptionGroup
    key: Hashable
    name: str
    hubs: tuple[ChannelHub, ...] = ()
    since: float = 0.0
    asked_at: float = 0.0
    heard_at: float = -1.0  # in virtual time, 0.0 is a time
    unanswered: int = 0
    silent: int = 0

    @property
    def batch(self) -> int:
        """How many go in one message, where it is asked for by itself."""
        return 1

    def restart(self) -> None:
        """Be patient with it as at first."""
        self.unanswered = self.silent = 0


class Subscriptions:
    """The subscriptions of one socket; on its loop, but for ``group``.

    Args:
        engine: The running parts of the socket.
        fail: Called with a subscription that was refused, or whose message cannot be made.
        report: Called with a user's function, the exception that it raised, and what the function
            is called; empty to find that in the traceback.
    """

    def __init__(
        self,
        engine: Engine,
        fail: Callable[[Subscription, Exception, int], None],
        report: Callable[[Callable[..., Any], BaseException, str], None],
    ) -> None:
        self.loop = engine.loop
        self._engine = engine
        self._outbox = engine.outbox
        self._publisher = engine.publisher
        self._hooks = hooks = engine.hooks
        hooks.next_frame = self._next_frame
        hooks.has_frame = self._has_frame
        hooks.subscribe_early = self.subscribe_early
        self._fail = fail
        self._report = report
        self._known: WeakValueDictionary[Hashable, SubscriptionGroup] = WeakValueDictionary()
        self._wanted: dict[Subscription, None] = {}
        self._connections: dict[int, ConnectionSubscriptions] = {}
        self._open: ConnectionSubscriptions | None = None
        self._early: EarlySubscriptions | None = None
        self.watch = ChannelWatch(engine.loop, engine.publisher, self._ask_again)

    def group(self, same: Hashable, make: Callable[[], SubscriptionGroup]) -> SubscriptionGroup:
        """The group that all channels with this subscribe message share; any thread."""
        with self.loop.lock:
            found = self._known.get(same)
            if found is None:
                found = self._known[same] = make()
            return found

    # --- who wants what

    def want(self, subscription: Subscription, hub: ChannelHub) -> None:
        """One more wants it; :meth:`ask` is to follow."""
        subscription.hubs = (*subscription.hubs, hub)
        if len(subscription.hubs) > 1:
            return
        self._wanted[subscription] = None
        subscription.restart()
        for connection in self._connections.values():
            connection.want(subscription)
        delivering = self._connections.get(self._outbox.epoch or 0)
        if delivering is not None and subscription in delivering.carried:
            self.watch.look(subscription)  # it left, and is back before that was said
            self._tell(subscription, is_live=subscription not in delivering.unanswered)

    def unwant(self, subscription: Subscription, hub: ChannelHub) -> None:
        """One less wants it; :meth:`ask` is to follow."""
        subscription.hubs = without(subscription.hubs, hub)
        if subscription.hubs or subscription not in self._wanted:
            return
        del self._wanted[subscription]
        self.watch.discard(subscription)
        for connection in self._connections.values():
            connection.unwant(subscription)

    def ask(self, group: SubscriptionGroup) -> None:
        """Write what is to be asked for, as soon as it may be."""
        self._outbox.ask(soon=group.batch > 1)
        if self._early is not None:
            self._early.ask()

    def discard(self, subscription: Subscription, epoch: int) -> None:
        """It was refused there, or cannot be asked for."""
        subscription.hubs = ()
        self._wanted.pop(subscription, None)
        self.watch.discard(subscription)
        for connection in self._connections.values():
            if connection.epoch == epoch:
                connection.forget(subscription)
            else:
                connection.unwant(subscription)
        self.ask(subscription.group)

    def clear(self) -> None:
        for subscription in self._wanted:
            subscription.hubs = ()
        self._wanted.clear()
        self.watch.end()
        self._connections.clear()
        self._open = self._early = None

    def on_closed(self, epoch: int) -> None:
        """A connection has ended, and what it carried with it."""
        closed = self._connections.pop(epoch, None)
        if closed is not None and closed is self._open:
            self._open = None
            self.watch.end()

    # --- answers

    def on_message(self, epoch: int, message: Any) -> None:
        """Take a message of a connection, which may be an answer."""
        connection = self._connections.get(epoch)
        if connection is None or not connection.unanswered:
            return
        for group in connection.unanswered.groups():
            for subscription, verdict in self.answers(connection.unanswered, group, message):
                self._on_answer(connection, subscription, verdict)

    def answers(
        self, unanswered: Any, group: SubscriptionGroup, message: Any
    ) -> Iterable[tuple[Subscription, Verdict]]:
        """What a message says about the subscriptions of a group that have no answer."""
        if group.acknowledged is None:
            return ()
        name = ""
        try:
            answer = group.acknowledged(message)
            name = f"acknowledged={name_of_function(group.acknowledged)}"
            found: list[tuple[Subscription, Verdict]] = unanswered.resolve(group, answer)
        except BaseException as error:  # of the user's function, or of what it returned
            self._report(group.acknowledged, error, name)
            return ()
        return found

    def _on_answer(
        self, connection: ConnectionSubscriptions, subscription: Subscription, verdict: Verdict
    ) -> None:
        if verdict is True:
            self.watch.on_accepted(subscription)
            self._tell(subscription, is_live=True)
        elif subscription.hubs:
            refused = SubscriptionRefused("the server refused the subscription")
            self._fail(
                subscription,
                verdict if isinstance(verdict, Exception) else refused,
                connection.epoch,
            )
        else:
            connection.forget(subscription)

    def received(self, message: Any) -> Any:
        """A message after the interceptors, as observers get it."""
        for intercept in self._hooks.after_receive:
            message = intercept(message)
        return message

    def _ask_again(self, subscription: Subscription, was_live: bool) -> None:
        if self._open is not None:
            self._open.ask_again(subscription, anew=was_live)
            self.ask(subscription.group)

    # --- messages that ask

    def subscribe_early(
        self, link: Link, epoch: int, credential: Credential, on_asked: Callable[[], None]
    ) -> EarlySubscriptions:
        """Subscribe on a connection that is not delivering yet (C13).

        Its messages go to :meth:`EarlySubscriptions.on_message` until it delivers. What was asked
        for by then is not asked for again.
        """
        for other in tuple(self._connections):
            if other != self._outbox.epoch:
                del self._connections[other]  # an earlier one that came to nothing
        connection = self._connection(epoch)
        connection.credential = credential
        self._early = EarlySubscriptions(self, connection, link, self._outbox, on_asked)
        return self._early

    def _connection(self, epoch: int) -> ConnectionSubscriptions:
        found = self._connections.get(epoch)
        if found is None:
            found = self._connections[epoch] = ConnectionSubscriptions(epoch, self._wanted)
        return found

    def _has_frame(self, epoch: int) -> bool:
        return self._delivering(epoch).has_more

    def _next_frame(self, epoch: int) -> str | bytes | None:
        """The next message to write on the connection that delivers."""
        return self.next_frame_of(self._delivering(epoch))

    def _delivering(self, epoch: int) -> ConnectionSubscriptions:
        connection = self._open
        if connection is None or connection.epoch != epoch:
            connection = self._connection(epoch)
            self._on_open(connection)
        return connection

    def _on_open(self, connection: ConnectionSubscriptions) -> None:
        for other in tuple(self._connections):
            if other < connection.epoch:
                del self._connections[other]  # later ones are made ready beside it
        if self._early is not None and self._early.epoch <= connection.epoch:
            self._early = None
        self._open = connection
        connection.credential = connection.early = None
        self.watch.begin(connection)
        for subscription in self._wanted:
            subscription.restart()
        for subscription in connection.carried:  # asked for before it delivered
            if subscription not in self._wanted:
                continue  # it is about to be ended
            self.watch.on_asked(subscription)
            self._tell(subscription, is_live=subscription not in connection.unanswered)

    def _tell(self, subscription: Subscription, *, is_live: bool) -> None:
        if self._hooks.on_subscription is not None:
            self._hooks.on_subscription(subscription.key, is_live)

    def next_frame_of(self, connection: ConnectionSubscriptions) -> str | bytes | None:
        """The next message that can be made for a connection; what it asks for counts as asked."""
        while (taken := connection.take()) is not None:
            step, subscriptions = taken
            group = subscriptions[0].group
            make = group.subscribe if step is Step.SUBSCRIBE else group.unsubscribe
            if make is None:
                continue
            try:
                frame = make(self._subscribing(connection, subscriptions))
            except BaseException as error:  # of the user's function
                if len(subscriptions) > 1:
                    connection.split(step, subscriptions)  # to find those that it is about
                else:
                    self._on_unmade(connection, step, subscriptions[0], make, error)
                continue
            if frame is None:
                continue  # the server has ended these
            if step is Step.SUBSCRIBE:
                connection.carry(subscriptions)
                for subscription in subscriptions if connection is self._open else ():
                    self.watch.on_asked(subscription)
                    self._tell(subscription, is_live=group.acknowledged is None)
            return frame
        return None

    def _subscribing(
        self, connection: ConnectionSubscriptions, subscriptions: list[Subscription]
    ) -> Subscribing:
        credential = connection.credential or self._publisher.auth.value
        return Subscribing(
            epoch=connection.epoch,
            keys=tuple(each.key for each in subscriptions if each.key is not None),
            credential=for_user(credential.reveal()) if credential.known else None,
            cursor=self._hooks.cursor(),
        )

    def _on_unmade(
        self,
        connection: ConnectionSubscriptions,
        step: Step,
        subscription: Subscription,
        make: MakeFrame,
        error: BaseException,
    ) -> None:
        """The message for one key cannot be made: an error of it alone, if it is still wanted."""
        failure = without_frames(error)  # they hold the credential (C28)
        if step is Step.UNSUBSCRIBE or not isinstance(failure, Exception):
            self._report(make, failure, f"{step.value}=")
        if step is Step.UNSUBSCRIBE:
            return
        if not isinstance(failure, Exception):  # on_error takes an Exception
            failure = RuntimeError(f"subscribe: raised {type(error).__name__}")
        epoch, cause = connection.epoch, failure
        self.loop.run(lambda: self._fail(subscription, cause, epoch))
