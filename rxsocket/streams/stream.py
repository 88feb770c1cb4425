"""Streams as users hold them: Observables that many observers share."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from typing import TYPE_CHECKING, Any, TypeVar

from reactivex import Observable, abc

from rxsocket.explain.format import amount
from rxsocket.runtime.cells import adopt
from rxsocket.streams.iteration import HIGH_WATER, iterate, marks
from rxsocket.streams.multicast import Hub, ValueHub
from rxsocket.validation import is_async

T = TypeVar("T")
PIPED = ".pipe(...)"


class _ScheduledObservable(Observable[T]):
    """What an operator made, with a scheduler for those that are subscribed to without one."""

    def __init__(
        self, subscribe: abc.Subscription[T] | None, scheduler: abc.SchedulerBase | None
    ) -> None:
        super().__init__(subscribe)
        self._scheduler = scheduler

    def subscribe(
        self,
        on_next: abc.ObserverBase[T] | abc.OnNext[T] | None = None,
        on_error: abc.OnError | None = None,
        on_completed: abc.OnCompleted | None = None,
        *,
        scheduler: abc.SchedulerBase | None = None,
    ) -> abc.DisposableBase:
        scheduler = scheduler or self._scheduler
        return super().subscribe(on_next, on_error, on_completed, scheduler=scheduler)


class CheckedObservable(_ScheduledObservable[T]):
    """An Observable that refuses observers which would never be awaited (C23).

    So does what its ``pipe`` gives, and each of RxPY's methods that stand for one, such as ``map``.
    Operators behind it that have a time in them stay on the socket's loop (C24).

    Args:
        name: Its name, for errors.
        subscribe: See ``reactivex.Observable``; a subclass may have ``_subscribe_core`` instead.
        scheduler: For the operators that it is made of.
    """

    def __init__(
        self,
        name: str,
        subscribe: abc.Subscription[T] | None = None,
        scheduler: abc.SchedulerBase | None = None,
    ) -> None:
        super().__init__(subscribe, scheduler)
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
            if not operators:
                return self
            scheduler = self._operator_scheduler()
            made: Any = self
            for operator in operators[:-1]:
                made = operator(made)
                if type(made) is Observable:
                    made = _ScheduledObservable(made._subscribe_core, scheduler)
            made = operators[-1](made)
            if type(made) is not Observable:  # of a class with more to it, or no Observable at all
                return made
            name = self._name.removesuffix(PIPED) + PIPED
            return CheckedObservable(name, made._subscribe_core, scheduler)

    def _operator_scheduler(self) -> abc.SchedulerBase | None:
        return self._scheduler


class Stream(CheckedObservable[T]):
    """An Observable of what happens from now on.

    Those of one kind are equal, but not the same object: ``socket.messages`` is made anew each
    time, as a bound method is.

    An observer that raises is detached and reported, for a socket on its ``errors``; the others and
    the connection go on (C23). Each is called on one loop, for a socket on the socket's, one value
    at a time, in the context in which it subscribed, and never after it was disposed (C24).

    Operators that it is piped into stay on that loop, too: ``debounce(1.0)`` needs no scheduler.

    Args:
        hub: Where the values come from.
    """

    def __init__(self, hub: Hub[T]) -> None:
        super().__init__(hub.name)
        self._hub = hub

    def __repr__(self) -> str:
        observers = amount(self._hub.observer_count, "observer")
        return f"<{type(self).__name__} {self._name}: {observers}>"

    def __eq__(self, other: object) -> bool:
        hub: Hub[Any] | None = getattr(other, "_hub", None)
        return hub is self._hub if isinstance(other, Stream) else NotImplemented

    def __hash__(self) -> int:
        return hash(self._hub)

    def passive(self, *, audience: bool = True) -> Observable[T]:
        """The same stream, for looking only: subscribing to it does not connect (C1).

        Args:
            audience: Whether the first messages are taken as heard by who subscribes to it; if not,
                they are held for somebody else all the same (C4).
        """

        def subscribe(
            observer: abc.ObserverBase[T], scheduler: abc.SchedulerBase | None = None
        ) -> abc.DisposableBase:
            return self._hub.add_observer(observer, is_passive=True, is_audience=audience)

        return CheckedObservable(self._name, subscribe, self._operator_scheduler())

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
            TypeError: If a mark is not an integer.
            ValueError: If ``low_water`` is not below ``high_water``.

        Examples:
            >>> async for message in socket.messages:
            ...     await store(message)
        """
        return iterate(self, self._hub.loop, self._hub.read_gate, *marks(high_water, low_water))

    # A function of a class, which RxPY's own subclasses have, too: one that is passed to the
    # constructor, bound, would put each stream in a reference cycle.
    def _subscribe_core(
        self, observer: abc.ObserverBase[T], scheduler: abc.SchedulerBase | None = None
    ) -> abc.DisposableBase:
        return self._hub.add_observer(observer)

    def _operator_scheduler(self) -> abc.SchedulerBase:
        return self._hub.operator_scheduler()


class ValueStream(Stream[T]):
    """A stream with a current value, which every new observer gets first (C4).

    ::

        changes    ---b-------c---
        subscribe  a--b-------c---
             late        b----c---
    """

    _hub: ValueHub[T]

    def __init__(self, hub: ValueHub[T]) -> None:
        super().__init__(hub)

    @property
    def value(self) -> T:
        """The current value; readable anywhere, from any thread."""
        return self._hub.value
