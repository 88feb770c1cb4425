"""Channels that were asked for, and whose answer does not come; only with ``acknowledged=`` (C41).

::

    asked for    A B C
    answers      A B                  or acknowledged= misses the one to C
    events       Placed(A B)     AnswerMissing(C)     10 s later, once for each connection
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Hashable, Set

from rxsocket.fleet.channel import FleetChannel
from rxsocket.fleet.events import AnswerMissing
from rxsocket.fleet.plan import SocketId
from rxsocket.runtime.loop import SocketLoop
from rxsocket.topics.overdue import Overdue

PATIENCE = 10.0
"""Seconds after which it is said that a channel has no answer."""


class UnansweredChannels:
    """Says of channels that they have no answer, of many in one event; on the loop.

    Args:
        loop: The loop of the fleet.
        tell: Called with each event.
    """

    def __init__(self, loop: SocketLoop, tell: Callable[[AnswerMissing], None]) -> None:
        self._loop = loop
        self._tell = tell
        self._asked: Overdue[tuple[FleetChannel, SocketId, int]] = Overdue(loop, self._on_late)
        self._late: defaultdict[SocketId, list[Hashable]] = defaultdict(list)
        self._told: dict[FleetChannel, tuple[SocketId, int]] = {}

    def on_asked(self, channel: FleetChannel, socket: SocketId, generation: int) -> None:
        """A channel was asked for there."""
        due = self._loop.event_loop.time() + PATIENCE
        self._asked.set((channel, socket, generation), due)

    def count(self, open_sockets: Set[SocketId]) -> int:
        """Of how many channels of these this was said that have no answer still; any thread."""
        told = tuple(self._told.items())
        return sum(
            where[0] in open_sockets and _is_unanswered(channel, *where) for channel, where in told
        )

    def stop(self) -> None:
        """The fleet stops."""
        self._asked.clear()
        self._told.clear()

    def _on_late(self, asked: tuple[FleetChannel, SocketId, int]) -> None:
        channel, socket, generation = asked
        if not _is_unanswered(channel, socket, generation):
            self._told.pop(channel, None)
            return
        if not self._late:
            self._loop.event_loop.call_soon(self._loop.run, self._tell_late)
        self._late[socket].append(channel.key)
        self._told[channel] = socket, generation

    def _tell_late(self) -> None:
        late, self._late = self._late, defaultdict(list)
        for (shard, number), keys in late.items():
            self._tell(
                AnswerMissing(
                    keys=tuple(keys),
                    shard=shard,
                    socket=number,
                    seconds=PATIENCE,
                    at=self._loop.wall_time(),
                )
            )


def _is_unanswered(channel: FleetChannel, socket: SocketId, generation: int) -> bool:
    is_there = channel.socket == socket and channel.generation == generation
    return is_there and not channel.is_live and channel.error is None and bool(channel.wanted)
