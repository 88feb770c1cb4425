"""Operators for values that come faster than their consumer takes them, by a named policy (C27).

A consumer is *ready* when it has returned from the value before:

- A plain observer is called in turns of its own: by default of the asyncio loop on which the values
  arrive (where there is none: on a thread of its own), else on ``scheduler=``. Between two values
  the loop does everything else that is due, such as reading from the network.
- :func:`~rxsocket.operators.concat_map_async` and ``flat_map_async`` directly behind one of these
  take the next value when the ``async`` function is done with one before.

Values keep their order. Those that still wait when the source ends are delivered before the end;
disposing drops them.

An observer that raises is detached. If the values come from a socket, that is reported on its
``errors`` (C23); else the exception goes to the caller of the observer, such as the loop.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncGenerator, Callable, Hashable
from typing import Any, Generic, TypeVar

from reactivex import Observable, abc
from reactivex.disposable import Disposable
from reactivex.scheduler import EventLoopScheduler

from rxsocket.runtime.scheduler import StreamScheduler
from rxsocket.runtime.threads import running_loop
from rxsocket.streams.buffers import (
    NOTHING,
    BoundedBuffer,
    BufferedInput,
    ConflatingBuffer,
    Drops,
    OverflowPolicy,
    ValueBuffer,
    check_drops,
    check_overflow,
)
from rxsocket.streams.iteration import iterate_buffer
from rxsocket.streams.stream import CheckedObservable
from rxsocket.validation import function, whole_number

T = TypeVar("T")


class BufferedObservable(CheckedObservable[T]):
    """An Observable whose values wait in a buffer until its consumer is ready for the next one.

    Subscribed to, it calls its observer one value at a time, each in a turn of its own. An operator
    that knows when it is ready takes them through :meth:`new_input` instead.

    Args:
        name: Name of the operator that made it, for errors.
        source: The source of the values.
        new_buffer: Makes the buffer of a subscriber.
        drops: Counts dropped values.
        scheduler: Calls the observer.
    """

    def __init__(
        self,
        name: str,
        source: Observable[T],
        new_buffer: Callable[[], ValueBuffer[T]],
        drops: Drops | None = None,
        scheduler: abc.SchedulerBase | None = None,
    ) -> None:
        super().__init__(name)
        self.source = source
        self._new_buffer = new_buffer
        self._drops = drops
        self._deliver_on = scheduler

    def new_input(self, wake: Callable[[], None]) -> BufferedInput[T]:
        """A new buffer to take values from; subscribe it to the source."""
        return BufferedInput(self._new_buffer(), self._drops, wake)

    def __aiter__(self) -> AsyncGenerator[T]:
        """The values, each when the body of an ``async for`` is ready for it."""
        return iterate_buffer(self.source, self._new_buffer(), self._drops)

    def _subscribe_core(
        self, observer: abc.ObserverBase[T], scheduler: abc.SchedulerBase | None = None
    ) -> abc.DisposableBase:
        deliver_on = self._deliver_on
        if deliver_on is None and not isinstance(scheduler, StreamScheduler):
            deliver_on = scheduler  # a stream's own is for operators with a time in them
        delivery = _TurnDelivery(self, observer, deliver_on)
        delivery.input.subscribe_to(self.source, scheduler)
        return Disposable(delivery.dispose)


class _TurnDelivery(Generic[T]):
    """Calls one observer, each value in a turn of its own."""

    def __init__(
        self,
        buffered: BufferedObservable[T],
        observer: abc.ObserverBase[T],
        scheduler: abc.SchedulerBase | None,
    ) -> None:
        self.input = buffered.new_input(self._wake)
        self._observer = observer
        self._scheduler = scheduler
        self._loop: asyncio.AbstractEventLoop | None = None
        self._lock = threading.Lock()
        self._is_scheduled = False
        self._is_disposed = False

    def dispose(self) -> None:
        self._is_disposed = True
        self.input.dispose()

    def _wake(self) -> None:
        with self._lock:
            if self._is_scheduled or self._is_disposed:
                return
            self._is_scheduled = True
        self._schedule_turn()

    def _schedule_turn(self) -> None:
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
        if self._is_disposed:
            return
        value = self.input.take()
        if value is not NOTHING:
            try:
                self._observer.on_next(value)
            except BaseException as error:
                self.dispose()
                if not self.input.report(error):
                    raise
                return
            self._schedule_turn()  # whatever else is due comes in between
        elif self.input.is_finished:
            self._is_disposed = True
            self.input.end_observer(self._observer)
        else:
            with self._lock:
                self._is_scheduled = False
            if self.input.is_ready:
                self._wake()  # a value came between take() and is_finished


def latest(
    *, drops: Drops | None = None, scheduler: abc.SchedulerBase | None = None
) -> Callable[[Observable[T]], Observable[T]]:
    """Only the newest value, when the consumer is ready; those before it are dropped.

    ::

        source    --1--2--3--4--------5--|
        consumer    [----]      [----][---]     busy
        result    --1-----3-----4-----5---|     2 was dropped

    Args:
        drops: Counts dropped values.
        scheduler: Calls the observer; default: see the module.

    Examples:
        >>> drops = Drops()
        >>> socket.messages.pipe(latest(drops=drops)).subscribe(draw)
    """
    return _operator("latest", lambda: BoundedBuffer(1, "drop_oldest"), drops, scheduler)


def conflate(
    key: Callable[[Any], Hashable],  # Any: mypy would take T for the type of a lambda's argument
    *,
    drops: Drops | None = None,
    scheduler: abc.SchedulerBase | None = None,
) -> Callable[[Observable[T]], Observable[T]]:
    """The newest value of each key, when the consumer is ready; older ones of the key are dropped.

    A newer value takes the place of the one that waits, so a busy key does not hold up the others,
    and within a key the order stays. What waits is bounded by the number of keys.

    ::

        source    --a1-b1-a2-b2-a3-----|
        consumer    [-----------][--][--]     busy
        result    --a1-----------b2--a3-|     b1 and a2 were dropped

    Args:
        key: Returns the key of a value. Its exception is an error of the result.
        drops: Counts dropped values.
        scheduler: Calls the observer; default: see the module.

    Examples:
        >>> socket.messages.pipe(conflate(lambda quote: quote.symbol)).subscribe(draw)
    """
    function("conflate(key)", key)
    return _operator("conflate", lambda: ConflatingBuffer(key), drops, scheduler)


def buffer_up_to(
    count: int,
    *,
    overflow: OverflowPolicy,
    drops: Drops | None = None,
    scheduler: abc.SchedulerBase | None = None,
) -> Callable[[Observable[T]], Observable[T]]:
    """Every value, with up to ``count`` of them waiting; one more is treated by a policy.

    ::

        source         --1--2--3--4-------|
        consumer         [----------][-][-]     busy; count=2
        drop_oldest    --1-----------3--4-|     2 was dropped
        drop_newest    --1-----------2--3-|     4 was dropped
        error          --1-----------2--3-X     after what waited

    A policy that neither drops nor fails, but makes the server wait, is ``async for``.

    Args:
        count: The number of values that may wait, 1 at least.
        overflow: ``"drop_oldest"``, ``"drop_newest"``, or ``"error"``: ``BufferOverflow``.
        drops: Counts dropped values.
        scheduler: Calls the observer; default: see the module.

    Raises:
        TypeError: If ``count`` is not an integer.
        ValueError: If it is less than 1, or there is no such policy.

    Examples:
        >>> drops = Drops()
        >>> socket.messages.pipe(
        ...     buffer_up_to(1000, overflow="drop_oldest", drops=drops), concat_map_async(store)
        ... ).subscribe()
    """
    whole_number("buffer_up_to(count)", count)
    check_overflow(overflow, drops)
    return _operator("buffer_up_to", lambda: BoundedBuffer(count, overflow), drops, scheduler)


def _operator(
    name: str,
    new_buffer: Callable[[], ValueBuffer[Any]],
    drops: Drops | None,
    scheduler: abc.SchedulerBase | None,
) -> Callable[[Observable[T]], Observable[T]]:
    check_drops(drops)
    return lambda source: BufferedObservable(name, source, new_buffer, drops, scheduler)
