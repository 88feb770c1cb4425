"""C12 on real connections: credentials fetched ahead of their expiry, and shared."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator
from random import Random
from typing import Any

import pytest

from rxsocket import (
    Ask,
    AwaitingAuth,
    Cause,
    Closed,
    Credential,
    InEffect,
    Opened,
    Reason,
    Refreshing,
    Socket,
    SourceFailed,
    State,
    Unauthorized,
    refreshing,
)
from rxsocket.testing import accept, reject, server

from .wire_helpers import Inbox, Watch, quick


class TokenEndpoint:
    """A token endpoint with rotating refresh tokens: each is good for one call.

    Attributes:
        valid: The access tokens that a server lets in.
        presented: The refresh tokens that were presented, in order.
        most: The most calls that ever ran at a time.
    """

    def __init__(self, life: float = 900.0, takes: float = 0.0) -> None:
        self.life = life
        self.takes = takes
        self.valid: set[str] = set()
        self.presented: list[str] = []
        self.asked: list[Ask] = []
        self.most = 0
        self._running = 0
        self._refresh = "refresh-0"
        self._lock = threading.Lock()

    async def __call__(self, ask: Ask) -> dict[str, Any]:
        with self._lock:
            self._running += 1
            self.most = max(self.most, self._running)
            self.presented.append(self._refresh)
            self.asked.append(ask)
            number = len(self.presented)
        await asyncio.sleep(self.takes)
        with self._lock:
            self._running -= 1
            self._refresh = f"refresh-{number}"
            self.valid.add(f"access-{number}")
        return {
            "access_token": f"access-{number}",
            "token_type": "Bearer",
            "expires_in": self.life,
            "refresh_token": self._refresh,
        }


def credentials(peer: Any) -> list[str | None]:
    return [handshake.credential for handshake in peer.handshakes]


def test_a_connection_follows_a_renewal() -> None:
    """C12: a token that lives 1.5 s is renewed while it lives; the connection changes with it."""
    mint = TokenEndpoint(life=1.5)
    with server() as peer:
        socket = Socket(peer.url, auth=refreshing(mint), stable_after=0.1, backoff=quick())
        watch = Watch(socket)
        second = watch.wait(Opened, 2)
        assert second.cause is Cause.AUTH_CHANGED
        assert credentials(peer)[:2] == ["access-1", "access-2"]
        assert [ask.reason for ask in mint.asked[:2]] == [Reason.FIRST, Reason.EXPIRING]
        assert watch.of(Closed)[0].cause is Cause.AUTH_CHANGED
        socket.close().result(5)


def test_drops_make_no_calls() -> None:
    """C10, C12: while a credential lives each attempt takes it."""
    mint = TokenEndpoint()
    with server(*[accept().drop()] * 5) as peer:
        socket = Socket(peer.url, auth=refreshing(mint), backoff=quick())
        watch = Watch(socket)
        watch.wait(Opened, 6)
        assert credentials(peer) == ["access-1"] * 6
        assert len(mint.asked) == 1
        socket.close().result(5)


def test_a_refusal_brings_another() -> None:
    """C9, C12: a refused credential is replaced at once; the provider is told the status."""
    mint = TokenEndpoint()
    with server(reject(401)) as peer:
        socket = Socket(peer.url, auth=refreshing(mint))
        watch = Watch(socket)
        watch.wait(Opened)
        assert credentials(peer) == ["access-1", "access-2"]
        assert [(ask.reason, ask.code) for ask in mint.asked] == [
            (Reason.FIRST, None),
            (Reason.REJECTED, 401),
        ]
        socket.close().result(5)


def test_fifty_sockets_are_dropped_at_once() -> None:
    """C10, C12: the session is revoked: one call at a time, no used token, all 50 recover."""
    mint = TokenEndpoint(takes=0.1)
    with server() as peer:
        peer.tokens = mint.valid
        tokens = refreshing(mint)
        watches = [Watch(Socket(peer.url, auth=tokens, backoff=quick())) for _ in range(50)]
        for watch in watches:
            watch.wait(Opened, timeout=20.0)
        assert len(mint.presented) == 1
        mint.valid.clear()
        peer.drop()
        for watch in watches:
            watch.wait(Opened, 2, timeout=20.0)
        assert mint.most == 1
        assert mint.presented == ["refresh-0", "refresh-1"]
        sent = "".join(str(seen.query) + str(seen.headers) for seen in peer.handshakes)
        assert "refresh-" not in sent
        for watch in watches:
            watch.socket.close().result(10)


def test_sockets_on_several_loops() -> None:
    """C12, C25: three threads with a loop of their own and the background thread share one."""
    mint = TokenEndpoint(life=1.5, takes=0.05)
    tokens = refreshing(mint)
    opened: dict[str, Inbox] = {name: Inbox() for name in ("one", "two", "three")}
    finish = threading.Event()

    async def use(name: str) -> None:
        socket = Socket(peer.url, auth=tokens, stable_after=0.1, backoff=quick())
        socket.on_open(opened[name])
        await asyncio.to_thread(finish.wait)
        await socket.close()

    with server() as peer:
        threads = [threading.Thread(target=asyncio.run, args=(use(name),)) for name in opened]
        for thread in threads:
            thread.start()
        watch = Watch(Socket(peer.url, auth=tokens, stable_after=0.1, backoff=quick()))
        watch.wait(Opened, 3)
        for inbox in opened.values():
            inbox.wait(3)
        finish.set()
        for thread in threads:
            thread.join()
        watch.socket.close().result(5)
        assert mint.most == 1
        assert len(set(mint.presented)) == len(mint.presented)
        offered = credentials(peer)
        for number in (1, 2):
            assert offered.count(f"access-{number}") == 4


@pytest.mark.parametrize("life", [900.0, 2.0], ids=["asked for", "ahead"])
def test_the_loop_it_began_on_ends(life: float) -> None:
    """C12, C25: the socket that lent its loop is gone; the other one still gets credentials."""
    mint = TokenEndpoint(life)
    tokens = refreshing(mint)
    began, finish = threading.Event(), threading.Event()

    async def use() -> None:
        async with Socket(peer.url, auth=tokens) as socket:
            socket.on_open(lambda: began.set())
            await asyncio.to_thread(finish.wait)

    with server() as peer:
        thread = threading.Thread(target=asyncio.run, args=(use(),))
        thread.start()
        assert began.wait(5)
        socket = Socket(peer.url, auth=tokens, backoff=quick(), stable_after=0.1)
        watch = Watch(socket)
        watch.wait(Opened)
        finish.set()
        thread.join()
        if life == 900.0:
            peer.script(reject(401))
            peer.drop()
            watch.wait(Opened, 2)
            assert credentials(peer) == ["access-1"] * 3 + ["access-2"]
        else:
            watch.wait(Opened, 3)
            assert mint.asked[-1].reason is Reason.EXPIRING
        socket.close().result(5)


def _run(loop: asyncio.AbstractEventLoop) -> None:
    asyncio.set_event_loop(loop)
    loop.run_forever()


@pytest.fixture
def elsewhere() -> Iterator[asyncio.AbstractEventLoop]:
    """A user's loop, on a thread of its own."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=_run, args=(loop,), daemon=True)
    thread.start()
    yield loop
    loop.call_soon_threadsafe(loop.stop)
    thread.join(5)
    loop.close()


