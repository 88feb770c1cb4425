"""Observables whose values go to whoever subscribes with nothing in between.

RxPY puts an observer of its own between a source and its subscriber, which asks before each value
whether it is over, and a scheduler around the subscription. What a connection is made of needs
neither: it knows itself when it is over, and each is subscribed to once.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, TypeVar

from reactivex import Observable, abc

__all__ = ["Direct", "Outlet"]

T = TypeVar("T")


class Outlet(Generic[T]):
    """An observer whose functions are called as they are; when it is over, they are exchanged.

    Args:
        on_next: A function, or an observer that has all three.
        on_error: Takes the failure; without it, the failure is raised.
        on_completed: Takes the end.
    """

    __slots__ = ("on_completed", "on_error", "on_next")

    def __init__(
        self,
        on_next: abc.ObserverBase[T] | abc.OnNext[T] | None = None,
        on_error: abc.OnError | None = None,
        on_completed: abc.OnCompleted | None = None,
    ) -> None:
        function: Any = on_next
        if hasattr(on_next, "on_next"):
            function, on_error, on_completed = (
                getattr(on_next, name) for name in ("on_next", "on_error", "on_completed")
            )
        self.on_next: abc.OnNext[T] = function or _ignore
        self.on_error: abc.OnError = on_error or _raise
        self.on_completed: abc.OnCompleted = on_completed or _ignore

    def leave(self) -> None:
        """Deliver nothing more."""
        self.on_next = self.on_error = self.on_completed = _ignore


class Direct(Observable[T]):
    """A cold Observable of one's own making, on the loop that is running.

    Args:
        begin: Called with each subscriber's outlet; returns what ends the subscription. It sees to
            it that nothing comes after that, or after the end.
    """

    def __init__(self, begin: Callable[[Outlet[T]], abc.DisposableBase]) -> None:
        super().__init__()
        self._begin = begin

    def subscribe(
        self,
        on_next: abc.ObserverBase[T] | abc.OnNext[T] | None = None,
        on_error: abc.OnError | None = None,
        on_completed: abc.OnCompleted | None = None,
        *,
        scheduler: abc.SchedulerBase | None = None,
    ) -> abc.DisposableBase:
        """Begin; see ``reactivex.Observable.subscribe``."""
        return self._begin(Outlet(on_next, on_error, on_completed))


def _ignore(_: object = None) -> None:
    """Nobody wants it."""


def _raise(error: Exception) -> None:
    raise error
