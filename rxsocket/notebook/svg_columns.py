"""From bins of time to columns of a plot."""

from __future__ import annotations

from rxsocket.notebook.svg_scene import Density

__all__ = ["columns"]


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
