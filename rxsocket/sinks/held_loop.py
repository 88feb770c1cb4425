"""A sink that blocks the loop: found, and said in the log, also while it does (C40).

::

    loop    publish -----------------------blocks------------------   nothing else runs here
    watch      .      .      .     where it is                        a thread of its own looks
    log                            WARNING                       WARNING, how long it took
"""

from __future__ import annotations

import asyncio
import logging
import os
import sys
import threading
import time
from collections.abc import Coroutine
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar
from weakref import WeakSet

from rxsocket.runtime.threads import log
from rxsocket.sinks.sink import Sink

T = TypeVar("T")

TOO_LONG = 0.1
"""Seconds for which the loop may be held."""
AT_ONCE = 1.0
"""Seconds after which that is said at once, and also while it lasts."""
SUSPICIOUS = 10.0
"""Seconds in which it must happen twice to be said, if it is not that long."""
AGAIN = 60.0
"""Seconds until it is said again of the same sink."""
PERIOD = 0.5
"""Seconds between two looks at what holds a loop."""

ADVICE = (
    "meanwhile no socket on that loop reads, sends or answers; await what waits, or run it with "
    "await asyncio.to_thread(...)"
)


class HeldLoop:
    """Knows when functions of a sink hold the loop. One for each subscription, on its loop.

    Args:
        sink: Whose functions they are.
    """

    def __init__(self, sink: Sink) -> None:
        self.sink = sink
        self._name = ""
        self._began = 0.0
        self._since: float | None = None
        self._thread = 0
        self._last, self._said_at = -SUSPICIOUS, -AGAIN
        self._seen: float | None = None

    def open(self) -> None:
        """Look at it from now on, while it runs, too."""
        _watch.add(self)

    def close(self) -> None:
        """Look no more."""
        _watch.remove(self)

    def begin(self, name: str) -> None:
        """A function of the sink's is called."""
        self._name, self._thread = name, threading.get_ident()
        self._began = asyncio.get_running_loop().time()
        self._since = time.monotonic()

    def end(self) -> None:
        """It has returned, or awaits something."""
        self._since = None
        now = asyncio.get_running_loop().time()
        seconds = now - self._began
        if seconds <= TOO_LONG:
            return
        is_first, self._last = now - self._last > SUSPICIOUS, now
        if (is_first and seconds < AT_ONCE) or now - self._said_at < AGAIN:
            return
        self._said_at = now
        text = "%r: %s held the loop for %.3g s: %s"
        log(logging.WARNING, text, self.sink, self._name, seconds, ADVICE)

    def look(self) -> None:
        """Say that it holds the loop right now, if it has for long; from the thread that looks."""
        since = self._since
        if since is None or since == self._seen or time.monotonic() - since < AT_ONCE:
            return
        self._seen = since
        frame = sys._current_frames().get(self._thread)  # pyright: ignore[reportPrivateUsage]
        where = "" if frame is None else f" at {Path(frame.f_code.co_filename).name}"
        if frame is not None:
            where += f":{frame.f_lineno}, in {frame.f_code.co_name}"
        text = "%r: %s has held the loop for over %g s%s: %s"
        log(logging.WARNING, text, self.sink, self._name, AT_ONCE, where, ADVICE)


class Timed(Coroutine[Any, Any, T]):
    """A coroutine of which each step is timed: what it does between two of its waits.

    Args:
        coroutine: The coroutine.
        held: What times it.
        name: What it is, for people.
    """

    def __init__(self, coroutine: Coroutine[Any, Any, T], held: HeldLoop, name: str) -> None:
        self._coroutine = coroutine
        self._held = held
        self._name = name

    def send(self, value: Any) -> Any:
        """Go on until it waits again."""
        self._held.begin(self._name)
        try:
            return self._coroutine.send(value)
        finally:
            self._held.end()

    def throw(
        self,
        typ: type[BaseException] | BaseException,
        val: BaseException | object = None,
        tb: TracebackType | None = None,
    ) -> Any:
        """Raise something where it waits."""
        self._held.begin(self._name)
        try:
            return self._coroutine.throw(typ if isinstance(typ, BaseException) else typ())
        finally:
            self._held.end()

    def close(self) -> None:
        """End it where it waits."""
        self._coroutine.close()

    def __await__(self) -> Any:
        return self._coroutine.__await__()


class _Watch:
    """The thread that looks, while there is anything to look at."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._open: WeakSet[HeldLoop] = WeakSet()
        self._thread: threading.Thread | None = None

    def add(self, held: HeldLoop) -> None:
        with self._changed:
            self._open.add(held)
            if self._thread is None:
                self._thread = threading.Thread(
                    target=self._run, name="rxsocket-sinks", daemon=True
                )
                self._thread.start()

    def remove(self, held: HeldLoop) -> None:
        with self._changed:
            self._open.discard(held)
            self._changed.notify()

    def forget(self) -> None:
        """In a forked child, which has neither the thread nor the loops."""
        self._changed, self._open, self._thread = threading.Condition(), WeakSet(), None

    def _run(self) -> None:
        while True:
            with self._changed:
                if self._open:
                    self._changed.wait(PERIOD)
                looked_at = tuple(self._open)
                if not looked_at:
                    self._thread = None
                    return
            for held in looked_at:
                held.look()
            del looked_at


_watch = _Watch()

if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_watch.forget)
