"""A ``TestScheduler`` whose time moves only when a test moves it.

RxPY's own one adds a second for every 100 items without a delay in ``start()``, and runs nothing in
``advance_to(now)``; both are replaced here, below ``TestScheduler``, so that everything else of it
(``create_hot_observable``, ``start(create)``, ...) works as it is known.
"""

from __future__ import annotations

from collections.abc import Callable
from heapq import heappop, heappush
from itertools import count
from math import inf
from typing import Any, TypeAlias, TypeVar

from reactivex import abc, typing
from reactivex.internal import ArgumentOutOfRangeException
from reactivex.scheduler import VirtualTimeScheduler
from reactivex.scheduler.scheduleditem import ScheduledItem
from reactivex.testing import TestScheduler

S = TypeVar("S")

MAX_AT_ONE_INSTANT = 1_000_000
"""Items that may run at one instant before it is taken for an endless loop."""


def to_microseconds(seconds: float) -> float:
    """Round a time in seconds to what a ``datetime`` can tell apart."""
    return round(seconds, 6)


class EndlessLoop(AssertionError):
    """Something schedules itself for ever without letting time pass."""


class ScheduledCall:
    """A callback of the loop."""

    __slots__ = ("_cancelled", "invoke")

    def __init__(self, call: Callable[[], object]) -> None:
        self.invoke = call
        self._cancelled = False

    def cancel(self) -> None:
        self._cancelled = True

    def is_cancelled(self) -> bool:
        return self._cancelled


Item: TypeAlias = ScheduledCall | ScheduledItem


class _SteadyScheduler(VirtualTimeScheduler):
    """Virtual time without surprises: items run by their time, then in the order they came.

    Every callback of a day in virtual time comes by here, so the heap is one of plain tuples.
    """

    def __init__(self) -> None:
        super().__init__(0.0)
        self._items: list[tuple[float, int, Item]] = []
        self._order = count()
        self._at_this_instant = 0

    @property
    def seconds(self) -> float:
        """The time, in whole microseconds."""
        clock = self._clock
        return clock if isinstance(clock, float) else self.to_seconds(clock)

    @property
    def pending(self) -> int:
        """How many items are scheduled and not cancelled."""
        with self._lock:
            return sum(not item.is_cancelled() for _, _, item in self._items)

    def schedule_absolute(
        self,
        duetime: typing.AbsoluteTime,
        action: typing.ScheduledAction[S],
        state: S | None = None,
    ) -> abc.DisposableBase:
        """Schedule an action; what was due in the past is due now, behind what already is."""
        due = max(to_microseconds(self.to_seconds(duetime)), self.seconds)
        item = ScheduledItem(self, state, action, self.to_datetime(due))
        self._push(due, item)
        return item.disposable

    def call_at(self, time: float, call: Callable[[], object]) -> ScheduledCall:
        """Schedule a callback, in whole microseconds: :meth:`schedule_absolute` for less."""
        now = self.seconds
        item = ScheduledCall(call)
        self._push(time if time > now else now, item)
        return item

    def step(self, until: float = inf) -> bool:
        """Run the next item, if it is due by a time in seconds; return whether there was one."""
        item = self._pop(until)
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
        target = to_microseconds(self.to_seconds(time))
        if target < self.seconds:
            raise ArgumentOutOfRangeException()
        while self.step(target):
            pass
        self._move_to(target)

    def skip_to(self, time: typing.AbsoluteTime) -> None:
        """Be at a time without running what is due before it."""
        self._move_to(to_microseconds(self.to_seconds(time)))

    def _push(self, due: float, item: Item) -> None:
        with self._lock:
            heappush(self._items, (due, next(self._order), item))

    def _pop(self, until: float) -> Item | None:
        items = self._items
        with self._lock:
            while items:
                due, _, item = items[0]
                if not item.is_cancelled():
                    if due > until:
                        return None
                    self._move_to(due)
                    self._count_at_instant()
                    heappop(items)
                    return item
                heappop(items)
        return None

    def _count_at_instant(self) -> None:
        self._at_this_instant += 1
        if self._at_this_instant > MAX_AT_ONE_INSTANT:
            self._at_this_instant = 0
            raise EndlessLoop(
                f"{MAX_AT_ONE_INSTANT} callbacks ran at t={self.seconds:g} s without time passing: "
                "something schedules itself in an endless loop"
            )

    def _move_to(self, time: float) -> None:
        if time > self.seconds:
            self._clock = time
            self._at_this_instant = 0


class SteadyTestScheduler(TestScheduler, _SteadyScheduler):
    """The ``TestScheduler`` of a :class:`~rxsocket.testing.clock.VirtualClock`."""

    __test__ = False
