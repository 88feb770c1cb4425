"""C6 to C9: changes from inside observers, and edges that the files of the rules leave out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from scene import A, B, C, Make, Scene, left

from rxsocket import (
    AwaitingAuth,
    Cause,
    Closed,
    Connecting,
    Credential,
    Event,
    InEffect,
    Opened,
    Rejected,
    State,
    Stored,
    Unauthorized,
    Waiting,
)
from rxsocket.testing import VirtualClock, accept, reject, unreachable


def token(number: int) -> dict[str, str]:
    return {"token": str(number)}


# --- C6


@pytest.mark.parametrize(
    ("one", "other"), [("a", Credential.of("a")), ({}, {}), (None, None)], ids=str
)
def test_c06_equal_of_other_kinds(virtual: VirtualClock, scene: Make, one: Any, other: Any) -> None:
    """A credential object, an empty mapping and None are values like others."""
    it = scene(auth=one)
    virtual.advance(10.0)
    it.clear()
    change = it.socket.set_auth(other)
    virtual.advance(10.0)
    assert it.events == []
    assert change.result() == InEffect(epoch=None if one is None else 1)


@pytest.mark.parametrize(
    ("one", "other"), [({"token": "1"}, {"token": 1}), ("", {}), ({}, None)], ids=str
)
def test_c06_what_only_looks_equal(
    virtual: VirtualClock, scene: Make, one: Any, other: Any
) -> None:
    """A text and a number, nothing in a string and in a mapping, are different."""
    it = scene(auth=one)
    virtual.advance(10.0)
    it.socket.set_auth(other)
    virtual.advance(1.0)
    assert isinstance(it.events[2], Closed)


def test_c06_an_equal_value_at_every_message(virtual: VirtualClock, scene: Make) -> None:
    """Echoing the own credential from inside an observer makes no storm."""
    it = scene(accept().send("1").wait(1.0).send("2"), auth=A)
    it.socket.messages.subscribe(lambda _: it.socket.set_auth(dict(A)))
    virtual.advance(5.0)
    assert it.credentials == ["a"]


def test_c06_an_equal_value_before_the_start(virtual: VirtualClock, scene: Make) -> None:
    """Nothing runs, so nothing but Stored can be said."""
    it = scene(watch=False, auth=A)
    assert it.socket.set_auth(dict(A)).result() == Stored()
    it.watch()
    virtual.advance(1.0)
    assert it.credentials == ["a"]


def test_c06_what_a_provider_gave(virtual: VirtualClock, scene: Make) -> None:
    """Setting what the provider gave for this connection changes nothing."""
    it = scene(auth=lambda: A)
    virtual.advance(1.0)
    change = it.socket.set_auth(dict(A))
    virtual.advance(1.0)
    assert (it.credentials, change.result()) == (["a"], InEffect(epoch=1))


ACTS: dict[str, Callable[[Scene], Any]] = {
    "reconnect": lambda it: it.socket.reconnect(),
    "a lost link": lambda it: it.peer.drop(),
}


@pytest.mark.parametrize("act", ACTS)
def test_c06_between_two_connections_with_it(virtual: VirtualClock, scene: Make, act: str) -> None:
    """While A is dialled again anyway, setting A adds no third."""
    it = scene(auth=A)
    virtual.advance(10.0)
    ACTS[act](it)
    change = it.socket.set_auth(dict(A))
    virtual.advance(10.0)
    assert it.credentials == ["a", "a"]
    assert isinstance(change.result(), InEffect)


# --- C7


def test_c07_a_hundred_within_one_emission(virtual: VirtualClock, scene: Make) -> None:
    """From inside an observer, all at one message: one handshake, with the last."""
    it = scene(accept().wait(10.0).send("go"), auth=A)
    it.socket.messages.subscribe(
        lambda _: [it.socket.set_auth(token(number)) for number in range(100)]
    )
    virtual.advance(11.0)
    assert it.dials == [(0.0, "a"), (10.0, "99")]


def test_c07_with_a_reconnect_in_it(virtual: VirtualClock, scene: Make) -> None:
    """``reconnect()`` in a burst takes the newest, and makes it neither more nor later."""
    it = scene(auth=A)
    virtual.advance(10.0)
    it.socket.set_auth(B)
    it.socket.reconnect()
    it.socket.set_auth(C)
    it.socket.reconnect()
    virtual.advance(5.0)
    assert it.dials == [(0.0, "a"), (10.0, "c")]


def test_c07_while_a_mute_peer_is_left(virtual: VirtualClock, scene: Make) -> None:
    """50 ms from the close, whatever comes meanwhile; one dial, with the newest."""
    it = scene(accept().freeze(), auth=A)
    virtual.advance(10.0)
    for number in range(5):
        it.socket.set_auth(token(number))
        virtual.advance(0.01)
    virtual.advance(5.0)
    assert it.dials == [(0.0, "a"), (10.05, "4")]


def test_c07_a_change_at_each_connecting(virtual: VirtualClock, scene: Make) -> None:
    """An observer that changes the credential at every attempt makes one each 50 ms."""
    it = scene(auth=A)
    count = 0

    def change(event: Event) -> None:
        nonlocal count
        if isinstance(event, Connecting) and count < 10:
            count += 1
            it.socket.set_auth(token(count))

    it.socket.events.subscribe(change)
    virtual.advance(5.0)
    times = [at for at, event in it.entries if isinstance(event, Connecting)]
    assert times == pytest.approx([0.05 * number for number in range(11)])
    assert it.credentials == ["10"]


# --- C8


@pytest.mark.parametrize("kind", [Connecting, Opened, Closed, Waiting, Rejected, AwaitingAuth])
def test_c08_two_changes_inside_the_event_that_leads_there(
    virtual: VirtualClock, scene: Make, kind: type
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
    virtual.advance(1.0)
    assert it.credentials[-1] == "b" and "c" not in it.credentials
    assert it.socket.state.value is State.OPEN


def test_c08_while_lingering(virtual: VirtualClock, scene: Make) -> None:
    """Nobody is subscribed, but the connection is there: it follows."""
    it = scene(watch=False, auth=A, linger=10.0)
    it.socket.connect().dispose()
    virtual.advance(1.0)
    change = it.socket.set_auth(B)
    virtual.advance(1.0)
    assert (it.credentials, change.result()) == (["a", "b"], InEffect(epoch=2))


# --- C9


@pytest.mark.parametrize("end", ["close", "leave"])
def test_c09_reconnect_while_nothing_runs(virtual: VirtualClock, scene: Make, end: str) -> None:
    """The memory lasts until ``reconnect()`` is called, whenever that is; it starts nothing."""
    it = scene(reject(401), watch=False, auth=A)
    leave = it.socket.connect()
    virtual.advance(1.0)
    it.socket.close() if end == "close" else leave.dispose()
    virtual.advance(2.0)
    it.socket.reconnect()
    virtual.advance(2.0)
    assert it.credentials == ["a"]
    it.watch()
    virtual.advance(2.0)
    assert it.credentials == ["a", "a"]


def test_c09_reconnect_at_each_refusal(virtual: VirtualClock, scene: Make) -> None:
    """An observer that tries again at each one makes an attempt a second, no storm."""
    it = scene(*[reject(401)] * 5, auth=A)
    it.socket.events.subscribe(
        lambda event: it.socket.reconnect() if isinstance(event, AwaitingAuth) else None
    )
    virtual.advance(20.0)
    assert [at for at, _ in it.dials] == [0.0, 1.0, 2.0, 3.0, 4.0, 5.0]
    assert it.socket.state.value is State.OPEN


def test_c09_a_provider_that_gives_up_after_a_refusal(virtual: VirtualClock, scene: Make) -> None:
    """``Unauthorized`` ends the asking; ``reconnect()`` begins it again."""
    values: list[Any] = ["a", Unauthorized("gone"), "b"]
    times: list[float] = []

    def provider() -> str:
        times.append(virtual.time())
        value = values.pop(0)
        if isinstance(value, Exception):
            raise value
        return str(value)

    it = scene(reject(401), auth=provider)
    virtual.advance(24 * 3600.0)
    assert (it.credentials, times) == (["a"], [0.0, 0.0])
    it.socket.reconnect()
    virtual.advance(1.0)
    assert it.credentials == ["a", "b"]


def test_c09_nothing_asks_when_all_have_left(virtual: VirtualClock, scene: Make) -> None:
    """Leaving while a provider is to be asked again in 5 min leaves no timer."""
    times: list[float] = []
    it = scene(reject(401), watch=False, auth=lambda: (times.append(virtual.time()), "a")[1])
    leave = it.socket.connect()
    virtual.advance(10.0)
    leave.dispose()
    virtual.advance(0.0)
    assert virtual.pending == 0
    virtual.advance(1000.0)
    assert times == [0.0, 0.0]


INSIDE: dict[str, tuple[Callable[[Scene], Any], State]] = {
    "another": (lambda it: it.socket.set_auth(B), State.OPEN),
    "the same": (lambda it: it.socket.set_auth(dict(A)), State.AWAITING_AUTH),
    "logged out": (lambda it: it.socket.set_auth(None), State.AWAITING_AUTH),
    "close": (lambda it: it.socket.close(), State.CLOSED),
}


@pytest.mark.parametrize("kind", [Rejected, AwaitingAuth])
@pytest.mark.parametrize("act", INSIDE)
def test_c09_acting_inside_the_refusal(
    virtual: VirtualClock, scene: Make, kind: type, act: str
) -> None:
    """From an observer of the refusal, or of the waiting that follows it."""
    do, state = INSIDE[act]
    it = scene(reject(401), auth=A)
    it.socket.events.subscribe(lambda event: do(it) if isinstance(event, kind) else None)
    virtual.advance(10.0)
    assert it.credentials == (["a", "b"] if act == "another" else ["a"])
    assert it.socket.state.value is state


def test_c09_back_to_a_refused_one_closes_the_good_one(virtual: VirtualClock, scene: Make) -> None:
    """A was refused, B is open, A is set again: B's connection closes, and nothing is dialled."""
    it = scene(reject(401), auth=A)
    virtual.advance(1.0)
    it.socket.set_auth(B)
    virtual.advance(10.0)
    it.clear()
    it.socket.set_auth(A)
    virtual.advance(60.0)
    reason = "this credential was refused before and is not tried again"
    assert it.entries == [
        (11.0, left(2, Cause.AUTH_CHANGED)),
        (11.0, AwaitingAuth(reason=reason, cause=Cause.REFUSED)),
    ]
