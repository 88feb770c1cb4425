"""Keepalive: pings that notice a peer which vanished without a FIN, and measure the way (C17).

The age of the data: a link may answer every ping and bring nothing (C17).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from rxsocket.errors import ConnectionLost
from rxsocket.events import Cause
from rxsocket.explain.causes import blocked
from rxsocket.explain.format import span
from rxsocket.publishing.publisher import Publisher
from rxsocket.runtime.loop_monitor import LoopListener
from rxsocket.transports.base import Link

PROBE = 2.0
"""Seconds that a peer has to answer after the computer slept."""
GRACE = 1.0
"""Seconds for reading what came while the loop was blocked; the pong may be in it."""
LOOK = 0.5
"""Seconds between looks at whether bytes come, while a pong does not."""


class Keepalive:
    """Pings a peer at intervals, and tells when it has not answered in time.

    Bytes are a sign of life, too: a pong may wait behind a large message that comes slowly.

    That takes ``interval + patience`` seconds at most: waiting for the answer to a close frame,
    which such a peer never sends, is no part of it. Between pings there is only a timer.

    Args:
        link: The connection.
        interval: Seconds between pings.
        patience: Seconds to wait for a pong, or for any bytes; ``None`` waits for ever.
        loop_listener: Knows whether the loop was blocked.
        publisher: Shows how long a ping and its pong took.
        on_lost: Called with a cause and a text when neither came in time; the cause is not the
            peer's when the loop was blocked.
    """

    def __init__(
        self,
        link: Link,
        interval: float,
        patience: float | None,
        loop_listener: LoopListener,
        publisher: Publisher,
        on_lost: Callable[[Cause, str], None],
    ) -> None:
        self._link = link
        self._interval = interval
        self._patience = patience
        self._loop_listener = loop_listener
        self._publisher = publisher
        self._on_lost = on_lost
        self._loop = asyncio.get_running_loop()
        self._ping: asyncio.Task[None] | None = None
        self._timer = self._loop.call_later(interval, self._start, patience, 0.0)

    def pause(self) -> None:
        """Nothing is read for now, pongs included: do not wait for one."""
        self.stop()

    def resume(self) -> None:
        """Pongs are read again: go on with a ping after the interval."""
        self.stop()
        self._timer = self._loop.call_later(self._interval, self._start, self._patience, 0.0)

    def stop(self) -> None:
        self._timer.cancel()
        if self._ping is not None:
            self._ping.cancel()

    def probe(self, jumped: float) -> None:
        """Ping now: time jumped by so many seconds, or, if 0, the loop was blocked."""
        if self._ping is not None and not self._ping.done():
            if not jumped:
                return  # the ping that is on its way will show it
            self._ping.cancel()
        self._timer.cancel()
        patience = self._patience
        if jumped:
            patience = PROBE if patience is None else min(PROBE, patience)
        self._start(patience, jumped)

    def _start(self, patience: float | None, jumped: float) -> None:
        self._ping = self._loop.create_task(self._once(patience, jumped))

    async def _once(self, patience: float | None, jumped: float) -> None:
        began = self._loop.time()
        pong = asyncio.ensure_future(self._link.ping())
        try:
            await self._wait(pong, patience)
            late = self._loop_listener.blocked_since(began)
            if late and not pong.done():
                await self._wait(pong, GRACE)
        finally:
            pong.cancel()
        if not pong.done() or pong.cancelled():
            self._on_lost(*_blame(late, patience, jumped))
            return
        try:
            latency = pong.result()
        except ConnectionLost:
            return  # the transport is about to say how it ended
        self._publisher.show_latency(latency)
        rest = began + self._interval - self._loop.time()
        self._timer = self._loop.call_later(max(0.0, rest), self._start, self._patience, 0.0)

    async def _wait(self, pong: asyncio.Future[float], patience: float | None) -> None:
        if patience is None:
            await asyncio.wait((pong,))
            return
        reads, deadline = _reads(self._link), self._loop.time() + patience
        while not pong.done() and (left := deadline - self._loop.time()) > 0:
            await asyncio.wait((pong,), timeout=min(left, LOOK))
            if (now := _reads(self._link)) != reads:
                reads, deadline = now, self._loop.time() + patience


def _reads(link: Link) -> int:
    return getattr(link, "reads", 0)  # a transport of the user's may not count them


def _blame(seconds: float, patience: float | None, jumped: float) -> tuple[Cause, str]:
    if seconds:
        return Cause.BLOCKED, blocked(seconds)
    if jumped:
        within = span(patience or 0.0)
        return Cause.SILENT, f"no pong within {within} after time jumped by {span(jumped)}"
    return Cause.SILENT, "keepalive ping timeout"


class Staleness:
    """Watches for messages, of which there should be one at least every so many seconds.

    Args:
        after: How many.
        blocked_since: How long the loop was blocked, by a block that ended after a moment.
        on_stale: Called when there was none, with the seconds of silence.
        on_fresh: Called when one came again, with the seconds that there was none.
    """

    def __init__(
        self,
        after: float,
        *,
        blocked_since: Callable[[float], float],
        on_stale: Callable[[float], None],
        on_fresh: Callable[[float], None],
    ) -> None:
        self._after = after
        self._blocked_since = blocked_since
        self._on_stale = on_stale
        self._on_fresh = on_fresh
        self._loop = asyncio.get_running_loop()
        self._last = self._loop.time()
        self._is_stale = self._waited = False
        self._timer = self._loop.call_at(self._last + after, self._check)

    def on_message(self) -> None:
        now = self._loop.time()
        silence, self._last = now - self._last, now
        self._waited = False
        if self._is_stale:
            self._is_stale = False
            self._timer = self._loop.call_at(now + self._after, self._check)
            self._on_fresh(silence)

    def pause(self) -> None:
        """Nothing is read for now: that is no silence."""
        self._timer.cancel()

    def resume(self) -> None:
        self._timer.cancel()
        self._last, self._waited = self._loop.time(), False
        if not self._is_stale:
            self._timer = self._loop.call_at(self._last + self._after, self._check)

    def stop(self) -> None:
        self._timer.cancel()

    def _check(self) -> None:
        """Time is up, unless a message came since: then there is more of it."""
        now, due = self._loop.time(), self._last + self._after
        if due > now:
            self._timer = self._loop.call_at(due, self._check)
        elif not self._waited and self._blocked_since(self._last):
            self._waited = True  # what came meanwhile is read first
            self._timer = self._loop.call_at(now + GRACE, self._check)
        else:
            self._is_stale = True
            self._on_stale(now - self._last)
