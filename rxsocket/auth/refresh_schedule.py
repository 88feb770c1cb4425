"""When the next credential is fetched: the decision, and a timer on the wall clock (C12)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from random import Random

from rxsocket.auth.expiry import IssuedToken
from rxsocket.policy.backoff import Backoff
from rxsocket.runtime.loop import SocketLoop

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
        self._failures_since_expiry = 0
        self.failures = 0

    def due_after(self, token: IssuedToken, now: float, *, is_same: bool) -> float | None:
        """When to call after a token came; ``None`` for not before somebody asks.

        Args:
            token: The token.
            now: The wall time.
            is_same: Whether it is the one that was there before: its provider has a cache.
        """
        self.failures = self._failures_since_expiry = 0
        if token.lifetime is None or token.expires_at is None:
            return None
        if not token.credential.known:
            return token.expires_at
        lead = min(self._lead, token.lifetime / 2) * self._random.uniform(1.0, 1.1)
        soonest = self._random.uniform(*RETRY) if is_same else SOONEST
        return now + max(token.lifetime - lead, soonest)

    def due_after_failure(self, now: float, *, is_live: bool) -> float:
        """When to call after a call that failed.

        Args:
            now: The wall time.
            is_live: Whether the old token has not expired.
        """
        self.failures += 1
        if is_live:
            return now + self._random.uniform(*RETRY)
        self._failures_since_expiry += 1
        return now + self._backoff.delay(self._failures_since_expiry - 1)


CHECK_EVERY = 30.0
"""Seconds between two looks at the wall clock: timers stand still while a machine sleeps."""


class WallClockTimer:
    """Calls a function at a wall time, or soon after a sleep that it fell into.

    Args:
        loop: Whose loop and wall clock are used.
        function: The function.
    """

    def __init__(self, loop: SocketLoop, function: Callable[[], None]) -> None:
        self._loop = loop
        self._function = function
        self._timer: asyncio.TimerHandle | None = None

    def start(self, at: float | None) -> None:
        """Call it at this wall time, and not at the one before; ``None``: do not call it."""
        self.stop()
        if at is not None:
            wait = max(0.0, min(at - self._loop.wall_time(), CHECK_EVERY))
            self._timer = self._loop.event_loop.call_later(wait, self._check, at)

    def stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _check(self, at: float) -> None:
        self._timer = None
        if self._loop.wall_time() >= at:
            self._function()
        else:
            self.start(at)
