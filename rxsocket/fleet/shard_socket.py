"""One socket of a shard: its channels, and what it reports of them (C41)."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeAlias

from reactivex import abc

from rxsocket.events import AwaitingAuth, Cause, ChannelStale, Closed, Event, Opened, Rejected
from rxsocket.fleet.dial_learning import FORBIDDEN
from rxsocket.fleet.learning import POLICY_VIOLATION
from rxsocket.fleet.orders import Asked, ChannelError, Live, Report, Silent, SocketEvent
from rxsocket.fleet.spec import ChannelSpec
from rxsocket.publishing.publisher import Publisher
from rxsocket.runtime.loop import SocketLoop
from rxsocket.socket import Socket
from rxsocket.streams.multicast import Hub
from rxsocket.streams.receipts import Receipt
from rxsocket.topics.asking import name_of

Deliver: TypeAlias = Callable[[int, Hashable], Callable[[Any], None]]
"""Given a socket and a key, what is called with each of its messages, on the loop."""

ROUNDING = 1e-3
"""Seconds that two times of one moment may differ by."""
AGAIN = 3
"""How many times in a row a connection is made anew that was closed for what it asked for."""


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
        others_open: Says whether another socket with the same credential is open.

    Attributes:
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
        others_open: Callable[[], bool],
    ) -> None:
        self.is_open = False
        self._others_open = others_open
        self.number = number
        self.socket = socket
        self._arguments = spec.arguments()
        self._loop = loop
        self._report = report
        self._deliver = deliver
        self._carried: dict[Hashable, _Carried] = {}
        self._subscribed: dict[tuple[bool, int], list[Hashable]] = {}
        self._since: dict[Hashable, float] = {}  # when each was asked for on this connection
        self._has_live = False  # whether anything was, on this connection
        self._refused_channels = 0  # closes in a row that were about what was asked for
        self._was_forbidden = False  # while others were open, which may be about their number
        self._has_tried_again = False
        self._is_closed = False

    def start(self) -> None:
        """Connect, and stay connected until :meth:`close`."""
        engine = self.socket._engine  # pyright: ignore[reportPrivateUsage]
        engine.hooks.on_subscription = self._on_subscription
        publisher = engine.publisher
        lifecycle: Hub[Event] = Hub("lifecycle", engine.loop, publisher.report)
        publisher.lifecycle = lifecycle
        publisher.ignore_slow_consumers()
        lifecycle.passive().subscribe(self._on_event)
        self.socket.connect()

    def subscribe(self, keys: tuple[Hashable, ...], generation: int) -> None:
        """Ask for channels, those of one order in messages of many."""
        asked = [key for key in keys if key not in self._carried]
        for key in keys:
            self._carried.setdefault(key, _Carried(generation)).generation = generation
        if not asked:
            return
        channels = self.socket.channels(asked, **self._arguments)
        for key in asked:
            carried = self._carried[key]
            carried.subscription = channels[key].subscribe(
                self._deliver(self.number, key), partial(self._on_failed, key, carried)
            )

    def unsubscribe(self, keys: tuple[Hashable, ...], generation: int) -> None:
        """Let go of channels that no later order has asked for."""
        for key in keys:
            carried = self._carried.get(key)
            if carried is not None and carried.generation <= generation:
                del self._carried[key]
                if carried.subscription is not None:
                    carried.subscription.dispose()

    def pause(self) -> None:
        """Read nothing more."""
        self._publisher.read_gate.pause(self)

    def resume(self) -> None:
        """Read on."""
        self._publisher.read_gate.resume(self)

    def close(self, code: int = 1000, reason: str = "") -> Receipt[None]:
        """Close it, and report nothing more."""
        self._is_closed = True
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
    def _publisher(self) -> Publisher:
        return self.socket._engine.publisher  # pyright: ignore[reportPrivateUsage]

    def _on_event(self, event: Event) -> None:
        if self._is_closed:
            return
        if isinstance(event, Opened):
            self._has_live = False
            self.is_open, self._has_tried_again = True, False
        if isinstance(event, Rejected):
            is_first = event.status == FORBIDDEN and not (self.is_open or self._has_tried_again)
            self._was_forbidden = is_first and self._others_open()
        if isinstance(event, Closed):
            if event.cause is not Cause.HANDED_OVER:
                self.is_open = False
            self._since.clear()
            is_about_channels = event.code == POLICY_VIOLATION and self._has_live
            self._refused_channels = self._refused_channels + 1 if is_about_channels else 0
        if isinstance(event, AwaitingAuth):
            if self._was_forbidden:  # another refusal says that it is a cap
                self._was_forbidden, self._has_tried_again = False, True
                self._loop.event_loop.call_soon(self._connect_again)
            elif 0 < self._refused_channels <= AGAIN:
                self._loop.event_loop.call_soon(self._connect_again)
        if isinstance(event, Closed) and event.cause is not Cause.HANDED_OVER:
            self._report_subscribed()  # it was of that connection
        if isinstance(event, ChannelStale):
            self._on_stale(event)
        self._report(SocketEvent(self.number, event))

    def _connect_again(self) -> None:
        """It was refused for something else: its credential is as good as it was."""
        if not self._is_closed:
            self.socket.reconnect()

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
        self._has_live = self._has_live or is_live
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
