"""Hubs: what a stream's observers subscribe to, each guarded from the others (C23, C24).

::

    publisher ── emit, end ── Hub ──┬─ SafeObserver ── observer
                        subscribe   └─ SafeObserver ── observer
                             │
    a user ────────────── Stream

An observer that raises is detached and reported; the others and the connection go on. Each is
called on the socket's loop, one value at a time, in the ``contextvars`` context captured when it
subscribed, and never after it was disposed.
"""

from __future__ import annotations

import contextvars
import inspect
from collections.abc import Callable, Collection, Iterator
from typing import Any, Generic, TypeVar

from reactivex import Observable, abc
from reactivex.observer import AutoDetachObserver

from rxsocket.errors import NotConnected
from rxsocket.runtime.loop import SocketLoop
from rxsocket.runtime.reporting import (
    PACKAGES,
    Report,
    Reporter,
    calling_code,
    report_to,
    reporter,
)
from rxsocket.streams.iteration import ReadGate

T = TypeVar("T")
PLUMBING = (
    "rxsocket.operators",
    "rxsocket.protocols.",
    "rxsocket.sinks.",
    "rxsocket.streams.",
    "rxsocket.topics.",
    "rxsocket.validation",
    "reactivex.",
)

Connect = Callable[[], abc.DisposableBase]
"""Keeps the socket connected until what it returns is disposed (C1)."""


def observer_name(error: BaseException) -> str:
    """Name the observer that raised: in its traceback, the first function that is no plumbing."""
    trace = error.__traceback__
    while trace is not None:
        frame = trace.tb_frame
        module = str(frame.f_globals.get("__name__", ""))
        if not module.startswith(PLUMBING):
            return f"{frame.f_code.co_qualname} (line {trace.tb_lineno} of {module})"
        trace = trace.tb_next
    return "an observer without on_error"


def subscribing_again() -> SafeObserver[Any] | None:
    """Whose end leads an operator to subscribe by itself, as ``repeat()`` does in on_completed."""
    frame = inspect.currentframe()
    while frame is not None and str(frame.f_globals.get("__name__")).startswith(PACKAGES):
        if frame.f_code.co_qualname == SafeObserver.__name__ + ".end":
            ending: SafeObserver[Any] = frame.f_locals["self"]
            return ending
        frame = frame.f_back
    return None


class SafeObserver(Generic[T]):
    """One observer: it runs in its own context (C24), and what it raises stops here (C23).

    Args:
        observer: The observer.
        report: Called with what it raises within an emission, after it was detached.
        report_later: Called with what it raises behind an operator that let the value wait, and
            that detaches it itself. Default: ``report``.

    Attributes:
        is_active: False once it was disposed, was detached or got its end.
        run: Calls a function in the observer's context.
        callback: The function that is called with each value.
        subscribed_by: The code that subscribed it, for people.
    """

    __slots__ = (
        "__weakref__",
        "_observer",
        "_report",
        "callback",
        "is_active",
        "run",
        "subscribed_by",
    )

    def __init__(
        self,
        observer: abc.ObserverBase[T],
        report: Reporter,
        report_later: Reporter | None = None,
    ) -> None:
        self._observer = observer
        self.callback = _callback(observer)
        context = contextvars.copy_context()
        report_to(context, report_later or report)
        self.run = context.run
        self._report = report
        self.is_active = True
        self.subscribed_by = calling_code()

    def on_next(self, value: T) -> None:
        if self.is_active:
            try:
                self.run(self.callback, value)
            except BaseException as error:
                self.detach(error)

    def on_next_until(self, values: Iterator[T], pending: Collection[object]) -> bool:
        """Call the active observer until something is pending; return whether no value is left.

        One guard and one entry of the context serve all the values.
        """
        try:
            return self.run(self._on_next_until, values, pending)
        except BaseException as error:
            self.detach(error)
            return False

    def _on_next_until(self, values: Iterator[T], pending: Collection[object]) -> bool:
        callback = self.callback
        for value in values:
            callback(value)
            if pending or not self.is_active:
                return False
        return True

    def end(self, error: Exception | None) -> None:
        """Complete the observer, or fail it, if it is active."""
        if self.is_active:
            self.is_active = False
            if error is None:
                self._call(self._observer.on_completed)
            else:
                self._call(self._observer.on_error, error)

    def _call(self, function: Callable[..., None], *arguments: Any) -> None:
        try:
            self.run(function, *arguments)
        except BaseException as error:
            # on_error was left out: RxPY raises what it was given, or, subscribing again behind
            # repeat(), what it was told.
            if error not in arguments and not isinstance(error, NotConnected):
                self.detach(error)

    def detach(self, error: BaseException) -> None:
        """Call the observer no more, as it raised, and report that in its context."""
        self.is_active = False
        # A copy: its own may be entered again by what the report leads to.
        self.run(contextvars.copy_context).run(self._on_detached, error)

    def _on_detached(self, error: BaseException) -> None:
        self._report(error)