async def _opened(url: str, tokens: Refreshing) -> Socket:
    socket = Socket(url, auth=tokens, backoff=quick())
    opened = asyncio.Event()
    socket.on_open(lambda: opened.set())
    await opened.wait()
    return socket


async def _closed(socket: Socket) -> None:
    await socket.close()


@pytest.mark.only("websockets")  # picows binds a connection to the thread that made it
@pytest.mark.parametrize("kind", ["sync", "async"])
@pytest.mark.parametrize("state", ["stopped", "blocked"])
def test_the_loop_it_began_on_does_not_answer(
    state: str, kind: str, elsewhere: asyncio.AbstractEventLoop
) -> None:
    """C12: a loop that its user stopped or blocks holds up no socket of another loop."""
    mint, release, blocked = TokenEndpoint(), threading.Event(), threading.Event()

    def block() -> None:
        blocked.set()
        release.wait(30)

    def provide(ask: Ask) -> dict[str, Any]:
        return asyncio.run(mint(ask))

    tokens = refreshing(mint if kind == "async" else provide)
    with server() as peer:
        first = asyncio.run_coroutine_threadsafe(_opened(peer.url, tokens), elsewhere).result(5)
        if state == "blocked":
            elsewhere.call_soon_threadsafe(block)
            assert blocked.wait(5)
        else:
            elsewhere.call_soon_threadsafe(elsewhere.stop)
        watch = Watch(Socket(peer.url, auth=tokens, backoff=quick()))
        watch.wait(Opened)  # with the current one
        peer.close(4401)
        watch.wait(Opened, 2, timeout=8.0)
        assert credentials(peer)[:2] == ["access-1", "access-1"]
        assert watch.socket.auth.value == Credential.of("access-2")
        assert tokens.calls == 2
        watch.socket.close().result(5)
        release.set()
        if state == "blocked":
            first.close().result(5)
        else:
            while elsewhere.is_running():
                time.sleep(0.01)
            elsewhere.run_until_complete(_closed(first))


