"""What was learnt of the caps of a server in one run of a fleet (C41)."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping

from rxsocket.fleet.events import Capped
from rxsocket.fleet.learning import ChannelLearning
from rxsocket.fleet.plan import Caps, SocketId

NOTHING_LEAVES: Mapping[SocketId, int] = {}
LASTS = 3600.0
"""Seconds for which a cap of connections is believed."""


class LearntCaps:
    """Collects what was learnt, for the planner.

    Args:
        shards: The names of the shards.

    Attributes:
        unopened: Sockets that were not open yet.
    """

    def __init__(self, shards: Iterable[str]) -> None:
        self.unopened: frozenset[SocketId] = frozenset()
        self._learning = {shard: ChannelLearning(shard) for shard in shards}
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

    def on_opened(self, socket: SocketId, *, is_handover: bool) -> None:
        """It has a connection, other than before; after a handover, what left may be on it, too."""
        if not is_handover:
            self._kept.pop(socket, None)
        self._learning[socket.place].connected(socket.number)

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

    def on_closed(self, socket: SocketId, code: int | None, now: float, at: float) -> Capped | None:
        """A connection has ended; return what that teaches."""
        learnt = self._learning[socket.place].closed(socket.number, code, now, at)
        return None if learnt is None else learnt.event

    def forget(self, socket: SocketId) -> None:
        """It is gone."""
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
