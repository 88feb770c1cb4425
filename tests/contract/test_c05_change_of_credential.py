"""C5: a change of credential closes at once and dials within 50 ms."""

from __future__ import annotations

import asyncio

from rxsocket import Cause, Closed, Connecting, Event, InEffect, Message, Socket
from rxsocket.testing import VirtualClock, fake, server


def test_closed_comes_before_anything_of_the_next(virtual: VirtualClock) -> None:
    """The old connection's Closed comes first, then the new epoch; no old message follows."""
    peer = fake()
    socket = Socket(peer.url, auth={"token": "a"}, transport=peer)
    events: list[Event] = []
    socket.events.subscribe(events.append)
    virtual.advance(1.0)
    peer.push("old")
    virtual.advance(0.0)
    peer.push("too late")
    socket.set_auth({"token": "b"})
    virtual.advance(1.0)
    peer.push("new")
    virtual.advance(0.0)
    after = events[events.index(Closed(epoch=1, sent=1000, cause=Cause.AUTH_CHANGED)) :]
    names = [type(event).__name__ for event in after]
    assert names == ["Closed", "Connecting", "Opened", "Message"]
    assert after[-1] == Message(epoch=2, data="new")
    assert [handshake.credential for handshake in peer.handshakes] == ["a", "b"]
    socket.close()
    virtual.advance(2.0)


def test_a_mute_peer_holds_the_next_dial_up_for_50_ms(virtual: VirtualClock) -> None:
    """A peer that never answers our close delays the next dial by 50 ms; it is dropped in 2 s."""
    peer = fake()
    socket = Socket(peer.url, auth={"token": "a"}, transport=peer)
    dials: list[float] = []
    socket.events.subscribe(
        lambda event: dials.append(virtual.time()) if isinstance(event, Connecting) else None
    )
    virtual.advance(10.0)
    peer.freeze()
    socket.set_auth({"token": "b"})
    virtual.advance(1.0)
    assert dials == [0.0, 10.05]
    assert peer.connections == 2
    virtual.advance(1.0)
    assert peer.connections == 1
    socket.close()
    virtual.advance(2.0)


def test_on_a_real_connection() -> None:
    """On loopback: messages under the first token, then under the second, to the same observer."""
    with server(tokens={"a", "b"}) as peer:

        async def main() -> None:
            socket = Socket(peer.url, auth={"token": "a"})
            messages: list[str] = []
            arrived = asyncio.Event()
            socket.messages.subscribe(lambda message: (messages.append(message), arrived.set()))
            await peer.await_for(lambda peer: peer.connections == 1)
            peer.push("under a")
            await arrived.wait()
            arrived.clear()
            changing = socket.set_auth({"token": "b"})
            await peer.await_for(lambda peer: len(peer.handshakes) == 2)
            await peer.await_for(lambda peer: peer.connections == 1)
            peer.push("under b")
            assert await changing == InEffect(epoch=2)
            await arrived.wait()
            assert messages == ["under a", "under b"]
            await socket.close()

        asyncio.run(main())
        assert [handshake.credential for handshake in peer.handshakes] == ["a", "b"]
