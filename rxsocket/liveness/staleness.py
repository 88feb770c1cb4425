"""The age of the data: a link may answer every ping and bring nothing (C17)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

__all__ = ["Staleness"]

GRACE = 1.0
"""Seconds for reading what came while the loop was blocked."""


class Staleness:
    """Watches for messages, of which there should be one at least every so many seconds.

    Args:
        after: How many.
        blocked_since: How long the loop was blocked, by a block that ended after a moment.
        stale: Told when there was none, with the seconds of silence.
        fresh: Told when one came again, with the seconds that there was none.
    """

    def __init__(
        self,
        after: float,
        *,
        blocked_since: Callable[[float], float],
        stale: Callable[[float], None],
        fresh: Callable[[float], None],
    ) -> None:
        self._after = after
        self._blocked_since = blocked_since
        self._stale = stale
        self._fresh = fresh
        self._loop = asyncio.get_running_loop()
        self._last = self._loop.time()
        self._is_stale = self._waited = False
        self._timer = self._loop.call_at(self._last + after, self._look)

    def heard(self) -> None:
        """A message came."""
        now = self._loop.time()
        silence, self._last = now - self._last, now
        self._waited = False
        if self._is_stale:
            self._is_stale = False
            self._timer = self._loop.call_at(now + self._after, self._look)
            self._fresh(silence)

    def pause(self) -> None:
        """Nothing is read for now: that is no silence."""
        self._timer.cancel()

    def resume(self) -> None:
        """Begin anew."""
        self._timer.cancel()
        self._last, self._waited = self._loop.time(), False
        if not self._is_stale:
            self._timer = self._loop.call_at(self._last + self._after, self._look)

    def stop(self) -> None:
        """Watch no more."""
        self._timer.cancel()

    def _look(self) -> None:
        """Time is up, unless a message came since: then there is more of it."""
        now, due = self._loop.time(), self._last + self._after
        if due > now:
            self._timer = self._loop.call_at(due, self._look)
        elif not self._waited and self._blocked_since(self._last):
            self._waited = True  # what came meanwhile is read first
            self._timer = self._loop.call_at(now + GRACE, self._look)
        else:
            self._is_stale = True
            self._stale(now - self._last)
