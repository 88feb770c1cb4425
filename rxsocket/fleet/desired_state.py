"""What a shard was told to have, so that another one in its place can be told the same.

::

    orders   Open(1)  Subscribe(1, A B)  Subscribe(1, C)  Unsubscribe(1, A)
    desired  1: B C                                       what is to be, not what was

It holds no credential but one that was set, which shows nowhere.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from rxsocket.fleet.orders import (
    CapConnections,
    CloseSocket,
    OpenSocket,
    Order,
    PauseReading,
    ReconnectAll,
    Redial,
    ResumeReading,
    SetAuth,
    SetPace,
    Subscribe,
    Unsubscribe,
)
from rxsocket.fleet.plan import NO_PLAN, Plan, SocketId


@dataclass(slots=True)
class DesiredState:
    """The part of the plan that a shard has.

    Attributes:
        sockets: For each socket its channels, and the generation that asked for them.
        auth: The credential that was set last, if one was.
        pace: The pace that was set last, if one was.
        paused: Whether it is not to read.
        generation: The newest generation that an order had.
    """

    sockets: dict[int, dict[Hashable, int]] = field(
        default_factory=dict[int, "dict[Hashable, int]"]
    )
    auth: SetAuth | None = None
    pace: SetPace | None = None
    paused: bool = False
    generation: int = 0

    def take(self, order: Order) -> None:
        """Note an order."""
        match order:
            case OpenSocket(number):
                self.sockets.setdefault(number, {})
            case CloseSocket(number):
                self.sockets.pop(number, None)
            case Subscribe(socket, keys, generation):
                self.generation = max(self.generation, generation)
                self.sockets.setdefault(socket, {}).update(dict.fromkeys(keys, generation))
            case Unsubscribe(socket, keys, generation):
                self.generation = max(self.generation, generation)
                have = self.sockets.get(socket, {})
                for key in keys:
                    have.pop(key, None)
            case SetAuth():
                self.auth = order
            case PauseReading():
                self.paused = True
            case ResumeReading():
                self.paused = False
            case ReconnectAll() | Redial() | CapConnections():
                pass
            case SetPace():
                self.pace = order

    def orders(self) -> Iterator[Order]:
        """The orders that lead to the same from nothing; the credential comes first."""
        if self.auth is not None:
            yield self.auth
        if self.pace is not None:
            yield self.pace
        if self.paused:
            yield PauseReading()
        for number, have in self.sockets.items():
            yield OpenSocket(number)
            by_generation: dict[int, list[Hashable]] = {}
            for key, generation in have.items():
                by_generation.setdefault(generation, []).append(key)
            for generation, keys in by_generation.items():
                yield Subscribe(number, tuple(keys), generation)

    def keep_only(self, keys: Mapping[int, Iterable[Hashable]]) -> None:
        """Note that the shard is to have nothing but these."""
        for number, have in tuple(self.sockets.items()):
            if number not in keys:
                del self.sockets[number]
                continue
            these = set(keys[number])
            for key in [key for key in have if key not in these]:
                del have[key]


def plan_of(desired: Mapping[str, DesiredState], names: Sequence[str]) -> Plan:
    """The plan that shards were told, those of these names.

    Of a channel that was on its way from one socket to another, only the newer place is in it.
    """
    generations: dict[Hashable, int] = {}
    assignment: dict[Hashable, SocketId] = {}
    loads: dict[SocketId, int] = {}
    for name in names:
        for number, have in desired[name].sockets.items() if name in desired else ():
            loads[SocketId(name, number)] = 0
            for key, generation in have.items():
                if generation >= generations.get(key, 0):
                    assignment[key], generations[key] = SocketId(name, number), generation
    if not loads:
        return NO_PLAN
    for socket in assignment.values():
        loads[socket] += 1
    numbers = {
        name: max((one.number for one in loads if one.place == name), default=0) for name in names
    }
    newest = max(part.generation for part in desired.values())
    return Plan(newest, assignment, loads, tuple(names), numbers)
