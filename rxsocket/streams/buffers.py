"""What an operator keeps of the values that its consumer is not ready for (C27)."""

from __future__ import annotations

import logging
import threading
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Hashable
from typing import Any, Final, Generic, Literal, TypeAlias, TypeVar

from reactivex import Observable, abc
from reactivex.disposable import SingleAssignmentDisposable
from reactivex.subject import BehaviorSubject

from rxsocket.errors import BufferOverflow
from rxsocket.runtime.reporting import Reporter, reporter
from rxsocket.runtime.threads import exit_soon
from rxsocket.streams.listing import ListsItsOwn
from rxsocket.validation import instance

logger = logging.getLogger("rxsocket")

T = TypeVar("T")

OverflowPolicy: TypeAlias = Literal["drop_oldest", "drop_newest", "error"]


class ValueBuffer(ABC, Generic[T]):
    """Values in the order in which they are to be taken. Its caller holds a lock."""

    _values: Any  # a deque, or a dict

    def __len__(self) -> int:
        return len(self._values)

    @abstractmethod
    def put(self, value: T) -> int:
        """Add a value; return the number of values dropped for it, itself included.

        Raises:
            BufferOverflow: If it is full and drops none.
            Exception: If a function of the user raised it.
        """

    @abstractmethod
    def pop(self) -> T:
        """Take the next value; the buffer must not be empty."""

    def clear(self) -> None:
        self._values.clear()


class BoundedBuffer(ValueBuffer[T]):
    """All values up to a number of them; one more is treated by the policy."""

    def __init__(self, count: int, overflow: OverflowPolicy) -> None:
        self._count = count
        self._overflow = overflow
        self._values: deque[T] = deque()

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


POLICIES = ("drop_oldest", "drop_newest", "error")


def check_overflow(overflow: OverflowPolicy, drops: Drops | None) -> None:
    """Check a policy, and what counts what it drops.

    Raises:
        TypeError: If that is no ``Drops()``.
        ValueError: If there is no such policy.
    """
    if overflow not in POLICIES:
        raise ValueError(f"overflow: pass one of {', '.join(POLICIES)}, not {overflow!r}")
    check_drops(drops)


def check_drops(drops: Drops | None) -> None:
    if drops is not None:
        instance("drops", drops, Drops, "a Drops()")


class ConflatingBuffer(ValueBuffer[T]):
    """The newest value of each key, in the place of the first that waited: no key starves."""

    def __init__(self, key: Callable[[T], Hashable]) -> None:
        self._key = key
        self._values: dict[Hashable, T] = {}

    def put(self, value: T) -> int:
        before = len(self._values)
        self._values[self._key(value)] = value
        return 1 - (len(self._values) - before)

    def pop(self) -> T:
        return self._values.pop(next(iter(self._values)))


class Drops(Observable[int], metaclass=ListsItsOwn):
    """A count of dropped values: readable as ``value``, and an Observable of it.

    Give it to one operator, or to several to have their sum. An observer gets the current count
    first, then each new one, on the thread that drops; thin it out with ``ops.sample``. It may be
    read and subscribed to from any thread.

    ::

        dropped    ----x-xx--------x---
        subscribe  0---1-23--------4---

    Examples:
        >>> drops = Drops()
        >>> socket.messages.pipe(latest(drops=drops)).subscribe(draw)
        >>> drops.pipe(ops.sample(1.0)).subscribe(lambda count: print(count, "dropped"))
        >>> drops.value
        0
    """

    def __init__(self) -> None:
        super().__init__()
        self._counts = BehaviorSubject(0)

    def __repr__(self) -> str:
        return f"<Drops: {self.value}>"

    @property
    def value(self) -> int:
        """The number of dropped values so far; thread safe."""
        return self._counts.value

    def add(self, dropped: int) -> None:
        """Count dropped values; operators call it."""
        if dropped:
            with self.lock:  # of RxPY's; held, so that observers get the counts in order
                self._counts.on_next(self._counts.value + dropped)

    def _subscribe_core(
        self, observer: abc.ObserverBase[int], scheduler: abc.SchedulerBase | None = None
    ) -> abc.DisposableBase:
        subscription = SingleAssignmentDisposable()
        with self.lock:
            subscription.disposable = self._counts.subscribe(_guarded(observer, subscription))
        return subscription


def _guarded(
    observer: abc.ObserverBase[int], subscription: abc.DisposableBase
) -> Callable[[int], None]:
    """The observer's ``on_next``; if it raises, the operator goes on."""

    def on_next(count: int) -> None:
        try:
            observer.on_next(count)
        except BaseException as error:
            subscription.dispose()
            logger.exception("an observer of dropped values raised and was detached")
            if not exit_soon(error):
                raise

    return on_next


NOTHING: Final[Any] = object()
"""Taken when no value waits."""


class BufferedInput(Generic[T]):
    """Buffers the values of a source until they are taken. Thread safe.

    ::

        source  --1-2-3-----4-|
        wake    --w-w-w-----w-w
        take    ------1-2-3---4 finished

    Args:
        buffer: Holds the values.
        drops: Counts those that are dropped.
        wake: Called on the source's thread, outside any lock, after each value and after the end of
            the source, which takes effect when the buffer is empty.
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
    def error(self) -> Exception | None:
        """What the source failed with."""
        return self._error

    @property
    def is_finished(self) -> bool:
        """True if the source has ended and the buffer is empty."""
        with self._lock:
            return self._has_ended and not len(self._buffer)

    @property
    def is_ready(self) -> bool:
        """True if there is a value to take, or the end to pass on."""
        with self._lock:
            return self._has_ended or len(self._buffer) > 0

    @property
    def count(self) -> int:
        """How many values wait."""
        return len(self._buffer)

    def subscribe_to(self, source: Observable[T], scheduler: abc.SchedulerBase | None) -> None:
        self._source.disposable = source.subscribe(
            self._on_next, self._end, self._end, scheduler=scheduler
        )

    def take(self) -> T:
        """The next value, or ``NOTHING``."""
        with self._lock:
            return self._buffer.pop() if len(self._buffer) else NOTHING

    def end_observer(self, observer: abc.ObserverBase[Any]) -> None:
        """Complete or fail an observer as the source ended; call it when ``is_finished``."""
        try:
            if self._error is None:
                observer.on_completed()
            else:
                observer.on_error(self._error)
        except BaseException as error:
            if not self.report(error):
                raise

    def report(self, error: BaseException) -> bool:
        """Report an exception of an observer to the socket that the values come from (C23).

        The error of the source, which RxPY raises if there is no ``on_error``, is not reported.

        Returns:
            ``False`` if the values do not come from a socket.
        """
        if self._report is None:
            return False
        if error is not self._error or self._buffer_failed:
            self._report(error)
        return True

    def unsubscribe(self) -> None:
        """Leave the source; what waits can be taken still."""
        self._source.dispose()

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
