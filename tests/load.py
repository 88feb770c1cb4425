"""How long something may take while the machine does other things besides."""

from __future__ import annotations

import os
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

__all__ = ["stretched", "within"]

LOAD = Path("/proc/loadavg")


def stretched(seconds: float) -> float:
    """The seconds that something may take now, of those it may take on a quiet machine.

    With more to run than there are processors, everything takes longer in proportion. Where the
    system does not tell how much there is, the seconds are as they are.
    """
    if not LOAD.exists():
        return seconds
    of_the_minute, _, _, now, _ = LOAD.read_text().split()
    running = max(float(of_the_minute), float(now.partition("/")[0]))
    return seconds * max(1.0, running / (os.cpu_count() or 1))


@contextmanager
def within(most: float, least: float = 0.0) -> Generator[None]:
    """What is done in the block takes no longer than that on a quiet machine, nor less."""
    __tracebackhide__ = True
    start = time.monotonic()
    yield
    took = time.monotonic() - start
    assert least <= took < stretched(most), f"{took:.3f} s"
