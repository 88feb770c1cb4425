"""Counts over time: kept in bounded memory, and as the columns of a plot."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from itertools import accumulate
from typing import NamedTuple

WIDTH = 0.1
"""Seconds of the narrowest bins; those of each further level are 10 times as wide."""
KEPT = 1200
"""Bins of a level: at least the last 2 minutes are in bins of 0.1 s."""


class Bin(NamedTuple):
    """A span of time, and the number of things that happened in it."""

    start: float
    width: float
    total: int


class Histogram:
    """Counts in bins of time: narrow bins lately, wider ones the longer ago, no empty ones.

    ::

        width      10 s     1 s    0.1 s
        bins   [  |  |  ][||||||][::::::] now

    A full level passes its oldest bin on to the next one.
    """

    __slots__ = ("_levels", "_newest", "total")

    def __init__(self) -> None:
        self._levels: list[deque[list[int]]] = []
        self._newest = [-1, 0]
        self.total = 0

    def add(self, at: float, count: int = 1) -> None:
        self.total += count
        newest = self._newest
        if newest[0] == int(at / WIDTH):
            newest[1] += count
            return
        self._put(0, int(at / WIDTH), count)
        self._newest = self._levels[0][-1]

    def bins_between(self, begin: float, end: float) -> Iterator[Bin]:
        """The bins that touch a span of time, oldest first."""
        for level, bins in reversed(tuple(enumerate(self._levels))):
            width = WIDTH * 10**level
            for index, count in bins:
                if (index + 1) * width > begin and index * width <= end:
                    yield Bin(index * width, width, count)

    def _put(self, level: int, index: int, count: int) -> None:
        if level == len(self._levels):
            self._levels.append(deque())
        bins = self._levels[level]
        if bins and bins[-1][0] >= index:  # a wall clock that was set back counts as now
            bins[-1][1] += count
            return
        bins.append([index, count])
        if len(bins) > KEPT:
            index, count = bins.popleft()
            self._put(level + 1, index // 10, count)


def column_rates(bins: Sequence[Bin], begin: float, span: float, columns: int) -> list[float]:
    """The rate per second in each column of a plot of ``span`` seconds.

    A bin that is wider than a column is spread evenly over the columns that it covers.
    """
    column = span / columns
    sums = [0.0] * columns
    for start, width, count in bins:
        first, last = (start - begin) / column, (start + width - begin) / column
        low, high = max(0, int(first)), min(columns, int(last) + 1)
        if high - low == 1 and first >= 0 and last <= columns:
            sums[low] += count
            continue
        for number in range(low, high):
            share = (min(last, number + 1) - max(first, number)) / (last - first)
            sums[number] += count * max(share, 0.0)
    return [count / column for count in sums]


def smooth_rates(
    rates: Sequence[float], begin: float, span: float, spans: Sequence[tuple[float, float]]
) -> list[float]:
    """The rates of columns without the steps that whole numbers in narrow bins make.

    Each is the mean of as long around it as 10 things take, from 0.2 s to 1 s; of the time in
    ``spans`` alone, and 0 outside of it.
    """
    columns = len(rates)
    column = span / columns
    parts = [1.0] * columns if not spans else _covered(begin, column, columns, spans)
    seconds = sum(parts) * column
    mean = sum(rates) * column / seconds if seconds else 0.0
    wide = max(0.2, min(1.0, 10 / mean)) if mean else 0.2
    reach = int(wide / column / 2)
    # What a bin has outside of the time in which it can be is moved to where it can.
    counts = [0.0, *accumulate(rates)]
    times = [0.0, *accumulate(parts)]
    found: list[float] = []
    for number, part in enumerate(parts):
        low, high = max(0, number - reach), min(columns, number + reach + 1)
        time = times[high] - times[low]
        found.append((counts[high] - counts[low]) / max(time, 1.0) if part else 0.0)
    return found


def _covered(
    begin: float, column: float, columns: int, spans: Sequence[tuple[float, float]]
) -> list[float]:
    """Which part of each column is in one of the spans."""
    parts = [0.0] * columns
    for start, end in spans:
        first, last = (start - begin) / column, (end - begin) / column
        for number in range(max(0, int(first)), min(columns, int(last) + 1)):
            parts[number] += max(0.0, min(last, number + 1) - max(first, number))
    return [min(1.0, part) for part in parts]


def column_times(bins: Sequence[Bin], begin: float, span: float, columns: int) -> list[float]:
    """A time for each column, by which its colour is chosen: its middle.

    But the first bin after a pause may begin before the connection of its messages did: there it is
    the end of the bin.
    """
    column = span / columns
    times = [begin + (number + 0.5) * column for number in range(columns)]
    previous_end = float("-inf")
    for start, width, _ in bins:
        if start > previous_end + width / 2:
            low, high = int((start - begin) / column), int((start + width - begin) / column) + 1
            for number in range(max(0, low), min(columns, high)):
                times[number] = max(times[number], start + width)
        previous_end = start + width
    return times
