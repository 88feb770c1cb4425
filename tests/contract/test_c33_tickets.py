"""C33: a ticket is a credential with the address that it is for."""

from __future__ import annotations

import base64
import json
import pickle
from collections.abc import Callable
from itertools import pairwise
from random import Random
from typing import Any

import pytest
from network_stage import MakeStage
from reactivex.subject import BehaviorSubject, ReplaySubject
from scene import A

from rxsocket import (
    AddressFailed,
    Ask,
    AwaitingAuth,
    Cause,
    Closed,
    ConnectFailed,
    Opened,
    Reason,
    Renewed,
    Socket,
    SourceFailed,
    State,
    Ticket,
    endpoint,
    handover,
    header,
    in_band,
    reconnect,
    refreshing,
)
from rxsocket.testing import VirtualClock, accept, fake, reject

FIRST = "wss://a.test/"


def test_six_connections_have_six_addresses(stage: MakeStage, clock: VirtualClock) -> None:
    """One-time addresses: none is dialled twice, and none on a host that is not allowed."""
    asks: list[Ask] = []

    def open_connection(ask: Ask) -> Ticket:
        asks.append(ask)
        host = "evil.test" if len(asks) % 4 == 0 else f"link-{len(asks)}.a.test"
        return Ticket(f"wss://{host}/link?ticket=s3cret-{len(asks)}", auth=f"token-{len(asks)}")

    scripts = [accept(), reject(503), accept(), reject(429), accept(), reject(401), *[accept()] * 9]
    on = stage(endpoint(FIRST, subdomains=True), *scripts, auth=open_connection, carrier=header())
    while len(on.of(Opened)) < 6:
        clock.advance(20.0)
        on.network.drop()
    dialled = [handshake.query["ticket"] for handshake in on.network.handshakes]
    assert len(set(dialled)) == len(dialled) == len(asks) - len(asks) // 4
    assert all(host.endswith(".a.test") for host in on.hosts)
    assert all(
        (handshake.credential or "").removeprefix("token-") == ticket.removeprefix("s3cret-")
        for handshake, ticket in zip(on.network.handshakes, dialled, strict=True)
    )
    assert {type(event.error) for event in on.of(ConnectFailed)} >= {AddressFailed}
    assert [ask.reason for ask in asks].count(Reason.REJECTED) == 1
    shown = repr(on.entries) + str(on.socket.explain()) + repr(on.socket)
    assert "s3cret" not in shown and "token-" not in shown


def test_a_ticket_without_more_is_its_address(stage: MakeStage, clock: VirtualClock) -> None:
    """What refuses it refuses the address, which is not dialled again; another one is."""
    answers = iter(["wss://a.test/?t=1", "wss://a.test/?t=1", "wss://a.test/?t=2"])
    on = stage(FIRST, reject(401), auth=lambda: Ticket(next(answers)))
    clock.advance(5.0)
    assert len(on.network.handshakes) == 1
    (awaiting,) = on.of(AwaitingAuth)
    assert awaiting.credential == "in the address"
    assert "the credential went in the address" in str(on.socket.explain())
    clock.advance(700.0)
    assert [handshake.query["t"] for handshake in on.network.handshakes] == ["1", "2"]
    assert on.socket.state.value is State.OPEN
    assert repr(on.socket.auth.value) == "Ticket(wss://a.test/?t=***)"


def test_a_pushed_one_is_used_again(stage: MakeStage, clock: VirtualClock) -> None:
    """Until it is refused, or another one comes: it says so in the docstring."""
    on = stage("ws://a.test/", auth=A)
    clock.advance(10.0)
    changed = on.socket.set_auth(Ticket("ws://a.test/two", auth={"token": "t"}))
    clock.advance(10.0)
    on.network.drop()
    clock.advance(3.0)
    handshakes = [(one.path, one.credential) for one in on.network.handshakes]
    assert handshakes == [("/", "a"), ("/two", "t"), ("/two", "t")]
    assert changed.result(1).epoch == 2  # type: ignore[union-attr]
    assert on.socket.url == "ws://a.test/two"


