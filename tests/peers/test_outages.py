"""C3, C9, C16: after an outage the same subscribers get messages again; nobody pressed anything.

Real servers and proxies run with ``--full``, where they are installed; each has a scripted twin.
"""

from __future__ import annotations

import random
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import pytest
from faults.server_process import BadProxy, Process
from internals import use_transport
from ports import free_port
from wire.wire_helpers import Inbox, Peer, Watch, frame, raw

from rxsocket import (
    AwaitingAuth,
    Backoff,
    ConnectFailed,
    Ended,
    InEffect,
    Opened,
    Refused,
    Rejected,
    Socket,
    State,
)

from .real_servers import haproxy, nginx, node

pytestmark = [
    pytest.mark.slow,  # scripted servers do the same by default
    pytest.mark.skipif(sys.platform == "win32", reason="there are no pipes to wait for"),
]

MANY = 8
"""Attempts that fail; five in a row end a socket that was never stable."""


@pytest.fixture(params=["websockets", "picows"], autouse=True)
def transport(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Both of them."""
    name: str = request.param
    pytest.importorskip(name)
    use_transport(monkeypatch, name)
    return name


class Backend:
    """A server that sends all the time, until it is killed."""

    def __init__(self) -> None:
        self.port = free_port()
        self.start()

    def start(self) -> None:
        self._process = Process(port=self.port)
        self._process.ask(do="tick", every=0.02)

    def drop(self) -> None:
        self._process.ask(do="drop")

    def kill(self) -> None:
        if self._process.alive:
            self._process.kill()


@pytest.fixture
def backend() -> Iterator[Backend]:
    """What is behind a proxy."""
    made = Backend()
    yield made
    made.kill()


class Outage:
    """A proxy before a server: how an outage begins and ends."""

    def __init__(self, url: str, begin: Callable[[], object], end: Callable[[], object]) -> None:
        self.url, self.begin, self.end = url, begin, end


@contextmanager
def scripted_nginx(folder: Path, backend: Backend, status: str) -> Iterator[Outage]:
    proxy = BadProxy(("127.0.0.1", backend.port))

    def begin() -> None:
        proxy.answer = f"HTTP/1.1 {status} No\r\nContent-Length: 2\r\n\r\nNo".encode()
        backend.drop()

    def end() -> None:
        proxy.answer = None

    try:
        yield Outage(proxy.url, begin, end)
    finally:
        proxy.stop()


@contextmanager
def real_nginx(folder: Path, backend: Backend, status: str) -> Iterator[Outage]:
    with nginx(folder, backend.port) as proxy:

        def begin() -> None:
            proxy.answer(status)
            backend.drop()

        yield Outage(proxy.url, begin, proxy.pass_on)


@contextmanager
def scripted_tcp_proxy(folder: Path, backend: Backend, status: str) -> Iterator[Outage]:
    proxy = BadProxy(("127.0.0.1", backend.port))
    try:
        yield Outage(proxy.url, backend.kill, backend.start)
    finally:
        proxy.stop()


@contextmanager
def real_haproxy(folder: Path, backend: Backend, status: str) -> Iterator[Outage]:
    with haproxy(folder, backend.port) as url:
        yield Outage(url, backend.kill, backend.start)


Kind = Callable[[Path, Backend, str], AbstractContextManager[Outage]]
SCRIPTED: list[Any] = [(scripted_tcp_proxy, "")]
SCRIPTED += [(scripted_nginx, status) for status in ("502", "403", "404")]
REAL: list[Any] = [(real_haproxy, "")]
REAL += [(real_nginx, status) for status in ("502", "403", "404")]


@pytest.mark.parametrize(
    ("kind", "status"), [*SCRIPTED, *(pytest.param(*one, marks=pytest.mark.slow) for one in REAL)]
)
def test_a_proxy_whose_server_is_away(
    kind: Kind, status: str, backend: Backend, tmp_path: Path
) -> None:
    """C3, C9, C16: a stable connection, an outage, and messages for the same subscriber."""
    quick = Backoff(
        first=0.01, base=0.01, cap=0.05, spacing=0.0, refused_retry=0.05, random=random.Random(1)
    )
    many = 3 if status == "403" else MANY  # a refused credential waits longer each time
    with kind(tmp_path, backend, status) as outage:
        goes_on(outage, quick, lambda watch: len(failures(watch)) >= many)


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_haproxy_with_its_server_down_for_75_seconds(backend: Backend, tmp_path: Path) -> None:
    """C16: with the backoff as it is by default, too."""
    with real_haproxy(tmp_path, backend, "") as outage:
        goes_on(outage, Backoff(), None, seconds=75.0)


def failures(watch: Watch) -> list[ConnectFailed | Rejected]:
    """The attempts that failed."""
    return [*watch.of(ConnectFailed), *watch.of(Rejected)]


def refusals(watch: Watch) -> list[ConnectFailed | Rejected]:
    """Those of a server that answers 400."""
    return [failed for failed in failures(watch) if failed.status == 400]


def goes_on(
    outage: Outage,
    backoff: Backoff,
    enough: Callable[[Watch], object] | None,
    seconds: float = 20.0,
) -> None:
    """Subscribe once; get messages before and after."""
    socket = Socket(outage.url, auth={"token": "good"}, backoff=backoff, stable_after=0.1)
    watch, inbox = Watch(socket), Inbox()
    socket.messages.subscribe(inbox)
    inbox.wait(20)  # one comes every 20 ms
    outage.begin()
    if enough is None:
        threading.Event().wait(seconds)
    else:
        watch.until(enough, timeout=seconds)
    outage.end()
    watch.until(lambda watch: len(watch.of(Opened)) >= 2, timeout=60.0)
    seen = len(inbox.values)
    inbox.wait(seen + 5)
    assert not watch.of(Ended)
    socket.close().result(5)


class Guarded:
    """A server that takes one token, and answers 400 to each other one.

    Attributes:
        url: Where to connect to.
        token: What it takes.
    """

    def __init__(self, url: str, token: str, restart: Callable[[], str]) -> None:
        self.url, self.token, self.restart = url, token, restart


@contextmanager
def scripted_guard() -> Iterator[Guarded]:
    tokens = ["first"]
    peers: list[Peer] = []

    def play(peer: Peer) -> None:
        if f"token={tokens[-1]}".encode() not in peer.request:
            peer.send(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n")
            return
        peers.append(peer)
        peer.send(peer.answer + frame(b"connected"))
        peer.drain()

    def restart() -> str:
        tokens.append("second")
        for peer in peers:
            peer.cut()
        return tokens[-1]

    with raw(play) as served:
        yield Guarded(served.url, tokens[0], restart)


@contextmanager
def vite() -> Iterator[Guarded]:
    """Its token is another one at each start."""
    with restarted("vite", "vite_server.mjs", "") as guarded:
        yield guarded


@contextmanager
def socket_io() -> Iterator[Guarded]:
    """``allowRequest`` with a token in the query, as its documentation has it."""
    path = "socket.io/?EIO=4&transport=websocket"
    with restarted("socket.io", "socket_io_server.mjs", path, ["first"], ["second"]) as guarded:
        yield guarded


@contextmanager
def restarted(
    package: str, script: str, path: str, first: list[str] | None = None, second: Any = None
) -> Iterator[Guarded]:
    port = free_port()
    running = [node(package, script, port, *(first or ()))]

    def restart() -> str:
        running[-1].__exit__(None, None, None)
        running.append(node(package, script, port, *(second or ())))
        return running[-1].__enter__()

    token = running[-1].__enter__()
    try:
        yield Guarded(f"ws://127.0.0.1:{port}/{path}", token, restart)
    finally:
        running[-1].__exit__(None, None, None)


@pytest.mark.timeout(120)
@pytest.mark.parametrize(
    "kind",
    [
        scripted_guard,
        pytest.param(vite, marks=pytest.mark.slow),
        pytest.param(socket_io, marks=pytest.mark.slow),
    ],
)
def test_a_server_that_answers_400_to_a_wrong_token(
    kind: Callable[[], AbstractContextManager[Guarded]],
) -> None:
    """C9: it awaits another one; when the token changed with a restart, the new one is taken.

    The old one, which was good, may be tried on meanwhile (C16).
    """
    with kind() as server:
        quick = Backoff(first=0.01, base=0.01, cap=0.05, spacing=0.0, refused_retry=None)
        # Vite asks nobody for a token who is not on a page.
        page: Any = {"subprotocols": ["vite-hmr"], "origin": "http://127.0.0.1"}
        socket = Socket(
            server.url,
            auth={"token": server.token},
            backoff=quick,
            stable_after=0.1,
            **(page if kind is vite else {}),
        )
        inbox = Inbox()
        socket.messages.subscribe(inbox)  # before the watch, which would take what is held
        watch = Watch(socket)
        inbox.wait(1)

        assert isinstance(socket.set_auth({"token": "wrong"}).result(10), Refused)
        watch.wait(AwaitingAuth)
        assert socket.state.value is State.AWAITING_AUTH
        assert isinstance(socket.set_auth({"token": server.token}).result(10), InEffect)
        inbox.wait(2)

        seen = len(refusals(watch))
        token = server.restart()
        watch.until(lambda watch: len(refusals(watch)) > seen, timeout=30.0)
        assert isinstance(socket.set_auth({"token": token}).result(10), InEffect)
        inbox.wait(3)
        assert not watch.of(Ended)
        socket.close().result(5)
