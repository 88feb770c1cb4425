"""How long something may take while the machine does other things besides."""

from __future__ import annotations

import math
import os
import re
import sys
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

__all__ = ["AGAIN", "DEBUGGING", "TooSlow", "stretched", "took", "within", "without_slow_callbacks"]

LOAD = Path("/proc/loadavg")
DEBUGGING = 15.0 if sys.flags.dev_mode else 1.0
"""How many times as long asyncio takes for everything in development mode."""
FIVE_THOUSAND_ENTRIES = 0.0008
"""Seconds that the measure of :func:`slowness` takes on a quiet machine."""


class TooSlow(AssertionError):
    """Something took longer than it may.

    A test is repeated for this alone, at most twice: a machine that is held up for a second is so
    once, and what is slow by itself is so each time.
    """


AGAIN = {"reruns": 2, "only_rerun": [TooSlow.__name__]}
"""What ``pytest-rerunfailures`` does for the tests of modules that use ``took`` or ``within``."""


def slowness() -> float:
    """How many times as long this processor takes just now as the one that deadlines are made for.

    Other guests of the same hardware do not show in the load.
    """
    least = math.inf
    for _ in range(5):
        began = time.process_time()
        sum({index: str(index) for index in range(5_000)})
        least = min(least, time.process_time() - began)
    return max(1.0, least / FIVE_THOUSAND_ENTRIES)


def stretched(seconds: float) -> float:
    """The seconds that something may take now, of those it may take on a quiet machine.

    With more to run than there are processors, everything takes longer in proportion. Where the
    system does not tell how much there is, only the processor's own pace counts.
    """
    seconds *= DEBUGGING * slowness()
    if not LOAD.exists():
        return seconds
    of_the_minute, _, _, now, _ = LOAD.read_text().split()
    running = max(float(of_the_minute), float(now.partition("/")[0]))
    return seconds * max(1.0, running / (os.cpu_count() or 1))


def took(seconds: float, most: float, what: object = "") -> None:
    """What took so many seconds may take no longer than ``most`` on a quiet machine."""
    __tracebackhide__ = True
    if not seconds < stretched(most):
        raise TooSlow(f"{seconds:.3f} s instead of {most:g} s; {what}".rstrip("; "))


@contextmanager
def within(most: float, least: float = 0.0) -> Generator[None]:
    """What is done in the block takes no longer than that on a quiet machine, nor less."""
    __tracebackhide__ = True
    start = time.monotonic()
    yield
    seconds = time.monotonic() - start
    assert seconds >= least, f"{seconds:.3f} s"
    took(seconds, most)


def without_slow_callbacks(text: str) -> str:
    """What a program wrote, but for what asyncio says in development mode of any busy machine."""
    return re.sub(r"^Executing <.*> took [\d.]+ seconds\n", "", text, flags=re.MULTILINE)
