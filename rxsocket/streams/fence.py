"""The fence of one observer: what it raises goes no further (C23), its context is its own (C24)."""

from __future__ import annotations

import contextvars
import inspect
from collections.abc import Callable, Collection, Iterator
from typing import Any, Generic, TypeVar

from reactivex import abc
from reactivex.observer import AutoDetachObserver

from rxsocket.runtime.reporting import Reporter, report_to

__all__ = ["Fence", "observer_name"]

T = TypeVar("T")
PACKAGES = ("rxsocket.", "reactivex.")
PLUMBING = ("rxsocket.streams.", "rxsocket.callables", "rxsocket.operators", "reactivex.")


def observer_name(error: Exception) -> str:
    """Name the observer that raised: in its traceback, the first function that is no plumbing."""
    trace = error.__traceback__
    while trace is not None:
        frame = trace.tb_frame
        module = str(frame.f_globals.get("__name__", ""))
        if not module.startswith(PLUMBING):
            return f"{frame.f_code.co_qualname} (line {trace.tb_lineno} of {module})"
        trace = trace.tb_next
    return "an observer without on_error"


def _subscriber() -> str:
    """Name who subscribes: the innermost function on the stack that is no plumbing."""
    frame = inspect.currentframe()
    while frame is not None and frame.f_back is not None:
        if not str(frame.f_globals.get("__name__")).startswith(PACKAGES):
            break
        frame = frame.f_back
    if frame is None:  # an interpreter without stack frames
        return "an observer"
    module = str(frame.f_globals.get("__name__", ""))
    return f"{frame.f_code.co_qualname} (line {frame.f_lineno} of {module})"


class Fence(Generic[T]):
    """One observer of a stream.

    Args:
        observer: The observer.
        report: Told of what it raises within an emission; it is detached then.
        audience: Whether it counts as somebody who listens (C4).
        later: Told of what an observer raises behind an operator that let the value wait, and that
            it has left by itself. Default: ``report``.

    Attributes:
        live: Whether it is to get anything: it has neither left nor raised nor had its end.
        run: Calls a function in the observer's context.
        next: The function that values are for.
        audience: Whether it counts as somebody who listens (C4).
        subscribed_by: Who it is, for people.
    """

    __slots__ = ("_observer", "_report", "audience", "live", "next", "run", "subscribed_by")

    def __init__(
        self,
        observer: abc.ObserverBase[T],
        report: Reporter,
        audience: bool = True,
        later: Reporter | None = None,
    ) -> None:
        self._observer = observer
        self.next = _direct(observer)
        context = contextvars.copy_context()
        report_to(context, later or report)
        self.run = context.run
        self._report = report
        self.live = True
        self.audience = audience
        self.subscribed_by = _subscriber()

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
        """The observer raised: it is detached, and that is reported, in its context (C23)."""
        self.live = False
        # A copy: its own may be entered again by what the report leads to.
        self.run(contextvars.copy_context).run(self.tell, error)

    def tell(self, error: Exception) -> None:
        """Let it be known what the observer raised, now that it is detached."""
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
