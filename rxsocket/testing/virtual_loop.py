"""The parts of the virtual clock: a ``TestScheduler``, and an asyncio loop that runs on it.

RxPY's ``TestScheduler`` adds a second for every 100 items without a delay in ``start()``, and runs
nothing in ``advance_to(now)``. Both are replaced here, below ``TestScheduler``, so that the rest of
it (``create_hot_observable``, ``start(create)``, ...) works as documented. Time moves only when a
test moves it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Coroutine, Generator
from contextvars import Context
from heapq import heappop, heappush
from itertools import count
from math import inf
from typing import Any, TypeVar, TypeVarTuple, cast
from weakref import WeakSet

from reactivex import abc, typing
from reactivex.internal import ArgumentOutOfRangeException
from reactivex.scheduler import VirtualTimeScheduler
from reactivex.scheduler.scheduleditem import ScheduledItem
from reactivex.testing import TestScheduler

S = TypeVar("S")
T = TypeVar("T")
Ts = TypeVarTuple("Ts")

EPOCH = 1_735_689_600.0
"""The wall time at ``time() == 0``: 2025-01-01T00:00:00Z."""
MAX_AT_ONE_INSTANT = 1_000_000
"""Items that may run at one instant before it is taken for an endless loop."""


def to_microseconds(seconds: float) -> float:
    """Round a time in seconds to what a ``datetime`` can tell apart."""
    return round(seconds, 6)


class EndlessLoop(AssertionError):
    """Something schedules itself for ever without letting time pass."""


class _SteadyScheduler(VirtualTimeScheduler):
    """Runs items by their time, then in the order they came.

    Every callback of a day in virtual time passes here, so the heap holds plain tuples.
    """

    def __init__(self) -> None:
        super().__init__(0.0)
        self._items: list[tuple[float, int, _Handle | ScheduledItem]] = []
        self._order = count()
        self._at_this_instant = 0

    @property
    def seconds(self) -> float:
        clock = self._clock
        return clock if isinstance(clock, float) else self.to_seconds(clock)

    @property
    def pending(self) -> int:
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
        self.schedule_item(due, item)
        return item.disposable

    def schedule_item(self, due: float, item: _Handle | ScheduledItem) -> None:
        with self._lock:
            heappush(self._items, (max(due, self.seconds), next(self._order), item))

    def step(self, until: float = inf) -> bool:
        """Run the next item that is due by a time; return ``False`` if there is none."""
        item = self._pop(until)
        if item is None:
            return False
        item.invoke()
        return True

    def start(self) -> Any:
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

    def _pop(self, until: float) -> _Handle | ScheduledItem | None:
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


class _Handle(asyncio.TimerHandle):
    """A callback that is an item of the scheduler."""

    __slots__ = ()
    _loop: VirtualLoop
    _when: float
    _cancelled: bool

    def is_cancelled(self) -> bool:
        return self._cancelled

    def invoke(self) -> None:
        # The scheduler rounds the time: without this, a callback could see that it is early.
        self._loop.advance_past(self._when)
        if not self._cancelled:
            self._run()


class VirtualLoop(asyncio.BaseEventLoop):
    """A loop in virtual time; the subclass drives it.

    Attributes:
        scheduler: The ``TestScheduler`` that everything is scheduled on.
    """

    def __init__(self) -> None:
        self._entered = False
        super().__init__()
        self.scheduler = SteadyTestScheduler()
        self._reached = 0.0
        self._closed = False
        self._errors: list[BaseException] = []
        self._jumped = 0.0
        # What may end with an exception that is never retrieved; weak, as in asyncio.
        self._futures: WeakSet[asyncio.Future[Any]] = WeakSet()
        self._generators: WeakSet[AsyncGenerator[Any, Any]] = WeakSet()

    def time(self) -> float:
        """Seconds since the clock was made; it starts at 0.0."""
        seconds, reached = self.scheduler.seconds, self._reached
        return seconds if seconds > reached else reached

    def wall_time(self) -> float:
        """Seconds since 1970, on a wall clock that began at 2025-01-01T00:00:00Z."""
        return EPOCH + self.time() + self._jumped

    def is_running(self) -> bool:
        return self._entered

    def __del__(self) -> None:
        """Do not warn, as other loops do: a clock that is not closed holds no resources."""

    def call_soon(
        self,
        callback: Callable[[*Ts], object],
        *args: *Ts,
        context: Context | None = None,
    ) -> asyncio.Handle:
        return self.call_at(self.time(), callback, *args, context=context)

    # The scheduler has a lock of its own; the callback runs at the next advance() or run().
    call_soon_threadsafe = call_soon

    def call_later(
        self,
        delay: float,
        callback: Callable[[*Ts], object],
        *args: *Ts,
        context: Context | None = None,
    ) -> asyncio.TimerHandle:
        # Three sleeps of 0.1 s end at 0.3 s, not at 0.30000000000000004.
        exact = self.time() + delay
        when = to_microseconds(exact)
        return self.call_at(
            exact if when <= self.time() else when, callback, *args, context=context
        )

    def call_at(
        self,
        when: float,
        callback: Callable[[*Ts], object],
        *args: *Ts,
        context: Context | None = None,
    ) -> asyncio.TimerHandle:
        if self._closed:
            raise RuntimeError("Event loop is closed")
        handle = _Handle(when, callback, args, self, context)
        self.scheduler.schedule_item(to_microseconds(when), handle)
        return handle

    def advance_past(self, when: float) -> None:
        if when > self._reached:
            self._reached = when

    def _timer_handle_cancelled(self, handle: asyncio.TimerHandle) -> None:
        """Do nothing: the handle cancels its item itself."""

    def create_future(self) -> asyncio.Future[Any]:
        future: asyncio.Future[Any] = asyncio.Future(loop=self)
        self._futures.add(future)
        return future

    def create_task(
        self, coro: Generator[Any, None, T] | Coroutine[Any, Any, T], **options: Any
    ) -> asyncio.Task[T]:
        if self._closed:
            coro.close()
        task = super().create_task(cast("Coroutine[Any, Any, T]", coro), **options)
        self._futures.add(task)
        return task

    def run_in_executor(
        self, executor: Any, func: Callable[[*Ts], T], *args: *Ts
    ) -> asyncio.Future[T]:
        """Call the function at once: there are no threads in virtual time."""
        future: asyncio.Future[T] = self.create_future()
        try:
            future.set_result(func(*args))
        except Exception as error:
            future.set_exception(error)
        return future

    async def shutdown_asyncgens(self) -> None:
        for generator in list(self._generators):
            await aclose(generator)

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        """Fail the test with what was raised, unless a handler was set."""
        handler = self.get_exception_handler()
        if handler is not None:
            handler(self, context)
        else:
            self.default_exception_handler(context)

    def default_exception_handler(self, context: dict[str, Any]) -> None:
        error = context.get("exception")
        if not isinstance(error, BaseException):
            error = RuntimeError(str(context.get("message")))
        elif context.get("message"):
            error.add_note(str(context["message"]))
        self._errors.append(error)


async def aclose(generator: AsyncGenerator[Any, Any]) -> None:
    """Close a generator; a task takes this coroutine, and not what ``aclose()`` returns."""
    await generator.aclose()
