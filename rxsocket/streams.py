"""Streams: Observables that many observers share, each behind a fence of its own (C23, C24).

A raising observer is detached and reported; the others and the connection go on. Each observer is
called on the socket's loop, one value at a time, in the ``contextvars`` context captured when it
subscribed, and never after it was disposed.
"""

from __future__ import annotations

import contextvars
from collections.abc import Callable, Collection, Iterator
from typing import Any, Generic, TypeVar

from reactivex import Observable, abc
from reactivex.disposable import Disposable
from reactivex.observer import AutoDetachObserver

from rxsocket.arguments import is_async
from rxsocket.runtime import Home

__all__ = ["Fence", "Stream", "ValueStream", "observer_name"]

T = TypeVar("T")
Report = Callable[[str, str, Exception], None]
Hold = Callable[[], abc.DisposableBase]


def observer_name(error: Exception) -> str:
    """Name the observer that raised: in its traceback, the first function that is no plumbing."""
    trace = error.__traceback__
    while trace is not None:
        frame = trace.tb_frame
        module = str(frame.f_globals.get("__name__", ""))
        if not module.startswith(("rxsocket.streams", "rxsocket.arguments", "reactivex.")):
            return f"{frame.f_code.co_qualname} (line {trace.tb_lineno} of {module})"
        trace = trace.tb_next
    return "an observer without on_error"


class Fence(Generic[T]):
    """One observer of a stream.

    Attributes:
        live: Whether it is to get anything: it has neither left nor raised nor had its end.
        run: Calls a function in the observer's context.
        next: The function that values are for.
    """

    __slots__ = ("_observer", "_report", "live", "next", "run")

    def __init__(self, observer: abc.ObserverBase[T], report: Callable[[Exception], None]) -> None:
        self._observer = observer
        self.next = _direct(observer)
        self.run = contextvars.copy_context().run
        self._report = report
        self.live = True

    def on_next(self, value: T) -> None:
        """Pass a value on, unless the observer left."""
        if self.live:
            try:
                self.run(self.next, value)
            except Exception as error:
                self.raised(error)

    def pour(self, values: Iterator[T], asked: Collection[object]) -> bool:
        """Pass values on until something is asked for; return whether there are no more.

        Without a look at whether the observer left before the first one.
        """
        try:
            return self.run(self._pour, values, asked)
        except Exception as error:
            self.raised(error)
            return False

    def _pour(self, values: Iterator[T], asked: Collection[object]) -> bool:
        on_next = self.next
        for value in values:
            on_next(value)
            if asked or not self.live:
                return False
        return True

    def end(self, error: Exception | None) -> None:
        """Complete the observer, or fail it; it hears nothing more."""
        if self.live:
            self.live = False
            if error is None:
                self._call(self._observer.on_completed)
            else:
                self._call(self._observer.on_error, error)

    def _call(self, function: Callable[..., None], *arguments: Any) -> None:
        try:
            self.run(function, *arguments)
        except Exception as error:
            if error not in arguments:  # on_error was left out: RxPY raises what it was given
                self.raised(error)

    def raised(self, error: Exception) -> None:
        """The observer raised: it is detached, and that is reported (C23)."""
        self.live = False
        self._report(error)


def _direct(observer: abc.ObserverBase[T]) -> Callable[[T], None]:
    """The function that the user's values are for, without RxPY's check on the way to it.

    What ``Observable.subscribe`` wraps an observer in asks each time whether it has ended or was
    disposed, which the fence knows already.
    """
    any_observer: Any = observer
    function: Callable[[T], None] = observer.on_next
    if type(any_observer) is AutoDetachObserver:
        function = getattr(any_observer, "_on_next", function)  # pyright: ignore[reportUnknownArgumentType]
    return function


