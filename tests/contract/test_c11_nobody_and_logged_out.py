"""C11: no ``auth`` connects without a credential; ``None`` closes and awaits one."""

from __future__ import annotations

from typing import Any

import pytest
from reactivex.subject import BehaviorSubject, Subject
from scene import A, B, Make, connecting, left, opened

from rxsocket import (
    Aborted,
    AwaitingAuth,
    Cause,
    Closed,
    Event,
    InEffect,
    Message,
    State,
    Stored,
)
from rxsocket.testing import VirtualClock, accept, hang, reject, unreachable

LOGGED_OUT = AwaitingAuth(cause=Cause.LOGGED_OUT, reason="logged out")


def test_without_auth_it_connects_without_a_credential(clock: VirtualClock, scene: Make) -> None:
    """The handshake holds no query, no Authorization, nothing."""
    it = scene()
    clock.advance(0.0)
    (handshake,) = it.peer.handshakes
    assert (handshake.credential, dict(handshake.query), handshake.at) == (None, {}, 0.0)
    assert "Authorization" not in handshake.headers
    assert it.socket.state.value is State.OPEN
    assert repr(it.socket.auth.value) == "Credential(anonymous)"


def test_without_auth_it_reconnects_without_one(clock: VirtualClock, scene: Make) -> None:
    """A lost link is as for anybody."""
    it = scene(accept().wait(10.0).drop())
    clock.advance(20.0)
    assert it.dials == [(0.0, None), (12.0, None)]


@pytest.mark.parametrize("script", [reject(401), accept().close(4401)], ids=["401", "4401"])
def test_nobody_can_be_refused_too(clock: VirtualClock, scene: Make, script: Any) -> None:
    """A server that wants a credential: await auth, and connect with what is set."""
    it = scene(script)
    clock.advance(600.0)
    assert it.dials == [(0.0, None)]
    assert it.socket.state.value is State.AWAITING_AUTH
    it.socket.set_auth(A)
    clock.advance(1.0)
    assert it.dials == [(0.0, None), (600.0, "a")]


def test_nobody_becomes_somebody(clock: VirtualClock, scene: Make) -> None:
    """A credential that is set later is a change like any other."""
    it = scene()
    clock.advance(10.0)
    it.socket.set_auth(A)
    clock.advance(1.0)
    assert it.dials == [(0.0, None), (10.0, "a")]
    assert left(1, Cause.AUTH_CHANGED) in it.events


def test_none_closes_with_1000_and_awaits_auth(clock: VirtualClock, scene: Make) -> None:
    """Closed with the cause, then AwaitingAuth, at once; the peer gets 1000."""
    it = scene(auth=A)
    clock.advance(10.0)
    it.clear()
    receipt = it.socket.set_auth(None)
    clock.advance(0.0)
    assert it.entries == [(10.0, left(1, Cause.LOGGED_OUT)), (10.0, LOGGED_OUT)]
    assert it.peer.closes == [(1, 1000, "")]
    assert it.socket.state.value is State.AWAITING_AUTH
    assert receipt.result() == InEffect(epoch=None)


def test_a_mute_peer_does_not_hold_a_logout_up(clock: VirtualClock, scene: Make) -> None:
    """It is in effect at once; the connection goes in the background, within 2 s."""
    it = scene(accept().freeze(), auth=A)
    clock.advance(10.0)
    receipt = it.socket.set_auth(None)
    clock.advance(0.0)
    assert receipt.result() == InEffect(epoch=None)
    clock.advance(2.0)
    assert it.peer.connections == 0


def test_logged_out_dials_nothing_for_hours(clock: VirtualClock, scene: Make) -> None:
    """No attempt, no timer, no event."""
    it = scene(auth=A)
    clock.advance(10.0)
    it.socket.set_auth(None)
    clock.advance(3.0)
    it.clear()
    assert clock.pending == 0
    clock.advance(12 * 3600.0)
    assert it.entries == []
    assert it.dials == [(0.0, "a")]


@pytest.mark.parametrize("value", [A, B], ids=["the same", "another"])
def test_a_later_value_revives_the_same_subscribers(
    clock: VirtualClock, scene: Make, value: Any
) -> None:
    """Nobody has to subscribe again: opens, messages and sessions go on, none completed."""
    it = scene(auth=A)
    got: list[str] = []
    ends: list[str] = []
    opens: list[int] = []
    it.socket.messages.subscribe(got.append, on_completed=lambda: ends.append("messages"))
    it.socket.opens.subscribe(
        lambda event: opens.append(event.epoch), on_completed=lambda: ends.append("opens")
    )
    clock.advance(10.0)
    it.peer.push("before")
    clock.advance(0.0)
    it.socket.set_auth(None)
    clock.advance(100.0)
    it.clear()
    receipt = it.socket.set_auth(value)
    clock.advance(0.0)
    it.peer.push("after")
    clock.advance(0.0)
    assert it.entries == [
        (110.0, connecting(2, Cause.AUTH_CHANGED)),
        (110.0, opened(2, Cause.AUTH_CHANGED, gap=100.0)),
        (110.0, Message(epoch=2, data="after")),
    ]
    assert it.dials == [(0.0, "a"), (110.0, value["token"])]
    assert (got, opens, ends) == (["before", "after"], [1, 2], [])
    assert receipt.result() == InEffect(epoch=2)


