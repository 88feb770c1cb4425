"""The pulse of an event loop: it tells when the loop was blocked, and when time jumped (C17).

One timer a loop, once a second, whatever the number of sockets on it. It compares three things:
when it was due, when it ran, and how far the wall clock went meanwhile.

::

    due ------ ran late                      the loop was blocked: nothing could be read
    loop time goes on, wall time jumped      the computer slept: links may be dead, timers are late


What one socket does about the pulse of its loop: it probes, and does not sleep on (C17).
"""

from __future__ import annotations

import asyncio
import threading
import weakref
from typing import Protocol

from rxsocket.events import Event, Resumed
from rxsocket.runtime.loop import SocketLoop
from rxsocket.runtime.threads import wall_clock

__all__ = ["LoopListener", "LoopMonitor", "loop_monitor"]

PERIOD = 1.0
"""Seconds between two beats."""
BLOCKED = 1.0
"""Seconds that a beat must be late for the loop to count as blocked."""
JUMP = 3.0
"""Seconds that the wall clock must run ahead of the loop's to count as a jump."""


class Listener(Protocol):
    """Who is told."""

    def blocked(self, seconds: float) -> None:
        """The loop was blocked until now."""
        ...

    def jumped(self, seconds: float) -> None:
        """The wall clock went ahead of the loop's."""
        ...


class LoopMonitor:
    """The pulse of one loop; make it with :func:`loop_monitor`. It beats while somebody listens."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = weakref.ref(loop)
        self._listeners: dict[Listener, None] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._due = 0.0
        self._ahead = 0.0
        self._block = (0.0, 0.0)

    def join(self, listener: Listener) -> None:
        """Tell somebody, on the loop, until they leave."""
        self._listeners[listener] = None
        if self._timer is None:
            self._block = (0.0, 0.0)
            self._begin()

    def leave(self, listener: Listener) -> None:
        """Tell them no more."""
        self._listeners.pop(listener, None)
        if not self._listeners and self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def blocked_since(self, begin: float) -> float:
        """Seconds that the loop was blocked, by a block that ended after ``begin`` (loop time)."""
        loop = self._loop()
        if loop is None or self._timer is None:
            return 0.0
        ended, seconds = self._block
        overdue = loop.time() - self._due
        longest = max(overdue, seconds if ended >= begin else 0.0)
        return longest if longest >= BLOCKED else 0.0

    def _begin(self) -> None:
        loop = self._loop()
        if loop is not None:
            now = loop.time()
            self._ahead = wall_clock(loop)() - now
            self._beat_next(loop, now)

    def _beat_next(self, loop: asyncio.AbstractEventLoop, now: float) -> None:
        self._due = now + PERIOD
        self._timer = loop.call_at(self._due, self._beat)

    def _beat(self) -> None:
        loop = self._loop()
        if loop is None:
            return
        now = loop.time()
        late, ahead = now - self._due, wall_clock(loop)() - now
        jump, self._ahead = ahead - self._ahead, ahead
        self._beat_next(loop, now)
        if late >= BLOCKED:
            self._block = (now, late)
        if jump > JUMP:
            for listener in tuple(self._listeners):
                listener.jumped(jump)
        elif late >= BLOCKED:
            for listener in tuple(self._listeners):
                listener.blocked(late)


_pulses: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, LoopMonitor] = (
    weakref.WeakKeyDictionary()
)
_lock = threading.Lock()


def loop_monitor(loop: asyncio.AbstractEventLoop) -> LoopMonitor:
    """The pulse of a loop."""
    with _lock:
        if loop not in _pulses:
            _pulses[loop] = LoopMonitor(loop)
        return _pulses[loop]


class Watched(Protocol):
    """Who looks after a link that is open."""

    def probe(self, jumped: float) -> None:
        """Time jumped by so many seconds or, if 0, the loop was blocked: look at the link."""
        ...


class Told(Protocol):
    """Who lets events be known."""

    def publish(self, event: Event) -> None:
        """Something happened."""
        ...


class LoopListener:
    """Listens to the pulse while there is a link to look at, or a wait to cut short.

    Its methods are called on the home loop.

    Args:
        home: The loop.
        told: Lets an event be known.
    """

    def __init__(self, loop: SocketLoop, told: Told) -> None:
        self._loop = loop
        self._told = told
        self._pulse: LoopMonitor | None = None
        self._watched: tuple[Watched, ...] = ()
        self._sleepers: tuple[_Sleeper, ...] = ()

    def attend(self, watched: Watched) -> None:
        """Let somebody probe their link when there is reason to."""
        self._watched = (*self._watched, watched)
        self._listen()

    def leave(self, watched: Watched) -> None:
        """Their link is over."""
        self._watched = tuple(one for one in self._watched if one is not watched)
        self._listen()

    def blocked_since(self, begin: float) -> float:
        """Seconds that the loop was blocked, by a block that ended after ``begin``."""
        return loop_monitor(self._loop.event_loop).blocked_since(begin)

    async def sleep(self, seconds: float, firm: float = 0.0) -> None:
        """Sleep until then, or until time jumps.

        Args:
            seconds: How long.
            firm: Seconds of wall time that it takes at least, even so: the server asked for them.
        """
        sleeper = _Sleeper(self._loop, seconds, firm)
        self._sleepers = (*self._sleepers, sleeper)
        self._listen()
        try:
            await sleeper.slept
        finally:
            sleeper.stop()
            self._sleepers = tuple(one for one in self._sleepers if one is not sleeper)
            self._listen()

    def blocked(self, seconds: float) -> None:
        """The loop was blocked: what the peer makes of it shows when it is asked."""
        for watched in self._watched:
            watched.probe(0.0)

    def jumped(self, seconds: float) -> None:
        """The computer slept, or its clock was set."""
        self._told.publish(Resumed(slept=seconds, at=self._loop.wall_time()))
        for watched in self._watched:
            watched.probe(seconds)
        for sleeper in self._sleepers:
            sleeper.wake()

    def _listen(self) -> None:
        needed = bool(self._watched or self._sleepers)
        if needed and self._pulse is None:
            self._pulse = loop_monitor(self._loop.event_loop)
            self._pulse.join(self)
        elif self._pulse is not None and not needed:
            self._pulse.leave(self)
            self._pulse = None


class _Sleeper:
    def __init__(self, loop: SocketLoop, seconds: float, firm: float) -> None:
        self._loop = loop
        self._firm_until = loop.wall_time() + firm
        self.slept: asyncio.Future[None] = loop.event_loop.create_future()
        self._timer = loop.event_loop.call_later(seconds, self._done)

    def wake(self) -> None:
        self._timer.cancel()
        rest = self._firm_until - self._loop.wall_time()
        self._timer = self._loop.event_loop.call_later(max(0.0, rest), self._done)

    def stop(self) -> None:
        self._timer.cancel()

    def _done(self) -> None:
        if not self.slept.done():
            self.slept.set_result(None)
