"""CPU time to send a message: ``await websocket.send()``, and ``socket.send()`` with its receipt.

Run it with ``python tests/benchmarks/sending.py [messages] [bytes]``. The peer is another process,
so what is measured is the client alone. Each row is the median of five runs, taken in turn.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import statistics
import sys
import time
from collections.abc import Awaitable, Callable
from multiprocessing.connection import Connection

from websockets.asyncio.client import connect
from websockets.asyncio.server import ServerConnection, serve

from rxsocket import Socket

RUNS = 5


def peer(pipe: Connection) -> None:
    """Count what comes; answer ``done`` with the count."""

    async def read(connection: ServerConnection) -> None:
        count = 0
        async for message in connection:
            if message == "done":
                await connection.send(str(count))
                count = 0
            else:
                count += 1

    async def main() -> None:
        async with serve(read, "127.0.0.1", 0, compression=None, ping_interval=None) as listening:
            pipe.send(next(iter(listening.sockets)).getsockname()[1])
            await asyncio.get_running_loop().run_in_executor(None, pipe.recv)

    asyncio.run(main())


async def bare(url: str, count: int, message: str) -> float:
    async with connect(url, compression=None, ping_interval=None) as websocket:
        start = time.process_time()
        for _ in range(count):
            await websocket.send(message)
        spent = time.process_time() - start
        await websocket.send("done")
        assert await websocket.recv() == str(count)
        return spent


async def ours(url: str, count: int, message: str) -> float:
    """A burst with a pause for the transport whenever 100 receipts are open."""
    async with Socket(url, compression=None, ping_interval=None) as socket:
        await _open(socket)
        start = time.process_time()
        receipts = []
        for _ in range(count):
            receipts.append(socket.send(message))
            if len(receipts) == 100:
                for receipt in receipts:
                    await receipt
                receipts.clear()
        for receipt in receipts:
            await receipt
        spent = time.process_time() - start
        await _all_came(socket, count)
        return spent


async def one_by_one(url: str, count: int, message: str) -> float:
    async with Socket(url, compression=None, ping_interval=None) as socket:
        await _open(socket)
        start = time.process_time()
        for _ in range(count):
            await socket.send(message)
        spent = time.process_time() - start
        await _all_came(socket, count)
        return spent


async def _open(socket: Socket) -> None:
    await socket.opened()


async def _all_came(socket: Socket, count: int) -> None:
    answer: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    socket.messages.subscribe(answer.set_result)
    socket.send("done")
    assert await answer == str(count)


WAYS: dict[str, Callable[[str, int, str], Awaitable[float]]] = {
    "await websocket.send(m)": bare,
    "socket.send(m), receipts awaited by the hundred": ours,
    "await socket.send(m)": one_by_one,
}


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 20_000
    message = "x" * (int(sys.argv[2]) if len(sys.argv) > 2 else 100)
    near, far = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(target=peer, args=(far,))
    process.start()
    url = f"ws://127.0.0.1:{near.recv()}/"
    spent: dict[str, list[float]] = {name: [] for name in WAYS}
    for _ in range(RUNS):
        for name, way in WAYS.items():
            spent[name].append(asyncio.run(way(url, count, message)))  # type: ignore[arg-type]
    near.send(None)
    process.join()
    medians = {name: statistics.median(times) for name, times in spent.items()}
    first = next(iter(medians.values()))
    for name, median in medians.items():
        print(f"{median / count * 1e6:7.1f} us a message  {median / first:5.2f} x  {name}")


if __name__ == "__main__":
    main()
