"""Waiting in a cell of a notebook, so that an interrupt of the kernel ends it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

REFRESH = 0.1
"""Seconds between two looks, and until an interrupt is noticed."""


async def wait_until(
    ended: asyncio.Future[None], seconds: float | None, show: Callable[[], object] | None = None
) -> None:
    """Wait in small steps: an interrupted kernel cancels a cell only when its loop wakes up.

    Args:
        ended: What is waited for.
        seconds: How long at most; ``None`` for as long as it takes.
        show: Called after each step, and at the end.
    """
    loop = asyncio.get_running_loop()
    deadline = None if seconds is None else loop.time() + seconds
    while not ended.done():
        left = REFRESH if deadline is None else min(REFRESH, deadline - loop.time())
        if left <= 0:
            break
        await asyncio.wait((ended,), timeout=left)
        if show is not None:
            show()
    if show is not None:
        show()
