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
from collections.abc import Callable
from typing import TypeAlias

from reactivex import Observable, abc
from reactivex.disposable import CompositeDisposable, Disposable

from rxsocket.arguments import seconds as checked
from rxsocket.errors import HandshakeRefused
from rxsocket.testing.relay import Damage, Payload, Relay, Slow, halved
from rxsocket.transports.seam import Link, Request, Signal, Transport

__all__ = ["Fault", "corrupt", "drop_every", "refuse", "refused", "slow"]

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
