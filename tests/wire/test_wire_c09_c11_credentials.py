"""C9 to C11 on real connections: refused credentials, what each attempt carries, nobody."""

from __future__ import annotations

import asyncio
import logging
import threading
from typing import Any

import pytest
from internals import Script
from reactivex import Subject
from reactivex.subject import BehaviorSubject, ReplaySubject

from rxsocket import (
    Ask,
    AwaitingAuth,
    Carrier,
    Cause,
    Closed,
    ConnectFailed,
    Connecting,
    InEffect,
    Opened,
    ProviderFailed,
    Reason,
    Refused,
    Rejected,
    Secret,
    Socket,
    SourceFailed,
    State,
    Unauthorized,
    Verdict,
    header,
    query,
)
from rxsocket.testing import accept, reject, server

from .wire_helpers import Inbox, Peer, Watch, frame, quick, raw

REFUSALS: dict[str, Script] = {
    "401": reject(401),
    "403": reject(403),
    "3000": accept().close(3000),
    "3003": accept().close(3003),
    "4401": accept().close(4401, "expired"),
    "4403": accept().close(4403),
    "1008": accept().close(1008, "who are you?"),
}


@pytest.mark.parametrize("name", REFUSALS)
def test_a_refusal_awaits_auth(name: str, caplog: pytest.LogCaptureFixture) -> None:
    """C9: every way to refuse makes one handshake, a warning, and ends no stream."""
    caplog.set_level(logging.WARNING, "rxsocket")
    with server(REFUSALS[name]) as peer:
        socket = Socket(peer.url, auth={"token": "old"}, backoff=quick())
        watch = Watch(socket)
        waiting = watch.wait(AwaitingAuth)
        assert waiting.cause is Cause.REFUSED
        assert name in waiting.reason
        assert socket.state.value is State.AWAITING_AUTH
        refused = (watch.of(Rejected) + watch.of(Closed))[0]
        assert refused.verdict is Verdict.AWAIT_AUTH
        assert isinstance(socket.set_auth({"token": "old"}).result(5), Refused)
        assert len(peer.handshakes) == 1
        log = [record.getMessage() for record in caplog.records]
        assert any(name in line for line in log)
        assert any("set_auth" in line for line in log)
        assert socket.set_auth({"token": "new"}).result(5) == InEffect(2)
        assert not watch.completed
        assert watch.error is None
        socket.close().result(5)


def test_a_refused_static_token_makes_exactly_one_handshake() -> None:
    """C9: of a token that is not let in there is one handshake, also after others came between."""
    with server(tokens={"good"}) as peer:
        socket = Socket(peer.url, auth={"token": "bad"}, backoff=quick())
        watch = Watch(socket)
        watch.wait(AwaitingAuth)
        assert socket.set_auth({"token": "good"}).result(5) == InEffect(2)
        back = socket.set_auth({"token": "bad"}).result(5)
        assert isinstance(back, Refused)
        assert [handshake.credential for handshake in peer.handshakes] == ["bad", "good"]
        socket.close().result(5)


def test_reconnect_tries_a_refused_one_again() -> None:
    """C9: reconnect() is the way to dial a refused value again."""
    with server(reject(401)) as peer:
        socket = Socket(peer.url, auth={"token": "a"})
        watch = Watch(socket)
        watch.wait(AwaitingAuth)
        socket.reconnect()
        watch.wait(Opened)
        assert [handshake.credential for handshake in peer.handshakes] == ["a", "a"]
        socket.close().result(5)


def test_a_provider_is_told_why_and_asked_at_once() -> None:
    """C9: after a refusal the provider is asked again at once, with the status that refused."""
    asked: list[Ask] = []

    def provide(ask: Ask) -> dict[str, str]:
        asked.append(ask)
        return {"token": f"t{len(asked)}"}

    with server(tokens={"t2"}) as peer:
        socket = Socket(peer.url, auth=provide)
        watch = Watch(socket)
        watch.wait(Opened)
        assert [ask.reason for ask in asked] == [Reason.FIRST, Reason.REJECTED]
        assert asked[1].code == 401
        assert [handshake.credential for handshake in peer.handshakes] == ["t1", "t2"]
        socket.close().result(5)


