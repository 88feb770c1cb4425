"""Faults: transports that fail as networks do."""

from __future__ import annotations

import time
from random import Random
from typing import Any

import pytest
import reactivex
from deadlines import took

from rxsocket import Backoff, Closed, ConnectFailed, Message, Opened, Socket, State, Waiting
from rxsocket.recording import record, replay
from rxsocket.testing import (
    VirtualClock,
    accept,
    clock,
    corrupt,
    drop_every,
    fake,
    faults,
    refuse,
    server,
    slow,
    watch,
)
from rxsocket.transports.websockets import websockets_transport


def chatty() -> Any:
    """A server that greets each client with ten messages."""
    feed = fake()
    feed.default = accept().send(*"0123456789")
    return feed


def test_drop_every_some_messages(clock: VirtualClock) -> None:
    """Each link is lost without a close frame when it delivered that many."""
    feed = chatty()
    socket = Socket(feed.url, transport=drop_every(3)(feed))
    seen = watch(socket)
    clock.advance(10)
    assert seen.messages[:6] == ["0", "1", "2", "0", "1", "2"]
    assert {closed.code for closed in seen.of(Closed)} == {1006}
    assert feed.connections == 0 or seen.of(Opened)[-1].epoch > 2
    socket.close()
    clock.advance(1)


def test_drop_every_some_seconds(clock: VirtualClock) -> None:
    """Each link lives that long."""
    feed = fake()
    socket = Socket(feed.url, transport=drop_every(seconds=30)(feed))
    seen = watch(socket)
    clock.advance(120)
    assert [closed.uptime for closed in seen.of(Closed)] == pytest.approx([30.0] * 3)
    assert [left.code for left in feed.closes] == [1006] * 3
    socket.close()
    clock.advance(1)


def test_refuse(clock: VirtualClock) -> None:
    """The first dials never reach the server."""
    feed = fake()
    refusing = refuse(503, times=2)
    socket = Socket(feed.url, transport=refusing(feed))
    seen = watch(socket)
    clock.advance(30)
    assert [failed.status for failed in seen.of(ConnectFailed)] == [503, 503]
    assert feed.dials == 1 and socket.state.value is State.OPEN
    socket.close()
    clock.advance(1)
    again = Socket(feed.url, transport=refuse(error=ConnectionRefusedError("no"))(feed))
    seen = watch(again)
    seen.wait(Opened)
    assert [type(failed.error) for failed in seen.of(ConnectFailed)] == [ConnectionRefusedError]
    again.close()
    clock.advance(1)


def test_slow(clock: VirtualClock) -> None:
    """Everything arrives later, and in order."""
    feed = fake(accept().send("a").wait(1).send("b", "c").close(1000))
    socket = Socket(feed.url, transport=slow(0.5)(feed))
    seen = watch(socket)
    clock.advance(10)
    times = [(at, what.data) for at, what in seen.entries if isinstance(what, Message)]
    assert times == [(0.5, "a"), (1.5, "b"), (1.5, "c")]
    assert seen.completed and seen.of(Closed)[0].code == 1000


def test_leaving_what_is_slow(clock: VirtualClock) -> None:
    """Nothing of what is on its way is left behind (C26)."""
    feed = chatty()
    socket = Socket(feed.url, transport=slow(60)(feed))
    seen = watch(socket)
    clock.advance(61)
    feed.push("never")
    clock.advance(1)
    socket.close()
    clock.advance(1)
    assert "never" not in seen.messages and clock.pending == 0


def test_corrupt(clock: VirtualClock) -> None:
    """Every second message is cut in half, or damaged as told."""
    feed = fake(accept().send("one!", "two!", b"\x00\x01", b"\x02\x03"))
    socket = Socket(feed.url, transport=corrupt(every=2)(feed))
    seen = watch(socket)
    clock.advance(1)
    assert seen.messages == ["one!", "tw", b"\x00\x01", b"\x02"]
    socket.close()
    clock.advance(1)
    feed.script(accept().send("one!"))
    other = Socket(feed.url, transport=corrupt(damage=lambda data: "{")(feed))
    seen = watch(other)
    clock.advance(1)
    assert seen.messages == ["{"]
    other.close()
    clock.advance(1)


