"""Streams as users hold them: Observables that many observers share."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Generator
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

from reactivex import Observable, abc
from reactivex.internal.exceptions import SequenceContainsNoElementsError

from rxsocket.explain.format import amount
from rxsocket.runtime.cells import adopt
from rxsocket.runtime.scheduler import StreamScheduler
from rxsocket.streams.buffers import BoundedBuffer, Drops, OverflowPolicy, check_overflow
from rxsocket.streams.iteration import HIGH_WATER, Origin, iterate, iterate_buffer, marks
from rxsocket.streams.listing import ListsItsOwn
from rxsocket.streams.multicast import Hub, ValueHub
from rxsocket.streams.receipts import Receipt
from rxsocket.validation import is_async

T = TypeVar("T")
PIPED = ".pipe(...)"


class _ScheduledObservable(Observable[T], metaclass=ListsItsOwn):
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
    """An Observable that refuses observers which would never be awaited
    (rule C23, one bad subscriber harms nobody).

    So does what its ``pipe`` gives, and each of RxPY's methods that stand for one, such as ``map``.
    Operators behind it that have a time in them stay on the socket's loop (rule C24, delivery). It
    may be awaited and iterated with ``async for`` on any loop.

    Args:
        name: Its name, for errors.
        subscribe: See ``reactivex.Observable``; a subclass may have ``_subscribe_core`` instead.
        origin: Where its values come from; ``None`` if that is no socket.
    """

    def __init__(
        self,
        name: str,
        subscribe: abc.Subscription[T] | None = None,
        origin: Origin | None = None,
        scheduler: abc.SchedulerBase | None = None,
    ) -> None:
        super().__init__(subscribe, scheduler)
        self._name = name
        self._origin = origin

    def subscribe(
        self,
        on_next: abc.ObserverBase[T] | abc.OnNext[T] | None = None,
        on_error: abc.OnError | None = None,
        on_completed: abc.OnCompleted | None = None,
        *,
        scheduler: abc.SchedulerBase | None = None,
    ) -> abc.DisposableBase:
        """Subscribe an observer; see ``reactivex.Observable.subscribe``.

        Observers are called on the socket's loop, in the context captured here
        (rule C24, delivery).

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
            if type(made) is Observable:
                name = self._name.removesuffix(PIPED) + PIPED
                return CheckedObservable(name, made._subscribe_core, self._origin, scheduler)
            if isinstance(made, CheckedObservable) and made._origin is None:
                made._origin = self._origin
            return made  # of a class with more to it, or no Observable at all

    def run(self, scheduler: abc.SchedulerBase | None = None) -> T:
        """Block until it ends, and return its last value; see ``reactivex.Observable.run``.

        Raises:
            RuntimeError: On the socket's own loop, which this would block: ``await`` it there.
        """
        origin = self._origin
        if origin is not None and origin.loop.would_be_blocked:
            raise RuntimeError(
                f"{self._name}.run() would block the loop of this socket: await it in a coroutine, "
                "or subscribe to it"
            )
        return super().run(scheduler or self._operator_scheduler())

    def __await__(self) -> Generator[Any, None, T]:
        """Wait for its last value, on any loop."""
        if self._origin is None:
            return super().__await__()
        return self._last_value(self._origin).__await__()

    async def _last_value(self, origin: Origin) -> T:
        receipt: Receipt[T] = Receipt(origin.loop, origin.report)
        last: list[T] = []

        def on_next(value: T) -> None:
            last[:] = [value]

        def end() -> None:
            if last:
                receipt.settle(last[0])
            else:
                receipt.fail(SequenceContainsNoElementsError())

        with self.subscribe(on_next, receipt.fail, end):
            return await receipt

    def __iter__(self) -> NoReturn:
        raise TypeError(
            f"{self._name}: its values come later, so write `async for` in a coroutine; in a plain "
            "script subscribe(function), then call wait() of the socket"
        )

    def __aiter__(self) -> AsyncGenerator[T]:
        """Iterate with the default marks; see :meth:`iterate`."""
        return self.iterate()

    def iterate(
        self,
        *,
        high_water: int = HIGH_WATER,
        low_water: int | None = None,
        overflow: OverflowPolicy | None = None,
        drops: Drops | None = None,
    ) -> AsyncGenerator[T]:
        """The values, one for each round of an ``async for``, and none is lost
        (rule C27, backpressure is explicit).

        When ``high_water`` values wait for the loop's body, reading from the network is paused, and
        the server has to wait; when no more than ``low_water`` are left, it goes on. What was read
        in one go with them waits, too. Meanwhile every other subscriber of the socket waits as
        well, no ping times out, and the server's pings are not answered: a body that takes longer
        than the server waits for a pong loses the connection. A body that holds up others for more
        than 1 s is a ``SlowConsumer`` on ``errors``. Streams that only look never pause.

        With ``overflow`` nothing is paused: one value more than ``high_water`` is treated by that
        policy, as :func:`~rxsocket.operators.buffer_up_to` does.

        It subscribes with the first round, and leaves when the loop does. It ends when the stream
        completes, after what waited, and raises what the stream fails with. It may run on any loop.

        ::

            network    1 2 3 4 ‖ . . ‖ 5 6          ‖ paused, and on
            body         1---2---3---4---5---6

        Args:
            high_water: Values that may wait, 1 at least.
            low_water: Values left when reading goes on; default: a quarter of ``high_water``.
            overflow: ``"drop_oldest"``, ``"drop_newest"``, or ``"error"``: ``BufferOverflow``.
            drops: Counts what was dropped.

        Raises:
            TypeError: If a mark is not an integer.
            ValueError: If ``low_water`` is not below ``high_water``, or there is no such policy.

        Examples:
            >>> async for message in socket.messages:
            ...     await store(message)
            >>> async for message in socket.messages.iterate(overflow="drop_oldest"):
            ...     await client.send_text(message)
        """
        high, low = marks(high_water, low_water)
        if overflow is not None:
            if low_water is not None:
                raise ValueError("low_water: goes without overflow=, which pauses nothing")
            check_overflow(overflow, drops)
            return iterate_buffer(self, BoundedBuffer(high, overflow), drops)
        if drops is not None:
            raise ValueError("drops: goes with overflow=, without which none are dropped")
        return iterate(self, self._name, self._origin, high, low)

    def _operator_scheduler(self) -> abc.SchedulerBase | None:
        if self._scheduler is None and self._origin is not None:
            return StreamScheduler(self._origin.loop, self._origin.report)
        return self._scheduler


