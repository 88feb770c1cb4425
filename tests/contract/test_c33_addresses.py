"""C33: an address for each attempt, on hosts that are allowed."""

from __future__ import annotations

import asyncio
import ssl
from typing import Any

import pytest
import reactivex as rx
from network_stage import MakeStage
from reactivex.subject import BehaviorSubject, Subject
from scene import A, B, known

from rxsocket import (
    Aborted,
    AddressFailed,
    Ask,
    AwaitingAuth,
    Cause,
    Closed,
    ConnectFailed,
    Connecting,
    Opened,
    Reason,
    Rejected,
    Socket,
    SourceFailed,
    State,
    Ticket,
    Unauthorized,
    Waiting,
    endpoint,
    handover,
    header,
    history,
    in_band,
)
from rxsocket.testing import VirtualClock, accept, fake, reject, unreachable

FIRST, SECOND, THIRD = "ws://a.test/", "ws://b.test/", "ws://c.test/"


# --- a sequence


def test_a_failed_attempt_is_followed_by_one_at_the_next_address(
    stage: MakeStage, clock: VirtualClock
) -> None:
    """And a stable connection by the first again; it goes round."""
    on = stage([FIRST, SECOND], reject(503), reject(503), reject(503), accept(), accept())
    clock.advance(30.0)
    assert on.hosts == ["a.test", "b.test", "a.test", "b.test"]
    on.network.drop()
    clock.advance(3.0)
    assert on.hosts[4:] == ["a.test"]
    assert [(event.url, event.moved) for event in on.of(Opened)] == [(SECOND, True), (FIRST, True)]
    assert [event.url for event in on.of(Connecting)] == [FIRST, SECOND, FIRST, SECOND, FIRST]


def test_a_network_has_several_servers(clock: VirtualClock) -> None:
    """The fake one, too: the first is down, the second takes over."""
    network = fake(unreachable(), unreachable())
    other = network.at(SECOND)
    socket = Socket([network.url, SECOND], transport=network, backoff=known())
    held = socket.connect()
    clock.advance(5.0)
    assert (network.dials, len(other.handshakes), other.url) == (1, 1, SECOND)
    assert (socket.state.value, socket.url) == (State.OPEN, SECOND)
    held.dispose()
    clock.advance(2.0)


# --- a function


def test_a_function_is_asked_before_each_attempt(stage: MakeStage, clock: VirtualClock) -> None:
    """It is told the attempt and the reason, and what it says is dialled once."""
    asks: list[Ask] = []

    async def where(ask: Ask) -> str:
        asks.append(ask)
        await asyncio.sleep(0.1)
        return f"ws://a.test/{len(asks)}"

    on = stage(where, reject(503), accept())
    clock.advance(10.0)
    on.network.drop()
    clock.advance(3.0)
    assert [handshake.path for handshake in on.network.handshakes] == ["/1", "/2", "/3"]
    assert [(ask.attempt, ask.reason) for ask in asks] == [
        (1, Reason.FIRST),
        (2, Reason.RECONNECT),
        (1, Reason.RECONNECT),
    ]
    assert on.socket.url == "ws://a.test/3"
    name = "<Endpoint test_a_function_is_asked_before_each_attempt.<locals>.where>"
    assert [event.url for event in on.of(Connecting)] == [name, "ws://a.test/1", "ws://a.test/2"]
    assert [event.url for event in on.of(Opened)] == ["ws://a.test/2", "ws://a.test/3"]
    assert "open at ws://a.test/3 for" in str(on.socket.explain())


def test_it_may_be_sync_and_take_nothing(stage: MakeStage, clock: VirtualClock) -> None:
    """As a provider of credentials may."""
    on = stage(lambda: FIRST)
    clock.advance(1.0)
    assert on.hosts == ["a.test"]


BAD_ANSWERS: dict[str, tuple[Any, str]] = {
    "nothing": (None, "pass a string such as 'wss://example.com/feed', not NoneType"),
    "no address": ("example.com", "not a WebSocket address; begin it with ws:// or wss://"),
    "another scheme": ("ftp://example.com/", "begin it with ws:// or wss://"),
    "bytes": (b"ws://a.test/", "not bytes"),
    "a ticket": (Ticket(FIRST), "this is a Ticket, which is given as auth="),
}


