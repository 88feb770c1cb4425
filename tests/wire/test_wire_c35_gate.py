"""C35 on real connections: a gate that is turned on another thread."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
import threading
from typing import Any

import pytest
from reactivex import Observable
from reactivex.disposable import Disposable
from reactivex.subject import BehaviorSubject, Subject

from rxsocket import Cause, Closed, Gated, Opened, Sent, Socket, State, Stored
from rxsocket.testing import server

from .wire_helpers import Inbox, Watch


def test_it_closes_and_opens() -> None:
    """The server sees 1000; then the same subscribers have messages again, as somebody else."""
    gate = BehaviorSubject(True)
    received = Inbox()
    with server() as peer:
        socket = Socket(peer.url, auth={"token": "a"}, gate=gate)
        watch = Watch(socket)
        socket.messages.subscribe(received)
        watch.wait(Opened)
        peer.push("before")
        received.wait(1)
        gate.on_next(False)
        watch.wait(Gated)
        peer.wait_for(lambda peer: peer.connections == 0)
        assert socket.state.value is State.GATED
        assert socket.set_auth({"token": "b"}).result(5) == Stored()
        socket.reconnect()
        waiting = socket.send("hello")
        gate.on_next(True)
        opened = watch.wait(Opened, 2)
        assert waiting.result(5) == Sent(epoch=2)
        peer.push("after")
        received.wait(2)
        socket.close().result(5)
        assert peer.closes[0] == (1, 1000, "")
        assert [handshake.credential for handshake in peer.handshakes] == ["a", "b"]
    assert (opened.cause, watch.of(Closed)[0].cause) == (Cause.GATED, Cause.GATED)
    assert received.values == ["before", "after"]
    assert watch.completed


@pytest.mark.skipif(not hasattr(os, "fork"), reason="forks")
def test_a_forked_child_leaves_the_parents_connection_alone() -> None:
    """C24: what the gate says in the child is nothing to the connection of its parent."""
    program = """
        import os, sys
        from reactivex.subject import BehaviorSubject
        from rxsocket import Socket
        from rxsocket.testing import server

        with server() as far:
            gate = BehaviorSubject(True)
            parent = Socket(far.url, gate=gate)
            keep = parent.connect()
            parent.send("parent").result(5)
            child = os.fork()
            if child == 0:
                try:
                    gate.on_next(False)
                    gate.on_next(True)
                    with parent:
                        parent.send("anew").result(5)
                        gate.on_next(False)
                        gate.on_next(True)
                        parent.send("again").result(5)
                except BaseException as error:
                    print(repr(error), file=sys.stderr)
                    os._exit(1)
                os._exit(0)
            _, status = os.waitpid(child, 0)
            parent.send("still").result(5)
            keep.dispose()
            far.wait_for(lambda far: len(far.received) == 4)
            said = [(at, message) for at, message in far.received]
            assert said == [(1, "parent"), (2, "anew"), (3, "again"), (1, "still")], said
            sys.exit(os.waitstatus_to_exitcode(status))
    """
    command = [sys.executable, "-W", "ignore", "-c", textwrap.dedent(program)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 0, done.stderr


def test_before_its_first_value() -> None:
    """Nothing is dialled until it says so."""
    gate: Subject[Any] = Subject()
    with server() as peer:
        socket = Socket(peer.url, gate=gate)
        watch = Watch(socket)
        watch.wait(Gated)
        assert peer.dials == 0
        gate.on_next(True)
        watch.wait(Opened)
        socket.close().result(5)
        assert peer.dials == 1


def test_it_is_subscribed_to_on_the_loop() -> None:
    """Where everything of the socket happens (C24)."""
    where: list[int] = []

    def subscribe(observer: Any, scheduler: Any = None) -> Any:
        where.append(threading.get_ident())
        observer.on_next(True)
        return Disposable()

    with server() as peer:
        socket = Socket(peer.url, gate=Observable(subscribe))
        watch = Watch(socket, connect=False)
        socket.on_open(lambda: where.append(threading.get_ident()))
        watch.wait(Opened)
        socket.close().result(5)
    assert len(where) == 2 and len(set(where)) == 1
    assert where[0] != threading.get_ident()
