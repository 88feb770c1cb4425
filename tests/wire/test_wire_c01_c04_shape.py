"""C1 to C4 on real connections: sharing, the grammar, what ends a stream, late subscribers."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

import pytest
from reactivex import abc
from reactivex import operators as ops

from rxsocket import (
    Aborted,
    Cause,
    Closed,
    ConnectFailed,
    Connecting,
    Dropped,
    Ended,
    Message,
    NotConnected,
    Opened,
    Socket,
    SocketFailed,
    State,
    Stored,
    Verdict,
)
from rxsocket.testing import accept, hang, reject, server

from .wire_helpers import Inbox, Watch, quick


def ignore(_: object = None) -> None:
    """Take a value and do nothing."""


CONNECTING: dict[str, Callable[[Socket], abc.DisposableBase]] = {
    "messages": lambda socket: socket.messages.subscribe(ignore),
    "opens": lambda socket: socket.opens.subscribe(ignore),
    "closes": lambda socket: socket.closes.subscribe(ignore),
    "sessions": lambda socket: socket.sessions.subscribe(ignore),
    "events": lambda socket: socket.events.subscribe(ignore),
    "on_open": lambda socket: socket.on_open(ignore),
    "on_close": lambda socket: socket.on_close(ignore),
    "on_message": lambda socket: socket.on_message(ignore),
    "connect": lambda socket: socket.connect(),
}


@pytest.mark.parametrize("name", CONNECTING)
def test_what_connects(name: str) -> None:
    """C1: each of these opens the one connection, and leaving closes it with 1000."""
    with server() as peer:
        socket = Socket(peer.url)
        states = Inbox()
        socket.state.subscribe(states)
        holding = CONNECTING[name](socket)
        assert states.wait(3) == [State.IDLE, State.CONNECTING, State.OPEN]
        holding.dispose()
        peer.wait_for(lambda peer: [tuple(left) for left in peer.closes] == [(1, 1000, "")])
        assert socket.state.value is State.IDLE


def test_with_connects_and_leaving_it_closes() -> None:
    """C1: ``with`` holds the connection for its block."""
    with server() as peer:
        with Socket(peer.url) as socket:
            states = Inbox()
            socket.state.subscribe(states)
            states.until(lambda values: State.OPEN in values)
        peer.wait_for(lambda peer: [tuple(left) for left in peer.closes] == [(1, 1000, "")])
        assert socket.state.value is State.CLOSED


def test_making_and_looking_start_nothing() -> None:
    """C1: neither a new socket nor subscribing to state, errors or auth starts anything."""
    before = set(threading.enumerate())
    with server() as peer:
        mine = set(threading.enumerate())
        socket = Socket(peer.url, auth={"token": "a"})
        seen = Inbox()
        for stream in (socket.state, socket.errors, socket.auth):
            stream.subscribe(seen)
        socket.on_error(ignore)
        assert seen.values == [State.IDLE, socket.auth.value]
        assert set(threading.enumerate()) == mine
        assert peer.dials == 0
        socket.close()
        assert set(threading.enumerate()) == mine
    assert set(threading.enumerate()) == before


def test_all_share_one_connection_until_the_last_leaves() -> None:
    """C1: three subscribers make one handshake; only the last one's leaving closes."""
    with server() as peer:
        socket = Socket(peer.url)
        inboxes = [Inbox() for _ in range(3)]
        holding = [socket.messages.subscribe(inbox) for inbox in inboxes]
        peer.wait_for(lambda peer: peer.connections == 1)
        peer.push("to all")
        for inbox in inboxes:
            assert inbox.wait(1) == ["to all"]
        holding[0].dispose()
        holding[1].dispose()
        peer.push("to the last")
        assert inboxes[2].wait(2) == ["to all", "to the last"]
        assert not peer.closes
        holding[2].dispose()
        peer.wait_for(lambda peer: len(peer.closes) == 1)
        assert len(peer.handshakes) == 1
        assert inboxes[0].values == ["to all"]


def test_linger_bridges_a_change_of_subscribers() -> None:
    """C1: within ``linger`` seconds a next subscriber finds the same connection."""
    with server() as peer:
        socket = Socket(peer.url, linger=5.0)
        socket.messages.subscribe(ignore).dispose()
        inbox = Inbox()
        holding = socket.messages.subscribe(inbox)
        peer.wait_for(lambda peer: peer.connections == 1)
        peer.push("still there")
        inbox.wait(1)
        holding.dispose()
        socket.close().result(5)
        assert len(peer.handshakes) == 1


