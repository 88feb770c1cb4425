"""Which loop a socket lives on, and the order of what happens to it (C24, C25).

Everything about a socket happens on one event loop, one thing at a time: its *home*.

- ``loop=`` was given: that loop.
- An asyncio loop runs here: that loop; I/O and delivery are on it.
- Neither, or in an IPython kernel (whose loop a busy cell stalls): one background thread that all
  such sockets share. It starts with the first of them and ends with the last.

A loop is chosen when the socket starts and let go when nothing of the socket is left on it. Before
and after that there is nothing to be concurrent with, and calls are carried out where they are
made.


Coroutines as something to dispose.
"""

from __future__ import annotations

import asyncio
import logging
import sys
import threading
from collections import deque
from collections.abc import Awaitable, Callable, Collection
from contextlib import AbstractContextManager, suppress
from functools import partial
from typing import Any, Generic, TypeAlias, TypeVar

from reactivex import abc

from rxsocket.runtime.threads import background, running_loop, wall_clock

__all__ = ["SocketLoop", "run_in_task"]

logger = logging.getLogger("rxsocket")


Timing: TypeAlias = Callable[[Any, str, Any], None]


def _kernel_loop() -> asyncio.AbstractEventLoop | None:
    """The loop of the IPython kernel that this process is, if it is one."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    kernel = getattr(shell, "kernel", None)
    io_loop = getattr(kernel, "io_loop", None)
    loop: asyncio.AbstractEventLoop | None = getattr(io_loop, "asyncio_loop", None)
    return loop


def _nothing() -> None:
    """Give nothing back: a loop of the user's own is not counted."""


