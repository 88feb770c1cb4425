"""Waiting lines: what is kept of the values that a consumer was not ready for."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Hashable
from typing import Generic, Literal, Protocol, TypeAlias, TypeVar

from rxsocket.errors import BufferOverflow

__all__ = ["Bounded", "Conflated", "Latest", "Line", "OverflowPolicy"]

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