def test_equal_tickets_are_one(stage: MakeStage, clock: VirtualClock) -> None:
    """The address is part of what is compared."""
    on = stage("ws://a.test/", auth=Ticket("ws://a.test/two", auth="t"))
    clock.advance(10.0)
    on.socket.set_auth(Ticket("ws://a.test/two", auth="t"))
    clock.advance(10.0)
    assert len(on.network.handshakes) == 1
    on.socket.set_auth(Ticket("ws://a.test/three", auth="t"))
    clock.advance(10.0)
    assert [one.path for one in on.network.handshakes] == ["/two", "/three"]
    assert on.of(Closed) == [Closed(epoch=1, sent=1000, cause=Cause.AUTH_CHANGED)]


def test_one_goes_where_it_says_in_any_source(stage: MakeStage, clock: VirtualClock) -> None:
    """An Observable, and ``refreshing()``, which shares it until it expires."""
    source: Any = BehaviorSubject(Ticket("ws://a.test/1", auth="t"))
    on = stage("ws://a.test/", auth=source)
    clock.advance(1.0)
    source.on_next(Ticket("ws://a.test/2", auth="u"))
    clock.advance(1.0)
    assert [(one.path, one.credential) for one in on.network.handshakes] == [
        ("/1", "t"),
        ("/2", "u"),
    ]
    calls: list[int] = []

    def fetch() -> Ticket:
        calls.append(len(calls))
        return Ticket(f"ws://a.test/{len(calls)}", auth="t")

    other = stage("ws://a.test/", auth=refreshing(fetch))
    clock.advance(10.0)
    other.network.drop()
    clock.advance(3.0)
    assert [one.path for one in other.network.handshakes] == ["/1", "/1"] and calls == [0]


def test_a_handover_dials_its_address(stage: MakeStage, clock: VirtualClock) -> None:
    """A renewal with another address is made beside the open connection."""
    on = stage(
        "ws://a.test/",
        auth=Ticket("ws://a.test/1", auth="t"),
        identity=lambda _: "me",
        on_auth_change=handover(ready="open"),
    )
    clock.advance(10.0)
    on.socket.set_auth(Ticket("ws://a.test/2", auth="u"))
    clock.advance(5.0)
    assert [one.path for one in on.network.handshakes] == ["/1", "/2"]
    assert on.network.most_open == 2
    assert on.of(Closed) == [Closed(epoch=1, sent=1000, cause=Cause.HANDED_OVER)]


BAD: dict[str, tuple[tuple[Any, ...], type[Exception], str]] = {
    "no string": ((7,), TypeError, "Ticket(url): pass a string"),
    "another scheme": (("ftp://a.test/",), ValueError, "Ticket(url): not a WebSocket address"),
    "no credential": ((FIRST, 7), TypeError, "Ticket(auth): pass a mapping"),
    "a ticket": ((FIRST, Ticket(FIRST)), TypeError, "Ticket(auth): pass a mapping"),
    "a line break": ((FIRST, "a\nb"), ValueError, "Ticket(auth): holds LF"),
}


@pytest.mark.parametrize("name", BAD)
def test_what_is_no_ticket_fails_at_once(name: str) -> None:
    """The error names the argument."""
    arguments, kind, text = BAD[name]
    with pytest.raises(kind) as caught:
        Ticket(*arguments)
    assert str(caught.value).startswith(text)


def test_one_for_a_host_that_is_not_allowed_fails_at_once(clock: VirtualClock) -> None:
    """As ``auth=`` and in ``set_auth``; it names the host, and nothing is changed."""
    network = fake()
    bad = Ticket("wss://evil.test/?token=s3cret", auth="t")
    with pytest.raises(ValueError, match=r"auth: the host 'evil\.test' is not allowed") as caught:
        Socket(FIRST, transport=network, auth=bad)
    assert "s3cret" not in str(caught.value)
    socket = Socket(FIRST, transport=network, auth=A)
    with pytest.raises(ValueError, match=r"set_auth\(value\): the host 'evil\.test'"):
        socket.set_auth(bad)
    with pytest.raises(ValueError, match="is not encrypted"):
        with_tls = Socket(FIRST, transport=network, auth=A)
        held = with_tls.connect()
        clock.advance(1.0)
        try:
            with_tls.set_auth(Ticket("ws://a.test/", auth="t"))
        finally:
            held.dispose()
            clock.advance(2.0)


GOOD = Ticket("wss://a.test/", auth="t1")
EVIL = Ticket("wss://evil.test/?k=s3cret", auth="t2")
STRATEGIES: dict[str, Any] = {
    "reconnect": reconnect(),
    "handover": handover(ready="open"),
    "in band": in_band(lambda token: f"AUTH {token}"),
}


