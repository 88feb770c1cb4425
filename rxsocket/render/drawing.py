"""The thread that draws: no picture keeps the thread of the sockets, or a cell, from going on.

It runs while a picture is shown, or has something to be saved, and ends with the last of them. A
forked child draws nothing of what its parent shows.
"""

from __future__ import annotations

import asyncio
import os
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from weakref import WeakSet

from rxsocket.runtime.threads import Background

_thread = Background("rxsocket-drawing")


class Timer:
    """Calls a function once, after a time, on the thread that draws.

    The thread is kept while there is something to call. Of two times, the earlier one counts.

    Args:
        function: Called on the loop.
        loop: The loop to call it on; left out, that of the thread that draws.

    Attributes:
        due: When it will be called, by the loop's time; ``None`` if it will not.
    """

    def __init__(
        self, function: Callable[[], None], loop: asyncio.AbstractEventLoop | None = None
    ) -> None:
        self._function = function
        self._given_loop = loop
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._handle: asyncio.TimerHandle | None = None
        self._delay: float | None = None
        self._is_of_parent = False
        self.due: float | None = None
        _timers.add(self)

    def now(self) -> float:
        """The loop's time."""
        return time.monotonic() if self._given_loop is None else self._given_loop.time()

    def set(self, delay: float) -> None:
        """Call it in so many seconds, counted from when the loop gets to it; from any thread."""
        due = self.now() + delay
        if self._is_of_parent or (self.due is not None and self.due <= due):
            return
        with suppress(RuntimeError):  # the loop was closed, or the process ends: nobody looks
            loop = self._acquired()
            with self._lock:
                self.due, self._delay = due, delay
            loop.call_soon_threadsafe(self._start)

    def cancel(self) -> None:
        """Do not call it; from any thread."""
        with self._lock:
            self.due = self._delay = None
            loop = self._loop
        if loop is not None:
            with suppress(RuntimeError):
                loop.call_soon_threadsafe(self._start)

    def forget(self) -> None:
        """Never call it again, as this process is a child of the one that shows the picture."""
        self._lock = threading.Lock()
        self._loop = self._handle = self._delay = self.due = None
        self._is_of_parent = True

    def _acquired(self) -> asyncio.AbstractEventLoop:
        loop = self._loop
        if loop is not None:
            return loop
        new = self._given_loop or _thread.acquire()
        with self._lock:
            if self._loop is None:
                self._loop = new
                return new
            loop = self._loop
        self._release(new)
        return loop

    def _release(self, loop: asyncio.AbstractEventLoop) -> None:
        if self._given_loop is None:
            _thread.release(loop)

    # --- on the loop

    def _start(self) -> None:
        """Wait for the newest time, or give the loop back if there is none."""
        with self._lock:
            loop, delay, self._delay = self._loop, self._delay, None
            if loop is None or (delay is None and self.due is not None):
                return
            if self._handle is not None:
                self._handle.cancel()
                self._handle = None
            if delay is not None:
                self._handle = loop.call_later(max(0.0, delay), self._call)
                return
            self._loop = None
        self._release(loop)

    def _call(self) -> None:
        with self._lock:
            self._handle = None
            is_due, self.due = self.due is not None, None
        try:
            if is_due:
                self._function()
        finally:
            self._start()


_timers: WeakSet[Timer] = WeakSet()


def _forget() -> None:
    _thread.forget()
    for timer in tuple(_timers):
        timer.forget()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)
