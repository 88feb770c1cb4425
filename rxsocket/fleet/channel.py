"""One channel of a fleet: where it is, and the way of its messages (C41).

::

    socket 1 ── Inlet ──┬── messages of the fleet
                        `── observers of the channel
    socket 2 ── Inlet ····  while it moves: the merge says what of both is delivered

While a channel does not move, a message costs one call on this way.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable
from typing import Any

from rxsocket.fleet.moving import ChannelMove, MovePhase
from rxsocket.fleet.plan import SocketId
from rxsocket.runtime.loop import SocketLoop
from rxsocket.streams.multicast import Hub
from rxsocket.streams.slow_consumers import SlowConsumerDetector

BY_SET = 1
"""It is in the set that ``want`` was given."""
BY_OBSERVER = 2
"""Somebody observes it."""


class MessagePath:
    """What all channels of a fleet have in common on the way of a message.

    Args:
        loop: The loop of the fleet.
        detector: Names observers that hold the loop.
        key: What the same message has over two sockets; it does not raise.
        on_phase: Called with a channel whose move has come further, within a turn.
    """

    def __init__(
        self,
        loop: SocketLoop,
        detector: SlowConsumerDetector,
        key: Callable[[Any], Hashable | None] | None,
        on_phase: Callable[[FleetChannel], None],
    ) -> None:
        self.loop = loop
        self.detector = detector
        self.key = key
        self.on_phase = on_phase


class FleetChannel:
    """One channel; on the loop of the fleet.

    Attributes:
        key: Its key.
        hubs: Who gets its messages.
        wanted: By what it is wanted: ``BY_SET``, ``BY_OBSERVER``, both or neither.
        error: Why it is not asked for any more, or for a while.
        refusals: How many times it was refused since it was live.
        socket: Where it was asked for.
        generation: Of the plan that says so.
        is_live: Whether it is live there.
        lost_at: When it was live last, as wall time, while it is not.
        target: The socket that it moves to.
        target_generation: Of the plan that says so.
        target_is_live: Whether it is live there, too.
        move: What merges the messages of both.
    """

    __slots__ = (
        "_inlet",
        "_new",
        "_path",
        "error",
        "generation",
        "hubs",
        "is_live",
        "key",
        "lost_at",
        "move",
        "refusals",
        "socket",
        "target",
        "target_generation",
        "target_is_live",
        "wanted",
    )

    def __init__(self, key: Hashable, path: MessagePath) -> None:
        self.key = key
        self._path = path
        self.hubs: tuple[Hub[Any], ...] = ()
        self.wanted = 0
        self.error: Exception | None = None
        self.refusals = 0
        self.lost_at: float | None = None
        self.socket: SocketId | None = None
        self.generation = 0
        self.is_live = False
        self.target: SocketId | None = None
        self.target_generation = 0
        self.target_is_live = False
        self.move: ChannelMove[Any] | None = None
        self._inlet: Inlet | None = None
        self._new: Inlet | None = None

    def inlet(self, socket: SocketId) -> Inlet:
        """What takes its messages from a socket where it was asked for."""
        if socket == self.target and self._new is not None:
            return self._new
        if socket == self.socket and self._inlet is not None:
            return self._inlet
        return Inlet(self, self._path, is_closed=True)

    # --- where it is

    def place(self, socket: SocketId, generation: int) -> None:
        """It is asked for there, and was nowhere, or is let go of where it was."""
        self._close_inlets()
        self.socket, self.generation, self.is_live = socket, generation, False
        self._inlet = Inlet(self, self._path)

    def begin_move(self, target: SocketId, generation: int) -> None:
        """It is asked for there, too, and let go of where it was when that delivers."""
        self.target, self.target_generation, self.target_is_live = target, generation, False
        self.move = move = ChannelMove(self._path.key, before=self.move)
        self._new = Inlet(self, self._path, is_new=True)
        self._new.move = move
        if self._inlet is not None:
            self._inlet.move = move

    def restart_move(self) -> None:
        """The connection there ended, and comes again."""
        if self.target is not None:
            inlet = self._new
            self.begin_move(self.target, self.target_generation)
            if inlet is not None and self._new is not None:
                inlet.move, inlet.is_closed = self._new.move, False
                self._new = inlet  # which the socket has

    def cancel_move(self) -> None:
        """It stays where it was."""
        if self.target is None:
            return
        if self._new is not None:
            self._new.close()
        move = self.move
        if move is not None:
            move.new_ended()
        self._forget_target()
        if move is not None and not move.is_over:
            self.move = move  # of the move before, something is still to be compared
        elif self._inlet is not None:
            self._inlet.move = None

    def switch(self) -> None:
        """It is at the new place alone."""
        if self._inlet is not None:
            self._inlet.close()
        self.socket, self.generation = self.target, self.target_generation
        self.lost_at = None if self.target_is_live else self.lost_at
        self.is_live = self.target_is_live
        self._inlet = self._new
        self.target, self._new = None, None

    def finish_move(self) -> None:
        """Nothing is left to compare."""
        if self._inlet is not None:
            self._inlet.move, self._inlet.is_new = None, False
        self.move = None

    def release(self) -> None:
        """It is not asked for anywhere; since when it is lost stays, for when it is again."""
        self._close_inlets()
        self.socket, self.generation, self.is_live = None, 0, False

    def _close_inlets(self) -> None:
        for inlet in (self._inlet, self._new):
            if inlet is not None:
                inlet.close()
        self._inlet = None
        self._forget_target()

    def _forget_target(self) -> None:
        self.target, self.target_generation, self.target_is_live = None, 0, False
        self._new = self.move = None

    # --- messages

    @property
    def now(self) -> float:
        """The time, on the clock of the loop."""
        return self._path.loop.event_loop.time()

    def emit(self, messages: Iterable[Any]) -> None:
        """Deliver messages of a move, and say how far it is."""
        before = self.move
        with self._path.loop:
            for message in messages:
                for hub in self.hubs:
                    hub.emit(message)
            if before is not None and before.phase is not MovePhase.OVERLAPPING:
                self._path.on_phase(self)


class Inlet:
    """What takes the messages of a channel from one socket.

    Attributes:
        move: What merges them with those of another one, while the channel moves.
        is_new: Whether it is the one that the channel moves to.
        is_closed: Whether nobody hears it any more.
    """

    __slots__ = ("_channel", "_detector", "_loop", "is_closed", "is_new", "move")

    def __init__(
        self,
        channel: FleetChannel,
        path: MessagePath,
        *,
        is_new: bool = False,
        is_closed: bool = False,
    ) -> None:
        self._channel = channel
        self._loop = path.loop
        self._detector = path.detector
        self.move: ChannelMove[Any] | None = _CLOSED if is_closed else None
        self.is_new = is_new
        self.is_closed = is_closed

    def on_next(self, message: Any) -> None:
        """Take a message, which came now."""
        if not self._detector.is_timing_burst:
            self._detector.start_burst()
        if self.move is None:
            self._loop.emit(self._channel.hubs, message)
        elif not self.is_closed:
            channel, take = self._channel, self.move.from_old
            if self.is_new:
                take = self.move.from_new
            channel.emit(take(message, channel.now))

    def close(self) -> None:
        """Take nothing more."""
        self.move, self.is_closed = _CLOSED, True


_CLOSED: ChannelMove[Any] = ChannelMove(None)
"""Stands for the move of what is closed, so that a message is looked at no more than once."""
