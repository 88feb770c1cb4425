"""Waiting for something to be true, on a thread, in a coroutine or in virtual time."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress

from rxsocket.testing.clock import VirtualClock

__all__ = ["Happenings"]


class Happenings:
    """Asks whoever waits again whenever something happened; a lock, too, for what it is about.

    The lock can be taken again by the thread that has it: a predicate may read every member.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._waiting: list[Callable[[], None]] = []

    def __enter__(self) -> None:
        self._changed.acquire()

    def __exit__(self, *_: object) -> None:
        self._changed.release()

    def tell(self) -> None:
        """Something happened."""
        with self._changed:
            self._changed.notify_all()
            for wake in self._waiting:
                wake()

    def wait(self, holds: Callable[[], object], timeout: float) -> bool:
        """Block until something holds, or virtual time passes; return whether it does.

        Args:
            holds: Asked at once, and whenever something happened.
            timeout: Seconds.
        """
        loop = asyncio._get_running_loop()
        if isinstance(loop, VirtualClock):
            return loop.run(self.come(holds, timeout))
        with self._changed:
            return bool(self._changed.wait_for(holds, timeout))

    async def come(
        self,
        holds: Callable[[], object],
        timeout: float,  # noqa: ASYNC109 - the twin of wait
    ) -> bool:
        """Like :meth:`wait`, without blocking the loop."""
        loop = asyncio.get_running_loop()
        changed = asyncio.Event()

        def wake() -> None:
            with suppress(RuntimeError):  # the loop was closed with this coroutine on it
                loop.call_soon_threadsafe(changed.set)

        with self._changed:
            self._waiting.append(wake)
        try:
            async with asyncio.timeout(timeout):
                while not self._holds(holds):
                    await changed.wait()
                    changed.clear()
        except TimeoutError:
            return False
        finally:
            with self._changed:
                self._waiting.remove(wake)
        return True

    def _holds(self, holds: Callable[[], object]) -> bool:
        with self._changed:
            return bool(holds())
