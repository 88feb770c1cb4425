"""Observables that refuse observers which would never be awaited."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

from reactivex import Observable, abc

from rxsocket.callables import is_async
from rxsocket.cells import adopt
from rxsocket.lazy import lazy

__all__ = ["Guarded"]

T = TypeVar("T")
PIPED = ".pipe(...)"


class Guarded(Observable[T]):
    """An Observable that refuses observers which would never be awaited (C23).

    So does what its ``pipe`` gives, and each of RxPY's methods that stand for one, such as ``map``.

    Args:
        name: Its name, for errors.
        subscribe: See ``reactivex.Observable``; a subclass may have ``_subscribe_core`` instead.
    """

    def __init__(self, name: str, subscribe: abc.Subscription[T] | None = None) -> None:
        super().__init__(subscribe)
        del self.lock  # few are ever taken, and a socket has ten streams
        self._name = name

    @lazy
    def lock(self) -> threading.RLock:
        """What RxPY's operators on several sources take."""
        return threading.RLock()

    def subscribe(
        self,
        on_next: abc.ObserverBase[T] | abc.OnNext[T] | None = None,
        on_error: abc.OnError | None = None,
        on_completed: abc.OnCompleted | None = None,
        *,
        scheduler: abc.SchedulerBase | None = None,
    ) -> abc.DisposableBase:
        """Subscribe an observer; see ``reactivex.Observable.subscribe``.

        Observers are called on the socket's loop, in the context captured here (C24).

        Raises:
            TypeError: If a callback is an ``async def`` function: it would never be awaited.
        """
        for callback in (on_next, on_error, on_completed):
            if is_async(callback):
                raise TypeError(
                    f"{self._name}.subscribe: an async function is never awaited by an Observable; "
                    "use .pipe(flat_map_async(function)) or concat_map_async of rxsocket.operators"
                )
        subscribed = super().subscribe(on_next, on_error, on_completed, scheduler=scheduler)
        adopt(lambda: subscribed)
        return subscribed

    if not TYPE_CHECKING:  # its types are RxPY's

        def pipe(self, *operators: Callable[[Any], Any]) -> Any:
            """Compose operators; see ``reactivex.Observable.pipe``."""
            made = super().pipe(*operators)
            if type(made) is not Observable:  # of a class with more to it, or no Observable at all
                return made
            return Guarded(self._name.removesuffix(PIPED) + PIPED, made._subscribe_core)
