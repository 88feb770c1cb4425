"""What a stream is fed by: its observers, each behind a fence of its own (C23, C24).

::

    a room of the house ── emit, end ── Feed ──┬─ fence ── observer
                                     subscribe └─ fence ── observer
                                          │
    a user ─────────────────────────── Stream

A raising observer is detached and reported; the others and the connection go on. Each observer is
called on the socket's loop, one value at a time, in the ``contextvars`` context captured when it
subscribed, and never after it was disposed.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator
from typing import Generic, TypeVar

from reactivex import Observable, abc

from rxsocket.runtime.home import Home
from rxsocket.streams.fence import Fence, observer_name
from rxsocket.streams.flow import Brake

__all__ = ["Feed", "Hold", "Report", "ValueFeed", "WelcomingFeed"]

T = TypeVar("T")
Report = Callable[[str, str, Exception], None]
Hold = Callable[[], abc.DisposableBase]


class Feed(Generic[T]):
    """The inner side of a stream; users hold the :class:`~rxsocket.streams.stream.Stream`.

    Args:
        name: The stream's name, for reports.
        home: Where observers are called.
        report: Told of each observer that raised: its name, the stream's, the exception.
        hold: Keeps the socket connected until disposed; ``None`` for a stream that only looks (C1).
        brake: Pauses reading for ``async for``; ``None`` for a stream that never does.
    """

    __slots__ = ("_fences", "_hold", "_told", "brake", "home", "name")

    def __init__(
        self,
        name: str,
        home: Home,
        report: Report,
        hold: Hold | None = None,
        brake: Brake | None = None,
    ) -> None:
        self.name = name
        self.home = home
        self.brake = brake
        self._told = report
        self._hold = hold
        self._fences: tuple[Fence[T], ...] = ()

    # --- who listens

    @property
    def observers(self) -> int:
        """How many are subscribed."""
        return len(self._fences)

    @property
    def observed(self) -> bool:
        """Whether anybody is subscribed."""
        return bool(self._fences)

    @property
    def attended(self) -> bool:
        """Whether anybody is subscribed who counts as audience (C4)."""
        return any(fence.audience for fence in self._fences)

    def attach(
        self, observer: abc.ObserverBase[T], scheduler: abc.SchedulerBase | None = None
    ) -> abc.DisposableBase:
        """What subscribing to the stream does."""
        return self._join(observer, self._hold)

    def passive(self, *, audience: bool = True) -> Observable[T]:
        """See ``Stream.passive``."""

        def subscribe(
            observer: abc.ObserverBase[T], scheduler: abc.SchedulerBase | None = None
        ) -> abc.DisposableBase:
            return self._join(observer, None, audience=audience)

        return Observable(subscribe)

    def drop(self, fence: Fence[T]) -> None:
        """An observer left; from any thread."""
        fence.live = False
        self.home.run(lambda: self._remove(fence))

    def complain(self, error: Exception) -> None:
        """An observer raised: report it (C23)."""
        self._told(observer_name(error), self.name, error)

    # --- what they hear

    def emit(self, value: T) -> None:
        """Call every observer with a value; on the loop, within a turn."""
        timing = self.home.timing
        if timing is not None:
            for fence in self._fences:
                timing(fence, self.name, value)
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
        if len(fences) == 1 and fences[0].live and self.home.timing is None:
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

    # --- coming and leaving

    def _join(
        self, observer: abc.ObserverBase[T], hold: Hold | None, *, audience: bool = True
    ) -> abc.DisposableBase:
        seat = _Seat(self, observer, audience)
        self.home.run(lambda: self._admit(seat))
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

    __slots__ = ("_feed", "held")

    def __init__(self, feed: Feed[T], observer: abc.ObserverBase[T], audience: bool) -> None:
        super().__init__(observer, feed.complain, audience)
        self._feed = feed
        self.held: abc.DisposableBase | None = None

    def dispose(self) -> None:
        self._feed.drop(self)
        if self.held is not None:
            self.held.dispose()

    def tell(self, error: Exception) -> None:
        self.dispose()
        super().tell(error)


class ValueFeed(Feed[T]):
    """A feed with a current value, which every new observer gets first (C4).

    Attributes:
        value: The current value; readable anywhere, from any thread.
    """

    __slots__ = ("value",)

    def __init__(self, name: str, home: Home, report: Report, value: T) -> None:
        super().__init__(name, home, report)
        self.value = value

    def emit(self, value: T) -> None:
        """Make a value the current one, and call every observer with it."""
        self.value = value
        super().emit(value)

    def _admit(self, fence: Fence[T]) -> None:
        fence.on_next(self.value)
        super()._admit(fence)


class WelcomingFeed(Feed[T]):
    """A feed with something for each observer before it hears the rest.

    Args:
        earlier: Asked for it, on the loop.
        for_all: Whether it is for onlookers, too, because it is not taken from others; if not, only
            who counts as audience gets it (C4).
    """

    __slots__ = ("_earlier", "_for_all")

    def __init__(
        self,
        name: str,
        home: Home,
        report: Report,
        earlier: Callable[[], Iterable[T]],
        hold: Hold | None = None,
        brake: Brake | None = None,
        *,
        for_all: bool = False,
    ) -> None:
        super().__init__(name, home, report, hold, brake)
        self._earlier = earlier
        self._for_all = for_all

    def _admit(self, fence: Fence[T]) -> None:
        if fence.audience or self._for_all:
            for value in self._earlier():
                fence.on_next(value)
        super()._admit(fence)
