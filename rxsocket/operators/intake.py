"""The way in of an operator that takes values when it is ready, not when they come."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, Final, Generic, TypeVar

from reactivex import Observable, abc
from reactivex.disposable import SingleAssignmentDisposable

from rxsocket.operators.drops import Drops
from rxsocket.operators.lines import Line
from rxsocket.runtime.reporting import Reporter, reporter

__all__ = ["NOTHING", "Intake"]

T = TypeVar("T")

NOTHING: Final[Any] = object()
"""What there is to take when nothing waits."""


class Intake(Generic[T]):
    """Subscribes to a source and lets its values wait in a line. Thread safe.

    ::

        source  --1-2-3-----4-|
        wake    --w-w-w-----w-w
        take    ------1-2-3---4 over

    Args:
        line: Where the values wait.
        drops: Counts those that are dropped.
        wake: Called on the source's thread, outside any lock, when there is something to take, or
            the source has ended. An error is told after what waited before it.
    """

    def __init__(self, line: Line[T], drops: Drops | None, wake: Callable[[], None]) -> None:
        self._line = line
        self._drops = drops
        self._wake = wake
        self._lock = threading.RLock()
        self._source = SingleAssignmentDisposable()
        self._ended = False
        self._error: Exception | None = None
        self._line_failed = False
        self._report: Reporter | None = None

    @property
    def over(self) -> bool:
        """Whether nothing waits and nothing more comes."""
        with self._lock:
            return self._ended and not len(self._line)

    @property
    def waits(self) -> bool:
        """Whether there is something to take or to tell."""
        with self._lock:
            return self._ended or len(self._line) > 0

    @property
    def error(self) -> Exception | None:
        """What the source failed with, if it did."""
        return self._error

    def listen(self, source: Observable[T], scheduler: abc.SchedulerBase | None) -> None:
        """Subscribe to the source."""
        self._source.disposable = source.subscribe(
            self._on_next, self._end, self._end, scheduler=scheduler
        )

    def end(self, observer: abc.ObserverBase[Any]) -> None:
        """Complete an observer, or fail it, as the source ended; to be called when ``over``."""
        try:
            if self._error is None:
                observer.on_completed()
            else:
                observer.on_error(self._error)
        except Exception as error:
            if not self.told(error):
                raise

    def told(self, error: Exception) -> bool:
        """Tell the socket that the values come from what an observer raised (C23).

        The end of the source, raised by RxPY because there is no ``on_error``, is no failure.

        Returns:
            Whether there is a socket to tell.
        """
        if self._report is None:
            return False
        if error is not self._error or self._line_failed:
            self._report(error)
        return True

    def take(self) -> T:
        """The value that is next, or ``NOTHING``."""
        with self._lock:
            return self._line.take() if len(self._line) else NOTHING

    def dispose(self) -> None:
        """Leave the source, and let go of what waits."""
        self._source.dispose()
        with self._lock:
            self._ended = True
            self._line.clear()

    def _on_next(self, value: T) -> None:
        failure: Exception | None = None
        dropped = 0
        with self._lock:
            if self._ended:
                return
            self._report = self._report or reporter()
            try:
                dropped = self._line.put(value)
            except Exception as error:
                failure = error
        if failure is not None:
            self._line_failed = True
            self._source.dispose()
            self._end(failure)
            return
        if dropped and self._drops is not None:
            self._drops.add(dropped)
        self._wake()

    def _end(self, error: Exception | None = None) -> None:
        with self._lock:
            if self._ended:
                return
            self._ended, self._error = True, error
            self._report = self._report or reporter()
        self._wake()
