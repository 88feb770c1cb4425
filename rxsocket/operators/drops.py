"""Counting what is dropped."""

from __future__ import annotations

import logging
from collections.abc import Callable

from reactivex import Observable, abc
from reactivex.disposable import SingleAssignmentDisposable
from reactivex.subject import BehaviorSubject

from rxsocket.runtime.threads import exit_soon

logger = logging.getLogger("rxsocket")


class Drops(Observable[int]):
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
        """How many values were dropped so far; readable anywhere, from any thread."""
        return self._counts.value

    def add(self, dropped: int) -> None:
        """Count more of them; operators call it."""
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
    """The observer's ``on_next``; raising at a count must not stop what is counted."""

    def on_next(count: int) -> None:
        try:
            observer.on_next(count)
        except BaseException as error:
            subscription.dispose()
            logger.exception("an observer of dropped values raised and was detached")
            if not exit_soon(error):
                raise

    return on_next
