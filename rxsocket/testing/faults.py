"""Faults: functions from a transport to one that fails, for tests and for trying things by hand.

::

    transport               ──── Link ── a ── b ── c ── d ── e ── f ──
    drop_every(2)           ──── Link ── a ── b ✂                        the link is lost
    refuse(503)             ──── ✗ 503                                   then as without it
    slow(0.5)               ─────────── Link ── a ── b ── c ── d ── e
    corrupt(every=2)        ──── Link ── a ── b̸ ── c ── d̸ ── e ── f̸ ──

They go round any transport: the real one, ``fake()``, ``replay()``, or another fault::

    Socket(url, transport=drop_every(100)(slow(0.2)(websockets_transport)))
    Socket(feed.url, transport=reactivex.pipe(feed, slow(0.2), drop_every(100)))

"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import TypeAlias

from reactivex import Observable, abc
from reactivex.disposable import CompositeDisposable, Disposable, SerialDisposable

from rxsocket.errors import HandshakeRefused
from rxsocket.transports.base import Link, PeerClosed, Request, Signal, Transport
from rxsocket.transports.websockets import websockets_transport
from rxsocket.validation import seconds as checked

Payload: TypeAlias = str | bytes
Damage: TypeAlias = Callable[[Payload], Payload]

LOST = PeerClosed(1006, lost=True)


class ForwardingObserver(abc.ObserverBase[Signal]):
    """Passes on what comes of one dial; subclasses do something to it."""

    def __init__(self, observer: abc.ObserverBase[Signal]) -> None:
        self.observer = observer
        self.link: Link | None = None
        self.is_stopped = False

    def on_next(self, value: Signal) -> None:
        if self.is_stopped:
            return
        if isinstance(value, (str, bytes)):
            self.forward_message(value)
        elif isinstance(value, list):
            for message in value:
                self.forward_message(message)
        elif isinstance(value, PeerClosed):
            self.observer.on_next(value)
        else:
            self.link = value
            self.forward_link(value)

    def on_error(self, error: Exception) -> None:
        if not self.is_stopped:
            self.observer.on_error(error)

    def on_completed(self) -> None:
        if not self.is_stopped:
            self.observer.on_completed()

    def forward_link(self, link: Link) -> None:
        self.observer.on_next(link)

    def forward_message(self, data: Payload) -> None:
        self.observer.on_next(data)

    def drop(self) -> None:
        """Cut the link, as if the network had."""
        if self.link is None or self.is_stopped:
            return
        self.is_stopped = True
        self.link.abort()
        self.observer.on_next(LOST)
        self.observer.on_completed()

    def dispose(self) -> None:
        self.is_stopped = True


class DelayingObserver(ForwardingObserver):
    """Passes everything on later, in order."""

    def __init__(self, observer: abc.ObserverBase[Signal], delay: Callable[[], float]) -> None:
        super().__init__(observer)
        self._delay = delay
        self._in_transit: deque[Callable[[], None]] = deque()
        self._timers: set[asyncio.TimerHandle] = set()
        self._arrives = 0.0

    def on_next(self, value: Signal) -> None:
        self._do_later(lambda: super(DelayingObserver, self).on_next(value))

    def on_error(self, error: Exception) -> None:
        self._do_later(lambda: super(DelayingObserver, self).on_error(error))

    def on_completed(self) -> None:
        self._do_later(super().on_completed)

    def dispose(self) -> None:
        super().dispose()
        for timer in self._timers:
            timer.cancel()

    def _do_later(self, action: Callable[[], None]) -> None:
        if self.is_stopped:
            return
        loop = asyncio.get_running_loop()
        self._arrives = max(self._arrives, loop.time() + self._delay())
        if self._arrives <= loop.time() and not self._in_transit:
            action()
            return

        def arrive() -> None:
            self._timers.discard(timer)
            self._in_transit.popleft()()

        self._in_transit.append(action)
        timer = loop.call_at(self._arrives, arrive)
        self._timers.add(timer)


def first_half(data: Payload) -> Payload:
    return data[: len(data) // 2]


Fault: TypeAlias = Callable[[Transport], Transport]


def _observed_by(make: Callable[[abc.ObserverBase[Signal]], ForwardingObserver]) -> Fault:
    """A fault that is in the observer of each dial."""

    def apply(transport: Transport) -> Transport:
        def faulty(request: Request) -> Observable[Signal]:
            source = transport(request)

            def subscribe(
                observer: abc.ObserverBase[Signal], scheduler: abc.SchedulerBase | None = None
            ) -> abc.DisposableBase:
                forwarding = make(observer)
                return CompositeDisposable(
                    source.subscribe(forwarding, scheduler=scheduler),
                    Disposable(forwarding.dispose),
                )

            return Observable(subscribe)

        return faulty

    return apply


def drop_every(messages: int | None = None, *, seconds: float | None = None) -> Fault:
    """Lose each link after some messages, or after some seconds, without a close frame.

    Args:
        messages: How many a link delivers; the next one does not arrive any more.
        seconds: How long a link lives.

    Examples:
        >>> Socket(feed.url, transport=drop_every(100)(feed))
        >>> Socket(url, transport=drop_every(seconds=30)(websockets_transport))
    """
    if (messages is None) == (seconds is None):
        raise TypeError("drop_every: pass a number of messages, or seconds=")
    if messages is not None:
        _positive("drop_every(messages)", messages)
    lifetime = None if seconds is None else checked("drop_every(seconds)", seconds)
    return _observed_by(lambda observer: _DroppingObserver(observer, messages, lifetime))


class _DroppingObserver(ForwardingObserver):
    def __init__(
        self, observer: abc.ObserverBase[Signal], messages: int | None, lifetime: float | None
    ) -> None:
        super().__init__(observer)
        self._left = messages
        self._lifetime = lifetime
        self._timer: asyncio.TimerHandle | None = None

    def forward_link(self, link: Link) -> None:
        if self._lifetime is not None:
            self._timer = asyncio.get_running_loop().call_later(self._lifetime, self.drop)
        super().forward_link(link)

    def forward_message(self, data: Payload) -> None:
        if self._left is None:
            super().forward_message(data)
        elif self._left == 0:
            self.drop()
        else:
            self._left -= 1
            super().forward_message(data)

    def on_completed(self) -> None:
        self._cancel_timer()
        super().on_completed()

    def dispose(self) -> None:
        self._cancel_timer()
        super().dispose()

    def _cancel_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()


def refuse(status: int = 503, *, times: int = 1, error: Exception | None = None) -> Fault:
    """Refuse the first dials; the transport is not asked then.

    Args:
        status: The HTTP status to refuse them with.
        times: How many.
        error: What to fail them with instead, e.g. ``ConnectionRefusedError()``.

    Examples:
        >>> Socket(feed.url, transport=refuse(429, times=3)(feed))
    """
    _positive("refuse(times)", times)
    left = times

    def apply(transport: Transport) -> Transport:
        def faulty(request: Request) -> Observable[Signal]:
            def subscribe(
                observer: abc.ObserverBase[Signal], scheduler: abc.SchedulerBase | None = None
            ) -> abc.DisposableBase:
                nonlocal left
                if left == 0:
                    return transport(request).subscribe(observer, scheduler=scheduler)
                left -= 1
                return fail_dial(observer, HandshakeRefused(status) if error is None else error)

            return Observable(subscribe)

        return faulty

    return apply


def fail_dial(observer: abc.ObserverBase[Signal], error: Exception) -> abc.DisposableBase:
    # Not at once: no network answers before the question was asked.
    return Disposable(asyncio.get_running_loop().call_soon(observer.on_error, error).cancel)


def slow(seconds: float) -> Fault:
    """Let everything arrive some seconds later, in order: the handshake's answer, messages, closes.

    Examples:
        >>> Socket(url, transport=slow(0.2)(websockets_transport))
    """
    delay = checked("slow(seconds)", seconds)
    return _observed_by(lambda observer: DelayingObserver(observer, lambda: delay))


def corrupt(every: int = 1, *, damage: Damage | None = None) -> Fault:
    """Damage some messages.

    Args:
        every: Which: 10 damages the tenth, the twentieth, …
        damage: What becomes of one; left out, its second half is missing.

    Examples:
        >>> Socket(feed.url, transport=corrupt(every=10)(feed))
    """
    _positive("corrupt(every)", every)
    apply = first_half if damage is None else damage
    count = 0

    def damaged(data: Payload) -> Payload:
        nonlocal count
        count += 1
        return data if count % every else apply(data)

    return _observed_by(lambda observer: _CorruptingObserver(observer, damaged))


class _CorruptingObserver(ForwardingObserver):
    def __init__(self, observer: abc.ObserverBase[Signal], damage: Damage) -> None:
        super().__init__(observer)
        self._apply_damage = damage

    def forward_message(self, data: Payload) -> None:
        super().forward_message(self._apply_damage(data))


def _positive(name: str, value: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise TypeError(f"{name}: pass a whole number, not {value!r}")
    if value < 1:
        raise ValueError(f"{name}: pass 1 or more, not {value}")


class Faults:
    """A transport whose faults are made by hand. Made by :func:`faults`."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport
        self._observers: set[_ControlledObserver] = set()
        self._refusal: Exception | None = None
        self._delay = 0.0
        self._damage: Damage | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    def __call__(self, request: Request) -> Observable[Signal]:
        """The connection that a request leads to, with the faults of the moment."""

        def subscribe(
            observer: abc.ObserverBase[Signal], scheduler: abc.SchedulerBase | None = None
        ) -> abc.DisposableBase:
            self._loop = asyncio.get_running_loop()
            if self._refusal is not None:
                return fail_dial(observer, self._refusal)
            controlled = _ControlledObserver(observer, lambda: self._delay, self._damaged)
            self._observers.add(controlled)
            dialled = SerialDisposable()

            def dispose() -> None:
                self._observers.discard(controlled)
                controlled.dispose()

            dialled.disposable = self._transport(request).subscribe(controlled, scheduler=scheduler)
            return CompositeDisposable(dialled, Disposable(dispose))

        return Observable(subscribe)

    def drop(self) -> None:
        """Lose every link that is open, now."""
        for observer in tuple(self._observers):
            self._call_on_loop(observer.drop)

    def refuse(self, status: int = 503, *, error: Exception | None = None) -> None:
        """From now on refuse every dial."""
        self._refusal = HandshakeRefused(status) if error is None else error

    def slow(self, seconds: float) -> None:
        """From now on let everything arrive some seconds later."""
        self._delay = checked("slow(seconds)", seconds)

    def corrupt(self, damage: Damage | None = None) -> None:
        """From now on damage every message."""
        self._damage = damage or first_half

    def heal(self) -> None:
        """From now on no faults."""
        self._refusal, self._delay, self._damage = None, 0.0, None

    def _damaged(self, data: Payload) -> Payload:
        return data if self._damage is None else self._damage(data)

    def _call_on_loop(self, action: Callable[[], None]) -> None:
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(action)


class _ControlledObserver(DelayingObserver):
    def __init__(
        self, observer: abc.ObserverBase[Signal], delay: Callable[[], float], damage: Damage
    ) -> None:
        super().__init__(observer, delay)
        self._apply_damage = damage

    def forward_message(self, data: Payload) -> None:
        super().forward_message(self._apply_damage(data))


def faults(transport: Transport = websockets_transport) -> Faults:
    """A transport whose faults are made by hand, at a prompt or in a notebook.

    Every method may be called from any thread.

    Args:
        transport: What to go round; left out, the real one.

    Examples:
        >>> network = faults()
        >>> socket = Socket(url, transport=network)
        >>> network.drop()            # what does the socket do?
        >>> network.refuse(503)       # and now?
        >>> network.heal()
    """
    return Faults(transport)
