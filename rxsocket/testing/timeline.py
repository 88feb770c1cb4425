"""A ``TestScheduler`` whose time moves only when it is told to.

RxPY's own one adds a second for every 100 items without a delay in ``start()``, and runs nothing in
``advance_to(now)``; both are replaced here, below ``TestScheduler``, so that everything else of it
(``create_hot_observable``, ``start(create)``, ...) works as it is known.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from heapq import heappop
from typing import Any, TypeVar

from reactivex import abc, typing
from reactivex.internal import ArgumentOutOfRangeException
from reactivex.internal.constants import UTC_ZERO
from reactivex.scheduler import VirtualTimeScheduler
from reactivex.scheduler.scheduleditem import ScheduledItem
from reactivex.scheduler.scheduler import Scheduler
from reactivex.testing import TestScheduler

__all__ = ["BUSY", "Busy", "Call", "Timeline"]

S = TypeVar("S")

BUSY = 1_000_000
"""Items that may run at one instant before it is taken for an endless loop."""


class Busy(AssertionError):
    """Something schedules itself for ever without letting time pass."""


class Call(ScheduledItem):
    """A callback of the loop: an item that is cancelled by a flag, and returns no disposable."""

    def __init__(self, scheduler: Scheduler, call: Callable[[], object], due: datetime) -> None:
        self.scheduler = scheduler
        self.duetime = due
        self._call = call
        self._cancelled = False

    def invoke(self) -> None:
        """Call it."""
        self._call()

    def cancel(self) -> None:
        """Do not call it any more."""
        self._cancelled = True

    def is_cancelled(self) -> bool:
        """Whether it was cancelled."""
        return self._cancelled


class _Steady(VirtualTimeScheduler):
    """Virtual time without surprises: items run by their time, then in the order they came."""

    def __init__(self) -> None:
        super().__init__(0.0)
        self._at_this_instant = 0
        self._until: tuple[float | None, datetime | None] = (None, None)
        self._instant: datetime | None = None  # what the clock shows, once it was moved

    @property
    def seconds(self) -> float:
        """The time, in whole microseconds: what a ``datetime`` can tell apart."""
        clock = self._clock
        return clock if isinstance(clock, float) else self.to_seconds(clock)

    @property
    def pending(self) -> int:
        """How many items are scheduled and not cancelled."""
        with self._lock:
            return sum(not item.is_cancelled() for item, _ in self._queue.items)

    def schedule_absolute(
        self,
        duetime: typing.AbsoluteTime,
        action: typing.ScheduledAction[S],
        state: S | None = None,
    ) -> abc.DisposableBase:
        """Schedule an action; what was due in the past is due now, behind what already is."""
        due = max(self.to_seconds(duetime), self.seconds)
        return super().schedule_absolute(due, action, state)

    def call_at(self, time: float, call: Callable[[], object]) -> Call:
        """Schedule a callback, in seconds: what :meth:`schedule_absolute` does, for less."""
        seconds = self.seconds
        due = UTC_ZERO + timedelta(seconds=time if time > seconds else seconds)
        item = Call(self, call, due)
        with self._lock:
            self._queue.enqueue(item)
        return item

    def step(self, until: float | None = None) -> bool:
        """Run the next item, if it is due by a time in seconds; return whether there was one."""
        if until != self._until[0]:
            self._until = (until, None if until is None else self.to_datetime(until))
        item = self._next(self._until[1])
        if item is None:
            return False
        item.invoke()
        return True

    def start(self) -> Any:
        """Run everything, until nothing is scheduled."""
        while self.step():
            pass

    def advance_to(self, time: typing.AbsoluteTime) -> None:
        """Run everything that is due up to a time and at it; it is that time afterwards."""
        target = self.to_seconds(time)
        if target < self.seconds:
            raise ArgumentOutOfRangeException()
        while self.step(target):
            pass
        self._move(self.to_datetime(target))

    def skip_to(self, time: typing.AbsoluteTime) -> None:
        """Be at a time without running what is due before it."""
        self._move(self.to_datetime(time))

    def _next(self, until: datetime | None) -> ScheduledItem | None:
        # Every callback of a day in virtual time comes by here: the heap is used without its face.
        items = self._queue.items
        with self._lock:
            while items:
                item = items[0][0]
                due = item.duetime
                if not item.is_cancelled():
                    if until is not None and due > until:
                        return None
                    if due is not self._instant:
                        self._move(due)
                    self._count()
                    heappop(items)
                    return item
                heappop(items)
        return None

    def _count(self) -> None:
        self._at_this_instant += 1
        if self._at_this_instant > BUSY:
            self._at_this_instant = 0
            raise Busy(
                f"{BUSY} callbacks ran at t={self.seconds:g} s without time passing: "
                "something schedules itself in an endless loop"
            )

    def _move(self, time: datetime) -> None:
        seconds = (time - UTC_ZERO).total_seconds()
        if seconds > self.seconds:
            self._clock = seconds
            self._instant = time
            self._at_this_instant = 0


class Timeline(TestScheduler, _Steady):
    """The ``TestScheduler`` of a :class:`~rxsocket.testing.clock.VirtualClock`."""

    __test__ = False
