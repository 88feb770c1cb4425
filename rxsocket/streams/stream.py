"""Streams: Observables that many observers share, as users hold them.

Observables that refuse observers which would never be awaited.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from typing import TYPE_CHECKING, Any, TypeVar

from reactivex import Observable, abc

from rxsocket.explain.format import amount
from rxsocket.runtime.cells import adopt
from rxsocket.streams.iteration import HIGH_WATER, iterate, marks
from rxsocket.streams.multicast import Hub, ValueHub
from rxsocket.validation import is_async

__all__ = ["CheckedObservable", "Stream", "ValueStream"]

T = TypeVar("T")
PIPED = ".pipe(...)"


class CheckedObservable(Observable[T]):
    """An Observable that refuses observers which would never be awaited (C23).

    So does what its ``pipe`` gives, and each of RxPY's methods that stand for one, such as ``map``.

    Args:
        name: Its name, for errors.
        subscribe: See ``reactivex.Observable``; a subclass may have ``_subscribe_core`` instead.
    """

    def __init__(self, name: str, subscribe: abc.Subscription[T] | None = None) -> None:
        super().__init__(subscribe)
        self._name = name

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
            return CheckedObservable(self._name.removesuffix(PIPED) + PIPED, made._subscribe_core)


class Stream(CheckedObservable[T]):
    """An Observable of what happens from now on.

    Those of one feed are equal, but not the same object: ``socket.messages`` is made anew each
    time, as a bound method is.

    An observer that raises is detached and reported, for a socket on its ``errors``; the others and
    the connection go on (C23). Each is called on one loop, for a socket on the socket's, one value
    at a time, in the context in which it subscribed, and never after it was disposed (C24).

    Args:
        feed: Where the values come from.
    """

    def __init__(self, feed: Hub[T]) -> None:
        super().__init__(feed.name)
        self._feed = feed

    def __repr__(self) -> str:
        observers = amount(self._feed.observers, "observer")
        return f"<{type(self).__name__} {self._name}: {observers}>"

    def __eq__(self, other: object) -> bool:
        feed: Hub[Any] | None = getattr(other, "_feed", None)
        return feed is self._feed if isinstance(other, Stream) else NotImplemented

    def __hash__(self) -> int:
        return hash(self._feed)

    def passive(self, *, audience: bool = True) -> Observable[T]:
        """The same stream, for looking only: subscribing to it does not connect (C1).

        Args:
            audience: Whether the first messages are taken as heard by who subscribes to it; if not,
                they are held for somebody else all the same (C4).
        """
        return self._feed.passive(audience=audience)

    def __aiter__(self) -> AsyncGenerator[T]:
        """Iterate with the default marks; see :meth:`iterate`."""
        return self.iterate()

    def iterate(
        self, *, high_water: int = HIGH_WATER, low_water: int | None = None
    ) -> AsyncGenerator[T]:
        """The values, one for each round of an ``async for``, and none is lost (C27).

        When ``high_water`` values wait for the loop's body, reading from the network is paused, and
        the server has to wait; when no more than ``low_water`` are left, it goes on. What was read
        in one go with them waits, too. Meanwhile every other subscriber of the socket waits as
        well, no ping times out, and the server's pings are not answered: a body that takes longer
        than the server waits for a pong loses the connection. Streams that only look never pause.

        It subscribes with the first round, and leaves when the loop does. It ends when the stream
        completes, after what waited, and raises what the stream fails with. It may run on any loop.

        ::

            network    1 2 3 4 ‖ . . ‖ 5 6          ‖ paused, and on
            body         1---2---3---4---5---6

        Args:
            high_water: Values that may wait, 1 at least.
            low_water: Values left when reading goes on; default: a quarter of ``high_water``.

        Raises:
            TypeError: If a mark is no integer.
            ValueError: If ``low_water`` is not below ``high_water``.

        Examples:
            >>> async for message in socket.messages:
            ...     await store(message)
        """
        return iterate(self, self._feed.loop, self._feed.read_gate, *marks(high_water, low_water))

    # A function of a class, which RxPY's own subclasses have, too: one that is passed to the
    # constructor, bound, would put each stream in a reference cycle.
    def _subscribe_core(
        self, observer: abc.ObserverBase[T], scheduler: abc.SchedulerBase | None = None
    ) -> abc.DisposableBase:
        return self._feed.attach(observer, scheduler)


class ValueStream(Stream[T]):
    """A stream with a current value, which every new observer gets first (C4).

    ::

        changes    ---b-------c---
        subscribe  a--b-------c---
             late        b----c---
    """

    _feed: ValueHub[T]

    def __init__(self, feed: ValueHub[T]) -> None:
        super().__init__(feed)

    @property
    def value(self) -> T:
        """The current value; readable anywhere, from any thread."""
        return self._feed.value
