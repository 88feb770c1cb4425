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


Faults by hand, at a prompt or in a notebook.

What comes of one dial, on its way through a fault.
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

__all__ = [
    "Damage",
    "Fault",
    "Faults",
    "Payload",
    "Relay",
    "Slow",
    "corrupt",
    "drop_every",
    "faults",
    "halved",
    "refuse",
    "refused",
    "slow",
]

Payload: TypeAlias = str | bytes
Damage: TypeAlias = Callable[[Payload], Payload]

LOST = PeerClosed(1006, lost=True)


class Relay(abc.ObserverBase[Signal]):
    """Passes on what comes of one dial; subclasses do something to it."""

    def __init__(self, observer: abc.ObserverBase[Signal]) -> None:
        self.observer = observer
        self.link: Link | None = None
        self.over = False

    def on_next(self, value: Signal) -> None:
        """Something came: the link, a message, or the end."""
        if self.over:
            return
        if isinstance(value, (str, bytes)):
            self.message(value)
        elif isinstance(value, list):
            for message in value:
                self.message(message)
        elif isinstance(value, PeerClosed):
            self.observer.on_next(value)
        else:
            self.link = value
            self.opened(value)

    def on_error(self, error: Exception) -> None:
        """The link was not opened, or was lost."""
        if not self.over:
            self.observer.on_error(error)

    def on_completed(self) -> None:
        """Nothing more comes."""
        if not self.over:
            self.observer.on_completed()

    def opened(self, link: Link) -> None:
        """The link is open."""
        self.observer.on_next(link)

    def message(self, data: Payload) -> None:
        """A message came."""
        self.observer.on_next(data)

    def drop(self) -> None:
        """Cut the link, as if the network had."""
        if self.link is None or self.over:
            return
        self.over = True
        self.link.abort()
        self.observer.on_next(LOST)
        self.observer.on_completed()

    def leave(self) -> None:
        """The socket left."""
        self.over = True


class Slow(Relay):
    """Passes everything on later, in order."""

    def __init__(self, observer: abc.ObserverBase[Signal], late: Callable[[], float]) -> None:
        super().__init__(observer)
        self._late = late
        self._way: deque[Callable[[], None]] = deque()
        self._timers: set[asyncio.TimerHandle] = set()
        self._arrives = 0.0

    def on_next(self, value: Signal) -> None:
        """Pass it on later."""
        self._later(lambda: super(Slow, self).on_next(value))

    def on_error(self, error: Exception) -> None:
        """Pass it on later."""
        self._later(lambda: super(Slow, self).on_error(error))

    def on_completed(self) -> None:
        """Pass it on later."""
        self._later(super().on_completed)

    def leave(self) -> None:
        """The socket left: what is on its way does not arrive."""
        super().leave()
        for timer in self._timers:
            timer.cancel()

    def _later(self, action: Callable[[], None]) -> None:
        if self.over:
            return
        loop = asyncio.get_running_loop()
        self._arrives = max(self._arrives, loop.time() + self._late())
        if self._arrives <= loop.time() and not self._way:
            action()
            return

        def arrive() -> None:
            self._timers.discard(timer)
            self._way.popleft()()

        self._way.append(action)
        timer = loop.call_at(self._arrives, arrive)
        self._timers.add(timer)


