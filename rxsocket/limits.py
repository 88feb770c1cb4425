"""What a server allows: how fast to send, how much over one connection, how many of them (C36).

::

    asked for     12345678
    pace="2/s"    1    2    3    4    5          half a second apart
    burst=2       12        34        56         at once, as long as no second has more than two

A limit is data, and the bucket that holds it is arithmetic: neither knows of a socket, a loop or a
clock, so that several sockets may share one.
"""

from __future__ import annotations

import math
import re
from collections import deque
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from rxsocket.validation import more_than_zero, whole_number

_PACE = re.compile(r"([0-9]{1,15})\s*/\s*([0-9]{1,15}(?:\.[0-9]{1,15})?)?\s*(ms|s|min|h|d)")
_UNITS = {"ms": 0.001, "s": 1.0, "min": 60.0, "h": 3600.0, "d": 86400.0}
ROUNDING = 1e-5
"""Tokens: what a clock that has run for months may be off by, with a thousand of them a second."""
MOST = 1e15
"""Messages, dials or bytes a second: a pace that is more than that is a mistake."""
_EXAMPLE = "pass '5/s', '300/5min', or a number of {} a second"


@dataclass(frozen=True, slots=True)
class Limits:
    """What a server allows: of one connection, of one address, of one credential
    (rule C36, limits of sending).

    What goes out waits for its turn, in order, and is never dropped for it: messages, and what
    channels ask for. Pings, close frames and the message that carries the credential do not count.

    A server that counts as strictly as it says may count what the network bunched up as too much:
    leave it some room, as in ``"4/s"`` where 5 are allowed.

    A ``Socket`` keeps ``pace``, ``burst`` and ``batch``. The others are about several sockets: a
    ``Fleet`` keeps all of them.

    Args:
        pace: How many messages may be sent in how much time: ``"5/s"``, ``"300/5min"``,
            ``"60/min"``, ``"1000/h"``, or a number of messages a second. In no stretch of that
            length are there more. ``None`` for no limit.
        burst: How many of them may go at once, if nothing was sent for a while. With 1 they are
            evenly apart: 0.2 s with ``"5/s"``.
        batch: How many keys of ``socket.channels`` one message may ask for.
        channels: How many keys one connection may carry at most; ``None`` for no limit, as below.
        bytes: How many bytes a second one connection is to carry at most, as far as is expected of
            its keys.
        connects: How many times the sockets of one address may dial in how much time, as ``pace``
            is written. Handovers and attempts that fail count, too.
        connections: How many connections the sockets of one address may have open at a time.
        connections_per_credential: How many they may have in all places together.
        lifetime: Seconds after which the server ends a connection. It is renewed before.

    Raises:
        TypeError: If an argument is of a wrong type.
        ValueError: If one cannot be used; the text names it and says what to pass.

    Examples:
        >>> Limits(pace="5/s", batch=200)
        Limits(pace='5/s', burst=1, batch=200)
        >>> Limits("300/5min", burst=10).rate
        (300, 300.0)
        >>> Limits("5/s", channels=1024, connects="300/5min", lifetime=86_400).connect_rate
        (300, 300.0)
    """

    pace: str | float | None = None
    burst: int = 1
    batch: int = 1
    channels: int | None = None
    bytes: float | None = None
    connects: str | float | None = None
    connections: int | None = None
    connections_per_credential: int | None = None
    lifetime: float | None = None

    def __post_init__(self) -> None:
        rate = self.rate
        whole_number("burst", self.burst)
        whole_number("batch", self.batch)
        if rate is None and self.burst != 1:
            raise ValueError("burst: goes with pace=, without which nothing waits")
        if rate is not None and self.burst > rate[0]:
            raise ValueError(
                f"burst: pass at most the {rate[0]} that pace={self.pace!r} allows, "
                f"not {self.burst}"
            )
        _rate("connects", self.connects, "dials")
        for name in ("channels", "connections", "connections_per_credential"):
            if getattr(self, name) is not None:
                whole_number(name, getattr(self, name))
        more_than_zero("lifetime", self.lifetime)
        _bytes(self.bytes)

    @property
    def rate(self) -> tuple[int, float] | None:
        """How many messages in how many seconds; ``None`` for no limit."""
        return _rate("pace", self.pace, "messages")

    @property
    def connect_rate(self) -> tuple[int, float] | None:
        """How many dials in how many seconds; ``None`` for no limit."""
        return _rate("connects", self.connects, "dials")

    @property
    def of_a_socket(self) -> Limits:
        """What of them one socket keeps by itself."""
        return Limits(self.pace, self.burst, self.batch)

    def check_for_a_socket(self) -> None:
        """Refuse what is about several sockets.

        Raises:
            ValueError: If there is any; the text names it.
        """
        for name in _OF_FLEETS:
            if getattr(self, name) is not None:
                raise ValueError(f"limits: one socket does not keep {name}=; {_OF_FLEETS[name]}")

    def bucket(self) -> TokenBucket | None:
        """A full bucket for this pace; ``None`` for no limit."""
        rate = self.rate
        return None if rate is None else TokenBucket(*rate, self.burst)


