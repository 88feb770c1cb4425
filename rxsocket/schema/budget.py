"""How much of a thread's time may be spent on looking at messages."""

from __future__ import annotations

import time
from collections.abc import Callable

PART = 0.03
"""Part of the time that may be spent."""
BURST = 0.1
"""Seconds that may be spent at once."""


class TimeBudget:
    """Seconds that may be spent: they come in steadily, up to ``BURST`` of them.

    ::

        messages    ::::::::::::::::.  .  .  .  .  .  .      5,000 a second
        looked at   ::::::::::::::::. .   .    .  .   .      all of a burst, then some
    """

    __slots__ = ("_at", "_left", "_now")

    def __init__(self, now: Callable[[], float] = time.perf_counter) -> None:
        self._now = now
        self._at = now()
        self._left = BURST

    def begin(self) -> bool:
        """Whether there is time left; what is done now is counted until :meth:`end`."""
        now = self._now()
        self._left = min(BURST, self._left + (now - self._at) * PART)
        self._at = now
        return self._left > 0

    def end(self) -> None:
        """Count the time since :meth:`begin`."""
        self._left -= self._now() - self._at
