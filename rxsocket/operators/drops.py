"""Counting what is dropped."""

from __future__ import annotations

import logging
import threading

from reactivex import Observable, abc
from reactivex.disposable import Disposable

__all__ = ["Drops"]

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
        super().__init__(self._attach)
        self._guard = threading.RLock()
        self._observers: tuple[abc.ObserverBase[int], ...] = ()
        self._count = 0

    def __repr__(self) -> str:
        return f"<Drops: {self._count}>"

    @property
    def value(self) -> int:
        """How many values were dropped so far; readable anywhere, from any thread."""
        return self._count

    def add(self, dropped: int) -> None:
        """Count more of them; operators call it."""
        if not dropped:
            return
        with self._guard:
            self._count += dropped
            for observer in self._observers:
                try:
                    observer.on_next(self._count)
                except Exception:  # who counts harms nobody who is counted
                    self._remove(observer)
                    logger.exception("an observer of dropped values raised and was detached")

    def _attach(
        self, observer: abc.ObserverBase[int], scheduler: abc.SchedulerBase | None = None
    ) -> abc.DisposableBase:
        with self._guard:
            observer.on_next(self._count)
            self._observers = (*self._observers, observer)
        return Disposable(lambda: self._remove(observer))

    def _remove(self, observer: abc.ObserverBase[int]) -> None:
        with self._guard:
            self._observers = tuple(other for other in self._observers if other is not observer)
