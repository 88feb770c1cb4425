"""What keeps a socket connected: a count of references, with a time to linger (C1)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from reactivex import abc

from rxsocket.runtime.loop import SocketLoop


class _Reference(abc.DisposableBase):
    """It counts at once, and is active when its turn on the loop has come."""

    __slots__ = ("_count", "is_active")

    def __init__(self, count: RefCount) -> None:
        self._count = count
        self.is_active = False

    def dispose(self) -> None:
        self._count.release(self)


class RefCount:
    """Starts with the first reference and stops after the last; from any thread.

    Args:
        loop: Where it starts and stops.
        start: Called when there is a reference, also when it has started already.
        stop: Called when there is none any more.
        linger: Seconds between the release of the last one and the stop.
    """

    def __init__(
        self,
        loop: SocketLoop,
        start: Callable[[], None],
        stop: Callable[[], None],
        linger: float = 0.0,
    ) -> None:
        self._loop = loop
        self._start = start
        self._stop = stop
        self._linger = linger
        self._references: dict[_Reference, None] = {}
        self._timer: asyncio.TimerHandle | None = None

    @property
    def is_used(self) -> bool:
        return bool(self._references)

    def acquire(self) -> abc.DisposableBase:
        reference = _Reference(self)
        try:
            with self._loop.lock:
                self._loop.bind()
                self._references[reference] = None
            self._loop.run(lambda: self._activate(reference))
        except BaseException:  # a Ctrl-C: nobody has it to dispose of
            self.release(reference)
            raise
        return reference

    def release(self, reference: _Reference) -> None:
        with self._loop.lock:
            if reference not in self._references:
                return  # dropped before, or with all others at the end of the socket
            del self._references[reference]
            was_last = not self._references
        if was_last:
            self._loop.run(self._stop_soon)

    def drop_active(self) -> None:
        """The socket ended: drop all references but those acquired after what ended it."""
        with self._loop.lock:
            self._references = {one: None for one in self._references if not one.is_active}
        self._cancel_timer()

    def drop_all(self) -> None:
        """In a forked child: drop what the parent had."""
        self._references = {}
        self._timer = None

    def _activate(self, reference: _Reference) -> None:
        reference.is_active = True
        self._cancel_timer()
        if self.is_used:
            self._start()

    def _stop_soon(self) -> None:
        self._cancel_timer()
        if self._linger:
            self._timer = self._loop.event_loop.call_later(
                self._linger, lambda: self._loop.run(self._stop_if_unused)
            )
        else:
            self._stop_if_unused()

    def _stop_if_unused(self) -> None:
        if not self.is_used:
            self._stop()

    def _cancel_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
