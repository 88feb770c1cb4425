"""Observables whose values go to whoever subscribes with nothing in between.

RxPY puts an observer of its own between a source and its subscriber, which asks before each value
whether it is over, and a scheduler around the subscription. What a connection is made of needs
neither: it knows itself when it is over, and each is subscribed to once.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, Protocol, TypeGuard, TypeVar

from reactivex import Observable, abc
from reactivex.subject import BehaviorSubject

__all__ = ["Direct", "DirectBehaviorSubject", "Outlet", "subscribed"]

T = TypeVar("T")
T_contra = TypeVar("T_contra", contravariant=True)


class Outlet(Protocol[T_contra]):
    """An observer that can be told to hear nothing more."""

    def on_next(self, value: T_contra, /) -> None:
        """There is a value."""
        ...

    def on_error(self, error: Exception, /) -> None:
        """There will be no other one, because of this."""
        ...

    def on_completed(self) -> None:
        """There will be no other one."""
        ...

    def leave(self) -> None:
        """Hear nothing more."""
        ...


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
        on_next: Outlet[T] | abc.ObserverBase[T] | abc.OnNext[T] | None = None,
        on_error: abc.OnError | None = None,
        on_completed: abc.OnCompleted | None = None,
        *,
        scheduler: abc.SchedulerBase | None = None,
    ) -> abc.DisposableBase:
        """Begin; see ``reactivex.Observable.subscribe``."""
        if _is_outlet(on_next):
            return self._begin(on_next)
        function: Any = on_next
        if hasattr(on_next, "on_next"):
            function, on_error, on_completed = (
                getattr(on_next, name) for name in ("on_next", "on_error", "on_completed")
            )
        functions: Any = _Functions(function, on_error, on_completed)
        return self._begin(functions)


class DirectBehaviorSubject(BehaviorSubject[T]):
    """A ``BehaviorSubject`` that an outlet subscribes to with nothing in between."""

    def subscribe(
        self,
        on_next: Outlet[T] | abc.ObserverBase[T] | abc.OnNext[T] | None = None,
        on_error: abc.OnError | None = None,
        on_completed: abc.OnCompleted | None = None,
        *,
        scheduler: abc.SchedulerBase | None = None,
    ) -> abc.DisposableBase:
        """Subscribe; see ``reactivex.Observable.subscribe``."""
        if _is_outlet(on_next):
            outlet: Any = on_next
            return self._subscribe_core(outlet, scheduler)
        function: Any = on_next
        return super().subscribe(function, on_error, on_completed, scheduler=scheduler)


class _Functions(Generic[T]):
    """An outlet of functions that are called as they are; when it is over, they are exchanged."""

    __slots__ = ("on_completed", "on_error", "on_next")

    def __init__(
        self,
        on_next: abc.OnNext[T] | None,
        on_error: abc.OnError | None,
        on_completed: abc.OnCompleted | None,
    ) -> None:
        self.on_next: Callable[[T], None] = on_next or _ignore
        self.on_error: Callable[[Exception], None] = on_error or _raise
        self.on_completed: Callable[[], None] = on_completed or _ignore

    def leave(self) -> None:
        self.on_next = self.on_error = self.on_completed = _ignore


def subscribed(observable: Observable[T], outlet: Outlet[T]) -> abc.DisposableBase:
    """Subscribe an outlet to whatever Observable; return what ends the subscription."""
    observer: Any = outlet  # RxPY takes whatever has the three methods for an observer
    return observable.subscribe(observer)


def _is_outlet(observer: Any) -> TypeGuard[Outlet[Any]]:
    return hasattr(observer, "leave") and hasattr(observer, "on_next")


def _ignore(_: object = None) -> None:
    """Nobody wants it."""


def _raise(error: Exception) -> None:
    raise error
