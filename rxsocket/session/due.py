"""When a connection is to be renewed, and when it must be left at the latest (C13, C34).

::

    renew(within=10)   |---- jitter ----|------ the renewal ------|- margin -|
                      told            due                       late     the deadline

Many sockets are told at the same time, so each begins after a time of its own. What is not over
when it is late, because the next connection is refused or has not caught up, is done the short way:
the old one is closed, and the next one is dialled at once.
"""

from __future__ import annotations

import asyncio
from random import Random

from rxsocket.engine.renewal_request import RenewalRequest
from rxsocket.events import Cause
from rxsocket.explain.causes import attempt_reason
from rxsocket.explain.format import span

JITTER = 0.5
"""Share of the time until the deadline over which the beginnings are spread."""
MARGIN = 1 / 3
"""Share of it that is kept for the short way."""
LONGEST_MARGIN = 2.0
"""Seconds of that at most."""


class Due:
    """What makes a renewal of the active connection due, until it is taken.

    Args:
        loop: The socket's loop.
        random: Source of the jitter.
        in_band: Whether a change of credential needs no other connection: then what does comes
            first, and serves for the change, too.

    Attributes:
        deadline: When the next connection is to be open, on the loop's clock; ``None`` for no
            matter when.
        cause: Why it is due; ``None`` if it is not.
        future: Done while it is due.
        late: Done when the connection must be left at once.
        why: What ``renew(why=...)`` was told.
        code: What the old connection is closed with.
        is_asked: Whether ``renew()`` was called and the connection is still there.
        elsewhere: Whether the next connection is to be at an address that no attempt has used yet.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, random: Random, *, in_band: bool) -> None:
        self._loop = loop
        self._random = random
        self._in_band = in_band
        self._timers: tuple[asyncio.TimerHandle, ...] = ()
        self._begins_at = self._late_at = float("inf")
        self.deadline: float | None = None
        self.cause: Cause | None = None
        self.why, self.code = "", 1000
        self.is_asked = self.elsewhere = False
        self.future: asyncio.Future[None] = loop.create_future()
        self.late: asyncio.Future[None] = loop.create_future()

    @property
    def until_late(self) -> float | None:
        """Seconds until the connection must be left; ``None`` without a deadline."""
        is_there = self._late_at < float("inf")
        return max(0.0, self._late_at - self._loop.time()) if is_there else None

    def explain(self) -> str:
        """That it was asked for and has not begun yet, in words; from any thread."""
        begins_in = self._begins_at - self._loop.time()
        if not 0.0 < begins_in < float("inf"):
            return ""
        return f"another connection in {span(begins_in)}: {attempt_reason(Cause.RENEW, self.why)}"

    def set(self, cause: Cause) -> None:
        """It is due now."""
        if self.cause is None or self._urgency(cause) >= self._urgency(self.cause):
            self.cause = cause
        if not self.future.done():
            self.future.set_result(None)

    def ask(self, request: RenewalRequest, *, at_once: bool) -> None:
        """It is asked for. Of several deadlines the first one counts.

        Args:
            request: What is asked for.
            at_once: Whether to begin without jitter, as a dial was made already.
        """
        now = self._loop.time()
        self.is_asked = True
        self.why, self.code = request.why or self.why, request.code
        self.elsewhere = self.elsewhere or request.elsewhere
        begins_at = now
        if request.within is not None:
            begins_at += self._random.uniform(0.0, request.within * JITTER)
            margin = min(request.within * MARGIN, LONGEST_MARGIN)
            deadline = now + request.within
            self._late_at = min(self._late_at, deadline - margin)
            self.deadline = min(self.deadline or deadline, deadline)
        self._begins_at = now if at_once else min(self._begins_at, begins_at)
        self._start_timers(now)

    def take_what_is_under_way(self) -> bool:
        """Take a request that the attempt under way serves for; return whether it was one."""
        serves = self.cause is Cause.RENEW and not self.elsewhere and not self.late.done()
        if serves:
            self.take()
        return serves

    def take(self) -> Cause | None:
        """Why it is due, which it is no more."""
        cause, self.cause = self.cause, None
        if self.future.done():
            self.future = self._loop.create_future()
        return cause

    def end(self) -> None:
        """The connection that ``renew()`` was called for is no more, or is kept."""
        if not self.is_asked:
            return
        self._cancel_timers()
        self._begins_at = self._late_at = float("inf")
        self.deadline, self.why, self.code = None, "", 1000
        self.is_asked = self.elsewhere = False
        if self.cause is Cause.RENEW:
            self.take()
        if self.late.done():
            self.late = self._loop.create_future()

    def _urgency(self, cause: Cause) -> int:
        """Which of two causes a renewal is for: one that serves the others, too."""
        if cause is Cause.AUTH_CHANGED:
            return 0 if self._in_band else 2
        return 3 if cause is Cause.ADDRESS_CHANGED else 1

    def _start_timers(self, now: float) -> None:
        self._cancel_timers()
        if self._late_at <= now:
            self._be_late()
            return
        if self._begins_at <= now:
            self.set(Cause.RENEW)
        else:
            begin = self._loop.call_at(self._begins_at, self._begin)
            self._timers = (begin,)
        if self._late_at < float("inf"):
            late = self._loop.call_at(self._late_at, self._be_late)
            self._timers = (*self._timers, late)

    def _begin(self) -> None:
        self._begins_at = float("-inf")  # it has begun, whatever else is asked
        self.set(Cause.RENEW)

    def _be_late(self) -> None:
        if not self.late.done():
            self.late.set_result(None)
        self.set(Cause.RENEW)  # where nothing has begun

    def _cancel_timers(self) -> None:
        for timer in self._timers:
            timer.cancel()
        self._timers = ()
