"""A condition that threads, coroutines and tests in virtual time can wait for."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress

from rxsocket.testing.clock import VirtualClock


class ChangeCondition:
    """A lock, and a way to wait until a predicate about what it protects is true.

    The thread that has the lock can take it again: a predicate may read every member.
    """

    def __init__(self) -> None:
        self._condition = threading.Condition()
        self._wakers: list[Callable[[], None]] = []

    def __enter__(self) -> None:
        self._condition.acquire()

    def __exit__(self, *_: object) -> None:
        self._condition.release()

    def notify(self) -> None:
        """Let every waiting predicate be asked again."""
        with self._condition:
            self._condition.notify_all()
            for wake in self._wakers:
                wake()

    def wait_until(self, predicate: Callable[[], object], timeout: float) -> bool:
        """Block until a predicate is true; where a virtual clock runs, virtual time passes.

        Args:
            predicate: Asked at once, and after each change.
            timeout: Seconds.

        Returns:
            Whether it is true.
        """
        loop = asyncio._get_running_loop()
        if isinstance(loop, VirtualClock):
            return loop.run(self.await_until(predicate, timeout))
        with self._condition:
            return bool(self._condition.wait_for(predicate, timeout))

    async def await_until(
        self,
        predicate: Callable[[], object],
        timeout: float,  # noqa: ASYNC109 - the twin of wait_until
    ) -> bool:
        """Like :meth:`wait_until`, without blocking the loop."""
        loop = asyncio.get_running_loop()
        changed = asyncio.Event()

        def wake() -> None:
            with suppress(RuntimeError):  # the loop was closed with this coroutine on it
                loop.call_soon_threadsafe(changed.set)

        with self._condition:
            self._wakers.append(wake)
        try:
            async with asyncio.timeout(timeout):
                while not self._is_true(predicate):
                    await changed.wait()
                    changed.clear()
        except TimeoutError:
            return False
        finally:
            with self._condition:
                self._wakers.remove(wake)
        return True

    def _is_true(self, predicate: Callable[[], object]) -> bool:
        with self._condition:
            return bool(predicate())
