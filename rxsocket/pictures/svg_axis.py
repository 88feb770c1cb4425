"""Where the ticks of a time axis are, and what is written at them."""

from __future__ import annotations

import math
from collections.abc import Iterator

__all__ = ["clock_time", "ticks"]

STEPS = (
    *(0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5),
    *(1.0, 2.0, 5.0, 10.0, 20.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1200.0, 1800.0),
    *(3600.0, 7200.0, 10800.0, 21600.0, 43200.0, 86400.0),
)
MOST = 10
RELATIVE = 120.0
"""Seconds up to which ticks count from the beginning of the picture; longer ones are o'clock."""
DAY = 86400.0


def ticks(begin: float, end: float, zone: float) -> Iterator[tuple[float, str]]:
    """The ticks of a span: where, and their text."""
    span = max(end - begin, 1e-6)
    step = next((step for step in STEPS if span / step <= MOST), math.ceil(span / MOST / DAY) * DAY)
    relative = span <= RELATIVE
    # Ticks that are o'clock are at whole steps of local time.
    first = begin if relative else math.ceil((begin + zone) / step) * step - zone
    for number in range(int((end - first) / step + 1e-9) + 1):
        at = first + number * step
        yield at, _seconds(number * step, step) if relative else clock_time(at, zone, span, step)


def clock_time(at: float, zone: float, span: float, step: float = 1.0) -> str:
    """A wall time as a clock shows it; with the day where the span has more than one."""
    local = at + zone
    seconds = local % DAY
    text = f"{int(seconds // 3600):02d}:{int(seconds % 3600 // 60):02d}"
    if step < 60 or step % 60:
        text += f":{int(seconds % 60):02d}"
    if span > DAY:
        text = f"day {int(local // DAY) % 1000} {text}" if step < DAY else text
    return text


def _seconds(value: float, step: float) -> str:
    digits = max(0, math.ceil(-math.log10(step))) if step < 1 else 0
    return f"{value:.{digits}f} s"
