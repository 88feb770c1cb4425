"""C48 against the real Socket.IO 4: events, bytes, namespaces, refusals and restarts."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from ports import free_port
from wire.wire_helpers import Inbox, Watch, quick

from rxsocket import AwaitingAuth, Closed, InEffect, Opened, Refused, Rejected, State
from rxsocket.protocols import NamespaceRefused, SocketIO, socket_io

from .real_servers import node

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]


class Server:
    """The server of ``socket_io_events_server.mjs``; it may be started again at its port.

    Attributes:
        url: Its address.
    """

    def __init__(self, **options: Any) -> None:
        self._options = json.dumps(options)
        self._port = free_port()
        self._running = ExitStack()
        self.url = f"http://127.0.0.1:{self._port}"

    def start(self, *tokens: str) -> None:
        script = "socket_io_events_server.mjs"
        serving = node("socket.io", script, self._port, ",".join(tokens), self._options)
        self._running.enter_context(serving)

    def stop(self) -> None:
        self._running.close()


@pytest.fixture
def server() -> Iterator[Server]:
    """One that takes two tokens, and pings every 0.3 s."""
    server = Server()
    server.start("good", "other")
    yield server
    server.stop()


def client(server: Server, **options: Any) -> SocketIO:
    options = {"auth": {"token": "good", "role": "admin"}, "backoff": quick(), **options}
    return socket_io(server.url, **options)


def test_events_answers_and_bytes_both_ways(server: Server) -> None:
    io = client(server)
    said, told, welcome = Inbox(), Inbox(), Inbox()
    io.on("welcome").subscribe(welcome)
    io.on("said").subscribe(said)
    io.on("told").subscribe(told)
    assert welcome.wait(1) == [("good", False)]
    data = {"image": [b"\x00\xff", {"more": b""}], "text": "é", "number": 1.5}
    io.emit("say", data, b"last").result(5)
    assert said.wait(1) == [(data, b"last")]
    assert io.emit_with_ack("echo", data, None).run() == (data, None)
    assert io.emit_with_ack("echo", 7, type=int).run() == 7
    io.answer("version", lambda name: (name, b"1.4"))
    io.emit("ask", "kernel")
    assert told.wait(1) == [("kernel",)]
    io.socket.close().result(5)


def test_it_stays_connected_by_answering_pings(server: Server) -> None:
    """The server hangs up on who is silent for 0.6 s."""
    io = client(server, ping_interval=None)
    with io.socket:
        pings = Inbox()
        io.socket.messages.subscribe(lambda packet: packet.kind.name == "PING" and pings(packet))
        pings.wait(5)
        assert len(Watch(io.socket).of(Closed)) == 0
        assert io.socket.stats.connections == 1


def test_another_credential_and_a_refused_one(server: Server) -> None:
    """C9: with the server's words; the same subscriber goes on."""
    io = client(server)
    watch, welcome = Watch(io.socket), Inbox()
    io.on("welcome").subscribe(welcome)
    welcome.wait(1)
    refused = io.socket.set_auth({"token": "bad"}).result(10)
    assert isinstance(refused, Refused)
    assert refused.reason == "the server refused the namespace /: no such token"
    assert watch.wait(Rejected).error.data == {"code": 17}  # type: ignore[attr-defined]
    watch.wait(AwaitingAuth)
    assert isinstance(io.socket.set_auth({"token": "other"}).result(10), InEffect)
    assert welcome.wait(2)[1] == ("other", False)
    io.socket.close().result(5)


def test_a_server_that_restarts(server: Server) -> None:
    """Namespaces are connected anew, and what is emitted to one waits for that."""
    io = client(server)
    watch, welcome, echoes = Watch(io.socket), Inbox(), Inbox()
    io.on("welcome").subscribe(welcome)
    admin = io.namespace("/admin")
    admin.on("echo").subscribe(echoes)
    assert admin.emit("echo", 1).result(10).epoch == 1
    echoes.wait(1)
    server.stop()
    watch.wait(Closed)
    late = admin.emit("echo", 2)
    server.start("good")
    opened = watch.wait(Opened, 2, 20.0)
    assert late.result(10).epoch == opened.epoch
    assert echoes.wait(2) == [(1,), (2,)]
    assert len(watch.of(Closed)) == 1
    io.socket.close().result(5)


def test_namespaces(server: Server) -> None:
    """C22: refused, left by the server and used again, on one connection."""
    io = client(server, auth={"token": "good"})
    watch, failed = Watch(io.socket), Inbox()
    admin = io.namespace("/admin")
    admin.on("echo").subscribe(on_error=failed)
    (error,) = failed.wait(1)
    assert isinstance(error, NamespaceRefused) and error.data == {"code": 18}
    assert str(error) == "the server refused the namespace /admin: admins only"
    with pytest.raises(NamespaceRefused, match="Invalid namespace"):
        io.namespace("/nowhere").emit("a").result(10)
    io.socket.set_auth({"token": "good", "role": "admin"}).result(10)
    for number in range(3):  # the last user leaves each time
        assert admin.emit_with_ack("echo", number, b"x").run() == (number, b"x")
    admin.on("echo").subscribe(on_error=failed)
    admin.emit("kick").result(10)
    assert "disconnected the namespace /admin" in str(failed.wait(2)[1])
    assert admin.emit_with_ack("echo", 4).run() == (4,)
    assert len(watch.of(Opened)) == 2
    io.socket.close().result(5)


def test_a_client_that_is_thrown_out(server: Server) -> None:
    """At once it is refused; later it is done."""
    io = client(server, stable_after=0.0)
    completed = Inbox()
    io.on("said").subscribe(on_completed=completed)
    io.socket.opened(10)
    io.emit("kick").result(5)
    completed.wait(1)
    assert io.socket.state.value is State.CLOSED
    early = client(server)
    watch = Watch(early.socket)  # before what it is to see
    early.on("said").subscribe()
    early.emit("kick").result(5)
    watch.wait(AwaitingAuth)
    early.socket.close().result(5)


def test_what_was_missed_is_sent_again() -> None:
    """C38: connection state recovery, after the link was cut."""
    server = Server(connectionStateRecovery={"maxDisconnectionDuration": 60_000})
    server.start("good")
    try:
        io = client(server)
        watch, said, welcome = Watch(io.socket), Inbox(), Inbox()
        io.on("said").subscribe(said)
        io.on("welcome").subscribe(welcome)
        io.emit("say", 1)
        said.wait(1)
        io.emit("later", 2)
        io.emit("drop")
        watch.wait(Opened, 2)
        assert [args[0] for args in said.wait(2)] == [1, 2]
        assert [args[1] for args in welcome.values] == [False, True]
        io.socket.close().result(5)
    finally:
        server.stop()
