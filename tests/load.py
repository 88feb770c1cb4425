"""What else the machine does while a test measures time."""

from __future__ import annotations

import os

__all__ = ["stretched"]


def stretched(seconds: float) -> float:
    """The seconds that something may take now, of those it may take on a quiet machine.

    With more to run than there are processors, everything takes longer in proportion.
    """
    if not hasattr(os, "getloadavg"):  # Windows
        return seconds
    return seconds * max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1))
