"""What a fleet knows of its sockets, and what it tells them about channels (C41)."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Iterable, Mapping
from typing import TypeAlias

from rxsocket.events import Cause, Closed, ConnectFailed, Event, Opened, Rejected
from rxsocket.explain.causes import closing, failure
from rxsocket.fleet.channel import FleetChannel
from rxsocket.fleet.learnt import LearntCaps
from rxsocket.fleet.orders import CloseSocket, OpenSocket, Order, Subscribe, Unsubscribe
from rxsocket.fleet.plan import Plan, SocketId
from rxsocket.state import State, States

Give: TypeAlias = Callable[[str, Order], None]
"""Gives an order to a shard, by its name."""


class FleetSocket:
    """One socket of a fleet, as its events tell.

    Args:
        id: Which one it is.

    Attributes:
        keys: The channels that it was asked for.
        state: What it is doing.
        was_open: Whether it was open since the fleet started.
        trouble: Why it has no connection, in words; empty if nothing went wrong since it had one.
        is_leaving: Whether it is closed as soon as its last channel has left it.
    """

    def __init__(self, id: SocketId) -> None:
        self.id = id
        self.keys: dict[Hashable, None] = {}
        self.state = State.IDLE
        self.was_open = self.is_leaving = False
        self.trouble = ""
        self._states = States()

    @property
    def is_open(self) -> bool:
        """Whether it has a connection that delivers."""
        return self.state is State.OPEN

    def take(self, event: Event) -> None:
        """Something happened to it."""
        self.was_open = self.was_open or isinstance(event, Opened)
        self.state = self._states.after(event) or self.state
        match event:
            case Opened():
                self.trouble = ""
            case ConnectFailed(error=error) | Rejected(error=error) if not self.is_open:
                self.trouble = failure(error)
            case Closed(cause=cause) if cause is not Cause.HANDED_OVER:
                self.trouble = closing(event)
            case _:
                pass


class ChannelOrders:
    """Orders about channels, which go out together.

    Args:
        generation: The number of the plan that says so.
    """

    def __init__(self, generation: int) -> None:
        self.generation = generation
        self.subscribe: defaultdict[SocketId, list[Hashable]] = defaultdict(list)
        self.unsubscribe: defaultdict[SocketId, list[Hashable]] = defaultdict(list)


class FleetSockets:
    """The sockets that there are.

    Args:
        give: Gives an order to a shard.
        learnt: What was learnt of caps.
        unsubscribes: Whether there is a message that ends a channel.

    Attributes:
        by_id: The sockets.
    """

    def __init__(self, give: Give, learnt: LearntCaps, *, unsubscribes: bool) -> None:
        self.by_id: dict[SocketId, FleetSocket] = {}
        self.give = give
        self._learnt = learnt
        self._unsubscribes = unsubscribes

    def open(self, socket: SocketId) -> None:
        """Make a socket."""
        self.by_id[socket] = FleetSocket(socket)
        self.give(socket.place, OpenSocket(socket.number))

    def adopt(self, plan: Plan, channels: Mapping[Hashable, FleetChannel]) -> None:
        """Go on with the sockets of an earlier driver, and have them carry their channels."""
        for socket in plan.sockets:
            self.open(socket)
        for key, socket in plan.assignment.items():
            self.by_id[socket].keys[key] = None
            order = Subscribe(socket.number, (key,), channels[key].generation)
            self.give(socket.place, order)

    def ask_again(self, socket: SocketId, channels: Mapping[Hashable, FleetChannel]) -> None:
        """Ask for what a socket carries, on a connection on which nothing was asked for."""
        orders: defaultdict[int, list[Hashable]] = defaultdict(list)
        for key in self.by_id[socket].keys:
            channel = channels[key]
            is_new = channel.target == socket
            orders[channel.target_generation if is_new else channel.generation].append(key)
        for generation, keys in orders.items():
            self.give(socket.place, Subscribe(socket.number, tuple(keys), generation))

    def close_when_left(self, sockets: Iterable[SocketId]) -> None:
        """Close these when their last channel has left them."""
        for socket in sockets:
            if socket in self.by_id:
                self.by_id[socket].is_leaving = True
                self._close_if_left(self.by_id[socket])

    def remove(self, socket: FleetSocket) -> None:
        """It has ended, or its shard has."""
        del self.by_id[socket.id]
        self._learnt.forget(socket.id)
        self.give(socket.id.place, CloseSocket(socket.id.number))

    def carry(self, channel: FleetChannel, socket: SocketId, orders: ChannelOrders) -> None:
        """Let a socket carry a channel."""
        self.by_id[socket].keys[channel.key] = None
        orders.subscribe[socket].append(channel.key)

    def unsubscribe(
        self, channel: FleetChannel, socket: SocketId | None, orders: ChannelOrders
    ) -> None:
        """Let it carry a channel no more, if it does."""
        found = None if socket is None else self.by_id.get(socket)
        if found is not None and channel.key in found.keys:
            del found.keys[channel.key]
            orders.unsubscribe[found.id].append(channel.key)
            self._learnt.on_left(found.id, (channel.key,))
            if not self._unsubscribes:
                self._learnt.keep(found.id)

    def leaving(self, channels: Mapping[Hashable, FleetChannel]) -> dict[SocketId, int]:
        """How many channels each carries that will not be there, and take their room still.

        Those that move away do so until the new place delivers; without a message that ends a
        channel, those that are not wanted any more do so while the connection is open.
        """
        found: Counter[SocketId] = Counter()
        for socket in self.by_id.values():
            for key in socket.keys:
                channel = channels[key]
                is_wanted = channel.wanted and channel.error is None
                is_to_be_here = (channel.target or channel.socket) == socket.id
                if not is_to_be_here if is_wanted else not self._unsubscribes:
                    found[socket.id] += 1
        return found

    def send(self, orders: ChannelOrders) -> None:
        """Let go first: a connection may be full."""
        generation = orders.generation
        for socket, keys in orders.unsubscribe.items():
            self.give(socket.place, Unsubscribe(socket.number, tuple(keys), generation))
        for socket, keys in orders.subscribe.items():
            self.give(socket.place, Subscribe(socket.number, tuple(keys), generation))
        for socket in orders.unsubscribe:
            if socket in self.by_id:
                self._close_if_left(self.by_id[socket])

    def _close_if_left(self, socket: FleetSocket) -> None:
        if socket.is_leaving and not socket.keys:
            self.remove(socket)
