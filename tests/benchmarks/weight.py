"""How many objects a connection is that Python's collector visits, bare and as a socket.

    python tests/benchmarks/weight.py [SOCKETS]

They are a good part of the time that opening a thousand sockets takes: each time that so many have
been added, the collector looks at all that there is.
"""

from __future__ import annotations

import asyncio
import gc
import sys
from collections.abc import Awaitable, Callable
from typing import Any

from bench_server import peer
from websockets.asyncio.client import connect

from rxsocket import Socket


async def bare(url: str, count: int) -> list[Any]:
    """Connections of ``websockets``, with keepalive."""
    return [await connect(url, proxy=None) for _ in range(count)]


async def ours(url: str, count: int) -> list[Any]:
    """Sockets with one subscriber each, to their opens."""
    sockets = [Socket(url, auth={"token": "initial"}) for _ in range(count)]
    for socket in sockets:
        opened = asyncio.Event()
        socket.on_open(opened.set)
        await opened.wait()
    return sockets


async def weigh(
    url: str, open_some: Callable[[str, int], Awaitable[list[Any]]], count: int
) -> float:
    """Objects of each of so many."""
    for one in await open_some(url, 1):  # with what is made once
        await one.close()
    gc.collect()
    before = len(gc.get_objects())
    opened = await open_some(url, count)
    gc.collect()
    found = (len(gc.get_objects()) - before) / count
    for one in opened:
        await one.close()
    return found


def main(count: int = 50) -> None:
    """Print a line for each."""
    with peer() as far:
        for name, open_some in (("websockets", bare), ("rxsocket", ours)):
            print(f"{name:12}{asyncio.run(weigh(far.url('idle'), open_some, count)):8.1f}")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
