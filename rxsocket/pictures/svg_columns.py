"""From bins of time to columns of a plot."""

from __future__ import annotations

from rxsocket.pictures.svg_scene import Density

__all__ = ["columns", "moments"]


def columns(density: Density, begin: float, span: float, count: int) -> list[float]:
    """How many things a second there were, for each column of a plot.

    A bin that is wider than a column is spread evenly over those that it covers.

    Args:
        density: The bins.
        begin: Where the plot begins.
        span: Seconds that it shows.
        count: How many columns it has.
    """
    width = span / count
    sums = [0.0] * count
    for start, wide, many in density.bins:
        first, last = (start - begin) / width, (start + wide - begin) / width
        low, high = max(0, int(first)), min(count, int(last) + 1)
        if high - low == 1 and first >= 0 and last <= count:
            sums[low] += many
            continue
        for number in range(low, high):
            share = (min(last, number + 1) - max(first, number)) / (last - first)
            sums[number] += many * max(share, 0.0)
    return [many / width for many in sums]


def moments(density: Density, begin: float, span: float, count: int) -> list[float]:
    """A moment for each column at which what it shows had come, for its colour.

    That is its middle; but the first bin after a pause began before what is in it came.

    Args: see :func:`columns`.
    """
    width = span / count
    found = [begin + (number + 0.5) * width for number in range(count)]
    before = float("-inf")
    for start, wide, _ in density.bins:
        if start > before + wide / 2:
            low, high = int((start - begin) / width), int((start + wide - begin) / width) + 1
            for number in range(max(0, low), min(count, high)):
                found[number] = max(found[number], start + wide)
        before = start + wide
    return found
