"""What the answers to dials teach of how often, and how many, a server lets connect.

::

    answer             pace                             connections
    429                half of what it was of late      the third in a row, while others
    429, Retry-After   nobody dials for that long       are open: as many as these
    403                                                 the second in a row, likewise
    60 s without       a quarter of what was lost,      after an hour it is tried again
                       each time

It knows of no socket, loop or clock; what it learns it says in words.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from rxsocket.fleet.events import Capped, Throttled

TOO_MANY = frozenset({418, 420, 429})
"""HTTP statuses that say that there are too many requests; 418 and 420 by custom."""
UNAVAILABLE = 503
FORBIDDEN = 403
LONGEST_WAIT = 3600.0
"""Seconds: a server that asks for more is not believed."""
SPAN = 10.0
"""Seconds: so far back one looks for the pace, if ``connects=`` does not say one."""
SLOWEST = 1 / 60
"""Dials a second: no pace is less than that."""
RECOVERY = 60.0
"""Seconds without a refusal after which a quarter of what was lost comes back."""
REFUSALS = {FORBIDDEN: 2}
"""How many refusals in a row are a cap of connections, by status."""
REFUSALS_OF_OTHERS = 3
LASTS = 3600.0
"""Seconds for which a cap is believed."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """A dial that was refused.

    Attributes:
        status: The HTTP status.
        retry_after: Seconds that the server asked to wait; 0.0 if it did not.
        admitted_at: When the dial was admitted.
        dials: How many dials there were in the last ``SPAN`` seconds.
        open: How many connections were open then.
    """

    status: int
    retry_after: float
    admitted_at: float
    dials: int
    open: int


class DialLearning:
    """What is known of one address, beside what the limits say.

    Args:
        rate: What ``connects=`` says: how many dials in how many seconds.
        shard: The name of the shard that its events have.
    """

    def __init__(self, rate: tuple[int, float] | None, shard: str = "") -> None:
        self._full = None if rate is None else rate[0] / rate[1]
        self._shard = shard
        self._before: float | None = None  # dials a second, before it was halved
        self._rate = 0.0
        self._since = -math.inf  # when the last refusal was that counted
        self._in_a_row = 0
        self._held_until = -math.inf
        self._cap: int | None = None
        self._capped_at = -math.inf

    def opened(self, admitted_at: float) -> None:
        """A dial has succeeded."""
        if admitted_at >= self._since:
            self._in_a_row = 0

    def refused(self, refusal: Refusal, now: float, at: float) -> list[Throttled | Capped]:
        """A dial was refused; return what that teaches.

        Args:
            refusal: What is known of it.
            now: The time.
            at: The wall time, for the events.
        """
        status, wait = refusal.status, min(refusal.retry_after, LONGEST_WAIT)
        learnt: list[Throttled | Capped] = []
        is_pace = status in TOO_MANY or (status == UNAVAILABLE and wait > 0.0)
        if not is_pace and (status != FORBIDDEN or not refusal.open):
            return learnt
        is_news = refusal.admitted_at >= self._since  # those of one burst count once
        if is_news:
            self._in_a_row += 1
            self._since = now
        is_longer = wait > 0.0 and now + wait > self._held_until + 1.0
        if is_pace and (is_news or is_longer):
            learnt.append(self._throttled(refusal, wait, is_news, now, at))
        if status != UNAVAILABLE and is_news and self._is_capped(refusal, now):
            why = (
                f"HTTP {status} {_times(self._in_a_row)} in a row, while {refusal.open} "
                f"connections were open"
            )
            learnt.append(
                Capped(
                    shard=self._shard,
                    socket=None,
                    what="connections",
                    cap=refusal.open,
                    why=why,
                    at=at,
                )
            )
            self.capped(refusal.open, now)
        return learnt

    def capped(self, cap: int, now: float) -> None:
        """The server takes so many connections."""
        self._cap, self._capped_at, self._in_a_row = cap, now, 0

    def spacing(self, now: float) -> float:
        """Seconds between two dials, as was learnt; 0.0 if nothing was."""
        rate = self.rate(now)
        return 0.0 if rate is None else 1 / rate

    def rate(self, now: float) -> float | None:
        """Dials a second, as was learnt; ``None`` if nothing was, or all has come back."""
        if self._before is None:
            return None
        steps = max(0, math.floor((now - self._calm_since) / RECOVERY))
        rate = self._rate + steps * (self._before - self._rate) / 4
        if steps >= 4:
            self._before = None
            return None
        return rate

    @property
    def held_until(self) -> float:
        """Until when nobody dials."""
        return self._held_until

    @property
    def capped_until(self) -> float:
        """Until when the cap is believed."""
        return self._capped_at + LASTS

    def cap(self, now: float) -> int | None:
        """How many connections the server takes, as was learnt."""
        return self._cap if now < self.capped_until else None

    def words(self, now: float) -> str:
        """What was learnt, for people; empty if nothing was."""
        said: list[str] = []
        if self._held_until > now:
            said.append(f"nobody dials for {self._held_until - now:.0f} s, as the server asked for")
        rate = self.rate(now)
        if rate is not None and self._before is not None:
            step = self._calm_since + RECOVERY - now
            step = step if step > 0 else step % RECOVERY
            said.append(
                f"dials at {rate:.3g}/s instead of {self._before:.3g}/s, more in {step:.0f} s"
            )
        cap = self.cap(now)
        if cap is not None:
            minutes = (self.capped_until - now) / 60
            said.append(f"{cap} connections, and another try in {minutes:.0f} min")
        return "; ".join(said)

    @property
    def _calm_since(self) -> float:
        return max(self._since, self._held_until)

    def _throttled(
        self, refusal: Refusal, wait: float, is_news: bool, now: float, at: float
    ) -> Throttled:
        why = f"HTTP {refusal.status}"
        if wait:
            self._held_until = max(self._held_until, now + wait)
            why += f", which asks to wait for {wait:g} s"
        halves = is_news and (not wait or self._full is None or self._in_a_row > 1)
        if halves:
            rate = self.rate(now)
            if rate is None:
                rate = max(refusal.dials, 1) / SPAN
                if self._full is not None:
                    rate = min(max(rate, self._full / 4), self._full)
            if self._before is None:
                self._before = rate if self._full is None else self._full
            self._rate = max(rate / 2, min(SLOWEST, rate))
            if self._in_a_row > 1:
                why += f", {_times(self._in_a_row)} in a row"
        return Throttled(
            shard=self._shard,
            rate=self._rate if halves else self.rate(now),
            retry_after=wait or None,
            why=why,
            at=at,
        )

    def _is_capped(self, refusal: Refusal, now: float) -> bool:
        if not refusal.open:
            return False
        known = self.cap(now)
        if known is None and self._cap is not None and refusal.open >= self._cap:
            return True  # as it was before
        is_less = known is None or refusal.open < known
        return is_less and self._in_a_row >= REFUSALS.get(refusal.status, REFUSALS_OF_OTHERS)


def _times(number: int) -> str:
    return "once" if number == 1 else f"{number} times"
