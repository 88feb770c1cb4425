"""C7: the first change goes at once; a burst makes at most two handshakes, and the newest wins."""

from __future__ import annotations

from functools import partial
from itertools import pairwise
from typing import Any

import pytest
from reactivex.subject import Subject
from scene import A, B, C, Make, Scene, left, opened

from rxsocket import (
    Aborted,
    Cause,
    Closed,
    Connecting,
    Event,
    InEffect,
    Opened,
    Overtaken,
    State,
)
from rxsocket.testing import VirtualClock, accept, hang

HUNDRED = [{"token": f"t{number}"} for number in range(100)]


def spread(clock: VirtualClock, it: Scene, seconds: float) -> list[Any]:
    """Set a hundred credentials, evenly over some seconds; returns their receipts."""
    receipts: list[Any] = []

    def change(credential: Any) -> None:
        receipts.append(it.socket.set_auth(credential))

    for number, credential in enumerate(HUNDRED):
        clock.call_later(number * seconds / 99, partial(change, credential))
    return receipts


def test_the_first_change_goes_at_once(clock: VirtualClock, scene: Make) -> None:
    """With a peer that answers, the handshake is in the same instant."""
    it = scene(auth=A)
    clock.advance(10.0)
    it.socket.set_auth(B)
    clock.advance(0.0)
    assert it.dials == [(0.0, "a"), (10.0, "b")]


def test_a_first_change_right_after_the_start_keeps_the_distance(
    clock: VirtualClock, scene: Make
) -> None:
    """The dial of the start counts: 50 ms apart from it, but not the 1 s of the backoff."""
    it = scene(auth=A)
    clock.advance(0.01)
    it.socket.set_auth(B)
    clock.advance(1.0)
    assert it.dials == [(0.0, "a"), (0.05, "b")]


def test_each_later_one_lets_go_at_once_and_is_dialled_50_ms_apart(
    clock: VirtualClock, scene: Make
) -> None:
    """The connection of B is closed when C is set, though the dial of C has to wait."""
    it = scene(auth=A)
    clock.advance(10.0)
    it.clear()
    it.socket.set_auth(B)
    clock.advance(0.02)
    it.socket.set_auth(C)
    assert it.entries[-1] == (10.02, left(2, Cause.AUTH_CHANGED))
    assert it.socket.state.value is State.CONNECTING
    clock.advance(0.029)
    assert it.dials == [(0.0, "a"), (10.0, "b")]
    clock.advance(0.001)
    assert it.dials == [(0.0, "a"), (10.0, "b"), (10.05, "c")]
    assert it.entries[-1] == (10.05, opened(3, Cause.AUTH_CHANGED, gap=pytest.approx(0.03)))


def test_after_50_ms_the_next_one_goes_at_once_again(clock: VirtualClock, scene: Make) -> None:
    """Two changes that are 50 ms apart are no burst."""
    it = scene(auth=A)
    clock.advance(10.0)
    it.socket.set_auth(B)
    clock.advance(0.05)
    it.socket.set_auth(C)
    clock.advance(1.0)
    assert it.dials == [(0.0, "a"), (10.0, "b"), (10.05, "c")]


def test_a_hundred_at_once_make_at_most_two_handshakes(clock: VirtualClock, scene: Make) -> None:
    """One Closed, and the newest is dialled in the same instant."""
    it = scene(auth=A)
    clock.advance(10.0)
    it.clear()
    receipts = [it.socket.set_auth(credential) for credential in HUNDRED]
    clock.advance(5.0)
    assert it.dials == [(0.0, "a"), (10.0, "t99")]
    assert it.names == ["Closed", "Connecting", "Opened"]
    assert [receipt.result() for receipt in receipts] == [Overtaken()] * 99 + [InEffect(epoch=2)]


@pytest.mark.parametrize("seconds", [0.01, 0.04, 0.0495])
def test_a_hundred_within_50_ms_make_two_handshakes(
    clock: VirtualClock, scene: Make, seconds: float
) -> None:
    """The first goes at once, the newest 50 ms later, and nothing in between."""
    it = scene(auth=A)
    clock.advance(10.0)
    receipts = spread(clock, it, seconds)
    clock.advance(5.0)
    assert it.dials == [(0.0, "a"), (10.0, "t0"), (10.05, "t99")]
    assert [receipt.result() for receipt in receipts] == [Overtaken()] * 99 + [InEffect(epoch=3)]
    assert it.socket.state.value is State.OPEN


@pytest.mark.parametrize("latency", [0.02, 0.2])
def test_a_burst_at_a_slow_peer(clock: VirtualClock, scene: Make, latency: float) -> None:
    """Waiting for the old peer's answer is within the 50 ms: only the newest is dialled."""
    it = scene(latency=latency, auth=A)
    clock.advance(10.0)
    receipts = spread(clock, it, 0.04)
    clock.advance(5.0)
    begun = [at for at, event in it.entries if isinstance(event, Connecting)][1:]
    assert len(begun) <= 2
    assert all(later - earlier >= 0.05 for earlier, later in pairwise(begun))
    assert begun[-1] <= 10.1
    assert it.credentials[-1] == "t99"
    assert len(it.credentials) <= 3
    assert receipts[-1].result() == InEffect(epoch=it.events[-1].epoch)  # type: ignore[union-attr]
    assert [receipt.result() for receipt in receipts[:-1]] == [Overtaken()] * 99


