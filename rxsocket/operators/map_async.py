"""``async`` functions as mappers and observers, with a bound on how many run at a time."""

from __future__ import annotations

import asyncio
import contextvars
import inspect
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Generic, TypeVar

from reactivex import Observable, abc
from reactivex.disposable import Disposable

from rxsocket.operators.overflow import BufferedObservable
from rxsocket.runtime.threads import running_loop
from rxsocket.streams.buffers import NOTHING, BoundedBuffer, BufferedInput
from rxsocket.validation import function, whole_number

T = TypeVar("T")
U = TypeVar("U")

WAITING = 1024
"""Values that may wait, unless an operator in front says otherwise."""


def flat_map_async(
    mapper: Callable[[T], Awaitable[U]],
    *,
    max_concurrent: int = 16,
    loop: asyncio.AbstractEventLoop | None = None,
) -> Callable[[Observable[T]], Observable[U]]:
    """Await an ``async`` function of each value, several at a time; results come as they are ready.

    ::

        source     --1--2--3-----------|
        1            [--------]
        2               [--]
        3                  [---]            waited for a place: max_concurrent=2
        result     --------b--a--c-----|

    Values that find ``max_concurrent`` calls running wait: as ``latest``, ``conflate`` or
    ``buffer_up_to`` say when one of them is directly in front; otherwise up to 1024, and one more
    is a ``BufferOverflow`` (rule C27, backpressure is explicit). Each call runs as a task in the
    context captured at ``subscribe`` (rule C24, delivery). The first exception is the error of the
    result and cancels the other calls; disposing cancels them all. Values before an error or the
    end of the source are still mapped.

    Args:
        mapper: An ``async`` function of one argument.
        max_concurrent: Calls that run at a time.
        loop: Runs the calls and the observers; default: the asyncio loop on which values arrive,
            else the one that ran at ``subscribe``.

    Raises:
        TypeError: If ``mapper`` is not a function, or ``max_concurrent`` no integer.
        ValueError: If ``max_concurrent`` is less than 1.

    Examples:
        >>> async def enrich(order: Order) -> Priced: ...
        >>> socket.messages.pipe(flat_map_async(enrich, max_concurrent=8)).subscribe(print)
    """
    function("mapper", mapper)
    whole_number("max_concurrent", max_concurrent)
    if loop is not None and not isinstance(loop, asyncio.AbstractEventLoop):
        raise TypeError(f"loop: pass an asyncio event loop, not {type(loop).__name__}")

    def operator(source: Observable[T]) -> Observable[U]:
        def subscribe(
            observer: abc.ObserverBase[U], scheduler: abc.SchedulerBase | None = None
        ) -> abc.DisposableBase:
            calls = _AsyncCalls(mapper, max_concurrent, loop, observer)
            calls.start(source, scheduler)
            return Disposable(calls.dispose)

        return Observable(subscribe)

    return operator


def concat_map_async(
    mapper: Callable[[T], Awaitable[U]], *, loop: asyncio.AbstractEventLoop | None = None
) -> Callable[[Observable[T]], Observable[U]]:
    """Await an ``async`` function of each value, one after the other; results keep their order.

    This is :func:`flat_map_async` with ``max_concurrent=1``; see there for what waits, and how.

    ::

        source     --1--2--3-----------|
        1            [----]
        2                  [--]
        3                      [---]
        result     ------a----b----c---|

    Examples:
        >>> async def store(trade: Trade) -> None: ...
        >>> socket.messages.pipe(
        ...     conflate(lambda trade: trade.symbol), concat_map_async(store)
        ... ).subscribe()
    """
    return flat_map_async(mapper, max_concurrent=1, loop=loop)


