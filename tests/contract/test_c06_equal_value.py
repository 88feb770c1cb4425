"""C6: an equal credential makes no handshake."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from reactivex.subject import Subject
from scene import A, B, Make, Scene

from rxsocket import (
    AwaitingAuth,
    Closed,
    Credential,
    InEffect,
    Refused,
    Secret,
    State,
    Stored,
    Waiting,
)
from rxsocket.testing import VirtualClock, accept, hang, reject, unreachable

EQUAL: dict[str, tuple[Any, Any]] = {
    "the same mapping": (A, A),
    "another mapping": ({"token": "a"}, {"token": "a"}),
    "another order": ({"token": "a", "room": "1"}, {"room": "1", "token": "a"}),
    "a string": ("a", "".join(["a"])),
    "a secret": (Secret("a"), Secret("a")),
    "a list and a tuple": ({"token": "a", "room": ["1", "2"]}, {"token": "a", "room": ("1", "2")}),
}


@pytest.mark.parametrize("which", EQUAL)
def test_an_equal_value_while_open_changes_nothing(
    clock: VirtualClock, scene: Make, which: str
) -> None:
    """No event, no handshake, and the receipt says that it is in effect already."""
    first, second = EQUAL[which]
    it = scene(auth=first)
    clock.advance(10.0)
    it.clear()
    receipt = it.socket.set_auth(second)
    clock.advance(60.0)
    assert it.entries == []
    assert it.dials == [(0.0, "a")]
    assert receipt.result() == InEffect(epoch=1)


def test_what_was_changed_in_a_mapping_afterwards_is_no_change(
    clock: VirtualClock, scene: Make
) -> None:
    """The value is frozen when it is passed; the mapping, changed since, is another value."""
    mine = {"token": "a"}
    it = scene(auth=mine)
    clock.advance(1.0)
    mine["token"] = "b"
    it.socket.set_auth({"token": "a"})
    clock.advance(1.0)
    assert it.credentials == ["a"]
    it.socket.set_auth(mine)
    clock.advance(1.0)
    assert it.credentials == ["a", "b"]


DIFFERENT: dict[str, Any] = {
    "another text": {"token": "b"},
    "one more entry": {"token": "a", "room": "1"},
    "one entry less": {},
    "another name": {"access_token": "a"},
    "a string instead of a mapping": "a",
}


@pytest.mark.parametrize("which", DIFFERENT)
def test_a_different_value_makes_one_handshake(
    clock: VirtualClock, scene: Make, which: str
) -> None:
    """Whatever differs is another credential."""
    it = scene(auth=A)
    clock.advance(10.0)
    it.socket.set_auth(DIFFERENT[which])
    clock.advance(10.0)
    assert [at for at, _ in it.dials] == [0.0, 10.0]


STAGES: dict[str, tuple[Any, State, list[float]]] = {
    "connecting": (hang(), State.CONNECTING, [0.0, 12.0]),
    "waiting": (unreachable(), State.WAITING, [2.0]),
    "awaiting auth": (reject(401), State.AWAITING_AUTH, [0.0]),
}


@pytest.mark.parametrize("stage", STAGES)
def test_an_equal_value_while_not_open_changes_nothing(
    clock: VirtualClock, scene: Make, stage: str
) -> None:
    """The attempt, the wait or the parking goes on as if nothing had been said."""
    script, state, dials = STAGES[stage]
    it = scene(script, auth=A)
    clock.advance(1.0)
    assert it.socket.state.value is state
    it.clear()
    receipt = it.socket.set_auth(dict(A))
    clock.advance(0.5)
    assert it.entries == []
    clock.advance(60.0)
    assert it.dials == [(at, "a") for at in dials]
    if state is State.AWAITING_AUTH:
        assert receipt.result() == Refused("it was refused before")
    else:
        assert isinstance(receipt.result(), InEffect)


def test_an_equal_value_does_not_start_the_backoff_anew(clock: VirtualClock, scene: Make) -> None:
    """In the middle of an outage the waits go on growing."""
    it = scene(unreachable(), unreachable(), unreachable(), auth=A)
    clock.advance(3.0)
    it.socket.set_auth(dict(A))
    clock.advance(30.0)
    waits = [(event.failures, event.delay) for event in it.events if isinstance(event, Waiting)]
    assert waits == [(1, 2.0), (2, 4.0), (3, 8.0)]


def test_logging_out_twice_is_once(clock: VirtualClock, scene: Make) -> None:
    """Logged out is a value too: the second None is no event and is in effect at once."""
    it = scene(auth=A)
    clock.advance(1.0)
    it.socket.set_auth(None)
    clock.advance(1.0)
    again = it.socket.set_auth(None)
    clock.advance(10.0)
    assert [type(event) for event in it.events].count(AwaitingAuth) == 1
    assert again.result() == InEffect(epoch=None)


FEEDS: dict[str, Callable[[Scene, Subject[Any]], object]] = {
    "the source again": lambda it, source: source.on_next(dict(A)),
    "set_auth after the source": lambda it, source: it.socket.set_auth(dict(A)),
}


@pytest.mark.parametrize("feed", FEEDS)
def test_an_observable_that_repeats_itself_makes_no_handshake(
    clock: VirtualClock, scene: Make, feed: str
) -> None:
    """What a source emits is compared like what is set."""
    source: Subject[Any] = Subject()
    it = scene(auth=source)
    source.on_next(A)
    clock.advance(10.0)
    FEEDS[feed](it, source)
    clock.advance(10.0)
    assert it.dials == [(0.0, "a")]


def test_a_source_that_repeats_what_was_set_makes_no_handshake(
    clock: VirtualClock, scene: Make
) -> None:
    """The newest of all is compared, not the newest of each."""
    source: Subject[Any] = Subject()
    it = scene(auth=source)
    source.on_next(A)
    clock.advance(10.0)
    it.socket.set_auth(B)
    clock.advance(10.0)
    source.on_next(dict(B))
    clock.advance(10.0)
    assert it.dials == [(0.0, "a"), (10.0, "b")]


def test_messages_go_on_across_an_equal_value(clock: VirtualClock, scene: Make) -> None:
    """The connection does not notice: a message in the same instant is delivered."""
    it = scene(accept(), auth=A)
    got: list[str] = []
    it.socket.messages.subscribe(got.append)
    clock.advance(1.0)
    it.peer.push("1")
    it.socket.set_auth(dict(A))
    it.peer.push("2")
    clock.advance(0.0)
    assert got == ["1", "2"]


@pytest.mark.parametrize(
    ("one", "other"), [("a", Credential.of("a")), ({}, {}), (None, None)], ids=str
)
def test_equal_of_other_kinds(clock: VirtualClock, scene: Make, one: Any, other: Any) -> None:
    """A credential object, an empty mapping and None are values like others."""
    it = scene(auth=one)
    clock.advance(10.0)
    it.clear()
    change = it.socket.set_auth(other)
    clock.advance(10.0)
    assert it.events == []
    assert change.result() == InEffect(epoch=None if one is None else 1)


@pytest.mark.parametrize(
    ("one", "other"), [({"token": "1"}, {"token": 1}), ("", {}), ({}, None)], ids=str
)
def test_what_only_looks_equal(clock: VirtualClock, scene: Make, one: Any, other: Any) -> None:
    """A text and a number, nothing in a string and in a mapping, are different."""
    it = scene(auth=one)
    clock.advance(10.0)
    it.socket.set_auth(other)
    clock.advance(1.0)
    assert isinstance(it.events[2], Closed)


def test_an_equal_value_at_every_message(clock: VirtualClock, scene: Make) -> None:
    """Echoing the own credential from inside an observer makes no storm."""
    it = scene(accept().send("1").wait(1.0).send("2"), auth=A)
    it.socket.messages.subscribe(lambda _: it.socket.set_auth(dict(A)))
    clock.advance(5.0)
    assert it.credentials == ["a"]


def test_an_equal_value_before_the_start(clock: VirtualClock, scene: Make) -> None:
    """Nothing runs, so nothing but Stored can be said."""
    it = scene(watch=False, auth=A)
    assert it.socket.set_auth(dict(A)).result() == Stored()
    it.watch()
    clock.advance(1.0)
    assert it.credentials == ["a"]


def test_what_a_provider_gave(clock: VirtualClock, scene: Make) -> None:
    """Setting what the provider gave for this connection changes nothing."""
    it = scene(auth=lambda: A)
    clock.advance(1.0)
    change = it.socket.set_auth(dict(A))
    clock.advance(1.0)
    assert (it.credentials, change.result()) == (["a"], InEffect(epoch=1))


ACTS: dict[str, Callable[[Scene], Any]] = {
    "reconnect": lambda it: it.socket.reconnect(),
    "a lost link": lambda it: it.peer.drop(),
}


@pytest.mark.parametrize("act", ACTS)
def test_between_two_connections_with_it(clock: VirtualClock, scene: Make, act: str) -> None:
    """While A is dialled again anyway, setting A adds no third."""
    it = scene(auth=A)
    clock.advance(10.0)
    ACTS[act](it)
    change = it.socket.set_auth(dict(A))
    clock.advance(10.0)
    assert it.credentials == ["a", "a"]
    assert isinstance(change.result(), InEffect)
