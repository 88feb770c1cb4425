"""The points of one line of a plot, in bounded memory, and those of them that can be seen."""

from __future__ import annotations

from array import array
from bisect import bisect_left
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Floats: TypeAlias = "NDArray[np.float64]"
Whole: TypeAlias = "NDArray[np.int64]"

EXACT = 4000
"""Newest points of a line that are kept as they are."""
PARTS = 1000
"""Parts of the time before them, of each of which the extremes are kept."""


def extremes(y: Floats, parts: Whole) -> Whole:
    """The places of what is seen of a line: the least and the greatest value of each part.

    Also those of its ends, and of the first gap of each part, which is NaN. So a line through these
    covers the same rows of each column of pixels, if each column is a part.

    Args:
        y: The values, in the order of the line.
        parts: The number of the part that each is in.
    """
    if not len(y):
        return np.zeros(0, np.int64)
    is_gap = np.isnan(y)
    places, gaps = np.flatnonzero(~is_gap), np.flatnonzero(is_gap)
    order = np.lexsort((y[places], parts[places]))
    sorted_parts = parts[places][order]
    begins = _changes(sorted_parts)
    ends = np.append(begins[1:] - 1, len(order) - 1) if len(order) else begins
    chosen = (places[order[begins]], places[order[ends]], gaps[_changes(parts[gaps])])
    return np.unique(np.concatenate((*chosen, [0, len(y) - 1]))).astype(np.int64)


def _changes(parts: Whole) -> Whole:
    """Where a part begins, of parts that are sorted."""
    if not len(parts):
        return np.zeros(0, np.int64)
    return np.flatnonzero(np.append(True, parts[1:] != parts[:-1])).astype(np.int64)


def seen(x: Floats, y: Floats, columns: int, begin: float, end: float) -> tuple[Floats, Floats]:
    """What can be seen of a line between two places on the x axis.

    That are at most two points in each column of pixels, and one on either side.
    """
    first = max(0, int(np.searchsorted(x, begin)) - 1)
    last = int(np.searchsorted(x, end, "right")) + 1
    x, y = x[first:last], y[first:last]
    width = (end - begin) / columns
    if len(x) > 2 * columns and width > 0:
        kept = extremes(y, np.floor((x - begin) / width).astype(np.int64))
        x, y = x[kept], y[kept]
    return x, y


class LinePoints:
    """The points of a line: the newest as they came, of those before them the extremes.

    ::

        came    .::.:.::.:.:::.:.::.::.:.:::.:.::.:.::.::::.:.:.
        kept    |    |    |    |    |    |    |    :.::.::::.:.:.
                least and greatest of each part     4,000 or more

    Args:
        seconds: The time to keep them; ``None`` for ever.
    """

    __slots__ = ("_at", "_seconds", "_settled", "_width", "_x", "_y", "stretch")

    def __init__(self, seconds: float | None) -> None:
        self._seconds = seconds
        self._width = 2.0**-10 if seconds is None else seconds / PARTS
        self._at, self._x, self._y = array("d"), array("d"), array("d")
        self._settled = 0  # how many of them are extremes
        self.stretch = 0
        """The number of the time without an outage that the newest point is of."""

    def __len__(self) -> int:
        return len(self._at)

    def add(self, at: float, x: float, y: float) -> None:
        """Add one that came at a time."""
        self._at.append(at)
        self._x.append(x)
        self._y.append(y)
        if len(self._at) - self._settled >= 2 * EXACT:
            self._settle(at)

    def add_gap(self, at: float, x: float) -> None:
        """Do not join the last point and the next."""
        if self._x:
            self.add((self._at[-1] + at) / 2, (self._x[-1] + x) / 2, float("nan"))

    def points(self, since: float = 0.0) -> tuple[Floats, Floats]:
        """The places on both axes of all that came since a time, in the order of x."""
        first = bisect_left(self._at, since)
        x, y = np.array(self._x[first:]), np.array(self._y[first:])
        if len(x) > 1 and (x[1:] < x[:-1]).any():
            order = np.argsort(x, kind="stable")
            x, y = x[order], y[order]
        return x, y

    def _settle(self, now: float) -> None:
        """Keep of all but the newest points the extremes."""
        if self._seconds is not None:
            self._keep(slice(bisect_left(self._at, now - self._seconds), None))
        count = len(self._at) - EXACT
        if count <= 0:
            return
        at, y = np.array(self._at[:count]), np.array(self._y[:count])
        while self._seconds is None and (at[-1] - at[0]) / self._width > 2 * PARTS:
            self._width *= 2  # a part of the new width is two of the old
        kept = extremes(y, np.floor(at / self._width).astype(np.int64))
        newest = np.arange(count, len(self._at))
        self._keep(np.concatenate((kept, newest)))
        self._settled = len(kept)

    def _keep(self, places: slice | Whole) -> None:
        for name in ("_at", "_x", "_y"):
            values = np.array(getattr(self, name))[places]
            setattr(self, name, array("d", values.tobytes()))
