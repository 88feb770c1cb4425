"""Groups of credentials: those that one session may keep across a change (C13)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

from reactivex import Observable, abc

from rxsocket.runtime.direct import DirectObservable

T = TypeVar("T")


class CredentialGroup(Generic[T]):
    """A credential and its renewals.

    Attributes:
        first: The credential to begin with.
        superseded_by: The first credential of the next group, once there is one. A session that is
            disposed finds here why.
    """

    __slots__ = ("_follower", "first", "superseded_by")

    def __init__(self, first: T) -> None:
        self.first = first
        self.superseded_by: T | None = None
        self._follower: abc.ObserverBase[T] | None = None

    def follow(self, renewals: abc.ObserverBase[T]) -> None:
        """Give an observer those that follow the first one within the group, from now on.

        There is one follower, the session: so no subject is needed, which most sockets would never
        use.
        """
        self._follower = renewals

    def renew(self, credential: T) -> None:
        if self._follower is not None:
            self._follower.on_next(credential)

    def complete(self, superseded_by: T) -> None:
        self.superseded_by = superseded_by
        if self._follower is not None:
            self._follower.on_completed()


def group_renewals(
    renews: Callable[[T, T], bool],
) -> Callable[[Observable[T]], Observable[CredentialGroup[T]]]:
    """Group a stream of credentials: a renewal belongs to the group of the one before it.

    ::

        auth      --a-----b--c-----D--
                [ group_renewals(same letter case) ]
                  --a..............D..
        renewals    ------b--c|
                                   ---

    Args:
        renews: Given the current credential and the next, whether the next one is a renewal.

    Returns:
        An operator. The follower of a group completes when the next group begins.
    """

    def operator(source: Observable[T]) -> Observable[CredentialGroup[T]]:
        def subscribe(
            observer: abc.ObserverBase[CredentialGroup[T]],
            scheduler: abc.SchedulerBase | None = None,
        ) -> abc.DisposableBase:
            return source.subscribe(_GroupObserver(renews, observer), scheduler=scheduler)

        return DirectObservable(subscribe)

    return operator


class _GroupObserver(abc.ObserverBase[T]):
    def __init__(
        self, renews: Callable[[T, T], bool], observer: abc.ObserverBase[CredentialGroup[T]]
    ) -> None:
        self._renews = renews
        self._observer = observer
        self._group: CredentialGroup[T] | None = None
        self._newest: T

    def on_next(self, value: T) -> None:
        group = self._group
        if group is not None and self._renews(self._newest, value):
            self._newest = value
            group.renew(value)
            return
        self._newest = value
        self._group = CredentialGroup(value)
        if group is not None:
            group.complete(value)
        self._observer.on_next(self._group)

    def on_error(self, error: Exception) -> None:
        self._observer.on_error(error)

    def on_completed(self) -> None:
        self._observer.on_completed()
