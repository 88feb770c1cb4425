"""C45 on real connections: what a socket counts is what the server sent, and what it got."""

from __future__ import annotations

import random
import threading
from collections.abc import Iterator

import pytest

from rxsocket import Opened, Socket, State
from rxsocket.testing import accept, server

from .wire_helpers import BINARY, CONTINUATION, PING, TEXT, Inbox, Peer, Watch, frame, quick, raw


def size(message: str | bytes) -> int:
    """Bytes of a message on the wire, without headers and compression."""
    return len(message.encode() if isinstance(message, str) else message)


def some_of_each(chance: random.Random) -> Iterator[tuple[bytes, list[str | bytes]]]:
    """Bytes that a server sends, and the messages that are whole with them."""
    for _ in range(25):
        length = chance.choice((0, 1, 60, 125, 126, 4000, 70_000))
        text = chance.choice("aé☃") * length
        data = bytes(length)
        yield frame(text.encode()), [text]
        yield frame(data, BINARY), [data]
        yield frame(b"?", PING), []
        whole = text.encode()
        cut = chance.randint(0, len(whole))
        yield frame(whole[:cut], TEXT, fin=False), []
        yield frame(b"between", PING), []
        yield frame(whole[cut:], CONTINUATION), [text]


@pytest.mark.parametrize("seed", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_frames_fragments_and_pings(seed: int) -> None:
    """Payloads count, whole or in fragments; headers, pings and half a message do not."""
    stream = list(some_of_each(random.Random(seed)))
    messages = [message for _, whole in stream for message in whole]
    rest = threading.Event()

    def play(peer: Peer) -> None:
        peer.send(peer.answer + b"".join(data for data, _ in stream) + frame(b"end")[:3])
        rest.wait(10)
        peer.send(frame(b"end")[3:])
        peer.drain()

    with raw(play) as far:
        socket = Socket(far.url, max_size=2**20, compression=None)
        socket.messages.subscribe(got := Inbox())
        got.wait(len(messages))
        stats = socket.stats
        assert (stats.messages_received, stats.bytes_received) == (
            len(messages),
            sum(map(size, messages)),
        )
        rest.set()
        got.wait(len(messages) + 1)
        assert socket.stats.messages_received == len(messages) + 1
        assert socket.stats.bytes_received == stats.bytes_received + 3
        socket.close().result(5)


@pytest.mark.only("websockets")
def test_compressed_messages_count_as_they_are_without_compression() -> None:
    """A thousand equal letters are a thousand bytes."""
    out = ["x" * 1000, "é" * 500, b"\x00" * 5000]
    with server(accept().send(*out).echo()) as peer:
        socket = Socket(peer.url, compression="deflate")
        socket.messages.subscribe(got := Inbox())
        got.wait(3)
        assert socket.stats.bytes_received == 7000
        for message in out:
            socket.send(message).result(5)
        got.wait(6)
        assert (socket.stats.bytes_sent, socket.stats.bytes_received) == (7000, 14_000)
        socket.close().result(5)


def test_an_echo_comes_to_the_same_numbers() -> None:
    """Text, bytes and fragments: what was sent is what came back, and nothing waits."""

    async def parts() -> object:
        for part in ("frag", "ménts"):
            yield part

    out: list[object] = ["text", b"binary", ["é", "b"], "x" * 200_000, parts()]
    total = sum((4, 6, 3, 200_000, 10))
    with server(accept().echo()) as peer:
        socket = Socket(peer.url)
        socket.messages.subscribe(got := Inbox())
        receipts = [socket.send(data) for data in out]  # type: ignore[arg-type]
        for receipt in receipts:
            receipt.result(5)
        got.wait(len(out))
        stats = socket.stats
        assert (stats.messages_sent, stats.bytes_sent) == (len(out), total)
        assert (stats.messages_received, stats.bytes_received) == (len(out), total)
        assert (stats.waiting, stats.waiting_bytes, stats.unsent) == (0, 0, 0)
        socket.close().result(5)


def test_counters_over_a_cut_read_from_another_thread() -> None:
    """They never go down while connections come and go, whoever reads them meanwhile."""
    feed = accept().stream(lambda: map(str, range(10**6)), rate=1000)
    with server(feed) as peer:
        peer.default = feed
        socket = Socket(peer.url, backoff=quick())
        done, wrong = threading.Event(), list[str]()

        def read() -> None:
            before = socket.stats
            while not done.wait(0.001):
                now = socket.stats
                for name in ("messages_received", "bytes_received", "seconds_without_connection"):
                    if getattr(now, name) < getattr(before, name):
                        wrong.append(name)
                before = now

        reader = threading.Thread(target=read)
        reader.start()
        try:
            watch = Watch(socket)
            for number in range(1, 5):
                watch.wait(Opened, number)
                peer.drop()
            watch.wait(Opened, 5)
            socket.close().result(5)
        finally:
            done.set()
            reader.join()
        assert wrong == []
        stats = socket.stats
        assert (stats.state, stats.connections, stats.outage) == (State.CLOSED, 5, 0.0)
        assert 0.0 < stats.seconds_without_connection < 10.0
