"""A virtual clock: an asyncio loop whose callbacks are scheduled on RxPY's ``TestScheduler``.

Coroutines, tasks, ``asyncio.timeout``, queues, ``call_later`` and the time operators of Rx all run
on the one clock, in the same order every time, and as fast as the code goes::

    with clock() as t:
        task = t.create_task(asyncio.sleep(3600))
        t.advance(3599)          # not done
        t.advance(1)             # done

While it is entered, it is the running loop of its thread, also inside a coroutine of another loop.
Nothing in the ``with`` may then ``await`` on that other loop.
"""

from __future__ import annotations

import asyncio
import sys
import threading
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator
from contextlib import contextmanager, suppress
from types import TracebackType
from typing import Any, Self, TypeVar

from rxsocket.testing.virtual_loop import VirtualLoop, aclose, to_microseconds

T = TypeVar("T")

HOUR = 3600.0
DAY = 24 * HOUR


class Stuck(AssertionError):
    """The awaitable of :meth:`VirtualClock.run` cannot be done, or not in time."""


class VirtualClock(VirtualLoop):
    """The loop; see the module. Make one with :func:`clock`.

    Attributes:
        scheduler: The ``TestScheduler``, for Rx operators that take one.
    """

    def __init__(self) -> None:
        super().__init__()
        self._stepping = False
        self._before: _RunningBefore | None = None
        self._given_up: list[asyncio.Future[Any]] = []  # kept from the garbage collector

    @property
    def pending(self) -> int:
        """How many callbacks are scheduled and not cancelled, those of Rx included."""
        return self.scheduler.pending

    @property
    def tasks(self) -> set[asyncio.Task[Any]]:
        """The tasks of this loop that are not done."""
        return asyncio.all_tasks(self)

    def advance(self, seconds: float) -> None:
        """Let time pass: run what is due up to the end, and at it. ``advance(0)`` runs what is due.

        Args:
            seconds: Virtual seconds.

        Raises:
            BaseException: An unhandled exception of a callback; of several, an ``ExceptionGroup``.

        Examples:
            >>> with clock() as t:
            ...     handle = t.call_later(5, print, "five")
            ...     t.advance(5)
            five
        """
        if seconds < 0:
            raise ValueError(f"advance: time does not go back; pass 0 or more, not {seconds}")
        target = to_microseconds(self.time() + seconds)
        with self._driving():
            while self._step(target):
                pass
            self.scheduler.advance_to(max(target, self.time()))  # a block may have gone past it

    def block(self, seconds: float) -> None:
        """Let time pass without running the loop: what is due meanwhile runs late.

        It stands for a callback that blocks; call it in one, or from the test.

        Args:
            seconds: Virtual seconds.
        """
        if seconds < 0:
            raise ValueError(f"block: time does not go back; pass 0 or more, not {seconds}")
        self.scheduler.skip_to(to_microseconds(self.time() + seconds))

    def jump(self, seconds: float) -> None:
        """Move the wall clock, not the loop's: the computer slept, or its clock was set.

        Args:
            seconds: Seconds; less than 0 sets it back.
        """
        self._jumped += seconds

    def run(self, awaitable: Awaitable[T], *, within: float = DAY) -> T:
        """Let time pass until an awaitable is done, and not longer.

        Args:
            awaitable: A coroutine, task or future.
            within: Virtual seconds that it may take.

        Returns:
            Its result.

        Raises:
            AssertionError: If nothing is scheduled any more, or the time is up.

        Examples:
            >>> with clock() as t:
            ...     t.run(asyncio.sleep(86_400, "a day"))
            'a day'
        """
        with self._driving():
            future = asyncio.ensure_future(awaitable, loop=self)
            target = to_microseconds(self.time() + within)
            while not future.done():
                if not self._step(target):
                    self._given_up.append(future)
                    raise Stuck(self._why_stuck(future, within))
        return future.result()

    # --- entering and leaving

    def __enter__(self) -> Self:
        if self._entered or self._closed:
            raise RuntimeError("a clock is entered once; make another one with clock()")
        self._entered = True
        self._before = _RunningBefore()
        asyncio._set_running_loop(self)
        sys.set_asyncgen_hooks(self._generators.add, self._finalize)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            self._wind_up()
        finally:
            self._closed = True
            self._entered = False
            self._given_up.clear()
            if self._before is not None:
                self._before.restore()
        if error is not None:
            for other in self._errors:
                error.add_note(f"and on the virtual clock: {other!r}")
        else:
            self._raise_errors()

    def _wind_up(self) -> None:
        """Cancel what is left and let it finish; then collect failures never retrieved."""
        for _ in range(10):  # what ends may start something new
            left = self.tasks
            for task in left:
                task.cancel()
            closing = [self.create_task(aclose(it)) for it in list(self._generators)]
            self._generators.clear()
            if not left and not closing:
                break
            try:
                self.run(asyncio.wait([*left, *closing]), within=HOUR)
            except BaseException as error:
                self._errors.append(error)
        for future in list(self._futures):
            # asyncio finds out in __del__, which a reference cycle may delay until after the test.
            if getattr(future, "_log_traceback", False) and self.get_exception_handler() is None:
                unseen = future.exception()
                if unseen is not None:
                    unseen.add_note(f"never retrieved from {future!r}")
                    self._errors.append(unseen)

    def _finalize(self, generator: AsyncGenerator[Any, Any]) -> None:
        self._generators.discard(generator)
        if not self._closed:
            self.call_soon_threadsafe(self.create_task, aclose(generator))

    @contextmanager
    def _driving(self) -> Generator[None]:
        if not self._entered:
            raise RuntimeError("the clock runs only inside its with block")
        if self._stepping:
            raise RuntimeError(
                "advance() and run() are for the test, not for what runs on the clock"
            )
        self._stepping = True
        try:
            yield
        finally:
            self._stepping = False

    def _step(self, until: float) -> bool:
        stepped = self.scheduler.step(until)
        if self._errors:
            self._raise_errors()
        return stepped

    def _raise_errors(self) -> None:
        errors, self._errors = self._errors, []
        if len(errors) == 1:
            raise errors[0]
        if errors:
            raise BaseExceptionGroup("several failures on the virtual clock", errors)

    def _why_stuck(self, future: asyncio.Future[Any], within: float) -> str:
        why = f"not done within {within:g} s" if self.pending else "nothing is scheduled any more"
        waiting = "\n".join(f"  {task!r}" for task in sorted(self.tasks, key=repr))
        return f"{why}, at t={self.time():g} s: {future!r}\ntasks that wait:\n{waiting}"