def test_a_provider_that_repeats_a_refused_one_is_not_dialled() -> None:
    """C9: a provider that gives the refused value again causes no second handshake."""
    asked = Inbox()

    async def provide(ask: Ask) -> str:
        asked(ask)
        return "same"

    with server(tokens=set()) as peer:
        socket = Socket(peer.url, auth=provide, backoff=quick())
        watch = Watch(socket)
        watch.wait(AwaitingAuth)
        asked.wait(2)
        assert len(peer.handshakes) == 1
        socket.close().result(5)


CARRIERS: dict[str, Carrier] = {
    "query": query(),
    "header": header(),
    "own header": header("X-Api-Key", scheme=None),
}


@pytest.mark.parametrize("name", CARRIERS)
@pytest.mark.parametrize("asynchronous", [False, True], ids=["sync", "async"])
def test_every_attempt_carries_what_the_provider_says_now(name: str, asynchronous: bool) -> None:
    """C10: for each carrier the provider is asked before each dial, and its answer is sent."""
    count = 0

    def provide() -> str:
        nonlocal count
        count += 1
        return f"v{count}"

    async def provide_later() -> str:
        await asyncio.sleep(0)
        return provide()

    with server(accept().drop(), reject(503)) as peer:
        auth = provide_later if asynchronous else provide
        socket = Socket(peer.url, auth=auth, carrier=CARRIERS[name], backoff=quick())
        watch = Watch(socket)
        watch.wait(Opened, 2)
        carried = [
            handshake.headers.get("X-Api-Key", handshake.credential)
            for handshake in peer.handshakes
        ]
        assert carried == ["v1", "v2", "v3"]
        socket.close().result(5)


def test_what_a_mapping_looks_like_on_the_wire() -> None:
    """C10: lists repeat, None is left out, odd characters arrive as they were meant."""
    value = {"token": Secret("a b&c=d/é~*%"), "room": ["1", "2"], "no": None, "live": True, "n": 7}
    with server() as peer:
        socket = Socket(f"{peer.url}feed?v=2&token=old", auth=value)
        watch = Watch(socket)
        watch.wait(Opened)
        (handshake,) = peer.handshakes
        expected = {"v": "2", "token": "a b&c=d/é~*%", "room": "2", "live": "true", "n": "7"}
        assert handshake.query == expected
        assert handshake.path == "/feed"
        socket.close().result(5)


def test_a_failing_provider_is_an_ordinary_failed_attempt() -> None:
    """C10: what a provider raises is a ConnectFailed; the next attempt asks again."""
    count = 0

    def provide() -> str:
        nonlocal count
        count += 1
        if count == 1:
            raise OSError("the vault is closed")
        return "good"

    with server(tokens={"good"}) as peer:
        socket = Socket(peer.url, auth=provide, backoff=quick())
        watch = Watch(socket)
        failed = watch.wait(ConnectFailed)
        assert isinstance(failed.error, ProviderFailed)
        assert "the vault is closed" in str(failed.error)
        watch.wait(Opened)
        assert len(peer.handshakes) == 1
        socket.close().result(5)


def test_a_slow_provider_is_timed_out_and_its_late_result_discarded() -> None:
    """C10: a provider has auth_timeout; what it gives later goes nowhere."""
    release = threading.Event()
    count = 0

    def provide() -> str:
        nonlocal count
        count += 1
        if count == 1:
            release.wait(10)
            return "late"
        return "good"

    with server() as peer:
        socket = Socket(peer.url, auth=provide, auth_timeout=0.1, backoff=quick())
        watch = Watch(socket)
        assert "0.1 s" in str(watch.wait(ConnectFailed).error)
        watch.wait(Opened)
        release.set()
        peer.push("x")
        assert [handshake.credential for handshake in peer.handshakes] == ["good"]
        socket.close().result(5)


def test_a_provider_that_is_overtaken() -> None:
    """C10: set_auth while a provider hangs goes at once; the late answer goes nowhere."""
    release, entered = threading.Event(), threading.Event()

    def provide() -> str:
        entered.set()
        release.wait(10)
        return "late"

    with server() as peer:
        socket = Socket(peer.url, auth=provide)
        watch = Watch(socket)
        assert entered.wait(5)
        assert socket.set_auth("pushed").result(5) == InEffect(2)
        release.set()
        peer.push("x")
        assert [handshake.credential for handshake in peer.handshakes] == ["pushed"]
        socket.close().result(5)
        assert watch.names[:2] == ["Connecting", "Aborted"]


