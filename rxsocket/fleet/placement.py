"""How many sockets there may be, and in which place the next one is."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from rxsocket.fleet.plan import Caps, ImpossiblePlan, Place, SocketId
from rxsocket.limits import Limits


@dataclass(frozen=True, slots=True)
class Ceiling:
    """How many sockets one of the limits allows in all.

    Attributes:
        cap: The name of the argument.
        allowed: How many it allows.
        words: What it says.
    """

    cap: str
    allowed: int
    words: str


class Placement:
    """The sockets of a plan that is being made, and where there is room for more.

    Args:
        places: Where they can be.
        limits: What the server allows.
        sockets: How many there are to be, if somebody says so.
        learnt: What the server takes, where that is less.
        spare: How many connections of each egress are left for handovers.
        numbers: The highest number that each place had.
    """

    def __init__(
        self,
        places: Sequence[Place],
        limits: Limits,
        sockets: int | None,
        learnt: Caps,
        spare: int,
        numbers: Mapping[str, int],
    ) -> None:
        self._places = places
        self._egress_of = {place.name: place.egress for place in places}
        egresses = dict.fromkeys(self._egress_of.values())
        self._unopened = learnt.unopened
        self._most: dict[str, int] = {}
        for egress in egresses:
            most = _least(limits.connections, learnt.connections.get(egress))
            if most is not None:
                self._most[egress] = max(1, most - spare)
        credential = _least(limits.connections_per_credential, learnt.connections_per_credential)
        if credential is not None:
            credential = max(1, credential - spare * len(egresses))
        self._in_all = _least(sockets, credential)
        self._in_places: Counter[str] = Counter()
        self._in_egresses: Counter[str] = Counter()
        self.numbers = dict(numbers)
        self.ceilings = _ceilings(limits, sockets, learnt, spare, credential, self._most, egresses)

    @property
    def count(self) -> int:
        """How many sockets there are."""
        return self._in_places.total()

    @property
    def allowed(self) -> int | None:
        """How many sockets there may be; ``None`` for any number."""
        return min((ceiling.allowed for ceiling in self.ceilings), default=None)

    def check(self, sockets: int | None) -> None:
        """Refuse a number of sockets that the limits do not allow.

        Raises:
            ImpossiblePlan: Then.
        """
        for ceiling in self.ceilings:
            if sockets is not None and ceiling.allowed < sockets:
                text = (
                    f"sockets={sockets} are {sockets - ceiling.allowed} more than there may be: "
                    f"{ceiling.words}"
                )
                raise ImpossiblePlan(text, ceiling.cap, sockets, ceiling.allowed)

    def keep(self, loads: Mapping[SocketId, int]) -> list[SocketId]:
        """Take over sockets that there are, as far as there may be so many.

        Args:
            loads: How many channels each has.
        """
        kept: list[SocketId] = []
        order = {socket: index for index, socket in enumerate(loads)}
        first = sorted(
            (socket for socket in loads if socket.place in self._egress_of),
            key=lambda socket: (socket in self._unopened, -loads[socket], order[socket]),
        )
        for socket in first:
            if self._is_open(socket.place):
                self._add(socket)
                kept.append(socket)
        return sorted(kept, key=order.__getitem__)

    def choose(self, loads: Mapping[SocketId, int]) -> SocketId | None:
        """The next socket, so that places have as many each: one of those that there are, or new.

        Args:
            loads: How many channels each has that may be chosen still.
        """
        place = self._next_place()
        if place is None:
            return None
        mine = [socket for socket in loads if socket.place == place.name]
        if not mine:
            return self.open()
        best = min(mine, key=lambda s: (s in self._unopened, -loads[s], s.number))
        self._add(best)
        return best

    def open(self) -> SocketId | None:
        """A new socket; ``None`` if there is no room for one."""
        place = self._next_place()
        if place is None:
            return None
        socket = SocketId(place.name, self.numbers.get(place.name, 0) + 1)
        self._add(socket)
        return socket

    def _add(self, socket: SocketId) -> None:
        self._in_places[socket.place] += 1
        self._in_egresses[self._egress_of[socket.place]] += 1
        self.numbers[socket.place] = max(self.numbers.get(socket.place, 0), socket.number)

    def _next_place(self) -> Place | None:
        """The place with the fewest sockets of those with room."""
        open_ones = (place for place in self._places if self._is_open(place.name))
        return min(open_ones, key=lambda place: self._in_places[place.name], default=None)

    def _is_open(self, place: str) -> bool:
        egress = self._egress_of[place]
        most = self._most.get(egress)
        has_room = most is None or self._in_egresses[egress] < most
        return has_room and (self._in_all is None or self.count < self._in_all)


def _least(*numbers: int | None) -> int | None:
    return min((number for number in numbers if number is not None), default=None)


def _ceilings(
    limits: Limits,
    sockets: int | None,
    learnt: Caps,
    spare: int,
    of_credential: int | None,
    of_egresses: Mapping[str, int],
    egresses: Iterable[str],
) -> list[Ceiling]:
    found: list[Ceiling] = []
    kept = (
        f", of which {spare} each {_is(spare)} left for handovers, "
        "unless on_auth_change=reconnect()"
        if spare
        else ""
    )
    if sockets is not None:
        found.append(Ceiling("sockets", sockets, f"sockets={sockets}"))
    if of_credential is not None:
        said = _said("connections_per_credential", limits.connections_per_credential)
        taken = _taken(learnt.connections_per_credential)
        words = f"{said}{taken}{kept}".removeprefix(", of which ")
        found.append(Ceiling("connections_per_credential", of_credential, words))
    if len(of_egresses) == len(list(egresses)):
        allowed = sum(of_egresses.values())
        at = ", ".join(f"{number} at {egress}" for egress, number in learnt.connections.items())
        taken = f", of which the server takes {at}" if at else ""
        said = f"{_said('connections', limits.connections)} for each address{taken}"
        if limits.connections is None:  # then it is what was learnt
            said = taken.removeprefix(", of which ")
        of_each = f"{said}{kept}"
        words = f"{of_each}, and there {_is(len(of_egresses))} {_addresses(len(of_egresses))}"
        found.append(Ceiling("connections", allowed, words))
    return found


def _said(name: str, number: int | None) -> str:
    return f"{name}={number}"


def _taken(number: int | None) -> str:
    return "" if number is None else f", of which the server takes {number}"


def _is(number: int) -> str:
    return "is" if number == 1 else "are"


def _addresses(number: int) -> str:
    return "1 address" if number == 1 else f"{number} addresses"
