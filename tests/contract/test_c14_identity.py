"""C14: who somebody is, and what another identity may not inherit."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
import reactivex
from internals import ANONYMOUS, LOGGED_OUT, PENDING, CredentialGroup, group_renewals, same_identity
from reactivex import operators as ops
from reactivex.observer import Observer

from rxsocket import Credential, Dropped, InEffect, Sent, Socket, SocketError
from rxsocket.testing import VirtualClock, accept, fake


def jwt(**claims: object) -> str:
    """A JSON Web Token with these claims, and a signature that nobody checks."""
    payload = base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip("=")
    return f"eyJhbGciOiJub25lIn0.{payload}.c2lnbmF0dXJl"


ANN, ANN_LATER = jwt(sub="ann", exp=1), jwt(sub="ann", exp=2)
BOB = jwt(sub="bob", exp=1)
SAME: list[tuple[Any, Any]] = [
    (ANN, ANN_LATER),
    ({"token": ANN}, {"token": ANN_LATER}),
    ({"token": ANN, "room": "1"}, {"room": "2", "token": ANN_LATER}),
    (f"Bearer {ANN}", f"Bearer {ANN_LATER}"),
    (jwt(sub=7, iss="here"), jwt(sub=7, iss="here", jti="x")),
    ({"room": "1", "token": ANN}, ANN_LATER),
]
OTHER: list[tuple[Any, Any]] = [
    (ANN, BOB),
    ({"token": ANN}, {"token": BOB}),
    (jwt(sub="ann", iss="here"), jwt(sub="ann", iss="there")),
    (jwt(name="ann"), jwt(name="ann", exp=2)),
    (jwt(sub=None), jwt(sub=None, exp=2)),
    (ANN, "opaque"),
    ("opaque", "opaque, too"),
    ("a.b.c", "a.b.c "),
    ({}, {"token": ANN}),
]


@pytest.mark.parametrize(("old", "new"), SAME)
def test_the_same_sub_is_the_same_somebody(old: Any, new: Any) -> None:
    """Two JSON Web Tokens with the same ``sub`` of the same issuer are a renewal."""
    assert same_identity(Credential.of(old), Credential.of(new))


@pytest.mark.parametrize(("old", "new"), OTHER)
def test_what_cannot_be_told_is_somebody_else(old: Any, new: Any) -> None:
    """Another ``sub`` or issuer, or no telling: another identity, which is the safe answer."""
    assert not same_identity(Credential.of(old), Credential.of(new))


@pytest.mark.parametrize("nobody", [ANONYMOUS, LOGGED_OUT, PENDING])
def test_nobody_is_never_the_same(nobody: Credential) -> None:
    """No credential has no identity, whatever a function would say."""
    ann = Credential.of(ANN)
    for old, new in ((nobody, ann), (ann, nobody), (nobody, nobody)):
        assert not same_identity(old, new)
        assert not same_identity(old, new, lambda _: "everybody")


def test_the_users_function_decides() -> None:
    """An ``identity`` function is asked with the value; ``None`` means unknown."""
    asked: list[object] = []

    def user(value: Any) -> object:
        asked.append(dict(value))
        return value.get("user")

    old, new = Credential.of({"user": "u", "token": ANN}), Credential.of({"user": "u", "t": BOB})
    assert same_identity(old, new, user)
    assert asked == [{"user": "u", "token": ANN}, {"user": "u", "t": BOB}]
    assert not same_identity(old, Credential.of({"user": "v", "token": ANN}), user)
    assert not same_identity(Credential.of({"a": 1}), Credential.of({"a": 2}), user)


def test_a_renewal_stays_within_its_lease() -> None:
    """With a strategy that keeps, renewals go to the lease; somebody else gets another."""
    started: list[Credential] = []
    renewed: list[tuple[Credential, Credential]] = []

    def live(group: CredentialGroup[Credential]) -> None:
        started.append(group.first)
        note = Observer[Credential](lambda renewal: renewed.append((group.first, renewal)))
        group.follow(note)

    credentials = [Credential.of(value) for value in (ANN, ANN_LATER, BOB, ANN)]
    reactivex.from_iterable(credentials).pipe(group_renewals(same_identity)).subscribe(live)
    ann, later, bob, again = credentials
    assert started == [ann, bob, again]
    assert renewed == [(ann, later)]


@pytest.mark.parametrize("new", [ANN_LATER, BOB])
def test_reconnect_gives_every_credential_a_connection(clock: VirtualClock, new: str) -> None:
    """With the default strategy a renewal, too, gets a connection of its own."""
    peer = fake()
    socket = Socket(peer.url, transport=peer, auth={"token": ANN})
    socket.connect()
    clock.advance(1.0)
    changing = socket.set_auth({"token": new})
    clock.advance(1.0)
    assert changing.result() == InEffect(epoch=2)
    assert [handshake.credential for handshake in peer.handshakes] == [ANN, new]
    socket.close()
    clock.advance(2.0)


@pytest.mark.parametrize("latency", [0.0, 0.2])
def test_nothing_of_the_old_one_is_sent_by_the_new_one(clock: VirtualClock, latency: float) -> None:
    """What was sent as Ann goes out as Ann or fails; what is sent as Bob waits for his."""
    peer = fake(latency=latency)
    socket = Socket(peer.url, transport=peer, auth={"token": ANN})
    socket.connect()
    clock.advance(1.0)
    receipts = {text: socket.send(text) for text in ("1", "2")}
    socket.set_auth({"token": BOB})
    receipts["3"] = socket.send("3")
    clock.advance(5.0)
    receipts["4"] = socket.send("4")
    clock.advance(1.0)
    outcomes: dict[str, Sent | type[Exception]] = {}
    for text, receipt in receipts.items():
        try:
            outcomes[text] = receipt.result()
        except SocketError as error:
            outcomes[text] = type(error)
    assert outcomes["3"] == Sent(epoch=2)
    assert outcomes["4"] == Sent(epoch=2)
    assert [message for number, message in peer.received if number == 2] == ["3", "4"]
    for text in ("1", "2"):
        arrived = (1, text) in peer.received
        assert outcomes[text] == Sent(epoch=1) or not arrived
    socket.close()
    clock.advance(2.0)


@pytest.mark.parametrize("bob_is_in", [False, True])
def test_held_messages_are_not_handed_to_somebody_else(
    clock: VirtualClock, bob_is_in: bool
) -> None:
    """What was held for ann is not given to a subscriber who comes when bob is, or will be, in."""
    peer = fake(accept(), accept().delay(0.0 if bob_is_in else 5.0))
    socket = Socket(peer.url, transport=peer, auth={"token": ANN})
    socket.connect()
    clock.advance(1.0)
    peer.push("for ann")
    clock.advance(0.0)
    problems: list[object] = []
    socket.errors.subscribe(problems.append)
    socket.set_auth({"token": BOB})
    clock.advance(1.0)
    messages: list[str] = []
    socket.messages.pipe(ops.map(str)).subscribe(messages.append)
    clock.advance(5.0)
    peer.push("for bob")
    clock.advance(1.0)
    [dropped] = problems
    assert isinstance(dropped, Dropped) and (dropped.epoch, dropped.count) == (1, 1)
    assert messages == ["for bob"]
    socket.close()
    clock.advance(2.0)
