"""Streams: Observables that many observers share, each behind a fence of its own (C23, C24).

A raising observer is detached and reported; the others and the connection go on. Each observer is
called on the socket's loop, one value at a time, in the ``contextvars`` context captured when it
subscribed, and never after it was disposed.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Collection, Iterator
from typing import TypeVar

from reactivex import Observable, abc

from rxsocket.runtime.home import Home
from rxsocket.streams.fence import Fence, observer_name
from rxsocket.streams.flow import Brake
from rxsocket.streams.guarded import Guarded
from rxsocket.streams.iteration import HIGH_WATER, iterate, marks

__all__ = ["Hold", "Report", "Stream", "ValueStream"]

T = TypeVar("T")
Report = Callable[[str, str, Exception], None]
Hold = Callable[[], abc.DisposableBase]


class Stream(Guarded[T]):
    """An Observable of what happens to a socket from now on.

    Args:
        name: Its name, for reports.
        home: Where observers are called.
        report: Told of each observer that raised: its name, the stream's, the exception.
        hold: Keeps the socket connected until disposed; ``None`` for a stream that only looks (C1).
        brake: Pauses reading for ``async for``; ``None`` for a stream that never does.
    """

    def __init__(
        self,
        name: str,
        home: Home,
        report: Report,
        hold: Hold | None = None,
        brake: Brake | None = None,
    ) -> None:
        super().__init__(name)
        self._home = home
        self._told = report
        self._hold = hold
        self._brake = brake
        self._fences: tuple[Fence[T], ...] = ()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._name}: {len(self._fences)} observers>"

    @property
    def observed(self) -> bool:
        """Whether anybody is subscribed."""
        return bool(self._fences)

    @property
    def attended(self) -> bool:
        """Whether anybody is subscribed who counts as audience (C4)."""
        return any(fence.audience for fence in self._fences)

    def passive(self, *, audience: bool = True) -> Observable[T]:
        """The same stream, for looking only: subscribing to it does not connect (C1).

        Args:
            audience: Whether the first messages are taken as heard by who subscribes to it; if not,
                they are held for somebody else all the same (C4).
        """

        def subscribe(
            observer: abc.ObserverBase[T], scheduler: abc.SchedulerBase | None = None
        ) -> abc.DisposableBase:
            return self._join(observer, None, audience=audience)

        return Observable(subscribe)

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
        return iterate(self, self._home, self._brake, *marks(high_water, low_water))

    def emit(self, value: T) -> None:
        """Call every observer with a value; on the loop, within a turn."""
        timing = self._home.timing
        if timing is not None:
            for fence in self._fences:
                timing(fence, self._name, value)
            return
        for fence in self._fences:  # what Fence.on_next does, without the call of it
            if fence.live:
                try:
                    fence.run(fence.next, value)
                except Exception as error:
                    fence.raised(error)

    def pour(self, values: Iterator[T], asked: Collection[object]) -> bool:
        """Emit values until something is asked for; return whether there are no more.

        It is ``emit`` for each, at less cost when there is one observer.
        """
        fences = self._fences
        if len(fences) == 1 and fences[0].live and self._home.timing is None:
            return fences[0].pour(values, asked)
        for value in values:
            self.emit(value)
            if asked:
                return False
        return True

    def end(self, error: Exception | None = None) -> None:
        """Complete every observer, or fail it; later subscribers see a fresh stream (C3)."""
        fences, self._fences = self._fences, ()
        for fence in fences:
            fence.end(error)

    def attach(
        self, observer: abc.ObserverBase[T], scheduler: abc.SchedulerBase | None = None
    ) -> abc.DisposableBase:
        """What subscribing does; for an Observable that is this stream under another name."""
        return self._join(observer, self._hold)

    # RxPY's own subclasses take this way, too. A method that is passed to the constructor would put
    # each stream in a reference cycle.
    _subscribe_core = attach

    def drop(self, fence: Fence[T]) -> None:
        """An observer left; from any thread."""
        fence.live = False
        self._home.run(lambda: self._remove(fence))

    def complain(self, error: Exception) -> None:
        """An observer raised: report it (C23)."""
        self._told(observer_name(error), self._name, error)

    def _join(
        self, observer: abc.ObserverBase[T], hold: Hold | None, *, audience: bool = True
    ) -> abc.DisposableBase:
        seat = _Seat(self, observer, audience)
        self._home.run(lambda: self._admit(seat))
        if hold is not None and seat.live:  # it may have left at what it was given first
            seat.held = hold()
            if not seat.live:
                seat.held.dispose()
        return seat

    def _admit(self, fence: Fence[T]) -> None:
        if fence.live:
            self._fences = (*self._fences, fence)

    def _remove(self, fence: Fence[T]) -> None:
        self._fences = tuple(other for other in self._fences if other is not fence)


class _Seat(Fence[T], abc.DisposableBase):
    """The place of one observer in a stream, until it leaves or raises.

    Attributes:
        held: What keeps the socket connected for it, if anything does.
    """

    __slots__ = ("_stream", "held")

    def __init__(self, stream: Stream[T], observer: abc.ObserverBase[T], audience: bool) -> None:
        super().__init__(observer, stream.complain, audience)
        self._stream = stream
        self.held: abc.DisposableBase | None = None

    def dispose(self) -> None:
        self._stream.drop(self)
        if self.held is not None:
            self.held.dispose()

    def tell(self, error: Exception) -> None:
        self.dispose()
        super().tell(error)


class ValueStream(Stream[T]):
    """A stream with a current value, which every new observer gets first (C4).

    ::

        changes    ---b-------c---
        subscribe  a--b-------c---
             late        b----c---
    """

    def __init__(self, name: str, home: Home, report: Report, value: T) -> None:
        super().__init__(name, home, report)
        self._value = value

    @property
    def value(self) -> T:
        """The current value; readable anywhere, from any thread."""
        return self._value

    def emit(self, value: T) -> None:
        """Make a value the current one, and call every observer with it."""
        self._value = value
        super().emit(value)

    def _admit(self, fence: Fence[T]) -> None:
        fence.on_next(self._value)
        super()._admit(fence)