class SocketLoop:
    """The loop of one socket, and the queue of what is to happen on it.

    Args:
        loop: The loop to use, or ``None`` to choose when the socket starts.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop | None = None) -> None:
        self._given = loop
        self.lock = threading.RLock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._shared = False
        self._arrivals: list[Callable[[], None]] | None = None
        self._arriving = False
        self._actions: deque[Callable[[], None]] = deque()
        self._turns = 0
        self._releasing = False
        self.timing: Timing | None = None
        """Calls one observer and times it, while some observer is under suspicion."""
        self.replay_time: Callable[[], float] | None = None
        """The time that it was then, where a recording happens again."""

    @property
    def event_loop(self) -> asyncio.AbstractEventLoop:
        """The loop, while the socket runs."""
        if self._loop is None:
            raise RuntimeError("the socket is not running")
        return self._loop

    @property
    def is_current(self) -> bool:
        """Whether this is the thread of the loop, with the loop running."""
        return self._loop is not None and running_loop() is self._loop

    @property
    def is_idle(self) -> bool:
        """Whether this is the thread of the loop, and nothing is being carried out just now."""
        return not self._turns and self._loop is not None and running_loop() is self._loop

    @property
    def candidate(self) -> asyncio.AbstractEventLoop | None:
        """The loop it is bound to, or would be here and now; ``None`` if none runs yet."""
        loop = self._loop
        if loop is not None and not loop.is_closed():
            return loop
        if self._given is not None:
            return self._given
        running = running_loop()
        return None if running is _kernel_loop() else running

    def acquire(self) -> tuple[asyncio.AbstractEventLoop, Callable[[], None]]:
        """The loop, for what may outlast the socket's run, and what gives it back."""
        with self.lock:
            loop = self.candidate
            if loop is not None and not background.serves(loop):
                return loop, _nothing
            loop = background.acquire()
            return loop, partial(background.release, loop)

    def wall_time(self) -> float:
        """Seconds since the epoch; those of then where a recording happens again."""
        return self.real_time() if self.replay_time is None else self.replay_time()

    def real_time(self) -> float:
        """Seconds since the epoch, on the clock that goes with the loop."""
        return wall_clock(self._loop or self._given or running_loop())()

    def bind(self) -> None:
        """Choose the loop, if none is chosen."""
        with self.lock:
            if self._loop is not None:
                return
            loop = self.candidate
            if loop is None or background.serves(loop):
                self._loop, self._shared = background.acquire(), True
            else:
                self._loop = loop

    @property
    def shared(self) -> bool:
        """Whether the loop is the background thread's."""
        return self._shared

    def release(self, unused: Callable[[], bool]) -> None:
        """Let the loop go when what is being carried out is over, if it is ``unused()`` then."""
        loop = self._loop
        if loop is None or self._releasing:
            return
        self._releasing = True
        loop.call_soon(self._release, unused)

    def _release(self, unused: Callable[[], bool]) -> None:
        with self.lock:
            loop = self._loop
            if loop is not None and self._arriving:
                loop.call_soon(self._release, unused)  # after what is on its way
                return
            self._releasing = False
            if loop is None or not unused():
                return
            self._loop = None
            if self._shared:
                self._shared = False
                background.release(loop)

    def run(self, action: Callable[[], None]) -> None:
        """Carry out an action on the loop, after everything that was asked for before (C24).

        From the loop itself it is carried out at once, unless an emission is going on: then it
        waits for that one to be over. From elsewhere it is handed over without waiting.
        """
        if self.is_current:
            self._act(action)
            return
        with self.lock:
            if self._arrivals is None:
                self._arrivals = []
            self._arrivals.append(action)
            if self._loop is not None and not self._loop.is_closed():
                if self._arriving:
                    return  # whoever wakes the loop takes this one along, in order
                self._arriving = True
                with suppress(RuntimeError):  # closed between the lines
                    self._loop.call_soon_threadsafe(self._arrive)
                    return
            if self._loop is not None:
                self._loop, self._shared, self._releasing = None, False, False
            self._arriving = False
            while self._arrivals:
                self._act(self._arrivals.pop(0))
            self._arrivals = None

    def turn(self) -> AbstractContextManager[None]:
        """For ``with``: what is asked for inside is carried out when the outermost turn ends."""
        return self

    def __enter__(self) -> None:
        self._turns += 1

    def __exit__(self, *_: object) -> None:
        try:
            if self._turns == 1:
                self._carry_out()
        finally:
            self._turns -= 1

    @property
    def pending(self) -> Collection[object]:
        """What is to be carried out when the turn ends: empty if nothing is."""
        return self._actions

    def run_pending(self) -> None:
        """Between two values of a turn: carry out what was asked for, as at the end of it.

        With a turn around this one, it is left to that one.
        """
        if self._turns == 1:
            self._carry_out()

    def _arrive(self) -> None:
        """Carry out what came from other threads; what comes meanwhile waits for its next turn."""
        with self.lock:  # also: a call that is carried out where it was made is over
            arrivals, self._arrivals = self._arrivals, None
        for action in arrivals or ():
            self._act(action)
        with self.lock:
            if self._arrivals and self._loop is not None:
                self._loop.call_soon(self._arrive)
            else:
                self._arriving = False

    def _act(self, action: Callable[[], None]) -> None:
        self._actions.append(action)
        if not self._turns:
            with self:
                pass

    def _carry_out(self) -> None:
        while self._actions:
            action = self._actions.popleft()
            try:
                action()
            except Exception:
                # A bug of ours; what was asked for after it must still happen.
                logger.exception("an action of the socket failed unexpectedly")


T = TypeVar("T")


def run_in_task(
    loop: SocketLoop,
    function: Callable[[], Awaitable[T]],
    done: Callable[[T], None],
    failed: Callable[[Exception], None],
) -> abc.DisposableBase:
    """Run a coroutine; what comes of it is told within a turn. Disposing cancels it."""
    return _Running(loop, function, done, failed)


class _Running(abc.DisposableBase, Generic[T]):
    __slots__ = ("_done", "_failed", "_loop", "_task")

    def __init__(
        self,
        loop: SocketLoop,
        function: Callable[[], Awaitable[T]],
        done: Callable[[T], None],
        failed: Callable[[Exception], None],
    ) -> None:
        self._loop = loop
        self._done = done
        self._failed = failed
        self._task = loop.event_loop.create_task(self._run(function))

    def dispose(self) -> None:
        self._task.cancel()

    async def _run(self, function: Callable[[], Awaitable[T]]) -> None:
        try:
            result = await function()
        except Exception as error:
            with self._loop.turn():
                self._failed(error)
        else:
            with self._loop.turn():
                self._done(result)
