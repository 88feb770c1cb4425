"""Receipts: the outcome of something asked for, to await, to subscribe to or to block on (C20)."""

from __future__ import annotations

import concurrent.futures
from collections.abc import Generator
from typing import Any, TypeVar

from reactivex import Observable, abc
from reactivex.disposable import Disposable

from rxsocket.runtime import Home
from rxsocket.streams import Fence, Report, observer_name
from rxsocket.threads import outcome

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
    """

    def __init__(self, home: Home, report: Report) -> None:
        super().__init__(self._attach)
        self._home = home
        self._told = report
        self._future: concurrent.futures.Future[T] = concurrent.futures.Future()

    def __repr__(self) -> str:
        if not self._future.done():
            return "<Receipt: pending>"
        error = self._future.exception()
        return f"<Receipt: {self._future.result() if error is None else error!r}>"

    @property
    def done(self) -> bool:
        """Whether the outcome is there."""
        return self._future.done()

    def result(self, timeout: float | None = None) -> T:
        """Block until the outcome is there, and return it.

        Args:
            timeout: Seconds to wait at most; ``None`` waits for as long as it takes.

        Raises:
            TimeoutError: If it is not there in time.
            RuntimeError: On the socket's own loop, which this would block: ``await`` it there.
            SocketError: If there will be no outcome; it says why.
        """
        if not self._future.done() and self._home.here:
            raise RuntimeError("result() would block the loop of this socket: await the receipt")
        try:
            return self._future.result(timeout)
        except concurrent.futures.TimeoutError:
            if self._future.done():  # it is the outcome, or that came just now
                return self._future.result()
            raise TimeoutError(f"no outcome within {timeout:g} s") from None

    def __await__(self) -> Generator[Any, None, T]:
        return outcome(self._future).__await__()

    def settle(self, value: T) -> None:
        """The outcome is there."""
        if not self._future.done():
            self._future.set_result(value)

    def fail(self, error: Exception) -> None:
        """There will be no outcome."""
        if not self._future.done():
            self._future.set_exception(error)

    def _attach(
        self, observer: abc.ObserverBase[T], scheduler: abc.SchedulerBase | None = None
    ) -> abc.DisposableBase:
        fence = Fence(observer, lambda error: self._told(observer_name(error), "receipt", error))

        def deliver() -> None:
            error = self._future.exception()
            if isinstance(error, Exception):
                fence.end(error)
            else:
                fence.on_next(self._future.result())
                fence.end(None)

        self._future.add_done_callback(lambda _: self._home.run(deliver))

        def leave() -> None:
            fence.live = False

        return Disposable(leave)