def test_a_refresh_ahead_while_the_loop_it_began_on_is_blocked(
    elsewhere: asyncio.AbstractEventLoop,
) -> None:
    """C12: another socket's timer is due, too, and the call is made on its loop."""
    mint, release, blocked = TokenEndpoint(life=2.0), threading.Event(), threading.Event()

    def block() -> None:
        blocked.set()
        release.wait(30)

    tokens = refreshing(mint)
    with server() as peer:
        first = asyncio.run_coroutine_threadsafe(_opened(peer.url, tokens), elsewhere).result(5)
        elsewhere.call_soon_threadsafe(block)
        watch = Watch(Socket(peer.url, auth=tokens, stable_after=0.1, backoff=quick()))
        second = watch.wait(Opened, 2, timeout=8.0)
        assert second.cause is Cause.AUTH_CHANGED
        watch.socket.close().result(5)
        release.set()
        first.close().result(5)


def test_an_async_provider_stays_on_the_loop_that_needed_it_first(
    elsewhere: asyncio.AbstractEventLoop,
) -> None:
    """C12: it may be bound to that loop; sockets of other loops wait for the call there."""
    mint = TokenEndpoint(takes=0.05)
    loops: list[asyncio.AbstractEventLoop] = []

    async def provide(ask: Ask) -> dict[str, Any]:
        loops.append(asyncio.get_running_loop())
        return await mint(ask)

    tokens = refreshing(provide)
    with server() as peer:
        first = asyncio.run_coroutine_threadsafe(_opened(peer.url, tokens), elsewhere).result(5)
        watch = Watch(Socket(peer.url, auth=tokens, backoff=quick()))
        watch.wait(Opened)
        peer.tokens = mint.valid
        for count in (2, 3):
            mint.valid.clear()
            peer.close(4401)
            watch.wait(Opened, count)
        assert loops == [elsewhere] * len(loops) and len(loops) >= 3
        watch.socket.close().result(5)
        first.close().result(5)


def test_one_loop_after_another() -> None:
    """C12, C26: left open at the end of asyncio.run, it begins anew on the next loop."""
    mint = TokenEndpoint()
    tokens = refreshing(mint)

    async def use() -> None:
        socket = Socket(peer.url, auth=tokens)
        opened = asyncio.Event()
        socket.on_open(lambda: opened.set())
        await opened.wait()

    with server() as peer:
        for _ in range(3):
            asyncio.run(use())
        assert credentials(peer) == ["access-1"] * 3
        assert len(mint.asked) == 1


def test_a_blocking_provider() -> None:
    """C10, C12: a plain function that blocks is called on a thread, and once at a time."""
    running, calls = threading.Lock(), 0

    def provide() -> dict[str, Any]:
        nonlocal calls
        assert running.acquire(blocking=False)
        calls += 1
        threading.Event().wait(0.05)
        running.release()
        return {"token": f"t{calls}", "expires_in": 900}

    tokens = refreshing(provide)
    with server() as peer:
        watches = [Watch(Socket(peer.url, auth=tokens)) for _ in range(5)]
        for watch in watches:
            watch.wait(Opened)
        assert credentials(peer) == ["t1"] * 5
        for watch in watches:
            watch.socket.close().result(5)


