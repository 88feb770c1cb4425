"""The switch: every value is mapped to an Observable, and only the newest of them is heard.

It is RxPY's ``switch_map``, for what lives on one loop and for as long as a socket runs: it takes
no lock, and it is two small objects where RxPY's is dozens, which the collector would visit.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, TypeVar

from reactivex import Observable, abc

from rxsocket.runtime.outlet import Direct, Outlet, subscribed

__all__ = ["switch_map"]

A = TypeVar("A")
B = TypeVar("B")


def switch_map(
    project: Callable[[A], Observable[B]],
) -> Callable[[Observable[A]], Observable[B]]:
    """Map every value to an Observable and hear the newest one; the one before is disposed first.

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
        whatever fails first. What an Observable says while it is being disposed is not heard.
    """

    def operator(source: Observable[A]) -> Observable[B]:
        return Direct(lambda outlet: _Switch(source, project, outlet))

    return operator


class _Switch(abc.DisposableBase, Generic[A, B]):
    """The outlet of the source, and what there is to let go of."""

    __slots__ = ("_project", "_source", "_source_ended", "newest", "outlet", "over")

    def __init__(
        self, source: Observable[A], project: Callable[[A], Observable[B]], outlet: Outlet[B]
    ) -> None:
        self.outlet = outlet
        self.newest: _Inner[B] | None = None
        self.over = False
        self._project = project
        self._source_ended = False
        self._source: abc.DisposableBase | None = None
        self._source = subscribed(source, self)
        if self.over:
            self.dispose()

    def dispose(self) -> None:
        self.over = True
        if self._source is not None:
            self._source.dispose()
        newest, self.newest = self.newest, None
        if newest is not None:
            newest.dispose()

    def on_error(self, error: Exception) -> None:
        if not self.over:
            self.dispose()
            self.outlet.on_error(error)

    def complete_after_both(self) -> None:
        if self._source_ended and self.newest is None and not self.over:
            self.over = True
            self.outlet.on_completed()

    def on_next(self, value: A) -> None:
        if self.over:
            return
        inner: _Inner[B] = _Inner(self)
        before, self.newest = self.newest, inner
        if before is not None:
            before.dispose()
        try:
            inner.follow(self._project(value))
        except Exception as error:
            inner.on_error(error)

    def on_completed(self) -> None:
        self._source_ended = True
        self.complete_after_both()

    def leave(self) -> None:
        self.over = True


class _Inner(abc.DisposableBase, Generic[B]):
    """The outlet of one of the Observables, heard while it is the newest one's."""

    __slots__ = ("_subscription", "_switch")

    def __init__(self, switch: _Switch[Any, B]) -> None:
        self._switch = switch
        self._subscription: abc.DisposableBase | None = None

    def follow(self, observable: Observable[B]) -> None:
        self._subscription = subscribed(observable, self)
        if self._switch.newest is not self:
            self.dispose()

    def dispose(self) -> None:
        if self._subscription is not None:
            self._subscription.dispose()

    def on_next(self, value: B) -> None:
        if self._switch.newest is self:
            self._switch.outlet.on_next(value)

    def on_error(self, error: Exception) -> None:
        if self._switch.newest is self:
            self._switch.on_error(error)

    def on_completed(self) -> None:
        if self._switch.newest is self:
            self._switch.newest = None
            self._switch.complete_after_both()

    def leave(self) -> None:
        """Being disposed, it is not the newest one's any more."""
