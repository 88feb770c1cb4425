"""The way in of an operator that takes values when it is ready, not when they come.

Waiting lines: what is kept of the values that a consumer was not ready for.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Hashable
from typing import Any, Final, Generic, Literal, Protocol, TypeAlias, TypeVar

from reactivex import Observable, abc
from reactivex.disposable import SingleAssignmentDisposable

from rxsocket.errors import BufferOverflow
from rxsocket.operators.drops import Drops
from rxsocket.runtime.reporting import Reporter, reporter

__all__ = ["NOTHING", "Bounded", "Conflated", "Intake", "Latest", "Line", "OverflowPolicy"]

T = TypeVar("T")

OverflowPolicy: TypeAlias = Literal["drop_oldest", "drop_newest", "error"]


class Line(Protocol[T]):
    """Values in the order in which they are to be taken. Whoever calls it holds a lock."""

    def __len__(self) -> int: ...

    def put(self, value: T) -> int:
        """Let a value wait; return how many were dropped for it, itself included.

        Raises:
            BufferOverflow: If there is no place for it and none may be dropped.
            Exception: What a function of the user's raised.
        """
        ...

    def take(self) -> T:
        """The value that is next, of a line that is not empty."""
        ...

    def clear(self) -> None:
        """Let everything go."""
        ...


class Latest(Generic[T]):
    """The newest value alone."""

    def __init__(self) -> None:
        self._values: list[T] = []

    def __len__(self) -> int:
        return len(self._values)

    def put(self, value: T) -> int:
        """Let a value wait instead of the one that did."""
        dropped = len(self._values)
        self._values[:] = [value]
        return dropped

    def take(self) -> T:
        """The value that is next."""
        return self._values.pop()

    def clear(self) -> None:
        """Let everything go."""
        self._values.clear()


class Conflated(Generic[T]):
    """The newest value of each key, in the place of the first that waited: no key starves."""

    def __init__(self, key: Callable[[T], Hashable]) -> None:
        self._key = key
        self._values: dict[Hashable, T] = {}

    def __len__(self) -> int:
        return len(self._values)

    def put(self, value: T) -> int:
        """Let a value wait instead of the one of its key."""
        before = len(self._values)
        self._values[self._key(value)] = value
        return 1 - (len(self._values) - before)

    def take(self) -> T:
        """The value that is next."""
        return self._values.pop(next(iter(self._values)))

    def clear(self) -> None:
        """Let everything go."""
        self._values.clear()


class Bounded(Generic[T]):
    """All values up to a number of them, then what the policy says."""

    def __init__(self, count: int, overflow: OverflowPolicy) -> None:
        self._count = count
        self._overflow = overflow
        self._values: deque[T] = deque()

    def __len__(self) -> int:
        return len(self._values)

    def put(self, value: T) -> int:
        """Let a value wait if there is place, or do what the policy says."""
        if len(self._values) < self._count:
            self._values.append(value)
            return 0
        if self._overflow == "error":
            raise BufferOverflow(self._count)
        if self._overflow == "drop_oldest":
            self._values.popleft()
            self._values.append(value)
        return 1

    def take(self) -> T:
        """The value that is next."""
        return self._values.popleft()

    def clear(self) -> None:
        """Let everything go."""
        self._values.clear()


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
