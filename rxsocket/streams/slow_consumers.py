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

import asyncio
from collections.abc import Callable
from typing import Any
from weakref import WeakKeyDictionary

from rxsocket.runtime.loop import SocketLoop
from rxsocket.streams.multicast import SafeObserver

TOO_LONG = 0.1
"""Seconds of one burst."""
SUSPICIOUS = 10.0
"""Seconds for which observers are timed after a burst that took too long."""
AGAIN = 60.0
"""Seconds until the same observer may be named again."""


class SlowConsumerDetector:
    """Times the bursts of one socket; to be called on its loop.

    Args:
        loop: Where observers are called.
        on_slow: Called for an observer that took too long: its name, its stream's, the seconds.
    """

    def __init__(self, loop: SocketLoop, on_slow: Callable[[str, str, float], None]) -> None:
        self._loop = loop
        self._on_slow = on_slow
        self._event_loop: asyncio.AbstractEventLoop | None = None
        self._started_at = 0.0
        self._suspicious_until = 0.0
        self._spent: dict[SafeObserver[Any], tuple[str, float]] | None = None
        self._named_until: WeakKeyDictionary[SafeObserver[Any], float] | None = None
        self.is_timing_burst = False

    def start_burst(self) -> None:
        """Time what is delivered until the loop's next turn."""
        self.is_timing_burst = True
        self._event_loop = loop = self._loop.event_loop
        self._started_at = loop.time()
        loop.call_soon(self._end_burst, loop)

    def abandon_burst(self) -> None:
        """Forget the burst of a connection before: its loop may have ended in the middle of it."""
        self.is_timing_burst = False

    def stop(self) -> None:
        """Stop timing observers, as the socket stopped, and let go of its loop."""
        self.abandon_burst()
        self._event_loop = self._loop.timing = self._spent = self._named_until = None

    def _end_burst(self, loop: asyncio.AbstractEventLoop) -> None:
        if loop is not self._event_loop:
            return  # the socket stopped meanwhile
        self.is_timing_burst = False
        now = loop.time()
        if now - self._started_at > TOO_LONG:
            self._suspicious_until = now + SUSPICIOUS
            self._loop.timing = self._time_observer
        elif self._loop.timing is not None and now > self._suspicious_until:
            self._loop.timing = self._named_until = None
        self._name_slow_ones(now)

    def _time_observer(self, observer: SafeObserver[Any], stream: str, value: Any) -> None:
        loop = self._event_loop
        before = 0.0 if loop is None else loop.time()
        observer.on_next(value)
        if loop is None or loop is not self._event_loop:
            return  # the socket stopped in the middle of it
        if self._spent is None:
            self._spent = {}
        _, spent = self._spent.get(observer, (stream, 0.0))
        self._spent[observer] = (stream, spent + loop.time() - before)

    def _name_slow_ones(self, now: float) -> None:
        measured, self._spent = self._spent, None
        for observer, (stream, spent) in (measured or {}).items():
            if spent <= TOO_LONG:
                continue
            if self._named_until is None:
                self._named_until = WeakKeyDictionary()
            if now >= self._named_until.get(observer, 0.0):
                self._named_until[observer] = now + AGAIN
                self._on_slow(observer.subscribed_by, stream, spent)