def test_a_provider_may_give_up() -> None:
    """C10: Unauthorized from a provider awaits auth; set_auth goes on from there."""

    async def provide() -> str:
        raise Unauthorized("log in again")

    with server() as peer:
        socket = Socket(peer.url, auth=provide)
        watch = Watch(socket)
        assert "log in again" in watch.wait(AwaitingAuth).reason
        assert peer.dials == 0
        assert socket.set_auth("fresh").result(5) == InEffect(2)
        socket.close().result(5)


def test_an_observable_is_followed() -> None:
    """C10: the newest value of an Observable is used; its completion is ignored."""
    source: BehaviorSubject[str] = BehaviorSubject("a")
    with server() as peer:
        socket = Socket(peer.url, auth=source)
        watch = Watch(socket)
        watch.wait(Opened)
        source.on_next("b")
        watch.wait(Opened, 2)
        source.on_completed()
        assert socket.set_auth("c").result(5) == InEffect(3)
        assert [handshake.credential for handshake in peer.handshakes] == ["a", "b", "c"]
        socket.close().result(5)


def test_an_observable_that_has_nothing_yet() -> None:
    """C10, C11: without a value there is no dial; the first one connects."""
    source: Subject[str] = Subject()
    with server() as peer:
        socket = Socket(peer.url, auth=source)
        watch = Watch(socket)
        assert watch.wait(AwaitingAuth).cause is Cause.NO_CREDENTIAL
        assert peer.dials == 0
        source.on_next("a")
        watch.wait(Opened)
        assert peer.handshakes[0].credential == "a"
        socket.close().result(5)


def test_an_observable_that_fails_is_reported() -> None:
    """C10: an error of the source, or a value that is no credential, is on errors."""
    source: ReplaySubject[object] = ReplaySubject(1)
    source.on_next("a")
    with server() as peer:
        socket = Socket(peer.url, auth=source)
        problems = Inbox()
        socket.errors.subscribe(problems)
        watch = Watch(socket)
        watch.wait(Opened)
        source.on_next(object())
        source.on_error(OSError("the session store is gone"))
        first, second = problems.wait(2)
        assert isinstance(first, SourceFailed)
        assert isinstance(second.error, OSError)
        assert socket.state.value is State.OPEN
        assert len(peer.handshakes) == 1
        socket.close().result(5)


def test_a_public_feed_connects_without_a_credential() -> None:
    """C11: auth left out is nobody: nothing is added to the handshake."""
    with server(accept().send("tick")) as peer:
        socket = Socket(f"{peer.url}public?x=1")
        messages = Inbox()
        socket.messages.subscribe(messages)
        assert messages.wait(1) == ["tick"]
        (handshake,) = peer.handshakes
        assert handshake.query == {"x": "1"}
        assert "Authorization" not in handshake.headers
        socket.close().result(5)


def test_logging_out_and_in_again() -> None:
    """C11: None closes with 1000 and awaits auth; a later value reconnects the same subscribers."""
    with server() as peer:
        socket = Socket(peer.url, auth="a")
        watch = Watch(socket)
        messages = Inbox()
        socket.messages.subscribe(messages)
        watch.wait(Opened)
        assert socket.set_auth(None).result(5) == InEffect(None)
        assert watch.wait(AwaitingAuth).cause is Cause.LOGGED_OUT
        peer.wait_for(lambda peer: [tuple(left) for left in peer.closes] == [(1, 1000, "")])
        assert socket.set_auth("b").result(5) == InEffect(2)
        peer.push("hello again")
        assert messages.wait(1) == ["hello again"]
        socket.close().result(5)


def test_starting_logged_out() -> None:
    """C11: auth=None makes no handshake until a credential comes."""
    with server() as peer:
        socket = Socket(peer.url, auth=None)
        watch = Watch(socket)
        assert watch.wait(AwaitingAuth).cause is Cause.LOGGED_OUT
        assert peer.dials == 0
        assert not watch.of(Connecting)
        socket.set_auth("a")
        watch.wait(Opened)
        socket.close().result(5)


def test_a_refusal_in_a_message() -> None:
    """C9: ``rejected=`` tells a refusal among the first messages; the next credential is tried."""
    with server(accept().send("no"), accept().send("welcome")) as peer:
        socket = Socket(peer.url, auth="bad", rejected=lambda message: message == "no")
        watch = Watch(socket)
        watch.wait(AwaitingAuth)
        assert socket.set_auth("good").result(5) == InEffect(epoch=2)
        assert [handshake.credential for handshake in peer.handshakes] == ["bad", "good"]
        socket.close().result(5)


