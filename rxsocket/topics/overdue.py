"""When each of many things is to be looked at, with one timer for all of them (C37)."""

from __future__ import annotations

import asyncio
import heapq
import itertools
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

from rxsocket.runtime.loop import SocketLoop

T = TypeVar("T", bound=Hashable)


class Overdue(Generic[T]):
    """Calls back about each thing when its time has come, unless that was changed meanwhile.

    Args:
        loop: Where the socket lives.
        call: Called with the thing, within a turn.
    """

    def __init__(self, loop: SocketLoop, call: Callable[[T], None]) -> None:
        self._loop = loop
        self._call = call
        self._due: dict[T, float] = {}
        self._heap: list[tuple[float, int, T]] = []
        self._numbers = itertools.count()
        self._timer: asyncio.TimerHandle | None = None

    def set(self, thing: T, at: float) -> None:
        """Look at it then, by the loop's clock; whatever was set before does not count."""
        self._due[thing] = at
        heapq.heappush(self._heap, (at, next(self._numbers), thing))
        if self._timer is None or at < self._timer.when():
            self._start_timer()

    def discard(self, thing: T) -> None:
        self._due.pop(thing, None)
        if not self._due:
            self.clear()

    def clear(self) -> None:
        self._due.clear()
        self._heap.clear()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _start_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.event_loop.call_at(self._heap[0][0], self._on_time)

    def _on_time(self) -> None:
        self._timer = None
        now = self._loop.event_loop.time()
        with self._loop.turn():
            while self._heap and self._heap[0][0] <= now:
                at, _, thing = heapq.heappop(self._heap)
                if self._due.get(thing) == at:
                    del self._due[thing]
                    self._call(thing)
        if self._heap and self._timer is None:
            self._start_timer()
