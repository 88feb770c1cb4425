"""What was learnt of the caps of a server in one run of a fleet (C41)."""

from __future__ import annotations

from collections.abc import Hashable

from rxsocket.fleet.events import Capped
from rxsocket.fleet.plan import Caps, SocketId


class LearntCaps:
    """Collects what events say, for the planner.

    Attributes:
        unopened: Sockets that were not open yet.
    """

    def __init__(self) -> None:
        self.unopened: frozenset[SocketId] = frozenset()
        self._channels: dict[SocketId, int] = {}
        self._avoided: dict[SocketId, frozenset[Hashable]] = {}
        self._kept: dict[SocketId, int] = {}
        self._connections: dict[str, int] = {}
        self._per_credential: int | None = None

    def take(self, event: Capped, egress: str) -> None:
        """The server takes less than was said."""
        match event.what:
            case "channels" if event.socket is not None:
                self._channels[SocketId(event.shard, event.socket)] = event.cap
            case "channels":
                pass
            case "connections":
                self._connections[egress] = event.cap
            case "connections_per_credential":
                self._per_credential = event.cap

    def avoid(self, socket: SocketId, key: Hashable) -> None:
        """A channel does not come there."""
        self._avoided[socket] = self._avoided.get(socket, frozenset()) | {key}

    def keep(self, socket: SocketId, cap: int | None) -> None:
        """A channel was let go of there without a message: it takes its room until it is over."""
        if cap is not None:
            self._kept[socket] = self._kept.get(socket, 0) + 1
            self._channels[socket] = max(0, cap - self._kept[socket])

    def forget(self, socket: SocketId) -> None:
        """It has another connection, or is gone."""
        if self._kept.pop(socket, 0):
            self._channels.pop(socket, None)

    def caps(self) -> Caps:
        """What the planner takes."""
        return Caps(
            channels=self._channels,
            unheard=self._avoided,
            connections=self._connections,
            connections_per_credential=self._per_credential,
            unopened=self.unopened,
        )
