"""Schedulers of a socket's loop, for operators of RxPY in which time matters (C24)."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from contextlib import nullcontext, suppress
from datetime import datetime, timedelta
from typing import Any, TypeVar

from reactivex import abc, typing
from reactivex.disposable import SingleAssignmentDisposable
from reactivex.scheduler import CurrentThreadScheduler
from reactivex.scheduler.periodicscheduler import PeriodicScheduler

from rxsocket.runtime.loop import SocketLoop
from rxsocket.runtime.reporting import Report
from rxsocket.runtime.threads import running_loop, wall_clock

S = TypeVar("S")


class LoopScheduler(PeriodicScheduler):
    """Runs what operators schedule on the loop that the socket lives on, whatever thread asks.

    ::

        messages                      --1-2-3--------4-----
        debounce(1.0, scheduler=...)  ------------3-------4

    Observers behind such an operator are called like every other one: on the loop, one at a time,
    in the ``contextvars`` context of their ``subscribe``; what they ask of the socket is carried
    out after the emission (C24), and what they raise is an ``ObserverFailed`` on ``errors`` (C23).
    With ``rxsocket.testing.clock()`` they run in virtual time.

    Before the socket has started, the loop is the one it would start on. What is scheduled keeps
    that loop running when the socket has closed, so a value that ``delay`` holds still comes.

    Args:
        loop: Where the socket lives.
        report: Called for each scheduled action that raised.
    """

    def __init__(self, loop: SocketLoop, report: Report) -> None:
        super().__init__()
        self._loop = loop
        self._report = report
        self._anchor: tuple[asyncio.AbstractEventLoop, datetime] | None = None

    @property
    def socket_loop(self) -> SocketLoop:
        """Where the socket lives."""
        return self._loop

    @property
    def now(self) -> datetime:
        """Wall time as it was when the loop was first seen, and from there on the loop's own time.

        So a clock that is set, or a computer that slept, does not move what is scheduled.
        """
        loop = self._loop.candidate
        if loop is None:
            return self.to_datetime(self._loop.real_time())
        anchor = self._anchor
        if anchor is None or anchor[0] is not loop:
            zero = self.to_datetime(wall_clock(loop)()) - timedelta(seconds=loop.time())
            self._anchor = anchor = (loop, zero)
        return anchor[1] + timedelta(seconds=loop.time())

    def schedule(
        self, action: typing.ScheduledAction[S], state: S | None = None
    ) -> abc.DisposableBase:
        """Run an action in a turn of its own of the loop.

        Args:
            action: What to run.
            state: What to give it.

        Returns:
            Disposed, it is not run any more.
        """
        return self._after(0.0, action, state)

    def schedule_relative(
        self,
        duetime: typing.RelativeTime,
        action: typing.ScheduledAction[S],
        state: S | None = None,
    ) -> abc.DisposableBase:
        """Run an action after a time, in seconds or as a ``timedelta``; see :meth:`schedule`."""
        return self._after(self.to_seconds(duetime), action, state)

    def schedule_absolute(
        self,
        duetime: typing.AbsoluteTime,
        action: typing.ScheduledAction[S],
        state: S | None = None,
    ) -> abc.DisposableBase:
        ahead = self.to_datetime(duetime) - self.now
        return self._after(ahead.total_seconds(), action, state)

    def _after(
        self, seconds: float, action: typing.ScheduledAction[S], state: S | None
    ) -> abc.DisposableBase:
        def invoke() -> abc.DisposableBase | None:
            with self._loop.turn() if self._loop.is_current else nullcontext():
                try:
                    return self.invoke_action(action, state)
                except BaseException as error:
                    self._report(_named(action), "scheduler", error, detached=False)
                    return None

        item = _Item(invoke, *self._loop.acquire())
        item.start(seconds)
        return item


class StreamScheduler(LoopScheduler):
    """What a stream gives to the operators behind it, unless they were given another scheduler.

    Those with a time in them stay on the socket's loop. What is due at once, such as the values of
    ``start_with``, is scheduled on the current thread, as it would be without this scheduler.
    """

    def schedule(
        self, action: typing.ScheduledAction[S], state: S | None = None
    ) -> abc.DisposableBase:
        """Run an action now, after those that run now have scheduled theirs before it."""
        return CurrentThreadScheduler.singleton().schedule(action, state)


class _Item(abc.DisposableBase):
    """One action: it is run or cancelled, whichever comes first, and gives its loop back."""

    def __init__(
        self,
        invoke: Callable[[], abc.DisposableBase | None],
        loop: asyncio.AbstractEventLoop,
        give_back: Callable[[], None],
    ) -> None:
        self._invoke = invoke
        self._loop = loop
        self._give_back = give_back
        self._lock = threading.Lock()
        self._over = False
        self._handle: asyncio.Handle | None = None
        self._began = SingleAssignmentDisposable()

    def start(self, seconds: float) -> None:
        here = running_loop() is self._loop
        if seconds > 0 and here:
            self._handle = self._loop.call_later(seconds, self._run)
        elif seconds > 0:
            self._loop.call_soon_threadsafe(self._wait_until, self._loop.time() + seconds)
        elif here:
            self._handle = self._loop.call_soon(self._run)
        else:
            self._handle = self._loop.call_soon_threadsafe(self._run)

    def dispose(self) -> None:
        if self._ends():
            if running_loop() is self._loop:
                self._cancel()
            else:
                with suppress(RuntimeError):  # the loop is closed: nothing runs any more
                    self._loop.call_soon_threadsafe(self._cancel)
            self._give_back()
        self._began.dispose()

    def _wait_until(self, due: float) -> None:
        if not self._over:
            self._handle = self._loop.call_later(max(0.0, due - self._loop.time()), self._run)

    def _run(self) -> None:
        if not self._ends():
            return
        try:
            rest = self._invoke()
            if rest is not None:
                self._began.disposable = rest
        finally:
            self._give_back()

    def _ends(self) -> bool:
        with self._lock:
            over, self._over = self._over, True
            return not over

    def _cancel(self) -> None:
        if self._handle is not None:
            self._handle.cancel()


def _named(action: Any) -> str:
    return str(getattr(action, "__qualname__", type(action).__name__))
