"""How many instructions of the processor things take: the same number in each run.

    python tests/benchmarks/instructions.py [--checkout FOLDER] [WHAT ...]

Times differ from one minute to the next on a machine that is shared; instructions do not. They are
counted by ``cachegrind`` (Debian: ``apt install valgrind``), for so many of a thing and for fewer,
and divided by the difference. ``--checkout`` counts those of another version of the package.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from bench_server import peer
from contestants import Quote
from websockets.asyncio.client import connect

ROOT = Path(__file__).resolve().parents[2]
_TOTAL = re.compile(r"I\s+refs:\s+([\d,]+)")


async def bare_open(url: str, count: int) -> list[Any]:
    """Connections of ``websockets``."""
    return [await connect(f"{url}idle", proxy=None, open_timeout=None) for _ in range(count)]


async def make(url: str, count: int) -> list[Any]:
    """Sockets that connect to nothing."""
    from rxsocket import Socket

    return [Socket(f"{url}idle", auth={"token": "initial"}) for _ in range(count)]


async def _opened(url: str, **options: Any) -> tuple[Any, asyncio.Event]:
    """A socket that is open, and an event that is set at each open."""
    from rxsocket import Socket

    socket: Any = Socket(f"{url}idle", open_timeout=None, **options)
    opened = asyncio.Event()
    socket.on_open(opened.set)
    await opened.wait()
    return socket, opened


async def open_sockets(url: str, count: int) -> list[Any]:
    """Sockets with one subscriber each, to their opens."""
    return [(await _opened(url, auth={"token": "initial"}))[0] for _ in range(count)]


async def _change(url: str, count: int, **options: Any) -> list[Any]:
    socket, opened = await _opened(url, auth={"token": "0"}, **options)
    for number in range(1, count + 1):
        opened.clear()
        socket.set_auth({"token": str(number)})
        await opened.wait()
    return [socket]


async def change(url: str, count: int) -> list[Any]:
    """Changes of the credential of one socket."""
    return await _change(url, count)


async def hand_over(url: str, count: int) -> list[Any]:
    """The same by ``handover()``."""
    from rxsocket import handover

    return await _change(url, count, identity=lambda _: "me", on_auth_change=handover())


async def bare_change(url: str, count: int) -> list[Any]:
    """The same by hand: close, then connect."""
    connection = await connect(f"{url}idle", proxy=None, open_timeout=None)
    for _ in range(count):
        await connection.close()
        connection = await connect(f"{url}idle", proxy=None, open_timeout=None)
    return [connection]


async def _receive(url: str, kind: str, count: int, subscribe: Callable[[Any, Any], None]) -> Any:
    from rxsocket import Socket, json

    got, done = 0, asyncio.Event()

    def on_next(_: object) -> None:
        nonlocal got
        got += 1
        if got == count:
            done.set()

    typed: Any = {"codec": json(type=Quote)} if kind.startswith("json") else {}
    socket: Any = Socket(f"{url}flood?frames={kind}&count={count}", open_timeout=None, **typed)
    subscribe(socket, on_next)
    await done.wait()
    return socket


async def flood(url: str, count: int) -> list[Any]:
    """Messages of 64 bytes to one observer."""
    return [await _receive(url, "raw-64", count, lambda one, got: one.messages.subscribe(got))]


async def long_flood(url: str, count: int) -> list[Any]:
    """Messages of 1 KiB to one observer."""
    return [await _receive(url, "raw-1024", count, lambda one, got: one.messages.subscribe(got))]


async def typed_flood(url: str, count: int) -> list[Any]:
    """Messages of 64 bytes, decoded."""
    return [await _receive(url, "json-64", count, lambda one, got: one.messages.subscribe(got))]


async def topics(url: str, count: int) -> list[Any]:
    """Messages of 100 topics, each to its listener."""

    def listen(socket: Any, got: Any) -> None:
        for number in range(100):
            socket.listener(f"quotes/{number}").subscribe(got)

    return [await _receive(url, "topics-100", count, listen)]


TOPICS = [f"quotes/{number}" for number in range(100)]


def _subscribe(keys: list[str]) -> dict[str, Any]:
    return {"subscribe": keys}


async def channels(url: str, count: int) -> list[Any]:
    """Messages of 100 channels of a socket, each to its observer."""

    def listen(socket: Any, got: Any) -> None:
        quotes = socket.channels(TOPICS, subscribe=_subscribe)
        for topic in TOPICS:
            quotes[topic].subscribe(got)

    return [await _receive(url, "topics-100", count, listen)]


async def fleet_channels(url: str, count: int) -> list[Any]:
    """The same of a fleet."""
    from rxsocket.fleet import ChannelSpec, Fleet

    got, done = 0, asyncio.Event()

    def on_next(_: object) -> None:
        nonlocal got
        got += 1
        if got == count:
            done.set()

    fleet = Fleet(
        f"{url}flood?frames=topics-100&count={count}",
        channel=ChannelSpec(subscribe=_subscribe),
        options={"open_timeout": None},
    )
    for topic in TOPICS:
        fleet.channel(topic).subscribe(on_next)
    await done.wait()
    return [fleet]


async def send(url: str, count: int) -> list[Any]:
    """Messages of 64 bytes that are sent, a hundred in each turn of the loop."""
    from rxsocket import Socket

    socket: Any = Socket(f"{url}sink?bytes={count * 70}", open_timeout=None)
    done = asyncio.Event()
    socket.on_message(done.set)
    text = "x" * 64  # 70 bytes with its header and mask
    for begin in range(0, count, 100):
        for _ in range(begin, begin + 100):
            receipt = socket.send(text)
        await receipt
    await done.wait()
    return [socket]


THINGS: dict[str, tuple[Callable[[str, int], Awaitable[list[Any]]], int, int]] = {
    "make a socket": (make, 30, 90),
    "open a socket": (open_sockets, 30, 90),
    "open, websockets": (bare_open, 30, 90),
    "change the credential": (change, 30, 90),
    "close and connect, websockets": (bare_change, 30, 90),
    "hand over": (hand_over, 20, 60),
    "a message of 64 bytes": (flood, 20_000, 60_000),
    "a message of 1 KiB": (long_flood, 20_000, 60_000),
    "a typed message of 64 bytes": (typed_flood, 20_000, 60_000),
    "a message of one of 100 topics": (topics, 20_000, 60_000),
    "a message of one of 100 channels": (channels, 20_000, 60_000),
    "the same of a fleet": (fleet_channels, 20_000, 60_000),
    "a message sent": (send, 5_000, 15_000),
}
"""What is counted, and how many of it: a few, and more."""


def count(name: str, few: int, more: int, url: str, package: Path) -> float:
    """Thousands of instructions that one of a thing takes."""
    totals: list[int] = []
    for number in (few, more):
        command = [
            "valgrind",
            "--tool=cachegrind",
            "--cache-sim=no",
            "--cachegrind-out-file=/dev/null",
        ]
        command += [sys.executable, __file__, "--run", name, url, str(number)]
        environment = {**os.environ, "PYTHONPATH": str(package), "PYTHONHASHSEED": "0"}
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        found = _TOTAL.search(done.stderr)
        if done.returncode or found is None:
            raise SystemExit(f"{name}: {done.stderr[-2000:]}")
        totals.append(int(found[1].replace(",", "")))
    return (totals[1] - totals[0]) / (more - few) / 1000


def run(name: str, url: str, number: int) -> None:
    """Do a thing so many times, and stop without closing anything."""

    async def do() -> None:
        await THINGS[name][0](url, number)
        os._exit(0)

    asyncio.run(do())


def main() -> None:
    """Print a line for each thing."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("what", nargs="*", help="only the things whose names begin so")
    parser.add_argument("--checkout", type=Path, default=ROOT, help="where the package is")
    parser.add_argument("--run", nargs=3, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.run:
        name, url, number = given.run
        run(name, url, int(number))
    if shutil.which("valgrind") is None:
        sys.exit("valgrind is not installed: apt install valgrind")
    with peer() as far:
        url = far.url("").partition("?")[0]
        for name, (_, few, more) in THINGS.items():
            if not given.what or name.startswith(tuple(given.what)):
                each = count(name, few, more, url, given.checkout.resolve())
                print(f"{name:32}{each:10.2f} thousand", flush=True)


if __name__ == "__main__":
    main()