class Stream(CheckedObservable[T]):
    """An Observable of what happens from now on.

    Those of one kind are equal, but not the same object: ``socket.messages`` is made anew each
    time, as a bound method is.

    An observer that raises is detached and reported, for a socket on its ``errors``; the others and
    the connection go on (rule C23, one bad subscriber harms nobody). Each is called on one loop,
    for a socket on the socket's, one value at a time, in the context in which it subscribed, and
    never after it was disposed (rule C24, delivery).

    Operators that it is piped into stay on that loop, too: ``debounce(1.0)`` needs no scheduler.

    Args:
        hub: Where the values come from.
    """

    def __init__(self, hub: Hub[T]) -> None:
        super().__init__(hub.name, origin=hub)
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
        """The same stream, for looking only: subscribing to it does not connect
        (rule C1, lazy and shared).

        Args:
            audience: Whether the first messages are taken as heard by who subscribes to it; if not,
                they are held for somebody else all the same (rule C4, late subscribers).
        """

        def subscribe(
            observer: abc.ObserverBase[T], scheduler: abc.SchedulerBase | None = None
        ) -> abc.DisposableBase:
            return self._hub.add_observer(observer, is_passive=True, is_audience=audience)

        return CheckedObservable(self._name, subscribe, self._origin)

    # A function of a class, which RxPY's own subclasses have, too: one that is passed to the
    # constructor, bound, would put each stream in a reference cycle.
    def _subscribe_core(
        self, observer: abc.ObserverBase[T], scheduler: abc.SchedulerBase | None = None
    ) -> abc.DisposableBase:
        return self._hub.add_observer(observer)


class ValueStream(Stream[T]):
    """A stream with a current value, which every new observer gets first
    (rule C4, late subscribers).

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