class _AsyncCalls(Generic[T, U]):
    """The calls for one subscriber; on the loop, but for ``start``, ``dispose`` and ``_wake``."""

    def __init__(
        self,
        mapper: Callable[[T], Awaitable[U]],
        max_concurrent: int,
        loop: asyncio.AbstractEventLoop | None,
        observer: abc.ObserverBase[U],
    ) -> None:
        self._mapper = mapper
        self._max = max_concurrent
        self._loop = loop
        self._subscribed_on = running_loop()
        self._observer = observer
        self._context = contextvars.copy_context()
        self._input: BufferedInput[T]
        self._tasks: dict[asyncio.Task[None], None] = {}  # a set with an order
        self._is_disposed = False

    def start(self, source: Observable[T], scheduler: abc.SchedulerBase | None) -> None:
        if isinstance(source, BufferedObservable):
            buffered: BufferedObservable[T] = source
            self._input, source = buffered.new_input(self._wake), buffered.source
        else:
            self._input = BufferedInput(BoundedBuffer(WAITING, "error"), None, self._wake)
        self._input.subscribe_to(source, scheduler)

    def dispose(self) -> None:
        self._is_disposed = True
        self._input.dispose()
        if self._loop is None or running_loop() is self._loop:
            self._cancel()
        else:
            with suppress(RuntimeError):  # the loop is closed, and its tasks with it
                self._loop.call_soon_threadsafe(self._cancel)

    def _cancel(self) -> None:
        current = asyncio.current_task() if self._tasks else None
        for task in self._tasks:
            if task is not current:  # it may be its own emission that led here
                task.cancel()

    def _wake(self) -> None:
        if self._loop is None:
            self._loop = running_loop() or self._subscribed_on
        if self._loop is None:
            text = "no asyncio loop runs where the values arrive: pass loop="
            self._fail(RuntimeError(f"flat_map_async: {text}"))
        elif running_loop() is self._loop:
            self._start_calls()
        else:
            self._loop.call_soon_threadsafe(self._start_calls)

    def _start_calls(self) -> None:
        loop = self._loop
        while loop is not None and not self._is_disposed and len(self._tasks) < self._max:
            value = self._input.take()
            if value is NOTHING:
                break
            task = loop.create_task(self._call(value), context=self._context.copy())
            self._tasks[task] = None
            task.add_done_callback(self._on_done)
        if not (self._is_disposed or self._tasks) and self._input.is_finished:
            self._is_disposed = True
            self._input.end_observer(self._observer)

    async def _call(self, value: T) -> None:
        task = asyncio.current_task()
        try:
            awaitable = self._mapper(value)
            if not inspect.isawaitable(awaitable):
                kind = type(awaitable).__name__
                raise TypeError(f"mapper: pass an async function; this one returned {kind}")
            result = await awaitable
        except asyncio.CancelledError:
            if task is None or not task.cancelling():
                self._fail(RuntimeError("what the async mapper awaited was cancelled"))
            self.dispose()  # else the loop is being shut down, which is not an error
            raise
        except Exception as error:
            self._fail(error)
        except BaseException as error:  # on_error takes an Exception
            if running_loop() is None or asyncio.current_task() is not task:
                raise  # the coroutine of a loop that has ended is being closed
            self._detach(error)
        else:
            if not self._is_disposed:
                self._emit(result)

    def _emit(self, result: U) -> None:
        try:
            self._observer.on_next(result)
        except BaseException as error:
            self._detach(error)

    def _detach(self, error: BaseException) -> None:
        """Emit nothing more, and report an exception of the observer, or of the mapper."""
        self.dispose()  # now: another call may be done in this turn
        if not self._input.report(error):
            raise error

    def _on_done(self, task: asyncio.Task[None]) -> None:
        del self._tasks[task]
        error = None if task.cancelled() else task.exception()
        if error is not None:  # the observer raised
            self.dispose()
            if not self._input.report(error):
                task.get_loop().call_exception_handler(
                    {"message": "an observer behind flat_map_async raised", "exception": error}
                )
        self._start_calls()

    def _fail(self, error: Exception) -> None:
        if not self._is_disposed:
            self.dispose()
            self._observer.on_error(error)
