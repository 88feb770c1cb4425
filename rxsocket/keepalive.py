"""Keepalive: pings that notice a peer which vanished without a FIN (C17)."""

from __future__ import annotations

import asyncio

from rxsocket.transports.seam import Link

__all__ = ["silence"]


async def silence(link: Link, interval: float, patience: float | None) -> None:
    """Ping a peer at intervals; return when it has not answered in time.

    It is noticed within ``interval + patience`` seconds: waiting for an answer to a close frame,
    which such a peer never sends, is no part of it.

    Args:
        link: The connection.
        interval: Seconds between pings.
        patience: Seconds to wait for a pong; ``None`` waits for ever.
    """
    latency = 0.0
    while True:
        await asyncio.sleep(max(0.0, interval - latency))
        try:
            async with asyncio.timeout(patience):
                latency = await link.ping()
        except TimeoutError:
            return
