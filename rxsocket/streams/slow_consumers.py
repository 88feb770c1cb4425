"""Observers that hold the loop, found without timing every call (C27).

::

    read          burst----|             burst----|          burst------|
    took longer         no                    yes                 yes
    timed                                          [each observer------------- 10 s
    SlowConsumer                                                        named

Messages that are read in one go are a *burst*. Only its beginning and its end are timed, until one
has taken too long: then, for some seconds, each observer is.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rxsocket.runtime.loop import SocketLoop
from rxsocket.streams.multicast import SafeObserver

__all__ = ["SlowConsumerDetector"]

TOO_LONG = 0.1
"""Seconds of one burst."""
SUSPICIOUS = 10.0
"""Seconds for which observers are timed after a burst that took too long."""
AGAIN = 60.0
"""Seconds until the same observer may be named again."""


class SlowConsumerDetector:
    """Times the bursts of one socket. Its methods are called on the loop.

    Args:
        home: Where observers are called.
        slow: Told of an observer that took too long: its name, its stream's, the seconds.
    """

    def __init__(self, loop: SocketLoop, slow: Callable[[str, str, float], None]) -> None:
        self._loop = loop
        self._slow = slow
        self._began = 0.0
        self._suspicious_until = 0.0
        self._spent: dict[SafeObserver[Any], tuple[str, float]] = {}
        self._named: dict[SafeObserver[Any], float] = {}
        self.running = False

    def reset(self) -> None:
        """A connection opens; the burst of one before may have ended with its loop."""
        self.running = False

    def start(self) -> None:
        """The first message of a burst is about to be delivered."""
        self.running = True
        loop = self._loop.event_loop
        self._began = loop.time()
        loop.call_soon(self._over, loop.time)

    def _over(self, clock: Callable[[], float]) -> None:
        """Everything that was read in one go is delivered."""
        self.running = False
        now = clock()
        if now - self._began > TOO_LONG:
            self._suspicious_until = now + SUSPICIOUS
            self._loop.timing = self._timed
        elif self._loop.timing is not None and now > self._suspicious_until:
            self._loop.timing = None
            self._named.clear()
        if self._spent:
            self._name(now)

    def _timed(self, fence: SafeObserver[Any], stream: str, value: Any) -> None:
        clock = self._loop.event_loop.time
        before = clock()
        fence.on_next(value)
        _, spent = self._spent.get(fence, (stream, 0.0))
        self._spent[fence] = (stream, spent + clock() - before)

    def _name(self, now: float) -> None:
        measured, self._spent = self._spent, {}
        for fence, (stream, spent) in measured.items():
            if spent > TOO_LONG and now >= self._named.get(fence, 0.0):
                self._named[fence] = now + AGAIN
                self._slow(fence.subscribed_by, stream, spent)