def halved(data: Payload) -> Payload:
    """The first half of a message."""
    return data[: len(data) // 2]


Fault: TypeAlias = Callable[[Transport], Transport]


def _through(make: Callable[[abc.ObserverBase[Signal]], Relay]) -> Fault:
    """A fault that lets every dial go through a relay."""

    def apply(transport: Transport) -> Transport:
        def faulty(request: Request) -> Observable[Signal]:
            source = transport(request)

            def subscribe(
                observer: abc.ObserverBase[Signal], scheduler: abc.SchedulerBase | None = None
            ) -> abc.DisposableBase:
                relay = make(observer)
                return CompositeDisposable(
                    source.subscribe(relay, scheduler=scheduler), Disposable(relay.leave)
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
    life = None if seconds is None else checked("drop_every(seconds)", seconds)
    return _through(lambda observer: _Dropping(observer, messages, life))


class _Dropping(Relay):
    def __init__(
        self, observer: abc.ObserverBase[Signal], messages: int | None, life: float | None
    ) -> None:
        super().__init__(observer)
        self._left = messages
        self._life = life
        self._timer: asyncio.TimerHandle | None = None

    def opened(self, link: Link) -> None:
        if self._life is not None:
            self._timer = asyncio.get_running_loop().call_later(self._life, self.drop)
        super().opened(link)

    def message(self, data: Payload) -> None:
        if self._left is None:
            super().message(data)
        elif self._left == 0:
            self.drop()
        else:
            self._left -= 1
            super().message(data)

    def on_completed(self) -> None:
        self.stop()
        super().on_completed()

    def leave(self) -> None:
        self.stop()
        super().leave()

    def stop(self) -> None:
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
                return refused(observer, HandshakeRefused(status) if error is None else error)

            return Observable(subscribe)

        return faulty

    return apply


def refused(observer: abc.ObserverBase[Signal], error: Exception) -> abc.DisposableBase:
    """Fail a dial."""
    # Not at once: no network answers before the question was asked.
    return Disposable(asyncio.get_running_loop().call_soon(observer.on_error, error).cancel)


def slow(seconds: float) -> Fault:
    """Let everything arrive some seconds later, in order: the handshake's answer, messages, closes.

    Examples:
        >>> Socket(url, transport=slow(0.2)(websockets_transport))
    """
    late = checked("slow(seconds)", seconds)
    return _through(lambda observer: Slow(observer, lambda: late))


def corrupt(every: int = 1, *, damage: Damage | None = None) -> Fault:
    """Damage some messages.

    Args:
        every: Which: 10 damages the tenth, the twentieth, …
        damage: What becomes of one; left out, its second half is missing.

    Examples:
        >>> Socket(feed.url, transport=corrupt(every=10)(feed))
    """
    _positive("corrupt(every)", every)
    spoil = halved if damage is None else damage
    count = 0

    def spoiled(data: Payload) -> Payload:
        nonlocal count
        count += 1
        return data if count % every else spoil(data)

    return _through(lambda observer: _Corrupting(observer, spoiled))


class _Corrupting(Relay):
    def __init__(self, observer: abc.ObserverBase[Signal], spoiled: Damage) -> None:
        super().__init__(observer)
        self._spoiled = spoiled

    def message(self, data: Payload) -> None:
        super().message(self._spoiled(data))


def _positive(name: str, value: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise TypeError(f"{name}: pass a whole number, not {value!r}")
    if value < 1:
        raise ValueError(f"{name}: pass 1 or more, not {value}")


class Faults:
    """Faults by hand: a transport, and the hand on it. Made by :func:`faults`."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport
        self._relays: set[_ByHand] = set()
        self._refusal: Exception | None = None
        self._late = 0.0
        self._damage: Damage | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    def __call__(self, request: Request) -> Observable[Signal]:
        """The connection that a request leads to, with the faults of the moment."""

        def subscribe(
            observer: abc.ObserverBase[Signal], scheduler: abc.SchedulerBase | None = None
        ) -> abc.DisposableBase:
            self._loop = asyncio.get_running_loop()
            if self._refusal is not None:
                return refused(observer, self._refusal)
            relay = _ByHand(observer, lambda: self._late, self._spoiled)
            self._relays.add(relay)
            dialled = SerialDisposable()

            def leave() -> None:
                self._relays.discard(relay)
                relay.leave()

            dialled.disposable = self._transport(request).subscribe(relay, scheduler=scheduler)
            return CompositeDisposable(dialled, Disposable(leave))

        return Observable(subscribe)

    def drop(self) -> None:
        """Lose every link that is open, now."""
        for relay in tuple(self._relays):
            self._on_the_loop(relay.drop)

    def refuse(self, status: int = 503, *, error: Exception | None = None) -> None:
        """From now on refuse every dial."""
        self._refusal = HandshakeRefused(status) if error is None else error

    def slow(self, seconds: float) -> None:
        """From now on let everything arrive some seconds later."""
        self._late = checked("slow(seconds)", seconds)

    def corrupt(self, damage: Damage | None = None) -> None:
        """From now on damage every message."""
        self._damage = damage or halved

    def heal(self) -> None:
        """From now on no faults."""
        self._refusal, self._late, self._damage = None, 0.0, None

    def _spoiled(self, data: Payload) -> Payload:
        return data if self._damage is None else self._damage(data)

    def _on_the_loop(self, action: Callable[[], None]) -> None:
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(action)


class _ByHand(Slow):
    def __init__(
        self, observer: abc.ObserverBase[Signal], late: Callable[[], float], spoiled: Damage
    ) -> None:
        super().__init__(observer, late)
        self._spoiled = spoiled

    def message(self, data: Payload) -> None:
        super().message(self._spoiled(data))


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