def test_together_round_a_replay(clock: VirtualClock, tmp_path: Any) -> None:
    """Faults go round each other, and round a recording."""
    feed = chatty()
    original = Socket(feed.url, transport=feed)
    with record(original, tmp_path / "s.jsonl"), original:
        clock.advance(1)
        feed.close(1012)
        clock.advance(10)
    recording = replay(tmp_path / "s.jsonl", "max")
    transport = reactivex.pipe(recording, drop_every(4), slow(0.1), refuse(503))
    socket = Socket("ws://again.test/", transport=transport)
    seen = watch(socket)
    clock.advance(60)
    assert seen.messages[:8] == ["0", "1", "2", "3"] * 2
    assert len(seen.of(ConnectFailed)) == 1
    socket.close()
    clock.advance(1)


def test_round_a_real_connection() -> None:
    """The same functions go round the real transport."""
    quick = Backoff(first=0.01, base=0.01, cap=0.02, spacing=0.0, random=Random(1))
    with server() as feed:
        feed.default = accept().send("a", "b", "c")
        transport = reactivex.pipe(websockets_transport, drop_every(2), slow(0.01))
        socket = Socket(feed.url, transport=transport, backoff=quick)
        seen = watch(socket)
        seen.wait(Opened, 3, timeout=10)
        assert seen.messages[:4] == ["a", "b", "a", "b"]
        socket.close().result(5)


def test_by_hand() -> None:
    """At a prompt: drop, refuse, slow, corrupt, heal, each from another thread."""
    quick = Backoff(first=0.01, base=0.01, cap=0.02, spacing=0.0, random=Random(1))
    with server() as feed:
        network = faults()
        socket = Socket(feed.url, transport=network, backoff=quick)
        seen = watch(socket)
        seen.wait(Opened)
        network.drop()
        assert seen.wait(Closed).code == 1006
        seen.wait(Opened, 2)
        network.refuse(503)
        network.drop()
        assert seen.wait(ConnectFailed).status == 503
        network.heal()
        seen.wait(Opened, 3)
        network.corrupt()
        feed.push("whole")
        seen.wait(Message)
        network.heal()
        network.slow(0.3)
        start = time.monotonic()
        feed.push("whole")
        seen.wait(Message, 2)
        assert time.monotonic() - start >= 0.3
        assert seen.messages == ["wh", "whole"]
        socket.close().result(5)


@pytest.mark.parametrize(
    "make",
    [
        lambda: drop_every(),
        lambda: drop_every(3, seconds=1),
        lambda: drop_every(0),
        lambda: drop_every(1.5),  # type: ignore[arg-type]
        lambda: drop_every(seconds=-1),
        lambda: refuse(times=0),
        lambda: slow(-1),
        lambda: slow("x"),  # type: ignore[arg-type]
        lambda: corrupt(0),
    ],
)
def test_wrong_arguments(make: Any) -> None:
    """They are told at once."""
    with pytest.raises((TypeError, ValueError), match="pass"):
        make()


@pytest.mark.parametrize("hours", [4, pytest.param(24, marks=pytest.mark.slow)])
def test_a_day_of_reconnects(hours: int) -> None:
    """24 hours of lost links and refused dials run in under 2 s."""
    start = time.thread_time()
    with clock() as virtual:
        feed = fake()
        transport = reactivex.pipe(feed, drop_every(seconds=120), refuse(503, times=5))
        socket = Socket(feed.url, transport=transport)
        seen = watch(socket)
        virtual.advance(hours * 3600)
        lost, waits = len(seen.of(Closed)), seen.of(Waiting)
        assert 28 * hours <= lost <= 30 * hours
        assert len(waits) == lost + 5
        assert all(wait.delay <= 2 for wait in waits[5:])
        socket.close()
        virtual.advance(1)
    took(time.thread_time() - start, 2.0 * hours / 24)