@pytest.mark.parametrize("name", STRATEGIES)
def test_one_that_may_not_be_used_closes_nothing(
    stage: MakeStage, clock: VirtualClock, name: str
) -> None:
    """An Observable's is a ``SourceFailed``; the credential stays, and the next one is taken."""
    source: Any = ReplaySubject(5)
    source.on_next(GOOD)
    source.on_next(EVIL)
    on = stage(FIRST, auth=source, on_auth_change=STRATEGIES[name], identity=lambda _: "me")
    clock.advance(10.0)
    source.on_next(EVIL)
    clock.advance(10.0)
    failed = on.of(SourceFailed)
    assert [(type(one.error), one.argument) for one in failed] == [(AddressFailed, "auth")] * 2
    text = "auth (an Observable's value): the host 'evil.test' is not allowed, only a.test"
    assert str(failed[0].error).startswith(text)
    assert on.hosts == ["a.test"] and on.of(Closed) == [] and on.socket.auth.value == GOOD
    assert "s3cret" not in repr(on.entries) + str(on.socket.explain())
    on.network.drop()
    clock.advance(3.0)
    source.on_next(Ticket("wss://a.test/2", auth="t3"))
    clock.advance(10.0)
    assert [one.path for one in on.network.handshakes] == ["/", "/", "/2"]


def test_an_observable_that_has_no_other(stage: MakeStage, clock: VirtualClock) -> None:
    """The socket goes on waiting for a credential."""
    source: Any = ReplaySubject(1)
    source.on_next(EVIL)
    on = stage(FIRST, auth=source)
    clock.advance(10.0)
    assert len(on.of(SourceFailed)) == 1 and on.socket.state.value is State.AWAITING_AUTH
    source.on_next(GOOD)
    clock.advance(1.0)
    assert on.hosts == ["a.test"]


class Answers:
    """A provider of tickets whose lifetime is 400 s; ``good`` says which calls get good ones.

    Attributes:
        at: When each call was made.
    """

    def __init__(self, clock: VirtualClock, good: Callable[[int], bool]) -> None:
        self._clock, self._good = clock, good
        self.at: list[float] = []
        self.tickets = refreshing(
            self._fetch, credential=lambda answer: answer["ticket"], random=Random(1)
        )

    def _fetch(self) -> dict[str, Any]:
        self.at.append(self._clock.time())
        number = len(self.at)
        where = "wss://a.test/" if self._good(number) else "wss://evil.test/"
        return {"ticket": Ticket(where, auth=f"t{number}"), "expires_in": 400}


@pytest.mark.parametrize("name", STRATEGIES)
def test_a_refresh_that_gives_one_has_failed(
    stage: MakeStage, clock: VirtualClock, name: str
) -> None:
    """It is asked again with the usual delays, and the connection is left alone meanwhile."""
    answers = Answers(clock, lambda number: number == 1 or number > 4)
    on = stage(
        FIRST, auth=answers.tickets, on_auth_change=STRATEGIES[name], identity=lambda _: "me"
    )
    clock.advance(199.0)
    assert len(answers.at) == 2
    clock.advance(10.0)
    assert len(answers.at) >= 3
    failed = on.of(SourceFailed)
    known = [(AddressFailed, "auth")] * (len(answers.at) - 1)
    assert [(type(one.error), one.argument) for one in failed] == known
    assert "what <Provider" in str(failed[0].error)
    assert "the host 'evil.test' is not allowed, only a.test" in str(failed[0].error)
    assert on.hosts == ["a.test"] and on.of(Closed) == []
    assert [one.credential for one in on.network.handshakes] == ["t1"]
    clock.advance(30.0)
    waits = [after - before for before, after in pairwise(answers.at[1:])]
    assert len(answers.at) == 5 and all(5.0 <= wait <= 10.0 for wait in waits)
    assert on.socket.auth.value == Ticket("wss://a.test/", auth="t5")
    assert on.of(ConnectFailed) == []


def test_a_link_that_is_lost_meanwhile(stage: MakeStage, clock: VirtualClock) -> None:
    """The one that is still valid is used; once it has expired, each attempt asks."""
    answers = Answers(clock, lambda number: number == 1 or number > 45)
    on = stage(FIRST, auth=answers.tickets)
    clock.advance(200.0)
    on.network.drop()
    clock.advance(10.0)
    assert [one.credential for one in on.network.handshakes] == ["t1"] * 2
    clock.advance(200.0)
    on.network.drop()
    clock.advance(60.0)
    assert {type(event.error) for event in on.of(ConnectFailed)} == {AddressFailed}
    assert len(on.hosts) == 2
    clock.advance(600.0)
    assert on.socket.state.value is State.OPEN and set(on.hosts) == {"a.test"}