def test_starting_logged_out_dials_nothing(clock: VirtualClock, scene: Make) -> None:
    """AwaitingAuth is the first event, and the only one, until a value comes."""
    it = scene(auth=None)
    clock.advance(600.0)
    assert it.entries == [(0.0, LOGGED_OUT)]
    assert it.peer.dials == 0
    it.socket.set_auth(A)
    clock.advance(0.0)
    assert it.dials == [(600.0, "a")]
    assert it.events[1:] == [
        connecting(1, Cause.AUTH_CHANGED),
        opened(1, Cause.AUTH_CHANGED),
    ]


def test_set_auth_before_the_start_of_one_logged_out(clock: VirtualClock, scene: Make) -> None:
    """It is stored, and what is dialled at the start."""
    it = scene(auth=None, watch=False)
    assert it.socket.set_auth(A).result() == Stored()
    it.watch()
    clock.advance(0.0)
    assert it.dials == [(0.0, "a")]
    assert LOGGED_OUT not in it.events


def test_logged_out_before_the_start(clock: VirtualClock, scene: Make) -> None:
    """None that is set while nothing runs is kept for the start."""
    it = scene(auth=A, watch=False)
    assert it.socket.set_auth(None).result() == Stored()
    it.watch()
    clock.advance(60.0)
    assert it.events == [LOGGED_OUT]
    assert it.peer.dials == 0


DURING: dict[str, tuple[Any, list[Event]]] = {
    "connecting": (hang(), [Aborted(epoch=1, cause=Cause.LOGGED_OUT), LOGGED_OUT]),
    "waiting": (unreachable(), [LOGGED_OUT]),
    "awaiting auth": (reject(401), [LOGGED_OUT]),
}


@pytest.mark.parametrize("stage", DURING)
def test_none_during_anything(clock: VirtualClock, scene: Make, stage: str) -> None:
    """What goes on is given up, and nothing is dialled."""
    script, expected = DURING[stage]
    it = scene(script, auth=A)
    clock.advance(1.0)
    it.clear()
    receipt = it.socket.set_auth(None)
    clock.advance(600.0)
    assert it.events == expected
    assert it.peer.dials == 1
    assert receipt.result() == InEffect(epoch=None)


def test_reconnect_does_not_log_in(clock: VirtualClock, scene: Make) -> None:
    """``reconnect()`` while logged out has nothing to dial with."""
    it = scene(auth=None)
    clock.advance(1.0)
    it.socket.reconnect()
    clock.advance(60.0)
    assert it.peer.dials == 0
    assert it.socket.state.value is State.AWAITING_AUTH


def test_close_ends_one_that_is_logged_out(clock: VirtualClock, scene: Make) -> None:
    """Streams complete, as ever."""
    it = scene(auth=None)
    ends: list[str] = []
    it.socket.messages.subscribe(on_completed=lambda: ends.append("messages"))
    clock.advance(1.0)
    it.socket.close()
    assert ends == ["messages"]
    assert it.socket.state.value is State.CLOSED


def test_an_observable_logs_out_and_in(clock: VirtualClock, scene: Make) -> None:
    """None from a source means the same."""
    source: BehaviorSubject[Any] = BehaviorSubject(None)
    it = scene(auth=source)
    clock.advance(1.0)
    assert it.events == [LOGGED_OUT]
    source.on_next(A)
    clock.advance(1.0)
    source.on_next(None)
    clock.advance(1.0)
    source.on_next(A)
    clock.advance(1.0)
    assert it.dials == [(1.0, "a"), (3.0, "a")]
    assert it.events.count(LOGGED_OUT) == 2


def test_a_source_without_a_value_yet_is_awaited(clock: VirtualClock, scene: Make) -> None:
    """Nothing is dialled before the first value, and it says why."""
    source: Subject[Any] = Subject()
    it = scene(auth=source)
    clock.advance(60.0)
    assert it.events == [
        AwaitingAuth(
            cause=Cause.NO_CREDENTIAL, reason="the source has not emitted a credential yet"
        )
    ]
    source.on_next(A)
    clock.advance(0.0)
    assert it.dials == [(60.0, "a")]


def test_a_provider_that_says_logged_out_is_asked_again(clock: VirtualClock, scene: Make) -> None:
    """None from a provider dials nothing; it is asked again every 5 min."""
    asked: list[float] = []

    def provider() -> Any:
        asked.append(clock.time())
        return A if len(asked) == 3 else None

    it = scene(auth=provider)
    clock.advance(601.0)
    assert asked[:3] == [0.0, 300.0, 600.0]
    assert it.dials == [(600.0, "a")]
    assert it.events[:2] == [connecting(1), Aborted(epoch=1, cause=Cause.LOGGED_OUT)]
    assert not any(isinstance(event, Closed) for event in it.events)


def test_a_logout_overrules_a_provider(clock: VirtualClock, scene: Make) -> None:
    """set_auth(None) means it: the provider is not asked until something else is set."""
    asked: list[float] = []

    def provider() -> Any:
        asked.append(clock.time())
        return A

    it = scene(auth=provider)
    clock.advance(10.0)
    it.socket.set_auth(None)
    clock.advance(3600.0)
    assert asked == [0.0]
    assert it.dials == [(0.0, "a")]
    assert it.socket.state.value is State.AWAITING_AUTH
