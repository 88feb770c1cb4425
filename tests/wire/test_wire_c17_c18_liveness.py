"""C17, C18 on real connections: time that jumps, the gap, and a state that survives it."""

from __future__ import annotations

import time

import pytest
from reactivex import operators as ops

from rxsocket import Cause, Closed, Connecting, Opened, Resumed, Session, Socket, Waiting
from rxsocket.operators import resync
from rxsocket.testing import accept, reject, server

from .wire_helpers import Inbox, Watch, quick

pytestmark = pytest.mark.usefixtures("each_loop")


def test_an_open_says_how_long_there_was_none() -> None:
    """C18: the gap spans the refused attempts; the cause and the number of attempts are told."""
    with server(accept(), reject(503), reject(503), accept().delay(0.2)) as peer:
        socket = Socket(peer.url, backoff=quick(), stable_after=0)
        times: dict[tuple[type, int], float] = {}
        watch = Watch(socket)
        socket.events.subscribe(
            lambda event: times.setdefault((type(event), getattr(event, "epoch", 0)), time.time())
        )
        first = watch.wait(Opened)
        assert (first.gap, first.cause, first.attempts) == (None, Cause.STARTED, 1)
        peer.drop()
        again = watch.wait(Opened, 2)
        assert (again.epoch, again.attempts) == (4, 3)
        assert again.cause is watch.of(Connecting)[-1].cause is Cause.FAILED
        seen = times[Opened, 4] - times[Closed, 1]
        assert again.gap is not None and again.gap >= 0.2
        assert again.gap == pytest.approx(seen, abs=0.1)
        socket.close().result(5)


@pytest.mark.parametrize("alive", [True, False])
def test_time_that_jumps_probes_the_link(alive: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """C17: after a wall-clock jump an open link is pinged at once, and a dead one is let go."""
    ahead, wall = 0.0, time.time
    monkeypatch.setattr(time, "time", lambda: wall() + ahead)
    with server(accept() if alive else accept().freeze()) as peer:
        socket = Socket(peer.url, backoff=quick(), close_timeout=0.2)
        watch = Watch(socket)
        watch.wait(Opened)
        latencies = Inbox()
        socket.latency.subscribe(latencies)
        ahead = 3600.0
        jumped = watch.wait(Resumed)
        assert jumped.slept == pytest.approx(3600.0, abs=1.0)
        if alive:
            latencies.until(lambda values: values[-1] is not None)
            assert not watch.of(Closed)
        else:
            closed = watch.wait(Closed)
            assert closed.cause is Cause.SILENT and "after time jumped by 1 h" in closed.reason
            watch.wait(Opened, 2)
        socket.close().result(5)


def test_a_wait_ends_when_time_jumps(monkeypatch: pytest.MonkeyPatch) -> None:
    """C17: who wakes up does not wait out a backoff that began before."""
    ahead, wall = 0.0, time.time
    monkeypatch.setattr(time, "time", lambda: wall() + ahead)

    def jump(*_: object) -> None:
        nonlocal ahead
        ahead = 600.0

    with server(reject(503, {"Retry-After": "299"})) as peer:
        socket = Socket(peer.url, backoff=quick())
        watch = Watch(socket)
        watch.wait(Waiting)
        socket.scheduler.schedule(jump)  # on its loop, where it waits by now
        watch.wait(Opened)
        assert [type(event) for event in watch.events][-3:] == [Resumed, Connecting, Opened]
        socket.close().result(5)


def test_a_snapshot_and_its_deltas_over_a_lost_link() -> None:
    """C18: resync fetches anew for each session, and loses no delta that came meanwhile."""
    with server(accept(), accept()) as peer:
        socket = Socket(peer.url, backoff=quick())
        fetched: list[int] = []

        async def snapshot(session: Session[str]) -> str:
            fetched.append(session.epoch)
            peer.push(f"{session.epoch}a", f"{session.epoch}b")  # while it is being fetched

            return f"s{session.epoch}"

        states = Inbox()
        socket.sessions.pipe(
            resync(snapshot, lambda state, delta: f"{state} {delta}"),
            ops.filter(lambda state: state.endswith("b")),
        ).subscribe(states)
        assert states.wait(1) == ["s1 1a 1b"]
        peer.drop()
        assert states.wait(2) == ["s1 1a 1b", "s2 2a 2b"]
        assert fetched == [1, 2]
        socket.close().result(5)
