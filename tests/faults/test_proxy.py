"""C15 to C17: behind a proxy that delays, throttles, cuts and black-holes."""

from __future__ import annotations

import pytest
from deadlines import took, within
from wire.wire_helpers import Inbox, Watch, quick

from rxsocket import Cause, Closed, Opened, Sent, Socket, Stale, Verdict, heartbeat

from .server_process import BadProxy, Process, until


def test_a_black_hole_is_noticed(far: Process, proxy: BadProxy) -> None:
    """C17: both sides stay open and nothing comes through: SILENT, then a new connection."""
    socket = Socket(proxy.url, ping_interval=0.2, ping_timeout=0.3, backoff=quick())
    watch = Watch(socket)
    watch.wait(Opened)
    with within(0.2 + 0.3 + 1.0):
        proxy.hole = True
        closed = watch.wait(Closed)
    assert (closed.cause, closed.verdict) == (Cause.SILENT, Verdict.RECONNECT)
    proxy.hole = False
    watch.wait(Opened, 2)
    socket.close().result(5)
    until(lambda: far.seen["open"] == 0)


@pytest.mark.parametrize("times", [5])
def test_a_cut_is_a_lost_link_each_time(far: Process, proxy: BadProxy, times: int) -> None:
    """C16: one attempt for each cut, no more."""
    socket = Socket(proxy.url, backoff=quick())
    watch = Watch(socket)
    for number in range(1, times + 1):
        watch.wait(Opened, number)
        proxy.cut()
        assert watch.wait(Closed, number).cause is Cause.LOST
    watch.wait(Opened, times + 1)
    assert proxy.accepted == times + 1 == watch.names.count("Connecting")
    socket.close().result(5)
    until(lambda: far.seen["open"] == 0)


def test_a_slow_way_is_no_dead_one(far: Process, proxy: BadProxy) -> None:
    """C17: 0.15 s each way is measured as latency, and nothing is closed for it."""
    proxy.delay = 0.15
    socket = Socket(proxy.url, ping_interval=0.2, ping_timeout=1.0, backoff=quick())
    watch, latencies = Watch(socket), Inbox()
    socket.latency.subscribe(latencies)
    watch.wait(Opened)
    values = latencies.wait(4)
    assert values[0] is None and all(value >= 0.3 for value in values[1:4])
    took(max(values[1:4]), 1.0)
    assert watch.names == ["Connecting", "Opened"]
    socket.close().result(5)


def test_a_throttled_way_brings_everything(far: Process, proxy: BadProxy) -> None:
    """C17: a message of 20 kB at 40 kB/s takes its time; pongs behind it are waited for."""
    proxy.rate = 40_000.0
    socket = Socket(proxy.url, ping_interval=0.3, ping_timeout=3.0, compression=None)
    watch, inbox = Watch(socket), Inbox()
    watch.wait(Opened)
    socket.messages.subscribe(inbox)
    sent = "x" * 20_000
    assert socket.send(sent).result(8) == Sent(1)
    assert inbox.wait(1) == [sent]
    assert watch.names.count("Closed") == 0
    socket.close().result(5)


def test_a_heartbeat_through_a_black_hole(far: Process, proxy: BadProxy) -> None:
    """C17: without pings the heartbeat finds it, and closes with 3008."""
    beat = heartbeat(send="hb", expect="hb", interval=0.1, timeout=0.3)
    socket = Socket(
        proxy.url, ping_interval=None, heartbeat=beat, backoff=quick(), close_timeout=0.3
    )
    watch, inbox = Watch(socket), Inbox()
    socket.messages.subscribe(inbox)
    assert inbox.wait(3)[:3] == ["hb", "hb", "hb"]
    proxy.hole = True
    closed = watch.wait(Closed)
    assert (closed.cause, closed.sent, closed.code) == (Cause.HEARTBEAT, 3008, None)
    proxy.hole = False
    watch.wait(Opened, 2)
    socket.close().result(5)
    until(lambda: far.seen["open"] == 0)


def test_stale_data_with_pongs_flowing(far: Process, proxy: BadProxy) -> None:
    """C17: one Stale, no reconnect; the link answers its pings all the time."""
    socket = Socket(proxy.url, ping_interval=0.1, ping_timeout=1.0, stale_after=0.3)
    watch, latencies = Watch(socket), Inbox()
    socket.latency.subscribe(latencies)
    watch.wait(Stale)
    latencies.wait(6)
    assert watch.names == ["Connecting", "Opened", "Stale"]
    assert socket.send("hello").result(5) == Sent(1)
    watch.until(lambda watch: "Fresh" in watch.names)
    socket.close().result(5)


def test_stale_data_reconnects_if_asked(far: Process, proxy: BadProxy) -> None:
    """C17: the old connection is closed properly, and a new one made."""
    socket = Socket(proxy.url, stale_after=0.3, on_stale="reconnect", backoff=quick())
    watch = Watch(socket)
    closed = watch.wait(Closed)
    assert (closed.cause, closed.sent) == (Cause.STALE, 3008)
    watch.wait(Opened, 2)
    socket.close().result(5)
    until(lambda: far.seen["open"] == 0)
