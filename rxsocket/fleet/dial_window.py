"""When dials may begin, so that the server never counts more in a window than it allows.

::

    our dials      |-----a            |--a
    the server       x                  x       somewhere between the dial and its answer
    a window             |<--------->|          counts from the answer on: the dial may have
                                                been seen as late as that

It is arithmetic, and knows of no socket, loop or clock.
"""

from __future__ import annotations

import heapq
import math
from collections import deque

SLACK = 1.001
"""A window is that much longer for us: the server's clock may be slower."""
KEPT = 20
"""How many answers are looked at for how long one may take."""


class Dial:
    """One attempt to connect.

    Attributes:
        at: When it was admitted.
        is_answered: Whether its answer has come, or never will.
    """

    __slots__ = ("at", "is_answered")

    def __init__(self, at: float) -> None:
        self.at = at
        self.is_answered = False


class DialWindow:
    """The dials of one address.

    Args:
        rate: How many the server allows in how many seconds; ``None`` for any number.

    Examples:
        >>> window = DialWindow((2, 10.0))
        >>> first, second = window.begin(0.0), window.begin(0.0)
        >>> window.next_at(1.0)
        inf
        >>> window.answered(first, 1.0)
        >>> window.next_at(1.0)
        11.01
    """

    def __init__(self, rate: tuple[int, float] | None) -> None:
        self._count, window = rate or (0, 0.0)
        self._window = window * SLACK
        self._unanswered = 0
        self._free_at: list[float] = []  # a heap: when those that were answered count no more
        self._took: deque[float] = deque(maxlen=KEPT)

    @property
    def unanswered(self) -> int:
        """Dials on their way."""
        return self._unanswered

    def begin(self, now: float) -> Dial:
        """A dial begins; it is not before :meth:`next_at`."""
        self._unanswered += 1
        return Dial(now)

    def withdraw(self, dial: Dial) -> None:
        """A dial that was begun was not made."""
        if not dial.is_answered:
            dial.is_answered = True
            self._unanswered -= 1

    def answered(self, dial: Dial, now: float, *, given_up: bool = False) -> None:
        """The server has seen a dial; only the first call for each counts.

        Args:
            dial: The dial.
            now: The time.
            given_up: Whether we did not wait for its answer: it may be under way still.
        """
        if dial.is_answered:
            return
        self.withdraw(dial)
        if given_up:
            now += max(self._took, default=0.0)
        else:
            self._took.append(now - dial.at)
        if self._count:
            heapq.heappush(self._free_at, now + self._window)

    def give_up(self, now: float) -> None:
        """No answer comes any more to those that are under way."""
        for _ in range(self._unanswered):
            dial = Dial(now)
            self.answered(dial, now, given_up=True)

    def next_at(self, now: float) -> float:
        """When a dial may begin: now, later, or infinity, as answers have to come first."""
        if not self._count:
            return now
        while self._free_at and self._free_at[0] <= now:
            heapq.heappop(self._free_at)
        if self._unanswered + len(self._free_at) < self._count:
            return now
        return self._free_at[0] if self._unanswered < self._count else math.inf

    def used(self, now: float) -> int:
        """How many dials count now."""
        self.next_at(now)
        return self._unanswered + len(self._free_at)
