"""Subscriptions in the manner of Ethereum: their ids, which the server gives anew (C48).

::

    connection 1    subscribe#1  "0xa"    {subscription: "0xa", result: 1}    by -> key of ours
    connection 2    subscribe#2  "0x1"    {subscription: "0x1", result: 2}    by -> the same one
"""

from __future__ import annotations

import re
from collections.abc import Callable, Hashable, Iterator
from typing import Any

from reactivex import operators as ops

from rxsocket.events import Closed
from rxsocket.protocols.json_rpc_in_flight import in_flight_of
from rxsocket.protocols.json_rpc_messages import JsonRpcError, call, error_of, id_of
from rxsocket.socket import Socket
from rxsocket.topics.subscribing import Subscribing
from rxsocket.validation import is_mapping

MOST_EARLY = 64
"""Notifications that are kept until it is known whose they are."""


def unsubscribe_of(method: str) -> str | None:
    """The method that ends what a method subscribes to, as its name says; ``None`` if it does not.

    Examples:
        >>> unsubscribe_of("eth_subscribe"), unsubscribe_of("chain_subscribeNewHeads")
        ('eth_unsubscribe', 'chain_unsubscribeNewHeads')
    """
    named, count = re.subn("([Ss])ubscribe", _unsubscribe, method, count=1)
    return named if count else None


def _unsubscribe(found: re.Match[str]) -> str:
    return "Unsubscribe" if found[1] == "S" else "unsubscribe"


def _to_nobody(_: Any) -> None:
    """Nobody has subscribed yet."""


def is_id(value: Any) -> bool:
    """Whether a value is what a server may call a subscription."""
    return isinstance(value, (str, int)) and not isinstance(value, bool)


class SubscriptionIds:
    """Which subscription of ours a notification is of.

    What is assigned is read from the messages as they are delivered, so that on a handover the ids
    of the next connection count from the switch on.

    Args:
        socket: The socket.
        numbers: Ids of requests.

    Attributes:
        asked: The requests that are not answered, with the connection of each.
        assigned: The subscriptions by what the server calls them, on the connection that delivers.
    """

    def __init__(self, socket: Socket[Any, Any], numbers: Iterator[int]) -> None:
        self.socket = socket
        self.numbers = numbers
        self.asked: dict[int, tuple[RpcSubscription, int]] = {}
        self.in_flight = in_flight_of(socket)
        self.in_flight.others.add(self)
        self.assigned: dict[Hashable, RpcSubscription] = {}
        self._epoch = 0
        self._early: list[tuple[int | None, Any]] = []  # with the connection that delivered it

    def subscription_of(self, message: Any) -> RpcSubscription | None:
        """The subscription that a notification is of; called with each message delivered."""
        if not is_mapping(message):
            return None
        params = message.get("params")
        if is_mapping(params):
            id = params.get("subscription")
            found = self.assigned.get(id) if is_id(id) else None
            if found is None and self.asked and is_id(id) and len(self._early) < MOST_EARLY:
                self._early.append(
                    (self._delivering, message)
                )  # it came before the answer that says whose it is
            return found
        number = self.in_flight.id_of(message)
        if isinstance(number, int) and number in self.asked:
            subscription, epoch = self.asked.pop(number)
            if epoch != self._epoch:
                self._begin(epoch)
            if is_id(message.get("result")):
                self.assigned[message["result"]] = subscription
                subscription.assigned = (epoch, message["result"])
                self._deliver_early(message["result"], subscription)
            if not self.asked:
                self._early.clear()
        return None

    def _deliver_early(self, id: Any, subscription: RpcSubscription) -> None:
        """A notification may overtake the answer that says what its subscription is called."""
        early = self._early
        self._early = [one for one in early if one[1]["params"].get("subscription") != id]
        for epoch, message in early:
            if message["params"].get("subscription") == id and epoch == self._epoch:
                subscription.deliver(message)

    @property
    def _delivering(self) -> int | None:
        engine = self.socket._engine  # pyright: ignore[reportPrivateUsage]
        return engine.publisher.delivering_epoch

    def _begin(self, epoch: int) -> None:
        """From here on, another connection delivers."""
        self._epoch = epoch
        self.assigned.clear()
        self._early = [one for one in self._early if one[0] == epoch]
        self.asked = {number: one for number, one in self.asked.items() if one[1] >= epoch}


class RpcSubscription:
    """One subscription of ours, and its ids.

    Attributes:
        assigned: The connection, and what the server calls it there.
        deliver: Called with notifications that came before the answer.
    """

    def __init__(
        self, ids: SubscriptionIds, method: str, params: Any, unsubscribe: str | None
    ) -> None:
        self.assigned: tuple[int, Any] | None = None
        self.deliver: Callable[[Any], None] = _to_nobody
        self._ids = ids
        self._method = method
        self._params = params
        self._unsubscribe = unsubscribe

    def __repr__(self) -> str:
        return self._method  # what its channel is called

    def subscribe_message(self, to: Subscribing) -> dict[str, Any]:
        """The request, with an id of its own on each connection."""
        number = next(self._ids.numbers)
        self._ids.asked[number] = (self, to.epoch)
        return call(number, self._method, self._params)

    def accepted(self, message: Any) -> bool | Exception | None:
        """Whether a message says that it was."""
        number = self._ids.in_flight.id_of(message)
        whose, _ = self._ids.asked.get(number if isinstance(number, int) else 0, (None, 0))
        if whose is not self:
            return None
        if "error" in message:
            return error_of(self._ids.socket, message["error"])
        if is_id(message.get("result")):
            return True
        return JsonRpcError(0, f"{self._method} was not answered with the id of a subscription")

    def unsubscribe_message(self, to: Subscribing) -> Any:
        """The request that ends it, as soon as it is known what it is called there."""
        if self.assigned is not None and self.assigned[0] == to.epoch:
            self._ids.assigned.pop(self.assigned[1], None)
            return to.nothing if self._unsubscribe is None else self._end(self.assigned[1])
        for number, (whose, epoch) in self._ids.asked.items():
            if whose is self and epoch == to.epoch and self._unsubscribe is not None:
                self._end_when_answered(number, epoch)
        return to.nothing

    def _end(self, id: Any) -> dict[str, Any]:
        return call(next(self._ids.numbers), str(self._unsubscribe), [id])

    def _end_when_answered(self, number: int, epoch: int) -> None:
        socket = self._ids.socket

        def is_answer(message: Any) -> bool:
            return bool(id_of(message) == number)

        def is_over(event: Closed) -> bool:
            return event.epoch >= epoch

        def on_answer(message: Any) -> None:
            self._ids.asked.pop(number, None)
            if "result" in message:
                socket.send(self._end(message["result"]))

        over = socket.closes.passive().pipe(ops.filter(is_over))
        answer = socket.messages.passive(audience=False).pipe(ops.filter(is_answer))
        answer.pipe(ops.take(1), ops.take_until(over)).subscribe(on_answer, lambda _: None)
