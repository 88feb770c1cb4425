"""The two pieces of Rx that are our own, because RxPY's would be most of an idle socket.

They are RxPY's ``Observable`` and ``switch_map`` for what lives on one loop, is subscribed to once,
and knows by itself when it has ended. RxPY puts an observer with a lock and a disposable of its own
between each source and its observer, and a scheduler around each subscription. With RxPY's in the
seven places of a socket where these are, an idle socket was 221 objects more than a bare connection
instead of fewer than 110, and opening one took 1.25 to 1.4 times the processor time (least of six
interleaved rounds); with RxPY's ``switch_map`` alone it was 185 objects.
``tests/unit/test_switch.py`` shows that they do what RxPY's do.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, TypeVar

from reactivex import Observable, abc
from reactivex.subject import BehaviorSubject

A = TypeVar("A")
B = TypeVar("B")
T = TypeVar("T")


class DirectObservable(Observable[T]):
    """An Observable that calls an observer object with nothing in between.

    To callbacks it is an ordinary Observable. Its source sees to it that nothing comes after the
    end, or after the subscription was disposed.
    """

    def subscribe(
        self,
        on_next: abc.ObserverBase[T] | abc.OnNext[T] | None = None,
        on_error: abc.OnError | None = None,
        on_completed: abc.OnCompleted | None = None,
        *,
        scheduler: abc.SchedulerBase | None = None,
    ) -> abc.DisposableBase:
        if isinstance(on_next, abc.ObserverBase):
            observer: abc.ObserverBase[T] = on_next  # pyright: ignore[reportUnknownVariableType]
            return self._subscribe_core(observer, scheduler)
        return super().subscribe(on_next, on_error, on_completed, scheduler=scheduler)


class DirectBehaviorSubject(DirectObservable[T], BehaviorSubject[T]):
    """A ``BehaviorSubject`` that calls an observer object with nothing in between."""


def switch_map(
    project: Callable[[A], Observable[B]],
) -> Callable[[Observable[A]], Observable[B]]:
    """Map every value to an Observable, and emit what the newest one does.

    ::

        source   --a--------b------|
                 [ switch_map(project) ]
        a          -1--2--3--4--                 disposed when b comes
        b                     -5--6--|
        result   ----1--2--3----5--6-|

    Args:
        project: Makes the Observable of a value.

    Returns:
        An operator. It completes when the source and the newest Observable have, and fails with
        whatever fails first. What an Observable emits while it is being disposed is dropped.
    """

    def operator(source: Observable[A]) -> Observable[B]:
        def subscribe(
            observer: abc.ObserverBase[B], scheduler: abc.SchedulerBase | None = None
        ) -> abc.DisposableBase:
            return _Switch(source, project, observer)

        return DirectObservable(subscribe)

    return operator


class _Switch(abc.ObserverBase[A], abc.DisposableBase, Generic[A, B]):
    """The observer of the source."""

    def __init__(
        self,
        source: Observable[A],
        project: Callable[[A], Observable[B]],
        observer: abc.ObserverBase[B],
    ) -> None:
        self.observer = observer
        self.newest: _Inner[B] | None = None
        self._project = project
        self._is_stopped = False
        self._source_completed = False
        self._subscription: abc.DisposableBase | None = None
        self._subscription = source.subscribe(self)
        if self._is_stopped:
            self.dispose()

    def dispose(self) -> None:
        self._is_stopped = True
        if self._subscription is not None:
            self._subscription.dispose()
        newest, self.newest = self.newest, None
        if newest is not None:
            newest.dispose()

    def on_next(self, value: A) -> None:
        if self._is_stopped:
            return
        inner: _Inner[B] = _Inner(self)
        before, self.newest = self.newest, inner
        if before is not None:
            before.dispose()
        try:
            inner.follow(self._project(value))
        except Exception as error:
            inner.on_error(error)

    def on_error(self, error: Exception) -> None:
        if not self._is_stopped:
            self.dispose()
            self.observer.on_error(error)

    def on_completed(self) -> None:
        self._source_completed = True
        self.complete_after_both()

    def complete_after_both(self) -> None:
        if self._source_completed and self.newest is None and not self._is_stopped:
            self._is_stopped = True
            self.observer.on_completed()


class _Inner(abc.ObserverBase[B], abc.DisposableBase):
    """The observer of one of the Observables, which counts while that is the newest."""

    def __init__(self, switch: _Switch[Any, B]) -> None:
        self._switch = switch
        self._subscription: abc.DisposableBase | None = None

    def follow(self, observable: Observable[B]) -> None:
        self._subscription = observable.subscribe(self)
        if self._switch.newest is not self:
            self.dispose()

    def dispose(self) -> None:
        if self._subscription is not None:
            self._subscription.dispose()

    def on_next(self, value: B) -> None:
        if self._switch.newest is self:
            self._switch.observer.on_next(value)

    def on_error(self, error: Exception) -> None:
        if self._switch.newest is self:
            self._switch.on_error(error)

    def on_completed(self) -> None:
        if self._switch.newest is self:
            self._switch.newest = None
            self._switch.complete_after_both()