@pytest.mark.parametrize("name", BAD_ANSWERS)
def test_what_is_no_address_is_a_failed_attempt(
    stage: MakeStage, clock: VirtualClock, name: str
) -> None:
    """The error names the function; the next attempt asks again."""
    answer, text = BAD_ANSWERS[name]
    answers = iter([answer, FIRST])

    def where() -> Any:
        return next(answers)

    on = stage(where)
    clock.advance(5.0)
    assert on.hosts == ["a.test"]
    (failed,) = on.of(ConnectFailed)
    assert isinstance(failed.error, AddressFailed)
    assert "where" in str(failed.error) and text in str(failed.error)
    assert "failed: url (what it returned): " in str(failed.error)


@pytest.mark.parametrize("error", [ValueError("no"), KeyError("url"), SystemExit(3), OSError()])
def test_what_it_raises_is_a_failed_attempt(
    stage: MakeStage, clock: VirtualClock, error: BaseException
) -> None:
    """Whatever that is; nothing else is lost."""
    errors = iter([error])

    def where() -> str:
        for one in errors:
            raise one
        return FIRST

    on = stage(where)
    receipt = on.socket.send("kept")
    clock.advance(4.9)
    assert on.hosts == ["a.test"]
    assert isinstance(on.of(ConnectFailed)[0].error, AddressFailed)
    assert receipt.result(1).epoch == 2


def test_it_may_take_as_long_as_a_provider(stage: MakeStage, clock: VirtualClock) -> None:
    """``auth_timeout``."""
    answers = iter([60.0, 0.0])

    async def where() -> str:
        await asyncio.sleep(next(answers))
        return FIRST

    on = stage(where, auth_timeout=3.0)
    clock.advance(2.9)
    assert on.failures == []
    clock.advance(0.2)
    assert "gave no address within 3 s" in on.failures[0]
    clock.advance(5.0)
    assert on.hosts == ["a.test"]


def test_it_may_give_up(stage: MakeStage, clock: VirtualClock) -> None:
    """``Unauthorized`` awaits a credential, as from a provider."""

    def where() -> str:
        raise Unauthorized("the API key is not valid")

    on = stage(where)
    clock.advance(100.0)
    assert len(on.of(Rejected)) == len(on.of(AwaitingAuth)) == 1
    assert on.socket.state.value is State.AWAITING_AUTH
    assert on.network.dials == 0
    text = str(on.socket.explain())
    assert "the function given as url= gave up: the API key is not valid" in text
    assert "you can: call reconnect() to ask it again" in text
    on.socket.reconnect()
    clock.advance(10.0)
    assert len(on.of(Rejected)) == 2


def test_an_attempt_that_is_overtaken_leaves_one_call(
    stage: MakeStage, clock: VirtualClock
) -> None:
    """A burst of credentials: one call runs at a time, and the last attempt gets its answer."""
    running, most = [0], [0]

    async def where() -> str:
        running[0] += 1
        most[0] = max(most[0], running[0])
        await asyncio.sleep(0.5)
        running[0] -= 1
        return FIRST

    on = stage(where, auth=A)
    clock.advance(0.1)
    for number in range(20):
        on.socket.set_auth({"token": str(number)})
        clock.advance(0.01)
    clock.advance(2.0)
    assert most == [1]
    assert [handshake.credential for handshake in on.network.handshakes] == ["19"]


# --- hosts


def test_the_first_host_is_the_only_one(stage: MakeStage, clock: VirtualClock) -> None:
    """Another one is not dialled; the error names it and says what to pass; the socket goes on."""
    answers = iter([FIRST, "ws://evil.test/", "ws://sub.a.test/", "ws://a.test:8080/x"])
    on = stage(lambda: next(answers), auth=A)
    clock.advance(10.0)
    on.network.drop()
    clock.advance(20.0)
    assert on.hosts == ["a.test", "a.test"]
    assert on.failures == [
        f"the host '{host}' is not allowed, only a.test; nothing was sent to it; if you trust it, "
        f"pass url=endpoint(..., hosts=['{host}'])"
        for host in ("evil.test", "sub.a.test")
    ]
    assert on.socket.state.value is State.OPEN


