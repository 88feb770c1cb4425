"""Threads: the one that sockets without a loop of their own share, and those for what may block."""

from __future__ import annotations

import asyncio
import contextvars
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from typing import Any, TypeVar

__all__ = ["background", "outcome", "run_blocking", "running_loop", "wall_clock"]

T = TypeVar("T")


def running_loop() -> asyncio.AbstractEventLoop | None:
    """The loop that runs on this thread, if one does."""
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None


def wall_clock(loop: asyncio.AbstractEventLoop | None) -> Callable[[], float]:
    """The wall time that goes with a loop: its own, if it has one (virtual time)."""
    clock: Callable[[], float] = getattr(loop, "wall_time", time.time)
    return clock


def run_blocking(loop: asyncio.AbstractEventLoop, function: Callable[[], T]) -> asyncio.Future[T]:
    """Call a function that may block, off the loop; inline when the loop's time is virtual.

    The thread is a daemon: a function that hangs must not keep the process from exiting (C26).
    """
    future: asyncio.Future[T] = loop.create_future()
    context = contextvars.copy_context()

    def settle(result: T | None, error: BaseException | None) -> None:
        if future.done():
            return
        if error is None:
            future.set_result(result)  # type: ignore[arg-type]
        else:
            future.set_exception(error)

    def call() -> tuple[T | None, BaseException | None]:
        try:
            return context.run(function), None
        except Exception as error:
            return None, error

    def work() -> None:
        outcome = call()
        with suppress(RuntimeError):  # the loop was closed meanwhile: nobody waits any more
            loop.call_soon_threadsafe(settle, *outcome)

    if hasattr(loop, "wall_time"):
        settle(*call())
    else:
        threading.Thread(target=work, name="rxsocket-blocking", daemon=True).start()
    return future


async def outcome(future: Future[T]) -> T:
    """Wait for a future of any thread, on whatever loop runs here; being cancelled leaves it be."""
    loop = asyncio.get_running_loop()
    there: asyncio.Future[None] = loop.create_future()

    def settle() -> None:
        if not there.done():
            there.set_result(None)

    def settled(_: object) -> None:
        with suppress(RuntimeError):  # that loop is closed: nobody waits any more
            loop.call_soon_threadsafe(settle)

    if not future.done():
        future.add_done_callback(settled)
        await there
    return future.result()


class Background:
    """The thread that sockets without a loop of their own share."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._users = 0

    def serves(self, loop: asyncio.AbstractEventLoop) -> bool:
        """Whether that is the loop of this thread."""
        return loop is self._loop

    def acquire(self) -> asyncio.AbstractEventLoop:
        with self._lock:
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
                self._loop.set_default_executor(_DaemonExecutor())
                threading.Thread(
                    target=self._serve, args=(self._loop,), name="rxsocket", daemon=True
                ).start()
            self._users += 1
            return self._loop

    def release(self, loop: asyncio.AbstractEventLoop) -> None:
        with self._lock:
            if loop is not self._loop:
                return
            self._users -= 1
            if self._users == 0:
                self._loop = None
                loop.call_soon_threadsafe(loop.stop)

    @staticmethod
    def _serve(loop: asyncio.AbstractEventLoop) -> None:
        asyncio.set_event_loop(loop)
        try:
            loop.run_forever()
            rest = asyncio.all_tasks(loop)
            for task in rest:
                task.cancel()
            if rest:
                loop.run_until_complete(asyncio.gather(*rest, return_exceptions=True))
            loop.run_until_complete(loop.shutdown_asyncgens())
        finally:
            loop.close()


class _DaemonExecutor(ThreadPoolExecutor):
    """Runs each call on a daemon thread, so that a hanging DNS look-up cannot hold up the exit."""

    def submit(self, fn: Callable[..., T], /, *args: Any, **kwargs: Any) -> Any:
        future: Future[T] = Future()

        def work() -> None:
            if not future.set_running_or_notify_cancel():
                return
            try:
                future.set_result(fn(*args, **kwargs))
            except BaseException as error:
                future.set_exception(error)

        threading.Thread(target=work, name="rxsocket-executor", daemon=True).start()
        return future


background = Background()
