"""What a stream is fed by: its observers, each behind a fence of its own (C23, C24).

::

    a room of the house ── emit, end ── Feed ──┬─ fence ── observer
                                     subscribe └─ fence ── observer
                                          │
    a user ─────────────────────────── Stream

A raising observer is detached and reported; the others and the connection go on. Each observer is
called on the socket's loop, one value at a time, in the ``contextvars`` context captured when it
subscribed, and never after it was disposed.


The fence of one observer: what it raises goes no further (C23), its context is its own (C24).
"""

from __future__ import annotations

import contextvars
import inspect
from collections.abc import Callable, Collection, Iterable, Iterator
from typing import Any, Generic, TypeVar

from reactivex import Observable, abc
from reactivex.observer import AutoDetachObserver

from rxsocket.runtime.loop import SocketLoop
from rxsocket.runtime.reporting import Reporter, report_to
from rxsocket.streams.iteration import ReadGate

__all__ = ["Connect", "Hub", "ReplayHub", "Report", "SafeObserver", "ValueHub", "observer_name"]

T = TypeVar("T")
PACKAGES = ("rxsocket.", "reactivex.")
PLUMBING = ("rxsocket.streams.", "rxsocket.validation", "rxsocket.operators", "reactivex.")


def observer_name(error: Exception) -> str:
    """Name the observer that raised: in its traceback, the first function that is no plumbing."""
    trace = error.__traceback__
    while trace is not None:
        frame = trace.tb_frame
        module = str(frame.f_globals.get("__name__", ""))
        if not module.startswith(PLUMBING):
            return f"{frame.f_code.co_qualname} (line {trace.tb_lineno} of {module})"
        trace = trace.tb_next
    return "an observer without on_error"


def _subscriber() -> str:
    """Name who subscribes: the innermost function on the stack that is no plumbing."""
    frame = inspect.currentframe()
    while frame is not None and frame.f_back is not None:
        if not str(frame.f_globals.get("__name__")).startswith(PACKAGES):
            break
        frame = frame.f_back
    if frame is None:  # an interpreter without stack frames
        return "an observer"
    module = str(frame.f_globals.get("__name__", ""))
    return f"{frame.f_code.co_qualname} (line {frame.f_lineno} of {module})"


class SafeObserver(Generic[T]):
    """One observer of a stream.

    Args:
        observer: The observer.
        report: Told of what it raises within an emission; it is detached then.
        audience: Whether it counts as somebody who listens (C4).
        later: Told of what an observer raises behind an operator that let the value wait, and that
            it has left by itself. Default: ``report``.

    Attributes:
        live: Whether it is to get anything: it has neither left nor raised nor had its end.
        run: Calls a function in the observer's context.
        next: The function that values are for.
        audience: Whether it counts as somebody who listens (C4).
        subscribed_by: Who it is, for people.
    """

    __slots__ = ("_observer", "_report", "audience", "live", "next", "run", "subscribed_by")

    def __init__(
        self,
        observer: abc.ObserverBase[T],
        report: Reporter,
        audience: bool = True,
        later: Reporter | None = None,
    ) -> None:
        self._observer = observer
        self.next = _direct(observer)
        context = contextvars.copy_context()
        report_to(context, later or report)
        self.run = context.run
        self._report = report
        self.live = True
        self.audience = audience
        self.subscribed_by = _subscriber()

    def on_next(self, value: T) -> None:
        """Pass a value on, unless the observer left."""
        if self.live:
            try:
                self.run(self.next, value)
            except Exception as error:
                self.raised(error)

    def pour(self, values: Iterator[T], asked: Collection[object]) -> bool:
        """Pass values on until something is asked for; return whether there are no more.

        Without a look at whether the observer left before the first one.
        """
        try:
            return self.run(self._pour, values, asked)
        except Exception as error:
            self.raised(error)
            return False

    def _pour(self, values: Iterator[T], asked: Collection[object]) -> bool:
        on_next = self.next
        for value in values:
            on_next(value)
            if asked or not self.live:
                return False
        return True

    def end(self, error: Exception | None) -> None:
        """Complete the observer, or fail it; it hears nothing more."""
        if self.live:
            self.live = False
            if error is None:
                self._call(self._observer.on_completed)
            else:
                self._call(self._observer.on_error, error)

    def _call(self, function: Callable[..., None], *arguments: Any) -> None:
        try:
            self.run(function, *arguments)
        except Exception as error:
            if error not in arguments:  # on_error was left out: RxPY raises what it was given
                self.raised(error)

    def raised(self, error: Exception) -> None:
        """The observer raised: it is detached, and that is reported, in its context (C23)."""
        self.live = False
        # A copy: its own may be entered again by what the report leads to.
        self.run(contextvars.copy_context).run(self.tell, error)

    def tell(self, error: Exception) -> None:
        """Let it be known what the observer raised, now that it is detached."""
        self._report(error)


