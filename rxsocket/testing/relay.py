"""What comes of one dial, on its way through a fault."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import TypeAlias

from reactivex import abc

from rxsocket.transports.seam import Link, PeerClosed, Signal

__all__ = ["Damage", "Payload", "Relay", "Slow", "halved"]

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
