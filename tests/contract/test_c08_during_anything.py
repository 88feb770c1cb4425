"""C8: a change while connecting, waiting or awaiting auth aborts that and goes at once."""

from __future__ import annotations

from typing import Any

import pytest
from scene import A, B, C, Make, Scene, connecting, opened

from rxsocket import (
    Aborted,
    AwaitingAuth,
    Cause,
    Closed,
    ConnectFailed,
    Connecting,
    Event,
    InEffect,
    Opened,
    Overtaken,
    Rejected,
    State,
    Waiting,
)
from rxsocket.testing import VirtualClock, accept, hang, reject, unreachable

STAGES: dict[str, tuple[Any, State]] = {
    "connecting": (hang(), State.CONNECTING),
    "being answered slowly": (accept().delay(5.0), State.CONNECTING),
    "waiting": (unreachable(), State.WAITING),
    "waiting as the server asked": (reject(429, {"Retry-After": "200"}), State.WAITING),
    "awaiting auth": (reject(401), State.AWAITING_AUTH),
}


def waits(it: Scene) -> list[tuple[int, float]]:
    """How many failures led to each wait, and how long it is."""
    return [(event.failures, event.delay) for event in it.events if isinstance(event, Waiting)]


@pytest.mark.parametrize("stage", STAGES)
def test_the_change_is_dialled_at_once(clock: VirtualClock, scene: Make, stage: str) -> None:
    """Whatever goes on is given up in the instant of the change, and B is dialled in it."""
    script, state = STAGES[stage]
    it = scene(script, auth=A)
    clock.advance(1.5)
    assert it.socket.state.value is state
    receipt = it.socket.set_auth(B)
    clock.advance(0.0)
    assert it.dials[-1] == (1.5, "b")
    assert it.events[-2:] == [
        connecting(2, Cause.AUTH_CHANGED),
        opened(2, Cause.AUTH_CHANGED),
    ]
    clock.advance(300.0)
    assert it.dials.count((1.5, "b")) == 1
    assert it.credentials.count("b") == 1
    assert receipt.result() == InEffect(epoch=2)


@pytest.mark.parametrize("stage", ["connecting", "being answered slowly"])
def test_an_attempt_that_is_given_up_is_aborted(
    clock: VirtualClock, scene: Make, stage: str
) -> None:
    """The epoch ends with Aborted, before anything else; nothing else of it comes."""
    it = scene(STAGES[stage][0], auth=A)
    clock.advance(1.5)
    it.socket.set_auth(B)
    assert it.events == [connecting(1), Aborted(epoch=1, cause=Cause.AUTH_CHANGED)]
    clock.advance(60.0)
    assert it.names == ["Connecting", "Aborted", "Connecting", "Opened"]
    assert it.peer.connections == 1


@pytest.mark.parametrize("stage", ["waiting", "awaiting auth"])
def test_where_there_is_no_attempt_there_is_none_to_abort(
    clock: VirtualClock, scene: Make, stage: str
) -> None:
    """A wait just ends: the next event is the next attempt."""
    it = scene(STAGES[stage][0], auth=A)
    clock.advance(1.5)
    it.clear()
    it.socket.set_auth(B)
    clock.advance(60.0)
    assert it.names == ["Connecting", "Opened"]


def test_a_change_while_the_credential_is_resolved(clock: VirtualClock, scene: Make) -> None:
    """A provider that takes its time is an attempt too: Aborted, then B at once."""
    slow = clock.create_future()

    async def provider() -> Any:
        return await slow

    it = scene(auth=provider)
    clock.advance(1.5)
    it.socket.set_auth(B)
    clock.advance(60.0)
    assert it.events[1] == Aborted(epoch=1, cause=Cause.AUTH_CHANGED)
    assert it.dials == [(1.5, "b")]


def test_a_change_while_the_old_close_is_awaited(clock: VirtualClock, scene: Make) -> None:
    """Within the 50 ms of a mute peer no handshake was sent yet: only C's is."""
    it = scene(accept().freeze(), auth=A)
    clock.advance(10.0)
    first = it.socket.set_auth(B)
    clock.advance(0.03)
    second = it.socket.set_auth(C)
    clock.advance(1.0)
    assert Aborted(epoch=2, cause=Cause.AUTH_CHANGED) in it.events
    assert it.dials == [(0.0, "a"), (10.05, "c")]
    assert (first.result(), second.result()) == (Overtaken(), InEffect(epoch=3))


@pytest.mark.parametrize("script", [reject(503), reject(401)], ids=["waiting", "awaiting auth"])
def test_right_after_a_dial_it_keeps_50_ms(clock: VirtualClock, scene: Make, script: Any) -> None:
    """By C7: two dials are 50 ms apart, though the wait would have been longer."""
    it = scene(script, auth=A)
    clock.advance(0.01)
    it.socket.set_auth(B)
    clock.advance(60.0)
    assert it.dials == [(0.0, "a"), (0.05, "b")]


def test_the_backoff_starts_anew(clock: VirtualClock, scene: Make) -> None:
    """After a change in the third wait the waits are those of a first failure again."""
    it = scene(*[unreachable()] * 6, auth=A)
    clock.advance(10.0)
    assert waits(it) == [(1, 2.0), (2, 4.0), (3, 8.0)]
    it.clear()
    it.socket.set_auth(B)
    clock.advance(13.0)
    assert waits(it) == [(1, 2.0), (2, 4.0), (3, 8.0)]
    assert it.entries[0] == (10.0, connecting(4, Cause.AUTH_CHANGED, attempt=1))
    clock.advance(1.0)
    assert it.dials == [(24.0, "b")]


