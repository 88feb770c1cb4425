"""C5 to C8 on real connections: what a change of credential does to the connection."""

from __future__ import annotations

import threading
import time

import pytest
from deadlines import took, within

from rxsocket import (
    Aborted,
    AuthChange,
    AwaitingAuth,
    Cause,
    Closed,
    ConnectFailed,
    Connecting,
    InEffect,
    Message,
    NotInEffect,
    Opened,
    Overtaken,
    Receipt,
    Rejected,
    Socket,
    Waiting,
    header,
)
from rxsocket.testing import accept, hang, reject, server

from .wire_helpers import Inbox, Watch, quick

pytestmark = pytest.mark.usefixtures("each_loop")

SLACK = 0.15
"""Seconds that a busy machine may take for what should be at once."""


def test_the_old_is_closed_before_the_new_begins() -> None:
    """C5: Closed comes first, nothing of the old after it, and at most one connection is live."""
    with server() as peer:
        socket = Socket(peer.url, auth={"token": "a"})
        watch = Watch(socket)
        watch.wait(Opened)
        peer.push("under a")
        watch.wait(Message)
        assert socket.set_auth({"token": "b"}).result(5) == InEffect(2)
        peer.wait_for(lambda peer: peer.connections == 1)
        peer.push("under b")
        watch.wait(Message, 2)
        socket.close().result(5)
        assert peer.most_open == 1
        peer.wait_for(
            lambda peer: [tuple(left) for left in peer.closes] == [(1, 1000, ""), (2, 1000, "")]
        )
    assert watch.names == [
        *("Connecting", "Opened", "Message", "Closed"),
        *("Connecting", "Opened", "Message", "Closed"),
        "Ended",
    ]
    assert watch.of(Closed)[0] == Closed(epoch=1, sent=1000, cause=Cause.AUTH_CHANGED)
    assert watch.of(Opened)[1].cause is Cause.AUTH_CHANGED
    assert watch.of(Opened)[1].gap is not None


def test_a_mute_peer_delays_the_handshake_by_50_ms() -> None:
    """C5: against a peer that never answers the close the next handshake begins after 50 ms."""
    with server() as peer:
        socket = Socket(peer.url, auth={"token": "a"}, close_timeout=0.5)
        watch = Watch(socket)
        watch.wait(Opened)
        peer.freeze()
        peer.wait_for(lambda peer: "#1 frozen" in peer.history)
        with within(0.05 + SLACK):
            outcome = socket.set_auth({"token": "b"})
            watch.wait(Connecting, 2)
        watch.wait(Opened, 2)
        assert outcome.result(5) == InEffect(2)
        socket.close().result(5)


def test_an_answering_peer_delays_nothing() -> None:
    """C5: the handshake begins as soon as the old peer answered, well before 50 ms."""
    with server() as peer:
        socket = Socket(peer.url, auth={"token": "0"})
        watch = Watch(socket)
        watch.wait(Opened)
        delays: list[float] = []
        for number in range(1, 6):
            # Beyond the 50 ms in which a further change is coalesced (C7).
            assert socket.set_auth({"token": str(number)}).result(5) == InEffect(number + 1)
            delays.append(watch.of(Connecting)[number].at - watch.of(Closed)[number - 1].at)
        socket.close().result(5)
    took(min(delays), 0.04)


def test_a_server_of_one_session_gets_one_more_try() -> None:
    """C5: a refusal while the old close is unanswered is tried once more when that has ended."""
    with server(accept(), reject(401), accept()) as peer:
        socket = Socket(peer.url, auth={"token": "a"}, close_timeout=0.4)
        watch = Watch(socket)
        watch.wait(Opened)
        peer.freeze()
        peer.wait_for(lambda peer: "#1 frozen" in peer.history)
        outcome = socket.set_auth({"token": "b"})
        peer.wait_for(lambda peer: len(peer.handshakes) == 3)
        assert outcome.result(5) == InEffect(3)
        assert [handshake.credential for handshake in peer.handshakes] == ["a", "b", "b"]
        assert not watch.of(AwaitingAuth)
        socket.close().result(5)


def test_a_server_of_one_session_gets_no_third_try() -> None:
    """C5, C9: refused again after the old close has ended, it is refused for good."""
    with server(accept(), reject(401), reject(401)) as peer:
        socket = Socket(peer.url, auth={"token": "a"}, close_timeout=0.4)
        watch = Watch(socket)
        watch.wait(Opened)
        peer.freeze()
        peer.wait_for(lambda peer: "#1 frozen" in peer.history)
        socket.set_auth({"token": "b"})
        watch.wait(AwaitingAuth)
        assert len(peer.handshakes) == 3
        socket.close().result(5)


def test_an_equal_value_makes_no_handshake() -> None:
    """C6: set_auth with an equal value leaves the connection alone and is in effect."""
    with server() as peer:
        socket = Socket(peer.url, auth={"token": "a", "room": ["1", "2"]})
        watch = Watch(socket)
        watch.wait(Opened)
        assert socket.set_auth({"room": ("1", "2"), "token": "a"}).result(5) == InEffect(1)
        peer.push("same connection")
        watch.wait(Message)
        socket.close().result(5)
        assert len(peer.handshakes) == 1


