"""When the loop of a socket was blocked, when time jumped (C17), and when a page woke up (C57).

A :class:`LoopMonitor` is one timer for each loop, once a second, whatever the number of sockets. It
compares three things: when it was due, when it ran, and how far the wall clock went meanwhile. A
:class:`LoopListener` is what one socket does about it: it probes links and cuts waits short.

::

    due ------ ran late                      the loop was blocked: nothing could be read
    loop time goes on, wall time jumped      the computer slept: links may be dead, timers are late
    the page says so                         it was hidden, frozen or offline: likewise
"""

from __future__ import annotations

import asyncio
import threading
import weakref
from collections.abc import Callable

from rxsocket.events import Resumed
from rxsocket.runtime.loop import SocketLoop
from rxsocket.runtime.page import PageEvents, is_in_browser
from rxsocket.runtime.threads import wall_clock

PERIOD = 1.0
"""Seconds between two looks."""
BLOCKED = 1.0
"""Seconds that a look must be late for the loop to count as blocked."""
JUMP = 3.0
"""Seconds that the wall clock must run ahead of the loop's to count as a jump."""
REST = 1.0
"""Seconds between two times that the news of a page is acted on, as it may come in bursts."""


class LoopMonitor:
    """The monitor of one loop, from :func:`loop_monitor`. It runs while it has listeners."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = weakref.ref(loop)
        self._listeners: dict[LoopListener, None] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._due = 0.0
        self._ahead = 0.0
        self._block = (0.0, 0.0)
        self._page: PageEvents | None = None
        self._news: asyncio.TimerHandle | None = None
        self._told_at = float("-inf")
        self._is_awake = False

    def add(self, listener: LoopListener) -> None:
        self._listeners[listener] = None
        if self._timer is None:
            self._block = (0.0, 0.0)
            self._start()

    def remove(self, listener: LoopListener) -> None:
        self._listeners.pop(listener, None)
        if not self._listeners and self._timer is not None:
            self._timer.cancel()
            self._timer = None
            self._forget_page()

    def blocked_since(self, begin: float) -> float:
        """Seconds that the loop was blocked, by a block that ended after ``begin`` (loop time)."""
        loop = self._loop()
        if loop is None or self._timer is None:
            return 0.0
        ended, seconds = self._block
        overdue = loop.time() - self._due
        longest = max(overdue, seconds if ended >= begin else 0.0)
        return longest if longest >= BLOCKED else 0.0

    def _start(self) -> None:
        loop = self._loop()
        if loop is not None:
            now = loop.time()
            self._ahead = wall_clock(loop)() - now
            self._schedule(loop, now)
            if is_in_browser():
                self._page = PageEvents(self._on_page)

    def _on_page(self, is_awake: bool) -> None:
        """The page woke up, or went offline: act on it, at most once in a while."""
        loop = self._loop()
        self._is_awake = is_awake
        if loop is not None and self._news is None:
            self._news = loop.call_at(max(loop.time(), self._told_at + REST), self._tell)

    def _tell(self) -> None:
        loop, self._news = self._loop(), None
        if loop is not None:
            self._told_at = loop.time()
        for listener in tuple(self._listeners):
            listener.on_page(self._is_awake)

    def _forget_page(self) -> None:
        page, self._page = self._page, None
        if page is not None:
            page.stop()
        if self._news is not None:
            self._news.cancel()
            self._news = None

    def _schedule(self, loop: asyncio.AbstractEventLoop, now: float) -> None:
        self._due = now + PERIOD
        self._timer = loop.call_at(self._due, self._check)

    def _check(self) -> None:
        loop = self._loop()
        if loop is None:
            return
        now = loop.time()
        late, ahead = now - self._due, wall_clock(loop)() - now
        jump, self._ahead = ahead - self._ahead, ahead
        self._schedule(loop, now)
        if late >= BLOCKED:
            self._block = (now, late)
        if jump > JUMP:
            for listener in tuple(self._listeners):
                listener.on_jumped(jump)
        elif late >= BLOCKED:
            for listener in tuple(self._listeners):
                listener.on_blocked(late)


_monitors: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, LoopMonitor] = (
    weakref.WeakKeyDictionary()
)
_lock = threading.Lock()


def loop_monitor(loop: asyncio.AbstractEventLoop) -> LoopMonitor:
    with _lock:
        if loop not in _monitors:
            _monitors[loop] = LoopMonitor(loop)
        return _monitors[loop]


class LoopListener:
    """Listens to the monitor while a socket has a link to probe, or a wait to cut short.

    Its methods are called on the socket's loop.

    Args:
        loop: The loop.
        publish: Called with ``Resumed``.
    """

    def __init__(self, loop: SocketLoop, publish: Callable[[Resumed], None]) -> None:
        self._loop = loop
        self._publish = publish
        self._monitor: LoopMonitor | None = None
        self._probes: tuple[Callable[[float], None], ...] = ()
        self._sleeps: tuple[_Sleep, ...] = ()

    def add_probe(self, probe: Callable[[float], None]) -> None:
        """Have a link probed: called with the seconds that time jumped, 0 after a block."""
        self._probes = (*self._probes, probe)
        self._listen_if_needed()

    def remove_probe(self, probe: Callable[[float], None]) -> None:
        self._probes = tuple(other for other in self._probes if other != probe)
        self._listen_if_needed()

    def blocked_since(self, begin: float) -> float:
        """Seconds that the loop was blocked, by a block that ended after ``begin``."""
        return loop_monitor(self._loop.event_loop).blocked_since(begin)

    async def sleep(self, seconds: float, firm: float = 0.0) -> None:
        """Sleep until then, or until time jumps.

        Args:
            seconds: How long.
            firm: Seconds of wall time that it takes at least, even so: the server asked for them.
        """
        sleep = _Sleep(self._loop, seconds, firm)
        self._sleeps = (*self._sleeps, sleep)
        self._listen_if_needed()
        try:
            await sleep.ended
        finally:
            sleep.cancel()
            self._sleeps = tuple(other for other in self._sleeps if other is not sleep)
            self._listen_if_needed()

    def on_blocked(self, seconds: float) -> None:
        # What the peer makes of it shows when it is asked.
        for probe in self._probes:
            probe(0.0)

    def on_page(self, is_awake: bool) -> None:
        """The page woke up or, if not, went offline."""
        for probe in self._probes:
            probe(0.0)
        if is_awake:
            for sleep in self._sleeps:
                sleep.cut_short()

    def on_jumped(self, seconds: float) -> None:
        self._publish(Resumed(slept=seconds, at=self._loop.wall_time()))
        for probe in self._probes:
            probe(seconds)
        for sleep in self._sleeps:
            sleep.cut_short()

    def _listen_if_needed(self) -> None:
        is_needed = bool(self._probes or self._sleeps)
        if is_needed and self._monitor is None:
            self._monitor = loop_monitor(self._loop.event_loop)
            self._monitor.add(self)
        elif self._monitor is not None and not is_needed:
            self._monitor.remove(self)
            self._monitor = None


class _Sleep:
    def __init__(self, loop: SocketLoop, seconds: float, firm: float) -> None:
        self._loop = loop
        self._firm_until = loop.wall_time() + firm
        self.ended: asyncio.Future[None] = loop.event_loop.create_future()
        self._timer = loop.event_loop.call_later(seconds, self._end)

    def cut_short(self) -> None:
        self._timer.cancel()
        rest = self._firm_until - self._loop.wall_time()
        self._timer = self._loop.event_loop.call_later(max(0.0, rest), self._end)

    def cancel(self) -> None:
        self._timer.cancel()

    def _end(self) -> None:
        if not self.ended.done():
            self.ended.set_result(None)
