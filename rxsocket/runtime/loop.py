"""Which loop a socket lives on, and the order of what happens to it (C24, C25).

Everything about a socket happens on one event loop, one thing at a time.

- ``loop=`` was given: that loop.
- An asyncio loop runs here: that loop; I/O and delivery are on it.
- Neither, or in an IPython kernel (whose loop a busy cell stalls): one background thread that all
  such sockets share. It starts with the first of them and ends with the last.

A socket is *bound* to its loop from its start until nothing of it is left there. The owner of its
actions is the loop while it is bound, and the thread that asks for one while it is not. Invariants,
which tests assert:

- every action of a bound socket runs on its loop;
- actions never overlap, and run in the order in which one thread asked for them;
- no lock is held while an action, and with it a user's function, runs.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections import deque
from collections.abc import Awaitable, Callable, Collection, Iterable
from contextlib import AbstractContextManager, suppress
from functools import partial
from typing import Any, Generic, Protocol, TypeAlias, TypeVar

from reactivex import abc

from rxsocket.runtime.threads import (
    background,
    exit_soon,
    kernel_loop,
    log,
    running_loop,
    wall_clock,
)

logger = logging.getLogger("rxsocket")

T = TypeVar("T")
V = TypeVar("V", contravariant=True)
Action: TypeAlias = Callable[[], None]
Timing: TypeAlias = Callable[[Any, str, Any], None]


class LoopClosed(RuntimeError):
    """What is asked for cannot be done: the loop was closed with the socket on it."""

    def __init__(self) -> None:
        super().__init__("the event loop was closed before the socket: close the socket first")


class Emits(Protocol[V]):
    """What emits values."""

    def emit(self, value: V, /) -> None: ...


class SocketLoop:
    """The loop of one socket, and the queue of the actions on it.

    Args:
        loop: The loop to use, or ``None`` to choose one when the socket starts.

    Attributes:
        lock: Guards what threads share. Held for a few lines at a time, never while a function of
            a user's runs.
        timing: Calls one observer and times it, while some observer is under suspicion (C27).
        replay_time: The time that it was then, where a recording happens again.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop | None = None) -> None:
        self._given = loop
        self.lock = threading.RLock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._shared = False
        self._releasing = self._was_closed = False
        self._waiting: list[Action] = []
        self._draining = False
        self._unbound_drain = False
        self._actions: deque[Action] = deque()
        self._turns = 0
        self.timing: Timing | None = None
        self.replay_time: Callable[[], float] | None = None

    # --- which loop

    @property
    def event_loop(self) -> asyncio.AbstractEventLoop:
        """The asyncio loop, while the socket is bound to one."""
        if self._loop is None:
            raise LoopClosed if self._was_closed else RuntimeError("the socket is not running")
        return self._loop

    @property
    def is_bound(self) -> bool:
        """Whether it is bound to one. A loop that was closed is unbound by the next action."""
        return self._loop is not None

    @property
    def is_shared(self) -> bool:
        """Whether the loop is the background thread's."""
        return self._shared

    @property
    def is_current(self) -> bool:
        """Whether this is the thread of the loop, with the loop running."""
        loop = self._loop  # read once: another thread may unbind it
        return loop is not None and running_loop() is loop

    @property
    def would_be_blocked(self) -> bool:
        """Whether a call that blocks here blocks the loop, which may not have been bound yet."""
        loop = self.candidate
        return loop is not None and loop is running_loop()

    @property
    def is_idle(self) -> bool:
        """Whether this is the thread of the loop, and no action is running."""
        return not self._turns and self.is_current

    @property
    def candidate(self) -> asyncio.AbstractEventLoop | None:
        """The loop it is bound to, or would be here and now; ``None`` for the background thread."""
        loop = self._loop
        if loop is not None and not loop.is_closed():
            return loop
        if self._given is not None:
            return self._given
        running = running_loop()
        return None if running is kernel_loop() else running

    def acquire(self) -> tuple[asyncio.AbstractEventLoop, Callable[[], None]]:
        """A loop for what may outlast the socket's run, and the function that gives it back."""
        with self.lock:
            loop = self.candidate
            if loop is not None and not background.serves(loop):
                return loop, _give_nothing_back
            loop = background.acquire()
            return loop, partial(background.release, loop)

    def forget_parent(self) -> None:
        """In a forked child, in which no other thread runs, nor the loop."""
        self.lock = threading.RLock()
        self._unbind()
        self._waiting, self._draining, self._unbound_drain = [], False, False
        self._actions.clear()
        self._turns, self.timing = 0, None

    def bind(self) -> None:
        with self.lock:
            if self._loop is not None and not self._loop.is_closed():
                return
            self._unbind()
            self._was_closed = False
            loop = self.candidate
            if loop is not None and not background.serves(loop):
                if loop.is_closed():
                    raise RuntimeError("the loop given as loop= is closed: pass another one")
                self._loop = loop
                return
            loop = background.acquire()
            if self._loop is None:
                self._loop, self._shared = loop, True
            else:  # meanwhile, asyncio logged that it makes a loop, and a handler sent that
                background.release(loop)

    def release(self, is_unused: Callable[[], bool]) -> None:
        """Unbind the loop when the actions that are under way are over, if it is unused then."""
        loop = self._loop
        if loop is None or self._releasing:
            return
        self._releasing = True
        loop.call_soon(self._release, is_unused)

    def _unbind(self) -> None:
        self._loop, self._shared, self._releasing = None, False, False

    def _release(self, is_unused: Callable[[], bool]) -> None:
        with self.lock:
            loop = self._loop
            if loop is not None and self._draining:
                loop.call_soon(self._release, is_unused)  # after what is on its way
                return
            self._releasing = False
            if loop is None or not is_unused():
                return
            self._loop = None
            if self._shared:
                self._shared = False
                background.release(loop)

    # --- what time it is

    def time(self) -> float:
        """Seconds on the clock of the loop, or of the process where none is bound."""
        loop = self._loop  # read once: another thread may unbind it
        return time.monotonic() if loop is None else loop.time()

    def wall_time(self) -> float:
        """Seconds since the epoch; those of then where a recording happens again."""
        return self.real_time() if self.replay_time is None else self.replay_time()

    def real_time(self) -> float:
        """Seconds since the epoch, on the clock that goes with the loop."""
        return wall_clock(self._loop or self._given or running_loop())()

    # --- in which order

    def run(self, action: Action) -> None:
        """Run an action on the loop, after everything that was asked for before (C24).

        From the loop itself it runs at once, unless another one is running: then it follows that
        one. From elsewhere it is handed over without waiting. Where no loop is bound it runs here.
        """
        if self.is_current and not self._unbound_drain:
            self._act(action)
            return
        try:
            with self.lock:
                self._waiting.append(action)
                loop = self._loop
                if self._draining and (loop is None or not loop.is_closed()):
                    return  # whoever drains takes this one along, in order
                self._draining = True
            self._hand_over()
        except BaseException:  # a Ctrl-C, between any two lines
            self._recover()
            raise

    def _recover(self) -> None:
        """See to it that what waits is drained, though the thread that was to do it was stopped."""
        with self.lock:
            loop = self._loop
            if loop is None:
                self._draining = self._unbound_drain
                return
        with suppress(RuntimeError):  # it was closed: the next action unbinds it
            loop.call_soon_threadsafe(self._drain)  # once more does no harm

    def _hand_over(self) -> None:
        """Have what waits drained: by the loop, or here where there is none."""
        loop = self._loop
        if loop is not None and running_loop() is loop:
            self._drain()
            return
        if loop is not None and not loop.is_closed():
            with suppress(RuntimeError):  # closed between the lines
                loop.call_soon_threadsafe(self._drain)
                return
        if loop is not None:  # it was closed with the socket still bound to it
            with self.lock:
                self._unbind()
                self._was_closed = True
        self._drain_unbound()

    def _drain(self) -> None:
        """Run what came from other threads; what comes meanwhile waits for its next turn."""
        with self.lock:
            came, self._waiting = iter(self._waiting), []
        try:
            for action in came:
                self._act(action)
        finally:  # one may have let a SystemExit through: the others are still to be run
            with self.lock:
                self._waiting[:0] = came
                if self._waiting and self._loop is not None:
                    self._loop.call_soon(self._drain)
                else:
                    self._draining = False

    def _drain_unbound(self) -> None:
        """Run what waits here, until an action binds a loop: the rest is for that loop."""
        self._unbound_drain, turns = True, self._turns
        try:
            while (action := self._next_unbound()) is not None:
                self._act(action)
        except BaseException:
            if self._loop is None:
                self._turns = turns  # a Ctrl-C may have come before a turn ended
            raise
        finally:
            with self.lock:
                self._unbound_drain = False
                rest = self._draining = bool(self._waiting)
            if rest:
                self._hand_over()

    def _next_unbound(self) -> Action | None:
        with self.lock:
            if self._loop is None and self._waiting:
                return self._waiting.pop(0)
            return None

    def exit_later(self, error: BaseException) -> None:
        """Let a ``SystemExit`` or ``KeyboardInterrupt`` that was caught end the user's program.

        It is raised when the actions under way are over: on the user's own loop, or where no loop
        is bound, in the call that led to it.
        """

        def reraise() -> None:
            raise error

        if not exit_soon(error) and self._loop is None:
            self.run(reraise)

    def turn(self) -> AbstractContextManager[None]:
        """For ``with``: what is asked for inside runs when the outermost turn ends."""
        return self

    def __enter__(self) -> None:
        self._turns += 1

    def __exit__(self, *_: object) -> None:
        try:
            if self._turns == 1:
                self._run_pending()
        finally:
            self._turns -= 1

    def emit(self, hubs: Iterable[Emits[T]], value: T) -> None:
        """Let each of these emit a value, within a turn; ``with`` costs more for each value."""
        self._turns += 1
        try:
            for hub in hubs:
                hub.emit(value)
        finally:
            if self._actions and self._turns == 1:
                self._run_pending()
            self._turns -= 1

    @property
    def pending(self) -> Collection[object]:
        """What runs when the turn ends: empty if nothing was asked for."""
        return self._actions

    def run_pending(self) -> None:
        """Between two values of a turn: run what was asked for, as at the end of it.

        With a turn around this one, it is left to that one.
        """
        if self._turns == 1:
            self._run_pending()

    def _act(self, action: Action) -> None:
        self._actions.append(action)
        if not self._turns:
            self._run_rest()

    def _run_pending(self) -> None:
        while self._actions:
            action = self._actions.popleft()
            try:
                action()
            except LoopClosed as error:  # the receipt of what was asked for says so, too
                log(logging.WARNING, "%s", error)
            except Exception as error:
                # A bug of ours; what was asked for after it must still happen.
                log(logging.ERROR, "an action of the socket failed unexpectedly", error=error)
            except BaseException:  # it ends the program, or only this turn of the user's loop
                if self._loop is not None:
                    self._loop.call_soon(self._run_rest)
                raise

    def _run_rest(self) -> None:
        with self.turn():
            pass  # its end runs what is asked for


def _give_nothing_back() -> None:
    """A loop of the user's own is not counted."""


def run_in_task(
    loop: SocketLoop,
    function: Callable[[], Awaitable[T]],
    done: Callable[[T], None],
    failed: Callable[[Exception], None],
) -> abc.DisposableBase:
    """Run a coroutine, and call back within a turn. Disposing cancels it."""
    return _RunningTask(loop, function, done, failed)


class _RunningTask(abc.DisposableBase, Generic[T]):
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