@pytest.mark.parametrize("raised", [SystemExit(1), StopIteration()], ids=["exit", "stop"])
@pytest.mark.parametrize("kind", ["plain", "async"])
def test_a_provider_that_exits_takes_nothing_down(raised: BaseException, kind: str) -> None:
    """C10: on the shared thread, too: a failed attempt, and the other sockets go on."""
    answers: list[str | BaseException] = [raised, "good"]

    def provide() -> str:
        answer = answers.pop(0)
        if isinstance(answer, BaseException):
            raise answer
        return answer

    async def provide_async() -> str:
        return provide()

    with server() as peer:
        other = Socket(peer.url)
        watched = Watch(other)
        watched.wait(Opened)
        auth = provide if kind == "plain" else provide_async
        socket = Socket(peer.url, auth=auth, backoff=quick())
        watch = Watch(socket)
        failed = watch.wait(ConnectFailed)
        assert isinstance(failed.error, ProviderFailed)
        watch.wait(Opened)
        assert other.state.value is State.OPEN and len(watched.of(Opened)) == 1
        socket.close().result(5)
        other.close().result(5)


def test_asyncio_in_debug_mode_shows_no_credential(caplog: pytest.LogCaptureFixture) -> None:
    """C28: a handle that asyncio prints, as slow or as failed, has nothing of the answer in it."""
    caplog.set_level(logging.DEBUG)
    texts: list[str] = []

    async def main() -> None:
        loop = asyncio.get_running_loop()
        threadsafe = loop.call_soon_threadsafe

        def spy(*args: Any, **named: Any) -> asyncio.Handle:
            handle = threadsafe(*args, **named)
            texts.append(repr(handle))
            return handle

        loop.call_soon_threadsafe = spy  # type: ignore[method-assign]
        async with Socket(peer.url, auth=lambda: "c4n4ry-4711") as socket:
            opened = asyncio.Event()
            socket.on_open(lambda: opened.set())
            await opened.wait()
            await socket.set_auth("c4n4ry-4712")

    with server() as peer:
        asyncio.run(main(), debug=True)
        assert peer.handshakes[0].credential == "c4n4ry-4711"
    assert texts and not [text for text in [*texts, caplog.text] if "c4n4ry" in text]


def test_a_server_that_refuses_with_400() -> None:
    """C9, C16: as Vite and socket.io do; a server that restarts has another token."""
    good = "one"

    def play(peer: Peer) -> None:
        if f"token={good} ".encode() in peer.request:
            peer.send(peer.answer + frame(f"hello {good}".encode()))
            peer.drain()
        else:
            peer.send(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\nBad Request")

    with raw(play) as peer:
        socket = Socket(peer.url, auth="one", stable_after=0, backoff=quick())
        watch = Watch(socket)
        watch.until(lambda seen: seen.messages == ["hello one"])
        refused = socket.set_auth("wrong").result(5)
        assert isinstance(refused, Refused) and "HTTP 400 'Bad Request'" in refused.reason
        assert socket.state.value is State.AWAITING_AUTH
        assert isinstance(socket.set_auth("one").result(5), InEffect)
        good = "two"
        peer.cut()
        assert watch.wait(ConnectFailed, 3).tolerated  # it may be a deploy
        assert isinstance(socket.set_auth("two").result(5), InEffect)
        assert watch.messages == ["hello one", "hello one", "hello two"]
        socket.close().result(5)


def test_a_session_that_ends_at_a_login_page() -> None:
    """C9, C16: a redirect elsewhere; the next credential brings the same subscribers back."""
    good = b"one"

    def play(peer: Peer) -> None:
        if b"token=" + good in peer.request:
            peer.send(peer.answer + frame(b"hello " + good))
            peer.drain()
        else:
            peer.send(b"HTTP/1.1 302 Found\r\nLocation: https://login.test/\r\n\r\n")

    with raw(play) as peer:
        socket = Socket(peer.url, auth="old", stable_after=0, backoff=quick())
        watch = Watch(socket)
        watch.wait(AwaitingAuth)
        assert isinstance(socket.set_auth("one").result(5), InEffect)
        good = b"two"
        peer.cut()
        assert watch.wait(ConnectFailed, 2).tolerated
        assert isinstance(socket.set_auth("three").result(5), Refused)
        assert isinstance(socket.set_auth("two").result(5), InEffect)
        assert watch.messages == ["hello one", "hello two"]
        socket.close().result(5)
