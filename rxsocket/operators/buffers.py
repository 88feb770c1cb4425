"""Buffers: what is kept of the values that a consumer was not ready for (C27)."""

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

T = TypeVar("T")

OverflowPolicy: TypeAlias = Literal["drop_oldest", "drop_newest", "error"]


class ValueBuffer(Protocol[T]):
    """Values in the order in which they are to be taken. Its caller holds a lock."""

    def __len__(self) -> int: ...

    def put(self, value: T) -> int:
        """Let a value wait; return how many were dropped for it, itself included.

        Raises:
            BufferOverflow: If there is no place for it and none may be dropped.
            Exception: What a function of the user's raised.
        """
        ...

    def pop(self) -> T:
        """Take the value that is next, of a buffer that is not empty."""
        ...

    def clear(self) -> None: ...


class LatestBuffer(Generic[T]):
    """The newest value alone."""

    def __init__(self) -> None:
        self._values: list[T] = []

    def __len__(self) -> int:
        return len(self._values)

    def put(self, value: T) -> int:
        dropped = len(self._values)
        self._values[:] = [value]
        return dropped

    def pop(self) -> T:
        return self._values.pop()

    def clear(self) -> None:
        self._values.clear()


class ConflatingBuffer(Generic[T]):
    """The newest value of each key, in the place of the first that waited: no key starves."""

    def __init__(self, key: Callable[[T], Hashable]) -> None:
        self._key = key
        self._values: dict[Hashable, T] = {}

    def __len__(self) -> int:
        return len(self._values)

    def put(self, value: T) -> int:
        before = len(self._values)
        self._values[self._key(value)] = value
        return 1 - (len(self._values) - before)

    def pop(self) -> T:
        return self._values.pop(next(iter(self._values)))

    def clear(self) -> None:
        self._values.clear()


class BoundedBuffer(Generic[T]):
    """All values up to a number of them, then what the policy says."""

    def __init__(self, count: int, overflow: OverflowPolicy) -> None:
        self._count = count
        self._overflow = overflow
        self._values: deque[T] = deque()

    def __len__(self) -> int:
        return len(self._values)

    def put(self, value: T) -> int:
        if len(self._values) < self._count:
            self._values.append(value)
            return 0
        if self._overflow == "error":
            raise BufferOverflow(self._count)
        if self._overflow == "drop_oldest":
            self._values.popleft()
            self._values.append(value)
        return 1

    def pop(self) -> T:
        return self._values.popleft()

    def clear(self) -> None:
        self._values.clear()


NOTHING: Final[Any] = object()
"""What there is to take when nothing waits."""


class BufferedInput(Generic[T]):
    """Subscribes to a source, and buffers its values until they are taken. Thread safe.

    ::

        source  --1-2-3-----4-|
        wake    --w-w-w-----w-w
        take    ------1-2-3---4 finished

    Args:
        buffer: Where the values wait.
        drops: Counts those that are dropped.
        wake: Called on the source's thread, outside any lock, when there is something to take, or
            the source has ended. Its end comes after what waited before it.
    """

    def __init__(
        self, buffer: ValueBuffer[T], drops: Drops | None, wake: Callable[[], None]
    ) -> None:
        self._buffer = buffer
        self._drops = drops
        self._wake = wake
        self._lock = threading.RLock()
        self._source = SingleAssignmentDisposable()
        self._has_ended = False
        self._error: Exception | None = None
        self._buffer_failed = False
        self._report: Reporter | None = None

    @property
    def is_finished(self) -> bool:
        """Whether nothing waits and nothing more comes."""
        with self._lock:
            return self._has_ended and not len(self._buffer)

    @property
    def is_ready(self) -> bool:
        """Whether there is a value to take, or the end to pass on."""
        with self._lock:
            return self._has_ended or len(self._buffer) > 0

    def subscribe_to(self, source: Observable[T], scheduler: abc.SchedulerBase | None) -> None:
        self._source.disposable = source.subscribe(
            self._on_next, self._end, self._end, scheduler=scheduler
        )

    def take(self) -> T:
        """The value that is next, or ``NOTHING``."""
        with self._lock:
            return self._buffer.pop() if len(self._buffer) else NOTHING

    def end_observer(self, observer: abc.ObserverBase[Any]) -> None:
        """Complete an observer, or fail it, as the source ended; call it when ``is_finished``."""
        try:
            if self._error is None:
                observer.on_completed()
            else:
                observer.on_error(self._error)
        except BaseException as error:
            if not self.report(error):
                raise

    def report(self, error: BaseException) -> bool:
        """Report what an observer raised to the socket that the values come from (C23).

        The end of the source, raised by RxPY because there is no ``on_error``, is no failure.

        Returns:
            Whether there is such a socket.
        """
        if self._report is None:
            return False
        if error is not self._error or self._buffer_failed:
            self._report(error)
        return True

    def dispose(self) -> None:
        self._source.dispose()
        with self._lock:
            self._has_ended = True
            self._buffer.clear()

    def _on_next(self, value: T) -> None:
        failure: Exception | None = None
        dropped = 0
        with self._lock:
            if self._has_ended:
                return
            self._report = self._report or reporter()
            try:
                dropped = self._buffer.put(value)
            except Exception as error:
                failure = error
        if failure is not None:
            self._buffer_failed = True
            self._source.dispose()
            self._end(failure)
            return
        if dropped and self._drops is not None:
            self._drops.add(dropped)
        self._wake()

    def _end(self, error: Exception | None = None) -> None:
        with self._lock:
            if self._has_ended:
                return
            self._has_ended, self._error = True, error
            self._report = self._report or reporter()
        self._wake()
