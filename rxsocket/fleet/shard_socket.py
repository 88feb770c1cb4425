"""One socket of a shard: its channels, and what it reports of them (C41)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeAlias

from reactivex import abc

from rxsocket.events import Cause, ChannelStale, Closed, Event, Opened
from rxsocket.fleet.counts import FleetCounts
from rxsocket.fleet.learning import SOON
from rxsocket.fleet.orders import Asked, ChannelError, Live, Probed, Report, Silent, SocketEvent
from rxsocket.fleet.spec import ChannelSpec
from rxsocket.limits import Limits
from rxsocket.publishing.publisher import Publisher
from rxsocket.runtime.loop import SocketLoop
from rxsocket.socket import Socket
from rxsocket.streams.receipts import Receipt
from rxsocket.topics.asking import name_of

Deliver: TypeAlias = Callable[[int, Hashable], Callable[[Any], None]]
"""Given a socket and a key, what is called with each of its messages, on the loop."""

ROUNDING = 1e-3
"""Seconds that two times of one moment may differ by."""


@dataclass(slots=True, eq=False)
class _Carried:
    """A channel of the socket.

    Attributes:
        generation: That of the order to carry it.
        subscription: What ends it.
    """

    generation: int
    subscription: abc.DisposableBase | None = None


class ShardSocket:
    """A socket and its channels; on its loop.

    Args:
        number: Its number in its shard.
        socket: The socket, which nobody has subscribed to.
        spec: How channels are asked for.
        loop: The loop of the shard.
        report: Called with each report.
        deliver: Asked for what takes the messages of a channel.
        limits: What the socket was made with.

    Attributes:
        limits: What the socket was made with.
        name: What pauses reading, for people; with ``stream`` and ``waiting``.
        is_open: Whether it has a connection that delivers.
    """

    name = "a subscriber of the fleet"
    stream = "messages"
    waiting = 0

    def __init__(
        self,
        number: int,
        socket: Socket[Any, Any],
        spec: ChannelSpec,
        loop: SocketLoop,
        report: Callable[[Report], None],
        deliver: Deliver,
        limits: Limits,
    ) -> None:
        self.is_open = False
        self.limits = limits
        self.number = number
        self.socket = socket
        self._arguments = spec.arguments()
        self._loop = loop
        self._report = report
        self._deliver = deliver
        self._carried: dict[Hashable, _Carried] = {}
        self._subscribed: dict[tuple[bool, int], list[Hashable]] = {}
        self._since: dict[Hashable, float] = {}  # when each was asked for on this connection
        self._probing: asyncio.TimerHandle | None = None
        self._is_held = False  # channels are not asked for
        self._is_closed = False

    def start(self) -> None:
        """Connect, and stay connected until :meth:`close`."""
        engine = self.socket._engine  # pyright: ignore[reportPrivateUsage]
        engine.hooks.on_subscription = self._on_subscription
        publisher = engine.publisher
        publisher.ignore_slow_consumers()
        publisher.lifecycle.passive().subscribe(self._on_event)
        self.socket.connect()

    def subscribe(self, keys: tuple[Hashable, ...], generation: int) -> None:
        """Ask for channels, those of one order in messages of many."""
        carried = self._carried
        for key in keys:
            carried.setdefault(key, _Carried(generation)).generation = generation
        if self._is_held:
            return
        asked = [key for key in keys if carried[key].subscription is None]
        if not asked:
            return
        channels = self.socket.channels(asked, **self._arguments)
        for key in asked:
            one = carried[key]
            one.subscription = channels[key].subscribe(
                self._deliver(self.number, key), partial(self._on_failed, key, one)
            )

    def unsubscribe(self, keys: tuple[Hashable, ...], generation: int) -> None:
        """Let go of channels that no later order has asked for."""
        for key in keys:
            carried = self._carried.get(key)
            if carried is not None and carried.generation <= generation:
                del self._carried[key]
                if carried.subscription is not None:
                    carried.subscription.dispose()

    def carried(self) -> list[tuple[tuple[Hashable, ...], int]]:
        """Its channels, by the generation of the order to carry them."""
        found: dict[int, list[Hashable]] = {}
        for key, one in self._carried.items():
            found.setdefault(one.generation, []).append(key)
        return [(tuple(keys), generation) for generation, keys in found.items()]

    def pause(self) -> None:
        """Read nothing more."""
        self._publisher.read_gate.pause(self)

    def resume(self) -> None:
        """Read on."""
        self._publisher.read_gate.resume(self)

    def close(self, code: int = 1000, reason: str = "") -> Receipt[None]:
        """Close it, and report nothing more."""
        self._is_closed = True
        self._end_probe()
        self._subscribed.clear()
        return self.socket.close(code, reason)

    def abort_after(self, seconds: float) -> None:
        """Drop its connection if its closing takes longer than that."""
        engine = self.socket._engine  # pyright: ignore[reportPrivateUsage]
        engine.run_state.closing.abort_after(seconds)

    def masked(self, text: str) -> str:
        """Mask the secrets of the socket in a text; from any thread."""
        return self._publisher.history.as_read(text)

    @property
    def counts(self) -> FleetCounts:
        """What it has counted; from any thread."""
        return FleetCounts.of(self.socket.stats)

    @property
    def _publisher(self) -> Publisher:
        return self.socket._engine.publisher  # pyright: ignore[reportPrivateUsage]

    def _on_event(self, event: Event) -> None:
        if self._is_closed:
            return
        if isinstance(event, Opened):
            self.is_open = True
            if self._is_held:
                self._probing = self._loop.event_loop.call_later(SOON, self._on_probed)
        if isinstance(event, Closed):
            self._since.clear()
            if event.cause is not Cause.HANDED_OVER:
                self.is_open = False
                self._report_subscribed()  # it was of that connection
                self._ask_again()
        if isinstance(event, ChannelStale):
            self._on_stale(event)
        self._report(SocketEvent(self.number, event))

    # --- it was refused

    def redial(self, *, asks: bool) -> None:
        """Connect, though the credential was refused: it was refused for something else, maybe.

        Args:
            asks: Whether to ask for channels.
        """
        if not asks and not self._is_held:
            self._is_held = True
            for carried in self._carried.values():
                if carried.subscription is not None:
                    carried.subscription.dispose()
                    carried.subscription = None
        self._loop.event_loop.call_soon(self._connect_again)

    def _connect_again(self) -> None:
        if not self._is_closed:
            self.socket.reconnect()

    def _on_probed(self) -> None:
        """It was not refused for its credential; an order says what to ask for."""
        self._end_probe()
        self._report(Probed(self.number))

    def _end_probe(self) -> None:
        if self._probing is not None:
            self._probing.cancel()
            self._probing = None
        self._is_held = False

    def _ask_again(self) -> None:
        """On the next connection everything is asked for, unless that is held back again."""
        if self._is_held:
            self._end_probe()
            for key, carried in tuple(self._carried.items()):
                if carried.subscription is None:
                    self.subscribe((key,), carried.generation)

    def _on_stale(self, event: ChannelStale) -> None:
        """One that had a message before may be quiet; one that never had any is told."""
        masked, now = self._publisher.history.as_read, self._loop.event_loop.time()
        for key in self._carried:
            if masked(name_of(key)) == event.channel:
                is_heard = event.silence < now - self._since.get(key, now) - ROUNDING
                if not (event.answered and is_heard):
                    self._report(Silent(self.number, key, event.answered))
                return

    def _on_subscription(self, key: Hashable, is_live: bool) -> None:
        carried = self._carried.get(key)
        if carried is None or self._is_closed:
            return
        self._since.setdefault(key, self._loop.event_loop.time())
        if not self._subscribed:
            self._loop.event_loop.call_soon(self._report_subscribed)
        self._subscribed.setdefault((is_live, carried.generation), []).append(key)

    def _report_subscribed(self) -> None:
        """Report what one turn of the loop brought, each plan's in one."""
        subscribed, self._subscribed = self._subscribed, {}
        at = self._loop.wall_time()
        for (is_live, generation), keys in subscribed.items():
            if is_live:
                self._report(Live(self.number, tuple(keys), generation, at))
            else:
                self._report(Asked(self.number, tuple(keys), generation))

    def _on_failed(self, key: Hashable, carried: _Carried, error: Exception) -> None:
        if self._carried.get(key) is carried and not self._has_ended:
            del self._carried[key]
            self._report(ChannelError(self.number, key, error))

    @property
    def _has_ended(self) -> bool:
        return self._is_closed or self._publisher.has_ended
