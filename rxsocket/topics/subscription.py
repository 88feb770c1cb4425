"""A subscription that a server keeps, as this side knows it: who wants it, what carried it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

__all__ = ["Answer", "Frame", "Subscription"]

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
