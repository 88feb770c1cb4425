"""Who keeps a socket connected: counted, and let go a while after the last one left (C1)."""

from __future__ import annotations

import asyncio
from typing import Protocol

from reactivex import abc

from rxsocket.runtime.loop import SocketLoop

__all__ = ["RefCount"]


class _Reference(abc.DisposableBase):
    """One of those who hold it; it counts at once, and begins when its turn comes."""

    __slots__ = ("_holds", "begun")

    def __init__(self, holds: RefCount) -> None:
        self._holds = holds
        self.begun = False

    def dispose(self) -> None:
        self._holds.release(self)


class Counted(Protocol):
    """What runs while somebody holds it."""

    def start(self) -> None:
        """The first one came."""
        ...

    def stop(self) -> None:
        """The last one left."""
        ...


class RefCount:
    """A count of those who hold the socket open; from any thread.

    Args:
        home: Where it starts and stops.
        held: What they hold.
        linger: Seconds that it runs on after the last one left, if nobody comes meanwhile.
    """

    def __init__(self, loop: SocketLoop, held: Counted, linger: float) -> None:
        self._loop = loop
        self._held = held
        self._linger = linger
        self._lock = loop.lock
        self._holds: dict[_Reference, None] = {}
        self._timer: asyncio.TimerHandle | None = None

    @property
    def held(self) -> bool:
        """Whether anybody holds it."""
        return bool(self._holds)

    def take(self) -> abc.DisposableBase:
        """Hold it until the returned Disposable is disposed."""
        hold = _Reference(self)
        with self._lock:
            self._holds[hold] = None
            self._loop.bind()
        self._loop.run(lambda: self._begin(hold))
        return hold

    def release(self, hold: _Reference) -> None:
        """One of them leaves."""
        with self._lock:
            if hold not in self._holds:
                return  # it left before, or the socket ended since: this hold went with it
            del self._holds[hold]
            last = not self._holds
        if last:
            self._loop.run(self._leave)

    def void(self) -> None:
        """The socket ended: nobody holds it any more, but for who came after what ended it."""
        with self._lock:
            self._holds = {hold: None for hold in self._holds if not hold.begun}
        self._cancel()

    def _begin(self, hold: _Reference) -> None:
        hold.begun = True
        self._cancel()
        if self.held:
            self._held.start()

    def _leave(self) -> None:
        self._cancel()
        if self._linger:
            self._timer = self._loop.event_loop.call_later(
                self._linger, lambda: self._loop.run(self._stop_if_unheld)
            )
        else:
            self._stop_if_unheld()

    def _stop_if_unheld(self) -> None:
        if not self.held:
            self._held.stop()

    def _cancel(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
