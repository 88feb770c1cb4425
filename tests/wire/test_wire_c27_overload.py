"""C27 on real connections: ten times more than a consumer can take, under each policy."""

from __future__ import annotations

import asyncio
import gc
import os
import socket as sockets
import ssl
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import trustme
from deadlines import stretched, within
from internals import HIGH_WATER
from reactivex import operators as ops

from rxsocket import Cause, Closed, Socket, State, json
from rxsocket.operators import Drops, buffer_up_to, concat_map_async, conflate, latest
from rxsocket.testing import accept, server

pytestmark = pytest.mark.timeout(120)

MIB = 2**20
KEYS = 10
PADDING = "x" * 1000


class Flood:
    """Messages ``[number, key, padding]``, for some seconds, as a server's script.

    Attributes:
        sent: How many the server has taken to send.
    """

    def __init__(self, seconds: float, rate: float | None = None) -> None:
        self.sent = 0
        self.script = accept().stream(self._messages, rate).close(1000)
        self._seconds = seconds

    def _messages(self) -> Iterator[str]:
        end = time.monotonic() + self._seconds
        while time.monotonic() < end:
            self.sent += 1
            yield f'[{self.sent - 1},{(self.sent - 1) % KEYS},"{PADDING}"]'


class MemoryGrowth:
    """The most that this process grew by, in bytes; 0 where the system does not tell."""

    def __init__(self) -> None:
        gc.collect()
        self._start = self._resident()
        self.growth = 0

    def look(self) -> None:
        self.growth = max(self.growth, self._resident() - self._start)

    @staticmethod
    def _resident() -> int:
        statm = Path("/proc/self/statm")
        if not statm.exists():
            return 0
        return int(statm.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


@pytest.fixture
def seconds(full: bool) -> float:
    return 60.0 if full else 2.0


@pytest.fixture
def small_buffers(monkeypatch: pytest.MonkeyPatch) -> int:
    """The system buffers little of a connection: the most bytes, for both ends and directions.

    Linux lets a receive buffer grow to ``tcp_rmem``, 6 or 32 MiB: at the pace of a slow reader a
    minute, in which the answer to a ping waits behind the data, and the server gives up.
    """

    class Small(sockets.socket):
        def __init__(self, *arguments: Any, **options: Any) -> None:
            super().__init__(*arguments, **options)
            for option in (sockets.SO_RCVBUF, sockets.SO_SNDBUF):
                self.setsockopt(sockets.SOL_SOCKET, option, MIB // 8)

    monkeypatch.setattr(sockets, "socket", Small)
    return 4 * 2 * MIB // 8  # the system doubles what it is told


def number(value: list[Any]) -> int:
    return value[0]


def key(value: list[Any]) -> int:
    return value[1]


def in_order_of_keys(numbers: list[int]) -> bool:
    of_keys = [[one for one in numbers if one % KEYS == key] for key in range(KEYS)]
    return all(of_key == sorted(of_key) for of_key in of_keys)


@pytest.mark.only("websockets")  # the policies are above the transport
def test_each_policy_under_ten_times_overload(seconds: float) -> None:
    """Memory stays, drops are counted exactly, and the order within a key is kept."""

    async def main() -> None:
        feed = Flood(seconds, rate=4000)
        policies: dict[str, Callable[[Drops], Any]] = {
            "latest": lambda drops: latest(drops=drops),
            "conflate": lambda drops: conflate(key, drops=drops),
            "drop_oldest": lambda drops: buffer_up_to(100, overflow="drop_oldest", drops=drops),
            "drop_newest": lambda drops: buffer_up_to(100, overflow="drop_newest", drops=drops),
        }
        drops = {name: Drops() for name in policies}
        got: dict[str, list[int]] = {name: [] for name in policies}

        def storing(name: str) -> Any:
            async def store(value: list[Any]) -> None:
                await asyncio.sleep(0.0025)  # 400 a second at best
                got[name].append(number(value))

            return concat_map_async(store)

        with server(feed.script) as serving:
            socket = Socket(serving.url, codec=json(), compression=None)
            memory = MemoryGrowth()
            done = [
                socket.messages.pipe(policy(drops[name]), storing(name), ops.count())
                for name, policy in policies.items()
            ]
            running = asyncio.gather(*(asyncio.ensure_future(_last(one)) for one in done))
            while not running.done():
                await asyncio.sleep(0.1)
                memory.look()
            await running
            for name in policies:
                assert len(got[name]) + drops[name].value == feed.sent, name
                assert in_order_of_keys(got[name]), name
                assert drops[name].value > 5 * len(got[name]), name
            assert got["latest"][-1] == feed.sent - 1
            assert {one % KEYS for one in got["conflate"][-KEYS:]} == set(range(KEYS))
            assert memory.growth < 20 * MIB

    asyncio.run(main())


async def _last(observable: Any) -> int:
    return int(await observable)


def test_async_for_slows_the_server_down(seconds: float, small_buffers: int) -> None:
    """Ten times overload: nothing is lost, memory stays, the server sends as it is read."""

    async def main() -> None:
        feed = Flood(seconds)
        got: list[int] = []
        others: list[int] = []
        lag = 0
        with server(feed.script) as serving:
            socket = Socket(serving.url, codec=json(), compression=None)
            closes: list[Closed] = []
            socket.closes.subscribe(closes.append)
            watching = socket.messages.subscribe(lambda value: others.append(number(value)))
            memory = MemoryGrowth()
            end = time.monotonic() + seconds
            async for value in socket.messages:
                got.append(number(value))
                lag = max(lag, feed.sent - len(got))
                if len(got) % 4 == 0 and time.monotonic() < end:
                    await asyncio.sleep(0.01)  # 400 a second at best
                    memory.look()
            watching.dispose()
        assert [event.code for event in closes] == [1000]  # the server never missed a pong
        assert got == others == list(range(feed.sent))
        assert lag * len(PADDING) < small_buffers + 4 * HIGH_WATER * len(PADDING)
        assert memory.growth < 20 * MIB

    asyncio.run(main())


def test_over_tls(tmp_path: Path) -> None:
    """Pausing works the same under TLS, which has buffers of its own."""
    authority = trustme.CA()
    inside, trusting = (
        ssl.SSLContext(p) for p in (ssl.PROTOCOL_TLS_SERVER, ssl.PROTOCOL_TLS_CLIENT)
    )
    authority.issue_cert("127.0.0.1").configure_cert(inside)
    authority.configure_trust(trusting)

    async def main() -> None:
        feed = Flood(1.0)
        with server(feed.script, ssl=inside) as serving:
            socket = Socket(serving.url, codec=json(), compression=None, ssl=trusting)
            got: list[int] = []
            async for value in socket.messages.iterate(high_water=10):
                got.append(number(value))
                if len(got) < 400:
                    await asyncio.sleep(0.005)
            assert got == list(range(feed.sent))

    asyncio.run(main())


def test_a_pause_is_no_silence_and_closing_is_quick() -> None:
    """Paused far longer than a ping may take: the link is alive, and closes at once (C17, C26)."""

    async def main() -> None:
        feed = Flood(30.0)
        with server(feed.script) as serving:
            socket = Socket(serving.url, compression=None, ping_interval=0.1, ping_timeout=0.1)
            closes: list[Closed] = []
            socket.closes.subscribe(closes.append)
            reading = socket.messages.iterate(high_water=1)
            await anext(reading)
            before = -1
            async with asyncio.timeout(stretched(5.0)):
                while feed.sent > before:  # buffers on the way are filled, sooner or later
                    before = feed.sent
                    await asyncio.sleep(0.2)
            await asyncio.sleep(1.0)
            assert (closes, socket.state.value) == ([], State.OPEN)
            assert feed.sent - before < 100
            with within(1.5):
                await socket.close()
            assert [event.cause for event in closes] == [Cause.CLOSE]
            await reading.aclose()

    asyncio.run(main())
