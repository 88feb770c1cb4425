"""What recording costs, at a rate of messages and at the most that goes.

    python tests/benchmarks/recording.py

A server in another process sends messages of 100 characters. With and without a recorder take
turns, in one run; the medians of their rates are compared.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import statistics
import sys
import tempfile
import time
from contextlib import suppress
from multiprocessing.connection import Connection
from pathlib import Path

from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed

from rxsocket import Socket
from rxsocket.recording import record

RATE = 20_000
SECONDS = 3
ROUNDS = 5
BURST = 20
TEXT = '{"symbol": "ABC", "price": 12.5, "size": 100, "side": "buy", "venue": "X", "number": 12345}'


async def feed(websocket: ServerConnection) -> None:
    """Send messages until the client leaves."""
    with suppress(ConnectionClosed):
        await send(websocket)


async def send(websocket: ServerConnection) -> None:
    """Send messages at the rate that the path asks for; 0 is as fast as they go."""
    assert websocket.request is not None
    rate = int(websocket.request.path.strip("/"))
    start, sent = time.perf_counter(), 0
    while True:
        for _ in range(BURST):
            await websocket.send(TEXT)
        sent += BURST
        ahead = sent / rate - (time.perf_counter() - start) if rate else 0.0
        await asyncio.sleep(max(0.0, ahead))


def serving(port: Connection) -> None:
    """Serve until killed."""

    async def main() -> None:
        async with serve(feed, "127.0.0.1", 0, compression=None, ping_interval=None) as listening:
            port.send(next(iter(listening.sockets)).getsockname()[1])
            await asyncio.get_running_loop().create_future()

    asyncio.run(main())


async def received(url: str, path: Path | None) -> tuple[float, float]:
    """Messages in a second, and the share of a second's processor time that they took."""
    socket = Socket(url, compression=None, ping_interval=None)
    recorder = None if path is None else record(socket, path, overwrite=True)
    count = 0

    def on_next(_: object) -> None:
        nonlocal count
        count += 1

    socket.messages.subscribe(on_next)
    await asyncio.sleep(0.5)
    start, before, busy = time.perf_counter(), count, time.process_time()
    await asyncio.sleep(SECONDS)
    taken = time.perf_counter() - start
    rate, load = (count - before) / taken, (time.process_time() - busy) / taken
    await socket.close()
    if recorder is not None:
        await recorder.wait_written()
        assert recorder.lost == 0, f"{recorder.lost} messages were not recorded"
        assert recorder.messages == count
    return rate, load


def main() -> int:
    """Measure, and say whether it costs less than a tenth of the rate."""
    ours, theirs = multiprocessing.Pipe()
    server = multiprocessing.Process(target=serving, args=(theirs,), daemon=True)
    server.start()
    base = f"ws://127.0.0.1:{ours.recv()}"
    passed = True
    with tempfile.TemporaryDirectory() as folder:
        for rate in (RATE, 0):
            plain: list[tuple[float, float]] = []
            recorded: list[tuple[float, float]] = []
            for _ in range(ROUNDS):
                plain.append(asyncio.run(received(f"{base}/{rate}", None)))
                path = Path(folder) / "session.jsonl"
                recorded.append(asyncio.run(received(f"{base}/{rate}", path)))
            before, after = (statistics.median(r for r, _ in x) for x in (plain, recorded))
            idle, busy = (statistics.median(b for _, b in x) for x in (plain, recorded))
            cost = 1 - after / before
            print(
                f"{f'at {rate:,} messages/s' if rate else 'as fast as they come'}: "
                f"{before:,.0f} messages/s without, {after:,.0f} with a recorder "
                f"({cost:+.1%} of the rate); processor {idle:.0%} and {busy:.0%}"
            )
            if rate:
                passed = cost < 0.1
    server.kill()
    server.join()
    return 0 if passed else 1


if __name__ == "__main__":
    sys.exit(main())
