"""Old connections on their way out: closed in the background, with a bound (C5, C26)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Protocol

from rxsocket.transports.base import Link

__all__ = ["Departures"]


class Owner(Protocol):
    """Whose connections they were."""

    def departed(self) -> None:
        """The last one is gone."""
        ...


class Departures:
    """The connections of one socket that are being closed.

    Args:
        limit: Seconds after which a connection that is still there is dropped.
        owner: Told when the last one is gone.
    """

    def __init__(self, limit: float, owner: Owner) -> None:
        self._limit = limit
        self._owner = owner
        self._tasks: dict[asyncio.Task[None], None] = {}
        self._unanswered: dict[asyncio.Task[None], Link] = {}
        self._last = 0.0
        self._rushed = False

    def __len__(self) -> int:
        return len(self._tasks)

    def add(self, link: Link, code: int = 1000, reason: str = "", *, ended: bool = False) -> None:
        """Close a connection, or just wait for the rest of one whose closing the peer began."""
        if not ended:
            link.close(code, reason)
        if self._rushed:
            link.abort()
            return
        task = asyncio.get_running_loop().create_task(self._depart(link))
        self._tasks[task] = None
        if not ended:
            self._unanswered[task] = link
            self._last = task.get_loop().time()
        task.add_done_callback(self._gone)

    @property
    def unanswered(self) -> bool:
        """Whether a peer has not answered our close yet."""
        return bool(self._unanswered)

    async def answered(self, within: float | None = None) -> None:
        """Return when every peer has answered our close or is gone.

        Args:
            within: Seconds since the last close after which they have had time enough.
        """
        if not self._unanswered:
            return
        with suppress(TimeoutError):
            async with asyncio.timeout_at(None if within is None else self._last + within):
                while self._unanswered:
                    task, link = next(iter(self._unanswered.items()))
                    await link.answered()
                    self._unanswered.pop(task, None)

    def afterwards(self, action: Callable[[], None]) -> None:
        """Do something when those that are here now are gone, whoever else comes meanwhile."""
        here = set(self._tasks)

        def gone(task: asyncio.Task[None]) -> None:
            here.discard(task)
            if not here:
                action()

        for task in self._tasks:
            task.add_done_callback(gone)
        if not here:
            action()

    def begin(self) -> None:
        """The socket starts, maybe on another loop than before."""
        self._rushed = False

    def rush(self) -> None:
        """The loop ends: from now on say goodbye and drop the connection, without waiting."""
        self._rushed = True

    def hurry(self, seconds: float) -> None:
        """Drop whatever is still here after that many seconds."""
        for task in self._tasks:  # none when the socket has stopped, and then no loop runs here
            timer = task.get_loop().call_later(seconds, task.cancel)
            task.add_done_callback(lambda _, timer=timer: timer.cancel())  # type: ignore[misc]

    async def _depart(self, link: Link) -> None:
        try:
            async with asyncio.timeout(self._limit):
                await link.wait_closed()
        except TimeoutError:
            link.abort()
        except BaseException:
            link.abort()
            raise

    def _gone(self, task: asyncio.Task[None]) -> None:
        self._tasks.pop(task, None)
        self._unanswered.pop(task, None)
        if not task.cancelled():
            task.exception()  # a transport's own failure while closing is of no use to anybody
        if not self._tasks:
            self._owner.departed()
