"""How long a change of credential takes, beside closing and connecting again by hand.

    python tests/benchmarks/change_of_credential.py [CHANGES [MESSAGES]]

MESSAGES a second come meanwhile, none unless said, and both read them.

Both do the same on loopback, in turn, in one run: close the connection, wait for the server's
answer, and open one with the next token. The server runs in another process, on another core where
that can be arranged: on the same one, what overlaps with the server's work would not.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import statistics
import sys
import time
from collections.abc import Awaitable, Callable
from multiprocessing.connection import Connection

from websockets.asyncio.client import ClientConnection, connect

from rxsocket import Socket
from rxsocket.testing import server

Way = tuple[Callable[[int], Awaitable[None]], Callable[[], Awaitable[None]]]
"""How to change to the token of that number, and how to end."""

CHANGES = 200
PAUSE = 0.06  # the next dial of a burst is held back for 50 ms; this is about single changes


async def by_hand(url: str) -> Way:
    """Close and connect again, as one writes it."""
    websocket = await connect(f"{url}?token=0")
    reading = asyncio.create_task(read(websocket))

    async def change(number: int) -> None:
        nonlocal websocket, reading
        await websocket.close()
        websocket = await connect(f"{url}?token={number}")
        reading = asyncio.create_task(read(websocket))

    async def close() -> None:
        await websocket.close()

    return change, close


async def read(websocket: ClientConnection) -> None:
    """Read until the connection is closed."""
    async for _ in websocket:
        pass


async def by_socket(url: str) -> Way:
    """The same with set_auth, until the new connection is open."""
    socket = Socket(url, auth={"token": "0"})
    opened = asyncio.Event()
    socket.messages.subscribe(lambda _: None)
    socket.opens.subscribe(lambda _: opened.set())
    await opened.wait()

    async def change(number: int) -> None:
        opened.clear()
        socket.set_auth({"token": str(number)})
        await opened.wait()

    async def close() -> None:
        await socket.close()

    return change, close


async def measure(url: str, changes: int = CHANGES) -> tuple[list[float], list[float]]:
    """Seconds of each change: by hand, and by the socket; taken in turn."""
    pairs = [await by_hand(url), await by_socket(url)]
    times: tuple[list[float], list[float]] = ([], [])
    for number in range(1, changes + 1):
        for (change, _), taken in zip(pairs, times, strict=True):
            await asyncio.sleep(PAUSE / 2)
            start = time.perf_counter()
            await change(number)
            taken.append(time.perf_counter() - start)
    for _, close in pairs:
        await close()
    return times


def pin(core: int) -> None:
    """Stay on one core, if there are several and the system can do that."""
    if hasattr(os, "sched_setaffinity") and len(cores := sorted(os.sched_getaffinity(0))) > 1:
        os.sched_setaffinity(0, {cores[core]})


def serve(pipe: Connection, rate: int) -> None:
    """A server in a process of its own, until the pipe closes."""
    pin(1)
    with server() as peer:
        pipe.send(peer.url)
        while not pipe.poll(1 / rate if rate else None):
            peer.push("x" * 64)


def main(changes: int = CHANGES, rate: int = 0) -> float:
    """Print a table; return the ratio of the medians."""
    ours, theirs = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(target=serve, args=(theirs, rate))
    process.start()
    pin(0)
    hand, socket = asyncio.run(measure(ours.recv(), changes))
    ours.send(None)
    process.join()
    for name, times in (("close and connect by hand", hand), ("set_auth", socket)):
        low, median = min(times) * 1e3, statistics.median(times) * 1e3
        print(f"{name:28} median {median:6.2f} ms   least {low:6.2f} ms   of {len(times)}")
    ratio = statistics.median(socket) / statistics.median(hand)
    print(f"{'ratio of the medians':28} {ratio:13.2f}")
    return ratio


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
