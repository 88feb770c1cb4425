"""The owner of the plan and of its generation (C41).

::

    wanted ──┐
    reports ─┴──► planner ──► orders

Everything here happens on the loop of the fleet, one thing at a time. What is wanted may change
many times in a turn of the loop: there is one plan for all of it, in the next turn.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import replace

from rxsocket.events import Cause, Closed, Ended, Event, Opened
from rxsocket.explain.causes import closing
from rxsocket.fleet.channel import FleetChannel
from rxsocket.fleet.desired_state import DesiredState, plan_of
from rxsocket.fleet.events import Capped, Lost, Placed, Restored, ShardFailed, Throttled
from rxsocket.fleet.learnt import LearntCaps
from rxsocket.fleet.moves import ChannelMoves
from rxsocket.fleet.orders import (
    Asked,
    CapConnections,
    ChannelError,
    Learnt,
    Live,
    Probed,
    Report,
    SetPace,
    Silent,
    SocketEvent,
)
from rxsocket.fleet.plan import Place, Plan, PlanChanges, SocketId, changes
from rxsocket.fleet.planning import Fitting, Planning
from rxsocket.fleet.publisher import FleetPublisher
from rxsocket.fleet.refusals import Refusals
from rxsocket.fleet.refused_channels import RefusedChannels
from rxsocket.fleet.sockets import ChannelOrders, FleetSocket, FleetSockets, Give
from rxsocket.fleet.unanswered import UnansweredChannels
from rxsocket.fleet.wanted import WantedChannels
from rxsocket.policy.verdicts import Verdict
from rxsocket.runtime.loop import SocketLoop

TRY_AGAIN = 300.0
"""Seconds after which there is another plan for what did not fit."""
LONGEST_WAIT = 60.0
"""Seconds until a socket is replaced that ended for good, as many before it did."""


class Controller:
    """Places the channels of one run of a fleet, from its start to its end.

    Args:
        loop: The loop of the fleet.
        planning: What plans are made with.
        places: Where sockets can be.
        wanted: The channels that are wanted.
        publisher: DesiredState what happens.
        give: Gives an order to a shard.
        end: Called when the fleet cannot go on.
        unsubscribes: Whether there is a message that ends a channel.
        acknowledges: Whether there is one that accepts it.

    Attributes:
        fitting: The plan, and what does not fit.
        sockets: The sockets that there are.
        moves: The channels that are on their way.
        unanswered: Those whose answer does not come.
    """

    def __init__(
        self,
        loop: SocketLoop,
        planning: Planning,
        places: Sequence[Place],
        wanted: WantedChannels,
        publisher: FleetPublisher,
        *,
        give: Give,
        end: Callable[[Exception | None], None],
        unsubscribes: bool,
        acknowledges: bool,
    ) -> None:
        self.fitting = Fitting()
        self._learnt = learnt = LearntCaps(places, planning.limits, answers=acknowledges)
        self.sockets = FleetSockets(give, learnt, unsubscribes=unsubscribes)
        self._refusals = Refusals(self.sockets, learnt)
        self.moves = ChannelMoves(
            publisher,
            self.sockets,
            learnt,
            self.plan_soon,
            self._on_room,
            acknowledges=acknowledges,
        )
        self.unanswered = UnansweredChannels(loop, publisher.tell)
        self._loop = loop
        self._planning = planning
        self._places = tuple(places)
        self._down: set[str] = set()
        self._wanted = wanted
        self._channels = wanted.channels
        self._publisher = publisher
        self._end = end
        self._is_due = self._rebalance = self._is_stopped = self._is_held = False
        self._wait_timer: asyncio.TimerHandle | None = None
        self._ended_in_a_row = 0
        self._refused = RefusedChannels(loop, wanted, self.plan_soon)

    def hold(self) -> None:
        """Plan nothing until :meth:`begin`."""
        self._is_held = True

    def begin(self, desired: Mapping[str, DesiredState]) -> None:
        """Plan from now on.

        Args:
            desired: What shards have that an earlier driver started.
        """
        self._is_held = False
        plan = plan_of(desired, [one.name for one in self._places])
        for key, socket in plan.assignment.items():
            generation = desired[socket.place].sockets[socket.number][key]
            self._wanted.adopt(key).place(socket, generation)
        self.fitting = replace(self.fitting, plan=plan)
        self.sockets.adopt(plan, self._channels)
        self.plan_soon()

    def plan_soon(self, *, rebalance: bool = False) -> None:
        """Make a plan in the next turn of the loop."""
        self._rebalance = self._rebalance or rebalance
        if not (self._is_due or self._is_stopped or self._is_held):
            self._is_due = True
            self._loop.event_loop.call_soon(self._loop.run, self._make_plan)

    def stop(self) -> None:
        """The fleet stops: nothing is planned any more, and every channel is nowhere."""
        self._is_stopped = True
        if self._wait_timer is not None:
            self._wait_timer.cancel()
        self.moves.stop()
        self.unanswered.stop()
        self._refused.stop()
        for channel in self._channels.values():
            channel.release()
            channel.lost_at = channel.error = None

    def on_report(self, shard: str, report: Report) -> None:
        """Take what a shard reports."""
        if self._is_stopped:
            return
        match report:
            case Live(number, keys, generation, at):
                self._on_live(SocketId(shard, number), keys, generation, at)
            case Asked(number, keys, generation):
                self._on_asked(SocketId(shard, number), keys, generation)
            case SocketEvent(number, event):
                self._on_event(SocketId(shard, number), event)
            case ChannelError(number, key, error):
                self._on_refused(SocketId(shard, number), key, error)
            case Silent(number, key, answered):
                now, at = self._now, self._loop.wall_time()
                socket = SocketId(shard, number)
                self._on_learnt(shard, self._learnt.on_silent(socket, key, answered, now, at))
            case Learnt(event):
                self._on_learnt(shard, event)
            case Probed(number):
                self._on_probed(SocketId(shard, number))
            case ShardFailed():
                self._on_shard_failed(report)
            case _:
                pass

    @property
    def _now(self) -> float:
        return self._loop.event_loop.time()

    def _on_learnt(self, shard: str, event: Capped | Throttled | None) -> None:
        """The server takes less: fewer channels of a connection, or connections, or messages."""
        if event is None:
            return
        if isinstance(event, Capped):
            if event.what == "connections":
                egress = next(one.egress for one in self._places if one.name == shard)
                self._learnt.connections(egress, event.cap, self._now)
            self.plan_soon()
        self._publisher.tell(event)

    def _on_closed(self, socket: FleetSocket, event: Closed) -> None:
        self._lose(socket, closing(event), event.at)
        shard, pace = socket.id.place, self._learnt.paces.get(socket.id.place)
        learnt = self._learnt.on_closed(socket.id, event.code, self._now, event.at)
        if isinstance(learnt, Capped) and learnt.what == "connections":
            self.sockets.give(shard, CapConnections(learnt.cap))
        if self._learnt.paces.get(shard) != pace:
            self.sockets.give(shard, SetPace(self._learnt.paces.get(shard)))
        self._on_learnt(shard, learnt)

    def _on_probed(self, socket: SocketId) -> None:
        """It was asked for too much: it is asked for what the next plan leaves there."""
        self._refusals.on_probed(socket)
        self._on_learnt(
            socket.place, self._learnt.on_probed(socket, self._now, self._loop.wall_time())
        )
        self._make_plan()
        if socket in self.sockets.by_id:
            self.sockets.ask_again(socket, self._channels)

    # --- plans

    @property
    def plan(self) -> Plan:
        """The newest plan."""
        return self.fitting.plan

    def _make_plan(self) -> None:
        self._is_due = False
        if self._is_stopped:
            return
        self.moves.tell()  # the old places let go, before channels go anywhere else
        rebalance, self._rebalance = self._rebalance, False
        wanted = [key for key, one in self._channels.items() if one.wanted and one.error is None]
        sockets = self.sockets.by_id.values()
        self._learnt.unopened = frozenset(one.id for one in sockets if not one.was_open)
        places = [one for one in self._places if one.name not in self._down]
        before, leaving = self.plan, self.sockets.leaving(self._channels)
        known = {*before.assignment, *self.fitting.left_out}
        if rebalance and any(key not in known for key in wanted):
            rebalance = False  # a socket that channels leave takes none in the same plan
            self.plan_soon(rebalance=True)
        caps = self._learnt.caps(self._now, self._planning.limits.channels, leaving)
        self.fitting = self._planning.fit(wanted, before, places, caps, rebalance=rebalance)
        if self.plan is not before:
            self._carry_out(changes(before, self.plan))
        if self.fitting.weight_error is not None:
            self._publisher.weight_failed(self.fitting.weight_error)
            self._refused.add_unweighed(self.fitting.unweighed)
        if self.fitting.left_out and places:
            self._refuse_what_never_fits(wanted)
            self._plan_after(TRY_AGAIN)  # what was learnt may not hold any more
        self._wanted.forget_unwanted()

    def _plan_after(self, seconds: float) -> None:
        if self._wait_timer is not None:
            self._wait_timer.cancel()
        loop = self._loop
        self._wait_timer = loop.event_loop.call_later(seconds, loop.run, self.plan_soon)

    def _on_room(self) -> None:
        """Channels have left a socket: what did not fit meanwhile may have room now."""
        if self.fitting.left_out:
            self.plan_soon()

    def _refuse_what_never_fits(self, wanted: Sequence[Hashable]) -> None:
        """What ``limits=`` do not allow fails for its observers; else it waits."""
        error = self._planning.impossible(wanted, self._places)
        if error is not None:
            for key in self.fitting.left_out:
                self._wanted.fail(self._channels[key], error)

    def _carry_out(self, changed: PlanChanges) -> None:
        for socket in changed.opened:
            self.sockets.open(socket)
        orders = ChannelOrders(self.plan.generation)
        for keys in changed.dropped.values():
            for key in keys:
                self._drop(self._channels[key], orders)
        for move in changed.moves:
            self._move(self._channels[move.key], move.target, orders)
        for socket, keys in changed.placed.items():
            for key in keys:
                self._place(self._channels[key], socket, orders)
        self.sockets.send(orders)
        self.sockets.close_when_left(changed.closed)

    def _place(self, channel: FleetChannel, socket: SocketId, orders: ChannelOrders) -> None:
        channel.place(socket, orders.generation)
        self.sockets.carry(channel, socket, orders)

    def _drop(self, channel: FleetChannel, orders: ChannelOrders) -> None:
        for socket in (channel.socket, channel.target):
            self.sockets.unsubscribe(channel, socket, orders)
        self.moves.cancel(channel)
        channel.release()

    def _move(self, channel: FleetChannel, target: SocketId, orders: ChannelOrders) -> None:
        if channel.target is not None:  # it was on its way somewhere else
            self.sockets.unsubscribe(channel, channel.target, orders)
            self.moves.cancel(channel)
        if channel.socket == target:
            return
        if channel.is_live:
            self.moves.begin(channel, target, orders)
        else:
            self.sockets.unsubscribe(channel, channel.socket, orders)
            self._place(channel, target, orders)

    # --- channels

    def _on_live(
        self, socket: SocketId, keys: Iterable[Hashable], generation: int, at: float
    ) -> None:
        self._learnt.on_asked(socket, keys, self._now)
        self._learnt.on_live(socket, keys)
        if self._learnt.count(socket, self._now):
            self._refusals.on_answered()
        placed: list[Hashable] = []
        restored: defaultdict[float, list[Hashable]] = defaultdict(list)
        for key in keys:
            channel = self._channels.get(key)
            if channel is None:
                continue
            if channel.target == socket and channel.target_generation == generation:
                self.moves.on_live(channel)
            elif channel.socket == socket and channel.generation == generation:
                if channel.lost_at is not None:
                    restored[channel.lost_at].append(key)
                elif not channel.is_live:
                    placed.append(key)
                channel.is_live, channel.lost_at, channel.refusals = True, None, 0
        shard, number = socket
        tell = self._publisher.tell
        if placed:
            tell(Placed(keys=tuple(placed), shard=shard, socket=number, at=at))
        for since, these in restored.items():
            gap = max(0.0, at - since)
            tell(Restored(keys=tuple(these), shard=shard, socket=number, gap=gap, at=at))

    def _on_asked(self, socket: SocketId, keys: Iterable[Hashable], generation: int) -> None:
        self._learnt.on_asked(socket, keys, self._now)
        for key in keys:
            channel = self._channels.get(key)
            if channel is None:
                continue
            if channel.target == socket and channel.target_generation == generation:
                self.moves.on_asked(channel)
            elif channel.socket == socket and channel.generation == generation:
                self.unanswered.on_asked(channel, socket, generation)

    def _on_refused(self, socket: SocketId, key: Hashable, error: Exception) -> None:
        self.moves.tell()
        found, channel = self.sockets.by_id.get(socket), self._channels.get(key)
        if found is not None:
            found.keys.pop(key, None)
            self._learnt.on_left(socket, (key,))
        if channel is None:
            return
        if channel.target == socket:
            self.moves.on_refused(channel)
        elif channel.socket == socket:
            orders = ChannelOrders(self.plan.generation)
            self._drop(channel, orders)
            self.sockets.send(orders)
            self._refused.add(channel, error)
            self.plan_soon()

    # --- sockets

    def _on_event(self, socket: SocketId, event: Event) -> None:
        found = self.sockets.by_id.get(socket)
        if found is None:
            return
        self._refusals.on_event(found, event, self._now)
        found.take(event)
        match event:
            case Opened(gap=gap):
                self._learnt.on_opened(socket, self._now, is_handover=gap == 0.0)
                self._ended_in_a_row = 0
            case Closed(cause=cause) if cause is not Cause.HANDED_OVER:
                self._on_closed(found, event)
            case Ended():
                self._on_ended(found, event)
            case _:
                pass

    def _lose(self, socket: FleetSocket, why: str, at: float) -> None:
        """Its connection ended: what was live there is lost, unless it is live elsewhere, too."""
        self.moves.tell()  # what has moved there, before it is lost
        lost: list[Hashable] = []
        for key in tuple(socket.keys):
            channel = self._channels[key]
            if channel.target == socket.id:
                channel.restart_move()
            elif channel.socket == socket.id and channel.is_live:
                channel.is_live = False
                if channel.target is None or not channel.target_is_live:
                    channel.lost_at = at
                    lost.append(key)
                if channel.target is not None and channel.move is not None:
                    channel.emit(channel.move.old_ended(channel.now))
        if lost:
            shard, number = socket.id
            keys = tuple(lost)
            self._publisher.tell(
                Lost(keys=keys, shard=shard, socket=number, why=why, since=at, at=at)
            )

    def _on_ended(self, socket: FleetSocket, event: Ended) -> None:
        """It ended for good: another one takes its channels, unless that cannot help."""
        if event.cause in (Cause.CLOSE, Cause.LOOP_ENDED):
            self._end(None)
            return
        is_alone = not any(one.is_open for one in self.sockets.by_id.values())
        if event.verdict is Verdict.FAIL and is_alone and event.error is not None:
            self._end(event.error)
            return
        self._remove(socket)
        self._ended_in_a_row += 1
        self._plan_after(min(LONGEST_WAIT, 2.0 ** (self._ended_in_a_row - 1) - 1.0))

    def _remove(self, socket: FleetSocket) -> None:
        """It is in no plan any more, and its channels are nowhere."""
        self.moves.tell()
        orders = ChannelOrders(self.plan.generation)
        for key in tuple(socket.keys):
            channel = self._channels[key]
            if channel.target == socket.id:
                self.moves.cancel(channel)
            elif channel.socket == socket.id:
                self._drop(channel, orders)
        self.sockets.send(orders)
        if socket.id in self.sockets.by_id:
            self.sockets.remove(socket)
        self._refusals.forget(socket.id)
        self._correct_plan()

    def _correct_plan(self) -> None:
        """Let the plan say where channels are, after what no plan has changed."""
        where = {
            key: channel.target or channel.socket
            for key in self.plan.assignment
            if (channel := self._channels.get(key)) is not None
        }
        for socket in self.sockets.by_id.values():
            socket.is_leaving = False  # the next plan says which are
        self.fitting = replace(self.fitting, plan=self.plan.corrected(where, self.sockets.by_id))

    # --- shards

    def _on_shard_failed(self, event: ShardFailed) -> None:
        """It is gone; unless it is started again, others take its channels."""
        self._publisher.tell(event)
        if event.restarts:
            return  # it said that its connections are lost, and will say that they are back
        self._down.add(event.shard)
        for socket in [one for one in self.sockets.by_id.values() if one.id.place == event.shard]:
            self._lose(socket, "its shard failed", event.at)
            self._remove(socket)
        if len(self._down) == len(self._places):
            self._end(event.error)
        else:
            self.plan_soon()
