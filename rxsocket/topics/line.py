"""What one connection carries, and the line of what is to be asked for on it (C36, C37)."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable
from enum import Enum
from itertools import islice
from typing import TYPE_CHECKING

from rxsocket.topics.unanswered import Unanswered

if TYPE_CHECKING:
    from rxsocket.auth.credentials import Credential
    from rxsocket.topics.subscriptions import Subscription, SubscriptionGroup


class Step(Enum):
    """What a message does to a subscription."""

    SUBSCRIBE = "subscribe"
    UNSUBSCRIBE = "unsubscribe"


class ConnectionSubscriptions:
    """The subscriptions of one connection.

    The line has an entry for each step of a group, whose subscriptions share messages, and for each
    step of a subscription that goes alone. What ends goes before what begins. Who leaves it before
    its turn is not asked for.

    Args:
        epoch: The number of the connection.
        wanted: What it is to carry, in order.

    Attributes:
        credential: That of the connection, while it does not deliver yet.
        carried: What was asked for, and not ended.
        unanswered: Those of them without an answer.
        early: The same, as far as it was seen before the connection delivers (C13).
    """

    def __init__(self, epoch: int, wanted: Iterable[Subscription] = ()) -> None:
        self.epoch = epoch
        self.credential: Credential | None = None
        self.carried: dict[Subscription, None] = {}
        self.unanswered = Unanswered()
        self.early: Unanswered | None = None
        self._line: OrderedDict[
            tuple[Step, SubscriptionGroup | Subscription], OrderedDict[Subscription, None]
        ] = OrderedDict()
        for subscription in wanted:
            self.want(subscription)

    @property
    def has_more(self) -> bool:
        return bool(self._line)

    def want(self, subscription: Subscription) -> None:
        """Ask for it when it is its turn, unless that was done."""
        kept = self._remove(Step.UNSUBSCRIBE, subscription.group, subscription)
        if not kept and subscription not in self.carried:
            self._put(Step.SUBSCRIBE, subscription.group, subscription)

    def unwant(self, subscription: Subscription) -> None:
        """Do not ask for it, or end it, if it was asked for."""
        self._remove_all(subscription)
        if subscription not in self.carried:
            return
        if subscription.group.unsubscribe is None:
            self.forget(subscription)
        else:
            self._put(Step.UNSUBSCRIBE, subscription.group, subscription)

    def forget(self, subscription: Subscription) -> None:
        """The connection does not carry it."""
        self._remove_all(subscription)
        self._end(subscription)

    def ask_again(self, subscription: Subscription, *, anew: bool) -> None:
        """Ask for it alone; ``anew`` ends it first, if there is a message for that."""
        if anew and subscription.group.unsubscribe is not None:
            self._put(Step.UNSUBSCRIBE, subscription, subscription)
        self._put(Step.SUBSCRIBE, subscription, subscription)

    def split(self, step: Step, subscriptions: list[Subscription]) -> None:
        """Let each of these go alone, and next."""
        for subscription in reversed(subscriptions):
            self._put(step, subscription, subscription)
            self._line.move_to_end((step, subscription), last=False)

    def take(self) -> tuple[Step, list[Subscription]] | None:
        """What the next message is for; what it ends is not carried any more."""
        if not self._line:
            return None
        (step, owner), waiting = next(iter(self._line.items()))
        taken = list(islice(waiting, owner.batch))
        for subscription in taken:
            del waiting[subscription]
            if step is Step.UNSUBSCRIBE:
                self._end(subscription)
        if not waiting:
            del self._line[step, owner]
        return step, taken

    def carry(self, subscriptions: list[Subscription]) -> None:
        """These were asked for in one message."""
        self.carried.update(dict.fromkeys(subscriptions))
        self.unanswered.add(subscriptions)
        if self.early is not None:
            self.early.add(subscriptions)

    def _end(self, subscription: Subscription) -> None:
        self.carried.pop(subscription, None)
        self.unanswered.discard(subscription)
        if self.early is not None:
            self.early.discard(subscription)

    def _put(
        self, step: Step, owner: SubscriptionGroup | Subscription, subscription: Subscription
    ) -> None:
        waiting = self._line.get((step, owner))
        if waiting is None:
            waiting = self._line[step, owner] = OrderedDict()
            if step is Step.UNSUBSCRIBE:  # first: there may be no room for what is to come
                self._line.move_to_end((step, owner), last=False)
        waiting[subscription] = None

    def _remove(
        self, step: Step, owner: SubscriptionGroup | Subscription, subscription: Subscription
    ) -> bool:
        waiting = self._line.get((step, owner))
        if waiting is None or subscription not in waiting:
            return False
        del waiting[subscription]
        if not waiting:
            del self._line[step, owner]
        return True

    def _remove_all(self, subscription: Subscription) -> None:
        for step in Step:
            for owner in (subscription.group, subscription):
                self._remove(step, owner, subscription)
