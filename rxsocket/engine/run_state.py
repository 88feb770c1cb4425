"""What a socket remembers from one connection to the next, and how its last ones end (C5, C26)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field

from rxsocket.auth.credentials import Credential, CredentialSet
from rxsocket.events import Cause
from rxsocket.transports.base import Link


class ClosingConnections:
    """The connections of one socket that are being closed, each within a bound.

    Args:
        close_timeout: Seconds after which a connection that is still there is dropped.
        on_empty: Called each time when the last one is gone.
    """

    def __init__(self, close_timeout: float, on_empty: Callable[[], None]) -> None:
        self._close_timeout = close_timeout
        self._on_empty = on_empty
        self._tasks: dict[asyncio.Task[None], Link] = {}
        self._unanswered: dict[asyncio.Task[None], Link] = {}
        self._closed_at = 0.0
        self._loop_ends = False

    def __len__(self) -> int:
        self._forget_closed_loops()
        return len(self._tasks)

    def add(self, link: Link, code: int = 1000, reason: str = "") -> None:
        link.close(code, reason)
        task = self._wait_for(link)
        if task is not None:
            self._unanswered[task] = link
            self._closed_at = task.get_loop().time()

    def add_ended(self, link: Link) -> None:
        """Wait for the rest of a connection whose closing the peer began."""
        self._wait_for(link)

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
            async with asyncio.timeout_at(None if within is None else self._closed_at + within):
                while self._unanswered:
                    task, link = next(iter(self._unanswered.items()))
                    await link.answered()
                    self._unanswered.pop(task, None)

    def when_gone(self, function: Callable[[], None]) -> None:
        """Call a function when those that are here now are gone, whatever comes meanwhile."""
        self._forget_closed_loops()
        here = set(self._tasks)

        def gone(task: asyncio.Task[None]) -> None:
            here.discard(task)
            if not here:
                function()

        for task in self._tasks:
            task.add_done_callback(gone)
        if not here:
            function()

    def reset(self) -> None:
        """The socket starts, maybe on another loop than before."""
        self._loop_ends = False

    def abort_after(self, seconds: float) -> None:
        """Drop what is still here after that many seconds."""
        self._forget_closed_loops()
        for task in self._tasks:
            timer = task.get_loop().call_later(seconds, task.cancel)
            task.add_done_callback(lambda _, timer=timer: timer.cancel())  # type: ignore[misc]

    def loop_ends(self) -> list[asyncio.Task[None]]:
        """Drop them all: now, and whatever comes; return what the loop is to run on for."""
        self._loop_ends = True
        for link in self._tasks.values():
            link.abort()
        return list(self._tasks)

    def _wait_for(self, link: Link) -> asyncio.Task[None] | None:
        if self._loop_ends:
            link.abort()
            return None
        task = asyncio.get_running_loop().create_task(self._wait_closed(link))
        self._tasks[task] = link
        task.add_done_callback(self._gone)
        return task

    async def _wait_closed(self, link: Link) -> None:
        try:
            async with asyncio.timeout(self._close_timeout):
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
            self._on_empty()

    def _forget_closed_loops(self) -> None:
        """A loop that was closed without cancelling its tasks never runs them."""
        for task in [task for task in self._tasks if task.get_loop().is_closed()]:
            del self._tasks[task]
            self._unanswered.pop(task, None)


@dataclass(frozen=True, slots=True)
class StopReason:
    """Why a run of the socket ends, and what its connection is closed with."""

    cause: Cause
    code: int = 1000
    reason: str = ""


@dataclass(slots=True)
class RunState:
    """What outlives a connection and a change of credential.

    Attributes:
        closing: Connections that are being closed.
        refusals: Credentials that were refused.
        accepted: Credentials with which a connection was stable.
        epoch: Number of the last attempt.
        dialled_at: When the last handshake was sent, or the attempt began that sent none yet, on
            the loop's clock.
        credential_changed: Whether the credential was changed since then.
        dials_soon: Whether the next attempt comes at once, but for a burst, whatever gives its
            credential.
        is_running: Whether the socket runs.
        stop_reason: Why the run that is being stopped ends; written by the engine alone.
        closed_at: When the last connection ended, on the loop's clock.
        was_stable: Whether a connection of this run was stable.
        doubted: The last credential that may have been refused, by HTTP 400 for example.
        refused_retries: How often a credential that was accepted before was tried again after a
            refusal, since the last stable connection.
        reconnection_time: Seconds that the server asks to wait after a connection, if it did (C50).
        renewal: What says in words which renewal is to come, once one was asked for with a
            deadline; called from any thread.
        asking: The argument, ``"auth"`` or ``"url"``, whose answer an attempt waits for; or empty.
    """

    closing: ClosingConnections
    refusals: CredentialSet = field(default_factory=CredentialSet)
    accepted: CredentialSet = field(default_factory=CredentialSet)
    epoch: int = 0
    dialled_at: float | None = None
    credential_changed: bool = False
    dials_soon: bool = False
    is_running: bool = False
    stop_reason: StopReason = StopReason(Cause.LEFT)
    closed_at: float | None = None
    was_stable: bool = False
    doubted: Credential | None = None
    refused_retries: int = 0
    reconnection_time: float = 0.0
    renewal: Callable[[], str] | None = None
    asking: str = ""

    def start(self) -> None:
        self.is_running = True
        self.closed_at = None
        self.was_stable = False
        self.refused_retries = 0
        self.reconnection_time = 0.0
        self.doubted = None
        self.closing.reset()
