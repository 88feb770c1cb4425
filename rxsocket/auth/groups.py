"""Leases: runs of credentials that one session may keep across a change (C13)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

from reactivex import Observable, abc
from reactivex.subject import Subject

from rxsocket.runtime.outlet import Direct, Outlet, subscribed

__all__ = ["CredentialGroup", "group_renewals"]

T = TypeVar("T")


class CredentialGroup(Generic[T]):
    """A run of credentials.

    Attributes:
        first: The credential to begin with.
    """

    __slots__ = ("_renewals", "first")

    def __init__(self, first: T) -> None:
        self.first = first
        self._renewals: Subject[T] | None = None

    @property
    def renewals(self) -> Observable[T]:
        """Those that follow it within the same lease, from now on."""
        if self._renewals is None:
            self._renewals = Subject()
        return self._renewals

    def renew(self, credential: T) -> None:
        """Another one follows."""
        if self._renewals is not None:
            self._renewals.on_next(credential)

    def end(self) -> None:
        """The next lease begins."""
        if self._renewals is not None:
            self._renewals.on_completed()


def group_renewals(
    keeps: Callable[[T, T], bool],
) -> Callable[[Observable[T]], Observable[CredentialGroup[T]]]:
    """Group a stream of credentials into leases.

    ::

        auth      --a-----b--c-----D--
                [ leases(same letter case) ]
                  --a..............D..
        renewals    ------b--c|
                                   ---

    Args:
        keeps: Given the current credential and the next, whether the same lease goes on.

    Returns:
        An operator. Each lease's ``renewals`` complete when the next lease begins.
    """

    def operator(source: Observable[T]) -> Observable[CredentialGroup[T]]:
        def begin(outlet: Outlet[CredentialGroup[T]]) -> abc.DisposableBase:
            return subscribed(source, _GroupObserver(keeps, outlet))

        return Direct(begin)

    return operator


class _GroupObserver(Generic[T]):
    """The outlet of the credentials."""

    __slots__ = ("_current", "_keeps", "_newest", "_outlet")

    def __init__(self, keeps: Callable[[T, T], bool], outlet: Outlet[CredentialGroup[T]]) -> None:
        self._keeps = keeps
        self._outlet = outlet
        self._current: CredentialGroup[T] | None = None
        self._newest: T

    def on_next(self, credential: T) -> None:
        group = self._current
        if group is not None and self._keeps(self._newest, credential):
            self._newest = credential
            group.renew(credential)
            return
        self._newest = credential
        self._current = CredentialGroup(credential)
        if group is not None:
            group.end()
        self._outlet.on_next(self._current)

    def on_error(self, error: Exception) -> None:
        self._outlet.on_error(error)

    def on_completed(self) -> None:
        self._outlet.on_completed()

    def leave(self) -> None:
        self._outlet.leave()
