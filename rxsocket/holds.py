"""Who keeps a socket connected: counted, and let go a while after the last one left (C1)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from reactivex import abc
from reactivex.disposable import Disposable

from rxsocket.runtime import Home

__all__ = ["Holds"]


class Holds:
    """A count of those who hold the socket open; from any thread.

    Args:
        home: Where ``start`` and ``stop`` are called.
        start: Called when the first one comes.
        stop: Called ``linger`` seconds after the last one left, if nobody came since.
        linger: Seconds.
    """

    def __init__(
        self, home: Home, start: Callable[[], None], stop: Callable[[], None], linger: float
    ) -> None:
        self._home = home
        self._start = start
        self._stop = stop
        self._linger = linger
        self._lock = home.lock
        self._count = 0
        self._round = 0
        self._timer: asyncio.TimerHandle | None = None

    @property
    def held(self) -> bool:
        """Whether anybody holds it."""
        return self._count > 0

    def take(self) -> abc.DisposableBase:
        """Hold it until the returned Disposable is disposed."""
        with self._lock:
            self._count += 1
            mine = self._round
            self._home.bind()
        self._home.run(self._begin)

        def release() -> None:
            with self._lock:
                if mine != self._round:
                    return  # the socket ended since: this hold went with it
                self._count -= 1
                last = self._count == 0
            if last:
                self._home.run(self._leave)

        return Disposable(release)

    def void(self) -> None:
        """The socket ended: nobody holds it any more."""
        with self._lock:
            self._round += 1
            self._count = 0
        self._cancel()

    def _begin(self) -> None:
        self._cancel()
        if self.held:
            self._start()

    def _leave(self) -> None:
        self._cancel()
        if self._linger:
            self._timer = self._home.loop.call_later(
                self._linger, lambda: self._home.run(self._stop_if_unheld)
            )
        else:
            self._stop_if_unheld()

    def _stop_if_unheld(self) -> None:
        if not self.held:
            self._stop()

    def _cancel(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
