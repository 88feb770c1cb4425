"""An Observable whose values wait until its consumer is ready for the next one."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Generic, TypeVar

from reactivex import Observable, abc
from reactivex.disposable import Disposable
from reactivex.scheduler import EventLoopScheduler

from rxsocket.operators.drops import Drops
from rxsocket.operators.intake import NOTHING, Intake
from rxsocket.operators.lines import Line
from rxsocket.runtime.threads import running_loop
from rxsocket.streams.guarded import Guarded

__all__ = ["Waiting"]

T = TypeVar("T")


class Waiting(Guarded[T]):
    """Values that wait in a line.

    Subscribed to, it calls its observer one value at a time, each in a turn of its own of a
    scheduler. An operator that knows when it is ready takes them through :meth:`intake` instead.

    Args:
        name: Name of the operator that made it, for errors.
        source: Where the values come from.
        line: Makes the line for a subscriber.
        drops: Counts what the line drops.
        scheduler: Where the observer is called.
    """

    def __init__(
        self,
        name: str,
        source: Observable[T],
        line: Callable[[], Line[T]],
        drops: Drops | None = None,
        scheduler: abc.SchedulerBase | None = None,
    ) -> None:
        super().__init__(name, self._deliver)
        self._source = source
        self._line = line
        self._drops = drops
        self._scheduler = scheduler

    def intake(self, wake: Callable[[], None]) -> tuple[Intake[T], Observable[T]]:
        """A new line to take values from, and the source that it is to listen to."""
        return Intake(self._line(), self._drops, wake), self._source

    def _deliver(
        self, observer: abc.ObserverBase[T], scheduler: abc.SchedulerBase | None = None
    ) -> abc.DisposableBase:
        delivery = _Delivery(self, observer, self._scheduler or scheduler)
        delivery.intake.listen(self._source, scheduler)
        return Disposable(delivery.dispose)


class _Delivery(Generic[T]):
    """Calls one observer, a value a turn."""

    def __init__(
        self,
        waiting: Waiting[T],
        observer: abc.ObserverBase[T],
        scheduler: abc.SchedulerBase | None,
    ) -> None:
        self.intake, _ = waiting.intake(self._wake)
        self._observer = observer
        self._scheduler = scheduler
        self._loop: asyncio.AbstractEventLoop | None = None
        self._lock = threading.Lock()
        self._due = False
        self._over = False

    def dispose(self) -> None:
        self._over = True
        self.intake.dispose()

    def _wake(self) -> None:
        with self._lock:
            if self._due or self._over:
                return
            self._due = True
        self._next_turn()

    def _next_turn(self) -> None:
        if self._scheduler is None and self._loop is None:
            self._loop = running_loop()
            if self._loop is None:
                self._scheduler = EventLoopScheduler(exit_if_empty=True)
        if self._scheduler is not None:
            self._scheduler.schedule(lambda scheduler, state: self._turn())
        elif self._loop is not None and self._loop is running_loop():
            self._loop.call_soon(self._turn)
        elif self._loop is not None:
            self._loop.call_soon_threadsafe(self._turn)

    def _turn(self) -> None:
        if self._over:
            return
        value = self.intake.take()
        if value is not NOTHING:
            try:
                self._observer.on_next(value)
            except BaseException as error:
                self.dispose()
                if not isinstance(error, Exception) or not self.intake.told(error):
                    raise
                return
            self._next_turn()  # whatever else is due comes in between
        elif self.intake.over:
            self._over = True
            self.intake.end(self._observer)
        else:
            with self._lock:
                self._due = False
            if self.intake.waits:
                self._wake()  # it came between the last two looks
