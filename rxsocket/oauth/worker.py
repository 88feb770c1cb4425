"""Work that goes on when the one who waits for it does not: an answer on its way is not lost (C47).

A refresh token is used up by the request that presents it. So the request, and saving what comes
back, run on a thread: neither a time limit, nor a socket that is closed, nor a loop that ends stops
them, and a program that ends waits for them. Who needs the same meanwhile gets what comes of it.
"""

from __future__ import annotations

import asyncio
import atexit
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from contextlib import suppress
from functools import partial
from typing import Any, Generic, TypeVar

from rxsocket.oauth.errors import TokenRefused, TokenRequestFailed
from rxsocket.runtime.threads import run_blocking

T = TypeVar("T")

PATIENCE = 30.0
"""Seconds that a program which ends waits for work under way."""


class Work(Generic[T]):
    """One piece of work, on a thread of its own.

    Args:
        loop: The loop of whoever needs it first, on which the functions of a store are called that
            are async.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._done: Future[Callable[[], T]] = Future()
        self._done.set_running_or_notify_cancel()  # nobody who waits can cancel it
        self._keeper: asyncio.Task[None] | None = None

    @property
    def is_done(self) -> bool:
        """Whether its result is there."""
        return self._done.done()

    def start(self, function: Callable[[Work[T]], T], *, is_kept: bool) -> None:
        """Begin.

        Args:
            function: What to do.
            is_kept: Whether the loop, and the program, are kept from ending until it is done.
        """
        if is_kept:
            _under_way.add(self._done)
        run_blocking(self._loop, partial(self._run, function))
        if is_kept and not self._done.done():
            self._keeper = self._loop.create_task(self._keep())

    async def result(self) -> T:
        """What comes of it, on any loop."""
        # A copy that may be cancelled; what it holds does not show where asyncio shows it (C28).
        waiting = asyncio.wrap_future(self._done)
        return (await asyncio.shield(waiting))()

    def on_loop(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Wait on the thread for what runs on the loop."""
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(PATIENCE)

    def _run(self, function: Callable[[Work[T]], T]) -> None:
        outcome: Callable[[], T]
        try:
            outcome = _kept(function(self))
        except (TokenRefused, TokenRequestFailed) as error:
            outcome = _raising(error)
        except BaseException as error:
            outcome = _raising(TokenRequestFailed(f"{type(error).__name__} in rxsocket.oauth"))
        _under_way.discard(self._done)
        self._done.set_result(outcome)

    async def _keep(self) -> None:
        """Run until the work is done, also when a loop that ends cancels what is left on it."""
        while not self._done.done():
            with suppress(asyncio.CancelledError):
                await asyncio.wait((asyncio.wrap_future(self._done),))


def _kept(value: T) -> Callable[[], T]:
    return lambda: value  # which does not show where asyncio shows its futures (C28)


def _raising(error: TokenRefused | TokenRequestFailed) -> Callable[[], Any]:
    """Raises the same error for each who waits, without frames, which hold secrets (C28)."""
    text, code = str(error), error.code
    sent = isinstance(error, TokenRequestFailed) and error.is_sent
    wait = error.retry_after if isinstance(error, TokenRequestFailed) else None
    is_refusal = isinstance(error, TokenRefused)

    def fail() -> Any:
        if is_refusal:
            raise TokenRefused(text, code=code)
        raise TokenRequestFailed(text, code=code, is_sent=sent, retry_after=wait)

    return fail


_under_way: set[Future[Any]] = set()


@atexit.register
def _finish() -> None:
    """Let what is under way end: the threads are daemons, for a server may never answer."""
    for one in tuple(_under_way):
        with suppress(TimeoutError):
            one.result(PATIENCE)


class SingleWork(Generic[T]):
    """Work of which one piece runs at a time, whoever needs it.

    Args:
        is_kept: Whether loops, and the program, are kept from ending until it is done.
    """

    def __init__(self, *, is_kept: bool = True) -> None:
        self._is_kept = is_kept
        self._lock = threading.Lock()
        self._work: Work[T] | None = None

    async def result(self, function: Callable[[Work[T]], T]) -> T:
        """What comes of the work that runs, or of this function, on a thread."""
        with self._lock:
            work, is_new = self._work, False
            if work is None or work.is_done:
                work, is_new = Work[T](asyncio.get_running_loop()), True
                self._work = work
        if is_new:
            work.start(function, is_kept=self._is_kept)
        return await work.result()
