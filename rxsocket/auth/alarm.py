"""A timer on the wall clock."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from rxsocket.runtime.home import Home

__all__ = ["LOOK", "Alarm"]

LOOK = 30.0
"""Seconds between looks at the wall clock: timers stand still while a machine sleeps."""


class Alarm:
    """Calls a function at a wall time, or soon after a sleep that it fell into.

    Args:
        home: Whose loop and wall clock are used.
        ring: The function.
    """

    def __init__(self, home: Home, ring: Callable[[], None]) -> None:
        self._home = home
        self._ring = ring
        self._at: float | None = None
        self._timer: asyncio.TimerHandle | None = None

    def set(self, at: float | None) -> None:
        """Ring at a wall time, and not at the one before; ``None``: do not ring."""
        self._at = at
        self.arm()

    def arm(self) -> None:
        """Go on with what is set, on the loop of the moment."""
        self.disarm()
        if self._at is not None:
            left = self._at - self._home.wall_time()
            self._timer = self._home.loop.call_later(max(0.0, min(left, LOOK)), self._look)

    def disarm(self) -> None:
        """Stand still until it is armed again."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _look(self) -> None:
        self._timer = None
        if self._at is not None and self._home.wall_time() >= self._at:
            self._at = None
            self._ring()
        else:
            self.arm()