_FLEET = "make a Fleet with these limits, or leave it out"
_OF_FLEETS = {
    "channels": _FLEET,
    "bytes": _FLEET,
    "connects": _FLEET,
    "connections": _FLEET,
    "connections_per_credential": _FLEET,
    "lifetime": "pass it as Socket(max_age=), or make a Fleet with these limits",
}
"""What is about several sockets, and what to do with it instead."""


def _bytes(value: Any) -> None:
    if value is None:
        return
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        kind = type(value).__name__
        raise TypeError(f"bytes: pass a number of bytes a second or None, not {kind}")
    if not 0 < value <= MOST:  # nor NaN
        raise ValueError(
            f"bytes: pass a number of bytes a second that is more than 0, at most {MOST:.0e}, or "
            "None for no limit"
        )


def _rate(name: str, pace: Any, of: str) -> tuple[int, float] | None:
    if pace is None:
        return None
    example = f"{name}: {_EXAMPLE.format(of)}"
    if isinstance(pace, str):
        found = _PACE.fullmatch(pace.strip())
        count = int(found[1]) if found is not None else 0
        window = float(found[2] or 1) * _UNITS[found[3]] if found is not None else 0.0
        if not (count and window):
            raise ValueError(f"{example}, not {pace!r}")
        return count, window
    if isinstance(pace, bool) or not isinstance(pace, (int, float)):
        raise TypeError(f"{example}, not {type(pace).__name__}")
    if pace > MOST:  # it may be an integer that is no float, and too long to be shown
        raise ValueError(f"{example}, at most {MOST:.0e}; None is for no limit")
    if not pace > 0:  # nor NaN
        raise ValueError(f"{example} that is more than 0, not {pace!r}")
    each = Fraction(pace).limit_denominator(1_000_000)
    if not each:
        raise ValueError(f"{example}; for less than one a day, '1/7d', not {pace!r}")
    return each.numerator, float(each.denominator)


NO_LIMITS = Limits()
"""What sockets without any share."""


class TokenBucket:
    """Says how many may go now, and when the next one may.

    A bucket of ``burst`` tokens, refilled evenly, alone would let ``burst - 1`` more through in
    some windows than was allowed. So what went within the last window is counted, too.

    Args:
        count: How many may go in a window.
        window: Its length in seconds.
        burst: How many may go at once.

    Examples:
        >>> bucket = TokenBucket(count=5, window=1.0, burst=2)
        >>> bucket.available(10.0)
        2
        >>> bucket.take(2, 10.0)
        >>> bucket.next_at(10.0)
        10.2
    """

    __slots__ = ("_burst", "_count", "_each", "_full_at", "_in_window", "_recent", "_window")

    def __init__(self, count: int, window: float, burst: int = 1) -> None:
        self._count = count
        self._window = window
        self._each = window / count
        self._burst = burst
        self._full_at = -math.inf  # when it is, or was, full again
        self._recent: deque[tuple[float, int]] = deque()  # until when so many count
        self._in_window = 0

    def available(self, now: float) -> int:
        """How many may go at a time, which is never before that of an earlier call."""
        while self._recent and self._recent[0][0] <= now:
            self._in_window -= self._recent.popleft()[1]
        missing = max(0.0, self._full_at - now) / self._each
        tokens = math.floor(self._burst - missing + ROUNDING)
        return max(0, min(tokens, self._count - self._in_window))

    def take(self, count: int, now: float) -> None:
        """So many go now; no more than are available."""
        if count:
            self._full_at = max(self._full_at, now) + count * self._each
            self._recent.append((now + self._window, count))
            self._in_window += count

    def next_at(self, now: float) -> float:
        """When one may go: now, or later."""
        if self.available(now):
            return now
        token_at = self._full_at - (self._burst - 1) * self._each
        is_full = self._in_window >= self._count
        at = max(token_at, self._recent[0][0] if is_full else now)
        return at if at > now else now + self._each * ROUNDING
