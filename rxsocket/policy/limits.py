"""How long an outage is put up with, as a pure function (C3, C15)."""

from __future__ import annotations

from dataclasses import dataclass

from rxsocket.arguments import seconds_or_none

__all__ = ["NO_LIMITS", "Limits"]


@dataclass(frozen=True, slots=True)
class Limits:
    """When to give up; without limits, never.

    Args:
        max_attempts: Attempts since the last connection that was stable; 1 means no second try.
        give_up_after: Seconds since the last connection that was stable ended, or since the first
            attempt, after which no other attempt begins.

    Raises:
        TypeError: If one is no number.
        ValueError: If one is out of its range.

    Examples:
        >>> Limits(max_attempts=3).reached(attempts=3, outage=12.0, delay=4.0)
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


NO_LIMITS = Limits()
"""What sockets without any share."""
