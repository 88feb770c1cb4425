"""How many things happened when, in bounded memory: exact lately, coarser the longer ago."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator

__all__ = ["Density"]

WIDTHS = (0.1, 1.0, 10.0)
"""Seconds of a bin, for what is new, older and old."""
KEPT = 1200
"""Bins of each width: 2 minutes of the finest, if something happens all the time."""


class Density:
    """Counts in bins of time; only those that hold something are kept.

    ::

        width     100 s     10 s    1 s  0.1 s
        bins   [    |    ][ |  | ][||||][::::::] now
    """

    __slots__ = ("_levels", "_newest", "_oldest", "_width", "total")

    def __init__(self) -> None:
        self._levels: tuple[deque[list[int]], ...] = tuple(deque() for _ in WIDTHS)
        self._oldest: list[list[int]] = []
        self._newest = [-1, 0]
        self._width = WIDTHS[-1] * 10
        self.total = 0

    def add(self, at: float, count: int = 1) -> None:
        """Count something that happened at a wall time."""
        self.total += count
        newest = self._newest
        if newest[0] == int(at / WIDTHS[0]):  # the short cut of what happens often
            newest[1] += count
            return
        self._put(0, int(at / WIDTHS[0]), count)
        self._newest = self._levels[0][-1]

    def between(self, begin: float, end: float) -> Iterator[tuple[float, float, int]]:
        """Bins that touch a span: where each begins, its width in seconds, its count."""
        levels = ((self._oldest, self._width), *zip(self._levels[::-1], WIDTHS[::-1], strict=True))
        for bins, width in levels:
            for index, count in bins:
                if (index + 1) * width > begin and index * width <= end:
                    yield index * width, width, count

    def _put(self, level: int, index: int, count: int) -> None:
        bins = self._levels[level]
        if bins and bins[-1][0] >= index:  # a wall clock that was set back counts as now
            bins[-1][1] += count
            return
        bins.append([index, count])
        if len(bins) <= KEPT:
            return
        index, count = bins.popleft()
        if level + 1 < len(WIDTHS):
            self._put(level + 1, int(index * WIDTHS[level] / WIDTHS[level + 1]), count)
        else:
            self._put_oldest(index * WIDTHS[level], count)

    def _put_oldest(self, at: float, count: int) -> None:
        index = int(at / self._width)
        if self._oldest and self._oldest[-1][0] >= index:
            self._oldest[-1][1] += count
            return
        self._oldest.append([index, count])
        if len(self._oldest) > KEPT:
            self._width *= 2
            halved: dict[int, int] = {}
            for old, many in self._oldest:
                halved[old // 2] = halved.get(old // 2, 0) + many
            self._oldest = [[old, many] for old, many in halved.items()]
