"""Receipts: the outcome of something asked for, to await, to subscribe to or to block on (C20)."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Generator
from contextlib import suppress
from typing import Any, Generic, TypeVar, cast

from reactivex import Observable, abc
from reactivex.disposable import Disposable

from rxsocket.runtime import Home
from rxsocket.streams import Fence, Report, observer_name
from rxsocket.threads import running_loop

__all__ = ["Receipt"]

T = TypeVar("T")


class Receipt(Observable[T]):
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
        home: Where the socket lives.
        report: Told of observers that raise.
        hurry: Called on the loop when somebody awaits it there: what may be done at once, should.
    """

    def __init__(self, home: Home, report: Report, hurry: Callable[[], None] | None = None) -> None:
        # The outcome is an object of its own so that no receipt is in a reference cycle: there is
        # one for each message sent, and the collector of cycles would have to look at them all.
        outcome: _Outcome[T] = _Outcome(home, report)
        super().__init__(outcome.attach)
        self._outcome = outcome
        self._hurry = hurry

    def __repr__(self) -> str:
        outcome = self._outcome
        if not outcome.done:
            return "<Receipt: pending>"
        return f"<Receipt: {outcome.value if outcome.error is None else outcome.error!r}>"

    @property
    def done(self) -> bool:
        """Whether the outcome is there."""
        return self._outcome.done

    def result(self, timeout: float | None = None) -> T:
        """Block until the outcome is there, and return it.

        Args:
            timeout: Seconds to wait at most; ``None`` waits for as long as it takes.

        Raises:
            TimeoutError: If it is not there in time.
            RuntimeError: On the socket's own loop, which this would block: ``await`` it there.
            SocketError: If there will be no outcome; it says why.
        """
        outcome = self._outcome
        if not outcome.done:
            if outcome.home.here:
                raise RuntimeError(
                    "result() would block the loop of this socket: await the receipt"
                )
            there = threading.Event()
            outcome.when_done(there.set)
            if not there.wait(timeout) and not outcome.done:
                outcome.forget(there.set)
                raise TimeoutError(f"no outcome within {timeout:g} s")
        return outcome.get()

    def __await__(self) -> Generator[Any, None, T]:
        return self._wait().__await__()

    async def _wait(self) -> T:
        outcome = self._outcome
        if not outcome.done and self._hurry is not None and outcome.home.here:
            self._hurry()
        if not outcome.done:
            await outcome.there(asyncio.get_running_loop())
        return outcome.get()

    def settle(self, value: T) -> None:
        """The outcome is there."""
        self._outcome.settle(value, None)

    def fail(self, error: Exception) -> None:
        """There will be no outcome."""
        self._outcome.settle(None, error)

    def when_done(self, function: Callable[[], None]) -> None:
        """Call a function when the outcome is there, on the thread it comes on; now, if it is."""
        self._outcome.when_done(function)


_lock = threading.Lock()


class _Outcome(Generic[T]):
    """What a receipt is about; settled once, from any thread."""

    __slots__ = ("_report", "_waiting", "done", "error", "home", "value")

    def __init__(self, home: Home, report: Report) -> None:
        self.home = home
        self._report = report
        self._waiting: list[Callable[[], None]] | None = None
        self.done = False
        self.value: T | None = None
        self.error: Exception | None = None

    def get(self) -> T:
        if self.error is not None:
            raise self.error
        return cast("T", self.value)

    def settle(self, value: T | None, error: Exception | None) -> None:
        with _lock:
            if self.done:
                return
            self.value, self.error = value, error
            self.done = True
            waiting, self._waiting = self._waiting, None
        for function in waiting or ():
            function()

    def when_done(self, function: Callable[[], None]) -> None:
        with _lock:
            if not self.done:
                self._waiting = [*(self._waiting or ()), function]
                return
        function()

    def forget(self, function: Callable[[], None]) -> None:
        with _lock:
            self._waiting = [other for other in self._waiting or () if other != function]

    async def there(self, loop: asyncio.AbstractEventLoop) -> None:
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
            self.forget(settled)

    def attach(
        self, observer: abc.ObserverBase[T], scheduler: abc.SchedulerBase | None = None
    ) -> abc.DisposableBase:
        fence = Fence(observer, lambda error: self._report(observer_name(error), "receipt", error))

        def deliver() -> None:
            if self.error is not None:
                fence.end(self.error)
            else:
                fence.on_next(cast("T", self.value))
                fence.end(None)

        self.when_done(lambda: self.home.run(deliver))

        def leave() -> None:
            fence.live = False

        return Disposable(leave)