def _callback(observer: abc.ObserverBase[T]) -> Callable[[T], None]:
    """The user's function, without RxPY's check on the way to it.

    What ``Observable.subscribe`` wraps an observer in asks each time whether it has ended or was
    disposed, which ``is_active`` says already.
    """
    any_observer: Any = observer
    function: Callable[[T], None] = observer.on_next
    if type(any_observer) is AutoDetachObserver:
        function = getattr(any_observer, "_on_next", function)  # pyright: ignore[reportUnknownArgumentType]
    return function


class Hub(Generic[T]):
    """The inner side of a stream; users hold the :class:`~rxsocket.streams.stream.Stream`.

    Args:
        name: The stream's name, for reports.
        loop: Where observers are called.
        report: Called for each observer that raised.
        connect: Given to each observer; ``None`` for a stream that only looks (C1).
        read_gate: Pauses reading for ``async for``; ``None`` for a stream that never does.
    """

    __slots__ = ("_connect", "_observers", "loop", "name", "read_gate", "report")

    def __init__(
        self,
        name: str,
        loop: SocketLoop,
        report: Report,
        connect: Connect | None = None,
        read_gate: ReadGate | None = None,
    ) -> None:
        self.name = name
        self.loop = loop
        self.read_gate = read_gate
        self.report = report
        self._connect = connect
        self._observers: tuple[HubSubscription[T], ...] = ()

    @property
    def observer_count(self) -> int:
        return len(self._observers)

    @property
    def observed(self) -> bool:
        return bool(self._observers)

    @property
    def audience_size(self) -> int:
        """How many observers are subscribed that count as audience (C4)."""
        return sum(observer.is_audience for observer in self._observers)

    # --- subscribing, from any thread

    def add_observer(
        self, observer: abc.ObserverBase[T], *, is_passive: bool = False, is_audience: bool = True
    ) -> abc.DisposableBase:
        """Subscribe an observer, and connect unless it is passive."""
        connect = None if is_passive else self._connect
        subscription = HubSubscription(self, observer, is_passive, is_audience)
        self.loop.run(lambda: self._add(subscription))
        if connect is not None and subscription.is_active:  # not disposed at what it got first
            try:
                subscription.connection = connect()
            except BaseException:  # no thread or no file is left, or the socket is being closed
                subscription.dispose()
                raise
            if not subscription.is_active:
                subscription.connection.dispose()
        return subscription

    def remove_observer(self, subscription: HubSubscription[T]) -> None:
        subscription.is_active = False
        self.loop.run(lambda: self._remove(subscription))

    def passive(self, *, audience: bool = True) -> Observable[T]:
        """The stream without connecting; see ``Stream.passive``."""

        def subscribe(
            observer: abc.ObserverBase[T], scheduler: abc.SchedulerBase | None = None
        ) -> abc.DisposableBase:
            return self.add_observer(observer, is_passive=True, is_audience=audience)

        return Observable(subscribe)

    def report_raised(self, error: BaseException) -> None:
        """Report what one of the observers raised."""
        self.report(observer_name(error), self.name, error)

    # --- emitting, on the loop

    def emit(self, value: T) -> None:
        """Call every observer with a value; within a turn."""
        timing = self.loop.timing
        if timing is not None:
            for observer in self._observers:
                timing(observer, self.name, value)
            return
        for observer in self._observers:  # what SafeObserver.on_next does, without the call of it
            if observer.is_active:
                try:
                    observer.run(observer.callback, value)
                except BaseException as error:
                    observer.detach(error)

    def emit_until(self, values: Iterator[T], pending: Collection[object]) -> bool:
        """Emit values until something is pending; return whether no value is left.

        It is ``emit`` for each, at less cost when there is one observer.
        """
        observers = self._observers
        if len(observers) == 1 and observers[0].is_active and self.loop.timing is None:
            return observers[0].on_next_until(values, pending)
        for value in values:
            self.emit(value)
            if pending:
                return False
        return True

    def end(self, error: Exception | None = None) -> None:
        """Complete every observer, or fail it; later subscribers see a fresh stream (C3)."""
        observers, self._observers = self._observers, ()
        for observer in observers:
            observer.end(error)

    def _add(self, observer: HubSubscription[T]) -> None:
        if observer.is_active:
            self._observers = (*self._observers, observer)

    def _remove(self, observer: HubSubscription[T]) -> None:
        self._observers = tuple(other for other in self._observers if other is not observer)