@pytest.mark.parametrize("stage", ["connecting", "waiting", "awaiting auth"])
def test_a_change_that_fails_backs_off_from_the_start(
    clock: VirtualClock, scene: Make, stage: str
) -> None:
    """Wherever the change came, its own first failure is number one."""
    it = scene(STAGES[stage][0], unreachable(), auth=A)
    clock.advance(1.5)
    it.clear()
    it.socket.set_auth(B)
    clock.advance(10.0)
    assert waits(it) == [(1, 2.0)]
    assert it.dials[-1] == (3.5, "b")


def test_five_in_a_row_start_anew_too(clock: VirtualClock, scene: Make) -> None:
    """Five 404 in a row are a FAIL: four with A and then four with B are none."""
    it = scene(*[reject(404)] * 8, auth=A)
    clock.advance(20.0)
    assert it.credentials == ["a"] * 4
    it.socket.set_auth(B)
    clock.advance(29.0)
    assert it.credentials == ["a"] * 4 + ["b"] * 4
    clock.advance(20.0)
    assert it.socket.state.value is State.OPEN


def test_a_logout_while_connecting(clock: VirtualClock, scene: Make) -> None:
    """None is a change like any other: Aborted with its cause, and nothing is dialled."""
    it = scene(hang(), auth=A)
    clock.advance(1.5)
    it.socket.set_auth(None)
    clock.advance(600.0)
    assert it.events[1] == Aborted(epoch=1, cause=Cause.LOGGED_OUT)
    assert it.names == ["Connecting", "Aborted", "AwaitingAuth"]
    assert it.dials == [(0.0, "a")]


@pytest.mark.parametrize("stage", STAGES)
def test_a_second_change_in_the_same_instant(clock: VirtualClock, scene: Make, stage: str) -> None:
    """Wherever it was, B is never dialled when C follows at once."""
    it = scene(STAGES[stage][0], auth=A)
    clock.advance(1.5)
    first, second = it.socket.set_auth(B), it.socket.set_auth(C)
    clock.advance(1.0)
    assert it.dials[-1] == (1.5, "c")
    assert "b" not in it.credentials
    assert (first.result(), second.result()) == (Overtaken(), InEffect(epoch=2))


KINDS: dict[str, tuple[Any, type]] = {
    "at ConnectFailed": (unreachable(), ConnectFailed),
    "at Waiting": (unreachable(), Waiting),
    "at AwaitingAuth": (reject(401), AwaitingAuth),
}


@pytest.mark.parametrize("which", KINDS)
def test_a_change_inside_the_event_itself(clock: VirtualClock, scene: Make, which: str) -> None:
    """An observer that changes the credential at the news of it: B comes 50 ms after A."""
    script, kind = KINDS[which]
    it = scene(script, watch=False, auth=A)

    def change(event: Event) -> None:
        if isinstance(event, kind):
            it.socket.set_auth(B)

    it.socket.events.subscribe(change)
    it.watch()
    clock.advance(60.0)
    assert it.dials[-1] == (0.05, "b")
    assert it.credentials.count("b") == 1
    assert it.socket.state.value is State.OPEN


def test_a_change_inside_connecting_dials_only_the_new_one(
    clock: VirtualClock, scene: Make
) -> None:
    """An observer of Connecting that sets B: A's attempt is aborted before anything is dialled."""
    it = scene(watch=False, auth=A)

    def change(event: Event) -> None:
        if event == connecting(1):
            it.socket.set_auth(B)

    it.socket.events.subscribe(change)
    it.watch()
    clock.advance(60.0)
    assert it.names == ["Connecting", "Aborted", "Connecting", "Opened"]
    assert it.credentials == ["b"]


def test_reconnect_while_connecting_says_why(clock: VirtualClock, scene: Make) -> None:
    """``reconnect()`` aborts with its own cause, and dials A again no sooner than after 1 s."""
    it = scene(hang(), auth=A)
    clock.advance(0.4)
    it.socket.reconnect()
    clock.advance(5.0)
    assert it.events[1] == Aborted(epoch=1, cause=Cause.RECONNECT)
    assert it.dials == [(0.0, "a"), (1.0, "a")]


@pytest.mark.parametrize("kind", [Connecting, Opened, Closed, Waiting, Rejected, AwaitingAuth])
def test_two_changes_inside_the_event_that_leads_there(
    clock: VirtualClock, scene: Make, kind: type
) -> None:
    """An observer that sets C and then B at an event of each kind: only B is dialled."""
    scripts = {
        Closed: accept().wait(0.5).drop(),
        Waiting: unreachable(),
        Rejected: reject(401),
        AwaitingAuth: reject(401),
    }
    it = scene(scripts.get(kind, accept()), auth=A)
    done: list[object] = []

    def change(event: Event) -> None:
        if isinstance(event, kind) and not done:
            done.append(event)
            it.socket.set_auth(C)
            it.socket.set_auth(B)

    it.socket.events.subscribe(change)
    clock.advance(1.0)
    assert it.credentials[-1] == "b" and "c" not in it.credentials
    assert it.socket.state.value is State.OPEN


def test_while_lingering(clock: VirtualClock, scene: Make) -> None:
    """Nobody is subscribed, but the connection is there: it follows."""
    it = scene(watch=False, auth=A, linger=10.0)
    it.socket.connect().dispose()
    clock.advance(1.0)
    change = it.socket.set_auth(B)
    clock.advance(1.0)
    assert (it.credentials, change.result()) == (["a", "b"], InEffect(epoch=2))
