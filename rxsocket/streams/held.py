"""Message streams that hold the first messages until somebody listens (C4).

::

    messages    --hello--a-------b--
    subscribe              hello,a--b--      nobody was there yet: nothing is lost
"""

from __future__ import annotations

import asyncio
from typing import Any, Protocol, TypeVar

from rxsocket.runtime.home import Home
from rxsocket.streams.fence import Fence
from rxsocket.streams.flow import Brake
from rxsocket.streams.stream import Hold, Report, Stream

__all__ = ["BatchStream", "Dropping", "HoldingStream", "Session"]

T = TypeVar("T")

MAX_MESSAGES = 256
MAX_BYTES = 2**20
MAX_SECONDS = 5.0


class Dropping(Protocol):
    """Who is told of messages that nobody will get."""

    def dropped(self, count: int, reason: str) -> None:
        """So many were let go, for this reason."""
        ...


class HoldingStream(Stream[T]):
    """A stream of messages. While nobody is subscribed it can hold what comes, up to a limit.

    Args:
        owner: Told when a limit was passed.
    """

    def __init__(
        self,
        name: str,
        home: Home,
        report: Report,
        owner: Dropping,
        hold: Hold | None = None,
        brake: Brake | None = None,
    ) -> None:
        super().__init__(name, home, report, hold, brake)
        self._owner = owner
        self._holding = False
        self._held: list[T] | None = None
        self._bytes = 0
        self._timer: asyncio.TimerHandle | None = None

    def hold(self) -> None:
        """From now on hold what comes, until the first observer does."""
        self._holding = True

    def let_go(self, reason: str | None = None) -> None:
        """Stop holding; what was held is dropped, and counted if there was any."""
        held = self.release()
        if held:
            self._owner.dropped(len(held), reason or "nobody subscribed")

    def emit(self, value: T, raw: str | bytes | None = None) -> None:
        """Call every observer with a message, or hold it; ``raw`` is what it was decoded from."""
        if self._fences:
            super().emit(value)
        elif self._holding:
            self._keep(value, raw)

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
            self._timer = self._home.loop.call_later(
                MAX_SECONDS, self.let_go, f"nobody subscribed within {MAX_SECONDS:g} s"
            )

    def release(self) -> list[T]:
        """Stop holding; return what was held."""
        held, self._held, self._bytes, self._holding = self._held, None, 0, False
        self._disarm()
        return held or []

    def _disarm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _admit(self, fence: Fence[T]) -> None:
        for value in self.release():
            fence.on_next(value)
        super()._admit(fence)


class BatchStream(Stream[list[T]]):
    """The messages of another stream in lists; the first list is what that one held.

    Args:
        messages: The stream that holds.
    """

    def __init__(
        self,
        name: str,
        home: Home,
        report: Report,
        messages: HoldingStream[T],
        hold: Hold,
        brake: Brake,
    ) -> None:
        super().__init__(name, home, report, hold, brake)
        self._messages = messages

    def _admit(self, fence: Fence[list[T]]) -> None:
        held = self._messages.release()
        if held:
            fence.on_next(held)
        super()._admit(fence)


class Session(HoldingStream[T]):
    """The messages of one connection; it completes when that connection has closed.

    Attributes:
        epoch: Number of the connection.
    """

    def __init__(
        self,
        epoch: int,
        home: Home,
        report: Report,
        owner: Dropping,
        brake: Brake | None = None,
    ) -> None:
        super().__init__(f"session {epoch}", home, report, owner, brake=brake)
        self.epoch = epoch
        self._over = False

    def end(self, error: Exception | None = None) -> None:
        """Complete it; what is still held goes to the first observer all the same."""
        self._over = True
        self._disarm()  # no timer outlives the socket (C26)
        super().end(error)

    def _admit(self, fence: Fence[T]) -> None:
        super()._admit(fence)
        if self._over:
            self._remove(fence)
            fence.end(None)