def test_a_burst_from_many_threads_makes_two_handshakes_at_most() -> None:
    """C7: 100 changes within 50 ms from ten threads: two handshakes, the last with the newest."""
    with server() as peer:
        socket = Socket(peer.url, auth={"token": "first"})
        watch = Watch(socket)
        watch.wait(Opened)
        ready = threading.Barrier(10)

        def change(thread: int) -> None:
            ready.wait()
            for number in range(10):
                socket.set_auth({"token": f"{thread}-{number}"})

        threads = [threading.Thread(target=change, args=(number,)) for number in range(10)]
        start = time.monotonic()
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        seconds = time.monotonic() - start
        final = socket.set_auth({"token": "newest"})
        assert isinstance(final.result(5), InEffect)
        assert peer.handshakes[-1].credential == "newest"
        # Each further 50 ms that a busy machine took may cost one more.
        assert len(peer.handshakes) - 1 <= 2 + int(seconds / 0.05)
        socket.close().result(5)


def test_overtaken_changes_say_so() -> None:
    """C7: of changes that follow each other at once the newest wins, the others are overtaken."""
    with server() as peer:
        socket = Socket(peer.url, auth={"token": "a"})
        outcomes: list[Receipt[AuthChange]] = []

        def change() -> None:
            if not outcomes:
                outcomes.extend(socket.set_auth({"token": value}) for value in "bcd")

        watch = Watch(socket, connect=False)
        socket.on_open(change)  # on the loop, where nothing comes between them
        opened = watch.wait(Opened, 2)
        assert outcomes[2].result(5) == InEffect(opened.epoch)
        assert [outcome.result(5) for outcome in outcomes[:2]] == [Overtaken(), Overtaken()]
        socket.close().result(5)


def test_a_change_while_connecting() -> None:
    """C8: a change aborts a handshake that is not answered."""
    with server(hang()) as peer:
        socket = Socket(peer.url, auth={"token": "a"})
        watch = Watch(socket)
        peer.wait_for(lambda peer: len(peer.handshakes) == 1)
        socket.set_auth({"token": "b"})
        assert watch.wait(Opened).epoch == 2
        assert watch.of(Aborted) == [Aborted(epoch=1, cause=Cause.AUTH_CHANGED)]
        assert [handshake.credential for handshake in peer.handshakes] == ["a", "b"]
        socket.close().result(5)


def test_a_change_while_waiting() -> None:
    """C8: a change ends a long wait and dials at once."""
    with server(reject(503, {"Retry-After": "120"})) as peer:
        socket = Socket(peer.url, auth={"token": "a"})
        watch = Watch(socket)
        assert watch.wait(Waiting).delay >= 120.0
        with within(0.05 + SLACK):
            socket.set_auth({"token": "b"})
            watch.wait(Opened)
        socket.close().result(5)


def test_a_change_resets_the_backoff() -> None:
    """C8: after a change the first failure waits as a first failure does."""
    with server(*[reject(503)] * 4) as peer:
        socket = Socket(peer.url, auth={"token": "a"}, backoff=quick())
        watch = Watch(socket)
        watch.wait(Waiting, 3)
        count = len(watch.of(Waiting))
        peer.script(*[reject(503)] * 8)
        socket.set_auth({"token": "b"})
        watch.until(lambda watch: len(watch.of(Waiting)) > count + 1)
        failures = [event.failures for event in watch.of(Waiting)]
        assert 1 in failures[3:]
        socket.close().result(5)
        assert watch.of(ConnectFailed)


@pytest.mark.parametrize("carrier", [None, header()], ids=["query", "header"])
def test_a_change_while_awaiting_auth(carrier: object) -> None:
    """C8, C10: the next credential goes at once, on either carrier, to the same subscribers."""
    with server(tokens={"good"}) as peer:
        socket = Socket(peer.url, auth={"token": "bad"}, carrier=carrier)  # type: ignore[arg-type]
        watch = Watch(socket)
        messages = Inbox()
        socket.messages.subscribe(messages)
        watch.wait(AwaitingAuth)
        assert len(watch.of(Rejected)) == 1
        assert socket.set_auth({"token": "good"}).result(5) == InEffect(2)
        peer.push("welcome back")
        assert messages.wait(1) == ["welcome back"]
        assert [handshake.credential for handshake in peer.handshakes] == ["bad", "good"]
        socket.close().result(5)


@pytest.mark.parametrize("code", [4500, 1011, 1000])
def test_a_server_that_closes_at_once(code: int) -> None:
    """C20: the receipt says so, and does not wait for ever."""
    with server(accept(), *[accept().close(code, "no")] * 50) as peer:
        socket = Socket(peer.url, auth={"token": "a"}, backoff=quick())
        watch = Watch(socket)
        watch.wait(Opened)
        outcome = socket.set_auth({"token": "b"}).result(5)
        assert isinstance(outcome, NotInEffect) and f"{code} 'no'" in outcome.reason
        assert ("the socket ended" in outcome.reason) is (code == 1000)
        socket.close().result(5)
