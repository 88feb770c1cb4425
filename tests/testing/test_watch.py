"""``watch()``: what happened to a socket, kept and waited for."""

from __future__ import annotations

import asyncio

import pytest

from rxsocket import Closed, Message, Opened, Socket, State
from rxsocket.testing import VirtualClock, accept, fake, server, watch


def test_on_a_thread() -> None:
    """A test without a loop waits for events of the background thread."""
    with server(accept().send("one").close(1012), accept().send("two")) as feed:
        socket = Socket(feed.url)
        seen = watch(socket)
        assert seen.wait(Closed, timeout=8).code == 1012
        assert seen.wait(Opened, 2, timeout=8).epoch == 2
        seen.wait(Message, 2)
        assert seen.messages == ["one", "two"]
        socket.close().result(5)
        assert seen.completed and seen.error is None


def test_in_a_coroutine() -> None:
    """``happens`` waits without blocking the loop."""

    async def main() -> None:
        with server(accept().send("one")) as feed:
            async with Socket(feed.url) as socket:
                seen = watch(socket)
                await seen.happens(lambda seen: seen.messages)
                assert seen.names[:2] == ["Connecting", "Opened"]

    asyncio.run(main())


def test_in_virtual_time(clock: VirtualClock) -> None:
    """Waiting lets virtual time pass, and no more than it needs."""
    feed = fake(accept().wait(100).send("late"))
    socket = Socket(feed.url, transport=feed)
    seen = watch(socket)
    seen.wait(Message, timeout=200)
    assert clock.time() == 100
    assert [round(at) for at, what in seen.entries if isinstance(what, Message)] == [100]
    socket.close()
    clock.advance(1)


def test_what_does_not_happen_is_told_with_what_did(clock: VirtualClock) -> None:
    """The assertion shows the events, with their times."""
    feed = fake(accept().send("one").wait(1).close(4000, "enough"))
    socket = Socket(feed.url, transport=feed)
    seen = watch(socket)
    with pytest.raises(AssertionError) as caught:
        seen.wait(Message, 2, timeout=1.5)
    text = str(caught.value)
    assert "no Message number 2 within 1.5 s; the socket is " in text
    assert "0.000  Message(epoch=1, data='one')" in text
    assert "1.000  Closed(epoch=1, code=4000, reason='enough'" in text
    socket.close()
    clock.advance(1)


def test_looking_only(clock: VirtualClock) -> None:
    """``connect=False`` does not connect, and sees what others make happen (C1)."""
    feed = fake()
    socket = Socket(feed.url, transport=feed)
    seen = watch(socket, connect=False)
    clock.advance(10)
    assert feed.dials == 0 and socket.state.value is State.IDLE
    held = socket.connect()
    clock.advance(1)
    assert seen.names == ["Connecting", "Opened"]
    seen.dispose()
    held.dispose()
    clock.advance(1)
    assert seen.names == ["Connecting", "Opened"]