class _RunningBefore:
    """The loop, its current task and the hooks for async generators that the thread had before."""

    def __init__(self) -> None:
        self._hooks = sys.get_asyncgen_hooks()
        self._loop = asyncio._get_running_loop()
        self._task = None if self._loop is None else asyncio.current_task(self._loop)
        # From Python 3.14 on, a thread has one current task, whatever its loop.
        if self._loop is not None and self._task is not None:
            asyncio.tasks._leave_task(self._loop, self._task)

    def restore(self) -> None:
        sys.set_asyncgen_hooks(*self._hooks)
        asyncio._set_running_loop(self._loop)
        if self._loop is not None and self._task is not None:
            asyncio.tasks._enter_task(self._loop, self._task)


def clock() -> VirtualClock:
    """A virtual clock, for ``with``.

    Examples:
        >>> with clock() as t:
        ...     t.advance(2.5)
        ...     t.time()
        2.5
    """
    return VirtualClock()


class ChangeCondition:
    """A reentrant lock, and a way to wait for a predicate: on a thread, a loop, in virtual time."""

    def __init__(self) -> None:
        self._condition = threading.Condition()
        self._wakers: list[Callable[[], None]] = []

    def __enter__(self) -> None:
        self._condition.acquire()

    def __exit__(self, *_: object) -> None:
        self._condition.release()

    def notify(self) -> None:
        """Check every waiting predicate again."""
        with self._condition:
            self._condition.notify_all()
            for wake in self._wakers:
                wake()

    def wait_until(self, predicate: Callable[[], object], timeout: float) -> bool:
        """Block until a predicate is true; where a virtual clock runs, virtual time passes.

        Args:
            predicate: Called at once, and after each change.
            timeout: Seconds.

        Returns:
            ``True`` if it became true, ``False`` after the timeout.
        """
        loop = asyncio._get_running_loop()
        if isinstance(loop, VirtualClock):
            return loop.run(self.await_until(predicate, timeout))
        with self._condition:
            return bool(self._condition.wait_for(predicate, timeout))

    async def await_until(
        self,
        predicate: Callable[[], object],
        timeout: float,  # noqa: ASYNC109 - the twin of wait_until
    ) -> bool:
        """Like :meth:`wait_until`, without blocking the loop."""
        loop = asyncio.get_running_loop()
        changed = asyncio.Event()

        def wake() -> None:
            with suppress(RuntimeError):  # the loop was closed with this coroutine on it
                loop.call_soon_threadsafe(changed.set)

        with self._condition:
            self._wakers.append(wake)
        try:
            async with asyncio.timeout(timeout):
                while not self._is_true(predicate):
                    await changed.wait()
                    changed.clear()
        except TimeoutError:
            return False
        finally:
            with self._condition:
                self._wakers.remove(wake)
        return True

    def _is_true(self, predicate: Callable[[], object]) -> bool:
        with self._condition:
            return bool(predicate())
