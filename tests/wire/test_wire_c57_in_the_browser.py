"""C57 on the wire: a page's socket whose bytes go over loopback."""

from __future__ import annotations

import pytest

from rxsocket import Backoff, Closed, ConnectFailed, HandshakeFailed, Opened, Socket, State, Verdict
from rxsocket.testing import Watch, accept, server

pytestmark = pytest.mark.only("browser")


def test_a_token_messages_a_change_a_refusal_and_recovery() -> None:
    """C57: the first story of a socket, on the background thread."""
    with server(tokens={"initial", "updated"}) as feed:
        feed.default = accept().send("hello", b"\x00").echo()
        backoff = Backoff(first=0.05, base=0.05, cap=0.1, spacing=0.02)
        socket = Socket(feed.url, auth={"token": "initial"}, backoff=backoff)
        watch = Watch(socket)
        with socket:
            watch.until(lambda seen: len(seen.messages) >= 2)
            assert watch.messages[:2] == ["hello", b"\x00"]
            socket.set_auth({"token": "updated"}).result(5)
            feed.tokens = {"late"}
            feed.drop()
            failed = watch.wait(ConnectFailed)
            assert isinstance(failed.error, HandshakeFailed)
            assert failed.verdict is Verdict.RECONNECT and failed.status is None
            feed.tokens = {"updated"}
            watch.wait(Opened, 3)
            assert socket.send("there").result(5)
            watch.until(lambda seen: seen.messages[-1] == "there")
        assert socket.state.value is State.CLOSED
        feed.wait_for(lambda here: here.connections == 0)


def test_how_it_ends_on_the_wire() -> None:
    """C57: the server sees our code, and we see its own."""
    with server(accept().close(4321, "moved on")) as feed:
        watch = Watch(Socket(feed.url, backoff=Backoff(first=0.01, cap=0.02, spacing=0.01)))
        with watch.socket as socket:
            watch.wait(Opened, 2)
            socket.close(4001, "done").result(5)
        feed.wait_for(lambda here: (4001, "done") in [tuple(one)[1:] for one in here.closes])
        assert watch.of(Closed)[0].code == 4321
