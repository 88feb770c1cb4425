"""What the random interleavings found, as plain scenarios."""

from __future__ import annotations

import asyncio
from typing import Any

from reactivex.subject import BehaviorSubject, Subject

from rxsocket import (
    Cause,
    Closed,
    Connecting,
    Event,
    InEffect,
    Opened,
    Overtaken,
    Refused,
    Socket,
    State,
    Waiting,
)
from rxsocket.testing import VirtualClock, fake, reject

A, B = {"token": "a"}, {"token": "b"}


def credentials(peer: Any) -> list[str | None]:
    return [handshake.credential for handshake in peer.handshakes]


def shut(socket: Socket, clock: VirtualClock) -> None:
    socket.close()
    clock.advance(2.0)


def test_close_settles_although_the_socket_was_started_again(clock: VirtualClock) -> None:
    """C26: the receipt of close() is about what was open then."""
    peer = fake()
    socket = Socket(peer.url, auth=A, transport=peer)
    socket.connect()
    clock.advance(1.0)
    closing = socket.close()
    socket.connect()
    clock.advance(2.0)
    assert closing.done
    assert socket.state.value is State.OPEN
    shut(socket, clock)


def test_close_settles_although_another_mute_peer_was_left_since(clock: VirtualClock) -> None:
    """C26: 2 s after the first close(), whatever a later one still waits for."""
    peer = fake()
    socket = Socket(peer.url, auth=A, transport=peer)
    closings = []
    for _ in range(2):
        socket.connect()
        clock.advance(0.5)
        peer.freeze()
        clock.advance(1.0)
        closings.append(socket.close())
    clock.advance(0.6)
    assert [closing.done for closing in closings] == [True, False]
    clock.advance(1.5)
    assert closings[1].done


def test_a_subscriber_after_close_starts_the_socket_afresh(clock: VirtualClock) -> None:
    """C3: also in an observer, where close() and subscribe wait for the emission to be over."""
    peer = fake()
    socket = Socket(peer.url, auth=A, transport=peer)
    opens: list[Opened] = []

    def again(_: object) -> None:
        socket.close()
        socket.opens.subscribe(opens.append)

    socket.opens.subscribe(again)
    clock.advance(3.0)
    assert [event.epoch for event in opens] == [2]
    shut(socket, clock)


def test_close_on_a_held_message_does_not_start_the_socket_again(clock: VirtualClock) -> None:
    """C1: who closes the socket at what it is told within subscribe holds nothing."""
    peer = fake()
    socket = Socket(peer.url, auth=A, transport=peer, linger=3.0)
    socket.connect()
    clock.advance(1.0)
    peer.push("held")
    clock.advance(0.0)
    socket.messages.subscribe(lambda _: socket.close())
    clock.advance(2.9)
    assert (socket.state.value, peer.dials) == (State.CLOSED, 1)
    clock.advance(1.0)


def test_reconnect_after_a_change_does_not_delay_it(clock: VirtualClock) -> None:
    """C5: a pushed credential goes within 50 ms, whatever else was asked in the same instant."""
    peer = fake()
    socket = Socket(peer.url, auth=A, transport=peer)
    socket.connect()
    clock.advance(0.5)
    socket.set_auth(B)
    socket.reconnect()
    clock.advance(0.05)
    assert credentials(peer) == ["a", "b"]
    shut(socket, clock)


def test_changes_do_not_put_a_mute_peers_time_off(clock: VirtualClock) -> None:
    """C5: 50 ms count from the close, not from the last of the changes that follow it."""
    peer = fake()
    socket = Socket(peer.url, auth=A, transport=peer)
    socket.messages.subscribe()
    clock.advance(10.0)
    peer.freeze()
    clock.advance(0.0)
    socket.set_auth(B)
    clock.advance(0.04)
    socket.set_auth({"token": "c"})
    clock.advance(0.04)
    assert [handshake.at for handshake in peer.handshakes] == [0.0, 10.05]
    assert credentials(peer) == ["a", "c"]
    shut(socket, clock)


def test_what_the_source_emits_overtakes_what_was_set(clock: VirtualClock) -> None:
    """C20: the receipt does not claim the source's connection for the credential that was set."""
    peer, source = fake(), Subject[Any]()
    socket = Socket(peer.url, auth=source, transport=peer)
    socket.connect()
    change = socket.set_auth(B)
    source.on_next(A)
    clock.advance(1.0)
    assert change.result() == Overtaken()
    assert credentials(peer) == ["a"]
    shut(socket, clock)


def test_the_source_emits_again_what_was_overtaken(clock: VirtualClock) -> None:
    """C10: the newest wins, also when the source had emitted the same before."""
    peer, source = fake(), BehaviorSubject[Any](A)
    socket = Socket(peer.url, auth=source, transport=peer)
    socket.connect()
    clock.advance(1.0)
    socket.set_auth(B)
    clock.advance(1.0)
    source.on_next(A)
    clock.advance(1.0)
    assert credentials(peer) == ["a", "b", "a"]
    shut(socket, clock)


def test_an_equal_credential_before_its_first_attempt_was_not_refused(
    clock: VirtualClock,
) -> None:
    """C20: the state may still be AWAITING_AUTH when the source has just emitted the same."""
    peer, source = fake(), Subject[Any]()
    socket = Socket(peer.url, auth=source, transport=peer)
    socket.connect()
    clock.advance(1.0)
    source.on_next(A)
    change = socket.set_auth(A)
    clock.advance(1.0)
    assert change.result() == InEffect(epoch=1)
    shut(socket, clock)


def test_a_provider_that_is_cancelled_from_within_has_failed(clock: VirtualClock) -> None:
    """C10: an ordinary failed attempt; the socket does not hang in CONNECTING."""
    peer, calls = fake(), []

    async def provide() -> dict[str, str]:
        calls.append(clock.time())
        if len(calls) == 1:
            raise asyncio.CancelledError
        return A

    socket = Socket(peer.url, auth=provide, transport=peer)
    socket.connect()
    clock.advance(5.0)
    assert socket.state.value is State.OPEN
    shut(socket, clock)


def test_setting_a_refused_credential_again_while_a_providers_one_is_in_use(
    clock: VirtualClock,
) -> None:
    """C9, C20: it is refused and not dialled, and the provider is asked."""
    peer, minted = fake(tokens={"p1", "p2", "p3"}), []

    async def provide() -> dict[str, str]:
        minted.append(f"p{len(minted) + 1}")
        return {"token": minted[-1]}

    socket = Socket(peer.url, auth=provide, transport=peer)
    socket.connect()
    clock.advance(1.0)
    first = socket.set_auth(B)
    clock.advance(5.0)
    again = socket.set_auth(B)
    clock.advance(5.0)
    assert isinstance(first.result(), Refused)
    assert isinstance(again.result(), Refused)
    assert credentials(peer) == ["p1", "b", "p2", "p3"]
    shut(socket, clock)


def test_a_wait_for_the_old_peer_says_what_it_is_for(clock: VirtualClock) -> None:
    """C2: Waiting has the cause of the attempt that it is before."""
    peer = fake()
    socket = Socket(peer.url, auth=A, transport=peer)
    events: list[Event] = []
    socket.events.subscribe(events.append)
    clock.advance(10.0)
    peer.freeze()
    clock.advance(0.0)
    peer.script(reject(401))
    socket.set_auth(B)
    clock.advance(5.0)
    waits = [event.cause for event in events if isinstance(event, (Waiting, Connecting, Closed))]
    assert waits == [Cause.STARTED, Cause.AUTH_CHANGED, Cause.AUTH_CHANGED, Cause.FAILED]
    shut(socket, clock)
