"""What a late subscriber gets: hubs that hold the first messages until then, and sessions (C4).

::

    messages    --hello--a-------b--
    subscribe              hello,a--b--      nobody was there yet: nothing is lost
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from typing import Any, TypeAlias, TypeVar

from rxsocket.codecs import size_in_bytes
from rxsocket.runtime.loop import SocketLoop
from rxsocket.runtime.reporting import Report
from rxsocket.streams.iteration import ReadGate
from rxsocket.streams.multicast import Connect, Hub, HubSubscription
from rxsocket.streams.stream import Stream

T = TypeVar("T")
OnDropped: TypeAlias = Callable[[int, str], None]

MAX_MESSAGES = 256
MAX_BYTES = 2**20
MAX_SECONDS = 5.0


class HoldingHub(Hub[T]):
    """A hub of messages that can hold them for the first observer that counts as audience.

    Args:
        on_dropped: Called with the number of messages that nobody will get, and the reason.

    Attributes:
        is_holding: Whether it holds what comes.
        holds_sources: Whether it holds what messages came as, too (C50).
        source: That of the held message that is given to an observer now.
    """

    __slots__ = (
        "_held",
        "_held_bytes",
        "_on_dropped",
        "_timer",
        "holds_sources",
        "is_holding",
        "source",
    )

    def __init__(
        self,
        name: str,
        loop: SocketLoop,
        report: Report,
        on_dropped: OnDropped,
        connect: Connect | None = None,
        read_gate: ReadGate | None = None,
    ) -> None:
        super().__init__(name, loop, report, connect, read_gate)
        self._on_dropped = on_dropped
        self._held: list[tuple[T, float, Any]] | None = None  # an idle socket has no list
        self.holds_sources = False
        self.source: Any = None
        self._held_bytes = 0
        self._timer: asyncio.TimerHandle | None = None
        self.is_holding = False

    def start_holding(self) -> None:
        """Hold what comes, until the first observer that counts as audience."""
        self.is_holding = True

    def take_held(self) -> list[tuple[T, float, Any]]:
        """Stop holding; return what was held: each message, when it came, and what as."""
        held, self._held, self._held_bytes, self.is_holding = self._held, None, 0, False
        self._cancel_timer()
        return held or []

    def take_held_batch(self) -> list[list[T]]:
        """Stop holding; return what was held as one batch, if there was anything."""
        held = [value for value, _, _ in self.take_held()]
        return [held] if held else []

    def drop_held(self, reason: str = "nobody subscribed") -> None:
        """Stop holding; what was held is lost, which is counted."""
        held = self.take_held()
        if held:
            self._on_dropped(len(held), reason)

    def emit(self, value: T, raw: str | bytes | None = None) -> None:
        """Call every observer, and hold the value if need be; ``raw`` is its undecoded form."""
        if self.is_holding:
            self._hold(value, value if raw is None else raw)
        super().emit(value)

    def _hold(self, value: T, message: Any) -> None:
        """Hold a message; past a limit drop all, as part of them would be taken for the whole."""
        self._held = self._held or []
        source = message if self.holds_sources else None
        self._held.append((value, self.loop.wall_time(), source))
        self._held_bytes += size_in_bytes(message)
        if len(self._held) > MAX_MESSAGES:
            self.drop_held(f"more than {MAX_MESSAGES} messages came before anybody subscribed")
        elif self._held_bytes > MAX_BYTES:
            self.drop_held(f"more than {MAX_BYTES} bytes came before anybody subscribed")
        elif self._timer is None:
            self._timer = self.loop.event_loop.call_later(
                MAX_SECONDS, self.drop_held, f"nobody subscribed within {MAX_SECONDS:g} s"
            )

    def _cancel_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _add(self, observer: HubSubscription[T]) -> None:
        if observer.is_audience:
            for value, _, source in self.take_held():
                self.source = source
                observer.on_next(value)
            self.source = None
        super()._add(observer)


class ReplayHub(Hub[T]):
    """A hub that gives each new observer earlier values first.

    Args:
        earlier: Returns them; called on the loop.
        for_all: Give them to every observer, as giving does not use them up; else only to one that
            counts as audience (C4).
    """

    __slots__ = ("_earlier", "_for_all")

    def __init__(
        self,
        name: str,
        loop: SocketLoop,
        report: Report,
        earlier: Callable[[], Iterable[T]],
        connect: Connect | None = None,
        read_gate: ReadGate | None = None,
        *,
        for_all: bool = False,
    ) -> None:
        super().__init__(name, loop, report, connect, read_gate)
        self._earlier = earlier
        self._for_all = for_all

    def _add(self, observer: HubSubscription[T]) -> None:
        if observer.is_audience or self._for_all:
            for value in self._earlier():
                observer.on_next(value)
        super()._add(observer)


class SessionHub(HoldingHub[T]):
    """The messages of one connection.

    Attributes:
        epoch: Number of the connection.
    """

    __slots__ = ("_has_ended", "epoch")

    def __init__(
        self,
        epoch: int,
        loop: SocketLoop,
        report: Report,
        on_dropped: OnDropped,
        read_gate: ReadGate,
    ) -> None:
        super().__init__(f"session {epoch}", loop, report, on_dropped, read_gate=read_gate)
        self.epoch = epoch
        self._has_ended = False

    def end(self, error: Exception | None = None) -> None:
        """Complete it; what is still held goes to the first of the audience all the same."""
        self._has_ended = True
        self._cancel_timer()  # no timer outlives the socket (C26)
        super().end(error)

    def _add(self, observer: HubSubscription[T]) -> None:
        super()._add(observer)
        if self._has_ended:
            self._remove(observer)
            observer.end(None)


class Session(Stream[T]):
    """The messages of one connection; it completes when that connection has closed.

    Attributes:
        epoch: Number of the connection.
    """

    def __init__(self, hub: SessionHub[T]) -> None:
        super().__init__(hub)
        self.epoch = hub.epoch