def test_a_failing_refresh_is_reported_and_harms_nobody() -> None:
    """C12: the connection stays; the failure is on ``errors``, once for each socket."""
    fail = False

    async def provide() -> dict[str, Any]:
        if fail:
            raise OSError("the token server is down")
        return {"token": "good", "expires_in": 2.5}

    tokens = refreshing(provide, random=Random(1))
    with server() as peer:
        watches = [Watch(Socket(peer.url, auth=tokens)) for _ in range(2)]
        problems = [Inbox() for _ in watches]
        for watch, inbox in zip(watches, problems, strict=True):
            watch.socket.errors.subscribe(inbox)
            watch.wait(Opened)
        fail = True
        for inbox in problems:
            (problem,) = inbox.wait(1)
            assert isinstance(problem, SourceFailed)
            assert "the token server is down" in str(problem.error)
        assert all(watch.socket.state.value is State.OPEN for watch in watches)
        assert credentials(peer) == ["good", "good"]
        for watch in watches:
            watch.socket.close().result(5)


def test_unauthorized_parks_every_socket() -> None:
    """C10: the provider gives up: all who share it await auth; ``set_auth`` is for one of them."""

    async def provide() -> str:
        await asyncio.sleep(0.05)
        raise Unauthorized("log in again")

    tokens = refreshing(provide)
    with server() as peer:
        watches = [Watch(Socket(peer.url, auth=tokens)) for _ in range(3)]
        for watch in watches:
            assert "log in again" in watch.wait(AwaitingAuth).reason
        assert peer.dials == 0
        assert watches[0].socket.set_auth("fresh").result(5) == InEffect(2)
        assert credentials(peer) == ["fresh"]
        for watch in watches:
            watch.socket.close().result(5)


def test_set_auth_overtakes_it() -> None:
    """C10: while a call runs, set_auth goes at once; the late answer goes nowhere."""
    release, entered = threading.Event(), threading.Event()

    def provide() -> str:
        entered.set()
        release.wait(10)
        return "late"

    with server() as peer:
        tokens = refreshing(provide)
        socket = Socket(peer.url, auth=tokens, stable_after=0.05)
        watch = Watch(socket)
        assert entered.wait(5)
        assert socket.set_auth("pushed").result(5) == InEffect(2)
        late = Inbox()
        subscription = tokens.subscribe(late)
        release.set()
        late.wait(1)  # the socket, which is older than this subscriber, was told before
        assert credentials(peer) == ["pushed"]
        subscription.dispose()
        socket.close().result(5)
        assert watch.names[:2] == ["Connecting", "Aborted"]


def test_it_prints_masked(capsys: pytest.CaptureFixture[str]) -> None:
    """C12, C28: subscribed to in a plain script it works on a background thread; no text shows."""
    printed = threading.Event()
    tokens = refreshing(lambda: {"token": "hunter2", "expires_in": 900})
    subscription = tokens.subscribe(lambda value: (print(value), printed.set()))
    assert printed.wait(5)
    assert ": 1 observer>" in repr(tokens)
    subscription.dispose()
    assert capsys.readouterr().out == "Credential(token=***)\n"


def test_tokens_that_live_two_seconds() -> None:
    """C12: a server that cuts each connection when its token expires never has to."""
    endpoint = TokenEndpoint(life=2.0)
    cut = accept().wait(2.0).close(4401, "expired")
    with server(*[cut] * 20) as peer:
        socket = Socket(peer.url, auth=refreshing(endpoint, random=Random(1)))
        watch = Watch(socket)
        watch.wait(Opened, 4)
        assert {closed.cause for closed in watch.of(Closed)} == {Cause.AUTH_CHANGED}
        assert [opened.attempts for opened in watch.of(Opened)] == [1] * 4
        socket.close().result(5)
