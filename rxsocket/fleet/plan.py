"""Which channel is on which socket of which place: a plan, and what one changes of another (C42).

::

    generation    1          2              3
    A             loop/1     loop/1         loop/1
    B             loop/1     loop/1         loop/2     Move(B, loop/1, loop/2)
    C                        loop/2         loop/2

A plan is data: it knows of no socket, loop or clock, and is made to be pickled.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import NamedTuple


class SocketId(NamedTuple):
    """A socket of a fleet.

    Attributes:
        place: The name of the place where it is.
        number: Its number there, from 1; none is used twice.
    """

    place: str
    number: int

    def __str__(self) -> str:
        return f"{self.place}/{self.number}"


@dataclass(frozen=True, slots=True)
class Place:
    """Where sockets can be.

    Attributes:
        name: The name of it.
        egress: The address that its sockets come from, as a server sees it, or any name for it:
            places of one egress share what a server allows an address. Left out: one of its own.
    """

    name: str
    egress: str = ""

    def __post_init__(self) -> None:
        if not self.egress:
            object.__setattr__(self, "egress", self.name)


@dataclass(frozen=True, slots=True, kw_only=True)
class Caps:
    """What was learnt of what a server takes, where that is less than the limits say.

    Attributes:
        channels: Of a socket: how many channels it carries.
        channels_of_any: How many any socket carries.
        unheard: Of a socket: the channels that nothing came of. They go somewhere else.
        connections: Of an egress: how many connections it may have.
        connections_per_credential: How many the credential may have.
        unopened: Sockets that were not let in. If some are too many, they are the first to go.
    """

    channels: Mapping[SocketId, int] = field(default_factory=dict[SocketId, int])
    channels_of_any: int | None = None
    unheard: Mapping[SocketId, frozenset[Hashable]] = field(
        default_factory=dict[SocketId, frozenset[Hashable]], repr=False
    )
    connections: Mapping[str, int] = field(default_factory=dict[str, int])
    connections_per_credential: int | None = None
    unopened: frozenset[SocketId] = frozenset()


@dataclass(frozen=True, slots=True)
class Plan:
    """Which channel is on which socket.

    Attributes:
        generation: Its number; the plan that follows has the next one.
        assignment: Where each channel is.
        loads: How many channels each socket has; there are no others.
        places: The places that it was made for.
        numbers: The highest number of a socket that each place ever had.
    """

    generation: int = 0
    assignment: Mapping[Hashable, SocketId] = field(
        default_factory=dict[Hashable, SocketId], repr=False
    )
    loads: Mapping[SocketId, int] = field(default_factory=dict[SocketId, int])
    places: tuple[str, ...] = ()
    numbers: Mapping[str, int] = field(default_factory=dict[str, int], repr=False)

    @property
    def sockets(self) -> tuple[SocketId, ...]:
        """The sockets that there are to be."""
        return tuple(self.loads)

    def corrected(
        self, where: Mapping[Hashable, SocketId | None], sockets: Iterable[SocketId]
    ) -> Plan:
        """The same plan with channels where they are, and no sockets but these."""
        loads = dict.fromkeys(sockets, 0)
        assignment: dict[Hashable, SocketId] = {}
        for key, socket in where.items():
            if socket is not None and socket in loads:
                assignment[key] = socket
                loads[socket] += 1
        return replace(self, assignment=assignment, loads=loads)

    def keys_on(self, socket: SocketId) -> list[Hashable]:
        """The channels of a socket, in the order in which they were wanted."""
        return [key for key, place in self.assignment.items() if place == socket]


NO_PLAN = Plan()
"""Nothing is wanted yet."""


class ImpossiblePlan(ValueError):
    """What is wanted does not fit into what the limits allow.

    Attributes:
        cap: The limit that is in the way, by the name of the argument.
        needed: How many sockets, or bytes a second, would have to be allowed.
        allowed: How many are.
    """

    def __init__(self, text: str, cap: str, needed: float, allowed: float) -> None:
        super().__init__(text, cap, needed, allowed)
        self.cap = cap
        self.needed = needed
        self.allowed = allowed

    def __str__(self) -> str:
        return str(self.args[0])


class Move(NamedTuple):
    """A channel leaves one socket for another."""

    key: Hashable
    source: SocketId
    target: SocketId


@dataclass(frozen=True, slots=True)
class PlanChanges:
    """What one plan changes of another.

    Attributes:
        opened: Sockets that there were not.
        closed: Sockets that are not needed any more, once what moves has left them.
        placed: Channels that were nowhere, by the socket that they are to be on.
        dropped: Channels that are not wanted any more, by the socket that they were on.
        moves: Channels that leave one socket for another.
    """

    opened: tuple[SocketId, ...]
    closed: tuple[SocketId, ...]
    placed: Mapping[SocketId, tuple[Hashable, ...]] = field(repr=False)
    dropped: Mapping[SocketId, tuple[Hashable, ...]] = field(repr=False)
    moves: tuple[Move, ...] = field(repr=False)


def changes(old: Plan, new: Plan) -> PlanChanges:
    """What one plan changes of another."""
    before, after = old.assignment, new.assignment
    dropped = [(key, socket) for key, socket in before.items() if key not in after]
    placed: list[tuple[Hashable, SocketId]] = []
    moved: list[Move] = []
    for key, socket in after.items():
        source = before.get(key)
        if source is None:
            placed.append((key, socket))
        elif source is not socket and source != socket:
            moved.append(Move(key, source, socket))
    return PlanChanges(
        opened=tuple(socket for socket in new.loads if socket not in old.loads),
        closed=tuple(socket for socket in old.loads if socket not in new.loads),
        placed=_by_socket(placed),
        dropped=_by_socket(dropped),
        moves=tuple(moved),
    )


def moves(old: Plan, new: Plan) -> tuple[Move, ...]:
    """The channels that leave one socket for another."""
    return changes(old, new).moves


def _by_socket(
    pairs: Iterable[tuple[Hashable, SocketId]],
) -> dict[SocketId, tuple[Hashable, ...]]:
    found: dict[SocketId, list[Hashable]] = {}
    for key, socket in pairs:
        found.setdefault(socket, []).append(key)
    return {socket: tuple(keys) for socket, keys in found.items()}