def test_the_last_one_leaving_lingers() -> None:
    """C1: the connection is closed ``linger`` seconds after the last one left, not before."""
    with server() as peer:
        socket = Socket(peer.url, linger=0.2)
        inbox = Inbox()
        holding = socket.messages.subscribe(inbox)
        peer.wait_for(lambda peer: peer.connections == 1)
        left = time.monotonic()
        holding.dispose()
        peer.wait_for(lambda peer: len(peer.closes) == 1)
        assert time.monotonic() - left >= 0.15


def test_a_life_keeps_to_the_grammar() -> None:
    """C2: each way for an epoch to go, one after another, is told in the grammar's order."""
    scripts = (reject(503), accept().send("m").drop(), accept().close(1012), hang())
    with server(*scripts) as peer:
        socket = Socket(peer.url, backoff=quick())
        watch = Watch(socket)
        peer.wait_for(lambda peer: len(peer.handshakes) == 4)
        watch.wait(Connecting, 4)
        socket.reconnect()
        watch.wait(Opened, 3)
        socket.close().result(5)
    told = [name for name in watch.names if name != "Waiting"]
    assert told == [
        *("Connecting", "ConnectFailed"),
        *("Connecting", "Opened", "Message", "Closed"),
        *("Connecting", "Opened", "Closed"),
        *("Connecting", "Aborted"),
        *("Connecting", "Opened", "Closed", "Ended"),
    ]
    assert watch.of(Aborted) == [Aborted(epoch=4, cause=Cause.RECONNECT)]
    assert watch.of(Closed)[-1] == Closed(epoch=5, code=None, sent=1000, cause=Cause.CLOSE)
    assert [event.epoch for event in watch.of(Connecting)] == [1, 2, 3, 4, 5]


def test_what_goes_wrong_is_a_value() -> None:
    """C3: after a refused handshake, a drop and an odd close the same subscriber gets messages."""
    scripts = (reject(503), accept().drop(), accept().close(1011, "oops"), accept().send("at last"))
    with server(*scripts) as peer:
        socket = Socket(peer.url, backoff=quick())
        problems, messages = Inbox(), Inbox()
        socket.errors.subscribe(problems)
        holding = socket.messages.subscribe(messages)
        assert messages.wait(1) == ["at last"]
        assert [type(problem).__name__ for problem in problems.values] == [
            "ConnectFailed",
            "Closed",
            "Closed",
        ]
        holding.dispose()
        socket.close().result(5)


def test_the_peers_1000_completes() -> None:
    """C3, C16: the peer's 1000 completes the streams."""
    with server(accept().send("the end").close(1000, "done")) as peer:
        watch = Watch(Socket(peer.url))
        watch.ended()
        assert watch.completed
        closed, ended = watch.of(Closed)[0], watch.of(Ended)[0]
        assert closed == Closed(epoch=1, code=1000, reason="done", verdict=Verdict.COMPLETE)
        assert ended.verdict is Verdict.COMPLETE
        assert watch.of(Message)[0].data == "the end"


def test_clean_close_reconnect_goes_on() -> None:
    """C3: a feed that closes with 1000 but goes on is followed when the user says so."""
    with server(accept().close(1000)) as peer:
        socket = Socket(peer.url, clean_close="reconnect", backoff=quick())
        watch = Watch(socket)
        watch.wait(Opened, 2)
        socket.close().result(5)


@pytest.mark.only("websockets", "picows")
def test_what_can_never_succeed_fails_and_can_be_started_again() -> None:
    """C3: HTTP 400 fails the streams; a new subscriber starts afresh, with what was stored."""
    with server(reject(400)) as peer:
        socket = Socket(peer.url)
        watch = Watch(socket)
        watch.ended()
        assert isinstance(watch.error, SocketFailed)
        assert "400" in str(watch.error)
        assert socket.state.value is State.CLOSED
        assert socket.set_auth({"token": "later"}).result(5) == Stored()
        again = Watch(socket)
        assert again.wait(Opened).epoch == 2
        assert peer.handshakes[-1].credential == "later"
        socket.close().result(5)