def test_it_is_pinned_for_the_life_of_the_socket(clock: VirtualClock) -> None:
    """A start afresh changes nothing."""
    answers = iter([FIRST, SECOND])
    network = fake()
    socket = Socket(lambda: next(answers), transport=network)
    for _ in range(2):
        held = socket.connect()
        clock.advance(0.5)
        held.dispose()
        clock.advance(3.0)
    assert [handshake.host for handshake in network.handshakes] == ["a.test"]


ALLOWED: dict[str, tuple[Any, list[str]]] = {
    "subdomains": ({"subdomains": True}, ["a.test", "x.a.test", "y.x.a.test"]),
    "named": ({"hosts": ["b.test"]}, ["b.test"]),
    "named, with subdomains": (
        {"hosts": ["a.test"], "subdomains": True},
        ["a.test", "x.a.test", "y.x.a.test"],
    ),
    "any subdomain": ({"hosts": ["*.a.test"]}, ["x.a.test", "y.x.a.test"]),
    "several": ({"hosts": ["A.TEST.", "c.test"]}, ["a.test", "c.test"]),
}
CANDIDATES = [
    "a.test",
    "b.test",
    "c.test",
    "x.a.test",
    "y.x.a.test",
    "xa.test",
    "a.test.evil.test",
    "127.0.0.1",
]


@pytest.mark.parametrize("name", ALLOWED)
def test_the_user_says_which_are_allowed(stage: MakeStage, clock: VirtualClock, name: str) -> None:
    """Each of many hosts is asked for; only those are dialled."""
    options, expected = ALLOWED[name]
    answers = iter(f"ws://{host}/" for host in CANDIDATES)
    on = stage(
        endpoint(lambda: next(answers, None), **options), reject(503), reject(503), reject(503)
    )
    clock.advance(300.0)
    assert sorted(set(on.hosts)) == sorted(expected)


def test_an_encrypted_link_is_never_followed_by_one_that_is_not(
    stage: MakeStage, clock: VirtualClock
) -> None:
    """After ``wss://``, a ``ws://`` address of the same host is refused."""
    answers = iter(["wss://a.test/", "ws://a.test/", "wss://a.test/"])
    on = stage(lambda: next(answers), reject(503))
    clock.advance(10.0)
    assert len(on.hosts) == 2
    assert "ws://a.test/ is not encrypted, after a wss:// address" in on.failures[1]


def test_the_hosts_of_a_sequence_are_all_allowed(stage: MakeStage, clock: VirtualClock) -> None:
    on = stage(endpoint([FIRST, SECOND], hosts=["c.test"]), reject(503), reject(503))
    clock.advance(10.0)
    assert on.hosts == ["a.test", "b.test", "a.test"]


# --- an Observable


def test_another_address_renews_the_connection(stage: MakeStage, clock: VirtualClock) -> None:
    """At once, with ``reconnect()``; an equal one, and one that means the same, does nothing."""
    source = BehaviorSubject(FIRST)
    on = stage(endpoint(source, hosts=["a.test", "b.test"]), auth=A)
    clock.advance(10.0)
    source.on_next(FIRST)
    source.on_next("ws://a.test")
    clock.advance(10.0)
    assert on.hosts == ["a.test"]
    source.on_next(SECOND)
    clock.advance(1.0)
    assert on.hosts == ["a.test", "b.test"]
    assert on.of(Closed) == [Closed(epoch=1, sent=1000, cause=Cause.ADDRESS_CHANGED)]
    (first, second) = on.of(Opened)
    assert (second.cause, second.url, second.moved) == (Cause.ADDRESS_CHANGED, SECOND, True)
    assert (first.url, second.gap) == (FIRST, 0.0)
    text = str(on.socket.explain())
    assert "open at ws://b.test/" in text and "the address changed" in text
    assert [type(event).__name__ for event in history(on.socket)][-3:] == [
        "Closed",
        "Connecting",
        "Opened",
    ]


