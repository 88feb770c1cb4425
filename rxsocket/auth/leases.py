"""Leases: runs of credentials that one session may keep across a change (C13)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from reactivex import Observable, abc
from reactivex.subject import Subject

__all__ = ["Lease", "leases"]

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Lease(Generic[T]):
    """A run of credentials.

    Attributes:
        first: The credential to begin with.
        renewals: Those that followed it within the same lease.
    """

    first: T
    renewals: Observable[T] = field(repr=False)


def leases(keeps: Callable[[T, T], bool]) -> Callable[[Observable[T]], Observable[Lease[T]]]:
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

    def operator(source: Observable[T]) -> Observable[Lease[T]]:
        def subscribe(
            observer: abc.ObserverBase[Lease[T]], scheduler: abc.SchedulerBase | None = None
        ) -> abc.DisposableBase:
            current: list[T] = []
            renewals: Subject[T] = Subject()

            def on_next(credential: T) -> None:
                nonlocal renewals
                if current and keeps(current[-1], credential):
                    current[:] = [credential]
                    renewals.on_next(credential)
                    return
                current[:] = [credential]
                renewals.on_completed()
                renewals = Subject()
                observer.on_next(Lease(credential, renewals))

            return source.subscribe(
                on_next, observer.on_error, observer.on_completed, scheduler=scheduler
            )

        return Observable(subscribe)

    return operator
