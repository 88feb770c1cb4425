"""Receipts: the outcome of something asked for, to await, to subscribe to or to block on (C20).

Every receipt settles, also when the action that is to settle it raises: see :func:`run_for`.
"""

from __future__ import annotations

import asyncio
import os
import threading
import time
from collections.abc import Callable, Generator
from contextlib import suppress
from typing import Any, TypeVar, cast

from reactivex import Observable, abc
from reactivex.disposable import Disposable

from rxsocket.errors import NotConnected, SocketError
from rxsocket.runtime.loop import LoopClosed, SocketLoop
from rxsocket.runtime.reporting import Report
from rxsocket.runtime.threads import running_loop
from rxsocket.streams.listing import ListsItsOwn
from rxsocket.streams.multicast import SafeObserver, observer_name

T = TypeVar("T")

LOOK_FOR_SIGNALS = 0.5
"""Seconds after which a thread that blocks looks whether Ctrl-C was pressed."""


class Receipt(Observable[T], metaclass=ListsItsOwn):
    """One outcome, now or later: a value, or the exception that says why there is none.

    As an Observable it emits the value and completes, or fails. Observers are called on the
    socket's loop. Dropping a receipt, or cancelling a wait for it, cancels nothing.

    ::

        asked  ------------------outcome|
        late                            outcome|

    Examples:
        >>> outcome = await socket.set_auth({"token": "new"})      # in a coroutine
        >>> outcome = socket.set_auth({"token": "new"}).result(5)  # in a plain script

    Args:
        loop: Where the socket lives.
        report: Called for observers that raised.
        flush: Called on the loop before the receipt is awaited there: settles it now, if it can be.
    """

    def __init__(
        self, loop: SocketLoop, report: Report, flush: Callable[[], None] | None = None
    ) -> None:
        super().__init__()
        self._loop = loop
        self._report = report
        self._flush = flush
        self._waiting: list[Callable[[], None]] | None = None
        self._done = False
        self._value: T | None = None
        self._error: Exception | None = None

    def __repr__(self) -> str:
        if not self._done:
            return "<Receipt: pending>"
        return f"<Receipt: {self._value if self._error is None else self._error!r}>"

    @property
    def done(self) -> bool:
        """Whether the outcome is there, be it a value or an exception."""
        return self._done

    def result(self, timeout: float | None = None) -> T:
        """Block until the outcome is there, and return it.

        Args:
            timeout: Seconds to wait at most; ``None`` waits for as long as it takes.

        Raises:
            TimeoutError: If it is not there in time.
            RuntimeError: On the socket's own loop, which this would block: ``await`` it there.
            SocketError: If there will be no outcome; it says why.
        """
        if not self._done:
            if self._loop.is_current:
                raise RuntimeError(
                    "result() would block the loop of this socket: await the receipt"
                )
            there = threading.Lock()
            there.acquire()
            self.when_done(there.release)
            if not _acquire(there, timeout) and not self._done:
                self._forget(there.release)
                raise TimeoutError(f"no outcome within {timeout:g} s")
        return self._get()

    def run(self, scheduler: abc.SchedulerBase | None = None) -> T:
        """The same as ``result()``, by the name that other Observables have for it."""
        return self.result()

    def __await__(self) -> Generator[Any, None, T]:
        if not self._done and self._flush is not None and self._loop.is_current:
            self._flush()
        if not self._done:
            yield from self._there(asyncio.get_running_loop()).__await__()
        return self._get()

    def settle(self, value: T) -> None:
        """Set the value, unless there is an outcome already."""
        self._settle(value, None)

    def fail(self, error: Exception) -> None:
        """Set the exception, unless there is an outcome already."""
        self._settle(None, error)

    def when_done(self, function: Callable[[], None]) -> None:
        """Call a function when the outcome is there, on the thread that sets it; now, if it is."""
        with _lock:
            if not self._done:
                self._waiting = [*(self._waiting or ()), function]
                return
        function()

    def _get(self) -> T:
        if self._error is not None:
            raise self._error
        return cast("T", self._value)

    def _settle(self, value: T | None, error: Exception | None) -> None:
        with _lock:
            if self._done:
                return
            self._value, self._error = value, error
            self._done = True
            waiting, self._waiting = self._waiting, None
        if waiting is not None:
            for function in waiting:
                function()

    def _forget(self, function: Callable[[], None]) -> None:
        with _lock:
            self._waiting = [other for other in self._waiting or () if other != function]

    async def _there(self, loop: asyncio.AbstractEventLoop) -> None:
        future: asyncio.Future[None] = loop.create_future()

        def settle() -> None:
            if not future.done():
                future.set_result(None)

        def settled() -> None:
            if running_loop() is loop:
                settle()
                return
            with suppress(RuntimeError):  # that loop is closed: nobody waits any more
                loop.call_soon_threadsafe(settle)

        self.when_done(settled)
        try:
            await future
        finally:
            self._forget(settled)

    # RxPY's own subclasses take this way, too. A function that is passed to the constructor would
    # put each receipt in a reference cycle, and there is a receipt for each message sent.
    def _subscribe_core(
        self, observer: abc.ObserverBase[T], scheduler: abc.SchedulerBase | None = None
    ) -> abc.DisposableBase:
        safe_observer = SafeObserver(
            observer, lambda error: self._report(observer_name(error), "receipt", error)
        )

        def deliver() -> None:
            if self._error is not None:
                safe_observer.end(self._error)
            else:
                safe_observer.on_next(cast("T", self._value))
                safe_observer.end(None)

        self.when_done(lambda: self._loop.run(deliver))

        def dispose() -> None:
            safe_observer.is_active = False

        return Disposable(dispose)


_lock = threading.Lock()
"""One for all receipts: each is settled once, and there is a receipt for each message sent."""
if hasattr(os, "register_at_fork"):  # a forked child must not find it held by a thread it has not
    os.register_at_fork(
        before=_lock.acquire, after_in_parent=_lock.release, after_in_child=_lock.release
    )


def _acquire(there: threading.Lock, timeout: float | None) -> bool:
    """Block until a lock is released, so that a Ctrl-C at any moment ends it.

    An ``Event`` does not do: a Ctrl-C inside of it may leave its own lock held, on which whoever
    sets it waits then. Nor does blocking for as long as it takes: a signal just before that wakes
    nobody, and on Windows none does.
    """
    deadline = None if timeout is None else time.monotonic() + timeout
    while True:
        rest = LOOK_FOR_SIGNALS if deadline is None else deadline - time.monotonic()
        if there.acquire(timeout=max(0.0, min(rest, LOOK_FOR_SIGNALS))):
            return True
        if rest <= 0:
            return False


def run_for(receipt: Receipt[Any], loop: SocketLoop, action: Callable[[], None]) -> None:
    """Run an action on the loop that is to settle a receipt; if it raises, the receipt fails."""

    def act() -> None:
        try:
            action()
        except LoopClosed as error:
            receipt.fail(NotConnected(str(error)))
            raise
        except BaseException as error:
            receipt.fail(SocketError(f"an internal error: {type(error).__name__}: {error}"))
            raise

    loop.run(act)
