"""C15 to C17, C26: a server process that dies, freezes, restarts, and moves."""

from __future__ import annotations

import asyncio
import socket as sockets
import time
from random import Random
from typing import Any

import pytest
from deadlines import took, within
from wire.wire_helpers import Watch, quick

from rxsocket import (
    Aborted,
    Backoff,
    Cause,
    Closed,
    ConnectFailed,
    Connecting,
    Event,
    HandshakeInvalid,
    Opened,
    Sent,
    Socket,
    SocketFailed,
    State,
    Verdict,
    Waiting,
    history,
)

from .server_process import Process, until

REFUSED = ConnectionRefusedError
DYING = (REFUSED, ConnectionResetError, HandshakeInvalid)
"""What a dial meets while a process is killed: its port may still take it, and drop it."""


def attempts(watch: Watch, since: Event) -> int:
    """How many attempts were made after an event."""
    events = watch.events
    after = events[next(i for i, event in enumerate(events) if event is since) :]
    return sum(isinstance(event, Connecting) for event in after)


def close(socket: Socket, watch: Watch) -> None:
    socket.close().result(5)
    watch.ended()
    assert watch.error is None


def test_a_killed_server_is_noticed_at_once_and_found_again(doomed: Process) -> None:
    """C16: SIGKILL is a lost link; every attempt is refused until another server is there."""
    socket = Socket(doomed.url, backoff=quick())
    watch = Watch(socket)
    watch.wait(Opened)
    with within(2.0):
        doomed.kill()
        closed = watch.wait(Closed)
    assert (closed.cause, closed.code, closed.verdict) == (Cause.LOST, 1006, Verdict.RECONNECT)
    watch.until(
        lambda watch: [type(event.error) for event in watch.of(ConnectFailed)].count(REFUSED) > 2
    )
    assert all(isinstance(event.error, DYING) for event in watch.of(ConnectFailed))
    host, port = doomed.address
    again = Process(host, port)
    try:
        marker = watch.events[-1]
        reopened = watch.wait(Opened, 2)
        assert attempts(watch, marker) <= 8  # the new process takes a moment to listen
        assert reopened.gap is not None and reopened.gap > 0
        assert socket.send("hello").result(5) == Sent(reopened.epoch)
        until(lambda: again.seen["received"] == ["hello"])
        close(socket, watch)
        until(lambda: again.seen["open"] == 0)
    finally:
        again.stop()


def test_a_frozen_server_is_noticed_by_its_silence(far: Process) -> None:
    """C17: SIGSTOP leaves TCP up; it is noticed within ping_interval + ping_timeout + 1 s."""
    socket = Socket(far.url, backoff=quick(), ping_interval=0.2, ping_timeout=0.3, open_timeout=0.5)
    watch = Watch(socket)
    watch.wait(Opened)
    until(lambda: socket.latency.value is not None)
    assert socket.latency.value is not None and socket.latency.value > 0.0
    took(socket.latency.value, 0.3)
    try:
        with within(0.2 + 0.3 + 1.0):
            far.freeze()
            closed = watch.wait(Closed)
        assert (closed.cause, closed.verdict) == (Cause.SILENT, Verdict.RECONNECT)
        failed = watch.wait(ConnectFailed)  # TCP connects, but nobody answers the handshake
        assert isinstance(failed.error, TimeoutError)
        marker = watch.events[-1]
    finally:
        far.thaw()
    watch.wait(Opened, 2)
    assert attempts(watch, marker) <= 3
    close(socket, watch)
    until(lambda: far.seen["open"] == 0)


def test_closing_on_a_frozen_server_is_bounded(far: Process) -> None:
    """C26: close() waits for close_timeout and no longer, and leaves nothing."""
    socket = Socket(far.url, close_timeout=0.3)
    watch = Watch(socket)
    watch.wait(Opened)
    far.freeze()
    try:
        with within(1.0):
            socket.close().result(5)
    finally:
        far.thaw()


def test_a_dial_to_a_frozen_server_can_be_closed(far: Process) -> None:
    """C26: in the middle of a handshake that nobody answers."""
    far.freeze()
    try:
        socket = Socket(far.url, open_timeout=30.0)
        watch = Watch(socket)
        watch.wait(Connecting)
        with within(1.0):
            close(socket, watch)
        assert [event.cause for event in watch.of(Aborted)] == [Cause.CLOSE]
    finally:
        far.thaw()


def test_a_server_that_moves_is_looked_up_again(
    far: Process, monkeypatch: pytest.MonkeyPatch
) -> None:
    """C10, C16: each attempt looks the name up; the server is found at its new address."""
    where = ["127.0.0.1"]
    looked_up = sockets.getaddrinfo

    def resolve(host: Any, *arguments: Any, **options: Any) -> Any:
        if host == "feed.test":
            if options.get("flags", 0) & sockets.AI_NUMERICHOST:
                raise sockets.gaierror(sockets.EAI_NONAME, "a name")
            host = where[0]
        return looked_up(host, *arguments, **options)

    monkeypatch.setattr(sockets, "getaddrinfo", resolve)
    old = Process("127.0.0.1")
    try:
        port = old.address[1]
        new = Process("127.0.0.2", port)
    except BaseException:
        old.stop()
        raise
    try:
        socket = Socket(f"ws://feed.test:{port}/feed", backoff=quick())
        watch = Watch(socket)
        watch.wait(Opened)
        assert old.seen["dials"] == 1 and new.seen["dials"] == 0
        where[0] = "127.0.0.2"
        old.kill()
        closed = watch.wait(Closed)
        watch.wait(Opened, 2)
        assert attempts(watch, closed) == 1
        assert new.seen["dials"] == 1
        close(socket, watch)
    finally:
        new.stop()
        if old.alive:
            old.stop()


