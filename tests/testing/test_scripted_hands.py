"""What a test does with a scripted server by hand, the real one and the fake one alike."""

from __future__ import annotations

import asyncio

import pytest

from rxsocket import ConnectFailed, Opened, Socket, State
from rxsocket.testing import VirtualClock, fake, server, watch


def test_expect_in_virtual_time(clock: VirtualClock) -> None:
    """It takes one message after the other, whatever it is told to expect."""
    feed = fake()
    socket = Socket(feed.url, transport=feed)
    seen = watch(socket)
    seen.wait(Opened)
    for message in ("a", "b", b"c", "d"):
        socket.send(message)
    assert feed.expect("a") == "a"
    assert feed.expect(lambda message: message == "b") == "b"
    assert feed.expect() == b"c"
    with pytest.raises(AssertionError, match=r"(?s)#1 sent 'd', not 'e'; history:\n  .*#1 open"):
        feed.expect("e")
    with pytest.raises(AssertionError, match="no message of a client came within 2 s"):
        feed.expect("f", timeout=2)
    socket.close()
    clock.advance(1)


def test_expect_on_a_real_connection() -> None:
    """On a thread it blocks, in a coroutine it is awaited."""
    with server() as feed:
        socket = Socket(feed.url)
        watch(socket).wait(Opened)
        socket.send("one")
        assert feed.expect("one") == "one"
        socket.send("two")
        assert asyncio.run(feed.await_expect("two")) == "two"
        socket.close().result(5)


def test_reject(clock: VirtualClock) -> None:
    """The next handshakes are refused, then things are as before."""
    feed = fake()
    feed.reject(429, {"Retry-After": "7"}, times=2)
    socket = Socket(feed.url, transport=feed)
    seen = watch(socket)
    seen.wait(Opened, timeout=60)
    assert [failed.status for failed in seen.of(ConnectFailed)] == [429, 429]
    assert clock.time() >= 14
    socket.close()
    clock.advance(1)


def test_delay(clock: VirtualClock) -> None:
    """Handshakes are answered later, refused ones too."""
    feed = fake(tokens={"good"})
    feed.delay(3)
    socket = Socket(feed.url, transport=feed, auth="bad")
    seen = watch(socket)
    clock.advance(2.9)
    assert socket.state.value is State.CONNECTING
    clock.advance(0.2)
    assert socket.state.value is State.AWAITING_AUTH
    feed.delay(0)
    socket.set_auth("good")
    clock.advance(0.1)
    assert len(seen.of(Opened)) == 1
    socket.close()
    clock.advance(1)
    with pytest.raises(ValueError, match="0 seconds or more"):
        feed.delay(-1)
