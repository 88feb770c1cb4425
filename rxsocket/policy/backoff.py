"""How long to wait before the next attempt, and when to give up, as pure functions (C3, C15)."""

from __future__ import annotations

import os
import random
from dataclasses import dataclass, field
from datetime import UTC, datetime

from rxsocket.validation import more_than_zero, seconds, seconds_or_none

shared_random = random.Random()
"""Shared by all sockets that are given none of their own: it takes 2.5 KiB."""
if hasattr(os, "register_at_fork"):  # forked workers must not all wait the same times
    os.register_at_fork(after_in_child=shared_random.seed)


@dataclass(frozen=True, slots=True)
class Backoff:
    """Exponential backoff with jitter at every step, also at the cap.

    After failure ``n``, counted from 0: ``U(0, min(cap, first))`` seconds for ``n = 0``, else
    ``U(w / 2, w)`` with ``w = min(cap, base * 2 ** n)``. No delay is longer than ``cap``.

    Args:
        first: Upper end of the first delay, in seconds.
        base: Width of the window that doubles, in seconds.
        cap: Widest window, in seconds.
        spacing: Least time between the starts of two attempts, in seconds.
        retry_after_cap: Longest ``Retry-After`` of a server that is honoured, in seconds.
        refused_retry: Seconds until a credential that was accepted before, and was refused now, is
            tried again: proxies and firewalls answer 403, too. It doubles each time, up to 15 times
            as much. ``None``: not before ``reconnect()`` or another credential.
        random: Source of randomness; pass a seeded one to know every delay in advance.

    Raises:
        ValueError: If a number is negative.

    Examples:
        >>> Backoff(random=random.Random(7)).delay(3) <= 16.0
        True
    """

    first: float = 2.0
    base: float = 2.0
    cap: float = 40.0
    spacing: float = 1.0
    retry_after_cap: float = 300.0
    refused_retry: float | None = 60.0
    random: random.Random = field(default=shared_random, repr=False)

    def __post_init__(self) -> None:
        for name in ("first", "base", "cap", "spacing", "retry_after_cap"):
            seconds(name, getattr(self, name))
        more_than_zero("refused_retry", self.refused_retry)

    def delay(self, failures: int) -> float:
        """Seconds to wait after ``failures`` earlier failures in a row (0 for the first)."""
        if failures == 0:
            return self.random.uniform(0.0, min(self.cap, self.first))
        # 2**31 is past any cap; a longer outage must not overflow the float.
        window = min(self.cap, self.base * 2.0 ** min(failures, 31))
        return self.random.uniform(window / 2, window)

    def refused_delay(self, retries: int) -> float | None:
        """Seconds until a credential that was accepted before is tried again after a refusal."""
        if self.refused_retry is None:
            return None
        return self.refused_retry * min(15.0, 2.0 ** min(retries, 31))


def retry_after_seconds(header: str | None, wall_time: float) -> float:
    """Seconds that a ``Retry-After`` header asks for: a number, or an HTTP date (RFC 9110).

    Args:
        header: The header's value, or ``None``.
        wall_time: The time now, in seconds since the epoch, for dates.

    Returns:
        The seconds, 0.0 when there is no header or it cannot be read.
    """
    if header is None:
        return 0.0
    text = header.strip()
    if text.isascii() and text.isdigit():
        return float(text[:9])
    from email.utils import parsedate_to_datetime  # it imports half of email, for a rare header

    try:
        due: datetime = parsedate_to_datetime(text)
        if due.tzinfo is None:  # the asctime format: it has no zone and means UTC
            due = due.replace(tzinfo=UTC)
        return max(0.0, due.timestamp() - wall_time)
    except (ValueError, OverflowError):  # a year or a zone of twenty digits, too
        return 0.0


@dataclass(frozen=True, slots=True)
class RetryLimits:
    """When to give up; without limits, never.

    Args:
        max_attempts: Attempts since the last connection that was stable; 1 means no second try.
        give_up_after: Seconds since the last connection that was stable ended, or since the first
            attempt, after which no other attempt begins.

    Raises:
        TypeError: If one is not a number.
        ValueError: If one is out of its range.

    Examples:
        >>> RetryLimits(max_attempts=3).reached(attempts=3, outage=12.0, delay=4.0)
        'max_attempts=3 is reached'
    """

    max_attempts: int | None = None
    give_up_after: float | None = None

    def __post_init__(self) -> None:
        limit = self.max_attempts
        if isinstance(limit, bool) or not isinstance(limit, (int, type(None))):
            kind = type(limit).__name__
            raise TypeError(f"max_attempts: pass a number of attempts or None, not {kind}")
        if limit is not None and limit < 1:
            raise ValueError(f"max_attempts: pass 1 or more, or None for no limit, not {limit}")
        seconds_or_none("give_up_after", self.give_up_after)

    def reached(self, *, attempts: int, outage: float, delay: float) -> str | None:
        """Which limit forbids the next attempt, in words; ``None`` when it may be made.

        Args:
            attempts: Attempts made in this outage.
            outage: Seconds it has lasted.
            delay: Seconds until the next attempt would begin.
        """
        if self.max_attempts is not None and attempts >= self.max_attempts:
            return f"max_attempts={self.max_attempts} is reached"
        if self.give_up_after is not None and outage + delay > self.give_up_after:
            return (
                f"give_up_after={self.give_up_after:g}: the outage has lasted {outage:.1f} s and "
                f"the next attempt would come in {delay:.1f} s"
            )
        return None


NO_RETRY_LIMITS = RetryLimits()
"""What sockets without any share."""
