"""C34 on real connections: a server says that it is going away."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from deadlines import stretched
from internals import Server
from reactivex import operators as ops

from rxsocket import (
    Backoff,
    Cause,
    Closed,
    Connecting,
    Opened,
    RenewalFailed,
    Socket,
    Strategy,
    handover,
    reconnect,
)
from rxsocket.testing import accept, reject

from .wire_helpers import Inbox, Watch


class CappedServer(Server):
    """A server that refuses whoever comes while it has as many connections as it allows."""

    def __init__(self, most: int) -> None:
        super().__init__((), None, None, "127.0.0.1", None)
        self._most = most

    def accept_dial(self, target: str, headers: Any) -> Any:
        self.default = reject(429) if self.connections >= self._most else accept()
        return super().accept_dial(target, headers)


class AtOnce(random.Random):
    """A jitter of nothing: the test need not wait for it."""

    def uniform(self, a: float, b: float) -> float:
        return a


@contextmanager
def numbers(peer: Server) -> Iterator[None]:
    """Send 0, 1, 2 … to all connections of the server, 1,000 a second."""
    done = threading.Event()

    def run() -> None:
        count, start = 0, time.monotonic()
        while not done.is_set():
            due = int((time.monotonic() - start) * 1000)
            peer.push(*map(str, range(count, due)))
            count = max(count, due)
            done.wait(0.001)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


def follow(socket: Socket) -> None:
    """What a user writes."""
    goaway = socket.messages.pipe(ops.filter(lambda message: message == "goaway"))
    goaway.subscribe(lambda _: socket.renew(within=2.0, why="the server said goaway"))


def renewed_where_one_is_allowed(peer: CappedServer, strategy: Strategy) -> Watch:
    """What a socket does that is told to go away, and is open again inside the deadline."""
    socket = Socket(peer.url, on_auth_change=strategy)
    watch = Watch(socket)
    follow(socket)
    watch.wait(Opened)
    told = time.monotonic()
    peer.push("goaway")
    watch.wait(Opened, 2)
    took = time.monotonic() - told
    socket.close().result(5)
    assert peer.most_open == 1
    assert took < stretched(2.0)
    return watch


def test_a_server_that_allows_one() -> None:
    """``reconnect()``: closed first, open again inside the deadline, and told why."""
    with CappedServer(1) as peer:
        watch = renewed_where_one_is_allowed(peer, reconnect())
        assert peer.closes[0] == (1, 1000, "the server said goaway")
    assert watch.of(Connecting)[1].cause is Cause.RENEW
    closed = watch.of(Closed)[0]
    assert (closed.cause, closed.reason) == (Cause.RENEW, "the server said goaway")


def test_a_handover_that_a_server_refuses() -> None:
    """One allowed: the second is refused beside it, so the first is left in time."""
    with CappedServer(1) as peer:
        watch = renewed_where_one_is_allowed(peer, handover())
    assert {event.cause for event in watch.of(RenewalFailed)} == {Cause.RENEW}


def test_nothing_is_missing_where_two_are_allowed() -> None:
    """``handover(dedupe=...)`` at 1 kHz: none missing, none twice, in order, no gap."""
    received = Inbox()
    with CappedServer(2) as peer:
        socket = Socket(
            peer.url,
            on_auth_change=handover(dedupe=int),
            stable_after=0.05,
            backoff=Backoff(random=AtOnce()),
        )
        watch = Watch(socket)
        socket.messages.subscribe(received)
        watch.wait(Opened)
        with numbers(peer):
            for epoch in range(2, 7):
                seen = len(received.values)
                received.wait(seen + 100)
                socket.renew(within=20.0)  # a busy machine may fall behind
                watch.wait(Opened, epoch)
            received.wait(len(received.values) + 100)
        socket.close().result(5)
        assert peer.most_open == 2
    came = list(map(int, received.values))
    assert came == list(range(came[0], came[-1] + 1))
    assert [event.gap for event in watch.of(Opened)] == [None, *[0.0] * 5]
    assert {event.cause for event in watch.of(Opened)[1:]} == {Cause.RENEW}
    assert watch.of(RenewalFailed) == []
