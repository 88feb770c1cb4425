"""The channels of a fleet that are on their way from one socket to another (C41).

::

    plan       move A from 1 to 2
    socket 1   =A======================Unsubscribe(A)
    socket 2     Subscribe(A)··ack=A==================
    events                            Moved(A)
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Hashable

from rxsocket.fleet.channel import FleetChannel
from rxsocket.fleet.events import Moved
from rxsocket.fleet.learnt import LearntCaps
from rxsocket.fleet.moving import MovePhase
from rxsocket.fleet.plan import SocketId
from rxsocket.fleet.publisher import FleetPublisher
from rxsocket.fleet.sockets import ChannelOrders, FleetSockets

LOOK = 0.25
"""Seconds between two looks at moves that wait for something."""


class ChannelMoves:
    """Begins moves, and lets go of the old places; on the loop.

    Args:
        publisher: The streams of the fleet.
        sockets: The sockets.
        learnt: What was learnt of caps.
        plan_soon: Called when a channel cannot be where the plan says.
        on_room: Called when channels have left a socket.
        acknowledges: Whether there is a message that accepts a channel.

    Attributes:
        under_way: The channels that move.
    """

    def __init__(
        self,
        publisher: FleetPublisher,
        sockets: FleetSockets,
        learnt: LearntCaps,
        plan_soon: Callable[[], None],
        on_room: Callable[[], None],
        *,
        acknowledges: bool,
    ) -> None:
        self.under_way: dict[FleetChannel, None] = {}
        self._publisher = publisher
        self._loop = publisher.loop
        self._sockets = sockets
        self._learnt = learnt
        self._plan_soon = plan_soon
        self._on_room = on_room
        self._acknowledges = acknowledges
        self._generation = 0
        self._moved: dict[tuple[SocketId, SocketId], list[tuple[FleetChannel, bool]]] = {}
        self._timer: asyncio.TimerHandle | None = None

    def stop(self) -> None:
        """The fleet stops."""
        self.under_way.clear()
        self._moved.clear()
        if self._timer is not None:
            self._timer.cancel()

    def begin(self, channel: FleetChannel, target: SocketId, orders: ChannelOrders) -> None:
        """A channel that is live is to be somewhere else."""
        self._generation = orders.generation
        channel.begin_move(target, orders.generation)
        self._sockets.carry(channel, target, orders)
        self.under_way[channel] = None
        self._look_later()

    def cancel(self, channel: FleetChannel) -> None:
        """It stays where it was, or is nowhere."""
        channel.cancel_move()
        self.under_way.pop(channel, None)

    def on_asked(self, channel: FleetChannel) -> None:
        """The new place was asked for it; an answer is to come."""
        if channel.move is not None:
            channel.move.on_awaiting_answer(channel.now)
            self._look_later()

    def on_live(self, channel: FleetChannel) -> None:
        """It is live at the new place."""
        channel.target_is_live = True
        move = channel.move
        if move is None:
            return
        if self._acknowledges:
            channel.emit(move.on_answered(channel.now))
        else:
            move.on_asked(channel.now)
        self._look_later()

    def on_refused(self, channel: FleetChannel) -> None:
        """The new place does not take it: it goes on where it was."""
        if channel.move is not None:
            channel.move.new_ended()
            channel.emit(())

    def on_phase(self, channel: FleetChannel) -> None:
        """A move has come further."""
        move, source, target = channel.move, channel.socket, channel.target
        if move is None:
            return
        if move.phase is MovePhase.KEPT:
            if target is not None:
                self._keep(channel, target)
            elif move.is_over:
                channel.finish_move()
            return
        if target is not None and source is not None:
            is_lost = channel.lost_at is not None and not channel.target_is_live
            channel.switch()
            if not self._moved:
                self._loop.event_loop.call_soon(self._loop.run, self.tell)
            self._moved.setdefault((source, target), []).append((channel, is_lost))
        if move.phase is MovePhase.FINISHED:
            channel.finish_move()
            self.under_way.pop(channel, None)

    def _keep(self, channel: FleetChannel, target: SocketId) -> None:
        """It did not come there: the old place goes on, and it is tried somewhere else."""
        self._learnt.avoid(target, channel.key)
        self.cancel(channel)
        orders = ChannelOrders(self._generation)
        self._sockets.unsubscribe(channel, target, orders)
        self._sockets.send(orders)
        self._plan_soon()

    def tell(self) -> None:
        """What switched in this turn lets go of the old places, in one message each."""
        moved, self._moved = self._moved, {}
        orders = ChannelOrders(self._generation)
        for (source, target), channels in moved.items():
            keys: list[Hashable] = []
            for channel, is_lost in channels:
                if channel.socket == target:  # and not nowhere meanwhile
                    self._sockets.unsubscribe(channel, source, orders)
                    if not is_lost:  # else it is restored as soon as it is live there
                        keys.append(channel.key)
            if keys:
                self._publisher.tell(
                    Moved(
                        keys=tuple(keys),
                        shard=target.place,
                        socket=target.number,
                        from_shard=source.place,
                        from_socket=source.number,
                        at=self._loop.wall_time(),
                    )
                )
        self._sockets.send(orders)
        if moved:
            self._on_room()

    # --- those that wait for something

    def _look_later(self) -> None:
        if self._timer is None and self.under_way:
            self._timer = self._loop.event_loop.call_later(LOOK, self._loop.run, self._look)

    def _look(self) -> None:
        self._timer = None
        gate = self._publisher.read_gate
        for channel in () if gate.is_paused else tuple(self.under_way):
            if channel.move is not None:
                channel.emit(channel.move.look(channel.now, gate.resumed_at))
        self._look_later()
