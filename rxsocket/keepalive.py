"""Keepalive: pings that notice a peer which vanished without a FIN (C17)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from rxsocket.errors import ConnectionLost
from rxsocket.transports.seam import Link

__all__ = ["Keepalive"]


class Keepalive:
    """Pings a peer at intervals, and tells when it has not answered in time.

    That takes ``interval + patience`` seconds at most: waiting for the answer to a close frame,
    which such a peer never sends, is no part of it. Between pings there is only a timer.

    Args:
        link: The connection.
        interval: Seconds between pings.
        patience: Seconds to wait for a pong; ``None`` waits for ever.
        silent: Called on the loop, once, when a pong did not come in time.
    """

    def __init__(
        self, link: Link, interval: float, patience: float | None, silent: Callable[[], None]
    ) -> None:
        self._link = link
        self._interval = interval
        self._patience = patience
        self._silent = silent
        self._loop = asyncio.get_running_loop()
        self._ping: asyncio.Task[None] | None = None
        self._timer = self._loop.call_later(interval, self._start)

    def pause(self) -> None:
        """Nothing is read for now, pongs included: do not wait for one."""
        self.stop()

    def resume(self) -> None:
        """Pongs are read again: go on with a ping after the interval."""
        self.stop()
        self._timer = self._loop.call_later(self._interval, self._start)

    def stop(self) -> None:
        """Ping no more."""
        self._timer.cancel()
        if self._ping is not None:
            self._ping.cancel()

    def _start(self) -> None:
        self._ping = self._loop.create_task(self._once())

    async def _once(self) -> None:
        try:
            async with asyncio.timeout(self._patience):
                latency = await self._link.ping()
        except ConnectionLost:
            return  # the transport is about to say how it ended
        except TimeoutError:
            self._silent()
            return
        self._timer = self._loop.call_later(max(0.0, self._interval - latency), self._start)
