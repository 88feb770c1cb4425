"""Threads: the one that sockets without a loop of their own share, and those for what may block."""

from __future__ import annotations

import asyncio
import contextvars
import logging
import os
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from typing import Any, TypeVar

from rxsocket.runtime.page import is_in_browser

logger = logging.getLogger("rxsocket")

T = TypeVar("T")
T_Loop = TypeVar("T_Loop", asyncio.AbstractEventLoop, None)


def running_loop() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None


def kernel_loop() -> asyncio.AbstractEventLoop | None:
    """The loop of the IPython kernel that this process is, if it is one.

    That of a browser's is the browser's, which no cell stalls for long.
    """
    if is_in_browser():
        return None
    ipython = sys.modules.get("IPython")
    # Another thread may be importing IPython just now: then it has no function yet.
    get_shell = getattr(ipython, "get_ipython", None)
    shell = get_shell() if get_shell is not None else None
    io_loop = getattr(getattr(shell, "kernel", None), "io_loop", None)
    loop: asyncio.AbstractEventLoop | None = getattr(io_loop, "asyncio_loop", None)
    return loop


def wall_clock(loop: asyncio.AbstractEventLoop | None) -> Callable[[], float]:
    """The wall time that goes with a loop: its own, if it has one (virtual time)."""
    clock: Callable[[], float] = getattr(loop, "wall_time", time.time)
    return clock


def run_blocking(loop: asyncio.AbstractEventLoop, function: Callable[[], T]) -> asyncio.Future[T]:
    """Call a function that may block, off the loop; inline when the loop's time is virtual.

    Inline in a browser, too, where there are no threads (C57).

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
        except StopIteration as error:  # which no future takes
            return None, RuntimeError(f"StopIteration: {error}".rstrip(": "))
        except BaseException as error:  # SystemExit, too: whoever waits must not wait for ever
            return None, error

    def work() -> None:
        outcome = call()
        with suppress(RuntimeError):  # the loop was closed meanwhile: nobody waits any more
            # Not as arguments: asyncio's debug mode writes those down (C28).
            loop.call_soon_threadsafe(lambda: settle(*outcome))

    if hasattr(loop, "wall_time") or is_in_browser():
        settle(*call())
    else:
        threading.Thread(target=work, name="rxsocket-blocking", daemon=True).start()
    return future


class Background:
    """A loop on a thread of its own, as the one that sockets without a loop of their own share.

    It runs while somebody uses it. Nothing that a callback raises ends it.

    Args:
        name: The name of the thread.
    """

    def __init__(self, name: str = "rxsocket") -> None:
        self._name = name
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._users = 0

    def serves(self, loop: asyncio.AbstractEventLoop) -> bool:
        return loop is self._loop

    def acquire(self) -> asyncio.AbstractEventLoop:
        """The loop, which runs until as many have released it.

        Raises:
            RuntimeError: If the operating system gives no thread, or no file for its loop.
        """
        loop = self._use(None)
        if loop is None:
            new = self._new_loop()  # without the lock: asyncio logs it, which may lead here again
            loop = self._use(new)
            if loop is not new:
                new.close()
        return loop

    def _use(self, new: T_Loop) -> asyncio.AbstractEventLoop | T_Loop:
        """The loop for one more user; a new one takes its place if there is none."""
        with self._lock:
            if self._loop is None:
                if new is None:
                    return new
                self._start(new)
                self._loop, self._users = new, 0
            self._users += 1
            return self._loop

    def release(self, loop: asyncio.AbstractEventLoop) -> None:
        """Give the loop back; the last one stops it."""
        with self._lock:
            if loop is not self._loop:
                return
            self._users -= 1
            if self._users == 0:
                self._loop = None
                loop.call_soon_threadsafe(loop.stop)

    def forget(self) -> None:
        """Start afresh in a forked child, which has none of its parent's threads."""
        self._lock = threading.Lock()
        self._loop, self._users = None, 0

    def _new_loop(self) -> asyncio.AbstractEventLoop:
        patched = _patched_by()
        if patched:
            raise RuntimeError(
                f"{patched} has patched what asyncio needs, threads among it: use rxsocket in a "
                "process of its own, or do not patch thread, select and socket"
            )
        try:
            loop = asyncio.new_event_loop()
        except OSError as error:
            raise _no_thread(error) from None
        loop.set_default_executor(_DaemonExecutor())
        return loop

    def _start(self, loop: asyncio.AbstractEventLoop) -> None:
        thread = threading.Thread(target=self._serve, args=(loop,), name=self._name, daemon=True)
        try:
            thread.start()
        except RuntimeError as error:
            loop.close()
            raise _no_thread(error) from None
        except BaseException:  # a Ctrl-C, with the thread running maybe
            loop.call_soon_threadsafe(loop.stop)
            raise

    def _serve(self, loop: asyncio.AbstractEventLoop) -> None:
        asyncio.set_event_loop(loop)
        try:
            while self._serves_on(loop):
                pass
            rest = asyncio.all_tasks(loop)
            for task in rest:
                task.cancel()
            if rest:
                loop.run_until_complete(asyncio.gather(*rest, return_exceptions=True))
            loop.run_until_complete(loop.shutdown_asyncgens())
        finally:
            with self._lock:
                if self._loop is loop:
                    self._loop, self._users = None, 0
            loop.close()

    def _serves_on(self, loop: asyncio.AbstractEventLoop) -> bool:
        """Run the loop; return whether it is to run on, as nobody stopped it who may."""
        try:
            loop.run_forever()
        except BaseException as error:  # SystemExit and its like pass through asyncio's callbacks
            text = "%s in a callback on the thread of rxsocket, which goes on"
            log(logging.ERROR, text, type(error).__name__, error=error)
        return self._loop is loop


