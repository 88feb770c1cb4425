"""The asyncio side of the virtual clock: a loop that runs on a ``TestScheduler``."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Coroutine, Generator
from contextvars import Context
from typing import Any, TypeAlias, TypeVar, TypeVarTuple
from weakref import WeakSet

from rxsocket.testing.virtual_scheduler import ScheduledCall, SteadyTestScheduler, to_microseconds

T = TypeVar("T")
Ts = TypeVarTuple("Ts")
Handler: TypeAlias = Callable[[asyncio.AbstractEventLoop, dict[str, Any]], object]

EPOCH = 1_735_689_600.0
"""The wall time at ``time() == 0``: 2025-01-01T00:00:00Z."""


class _Handle(asyncio.TimerHandle):
    """A callback that is an item of the scheduler, and is cancelled with it."""

    __slots__ = ("item",)
    item: ScheduledCall
    _loop: VirtualLoop
    _when: float
    _cancelled: bool

    def cancel(self) -> None:
        super().cancel()
        self.item.cancel()

    def invoke(self) -> None:
        # Times that the scheduler rounds go with the timers: none is early.
        self._loop.advance_past(self._when)
        if not self._cancelled:
            self._run()


class VirtualLoop(asyncio.AbstractEventLoop):
    """A loop in virtual time. What drives it is in the subclass.

    Attributes:
        scheduler: The ``TestScheduler`` that everything is scheduled on.
    """

    def __init__(self) -> None:
        self.scheduler = SteadyTestScheduler()
        self._reached = 0.0
        self._entered = False
        self._closed = False
        self._errors: list[BaseException] = []
        self._jumped = 0.0
        self._handler: Handler | None = None
        self._factory: Any = None
        # What may end with an exception that nobody looks at; weak, as asyncio would let it go too.
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

    def is_closed(self) -> bool:
        return self._closed

    def get_debug(self) -> bool:
        return False

    def set_debug(self, enabled: bool) -> None:
        """Do nothing: there is no debug mode."""

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
        handle.item = self.scheduler.call_at(to_microseconds(when), handle.invoke)
        return handle

    def advance_past(self, when: float) -> None:
        """A timer is due, so it is that time at least."""
        if when > self._reached:
            self._reached = when

    def _timer_handle_cancelled(self, handle: asyncio.TimerHandle) -> None:
        """Do nothing: the handle cancels its item itself."""

    def create_future(self) -> asyncio.Future[Any]:
        future: asyncio.Future[Any] = asyncio.Future(loop=self)
        self._futures.add(future)
        return future

    def create_task(
        self,
        coro: Generator[Any, None, T] | Coroutine[Any, Any, T],
        *,
        name: str | None = None,
        context: Context | None = None,
        **options: Any,
    ) -> asyncio.Task[T]:
        if self._closed:
            coro.close()
            raise RuntimeError("Event loop is closed")
        task: asyncio.Task[T]
        if self._factory is None:
            task = asyncio.Task(coro, loop=self, name=name, context=context, **options)
        else:
            task = self._factory(self, coro, context=context, **options)
            if name is not None:
                task.set_name(name)
        self._futures.add(task)
        return task

    def set_task_factory(self, factory: Any) -> None:
        self._factory = factory

    def get_task_factory(self) -> Any:
        return self._factory

    def run_in_executor(
        self, executor: Any, func: Callable[[*Ts], T], *args: *Ts
    ) -> asyncio.Future[T]:
        """Call a function here and now: there are no threads in virtual time."""
        future: asyncio.Future[T] = self.create_future()
        try:
            future.set_result(func(*args))
        except Exception as error:
            future.set_exception(error)
        return future

    async def shutdown_asyncgens(self) -> None:
        for generator in list(self._generators):
            await aclose(generator)

    async def shutdown_default_executor(self) -> None:
        """Do nothing: there is no executor."""

    def set_exception_handler(self, handler: Handler | None) -> None:
        self._handler = handler

    def get_exception_handler(self) -> Handler | None:
        return self._handler

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        """Fail the test with what was raised, unless a handler was set."""
        if self._handler is not None:
            self._handler(self, context)
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
    """Close a generator: what it does is a coroutine only by the look of it."""
    await generator.aclose()
