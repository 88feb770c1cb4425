"""C13 on real connections: a stream of numbers over many changes of the credential."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import pairwise
from socket import SO_SNDBUF, SOL_SOCKET
from statistics import median
from typing import Any, Self

import pytest
from internals import Server
from websockets.asyncio.server import ServerConnection, serve
from websockets.protocol import State

from rxsocket import (
    AuthChange,
    Closed,
    InEffect,
    Opened,
    Overtaken,
    Receipt,
    Refused,
    RenewalFailed,
    Socket,
    first_message,
    handover,
    in_band,
)
from rxsocket.testing import accept, reject, server

from .wire_helpers import Inbox, Watch, frame


def same(_: Any) -> str:
    """One and the same identity, whatever the credential."""
    return "the same"


@contextmanager
def numbers(peer: Server) -> Iterator[Callable[[], int]]:
    """Send 0, 1, 2 … to all connections of the server, 1,000 a second; gives the next one."""
    done = threading.Event()
    count = 0

    def run() -> None:
        nonlocal count
        start = time.monotonic()
        while not done.is_set():
            due = int((time.monotonic() - start) * 1000)
            while count < due:
                peer.push(str(count))
                count += 1
            done.wait(0.001)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield lambda: count
    finally:
        done.set()
        thread.join()


@pytest.mark.parametrize("changes", [30, pytest.param(200, marks=pytest.mark.slow)])
def test_handovers_lose_nothing(changes: int) -> None:
    """1,000 numbers a second over many changes: none missing, none twice, in order."""
    received: list[int] = []
    strategy = handover(dedupe=int)
    with server() as peer:
        socket = Socket(peer.url, auth={"token": "t0"}, on_auth_change=strategy, identity=same)
        watch = Watch(socket)
        socket.messages.subscribe(lambda message: received.append(int(message)))
        watch.wait(Opened)
        with numbers(peer) as sent:
            for change in range(1, changes + 1):
                outcome = socket.set_auth({"token": f"t{change}"}).result(10)
                assert outcome == InEffect(change + 1)
            last = sent()
            watch.until(lambda _: received[-1] > last)
        socket.close().result(5)
        tokens = [handshake.credential for handshake in peer.handshakes]
    assert tokens == [f"t{number}" for number in range(changes + 1)]
    assert received == list(range(received[0], received[-1] + 1))
    assert [event.gap for event in watch.of(Opened)][1:] == [0.0] * changes
    assert {event.code for event in watch.of(Closed)} == {None}


def test_a_reconnect_says_how_long_the_gap_was() -> None:
    """What Opened says and how many numbers are missing agree to 50 ms, in all and by the median.

    Not by the longest: what stops this process for a while stops the server in it, too.
    """
    received: list[int] = []
    with server() as peer:
        socket = Socket(peer.url, auth={"token": "t0"})
        watch = Watch(socket)
        socket.messages.subscribe(lambda message: received.append(int(message)))
        watch.wait(Opened)
        with numbers(peer) as sent:
            for change in range(1, 11):
                socket.set_auth({"token": f"t{change}"}).result(10)
                time.sleep(0.06)  # apart, or it is a burst
            last = sent()
            watch.until(lambda _: received[-1] > last)
        socket.close().result(5)
    gaps = [event.gap or 0.0 for event in watch.of(Opened)][1:]
    missing = [after - before - 1 for before, after in pairwise(received)]
    missed = sorted(missing)[-len(gaps) :]
    assert len(gaps) == 10
    assert sum(missed) / 1000 == pytest.approx(sum(gaps), abs=0.05 * 10)
    assert median(missed) / 1000 == pytest.approx(median(gaps), abs=0.05)


def test_a_refused_credential_leaves_the_old_one_delivering() -> None:
    """401 for the new connection: an event, an outcome, and the messages go on."""
    with server(accept(), reject(401)) as peer:
        socket = Socket(peer.url, auth={"token": "a"}, on_auth_change=handover(), identity=same)
        watch = Watch(socket)
        watch.wait(Opened)
        outcome = socket.set_auth({"token": "b"}).result(5)
        assert isinstance(outcome, Refused)
        assert watch.wait(RenewalFailed).epoch == 1
        got = threading.Event()
        socket.messages.subscribe(lambda _: got.set())
        peer.push("still here")
        assert got.wait(5)
        assert watch.of(Closed) == []
        socket.close().result(5)


def test_in_band() -> None:
    """The credential goes over the open connection; the server's yes settles the outcome."""
    strategy = in_band(
        lambda value: f"auth {value['token']}",  # type: ignore[call-overload,index]
        accepted=lambda message: message == "ok",
    )
    with server(accept().expect("auth b").send("ok")) as peer:
        socket = Socket(peer.url, auth={"token": "a"}, on_auth_change=strategy, identity=same)
        watch = Watch(socket)
        watch.wait(Opened)
        assert socket.set_auth({"token": "b"}).result(5) == InEffect(1)
        socket.close().result(5)
        assert len(peer.handshakes) == 1
    assert watch.names == ["Connecting", "Opened", "Renewed", "Closed", "Ended"]


