"""The link of each transport, by itself: flow control, cancelled dials, odd answers, uvloop."""

from __future__ import annotations

import asyncio
import ssl
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

import pytest
from internals import at_once, transport_for

from rxsocket import (
    ConnectFailed,
    ConnectionLost,
    HandshakeInvalid,
    HandshakeRefused,
    Link,
    Options,
    PeerClosed,
    Request,
    Signal,
    Socket,
)
from rxsocket.testing import accept, reject, server

from .wire_helpers import CLOSE, Inbox, Peer, Watch, answer_to, frame, quick, raw


class Dialled:
    """A transport's observer."""

    def __init__(
        self, transport: str, url: str, go: Callable[[], Awaitable[None]] = at_once, **options: Any
    ) -> None:
        loop = asyncio.get_running_loop()
        self.link: asyncio.Future[Link] = loop.create_future()
        self.over: asyncio.Future[None] = loop.create_future()
        self.seen: list[Signal] = []
        self.something = asyncio.Event()
        request = Request(url=url, options=Options(**{"proxy": None, **options}), go=go)
        self.subscription = transport_for(transport)(request).subscribe(
            self._next, self._failed, lambda: self.over.set_result(None)
        )

    def _failed(self, error: Exception) -> None:
        self.link.set_exception(error)

    def _next(self, signal: Signal) -> None:
        if isinstance(signal, list):
            self.seen += signal
            self.something.set()
        elif isinstance(signal, (str, bytes, PeerClosed)):
            self.seen.append(signal)
            self.something.set()
        else:
            self.link.set_result(signal)


@asynccontextmanager
async def dialled(
    transport: str, url: str, go: Callable[[], Awaitable[None]] = at_once, **options: Any
) -> AsyncIterator[Dialled]:
    """A connection of a transport, cut in the end."""
    made = Dialled(transport, url, go, **options)
    try:
        yield made
    finally:
        made.subscription.dispose()
        if made.link.done() and not made.link.cancelled() and not made.link.exception():
            link = made.link.result()
            link.abort()
            await link.wait_closed()