def test_a_handover_makes_the_next_one_first(stage: MakeStage, clock: VirtualClock) -> None:
    """The strategy in force decides, as about a credential."""
    source = BehaviorSubject(FIRST)
    on = stage(
        endpoint(source, hosts=["a.test", "b.test"]), auth=A, on_auth_change=handover(ready="open")
    )
    clock.advance(10.0)
    source.on_next(SECOND)
    clock.advance(5.0)
    assert on.hosts == ["a.test", "b.test"] and on.network.most_open == 2
    assert on.of(Closed) == [Closed(epoch=1, sent=1000, cause=Cause.HANDED_OVER)]
    assert on.of(Opened)[1].gap == 0.0
    assert on.of(Opened)[1].cause is Cause.ADDRESS_CHANGED


def test_back_to_the_one_in_use_drops_the_handover(stage: MakeStage, clock: VirtualClock) -> None:
    """The next connection is given up, and the open one goes on."""
    source = BehaviorSubject(FIRST)
    on = stage(
        endpoint(source, hosts=["a.test", "b.test"]),
        accept(),
        accept().delay(3.0),
        on_auth_change=handover(ready="open"),
    )
    clock.advance(10.0)
    source.on_next(SECOND)
    clock.advance(1.0)
    source.on_next(FIRST)
    clock.advance(10.0)
    assert on.of(Aborted) == [Aborted(epoch=2, cause=Cause.ADDRESS_CHANGED)]
    assert on.socket.state.value is State.OPEN and on.of(Closed) == []


def test_what_goes_in_band_cannot_move(stage: MakeStage, clock: VirtualClock) -> None:
    """``in_band()`` closes first when the address changes."""
    source = BehaviorSubject(FIRST)
    strategy = in_band(lambda value: str(value), accepted=lambda message: message == "ok")
    on = stage(
        endpoint(source, hosts=["a.test", "b.test"]),
        auth=A,
        identity=lambda _: "me",
        on_auth_change=strategy,
    )
    clock.advance(10.0)
    source.on_next(SECOND)
    clock.advance(2.0)
    assert on.hosts == ["a.test", "b.test"]
    assert on.of(Closed) == [Closed(epoch=1, sent=1000, cause=Cause.ADDRESS_CHANGED)]


def test_a_change_while_waiting_is_dialled_at_once(stage: MakeStage, clock: VirtualClock) -> None:
    """The backoff starts anew (C8)."""
    source = BehaviorSubject(FIRST)
    on = stage(endpoint(source, hosts=["a.test", "b.test"]), *[reject(503)] * 5, auth=lambda: A)
    clock.advance(40.0)
    assert on.socket.state.value is State.WAITING
    on.network.script()
    before = len(on.hosts)
    source.on_next(SECOND)
    clock.advance(0.2)
    assert on.hosts[before:] == ["b.test"]
    assert on.of(Opened)[0].attempts == 1


def test_who_awaits_a_credential_goes_on_doing_so(stage: MakeStage, clock: VirtualClock) -> None:
    """A refused credential is not dialled elsewhere; the next one goes to the new address."""
    source = BehaviorSubject(FIRST)
    on = stage(endpoint(source, hosts=["a.test", "b.test"]), reject(401), auth=A)
    clock.advance(5.0)
    source.on_next(SECOND)
    clock.advance(5.0)
    assert on.socket.state.value is State.AWAITING_AUTH and len(on.of(AwaitingAuth)) == 1
    on.socket.set_auth(B)
    clock.advance(1.0)
    assert on.hosts == ["a.test", "b.test"]


def test_an_attempt_waits_for_the_first_address(stage: MakeStage, clock: VirtualClock) -> None:
    """For ``auth_timeout``; then it fails, and the next one waits."""
    source: Subject[str] = Subject()
    on = stage(source, auth_timeout=3.0)
    clock.advance(3.1)
    assert on.failures == ["<Endpoint of an Observable> gave no address within 3 s"]
    clock.advance(3.0)
    source.on_next(FIRST)
    clock.advance(0.1)
    assert on.hosts == ["a.test"] and on.socket.state.value is State.OPEN
    assert len(on.of(Waiting)) == 1


