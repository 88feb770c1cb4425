"""Faults by hand, at a prompt or in a notebook."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from reactivex import Observable, abc
from reactivex.disposable import CompositeDisposable, Disposable, SerialDisposable

from rxsocket.arguments import seconds as checked
from rxsocket.errors import HandshakeRefused
from rxsocket.testing.faults import refused
from rxsocket.testing.relay import Damage, Payload, Slow, halved
from rxsocket.transports.seam import Request, Signal, Transport
from rxsocket.transports.websockets import websockets_transport

__all__ = ["Faults", "faults"]


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
