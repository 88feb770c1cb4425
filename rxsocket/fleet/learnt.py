"""What was learnt of the caps of a server in one run of a fleet (C41)."""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterable, Mapping, Sequence

from rxsocket.fleet.events import Capped, Throttled
from rxsocket.fleet.learning import POLICY_VIOLATION, ChannelCap, ChannelLearning, SlowDown
from rxsocket.fleet.plan import Caps, Place, SocketId
from rxsocket.limits import Limits

NOTHING_LEAVES: Mapping[SocketId, int] = {}
LASTS = 3600.0
"""Seconds for which a cap of connections is believed."""
SLOWER = 4
"""What a pace is divided by when a connection is closed that was asked for channels."""


class LearntCaps:
    """Collects what was learnt, for the planner.

    Args:
        places: Where the shards are.
        limits: What the server is said to allow.
        answers: Whether the server says that it took a channel.

    Attributes:
        unopened: Sockets that were not open yet.
        paces: Of a shard: how many messages a second its sockets send, as was learnt.
    """

    def __init__(self, places: Sequence[Place], limits: Limits, *, answers: bool) -> None:
        self.unopened: frozenset[SocketId] = frozenset()
        self.paces: dict[str, float] = {}
        self._limits = limits
        self._egress_of = {place.name: place.egress for place in places}
        self._learning = {
            place.name: ChannelLearning(place.name, answers=answers) for place in places
        }
        self._open: dict[SocketId, None] = {}
        self._avoided: dict[SocketId, frozenset[Hashable]] = {}
        self._kept: dict[SocketId, int] = {}
        self._silent: set[tuple[SocketId, Hashable]] = set()
        self._connections: dict[str, tuple[int, float]] = {}

    def connections(self, egress: str, cap: int, now: float) -> None:
        """The server takes so many connections of one address."""
        self._connections[egress] = cap, now

    def avoid(self, socket: SocketId, key: Hashable) -> None:
        """A channel did not come there."""
        self._avoided[socket] = self._avoided.get(socket, frozenset()) | {key}

    def keep(self, socket: SocketId) -> None:
        """A channel was let go of there without a message: it takes its room while it is open."""
        self._kept[socket] = self._kept.get(socket, 0) + 1

    def on_opened(self, socket: SocketId, now: float, *, is_handover: bool) -> None:
        """It has a connection, other than before; after a handover, what left may be on it, too."""
        if not is_handover:
            self._kept.pop(socket, None)
        self._open[socket] = None
        self._learning[socket.place].connected(socket.number, now)

    def count(self, socket: SocketId, now: float) -> int:
        """How many channels have had their answer on the connection that it has, or had last."""
        return self._learning[socket.place].count(socket.number, now)

    def can_be_halved(self, socket: SocketId) -> bool:
        """Whether it may be asked for fewer channels, if nothing had an answer."""
        return self._learning[socket.place].can_be_halved(socket.number)

    def others(self, socket: SocketId, now: float) -> list[int]:
        """How many channels the other connections of its address have, those that have some."""
        egress = self._egress_of[socket.place]
        others = [one for one in self._open if one != socket]
        counts = (self.count(one, now) for one in others if self._egress_of[one.place] == egress)
        return [count for count in counts if count]

    def on_asked(self, socket: SocketId, keys: Iterable[Hashable], now: float) -> None:
        """Channels were asked for there."""
        self._learning[socket.place].asked(socket.number, keys, now)

    def on_live(self, socket: SocketId, keys: Iterable[Hashable]) -> None:
        """Channels are live there; one that never had a message is not so by an answer."""
        heard = [key for key in keys if (socket, key) not in self._silent]
        self._learning[socket.place].heard(socket.number, heard)

    def on_left(self, socket: SocketId, keys: Iterable[Hashable]) -> None:
        """Channels were let go of there, or refused."""
        self._learning[socket.place].left(socket.number, keys)
        self._silent.difference_update((socket, key) for key in keys)

    def on_silent(
        self, socket: SocketId, key: Hashable, answered: bool, now: float, at: float
    ) -> Capped | None:
        """A channel had no answer, or never a message; return what that teaches."""
        learning = self._learning[socket.place]
        if answered and (socket, key) not in self._silent:
            self._silent.add((socket, key))
            learning.left(socket.number, (key,))  # an answer is nothing if no message follows
            learning.asked(socket.number, (key,), now)
        learnt = learning.unanswered(socket.number, key, now, at)
        return None if learnt is None else learnt.event

    def on_closed(
        self, socket: SocketId, code: int | None, now: float, at: float
    ) -> Capped | Throttled | None:
        """A connection has ended; return what that teaches."""
        self._open.pop(socket, None)
        others = self.others(socket, now) if code == POLICY_VIOLATION else ()
        learnt = self._learning[socket.place].closed(socket.number, code, now, at, others)
        match learnt:
            case SlowDown():
                return self._slower(socket.place, learnt, at)
            case ChannelCap(event):
                self.paces.pop(socket.place, None)  # it was not that
                return event
            case _:
                return learnt

    def _slower(self, shard: str, seen: SlowDown, at: float) -> Throttled:
        rate = self._limits.rate
        pace = self.paces.get(shard)
        if pace is None and rate is not None:
            pace = rate[0] / rate[1]
        if pace is None:
            pace = math.ceil(seen.asked / self._limits.batch) / max(seen.seconds, 1.0)
        self.paces[shard] = pace = pace / SLOWER
        asked = f"it was asked for {seen.asked} channels"
        why = f"the server closed a connection with {POLICY_VIOLATION} as {asked}"
        return Throttled(shard=shard, rate=pace, retry_after=None, why=why, what="sends", at=at)

    def on_probed(self, socket: SocketId, now: float, at: float) -> Capped | None:
        """A connection was not refused when nothing was asked for; return what that teaches."""
        learnt = self._learning[socket.place].probed(socket.number, now, at)
        return None if learnt is None else learnt.event

    def forget(self, socket: SocketId) -> None:
        """It is gone."""
        self._open.pop(socket, None)
        self._kept.pop(socket, None)
        self._avoided.pop(socket, None)
        self._learning[socket.place].forget(socket.number)

    def caps(
        self, now: float, cap: int | None, leaving: Mapping[SocketId, int] = NOTHING_LEAVES
    ) -> Caps:
        """What the planner takes.

        Args:
            now: The time.
            cap: How many channels a connection may carry, as far as is said.
            leaving: How many channels each socket has that the plan has somewhere else: they take
                their room until they have left.
        """
        channels: dict[SocketId, int] = {}
        unheard = dict(self._avoided)
        of_any: list[int] = []
        for shard, learning in self._learning.items():
            for number, learnt in learning.channels(now).items():
                socket = SocketId(shard, number)
                channels[socket] = learnt
                unheard[socket] = unheard.get(socket, frozenset()) | learning.unheard(number)
            any_of_it = learning.channels_of_any(now)
            if any_of_it is not None:
                of_any.append(any_of_it)
        for taken in (self._kept, leaving):
            for socket, count in taken.items():
                allowed = channels.get(socket, cap)
                if allowed is not None:
                    channels[socket] = max(0, allowed - count)
        return Caps(
            channels=channels,
            channels_of_any=min(of_any, default=None),
            unheard=unheard,
            connections={
                egress: most
                for egress, (most, since) in self._connections.items()
                if now < since + LASTS
            },
            unopened=self.unopened,
        )
