"""When the next credential is fetched, as decisions without a clock (C12).

A timer on the wall clock.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from random import Random

from rxsocket.auth.expiry import IssuedToken
from rxsocket.policy.backoff import Backoff
from rxsocket.runtime.loop import SocketLoop

__all__ = ["LOOK", "RefreshSchedule", "WallClockTimer"]

SOONEST = 1.0
"""Seconds between a credential and the call for the next one, however short its life."""
RETRY = (5.0, 10.0)
"""Seconds until a call that brought nothing new is repeated while the old credential lives."""


class RefreshSchedule:
    """Decides on the wall time of the next call.

    Args:
        lead: Seconds before the expiry.
        random: Source of the jitter.

    Attributes:
        failures: Failed calls in a row since the last credential.
    """

    def __init__(self, lead: float, random: Random) -> None:
        self._lead = lead
        self._random = random
        self._backoff = Backoff(random=random)
        self._expired = 0
        self.failures = 0

    def after(self, renewal: IssuedToken, now: float, *, same: bool) -> float | None:
        """When to call after a credential came; ``None`` for not before somebody asks.

        Args:
            renewal: The credential.
            now: The wall time.
            same: Whether it is the one that was there before: its provider has a cache.
        """
        self.failures = self._expired = 0
        if renewal.lifetime is None or renewal.expires_at is None:
            return None
        if not renewal.credential.known:
            return renewal.expires_at
        lead = min(self._lead, renewal.lifetime / 2) * self._random.uniform(1.0, 1.1)
        soonest = self._random.uniform(*RETRY) if same else SOONEST
        return now + max(renewal.lifetime - lead, soonest)

    def after_failure(self, now: float, *, live: bool) -> float:
        """When to call after a call that failed.

        Args:
            now: The wall time.
            live: Whether the old credential has not expired.
        """
        self.failures += 1
        if live:
            return now + self._random.uniform(*RETRY)
        self._expired += 1
        return now + self._backoff.delay(self._expired - 1)


LOOK = 30.0
"""Seconds between looks at the wall clock: timers stand still while a machine sleeps."""


class WallClockTimer:
    """SingleFlight a function at a wall time, or soon after a sleep that it fell into.

    Args:
        home: Whose loop and wall clock are used.
        ring: The function.
    """

    def __init__(self, loop: SocketLoop, ring: Callable[[], None]) -> None:
        self._loop = loop
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
            left = self._at - self._loop.wall_time()
            self._timer = self._loop.event_loop.call_later(max(0.0, min(left, LOOK)), self._look)

    def disarm(self) -> None:
        """Stand still until it is armed again."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _look(self) -> None:
        self._timer = None
        if self._at is not None and self._loop.wall_time() >= self._at:
            self._at = None
            self._ring()
        else:
            self.arm()
