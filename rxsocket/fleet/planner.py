"""From what is wanted, what there is and what is allowed to a plan; it looks at nothing else (C42).

::

    channels=3    socket 1    socket 2
    A B C D       A C         B D         a fresh plan: as few sockets as it takes, evenly loaded
    + E           A C E       B D         one channel touches one socket
    - B           A C E       D           the others stay where they are
    rebalance     A C         D E         only when a place came, or somebody asks for it

The order of what is wanted decides where there is a choice, so the same arguments give the same
plan. With weights, the heaviest are placed first, each where the fewest bytes are. That does not
find each packing that there may be: ``bytes`` needs some room.
"""

from __future__ import annotations

import heapq
import math
from bisect import bisect_left, insort
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence, Set

from rxsocket.explain.format import amount
from rxsocket.fleet.placement import Placement
from rxsocket.fleet.plan import NO_PLAN, Caps, ImpossiblePlan, Place, Plan, SocketId
from rxsocket.fleet.weights import Weigh, checked
from rxsocket.limits import Limits
from rxsocket.validation import is_mapping

NOTHING_LEARNT = Caps()


def plan(
    wanted: Iterable[Hashable],
    current: Plan | None,
    places: Sequence[Place],
    limits: Limits,
    *,
    weights: Weigh | None = None,
    sockets: int | None = None,
    learnt: Caps = NOTHING_LEARNT,
    spare: int = 0,
    rebalance: bool = False,
) -> Plan:
    """Say which channel is to be on which socket.

    Args:
        wanted: The channels. Their order counts; that of a set is by what its members look like.
        current: The plan so far.
        places: Where sockets can be.
        limits: What the server allows.
        weights: Gives the bytes a second that are expected of a channel.
        sockets: How many sockets to use, as soon as there are so many channels. Left out: as few as
            the limits allow, and at least one in each place.
        learnt: What the server takes, where that is less.
        spare: How many of the connections of each egress are left for handovers.
        rebalance: Whether channels may move only to load the sockets evenly. They do when there is
            a place that the plan so far does not know.

    Returns:
        The next plan; the current one, if nothing changes.

    Raises:
        ImpossiblePlan: If it does not fit; the text says which cap is in the way, and by how much.
        ValueError: If there is no place.
    """
    if not places:
        raise ValueError("places: pass at least one")
    names = tuple(place.name for place in places)
    before = current or NO_PLAN
    rebalance = rebalance or bool(before.assignment and set(names) - set(before.places))
    keys = _in_order(wanted)
    error: ImpossiblePlan | None = None
    for attempt in _attempts(rebalance, before, is_weighed=weights is not None):
        planner = _Planner(attempt, places, limits, weights, sockets, learnt, spare)
        try:
            planner.check()
            if attempt.rebalance:
                planner.rebalance(keys)
            else:
                planner.extend(keys, tight=attempt.tight)
        except ImpossiblePlan as raised:
            error = error or raised
        else:
            return planner.result(before, names)
    assert error is not None
    raise error


class _Attempt:
    """How to come to a plan: from what, and by what means."""

    def __init__(self, current: Plan, rebalance: bool = False, tight: bool = False) -> None:
        self.current = current
        self.rebalance = rebalance
        self.tight = tight


def _attempts(rebalance: bool, before: Plan, is_weighed: bool) -> Iterator[_Attempt]:
    """What to try: what moves least comes first, and what packs most closely last."""
    if not (rebalance and before.assignment):
        yield _Attempt(before)
    if before.assignment:
        yield _Attempt(before, rebalance=True)
    if is_weighed:
        yield _Attempt(Plan(numbers=before.numbers), tight=True)


def _in_order(wanted: Iterable[Hashable]) -> Mapping[Hashable, object]:
    if is_mapping(wanted):
        return wanted
    if isinstance(wanted, (set, frozenset)):
        wanted = sorted(wanted, key=lambda key: (type(key).__name__, repr(key)))
    return dict.fromkeys(wanted)


class _Load:
    """A socket of the plan that is being made, and what it has."""

    __slots__ = ("bytes", "cap", "count", "id", "unheard")

    def __init__(self, socket: SocketId, cap: float, unheard: Set[Hashable]) -> None:
        self.id = socket
        self.cap = cap
        self.unheard = unheard
        self.count = 0
        self.bytes = 0.0