def test_a_first_answer_that_may_not_be_used(stage: MakeStage, clock: VirtualClock) -> None:
    """The attempt fails, and the next one asks again."""
    answers = Answers(clock, lambda number: number > 3)
    on = stage(FIRST, auth=answers.tickets)
    clock.advance(20.0)
    assert answers.at == [0.0, 2.0, 6.0, 14.0]
    assert [type(event.error) for event in on.of(ConnectFailed)] == [AddressFailed] * 3
    assert "is not allowed, only a.test" in on.failures[0]
    assert on.socket.state.value is State.OPEN and on.hosts == ["a.test"]


def test_of_sockets_that_share_one_each_decides(stage: MakeStage, clock: VirtualClock) -> None:
    """What one may use is a refresh; another one keeps what it has, and asks for no more."""
    answers = Answers(clock, lambda number: number == 1)
    on = stage(FIRST, auth=answers.tickets)
    other = stage(endpoint(FIRST, hosts=["evil.test"]), auth=answers.tickets)
    clock.advance(300.0)
    assert len(answers.at) == 2
    assert other.hosts == ["a.test", "evil.test"]
    assert on.hosts == ["a.test"] and on.of(Closed) == [] and len(on.of(SourceFailed)) == 1
    on.network.drop()
    clock.advance(20.0)
    assert set(on.hosts) == {"a.test"} and len(on.of(ConnectFailed)) > 1
    assert len(answers.at) == 2 and other.hosts == ["a.test", "evil.test"]
    other.socket.close()
    clock.advance(5.0)
    assert len(answers.at) == 2
    clock.advance(60.0)
    assert len(answers.at) > 2 and set(on.hosts) == {"a.test"}


def test_a_ticket_does_not_leave_the_process() -> None:
    """As any credential (C28)."""
    with pytest.raises(TypeError):
        pickle.dumps(Ticket("wss://a.test/?token=s3cret"))


def test_what_goes_in_band_cannot_go_elsewhere(stage: MakeStage, clock: VirtualClock) -> None:
    """``in_band()`` closes first for a ticket with another address; else it sends."""
    strategy = in_band(lambda value: f"AUTH {value}", accepted=lambda message: message == "ok")
    on = stage(
        "ws://a.test/",
        accept().expect("AUTH u").send("ok").stay(),
        auth=Ticket("ws://a.test/1", auth="t"),
        identity=lambda _: "me",
        on_auth_change=strategy,
    )
    clock.advance(10.0)
    on.socket.set_auth(Ticket("ws://a.test/1", auth="u"))
    clock.advance(10.0)
    assert len(on.of(Renewed)) == 1 and len(on.network.handshakes) == 1
    on.socket.set_auth(Ticket("ws://a.test/2", auth="v"))
    clock.advance(10.0)
    assert [(one.path, one.credential) for one in on.network.handshakes] == [
        ("/1", "t"),
        ("/2", "v"),
    ]
    assert on.of(Closed) == [Closed(epoch=1, sent=1000, cause=Cause.AUTH_CHANGED)]


def test_a_token_in_its_address_says_when_it_expires(stage: MakeStage, clock: VirtualClock) -> None:
    """C12, C14: as ``access_token=<a JSON Web Token>`` of a service that gives out whole URLs."""
    calls: list[float] = []

    def negotiate() -> Ticket:
        calls.append(clock.wall_time())
        claims = {"sub": "me", "exp": clock.wall_time() + 1000.0, "n": len(calls)}
        middle = base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip("=")
        return Ticket(f"wss://a.test/client?access_token=x.{middle}.y")

    on = stage("wss://a.test/", auth=refreshing(negotiate), on_auth_change=handover(ready="open"))
    clock.advance(990.0)
    assert len(calls) == 2 and 600.0 < calls[1] - calls[0] < 710.0
    assert on.of(Closed) == [Closed(epoch=1, sent=1000, cause=Cause.HANDED_OVER)]
    assert len({one.query["access_token"] for one in on.network.handshakes}) == 2