@pytest.mark.parametrize("source", [rx.of(SECOND, FIRST), rx.of(FIRST), rx.of(FIRST, FIRST)])
def test_what_it_emits_at_once_is_what_to_begin_with(
    stage: MakeStage, clock: VirtualClock, source: rx.Observable[str]
) -> None:
    """A cold one does as it is subscribed to: the last counts, and it is no change."""
    on = stage(source)
    clock.advance(3.0)
    assert on.of(Connecting) == [Connecting(epoch=1, cause=Cause.STARTED, attempt=1, url=FIRST)]
    assert on.hosts == ["a.test"]
    again = stage(source)
    clock.advance(3.0)
    again.socket.close()
    clock.advance(10.0)
    held = again.socket.connect()
    clock.advance(3.0)
    began = [one.cause for one in history(again.socket) if isinstance(one, Connecting)]
    assert began == [Cause.STARTED] * 2
    held.dispose()


@pytest.mark.parametrize("given", [Ticket(FIRST), BehaviorSubject(Ticket(FIRST)), [Ticket(FIRST)]])
def test_a_ticket_is_no_address(given: Any) -> None:
    """It is given as ``auth=``; the error says so."""
    with pytest.raises(TypeError, match="this is a Ticket, which is given as auth="):
        Socket(given)


def test_what_it_may_not_emit_is_reported(stage: MakeStage, clock: VirtualClock) -> None:
    """The connection stays where it is, also when the source fails."""
    source = BehaviorSubject(FIRST)
    on = stage(source, auth=A)
    clock.advance(10.0)
    for bad in ("http://a.test/", None, SECOND):
        source.on_next(bad)  # type: ignore[arg-type]
    source.on_error(RuntimeError("no more"))
    clock.advance(60.0)
    failed = on.of(SourceFailed)
    assert [type(event.error) for event in failed] == [AddressFailed] * 4
    assert "the host 'b.test' is not allowed, only a.test" in str(failed[2].error)
    assert "RuntimeError: no more" in str(failed[3].error)
    assert on.hosts == ["a.test"] and on.of(Closed) == []
    assert "what was given as url= failed" in str(on.socket.explain())


def test_a_source_that_ends_without_a_word_is_not_waited_for(
    stage: MakeStage, clock: VirtualClock
) -> None:
    source: Subject[str] = Subject()
    on = stage(source)
    source.on_completed()
    clock.advance(1.0)
    assert on.failures == ["<Endpoint of an Observable> ended, and no address had come"]


def test_it_is_followed_only_while_the_socket_runs(clock: VirtualClock) -> None:
    """And again after a start afresh, with what it replays."""
    source = BehaviorSubject(FIRST)
    network = fake()
    socket = Socket(endpoint(source, subdomains=True), transport=network)
    assert not source.observers
    held = socket.connect()
    clock.advance(1.0)
    assert len(source.observers) == 1
    held.dispose()
    clock.advance(3.0)
    assert not source.observers
    source.on_next("ws://x.a.test/")
    held = socket.connect()
    clock.advance(1.0)
    assert [handshake.host for handshake in network.handshakes] == ["a.test", "x.a.test"]
    held.dispose()
    clock.advance(2.0)


def test_who_waits_for_a_gate_goes_on_doing_so(stage: MakeStage, clock: VirtualClock) -> None:
    """C35: what moves meanwhile is dialled when the gate opens."""
    source, gate = BehaviorSubject(FIRST), BehaviorSubject(True)
    on = stage(endpoint(source, subdomains=True), gate=gate)
    clock.advance(5.0)
    gate.on_next(False)
    clock.advance(1.0)
    source.on_next("ws://x.a.test/")
    clock.advance(5.0)
    assert on.socket.state.value is State.GATED and on.hosts == ["a.test"]
    gate.on_next(True)
    clock.advance(1.0)
    assert on.hosts == ["a.test", "x.a.test"]


