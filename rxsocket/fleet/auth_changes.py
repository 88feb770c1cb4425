"""What becomes of changes of the credential, over all shards of a fleet (C41).

::

    set_auth(B) ──► SetAuth(1, B) ──► shards
    receipt     ◄── the worst ◄────── AuthSettled(1, ...) of each
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from rxsocket.auth.outcomes import AuthChange, Stored
from rxsocket.fleet.orders import SetAuth
from rxsocket.fleet.shard import worst
from rxsocket.streams.receipts import Receipt


class FleetAuthChanges:
    """The changes that are under way; on the loop of the fleet."""

    def __init__(self) -> None:
        self._under_way: dict[int, tuple[Receipt[AuthChange], list[AuthChange], int]] = {}
        self._last = 0
        self._pushed: tuple[Any, ...] = ()

    def order(self, value: Any, receipt: Receipt[AuthChange], shards: int) -> SetAuth | None:
        """What shards are told of a change; ``None`` if there are none, and it is kept.

        Args:
            value: The credential.
            receipt: Told what became of it.
            shards: How many shards there are.
        """
        self._pushed = (value,)
        if not shards:
            receipt.settle(Stored())
            return None
        self._last += 1
        self._under_way[self._last] = receipt, [], shards
        return SetAuth(self._last, value)

    def first_orders(self) -> Iterator[SetAuth]:
        """What shards are told at a start: the credential that was set last, if one was."""
        for value in self._pushed:
            yield SetAuth(0, value)

    def on_settled(self, number: int, outcome: AuthChange) -> None:
        """A change is settled on one shard."""
        found = self._under_way.get(number)
        if found is None:
            return
        receipt, outcomes, shards = found
        outcomes.append(outcome)
        if len(outcomes) == shards:
            del self._under_way[number]
            receipt.settle(worst(outcomes))

    def stop(self) -> None:
        """The fleet stops: what is under way is kept for its next start."""
        under_way, self._under_way = self._under_way, {}
        for receipt, _, _ in under_way.values():
            receipt.settle(Stored())