def test_the_first_message_carries_the_credential() -> None:
    """C19: open when the server accepted; a handover asks on the next connection, too."""
    carrier = first_message(
        lambda value: f"auth {value['token']}",  # type: ignore[call-overload,index]
        accepted=lambda message: message == "ok",
    )
    scripts = (accept().expect("auth a").send("ok"), accept().expect("auth b").send("ok"))
    with server(*scripts) as peer:
        socket = Socket(
            peer.url,
            auth={"token": "a"},
            carrier=carrier,
            on_auth_change=handover(),
            identity=same,
        )
        watch = Watch(socket)
        watch.wait(Opened)
        assert socket.set_auth({"token": "b"}).result(5) == InEffect(2)
        socket.close().result(5)
        assert [heard.message for heard in peer.received] == ["auth a", "auth b"]
        assert [handshake.credential for handshake in peer.handshakes] == [None, None]


def test_max_age_renews_before_the_cap() -> None:
    """Every 0.2 s another connection, without a gap."""
    with server() as peer:
        socket = Socket(peer.url, max_age=0.2, on_auth_change=handover())
        watch = Watch(socket)
        watch.wait(Opened, 4)
        socket.close().result(5)
        peer.wait_for(lambda peer: peer.connections == 0)
    assert [event.gap for event in watch.of(Opened)] == [None, 0.0, 0.0, 0.0]


# --- a server that nobody here wrote


class Feed:
    """A server that sends 0, 1, 2 … to each connection, from some time after its handshake on.

    Args:
        attached_after: Seconds from the handshake to the first number.
        greets: Whether each connection gets a greeting at once.
        rate: Numbers a second.
    """

    def __init__(
        self, attached_after: float = 0.0, *, greets: bool = False, rate: int = 1000
    ) -> None:
        self._attached_after = attached_after
        self._greets = greets
        self._rate = rate
        self._ends = threading.Event()
        self._listens = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()))
        self.connections: list[ServerConnection] = []
        self.sent = 0
        self.url = ""

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._listens.wait(8)
        return self

    def __exit__(self, *_: object) -> None:
        self._ends.set()
        self._thread.join()

    async def _serve(self) -> None:
        async with serve(self._attach, "127.0.0.1", 0, compression=None) as listening:
            port = next(iter(listening.sockets)).getsockname()[1]
            self.url = f"ws://127.0.0.1:{port}/"
            self._listens.set()
            start = time.monotonic()
            while not self._ends.is_set():
                await asyncio.sleep(0.001)
                if any(map(_is_full, self.connections)):
                    start = time.monotonic() - self.sent / self._rate  # it goes on from here
                    continue
                due = int((time.monotonic() - start) * self._rate)
                data = b"".join(frame(str(number).encode()) for number in range(self.sent, due))
                for connection in self.connections:
                    if data and connection.state is State.OPEN:
                        connection.transport.write(data)
                self.sent = max(due, self.sent)

    async def _attach(self, connection: ServerConnection) -> None:
        if self._greets:
            await connection.send("hello")
        connection.transport.get_extra_info("socket").setsockopt(SOL_SOCKET, SO_SNDBUF, 2**15)
        await asyncio.sleep(self._attached_after)
        self.connections.append(connection)
        await connection.wait_closed()
        self.connections.remove(connection)


def _is_full(connection: ServerConnection) -> bool:
    return connection.transport.get_write_buffer_size() > 2**16


def key(message: str) -> int | None:
    """The key of a number; a greeting has none."""
    return int(message) if message.isdigit() else None


def numbers_of(messages: list[Any]) -> list[int]:
    """The numbers of what came, without the greetings."""
    return [int(message) for message in messages if message.isdigit()]