class _Planner:
    def __init__(
        self,
        attempt: _Attempt,
        places: Sequence[Place],
        limits: Limits,
        weights: Weigh | None,
        sockets: int | None,
        learnt: Caps,
        spare: int,
    ) -> None:
        self._before = attempt.current
        self._limits = limits
        self._learnt = learnt
        self._sockets = sockets
        self._weigh = None if weights is None else checked(weights)
        self._most_bytes = math.inf if limits.bytes is None else limits.bytes * (1 + 1e-9)
        self._few = len(places) if sockets is None else sockets
        self._placement = Placement(places, limits, sockets, learnt, spare, self._before.numbers)
        self._cap = min(_or_inf(limits.channels), _or_inf(learnt.channels_of_any))
        self._loads: list[_Load] = []
        self._assignment: dict[Hashable, SocketId] = {}
        self._levels: dict[SocketId, int] = {}
        self._changes = False

    def check(self) -> None:
        self._placement.check(self._sockets)

    def result(self, before: Plan, names: tuple[str, ...]) -> Plan:
        loads = {load.id: load.count for load in self._loads if load.count}
        is_alike = names == before.places and loads == before.loads
        if is_alike and (not self._changes or self._assignment == before.assignment):
            return before
        return Plan(
            generation=before.generation + 1,
            assignment=self._assignment,
            loads=loads,
            places=names,
            numbers=self._placement.numbers,
        )

    # --- with as little change as there can be

    def extend(self, keys: Mapping[Hashable, object], *, tight: bool) -> None:
        """Leave what there is where it is, as far as it may stay there."""
        for socket in self._placement.keep(self._before.loads):
            self._add(socket)
        self._assignment = stays = self._staying(keys)
        unplaced = [key for key in keys if key not in stays]
        if not unplaced:
            self._changes = len(stays) < len(self._before.assignment)
            return
        self._open_for(unplaced)
        self._fill(unplaced, tight=tight)

    def _staying(self, keys: Mapping[Hashable, object]) -> dict[Hashable, SocketId]:
        """The channels that stay where they are."""
        stays = dict(self._before.assignment)
        here = {load.id: load for load in self._loads}
        for load in self._loads:
            load.count = self._before.loads[load.id]
        leaving = [key for key in stays if key not in keys]
        if self._before.loads.keys() - here.keys():
            leaving += [key for key, socket in stays.items() if socket not in here and key in keys]
        for key in leaving:
            socket = stays.pop(key)
            if socket in here:
                here[socket].count -= 1
        for load in self._loads:
            for key in load.unheard:
                if stays.get(key) == load.id:
                    del stays[key]
                    load.count -= 1
        full = {load.id: load for load in self._loads if load.count > load.cap}
        if full:
            for key in reversed([key for key, socket in stays.items() if socket in full]):
                load = full[stays[key]]
                if load.count > load.cap:
                    load.count -= 1
                    del stays[key]
        if self._weigh is not None:
            self._drop_what_is_too_heavy(stays, here)
        return stays

    def _drop_what_is_too_heavy(
        self, stays: dict[Hashable, SocketId], here: Mapping[SocketId, _Load]
    ) -> None:
        """What came last leaves a socket whose channels are expected to bring too much."""
        too_heavy: list[Hashable] = []
        for key, socket in stays.items():
            load, weight = here[socket], self._weight(key)
            if load.bytes + weight > self._most_bytes:
                load.count -= 1
                too_heavy.append(key)
            else:
                load.bytes += weight
        for key in too_heavy:
            del stays[key]

    def _open_for(self, unplaced: Sequence[Hashable]) -> None:
        """Open the sockets that so many more channels need."""
        few = min(self._few, len(self._assignment) + len(unplaced))
        opened = 0
        while len(self._loads) < few and opened < len(unplaced) and self._open():
            opened += 1
        room = sum(load.cap - load.count for load in self._loads)
        while room < len(unplaced):
            if not self._open():
                raise self._impossible(len(unplaced) - room)
            room += self._cap
        if self._weigh is None or self._limits.bytes is None:
            return
        needed = sum(self._weight(key) for key in unplaced)
        free = sum(self._limits.bytes - load.bytes for load in self._loads)
        while free * (1 + 1e-9) < needed and self._open():
            free += self._limits.bytes

    # --- evenly

    def rebalance(self, keys: Mapping[Hashable, object]) -> None:
        """Choose the sockets anew, and load them evenly; no more moves than that takes."""
        self._choose(keys)
        before = self._before.assignment
        chosen = {load.id for load in self._loads}
        on: dict[SocketId, list[Hashable]] = {}
        for key, socket in before.items():
            if key in keys and key not in self._learnt.unheard.get(socket, ()):
                on.setdefault(socket, []).append(key)
        homeless = [key for socket, kept in on.items() if socket not in chosen for key in kept]
        homeless += self._keep_level(on, len(keys))
        known = {key for kept in on.values() for key in kept}
        homeless += [key for key in keys if key not in known]
        if self._weigh is None:
            self._fill_to_level(homeless)
        else:
            self._fill(homeless)

    def _choose(self, keys: Mapping[Hashable, object]) -> None:
        """The sockets that there are to be: as few as it takes, as many in each place."""
        rest = dict(self._before.loads)
        few, room, free = min(self._few, len(keys)), 0.0, 0.0
        needed = 0.0
        if self._weigh is not None and self._limits.bytes is not None:
            needed = sum(self._weight(key) for key in keys)
        while len(self._loads) < few or room < len(keys) or free * (1 + 1e-9) < needed:
            socket = self._placement.choose(rest)
            if socket is None:
                if room < len(keys):
                    raise self._impossible(len(keys) - room)
                break
            rest.pop(socket, None)
            load = self._add(socket)
            room += load.cap
            free += _or_inf(self._limits.bytes)

    def _keep_level(self, on: Mapping[SocketId, list[Hashable]], total: int) -> list[Hashable]:
        """Leave on each socket what is no more than its share; return what it has over."""
        levels = self._levels = self._share(on, total)
        over: list[Hashable] = []
        level = spread = math.inf
        if self._weigh is not None:
            weights = [self._weight(key) for kept in on.values() for key in kept]
            level = sum(weights) / max(1, len(self._loads))
            spread = max(weights, default=0.0) / 2
        for load in self._loads:
            for key in on.get(load.id, ()):
                weight = 0.0 if self._weigh is None else self._weight(key)
                fits = load.count < (load.cap if self._weigh else levels[load.id])
                if fits and load.bytes + weight <= min(self._most_bytes, level + spread):
                    self._put(key, load, weight)
                else:
                    over.append(key)
        return over

    def _share(self, on: Mapping[SocketId, list[Hashable]], total: int) -> dict[SocketId, int]:
        """How many channels each socket is to have: as many as the others, but for its cap."""
        levels: dict[SocketId, int] = {}
        loads = sorted(self._loads, key=lambda load: load.cap)
        for index, load in enumerate(loads):
            share = total // (len(loads) - index)
            if load.cap > share:
                break
            levels[load.id] = int(load.cap)
            total -= int(load.cap)
        others = [load for load in loads if load.id not in levels]
        others.sort(key=lambda load: -len(on.get(load.id, ())))
        share, more = divmod(total, max(1, len(others)))
        for index, load in enumerate(others):
            levels[load.id] = share + (index < more)
        return levels

    def _fill_to_level(self, keys: Sequence[Hashable]) -> None:
        """Give each socket what it lacks: a whole one's channels to a whole one, if there are."""
        rest = iter(keys)
        late: list[Hashable] = []
        for load in sorted(self._loads, key=lambda load: load.count):
            while load.count < self._levels[load.id]:
                key = next(rest, None)
                if key is None:
                    break
                if key in load.unheard:
                    late.append(key)
                else:
                    self._put(key, load, 0.0)
        late += rest
        self._fill(late)

    # --- both

    def _fill(self, keys: Sequence[Hashable], *, tight: bool = False) -> None:
        """Give each channel to the socket with the least, of those that may have it."""
        if self._weigh is None:
            weighed = [(key, 0.0) for key in keys]
        else:
            weighed = [(key, self._weight(key)) for key in keys]
            weighed.sort(key=lambda pair: -pair[1])
        if tight:
            self._pack(weighed)
            return
        loads = self._loads
        heap = [(load.bytes, load.count, index) for index, load in enumerate(loads)]
        heapq.heapify(heap)
        for key, weight in weighed:
            aside: list[tuple[float, int, int]] = []
            while True:
                if not heap or loads[heap[0][2]].bytes + weight > self._most_bytes:
                    self._refuse_if_too_heavy(key, weight)
                    if not self._open():
                        raise self._impossible(1)
                    heapq.heappush(heap, (0.0, 0, len(loads) - 1))
                load = loads[heap[0][2]]
                if load.count >= load.cap:
                    heapq.heappop(heap)
                elif key in load.unheard:
                    aside.append(heapq.heappop(heap))
                else:
                    break
            index = heap[0][2]
            self._put(key, load, weight)
            heapq.heapreplace(heap, (load.bytes, load.count, index))
            for entry in aside:
                heapq.heappush(heap, entry)

    def _pack(self, weighed: Iterable[tuple[Hashable, float]]) -> None:
        """Give each channel to the socket with the least room of those where it fits."""
        rooms: list[tuple[float, int]] = []
        for index, load in enumerate(self._loads):
            insort(rooms, (self._most_bytes - load.bytes, index))
        for key, weight in weighed:
            at = bisect_left(rooms, (weight, -1))
            while at < len(rooms) and key in self._loads[rooms[at][1]].unheard:
                at += 1
            if at == len(rooms):
                self._refuse_if_too_heavy(key, weight)
                if not self._open():
                    raise self._impossible(1)
                room, index = self._most_bytes, len(self._loads) - 1
            else:
                room, index = rooms.pop(at)
            load = self._loads[index]
            self._put(key, load, weight)
            if load.count < load.cap:
                insort(rooms, (room - weight, index))

    def _put(self, key: Hashable, load: _Load, weight: float) -> None:
        self._assignment[key] = load.id
        self._changes = True
        load.count += 1
        load.bytes += weight

    def _open(self) -> bool:
        socket = self._placement.open()
        if socket is not None:
            self._add(socket)
        return socket is not None

    def _add(self, socket: SocketId) -> _Load:
        learnt = self._learnt
        cap = min(self._cap, _or_inf(learnt.channels.get(socket)))
        load = _Load(socket, cap, learnt.unheard.get(socket, frozenset()))
        self._loads.append(load)
        return load

    def _weight(self, key: Hashable) -> float:
        return 0.0 if self._weigh is None else self._weigh(key)

    # --- what does not fit

    def _refuse_if_too_heavy(self, key: Hashable, weight: float) -> None:
        most = self._limits.bytes
        if most is not None and weight > self._most_bytes:
            text = (
                f"the channel {key!r} alone is expected to bring {weight:g} bytes a second, "
                f"{weight - most:g} more than a connection is to carry (bytes={most:g})"
            )
            raise ImpossiblePlan(text, "bytes", weight, most)

    def _impossible(self, left: float) -> ImpossiblePlan:
        """Say which cap is in the way of so many channels."""
        ceiling = min(self._placement.ceilings, key=lambda ceiling: ceiling.allowed)
        each = self._limits.channels
        carries: list[str] = []
        if self._cap != math.inf:
            taken = "" if self._cap == each else f", of which the server takes {self._cap:g}"
            carries.append(f"channels={each}{taken}")
        if self._weigh is not None and self._limits.bytes is not None:
            carries.append(f"bytes={self._limits.bytes:g}")
        needed = ceiling.allowed + max(1, math.ceil(left / self._cap))
        text = (
            f"what is wanted does not fit: {left:g} channels are too many. A connection carries "
            f"{' and '.join(carries)}; there can be {amount(ceiling.allowed, 'connection')}, and "
            f"{needed} would be needed ({ceiling.words}). Want fewer channels, raise what the "
            "server allows more of, or add a place with an address of its own"
        )
        return ImpossiblePlan(text, ceiling.cap, needed, ceiling.allowed)


def _or_inf(number: float | None) -> float:
    return math.inf if number is None else number