def run(main: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Run a coroutine on a loop of its own, within bounds."""

    async def bounded() -> None:
        async with asyncio.timeout(10):
            await main()

    asyncio.run(bounded())


SIZE = 2**18


class SlowServer(asyncio.Protocol):
    """A server's end that answers the handshake, and reads what follows only when it is told to.

    Byte by byte: the test kit's server is frozen as a whole, and then reads nothing more.
    """

    def __init__(self) -> None:
        self.got = 0
        self.more = asyncio.Event()
        self.transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self._request = b""

    def data_received(self, data: bytes) -> None:
        if self._request.endswith(b"\r\n\r\n"):
            self.got += len(data)
            self.more.set()
            return
        self._request += data
        if self._request.endswith(b"\r\n\r\n"):
            self.transport.write(answer_to(self._request))
            self.transport.pause_reading()


@asynccontextmanager
async def slow() -> AsyncIterator[tuple[str, list[SlowServer]]]:
    """A server of slow peers, and those that came."""
    peers: list[SlowServer] = []

    def met() -> SlowServer:
        peers.append(SlowServer())
        return peers[-1]

    listening = await asyncio.get_running_loop().create_server(met, "127.0.0.1", 0)
    try:
        yield f"ws://127.0.0.1:{listening.sockets[0].getsockname()[1]}/", peers
    finally:
        for peer in peers:
            peer.transport.abort()
        listening.close()
        await listening.wait_closed()


async def fill(link: Link) -> tuple[int, asyncio.Task[None]]:
    """Send until a message has to wait; return how many were sent, and the task that waits."""
    for number in range(1, 1000):
        task = asyncio.get_running_loop().create_task(link.send(b"x" * SIZE))
        for _ in range(10):  # turns of the loop; one that need not wait takes two
            await asyncio.sleep(0)
        if not task.done():
            return number, task
        task.result()
    raise AssertionError("no message ever had to wait")


def test_send_waits_for_a_slow_peer(transport: str) -> None:
    """A send returns when the transport can take more, and every byte arrives."""

    async def main() -> None:
        async with slow() as (url, peers), dialled(transport, url) as made:
            link = await made.link
            count, waiting = await fill(link)
            assert peers[0].got == 0
            peers[0].transport.resume_reading()
            await waiting
            while peers[0].got < count * SIZE:
                peers[0].more.clear()
                await peers[0].more.wait()

    run(main)


def test_a_waiting_send_learns_of_the_end(transport: str) -> None:
    """A send that waits for room ends when the connection is gone, and what follows fails."""

    async def main() -> None:
        async with slow() as (url, _), dialled(transport, url) as made:
            link = await made.link
            _, waiting = await fill(link)
            link.abort()
            (ended,) = await asyncio.gather(waiting, return_exceptions=True)
            assert ended is None or isinstance(ended, ConnectionLost)
            with pytest.raises(ConnectionLost):
                await link.send("too late")
            with pytest.raises(ConnectionLost):
                await link.ping()
            await made.over
            assert isinstance(made.seen[-1], PeerClosed)

    run(main)


def test_a_ping_that_is_cut(transport: str) -> None:
    """A ping whose pong never comes fails when the connection is gone."""

    async def main() -> None:
        with server(accept().freeze()) as peer:
            async with dialled(transport, peer.url) as made:
                link = await made.link
                await peer.await_for(lambda peer: "#1 frozen" in peer.history)
                ping = asyncio.ensure_future(link.ping())
                await asyncio.sleep(0)
                link.abort()
                with pytest.raises(ConnectionLost):
                    await ping

    run(main)


def test_several_pings(transport: str) -> None:
    """Each ping gets its own round trip, in seconds."""

    async def main() -> None:
        with server(accept()) as peer:
            async with dialled(transport, peer.url) as made:
                link = await made.link
                times = await asyncio.gather(*(link.ping() for _ in range(5)))
                assert all(0 < seconds < 5 for seconds in times)

    run(main)


@pytest.mark.parametrize("scheme", ["ws", "wss"])
def test_a_dial_that_is_disposed_is_cut(transport: str, scheme: str) -> None:
    """C26: disposing before the answer cuts TCP, in the TLS handshake and in that of WebSocket."""

    async def main() -> None:
        asked, cut = asyncio.Event(), asyncio.Event()

        class Silent(asyncio.Protocol):
            def data_received(self, data: bytes) -> None:
                asked.set()

            def connection_lost(self, error: Exception | None) -> None:
                cut.set()

        loop = asyncio.get_running_loop()
        listening = await loop.create_server(Silent, "127.0.0.1", 0)
        url = f"{scheme}://127.0.0.1:{listening.sockets[0].getsockname()[1]}/"
        context = ssl.create_default_context() if scheme == "wss" else None
        async with dialled(transport, url, ssl=context) as made:
            await asked.wait()
            made.subscription.dispose()
            await cut.wait()
            assert not made.over.done()
            assert not made.link.done()
        listening.close()
        await listening.wait_closed()

    run(main)


class Gate:
    """A request that may not be sent yet."""

    def __init__(self) -> None:
        self.reached = asyncio.Event()
        self.open = asyncio.Event()

    async def __call__(self) -> None:
        self.reached.set()
        await self.open.wait()


@asynccontextmanager
async def gated(gate: Gate) -> AsyncIterator[tuple[str, list[bool], asyncio.Event]]:
    """A server; whether the gate was open at each of its reads, and when a connection was lost."""
    reads: list[bool] = []
    lost = asyncio.Event()

    class Met(SlowServer):
        def data_received(self, data: bytes) -> None:
            reads.append(gate.open.is_set())
            super().data_received(data)

        def connection_lost(self, exc: Exception | None) -> None:
            lost.set()

        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            super().connection_made(transport)
            transports.append(transport)

    transports: list[asyncio.BaseTransport] = []
    served = await asyncio.get_running_loop().create_server(Met, "127.0.0.1", 0)
    host, port = served.sockets[0].getsockname()
    try:
        yield f"ws://{host}:{port}/", reads, lost
    finally:
        served.close()
        for one in transports:
            one.close()
        await served.wait_closed()


def test_the_request_waits_until_it_may_go(transport: str) -> None:
    """C5: TCP is connected meanwhile, and the first byte comes when the old peer has answered."""

    async def main() -> None:
        gate = Gate()
        async with gated(gate) as (url, reads, _), dialled(transport, url, gate) as it:
            await gate.reached.wait()
            assert not reads
            gate.open.set()
            await it.link
            assert reads and all(reads)

    run(main)


def test_a_dial_that_is_disposed_while_it_waits_is_cut(transport: str) -> None:
    """C26: nothing is sent then, and TCP is cut."""

    async def main() -> None:
        gate = Gate()
        async with gated(gate) as (url, reads, lost), dialled(transport, url, gate) as it:
            await gate.reached.wait()
            it.subscription.dispose()
            await lost.wait()
            assert not reads and not it.link.done()

    run(main)


def test_a_server_that_hangs_up_while_the_request_waits(transport: str) -> None:
    """It is a failed attempt, with an error to show."""

    async def main() -> None:
        gate = Gate()

        class HangsUp(asyncio.Protocol):
            def connection_made(self, transport: asyncio.BaseTransport) -> None:
                transport.close()

            def connection_lost(self, exc: Exception | None) -> None:
                gate.open.set()

        served = await asyncio.get_running_loop().create_server(HangsUp, "127.0.0.1", 0)
        host, port = served.sockets[0].getsockname()
        async with dialled(transport, f"ws://{host}:{port}/", gate) as it:
            with pytest.raises((HandshakeInvalid, OSError)):
                await it.link
        served.close()
        await served.wait_closed()

    run(main)


def test_nothing_after_a_dispose(transport: str) -> None:
    """C23: a link whose subscription was disposed delivers nothing while it is closed."""

    def play(peer: Peer) -> None:
        peer.send(peer.answer + frame(b"first"))
        peer.read_some()
        peer.send(frame(b"second") + frame(b"\x03\xe8", CLOSE))

    async def main() -> None:
        with raw(play) as peer:
            async with dialled(transport, peer.url) as made:
                link = await made.link
                await made.something.wait()
                made.subscription.dispose()
                link.close()
                await link.answered()
                assert made.seen == ["first"]

    run(main)


@pytest.mark.parametrize("status", [401, 418, 499, 520, 599])
def test_statuses_with_and_without_a_name(status: int) -> None:
    """A refusal says its status, also one that no standard names, and Retry-After."""
    with server(reject(status, {"Retry-After": "60"})) as peer:
        socket = Socket(peer.url, auth="a", backoff=quick())
        watch = Watch(socket)
        watch.until(lambda watch: {"ConnectFailed", "Rejected"} & set(watch.names))
        error = next(event.error for event in watch.events if hasattr(event, "error"))
        assert isinstance(error, HandshakeRefused)
        assert (error.status, error.retry_after) == (status, "60")
        socket.close().result(5)


def test_an_extension_that_was_not_offered() -> None:
    """RFC 6455, section 4.1: such an answer is no valid handshake."""

    def play(peer: Peer) -> None:
        peer.send(peer.answer[:-2] + b"Sec-WebSocket-Extensions: x-unheard-of\r\n\r\n")
        peer.drain()

    with raw(play) as peer:
        socket = Socket(peer.url, backoff=quick())
        assert isinstance(Watch(socket).wait(ConnectFailed).error, HandshakeInvalid)
        socket.close().result(5)


def test_user_info_of_the_address() -> None:
    """User name and password of the address go into Authorization, not into Host."""
    with server(accept()) as peer:
        socket = Socket(peer.url.replace("ws://", "ws://me:p%40ss@"), backoff=quick())
        opened = Inbox()
        socket.on_open(opened)
        opened.wait(1)
        headers = peer.handshakes[0].headers
        assert headers["Authorization"] == "Basic bWU6cEBzcw=="
        assert "@" not in headers["Host"]
        socket.close().result(5)


def test_an_address_beyond_ascii() -> None:
    """An IRI is sent as the URI it stands for (RFC 3987, section 3.1)."""
    with server(accept()) as peer:
        socket = Socket(peer.url + "für/%2Falle?wort=größe&a=%2B", auth={"token": "a+b="})
        opened = Inbox()
        socket.on_open(opened)
        opened.wait(1)
        assert peer.handshakes[0].path == "/f%C3%BCr/%2Falle"
        assert peer.handshakes[0].query == {"wort": "größe", "a": "+", "token": "a+b="}
        socket.close().result(5)


@pytest.mark.skipif(sys.platform == "win32", reason="there is no uvloop")
def test_on_uvloop(transport: str) -> None:
    """The loop may be one of uvloop: messages both ways, a ping, and a close with its reason."""
    uvloop = pytest.importorskip("uvloop")

    async def main() -> None:
        with server(accept().echo()) as peer:
            async with dialled(transport, peer.url) as made:
                link = await made.link
                await link.send("x" * 2**20)
                await link.send(b"y" * 2**20)
                await link.ping()
                while len(made.seen) < 2:
                    made.something.clear()
                    await made.something.wait()
                link.close(4001, "bye")
                await link.answered()
                await made.over
                assert made.seen == ["x" * 2**20, b"y" * 2**20, PeerClosed(4001, "bye", sent=4001)]
                await peer.await_for(lambda peer: peer.closes)
                assert tuple(peer.closes[0])[1:] == (4001, "bye")

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(asyncio.wait_for(main(), 10))
