"""How long things take: counts of durations in bins that grow with them, in bounded memory."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from math import ceil, inf, sqrt
from typing import NamedTuple

STEPS = 10
"""Bins of a factor of 10: a quantile is right to within an eighth."""
_EDGES = tuple(10 ** (index / STEPS) for index in range(-6 * STEPS, 5 * STEPS + 1))
"""Where bins begin, from 1 µs to 100,000 s; what is shorter or longer is in the first or last."""
_BARS = "▁▂▃▄▅▆▇█"


class DurationBin(NamedTuple):
    """Seconds, from and to, and how many durations were between these."""

    start: float
    end: float
    total: int


class Durations:
    """A histogram of durations in seconds.

    ::

        bins    | 1 µs | 1.26 µs | 1.58 µs | ... | 79,433 s |

    Attributes:
        count: How many there were.
        negative: How many of them were less than 0, as clocks differ; they are in no bin.
        shortest, longest: In seconds.
    """

    __slots__ = ("_counts", "count", "longest", "negative", "shortest")

    def __init__(self) -> None:
        self._counts: dict[int, int] = {}
        self.count = self.negative = 0
        self.shortest, self.longest = inf, -inf

    def add(self, seconds: float) -> None:
        """Count one more."""
        self.count += 1
        if seconds < self.shortest:
            self.shortest = seconds
        if seconds > self.longest:
            self.longest = seconds
        if seconds < 0:
            self.negative += 1
            return
        index = max(0, bisect_right(_EDGES, seconds) - 1)
        self._counts[index] = self._counts.get(index, 0) + 1

    @property
    def bins(self) -> tuple[DurationBin, ...]:
        """The bins that have any, the shortest durations first."""
        last = len(_EDGES) - 1
        return tuple(
            DurationBin(_EDGES[index], _EDGES[index + 1] if index < last else inf, count)
            for index, count in sorted(self._counts.items())
        )

    def quantile(self, part: float) -> float | None:
        """The duration that this part of all of them does not exceed; ``None`` without any."""
        if not self.count:
            return None
        rank, seen = part * self.count, self.negative
        if seen >= rank and self.negative:
            return self.shortest
        for start, end, count in self.bins:
            seen += count
            if seen >= rank:
                middle = sqrt(start * min(end, 1e6))
                return min(max(middle, self.shortest), self.longest)
        return self.longest

    def sparkline(self, width: int = 12) -> str:
        """The histogram as a line of text, from the shortest to the longest."""
        if not self._counts:
            return ""
        first, last = min(self._counts), max(self._counts)
        width = min(width, last - first + 1)
        sums = [0] * width
        for index, count in self._counts.items():
            sums[(index - first) * width // (last - first + 1)] += count
        return sparkline(sums)

    def copy(self) -> Durations:
        """The same at this moment, which does not change any more."""
        other = Durations()
        other._counts = dict(self._counts)
        other.count, other.negative = self.count, self.negative
        other.shortest, other.longest = self.shortest, self.longest
        return other


def sparkline(numbers: Sequence[float]) -> str:
    """Numbers that are not negative as a line of text; the largest is as high as the line."""
    most, last = max(numbers, default=0) or 1, len(_BARS) - 1
    return "".join(_BARS[min(last, ceil(number / most * last))] for number in numbers)


def brief(seconds: float | None) -> str:
    """A duration in a cell of a table: ``"3.4 ms"``."""
    if seconds is None:
        return ""
    for scale, unit in ((1e-3, "µs"), (1.0, "ms")):
        if abs(seconds) < scale:
            return f"{seconds / scale * 1000:.3g} {unit}"
    return f"{seconds:.3g} s" if abs(seconds) < 1000 else f"{seconds:,.0f} s"
