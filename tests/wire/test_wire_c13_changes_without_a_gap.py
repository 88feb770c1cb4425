"""C13 on real connections: a stream of numbers over many changes of the credential."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import pairwise
from statistics import median
from typing import Any

import pytest
from internals import Server

from rxsocket import (
    Closed,
    InEffect,
    Opened,
    Refused,
    RenewalFailed,
    Socket,
    first_message,
    handover,
    in_band,
)
from rxsocket.testing import accept, reject, server

from .wire_helpers import Watch


def same(_: Any) -> str:
    """One and the same identity, whatever the credential."""
    return "the same"


@contextmanager
def numbers(peer: Server) -> Iterator[Callable[[], int]]:
    """Send 0, 1, 2 … to all connections of the server, 1,000 a second; gives the next one."""
    done = threading.Event()
    count = 0

    def run() -> None:
        nonlocal count
        start = time.monotonic()
        while not done.is_set():
            due = int((time.monotonic() - start) * 1000)
            while count < due:
                peer.push(str(count))
                count += 1
            done.wait(0.001)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield lambda: count
    finally:
        done.set()
        thread.join()


@pytest.mark.parametrize("changes", [30, pytest.param(200, marks=pytest.mark.slow)])
def test_handovers_lose_nothing(changes: int) -> None:
    """1,000 numbers a second over many changes: none missing, none twice, in order."""
    received: list[int] = []
    strategy = handover(dedupe=int)
    with server() as peer:
        socket = Socket(peer.url, auth={"token": "t0"}, on_auth_change=strategy, identity=same)
        watch = Watch(socket)
        socket.messages.subscribe(lambda message: received.append(int(message)))
        watch.wait(Opened)
        with numbers(peer) as sent:
            for change in range(1, changes + 1):
                outcome = socket.set_auth({"token": f"t{change}"}).result(10)
                assert outcome == InEffect(change + 1)
            last = sent()
            watch.until(lambda _: received[-1] > last)
        socket.close().result(5)
        tokens = [handshake.credential for handshake in peer.handshakes]
    assert tokens == [f"t{number}" for number in range(changes + 1)]
    assert received == list(range(received[0], received[-1] + 1))
    assert [event.gap for event in watch.of(Opened)][1:] == [0.0] * changes
    assert {event.code for event in watch.of(Closed)} == {None}


def test_a_reconnect_says_how_long_the_gap_was() -> None:
    """What Opened says and how many numbers are missing agree to 50 ms, in all and by the median.

    Not by the longest: what stops this process for a while stops the server in it, too.
    """
    received: list[int] = []
    with server() as peer:
        socket = Socket(peer.url, auth={"token": "t0"})
        watch = Watch(socket)
        socket.messages.subscribe(lambda message: received.append(int(message)))
        watch.wait(Opened)
        with numbers(peer) as sent:
            for change in range(1, 11):
                socket.set_auth({"token": f"t{change}"}).result(10)
                time.sleep(0.06)  # apart, or it is a burst
            last = sent()
            watch.until(lambda _: received[-1] > last)
        socket.close().result(5)
    gaps = [event.gap or 0.0 for event in watch.of(Opened)][1:]
    missing = [after - before - 1 for before, after in pairwise(received)]
    missed = sorted(missing)[-len(gaps) :]
    assert len(gaps) == 10
    assert sum(missed) / 1000 == pytest.approx(sum(gaps), abs=0.05 * 10)
    assert median(missed) / 1000 == pytest.approx(median(gaps), abs=0.05)


def test_a_refused_credential_leaves_the_old_one_delivering() -> None:
    """401 for the new connection: an event, an outcome, and the messages go on."""
    with server(accept(), reject(401)) as peer:
        socket = Socket(peer.url, auth={"token": "a"}, on_auth_change=handover(), identity=same)
        watch = Watch(socket)
        watch.wait(Opened)
        outcome = socket.set_auth({"token": "b"}).result(5)
        assert isinstance(outcome, Refused)
        assert watch.wait(RenewalFailed).epoch == 1
        got = threading.Event()
        socket.messages.subscribe(lambda _: got.set())
        peer.push("still here")
        assert got.wait(5)
        assert watch.of(Closed) == []
        socket.close().result(5)


def test_in_band() -> None:
    """The credential goes over the open connection; the server's yes settles the outcome."""
    strategy = in_band(
        lambda value: f"auth {value['token']}",  # type: ignore[call-overload,index]
        accepted=lambda message: message == "ok",
    )
    with server(accept().expect("auth b").send("ok")) as peer:
        socket = Socket(peer.url, auth={"token": "a"}, on_auth_change=strategy, identity=same)
        watch = Watch(socket)
        watch.wait(Opened)
        assert socket.set_auth({"token": "b"}).result(5) == InEffect(1)
        socket.close().result(5)
        assert len(peer.handshakes) == 1
    assert watch.names == ["Connecting", "Opened", "Renewed", "Closed", "Ended"]


def test_the_first_message_carries_the_credential() -> None:
    """C19: open when the server accepted; a handover asks on the next connection, too."""
    carrier = first_message(
        lambda value: f"auth {value['token']}",  # type: ignore[call-overload,index]
        accepted=lambda message: message == "ok",
    )
    scripts = (accept().expect("auth a").send("ok"), accept().expect("auth b").send("ok"))
    with server(*scripts) as peer:
        socket = Socket(
            peer.url,
            auth={"token": "a"},
            carrier=carrier,
            on_auth_change=handover(),
            identity=same,
        )
        watch = Watch(socket)
        watch.wait(Opened)
        assert socket.set_auth({"token": "b"}).result(5) == InEffect(2)
        socket.close().result(5)
        assert [heard.message for heard in peer.received] == ["auth a", "auth b"]
        assert [handshake.credential for handshake in peer.handshakes] == [None, None]


def test_max_age_renews_before_the_cap() -> None:
    """Every 0.2 s another connection, without a gap."""
    with server() as peer:
        socket = Socket(peer.url, max_age=0.2, on_auth_change=handover())
        watch = Watch(socket)
        watch.wait(Opened, 4)
        socket.close().result(5)
        peer.wait_for(lambda peer: peer.connections == 0)
    assert [event.gap for event in watch.of(Opened)] == [None, 0.0, 0.0, 0.0]
