"""Feeds of messages that hold the first ones until somebody listens (C4).

::

    messages    --hello--a-------b--
    subscribe              hello,a--b--      nobody was there yet: nothing is lost
"""

from __future__ import annotations

import asyncio
from typing import Any, Protocol, TypeVar

from rxsocket.runtime.loop import SocketLoop
from rxsocket.streams.iteration import ReadGate
from rxsocket.streams.multicast import Connect, Hub, Report, SafeObserver
from rxsocket.streams.stream import Stream

__all__ = ["Dropping", "HoldingHub", "MessageHub", "Session", "SessionHub"]

T = TypeVar("T")

MAX_MESSAGES = 256
MAX_BYTES = 2**20
MAX_SECONDS = 5.0


class Dropping(Protocol):
    """Who is told of messages that nobody will get."""

    def dropped(self, count: int, reason: str) -> None:
        """So many were let go, for this reason."""
        ...


class HoldingHub(Hub[T]):
    """A feed of messages. While nobody who counts as audience is subscribed it can hold what comes.

    Args:
        owner: Told when a limit was passed.
    """

    __slots__ = ("_bytes", "_held", "_holding", "_owner", "_timer")

    def __init__(
        self,
        name: str,
        loop: SocketLoop,
        report: Report,
        owner: Dropping,
        hold: Connect | None = None,
        read_gate: ReadGate | None = None,
    ) -> None:
        super().__init__(name, loop, report, hold, read_gate)
        self._owner = owner
        self._holding = False
        self._held: list[T] | None = None
        self._bytes = 0
        self._timer: asyncio.TimerHandle | None = None

    def hold(self) -> None:
        """From now on hold what comes, until the first who counts as audience does."""
        self._holding = True

    def let_go(self, reason: str | None = None) -> None:
        """Stop holding; what was held is dropped, and counted if there was any."""
        held = self.release()
        if held:
            self._owner.dropped(len(held), reason or "nobody subscribed")

    @property
    def holding(self) -> bool:
        """Whether what comes is held."""
        return self._holding

    def emit(self, value: T, raw: str | bytes | None = None) -> None:
        """Call every observer, and hold it if need be; ``raw`` is what it was decoded from."""
        if self._holding:
            self._keep(value, raw)
        super().emit(value)

    def _keep(self, value: Any, raw: str | bytes | None) -> None:
        self._held = self._held or []
        self._held.append(value)
        message: str | bytes = value if raw is None else raw
        self._bytes += len(message.encode() if isinstance(message, str) else message)
        if len(self._held) > MAX_MESSAGES:
            self.let_go(f"more than {MAX_MESSAGES} messages came before anybody subscribed")
        elif self._bytes > MAX_BYTES:
            self.let_go(f"more than {MAX_BYTES} bytes came before anybody subscribed")
        elif self._timer is None:
            self._timer = self.loop.event_loop.call_later(
                MAX_SECONDS, self.let_go, f"nobody subscribed within {MAX_SECONDS:g} s"
            )

    def release(self) -> list[T]:
        """Stop holding; return what was held."""
        held, self._held, self._bytes, self._holding = self._held, None, 0, False
        self._disarm()
        return held or []

    def release_whole(self) -> list[list[T]]:
        """Stop holding; return what was held as one list, if there was anything."""
        held = self.release()
        return [held] if held else []

    def _disarm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _admit(self, fence: SafeObserver[T]) -> None:
        if fence.audience:
            for value in self.release():
                fence.on_next(value)
        super()._admit(fence)


class MessageHub(HoldingHub[T]):
    """The messages of a socket, of which it knows when those came that it holds."""

    __slots__ = ("_came",)

    def __init__(
        self,
        name: str,
        loop: SocketLoop,
        report: Report,
        owner: Dropping,
        hold: Connect,
        read_gate: ReadGate,
    ) -> None:
        super().__init__(name, loop, report, owner, hold, read_gate)
        self._came: list[float] | None = None

    def hold(self) -> None:
        """From now on hold what comes, until the first who counts as audience does."""
        super().hold()
        self._came = None

    def hand_out(self) -> list[tuple[T, float]]:
        """Stop holding; return what was held, and when it came."""
        return list(zip(self.release(), self._came or (), strict=False))

    def _keep(self, value: T, raw: str | bytes | None) -> None:
        self._came = self._came or []
        self._came.append(self.loop.wall_time())
        super()._keep(value, raw)


class SessionHub(HoldingHub[T]):
    """The messages of one connection.

    Attributes:
        epoch: Number of the connection.
    """

    __slots__ = ("_over", "epoch")

    def __init__(
        self, epoch: int, loop: SocketLoop, report: Report, owner: Dropping, read_gate: ReadGate
    ) -> None:
        super().__init__(f"session {epoch}", loop, report, owner, read_gate=read_gate)
        self.epoch = epoch
        self._over = False

    def end(self, error: Exception | None = None) -> None:
        """Complete it; what is still held goes to the first of the audience all the same."""
        self._over = True
        self._disarm()  # no timer outlives the socket (C26)
        super().end(error)

    def _admit(self, fence: SafeObserver[T]) -> None:
        super()._admit(fence)
        if self._over:
            self._remove(fence)
            fence.end(None)


class Session(Stream[T]):
    """The messages of one connection; it completes when that connection has closed.

    Attributes:
        epoch: Number of the connection.
    """

    def __init__(self, feed: SessionHub[T]) -> None:
        super().__init__(feed)
        self.epoch = feed.epoch
