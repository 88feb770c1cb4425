"""What a running socket remembers from one connection to the next (C5, C26)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Protocol

from rxsocket.auth.credentials import RefusedCredentials
from rxsocket.events import Cause
from rxsocket.transports.base import Link

__all__ = ["ClosingConnections", "RunState"]


class Owner(Protocol):
    """Whose connections they were."""

    def departed(self) -> None:
        """The last one is gone."""
        ...


class ClosingConnections:
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


@dataclass(slots=True)
class RunState:
    """What outlives a connection and a change of credential.

    Attributes:
        departures: Connections that are being closed.
        refusals: Credentials that were refused.
        epoch: Number of the last attempt.
        cause: Why the next thing happens: an attempt begins, or a connection is let go.
        farewell: Close code and reason to send when a connection is let go.
        dialled_at: When the last handshake was sent, or the attempt began that sent none yet, on
            the loop's clock.
        changed: Whether the credential was changed since then.
        running: Whether the socket runs.
        closed_at: When the last connection ended, on the loop's clock.
    """

    closing_connections: ClosingConnections
    refusals: RefusedCredentials = field(default_factory=RefusedCredentials)
    epoch: int = 0
    cause: Cause = Cause.STARTED
    farewell: tuple[int, str] = (1000, "")
    dialled_at: float | None = None
    changed: bool = False
    running: bool = False
    closed_at: float | None = None

    def begin(self) -> None:
        """The socket starts."""
        self.running = True
        self.closed_at = None
        self.closing_connections.begin()
        self.leave(Cause.STARTED)

    def leave(self, cause: Cause, code: int = 1000, reason: str = "") -> None:
        """What runs now is about to be let go, and why."""
        self.cause = cause
        self.farewell = (code, reason)