class HubSubscription(SafeObserver[T], abc.DisposableBase):
    """One observer of a hub, until it is disposed or raises.

    Attributes:
        is_passive: It only looks: it does not connect (C1).
        is_audience: What is held for the first subscriber is for it (C4).
        connection: Keeps the socket connected for it, if anything does.
    """

    __slots__ = ("_hub", "connection", "is_audience", "is_passive")

    def __init__(
        self, hub: Hub[T], observer: abc.ObserverBase[T], is_passive: bool, is_audience: bool
    ) -> None:
        super().__init__(observer, hub.report_raised)
        self._hub = hub
        self.is_passive = is_passive
        self.is_audience = is_audience
        self.connection: abc.DisposableBase | None = None

    def dispose(self) -> None:
        self._hub.remove_observer(self)
        if self.connection is not None:
            self.connection.dispose()

    def _on_detached(self, error: BaseException) -> None:
        self.dispose()
        super()._on_detached(error)


def delivering_hub() -> Hub[Any] | None:
    """The hub whose emission this is, also behind operators; ``None`` outside of one.

    Each observer's context holds what reports for it, which is a method of its hub: nothing has to
    be kept besides for those who want to know where a value comes from.
    """
    hub = getattr(reporter(), "__self__", None)
    return hub if isinstance(hub, Hub) else None  # pyright: ignore[reportUnknownVariableType]


class RoutedHub(Hub[T]):
    """A hub that values are routed to only while it has observers that are not passive.

    Args:
        on_first: Called with the hub, on the loop, when the first of them subscribed.
        on_last: Called with the hub, on the loop, when the last of them was removed; not when the
            hub ended.
    """

    __slots__ = ("_on_first", "_on_last")

    def __init__(
        self,
        name: str,
        loop: SocketLoop,
        report: Report,
        connect: Connect,
        read_gate: ReadGate,
        *,
        on_first: Callable[[Any], None],
        on_last: Callable[[Any], None],
    ) -> None:
        super().__init__(name, loop, report, connect, read_gate)
        self._on_first = on_first
        self._on_last = on_last

    def _add(self, observer: HubSubscription[T]) -> None:
        was_routed = self._is_routed
        super()._add(observer)
        if self._is_routed and not was_routed:
            self._on_first(self)

    def _remove(self, observer: HubSubscription[T]) -> None:
        was_routed = self._is_routed
        super()._remove(observer)
        if was_routed and not self._is_routed:
            self._on_last(self)

    @property
    def _is_routed(self) -> bool:
        return any(not observer.is_passive for observer in self._observers)


class ValueHub(Hub[T]):
    """A hub with a current value, which every new observer gets first (C4).

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

    def _add(self, observer: HubSubscription[T]) -> None:
        observer.on_next(self.value)
        super()._add(observer)
