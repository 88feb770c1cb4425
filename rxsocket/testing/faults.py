"""Faults: functions from a transport to one that fails, for tests and for trying things by hand.

::

    transport               ──── Link ── a ── b ── c ── d ── e ── f ──
    drop_every(2)           ──── Link ── a ── b ✂                        the link is lost
    refuse(503)             ──── ✗ 503                                   then as without it
    slow(0.5)               ─────────── Link ── a ── b ── c ── d ── e
    corrupt(every=2)        ──── Link ── a ── b̸ ── c ── d̸ ── e ── f̸ ──

They wrap any transport: the real one, ``fake()``, ``replay()``, or another fault::

    Socket(url, transport=drop_every(100)(slow(0.2)(websockets_transport)))
    Socket(feed.url, transport=reactivex.pipe(feed, slow(0.2), drop_every(100)))
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import TypeAlias
from weakref import WeakSet

from reactivex import Observable, abc
from reactivex.disposable import CompositeDisposable, Disposable

from rxsocket.errors import HandshakeRefused
from rxsocket.testing.script import Payload
from rxsocket.transports.base import Link, PeerClosed, Request, Signal, StreamNotice, Transport
from rxsocket.transports.websockets import websockets_transport
from rxsocket.validation import seconds as checked
from rxsocket.validation import whole_number

Damage: TypeAlias = Callable[[Payload], Payload]
Fault: TypeAlias = Callable[[Transport], Transport]


class FaultyObserver(abc.ObserverBase[Signal]):
    """Passes on what comes of one dial, with faults.

    Args:
        observer: The observer inside.
        delay: Returns the seconds after which a signal is passed on, in order.
        damage: Returns the damaged message.
        messages: The number of messages that are passed on before the link is dropped.
        lifetime: Seconds after which the link is dropped.
    """

    def __init__(
        self,
        observer: abc.ObserverBase[Signal],
        *,
        delay: Callable[[], float] = lambda: 0.0,
        damage: Damage = lambda data: data,
        messages: int | None = None,
        lifetime: float | None = None,
    ) -> None:
        self._observer = observer
        self._delay = delay
        self._damage = damage
        self._messages_left = messages
        self._lifetime = lifetime
        self._link: Link | None = None
        self._is_stopped = False
        self._in_transit: deque[Callable[[], None]] = deque()
        self._arrives = 0.0
        self._timers: set[asyncio.TimerHandle] = set()

    def on_next(self, value: Signal) -> None:
        self._after_delay(partial(self._pass_on, value))

    def on_error(self, error: Exception) -> None:
        self._after_delay(partial(self._observer.on_error, error))

    def on_completed(self) -> None:
        self._after_delay(self._complete)

    def drop(self) -> None:
        """Cut the link, as if the network had."""
        if self._link is not None and not self._is_stopped:
            self.dispose()
            self._link.abort()
            self._observer.on_next(PeerClosed(1006, lost=True))
            self._observer.on_completed()

    def dispose(self) -> None:
        self._is_stopped = True
        for timer in self._timers:
            timer.cancel()

    def _after_delay(self, action: Callable[[], None]) -> None:
        if self._is_stopped:
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

    def _pass_on(self, value: Signal) -> None:
        if isinstance(value, (str, bytes)):
            self._pass_message(value)
        elif isinstance(value, list):
            for message in value:
                self._pass_message(message)
        elif isinstance(value, (StreamNotice, PeerClosed)):
            self._observer.on_next(value)
        else:
            self._link = value
            if self._lifetime is not None:
                loop = asyncio.get_running_loop()
                self._timers.add(loop.call_later(self._lifetime, self.drop))
            self._observer.on_next(value)

    def _pass_message(self, data: Payload) -> None:
        if self._messages_left == 0:
            self.drop()
            return
        if self._messages_left is not None:
            self._messages_left -= 1
        self._observer.on_next(self._damage(data))

    def _complete(self) -> None:
        self.dispose()
        self._observer.on_completed()


def _observed_by(make: Callable[[abc.ObserverBase[Signal]], FaultyObserver]) -> Fault:
    """A fault that is in the observer of each dial."""

    def apply(transport: Transport) -> Transport:
        def dial(
            request: Request,
            observer: abc.ObserverBase[Signal],
            scheduler: abc.SchedulerBase | None = None,
        ) -> abc.DisposableBase:
            faulty = make(observer)
            subscription = transport(request).subscribe(faulty, scheduler=scheduler)
            return CompositeDisposable(subscription, Disposable(faulty.dispose))

        return lambda request: Observable(partial(dial, request))

    return apply


def _refuse_dial(observer: abc.ObserverBase[Signal], error: Exception) -> abc.DisposableBase:
    # Not at once: no network answers before the question was asked.
    return Disposable(asyncio.get_running_loop().call_soon(observer.on_error, error).cancel)


def drop_every(messages: int | None = None, *, seconds: float | None = None) -> Fault:
    """Lose each link after some messages, or after some seconds, without a close frame.

    Args:
        messages: The number of messages that a link delivers; the next one does not arrive.
        seconds: The lifetime of a link.

    Examples:
        >>> Socket(feed.url, transport=drop_every(100)(feed))
        >>> Socket(url, transport=drop_every(seconds=30)(websockets_transport))
    """
    if (messages is None) == (seconds is None):
        raise TypeError("drop_every: pass a number of messages, or seconds=")
    if messages is not None:
        whole_number("drop_every(messages)", messages)
    lifetime = None if seconds is None else checked("drop_every(seconds)", seconds)
    return _observed_by(
        lambda observer: FaultyObserver(observer, messages=messages, lifetime=lifetime)
    )


def refuse(status: int = 503, *, times: int = 1, error: Exception | None = None) -> Fault:
    """Refuse the first dials; the transport is not subscribed to for them.

    Args:
        status: The HTTP status to refuse them with.
        times: The number of dials.
        error: An error to fail them with instead, e.g. ``ConnectionRefusedError()``.

    Examples:
        >>> Socket(feed.url, transport=refuse(429, times=3)(feed))
    """
    whole_number("refuse(times)", times)
    left = times

    def apply(transport: Transport) -> Transport:
        def dial(
            request: Request,
            observer: abc.ObserverBase[Signal],
            scheduler: abc.SchedulerBase | None = None,
        ) -> abc.DisposableBase:
            nonlocal left
            if left == 0:
                return transport(request).subscribe(observer, scheduler=scheduler)
            left -= 1
            return _refuse_dial(observer, error or HandshakeRefused(status))

        return lambda request: Observable(partial(dial, request))

    return apply


def slow(seconds: float) -> Fault:
    """Let everything arrive some seconds later, in order: the handshake's answer, messages, closes.

    Examples:
        >>> Socket(url, transport=slow(0.2)(websockets_transport))
    """
    delay = checked("slow(seconds)", seconds)
    return _observed_by(lambda observer: FaultyObserver(observer, delay=lambda: delay))


def corrupt(every: int = 1, *, damage: Damage | None = None) -> Fault:
    """Damage some messages.

    Args:
        every: Which: 10 damages the tenth, the twentieth, …
        damage: Returns the damaged message; left out, the second half is cut off.

    Examples:
        >>> Socket(feed.url, transport=corrupt(every=10)(feed))
    """
    whole_number("corrupt(every)", every)
    apply = damage or _first_half
    count = 0

    def damaged(data: Payload) -> Payload:
        nonlocal count
        count += 1
        return data if count % every else apply(data)

    return _observed_by(lambda observer: FaultyObserver(observer, damage=damaged))


def _first_half(data: Payload) -> Payload:
    return data[: len(data) // 2]


class Faults:
    """A transport whose faults are made by hand. Made by :func:`faults`."""

    def __init__(self, transport: Transport) -> None:
        self._transport = _observed_by(self._new_observer)(transport)
        self._observers: WeakSet[FaultyObserver] = WeakSet()
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
                return _refuse_dial(observer, self._refusal)
            return self._transport(request).subscribe(observer, scheduler=scheduler)

        return Observable(subscribe)

    def _new_observer(self, observer: abc.ObserverBase[Signal]) -> FaultyObserver:
        faulty = FaultyObserver(observer, delay=lambda: self._delay, damage=self._damaged)
        self._observers.add(faulty)
        return faulty

    def _damaged(self, data: Payload) -> Payload:
        return data if self._damage is None else self._damage(data)

    def drop(self) -> None:
        """Lose every link that is open, now."""
        if self._loop is not None and not self._loop.is_closed():
            for observer in tuple(self._observers):
                self._loop.call_soon_threadsafe(observer.drop)

    def refuse(self, status: int = 503, *, error: Exception | None = None) -> None:
        """From now on refuse every dial."""
        self._refusal = error or HandshakeRefused(status)

    def slow(self, seconds: float) -> None:
        """From now on let everything arrive some seconds later."""
        self._delay = checked("slow(seconds)", seconds)

    def corrupt(self, damage: Damage | None = None) -> None:
        """From now on damage every message."""
        self._damage = damage or _first_half

    def heal(self) -> None:
        """From now on no faults."""
        self._refusal, self._delay, self._damage = None, 0.0, None


def faults(transport: Transport = websockets_transport) -> Faults:
    """A transport whose faults are made by hand, at a prompt or in a notebook.

    Every method may be called from any thread.

    Args:
        transport: The transport inside; left out, the real one.

    Examples:
        >>> network = faults()
        >>> socket = Socket(url, transport=network)
        >>> network.drop()            # what does the socket do?
        >>> network.refuse(503)       # and now?
        >>> network.heal()
    """
    return Faults(transport)