class Stream(Observable[T]):
    """An Observable of what happens to a socket from now on.

    Args:
        name: Its name, for reports.
        home: Where observers are called.
        report: Told of each observer that raised: its name, the stream's, the exception.
        hold: Keeps the socket connected until disposed; ``None`` for a stream that only looks (C1).
    """

    def __init__(self, name: str, home: Home, report: Report, hold: Hold | None = None) -> None:
        super().__init__(self._attach)
        self._name = name
        self._home = home
        self._told = report
        self._hold = hold
        self._fences: tuple[Fence[T], ...] = ()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._name}: {len(self._fences)} observers>"

    @property
    def observed(self) -> bool:
        """Whether anybody is subscribed."""
        return bool(self._fences)

    def passive(self) -> Observable[T]:
        """The same stream, for looking only: subscribing to it does not connect (C1)."""

        def subscribe(
            observer: abc.ObserverBase[T], scheduler: abc.SchedulerBase | None = None
        ) -> abc.DisposableBase:
            return self._join(observer, None)

        return Observable(subscribe)

    def subscribe(
        self,
        on_next: abc.ObserverBase[T] | abc.OnNext[T] | None = None,
        on_error: abc.OnError | None = None,
        on_completed: abc.OnCompleted | None = None,
        *,
        scheduler: abc.SchedulerBase | None = None,
    ) -> abc.DisposableBase:
        """Subscribe an observer; see ``reactivex.Observable.subscribe``.

        Observers are called on the socket's loop, in the context captured here (C24).

        Raises:
            TypeError: If a callback is an ``async def`` function: it would never be awaited.
        """
        for callback in (on_next, on_error, on_completed):
            if is_async(callback):
                raise TypeError(
                    f"{self._name}.subscribe: an async function is never awaited by an Observable; "
                    "pass a plain function that creates a task"
                )
        return super().subscribe(on_next, on_error, on_completed, scheduler=scheduler)

    def emit(self, value: T) -> None:
        """Call every observer with a value; on the loop, within a turn."""
        for fence in self._fences:  # what Fence.on_next does, without the call of it
            if fence.live:
                try:
                    fence.run(fence.next, value)
                except Exception as error:
                    fence.raised(error)

    def pour(self, values: Iterator[T], asked: Collection[object]) -> bool:
        """Emit values until something is asked for; return whether there are no more.

        It is ``emit`` for each, at less cost when there is one observer.
        """
        if len(self._fences) == 1 and self._fences[0].live:
            return self._fences[0].pour(values, asked)
        for value in values:
            self.emit(value)
            if asked:
                return False
        return True

    def end(self, error: Exception | None = None) -> None:
        """Complete every observer, or fail it; later subscribers see a fresh stream (C3)."""
        fences, self._fences = self._fences, ()
        for fence in fences:
            fence.end(error)

    def _attach(
        self, observer: abc.ObserverBase[T], scheduler: abc.SchedulerBase | None = None
    ) -> abc.DisposableBase:
        return self._join(observer, self._hold)

    def _join(self, observer: abc.ObserverBase[T], hold: Hold | None) -> abc.DisposableBase:
        def failed(error: Exception) -> None:
            leave()
            self._told(observer_name(error), self._name, error)

        def leave() -> None:
            fence.live = False
            self._home.run(lambda: self._remove(fence))
            if held is not None:
                held.dispose()

        held: abc.DisposableBase | None = None
        fence = Fence(observer, failed)
        self._home.run(lambda: self._admit(fence))
        if hold is not None and fence.live:  # it may have left at what it was given first
            held = hold()
            if not fence.live:
                held.dispose()
        return Disposable(leave)

    def _admit(self, fence: Fence[T]) -> None:
        if fence.live:
            self._fences = (*self._fences, fence)

    def _remove(self, fence: Fence[T]) -> None:
        self._fences = tuple(other for other in self._fences if other is not fence)


class ValueStream(Stream[T]):
    """A stream with a current value, which every new observer gets first (C4).

    ::

        changes    ---b-------c---
        subscribe  a--b-------c---
             late        b----c---
    """

    def __init__(self, name: str, home: Home, report: Report, value: T) -> None:
        super().__init__(name, home, report)
        self._value = value

    @property
    def value(self) -> T:
        """The current value; readable anywhere, from any thread."""
        return self._value

    def emit(self, value: T) -> None:
        """Make a value the current one, and call every observer with it."""
        self._value = value
        super().emit(value)

    def _admit(self, fence: Fence[T]) -> None:
        fence.on_next(self._value)
        super()._admit(fence)