def test_the_log_says_where(stage: MakeStage, clock: VirtualClock, caplog: Any) -> None:
    """One line for each open, with the address where it is another one than before."""
    caplog.set_level("INFO", "rxsocket")
    source = BehaviorSubject("ws://a.test/?k=s3cret-value")
    on = stage(endpoint(source, subdomains=True), name="feed")
    clock.advance(5.0)
    source.on_next("ws://x.a.test/?k=s3cret-other")
    clock.advance(5.0)
    assert on.socket.url == "ws://x.a.test/?k=***"
    lines = [record.getMessage() for record in caplog.records]
    name = "feed <Endpoint of an Observable>"
    assert lines == [
        f"{name}: connection 1 is open",
        f"{name}: connection 1 closed: the address changed",
        f"{name}: connection 2 is open at ws://x.a.test/?k=***, without a gap",
    ]


def test_options_are_held_against_each_address(stage: MakeStage, clock: VirtualClock) -> None:
    """What ``ssl=`` is nothing for is not dialled, nor what sets a header a second time."""
    answers = iter([FIRST, "wss://a.test/"])
    on = stage(endpoint(lambda: next(answers), hosts=["a.test"]), ssl=ssl.create_default_context())
    clock.advance(5.0)
    assert on.failures == [
        "ssl= goes with wss:// addresses, or https:// ones; ws://a.test/ is none"
    ]
    assert on.hosts == ["a.test"]
    others = iter(["ws://me:s3cret@a.test/", FIRST])
    other = stage(lambda: next(others), auth="t", carrier=header())
    clock.advance(5.0)
    assert "carrier: sets the header 'Authorization', and so does url" in other.failures[0]
    assert "s3cret" not in other.failures[0]
    assert [one.credential for one in other.network.handshakes] == ["t"]


def test_user_info_moves_with_its_address(stage: MakeStage, clock: VirtualClock) -> None:
    """Each address has its own; the next one does not get that of the one before."""
    answers = iter(["ws://me:s3cret-pass@a.test/", FIRST])
    on = stage(lambda: next(answers))
    clock.advance(5.0)
    on.network.push("you are s3cret-pass")
    on.network.close(1012, "bye s3cret-pass")
    clock.advance(5.0)
    first, second = on.network.handshakes
    assert "Authorization" in first.headers and "Authorization" not in second.headers
    assert on.of(Closed)[0].reason == "bye ***"


def test_nobody_is_asked_while_logged_out(stage: MakeStage, clock: VirtualClock) -> None:
    """An address is asked for when there is a credential to go there with."""
    calls: list[int] = []

    def where() -> str:
        calls.append(1)
        return FIRST

    on = stage(where, auth=None)
    clock.advance(50.0)
    assert calls == [] and on.socket.state.value is State.AWAITING_AUTH
    on.socket.set_auth(A)
    clock.advance(1.0)
    assert calls == [1] and on.hosts == ["a.test"]


def test_a_unix_socket_is_dialled_only_if_it_is_named(
    stage: MakeStage, clock: VirtualClock
) -> None:
    """What answers for addresses does not get to talk to the services of this machine."""
    url = "unix:/run/other.sock:/"
    on = stage(lambda: url)
    clock.advance(5.0)
    assert on.network.dials == 0
    assert "the host 'unix:/run/other.sock' is not allowed" in on.failures[0]
    assert "hosts=['unix:/run/other.sock']" in on.failures[0]
    for source in (url, endpoint(lambda: url, hosts=["unix:/run/other.sock"])):
        other = stage(source)
        clock.advance(1.0)
        assert other.hosts == ["localhost"]


def test_what_a_server_gave_shows_as_plain_text(stage: MakeStage, clock: VirtualClock) -> None:
    """C32: no marks of direction, and no more than is read."""
    on = stage(lambda: f"ws://a.test/\u202efeed/{'x' * 5000}")
    clock.advance(1.0)
    url = on.of(Opened)[0].url
    assert url.startswith("ws://a.test/\\u202efeed/xxx") and len(url) < 2100
    assert on.network.handshakes[0].path.endswith("x" * 5000)