@pytest.mark.parametrize(
    ("attached_after", "greets", "rate", "changes"),
    [
        (0.005, False, 1000, 10),
        (0.05, True, 1000, 5),
        pytest.param(0.0, False, 1000, 100, marks=pytest.mark.slow),
        pytest.param(0.005, True, 1000, 100, marks=pytest.mark.slow),
        pytest.param(0.05, False, 1000, 50, marks=pytest.mark.slow),
        pytest.param(0.0, False, 20_000, 5, marks=pytest.mark.slow),
        pytest.param(0.05, True, 20_000, 5, marks=pytest.mark.slow),
    ],
)
@pytest.mark.parametrize("ready", ["open", pytest.param("message", marks=pytest.mark.slow)])
def test_a_server_that_attaches_its_feed_late(
    ready: Any, attached_after: float, greets: bool, rate: int, changes: int
) -> None:
    """Nothing is missing, double or out of order over many changes."""
    received = Inbox()
    strategy = handover(ready=ready, dedupe=key, timeout=30.0)  # a busy machine falls behind
    with Feed(attached_after, greets=greets, rate=rate) as feed:
        socket = Socket(feed.url, auth={"token": "t0"}, on_auth_change=strategy, identity=same)
        socket.messages.subscribe(received)
        received.wait(3)
        for change in range(1, changes + 1):
            outcome = socket.set_auth({"token": f"t{change}"}).result(30)
            assert outcome == InEffect(change + 1)
        last = feed.sent
        received.until(lambda messages: (key(messages[-1]) or 0) > last, 30)
        socket.close().result(5)
    numbers = numbers_of(received.values)
    assert numbers == list(range(numbers[0], numbers[-1] + 1))


@pytest.mark.parametrize("changes", [1, pytest.param(3, marks=pytest.mark.slow)])
def test_a_consumer_at_half_the_rate(changes: int) -> None:
    """C27: ``async for`` with a slow body; each change takes as long as what came before it."""
    received: list[str] = []
    strategy = handover(ready="message", dedupe=key, timeout=60.0)

    async def main(feed: Feed) -> None:
        socket = Socket(feed.url, auth={"token": "t0"}, on_auth_change=strategy, identity=same)
        change = last = 0
        outcome: Receipt[AuthChange] | None = None
        async for message in socket.messages.iterate(high_water=64):
            received.append(message)
            await asyncio.sleep(0.001)
            if outcome is None and int(message) > 200:
                change += 1
                outcome = socket.set_auth({"token": f"t{change}"})
            elif outcome is not None and outcome.done and change < changes:
                outcome = None
            elif outcome is not None and outcome.done and not last:
                last = feed.sent
            elif last and int(message) >= last:
                break
        await socket.close()
        assert outcome is not None and outcome.result() == InEffect(changes + 1)

    with Feed(rate=1500) as feed:
        asyncio.run(main(feed))
    numbers = numbers_of(received)
    assert numbers == list(range(numbers[0], numbers[-1] + 1))


def test_the_old_connection_dies_while_it_hands_over() -> None:
    """The new one has the feed already: what waited is delivered, and nothing is missing."""
    received = Inbox()
    strategy = handover(ready=lambda message: False, dedupe=key)
    with Feed() as feed:
        socket = Socket(feed.url, auth={"token": "a"}, on_auth_change=strategy, identity=same)
        watch = Watch(socket)
        socket.messages.subscribe(received)
        received.wait(100)
        change = socket.set_auth({"token": "b"})
        watch.until(lambda _: len(feed.connections) == 2)
        received.wait(len(received.values) + 100)
        first = feed.connections[0]
        first.loop.call_soon_threadsafe(first.transport.abort)
        assert change.result(5) == InEffect(2)
        last = feed.sent
        received.until(lambda messages: int(messages[-1]) > last)
        socket.close().result(5)
    numbers = numbers_of(received.values)
    assert numbers == list(range(numbers[0], numbers[-1] + 1))


def test_twenty_renewals_at_once_and_max_age() -> None:
    """C7: bursts beside connections that get old; the newest credential is used, nothing missed."""
    received = Inbox()
    strategy = handover(dedupe=key)
    with Feed(0.005) as feed:
        socket = Socket(
            feed.url,
            auth={"token": "t0"},
            on_auth_change=strategy,
            identity=same,
            max_age=0.15,
        )
        socket.messages.subscribe(received)
        received.wait(1)
        for burst in range(5):
            changes = [socket.set_auth({"token": f"t{burst}.{n}"}) for n in range(20)]
            assert isinstance(changes[-1].result(10), InEffect)
            assert all(isinstance(change.result(10), InEffect | Overtaken) for change in changes)
        last = feed.sent
        received.until(lambda messages: int(messages[-1]) > last)
        socket.close().result(5)
    numbers = numbers_of(received.values)
    assert numbers == list(range(numbers[0], numbers[-1] + 1))