def test_a_burst_at_a_peer_that_hangs(clock: VirtualClock, scene: Make) -> None:
    """The first one's handshake is aborted at the second change, at once."""
    it = scene(accept(), hang(), auth=A)
    clock.advance(10.0)
    it.clear()
    it.socket.set_auth(B)
    clock.advance(0.02)
    it.socket.set_auth(C)
    assert it.entries[-1] == (10.02, Aborted(epoch=2, cause=Cause.AUTH_CHANGED))
    clock.advance(1.0)
    assert it.dials == [(0.0, "a"), (10.0, "b"), (10.05, "c")]


def test_a_burst_before_the_first_attempt_is_one_handshake(
    clock: VirtualClock, scene: Make
) -> None:
    """At the very start only the newest is dialled."""
    it = scene(auth=A)
    for credential in HUNDRED:
        it.socket.set_auth(credential)
    clock.advance(5.0)
    assert it.dials == [(0.0, "t99")]


def test_a_burst_of_an_observable(clock: VirtualClock, scene: Make) -> None:
    """A source that emits a hundred at once is a burst like any other."""
    source: Subject[Any] = Subject()
    it = scene(auth=source)
    source.on_next(A)
    clock.advance(10.0)
    for credential in HUNDRED:
        source.on_next(credential)
    clock.advance(5.0)
    assert it.dials == [(0.0, "a"), (10.0, "t99")]


def test_there_and_back_within_a_burst(clock: VirtualClock, scene: Make) -> None:
    """A, B and A again at once: A was let go of, so it is dialled again, and B never is."""
    it = scene(auth=A)
    clock.advance(10.0)
    away, back = it.socket.set_auth(B), it.socket.set_auth(A)
    clock.advance(5.0)
    assert it.dials == [(0.0, "a"), (10.0, "a")]
    assert (away.result(), back.result()) == (Overtaken(), InEffect(epoch=2))


def test_a_burst_that_ends_logged_out(clock: VirtualClock, scene: Make) -> None:
    """When the newest says logged out, nothing is dialled any more."""
    it = scene(auth=A)
    clock.advance(10.0)
    first, last = it.socket.set_auth(B), it.socket.set_auth(None)
    clock.advance(5.0)
    assert it.dials == [(0.0, "a")]
    assert it.socket.state.value is State.AWAITING_AUTH
    assert (first.result(), last.result()) == (Overtaken(), InEffect(epoch=None))


def test_a_long_rush_is_20_dials_a_second_at_most(clock: VirtualClock, scene: Make) -> None:
    """Changes that never stop coming are dialled every 50 ms, each time with the newest."""
    it = scene(auth=A)
    clock.advance(10.0)
    spread(clock, it, 0.99)  # one every 10 ms
    clock.advance(5.0)
    times = [at for at, _ in it.dials][1:]
    assert len(times) == 21
    assert all(later - earlier > 0.0499 for earlier, later in pairwise(times))
    assert it.credentials[-1] == "t99"


def test_every_connection_of_a_burst_is_let_go(clock: VirtualClock, scene: Make) -> None:
    """Opened and Closed pair up, and the peer has one connection in the end."""
    it = scene(auth=A)
    clock.advance(10.0)
    spread(clock, it, 0.5)
    clock.advance(5.0)
    kinds = [type(event) for event in it.events]
    assert kinds.count(Opened) == kinds.count(Closed) + 1
    assert (it.peer.connections, it.peer.live, it.peer.most_open) == (1, 1, 1)


def token(number: int) -> dict[str, str]:
    return {"token": str(number)}


def test_a_hundred_within_one_emission(clock: VirtualClock, scene: Make) -> None:
    """From inside an observer, all at one message: one handshake, with the last."""
    it = scene(accept().wait(10.0).send("go"), auth=A)
    it.socket.messages.subscribe(
        lambda _: [it.socket.set_auth(token(number)) for number in range(100)]
    )
    clock.advance(11.0)
    assert it.dials == [(0.0, "a"), (10.0, "99")]


def test_with_a_reconnect_in_it(clock: VirtualClock, scene: Make) -> None:
    """``reconnect()`` in a burst takes the newest, and makes it neither more nor later."""
    it = scene(auth=A)
    clock.advance(10.0)
    it.socket.set_auth(B)
    it.socket.reconnect()
    it.socket.set_auth(C)
    it.socket.reconnect()
    clock.advance(5.0)
    assert it.dials == [(0.0, "a"), (10.0, "c")]


def test_while_a_mute_peer_is_left(clock: VirtualClock, scene: Make) -> None:
    """50 ms from the close, whatever comes meanwhile; one dial, with the newest."""
    it = scene(accept().freeze(), auth=A)
    clock.advance(10.0)
    for number in range(5):
        it.socket.set_auth(token(number))
        clock.advance(0.01)
    clock.advance(5.0)
    assert it.dials == [(0.0, "a"), (10.05, "4")]


def test_a_change_at_each_connecting(clock: VirtualClock, scene: Make) -> None:
    """An observer that changes the credential at every attempt makes one each 50 ms."""
    it = scene(auth=A)
    count = 0

    def change(event: Event) -> None:
        nonlocal count
        if isinstance(event, Connecting) and count < 10:
            count += 1
            it.socket.set_auth(token(count))

    it.socket.events.subscribe(change)
    clock.advance(5.0)
    times = [at for at, event in it.entries if isinstance(event, Connecting)]
    assert times == pytest.approx([0.05 * number for number in range(11)])
    assert it.credentials == ["10"]