@pytest.mark.only("websockets", "picows")
@pytest.mark.parametrize(
    ("host", "hint"),
    [
        ("no-such-host.invalid", "check the host name in the URL"),
        ("127.0.0.1:1", "check that the server runs, and the port in the URL"),
    ],
)
def test_a_mistyped_host_is_no_silence(
    host: str, hint: str, caplog: pytest.LogCaptureFixture
) -> None:
    """C3: a wrong name or port gives ConnectFailed, one WARNING within a second, and what to do."""
    caplog.set_level(logging.WARNING, "rxsocket")
    socket = Socket(f"ws://{host}/feed", backoff=quick())
    watch = Watch(socket)
    failed = watch.wait(ConnectFailed, timeout=1.0)
    assert isinstance(failed.error, OSError)
    watch.wait(ConnectFailed, 3)
    watch.until(lambda _: hint in str(socket.explain()))  # it says so while it waits
    socket.close().result(5)
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    assert host.partition(":")[0] in record.getMessage()
    assert hint in record.getMessage()
    assert isinstance(failed.error, OSError) and failed.error.strerror is not None
    assert failed.error.strerror in record.getMessage()


def test_a_late_subscriber_gets_the_state() -> None:
    """C4: the state comes at once, and its changes after it."""
    with server() as peer:
        socket = Socket(peer.url)
        watch = Watch(socket)
        watch.wait(Opened)
        states = Inbox()
        socket.state.subscribe(states)
        assert states.wait(1) == [State.OPEN]
        socket.close().result(5)
        assert states.values[-1] is State.CLOSED


def test_a_welcome_is_not_lost_to_a_race() -> None:
    """C4: what came before anybody subscribed to payloads goes to the first who does."""
    with server(accept().send("welcome", "rules")) as peer:
        socket = Socket(peer.url)
        holding = socket.connect()
        peer.wait_for(lambda peer: peer.connections == 1)
        first, second = Inbox(), Inbox()
        socket.messages.subscribe(first)
        assert first.wait(2) == ["welcome", "rules"]
        socket.messages.subscribe(second)
        peer.push("to both")
        assert second.wait(1) == ["to both"]
        holding.dispose()
        socket.close().result(5)


def test_too_long_a_welcome_is_dropped_whole_and_counted() -> None:
    """C4: past 256 messages all that were held are dropped, with one event; what follows is new."""
    with server(accept().send(*[str(number) for number in range(300)])) as peer:
        socket = Socket(peer.url)
        problems = Inbox()
        socket.errors.subscribe(problems)
        holding = socket.connect()
        (dropped,) = problems.wait(1)
        assert isinstance(dropped, Dropped) and dropped.epoch == 1 and 256 < dropped.count <= 300
        peer.wait_for(lambda peer: peer.connections == 1)
        messages = Inbox()
        socket.messages.subscribe(messages)
        peer.push("later")
        messages.until(lambda values: "later" in values)
        assert dropped.count + len(messages.values) <= 301
        assert len(problems.values) == 1
        holding.dispose()
        socket.close().result(5)


def test_a_session_holds_its_own_messages() -> None:
    """C4: a session gives what came before anybody subscribed to it, also when it is over."""
    with server(accept().send("one", "two").drop(), accept().send("three")) as peer:
        socket = Socket(peer.url, backoff=quick())
        sessions = Inbox()
        socket.sessions.subscribe(sessions)
        first, second = sessions.wait(2)
        old, new = Inbox(), Inbox()
        first.subscribe(old)
        second.subscribe(new)
        assert old.wait(2) == ["one", "two"]
        assert new.wait(1) == ["three"]
        socket.close().result(5)


def test_what_was_closed_stays_closed(transport: str) -> None:
    """C1: until something is to hold it open, whatever only uses it, and however often."""
    with server() as peer:
        peer.default = accept().send("hello").echo()
        socket = Socket(peer.url, transport=transport)
        seen, errors = Inbox(), Inbox()
        socket.messages.pipe(ops.repeat(), ops.retry()).subscribe()
        socket.messages.pipe(ops.repeat()).subscribe(seen, errors)
        seen.wait(1)
        socket.close().result(5)
        assert [type(error) for error in errors.wait(1)] == [NotConnected]
        for _ in range(2):
            with pytest.raises(NotConnected):
                socket.send("a").result(5)
            with pytest.raises(NotConnected):
                socket.request("b", match=bool).run()
        assert (socket.state.value, len(peer.handshakes)) == (State.CLOSED, 1)
        with socket:
            assert socket.send("a").result(5).epoch == 2