def _direct(observer: abc.ObserverBase[T]) -> Callable[[T], None]:
    """The function that the user's values are for, without RxPY's check on the way to it.

    What ``Observable.subscribe`` wraps an observer in asks each time whether it has ended or was
    disposed, which the fence knows already.
    """
    any_observer: Any = observer
    function: Callable[[T], None] = observer.on_next
    if type(any_observer) is AutoDetachObserver:
        function = getattr(any_observer, "_on_next", function)  # pyright: ignore[reportUnknownArgumentType]
    return function


Report = Callable[[str, str, Exception], None]
Connect = Callable[[], abc.DisposableBase]


class Hub(Generic[T]):
    """The inner side of a stream; users hold the :class:`~rxsocket.streams.stream.Stream`.

    Args:
        name: The stream's name, for reports.
        home: Where observers are called.
        report: Told of each observer that raised: its name, the stream's, the exception.
        hold: Keeps the socket connected until disposed; ``None`` for a stream that only looks (C1).
        brake: Pauses reading for ``async for``; ``None`` for a stream that never does.
    """

    __slots__ = ("_fences", "_hold", "_told", "loop", "name", "read_gate")

    def __init__(
        self,
        name: str,
        loop: SocketLoop,
        report: Report,
        hold: Connect | None = None,
        read_gate: ReadGate | None = None,
    ) -> None:
        self.name = name
        self.loop = loop
        self.read_gate = read_gate
        self._told = report
        self._hold = hold
        self._fences: tuple[SafeObserver[T], ...] = ()

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

    def drop(self, fence: SafeObserver[T]) -> None:
        """An observer left; from any thread."""
        fence.live = False
        self.loop.run(lambda: self._remove(fence))

    def complain(self, error: Exception) -> None:
        """An observer raised: report it (C23)."""
        self._told(observer_name(error), self.name, error)

    # --- what they hear

    def emit(self, value: T) -> None:
        """Call every observer with a value; on the loop, within a turn."""
        timing = self.loop.timing
        if timing is not None:
            for fence in self._fences:
                timing(fence, self.name, value)
            return
        for fence in self._fences:  # what SafeObserver.on_next does, without the call of it
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
        if len(fences) == 1 and fences[0].live and self.loop.timing is None:
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
        self, observer: abc.ObserverBase[T], hold: Connect | None, *, audience: bool = True
    ) -> abc.DisposableBase:
        seat = _Subscription(self, observer, audience)
        self.loop.run(lambda: self._admit(seat))
        if hold is not None and seat.live:  # it may have left at what it was given first
            seat.held = hold()
            if not seat.live:
                seat.held.dispose()
        return seat

    def _admit(self, fence: SafeObserver[T]) -> None:
        if fence.live:
            self._fences = (*self._fences, fence)

    def _remove(self, fence: SafeObserver[T]) -> None:
        self._fences = tuple(other for other in self._fences if other is not fence)


class _Subscription(SafeObserver[T], abc.DisposableBase):
    """The place of one observer in a stream, until it leaves or raises.

    Attributes:
        held: What keeps the socket connected for it, if anything does.
    """

    __slots__ = ("_feed", "held")

    def __init__(self, feed: Hub[T], observer: abc.ObserverBase[T], audience: bool) -> None:
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


class ValueHub(Hub[T]):
    """A feed with a current value, which every new observer gets first (C4).

    Attributes:
        value: The current value; readable anywhere, from any thread.
    """

    __slots__ = ("value",)

    def __init__(self, name: str, loop: SocketLoop, report: Report, value: T) -> None:
        super().__init__(name, loop, report)
        self.value = value

    def emit(self, value: T) -> None:
        """Make a value the current one, and call every observer with it."""
        self.value = value
        super().emit(value)

    def _admit(self, fence: SafeObserver[T]) -> None:
        fence.on_next(self.value)
        super()._admit(fence)


class ReplayHub(Hub[T]):
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
        loop: SocketLoop,
        report: Report,
        earlier: Callable[[], Iterable[T]],
        hold: Connect | None = None,
        read_gate: ReadGate | None = None,
        *,
        for_all: bool = False,
    ) -> None:
        super().__init__(name, loop, report, hold, read_gate)
        self._earlier = earlier
        self._for_all = for_all

    def _admit(self, fence: SafeObserver[T]) -> None:
        if fence.audience or self._for_all:
            for value in self._earlier():
                fence.on_next(value)
        super()._admit(fence)