def _patched_by() -> str:
    """What has put greenlets in the place of threads, or of what asyncio waits with."""
    gevent: Any = sys.modules.get("gevent.monkey")
    if gevent is not None and any(map(gevent.is_module_patched, ("threading", "select", "socket"))):
        return "gevent"
    eventlet: Any = sys.modules.get("eventlet.patcher")
    if eventlet is not None and any(
        map(eventlet.is_monkey_patched, ("thread", "select", "socket"))
    ):
        return "eventlet"
    return ""


def _no_thread(error: Exception) -> RuntimeError:
    return RuntimeError(f"the thread that sockets share cannot be started: {error}")


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


def exit_soon(error: BaseException) -> bool:
    """Let a ``SystemExit`` or ``KeyboardInterrupt`` that was caught end the loop that runs here.

    It is raised in a turn of its own. The thread that sockets share goes on.

    Returns:
        False if it is one of these and no loop runs here: it is for the caller to raise.
    """
    if not isinstance(error, (SystemExit, KeyboardInterrupt)):
        return True
    loop = running_loop()
    if loop is not None and not background.serves(loop):
        loop.call_soon(_reraise, error)
    return loop is not None


def as_exception(error: BaseException) -> Exception:
    """What a function of a user's raised, as an error that observers can be given (C23).

    What is no ``Exception`` would end the task or the loop that the function was called in: it is a
    ``RuntimeError`` that names it. A ``SystemExit`` ends the user's own loop all the same; where no
    loop runs, it is raised.
    """
    if isinstance(error, Exception):
        return error
    if not exit_soon(error):
        raise error
    return RuntimeError(f"{type(error).__name__}: {error}".removesuffix(": "))


def is_end_of(task: asyncio.Task[Any] | None, error: BaseException) -> bool:
    """Whether what was raised in a task ends the task itself, and is not of a user's function.

    The task is being cancelled, or its coroutine is closed with a loop that has ended.
    """
    if isinstance(error, asyncio.CancelledError):
        return task is None or bool(task.cancelling())
    if isinstance(error, GeneratorExit):
        return running_loop() is None or asyncio.current_task() is not task
    return False


def log(level: int, text: str, *arguments: object, error: BaseException | None = None) -> None:
    """Log, whatever a handler of the user's raises: nobody is left to be told of that."""
    try:
        logger.log(level, text, *arguments, exc_info=error)
    except BaseException as raised:
        exit_soon(raised)


def _reraise(error: BaseException) -> None:
    raise error


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=background.forget)
