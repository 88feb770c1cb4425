"""What all sockets of a fleet have counted, added up (C41, C45).

::

    socket.stats ─┐
    socket.stats ─┴─ FleetCounts of a shard ─┐
                     FleetCounts of a shard ─┴─ of the fleet, with those of its earlier runs
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Protocol

from rxsocket.state import State
from rxsocket.stats import Stats


@dataclass(frozen=True, slots=True, kw_only=True)
class FleetCounts:
    """The sums of what sockets count; for the meaning of each, see :class:`~rxsocket.Stats`.

    Attributes:
        outage: The longest outage that lasts, in seconds.
        states: How many sockets are in which state.
    """

    messages_received: int = 0
    bytes_received: int = 0
    messages_sent: int = 0
    bytes_sent: int = 0
    waiting: int = 0
    waiting_bytes: int = 0
    connections: int = 0
    attempts: int = 0
    failures: int = 0
    refusals: int = 0
    renewals: int = 0
    seconds_without_connection: float = 0.0
    outage: float = 0.0
    seconds_paused: float = 0.0
    dropped: int = 0
    missed: int = 0
    undecodable: int = 0
    unsent: int = 0
    states: dict[State, int] = field(default_factory=dict[State, int])

    @classmethod
    def of(cls, stats: Stats) -> FleetCounts:
        """Those of one socket."""
        numbers = {name: getattr(stats, name) for name in _ADDED}
        return cls(**numbers, outage=stats.outage, states={stats.state: 1})

    @property
    def past(self) -> FleetCounts:
        """What stays of them when the sockets are gone: what only grows."""
        return FleetCounts(**{name: getattr(self, name) for name in _ADDED if name not in _NOW})


_NOW = ("waiting", "waiting_bytes")
_ADDED = tuple(
    name for name in FleetCounts.__dataclass_fields__ if name not in ("outage", "states")
)


def added(counts: Iterable[FleetCounts]) -> FleetCounts:
    """The sum of several."""
    listed = tuple(counts)
    states: Counter[State] = Counter()
    for one in listed:
        states.update(one.states)
    return FleetCounts(
        **{name: sum(getattr(one, name) for one in listed) for name in _ADDED},
        outage=max((one.outage for one in listed), default=0.0),
        states=dict(states),
    )


class Counting(Protocol):
    """What counts: a socket of a shard, a shard here, or one elsewhere."""

    @property
    def counts(self) -> FleetCounts:
        """What it has counted up to now; from any thread."""
        ...


class Sum:
    """The sum of what comes and goes. It is changed on one loop, and read from any thread."""

    def __init__(self) -> None:
        # Replaced as a whole, so that who reads it meanwhile counts nothing twice.
        self._of: tuple[FleetCounts, tuple[Counting, ...]] = FleetCounts(), ()

    @property
    def counts(self) -> FleetCounts:
        """All of them, with what those that are gone had counted."""
        past, there = self._of
        return added((past, *(one.counts for one in there)))

    def add(self, one: Counting) -> None:
        """Another one is there."""
        past, there = self._of
        self._of = past, (*there, one)

    def remove(self, one: Counting) -> None:
        """One is gone; what it had counted stays."""
        past, there = self._of
        if one in there:
            rest = tuple(other for other in there if other is not one)
            self._of = added((past, one.counts.past)), rest
