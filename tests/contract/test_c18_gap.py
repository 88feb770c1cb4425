"""C18: ``Opened`` says how long the socket was without a connection, and why."""

from __future__ import annotations

from random import Random

import pytest

from rxsocket import Backoff, Cause, Event, Message, Opened, Socket, Waiting
from rxsocket.testing import VirtualClock, accept, fake, reject, unreachable


def test_the_first_one_has_no_gap(clock: VirtualClock) -> None:
    """Nothing was missed before the first connection, however many attempts it took."""
    peer = fake(reject(503), unreachable(), accept())
    socket = Socket(peer.url, transport=peer)
    opens: list[Opened] = []
    socket.opens.subscribe(opens.append)
    clock.advance(30.0)
    assert opens == [Opened(epoch=3, gap=None, cause=Cause.FAILED, attempts=3)]
    socket.close()
    clock.advance(2.0)


def test_a_lost_link(clock: VirtualClock) -> None:
    """The gap spans the backoff, the failed attempts and the handshake."""
    peer = fake(accept().wait(10).drop(), reject(503), accept().delay(0.25))
    socket = Socket(peer.url, transport=peer, backoff=Backoff(random=Random(4)))
    times: list[float] = []
    waits: list[float] = []
    opens: list[Opened] = []

    def on_next(event: Event) -> None:
        if isinstance(event, Opened):
            times.append(clock.time())
            opens.append(event)
        elif isinstance(event, Waiting):
            waits.append(event.delay)

    socket.events.subscribe(on_next)
    clock.advance(60.0)
    assert [event.epoch for event in opens] == [1, 3]
    assert opens[1].gap == pytest.approx(times[1] - 10.0)
    assert opens[1].gap == pytest.approx(sum(waits) + 0.25)
    assert opens[1].attempts == 2
    socket.close()
    clock.advance(2.0)


@pytest.mark.parametrize("latency", [0.0, 0.02])
def test_a_change_of_credential(clock: VirtualClock, latency: float) -> None:
    """A change has a gap too: the old peer's answer and the handshake."""
    peer = fake(latency=latency)
    socket = Socket(peer.url, transport=peer, auth="a")
    opens: list[Opened] = []
    socket.opens.subscribe(opens.append)
    clock.advance(10.0)
    socket.set_auth("b")
    clock.advance(1.0)
    assert [event.cause for event in opens] == [Cause.STARTED, Cause.AUTH_CHANGED]
    assert opens[1].gap == pytest.approx(2 * latency)
    socket.close()
    clock.advance(2.0)


def test_awaiting_auth_is_part_of_the_gap(clock: VirtualClock) -> None:
    """The hour that the socket waited for another credential counts."""
    peer = fake(accept().close(4401), accept())
    socket = Socket(peer.url, transport=peer, auth="a")
    opens: list[Opened] = []
    socket.opens.subscribe(opens.append)
    clock.advance(3600.0)
    socket.set_auth("b")
    clock.advance(1.0)
    assert [event.gap for event in opens] == [None, 3600.0]
    assert opens[1].cause is Cause.AUTH_CHANGED
    socket.close()
    clock.advance(2.0)


def test_reconnect_says_so(clock: VirtualClock) -> None:
    """``reconnect()`` is the reason of the connection that it makes."""
    peer = fake()
    socket = Socket(peer.url, transport=peer)
    opens: list[Opened] = []
    socket.opens.subscribe(opens.append)
    clock.advance(10.0)
    socket.reconnect()
    clock.advance(1.0)
    assert [event.cause for event in opens] == [Cause.STARTED, Cause.RECONNECT]
    assert opens[1].gap == 0.0
    socket.close()
    clock.advance(2.0)


@pytest.mark.parametrize("how", ["left", "closed"])
def test_a_fresh_start_has_no_gap(clock: VirtualClock, how: str) -> None:
    """While nobody was subscribed nothing was missed: the next start begins without a gap."""
    peer = fake()
    socket = Socket(peer.url, transport=peer)
    opens: list[Opened] = []
    subscription = socket.opens.subscribe(opens.append)
    clock.advance(10.0)
    if how == "left":
        subscription.dispose()
    else:
        socket.close()
    clock.advance(60.0)
    socket.opens.subscribe(opens.append)
    clock.advance(1.0)
    assert opens == [Opened(epoch=1), Opened(epoch=2)]
    socket.close()
    clock.advance(2.0)


def test_messages_tell_their_epoch(clock: VirtualClock) -> None:
    """The first message of an epoch can be told from the last of the one before."""
    peer = fake(accept().send("x").wait(1).drop(), accept().send("x"))
    socket = Socket(peer.url, transport=peer)
    messages: list[Event] = []
    socket.events.subscribe(lambda event: isinstance(event, Message) and messages.append(event))
    clock.advance(10.0)
    assert messages == [Message(epoch=1, data="x"), Message(epoch=2, data="x")]
    socket.close()
    clock.advance(2.0)