def test_a_name_that_is_unknown_for_a_while(far: Process, monkeypatch: pytest.MonkeyPatch) -> None:
    """C16: a failing look-up is an outage like any other, and named."""
    known: list[bool] = []
    looked_up = sockets.getaddrinfo

    def resolve(host: Any, *arguments: Any, **options: Any) -> Any:
        if host == "feed.test":
            if not known or options.get("flags", 0) & sockets.AI_NUMERICHOST:
                raise sockets.gaierror(sockets.EAI_NONAME, "Name or service not known")
            host = "127.0.0.1"
        return looked_up(host, *arguments, **options)

    monkeypatch.setattr(sockets, "getaddrinfo", resolve)
    socket = Socket(f"ws://feed.test:{far.address[1]}/feed", backoff=quick())
    watch = Watch(socket)
    failed = watch.wait(ConnectFailed, 2)
    assert "no address found for 'feed.test'" in str(failed.error)
    assert "check the host name" in str(socket.explain())
    known.append(True)
    watch.wait(Opened)
    close(socket, watch)


def test_twenty_restarts_leave_nothing(far: Process) -> None:
    """C15, C26: each drop is one Closed and one new connection; the last one is the only one."""
    socket = Socket(far.url, backoff=quick())
    watch = Watch(socket)
    for number in range(1, 21):
        watch.wait(Opened, number)
        far.ask(do="drop")
        closed = watch.wait(Closed, number)
        assert closed.cause is Cause.LOST
    watch.wait(Opened, 21)
    seen = far.seen
    assert (seen["dials"], seen["open"]) == (21, 1)
    close(socket, watch)
    until(lambda: far.seen["open"] == 0)


# --- the loop of the user


def test_a_loop_that_was_blocked_reads_before_it_judges(far: Process) -> None:
    """C17: a blocking callback longer than the ping timeout costs no connection."""

    async def main() -> list[Event]:
        socket = Socket(far.url, ping_interval=0.1, ping_timeout=0.2)
        events: list[Event] = []
        socket.events.subscribe(events.append)
        opened = asyncio.Event()
        socket.on_open(opened.set)
        async with asyncio.timeout(5):
            await opened.wait()
        await asyncio.sleep(0.15)
        time.sleep(1.2)  # noqa: ASYNC251 - the fault
        measured: asyncio.Future[float] = asyncio.get_running_loop().create_future()
        socket.latency.subscribe(
            lambda value: None if measured.done() else measured.set_result(value or 0.0)
        )
        await measured
        await asyncio.sleep(0.3)
        state = socket.state.value
        await socket.close()
        assert state is State.OPEN
        return events

    events = asyncio.run(main())
    assert [type(event).__name__ for event in events] == ["Connecting", "Opened", "Closed", "Ended"]


def test_a_blocked_loop_is_named(far: Process) -> None:
    """C17: when the peer went silent during a block, the event says that the loop was blocked."""

    async def main() -> Closed:
        socket = Socket(far.url, ping_interval=0.1, ping_timeout=0.2, backoff=quick())
        loop = asyncio.get_running_loop()
        opened, closed = loop.create_future(), loop.create_future()
        socket.on_open(lambda: opened.done() or opened.set_result(None))
        socket.on_close(lambda event: closed.done() or closed.set_result(event))
        async with asyncio.timeout(8):
            await opened
            far.freeze()
            await asyncio.sleep(0.11)
            time.sleep(2.1)  # noqa: ASYNC251 - the fault
            event = await closed
            far.thaw()
            await socket.close()
        return event  # type: ignore[no-any-return]

    try:
        event = asyncio.run(main())
    finally:
        far.thaw()
    assert event.cause is Cause.BLOCKED
    assert event.reason.startswith("the event loop was blocked for at least ")


# --- what is remembered, and what is given up


@pytest.mark.parametrize("limit", [{"max_attempts": 3}, {"give_up_after": 0.3}])
def test_an_outage_is_given_up(doomed: Process, limit: dict[str, Any]) -> None:
    """C3, C15: on_error with everything that was tried, and nothing left."""
    socket = Socket(doomed.url, backoff=quick(), stable_after=0.0, **limit)
    watch = Watch(socket)
    watch.wait(Opened)
    doomed.kill()
    watch.ended()
    assert isinstance(watch.error, SocketFailed)
    tried = watch.error.tried  # the attempts since the connection that was stable
    assert tried and all(isinstance(one.error, DYING) for one in tried)
    assert isinstance(tried[-1].error, REFUSED)
    assert [one.at for one in tried] == sorted(one.at for one in tried)
    assert next(iter(limit)) in str(watch.error) and next(iter(limit)) in str(socket.explain())
    with pytest.raises(SocketFailed):
        socket.wait(1)


def test_what_is_remembered_and_said(doomed: Process) -> None:
    """C3: history has what events had, and the explanation what a user would ask."""
    socket = Socket(doomed.url, backoff=Backoff(first=60.0, random=Random(1)))
    watch = Watch(socket)
    watch.wait(Opened)
    doomed.kill()
    watch.wait(Waiting)
    assert list(history(socket)) == watch.events
    told = socket.explain()
    assert told.state is State.WAITING and told.due is not None and told.due > time.time()
    assert "connection 1 was open" in told.why and "the link was lost" in told.why
    assert "call reconnect() to try at once" in told.advice
    close(socket, watch)
