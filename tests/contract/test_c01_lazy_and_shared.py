"""C1: lazy, and one connection for all who want it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Any

import pytest
import reactivex
from reactivex import operators as ops
from scene import URL, A, B, Make, Scene, connecting, left, opened

from rxsocket import (
    Aborted,
    Cause,
    Event,
    Message,
    NotConnected,
    Opened,
    SendFailed,
    Sent,
    Session,
    Socket,
    State,
)
from rxsocket.testing import VirtualClock, accept, fake, hang, reject, unreachable

CONNECTING: dict[str, Callable[[Socket], Any]] = {
    "messages": lambda socket: socket.messages.subscribe(),
    "opens": lambda socket: socket.opens.subscribe(),
    "closes": lambda socket: socket.closes.subscribe(),
    "sessions": lambda socket: socket.sessions.subscribe(),
    "events": lambda socket: socket.events.subscribe(),
    "piped": lambda socket: socket.messages.pipe(ops.map(str)).subscribe(),
    "on_open": lambda socket: socket.on_open(lambda: None),
    "on_close": lambda socket: socket.on_close(lambda: None),
    "on_message": lambda socket: socket.on_message(lambda: None),
    "connect": lambda socket: socket.connect(),
}
LOOKING: dict[str, Callable[[Socket], Any]] = {
    "state": lambda socket: socket.state.subscribe(),
    "errors": lambda socket: socket.errors.subscribe(),
    "auth": lambda socket: socket.auth.subscribe(),
    "on_error": lambda socket: socket.on_error(lambda: None),
    "passive events": lambda socket: socket.events.passive().subscribe(),
    "passive messages": lambda socket: socket.messages.passive().subscribe(),
    "passive opens": lambda socket: socket.opens.passive().subscribe(),
    "passive closes": lambda socket: socket.closes.passive().subscribe(),
    "passive sessions": lambda socket: socket.sessions.passive().subscribe(),
    "passive state": lambda socket: socket.state.passive().subscribe(),
    "passive errors": lambda socket: socket.errors.passive().subscribe(),
    "passive auth": lambda socket: socket.auth.passive().subscribe(),
    "passive piped": lambda socket: socket.events.passive().pipe(ops.map(str)).subscribe(),
}


@pytest.mark.parametrize("auth", [A, None, lambda: "asked"], ids=["value", "None", "provider"])
def test_constructing_starts_nothing(clock: VirtualClock, auth: Any) -> None:
    """No thread, task, timer or dial, and no provider is asked."""
    before = threading.active_count()
    peer = fake()
    socket = Socket(peer.url, auth=auth, transport=peer)
    clock.advance(3600.0)
    assert (clock.pending, clock.tasks, peer.dials) == (0, set(), 0)
    assert threading.active_count() == before
    assert socket.state.value is State.IDLE


@pytest.mark.parametrize("name", CONNECTING)
def test_what_connects(clock: VirtualClock, scene: Make, name: str) -> None:
    """Whoever wants to hear of the connection makes it be there; leaving closes it with 1000."""
    it = scene(watch=False, auth=A)
    leave = CONNECTING[name](it.socket)
    clock.advance(0.0)
    assert it.dials == [(0.0, "a")]
    assert it.socket.state.value is State.OPEN
    clock.advance(1.0)
    leave.dispose()
    assert it.socket.state.value is State.IDLE
    clock.advance(0.0)
    assert it.peer.closes == [(1, 1000, "")]
    assert (clock.pending, clock.tasks) == (0, set())


@pytest.mark.parametrize("name", LOOKING)
def test_what_only_looks(clock: VirtualClock, scene: Make, name: str) -> None:
    """Looking at a socket neither connects it nor keeps it connected."""
    it = scene(watch=False, auth=A)
    LOOKING[name](it.socket)
    clock.advance(60.0)
    assert (it.peer.dials, it.socket.state.value) == (0, State.IDLE)
    hold = it.socket.connect()
    clock.advance(1.0)
    assert it.peer.live == 1
    hold.dispose()
    clock.advance(1.0)
    assert (it.peer.live, it.socket.state.value) == (0, State.IDLE)


def test_reading_a_value_connects_nothing(clock: VirtualClock, scene: Make) -> None:
    """``state.value``, ``auth.value`` and the repr are free."""
    it = scene(watch=False, auth=A)
    assert it.socket.state.value is State.IDLE
    assert repr(it.socket.auth.value) == "Credential(token=***)"
    assert repr(it.socket) == f"<Socket {URL}: idle>"
    clock.advance(1.0)
    assert it.peer.dials == 0


def test_set_auth_and_reconnect_start_nothing(clock: VirtualClock, scene: Make) -> None:
    """A change of a socket that nobody uses is no reason to connect."""
    it = scene(watch=False, auth=A)
    it.socket.set_auth(B)
    it.socket.reconnect()
    clock.advance(10.0)
    assert (it.peer.dials, it.socket.state.value) == (0, State.IDLE)


def test_a_send_connects_until_its_receipt_settles(clock: VirtualClock, scene: Make) -> None:
    """C1: nobody subscribed; the message goes out, then the connection is closed with 1000."""
    it = scene(watch=False, auth=A, latency=0.1)
    receipt = it.socket.send("x")
    clock.advance(0.15)
    assert receipt.result() == Sent(epoch=1)
    assert it.socket.state.value is State.IDLE
    clock.advance(1.0)
    assert it.peer.received == [(1, "x")]
    assert it.peer.dials == 1 and it.peer.closes[0].code == 1000


def test_a_send_that_may_not_wait_does_not_connect(clock: VirtualClock, scene: Make) -> None:
    """With ``queue_for=0`` a send that finds nothing open fails at once, and says so on errors."""
    it = scene(watch=False, auth=A, queue_for=0)
    problems: list[object] = []
    it.socket.errors.subscribe(problems.append)
    receipt = it.socket.send("x")
    with pytest.raises(NotConnected):
        receipt.result()
    clock.advance(10.0)
    [failed] = problems
    assert isinstance(failed, SendFailed)
    assert it.peer.dials == 0


def test_entering_with_connects_and_leaving_closes(clock: VirtualClock, scene: Make) -> None:
    """A ``with`` block is connected while it lasts."""
    it = scene(watch=False, auth=A)
    with it.socket as socket:
        assert socket is it.socket
        clock.advance(1.0)
        assert it.peer.live == 1
    clock.advance(0.0)
    assert (it.peer.live, it.socket.state.value) == (0, State.CLOSED)
    assert it.peer.closes == [(1, 1000, "")]


def test_entering_async_with_connects_and_leaving_closes(clock: VirtualClock) -> None:
    """Leaving an ``async with`` block waits until nothing is left."""
    peer = fake(latency=0.1)

    async def main() -> None:
        async with Socket(peer.url, auth=A, transport=peer) as socket:
            await asyncio.sleep(1.0)
            assert (peer.live, socket.state.value) == (1, State.OPEN)
        assert (peer.connections, socket.state.value) == (0, State.CLOSED)

    clock.run(main())
    assert clock.time() == 1.1


def test_all_subscribers_share_one_connection(clock: VirtualClock, scene: Make) -> None:
    """However many streams are subscribed to, however often: one handshake."""
    it = scene(watch=False, auth=A)
    got: list[str] = []
    for connect in CONNECTING.values():
        connect(it.socket)
        clock.advance(0.1)
        connect(it.socket)
    for _ in range(3):
        it.socket.messages.subscribe(got.append)
    clock.advance(1.0)
    it.peer.push("m")
    clock.advance(0.0)
    assert it.dials == [(0.0, "a")]
    assert got == ["m"] * 3


def test_only_the_last_one_leaving_closes(clock: VirtualClock, scene: Make) -> None:
    """As long as one is there the connection stays, in whatever order they leave."""
    it = scene(watch=False, auth=A)
    leaves = [connect(it.socket) for connect in CONNECTING.values()]
    clock.advance(1.0)
    for leave in leaves[1:] + leaves[1:]:
        leave.dispose()
        clock.advance(1.0)
        assert it.peer.live == 1
    leaves[0].dispose()
    clock.advance(0.0)
    assert it.peer.live == 0


def test_the_last_one_sees_no_end_of_its_own_making(clock: VirtualClock, scene: Make) -> None:
    """Who leaves hears nothing more; who only looks sees the Closed and the state IDLE."""
    it = scene(watch=False, auth=A)
    mine: list[Event] = []
    seen: list[Event] = []
    states: list[State] = []
    it.socket.events.passive().subscribe(seen.append)
    it.socket.state.subscribe(states.append)
    leave = it.socket.events.subscribe(mine.append)
    clock.advance(1.0)
    leave.dispose()
    clock.advance(1.0)
    assert mine == [connecting(1), opened(1)]
    assert seen == [connecting(1), opened(1), left(1, Cause.LEFT)]
    assert states == [State.IDLE, State.CONNECTING, State.OPEN, State.IDLE]


def test_linger_keeps_the_connection_for_a_while(clock: VirtualClock, scene: Make) -> None:
    """With ``linger`` the close comes that long after the last one left, not before."""
    it = scene(watch=False, auth=A, linger=3.0)
    leave = it.socket.connect()
    clock.advance(1.0)
    leave.dispose()
    clock.advance(2.999)
    assert (it.peer.live, it.socket.state.value) == (1, State.OPEN)
    clock.advance(0.001)
    assert (it.peer.live, it.socket.state.value) == (0, State.IDLE)
    assert it.peer.closes == [(1, 1000, "")]


def test_who_comes_while_it_lingers_gets_the_same_connection(
    clock: VirtualClock, scene: Make
) -> None:
    """Leaving and coming back within ``linger`` makes no handshake, and counts from anew."""
    it = scene(watch=False, auth=A, linger=3.0)
    for _ in range(5):
        leave = it.socket.connect()
        clock.advance(1.0)
        leave.dispose()
        clock.advance(2.9)
    assert (len(it.credentials), it.peer.live) == (1, 1)
    clock.advance(0.1)
    assert (len(it.credentials), it.peer.live) == (1, 0)


def test_close_does_not_linger(clock: VirtualClock, scene: Make) -> None:
    """``close()`` while it lingers closes at once, and no timer is left."""
    it = scene(watch=False, auth=A, linger=30.0)
    it.socket.connect().dispose()
    clock.advance(1.0)
    assert it.peer.live == 1
    it.socket.close()
    clock.advance(0.0)
    assert (it.peer.live, it.socket.state.value, clock.pending) == (0, State.CLOSED, 0)


def test_a_lingering_socket_still_follows_its_credential(clock: VirtualClock, scene: Make) -> None:
    """A change while it lingers reconnects, and puts the end of the lingering not off."""
    it = scene(watch=False, auth=A, linger=3.0)
    leave = it.socket.connect()
    clock.advance(1.0)
    leave.dispose()
    clock.advance(2.0)
    it.socket.set_auth(B)
    clock.advance(0.5)
    assert it.dials == [(0.0, "a"), (3.0, "b")]
    clock.advance(0.5)
    assert (it.peer.live, it.socket.state.value) == (0, State.IDLE)


@pytest.mark.parametrize("linger", [0.0, 2.0])
def test_connect_is_counted_once_however_often_it_is_disposed(
    clock: VirtualClock, scene: Make, linger: float
) -> None:
    """Disposing a hold twice does not take somebody else's hold away."""
    it = scene(watch=False, auth=A, linger=linger)
    mine, other = it.socket.connect(), it.socket.connect()
    clock.advance(1.0)
    for _ in range(3):
        mine.dispose()
        clock.advance(3.0)
    assert it.peer.live == 1
    other.dispose()
    clock.advance(2.0)
    assert it.peer.live == 0


def test_a_hold_of_an_earlier_life_holds_and_releases_nothing(
    clock: VirtualClock, scene: Make
) -> None:
    """What ``connect()`` gave before ``close()`` means nothing to the life after it."""
    it = scene(watch=False, auth=A)
    old = it.socket.connect()
    clock.advance(1.0)
    it.socket.close()
    new = it.socket.connect()
    clock.advance(2.0)
    old.dispose()
    clock.advance(1.0)
    assert it.peer.live == 1
    new.dispose()
    clock.advance(1.0)
    assert it.peer.live == 0


def test_coming_and_going_in_one_instant_dials_nobody(clock: VirtualClock, scene: Make) -> None:
    """Subscribing and leaving before the loop had a turn leaves no trace but the state."""
    it = scene(watch=False, auth=A)
    seen: list[Event] = []
    it.socket.events.passive().subscribe(seen.append)
    for connect in CONNECTING.values():
        connect(it.socket).dispose()
    clock.advance(5.0)
    assert (it.peer.dials, seen, it.socket.state.value) == (0, [], State.IDLE)


LEFT_IN: dict[str, tuple[Any, State]] = {
    "connecting": (hang(), State.CONNECTING),
    "waiting": (unreachable(), State.WAITING),
    "awaiting auth": (reject(401), State.AWAITING_AUTH),
}


@pytest.mark.parametrize("name", LEFT_IN)
def test_the_last_one_may_leave_in_any_state(clock: VirtualClock, scene: Make, name: str) -> None:
    """While connecting, waiting or awaiting auth, too: nothing is dialled afterwards."""
    script, state = LEFT_IN[name]
    it = scene(script, watch=False, auth=A)
    seen: list[Event] = []
    it.socket.events.passive().subscribe(seen.append)
    leave = it.socket.messages.subscribe()
    clock.advance(1.0)
    assert it.socket.state.value is state
    leave.dispose()
    assert it.socket.state.value is State.IDLE
    clock.advance(60.0)
    assert it.peer.dials == 1
    if state is State.CONNECTING:
        assert seen == [connecting(1), Aborted(epoch=1, cause=Cause.LEFT)]


def test_a_new_life_begins_with_a_new_epoch(clock: VirtualClock, scene: Make) -> None:
    """Coming back after all had left connects again; epochs go on counting, the gap does not."""
    it = scene(watch=False, auth=A)
    opens: list[Opened] = []
    leave = it.socket.opens.subscribe(opens.append)
    clock.advance(10.0)
    leave.dispose()
    clock.advance(10.0)
    it.socket.opens.subscribe(opens.append)
    clock.advance(0.0)
    assert opens == [opened(1), opened(2)]
    assert it.dials == [(0.0, "a"), (20.0, "a")]


def test_leaving_and_coming_back_at_once_spaces_the_dials(clock: VirtualClock, scene: Make) -> None:
    """Two attempts with an unchanged credential are a second apart (C15), also over a restart."""
    it = scene(watch=False, auth=A)
    for _ in range(3):
        leave = it.socket.connect()
        clock.advance(0.1)
        leave.dispose()
    it.socket.connect()
    clock.advance(5.0)
    assert it.dials == [(0.0, "a"), (1.0, "a")]


def test_an_observer_may_leave_at_what_it_is_told(clock: VirtualClock, scene: Make) -> None:
    """``take(1)`` on the only subscription closes the connection, with 1000."""
    it = scene(accept().send("1", "2", "3"), watch=False, auth=A)
    got: list[str] = []
    ends: list[str] = []
    it.socket.messages.pipe(ops.take(1)).subscribe(
        got.append, on_completed=lambda: ends.append("completed")
    )
    clock.advance(5.0)
    assert (got, ends) == (["1"], ["completed"])
    assert (it.peer.closes, it.socket.state.value) == ([(1, 1000, "")], State.IDLE)


@pytest.mark.parametrize("stream", ["events", "opens", "messages"])
def test_who_leaves_and_comes_back_in_an_observer_keeps_the_connection(
    clock: VirtualClock, scene: Make, stream: str
) -> None:
    """To subscribe the next before leaving needs no ``linger``, inside an emission either."""
    it = scene(accept().send("1").wait(1.0).send("2"), watch=False, auth=A)
    got: list[object] = []

    def first(value: object) -> None:
        it.socket.messages.subscribe(got.append)
        mine.dispose()

    mine = getattr(it.socket, stream).subscribe(first)
    clock.advance(5.0)
    assert it.credentials == ["a"]
    assert it.peer.live == 1
    assert got[-1] == "2"


def test_leaving_first_and_coming_back_in_an_observer(clock: VirtualClock, scene: Make) -> None:
    """The order of the two calls in one observer does not matter: nobody was away in between."""
    it = scene(accept().send("1").wait(2.0).send("2"), watch=False, auth=A)
    got: list[object] = []

    def first(value: object) -> None:
        mine.dispose()
        it.socket.messages.subscribe(got.append)

    mine = it.socket.messages.subscribe(first)
    clock.advance(5.0)
    assert (it.credentials, got) == (["a"], ["2"])


def test_a_looker_may_become_one_who_connects(clock: VirtualClock, scene: Make) -> None:
    """An observer of ``state`` that subscribes when the last one left starts a new life."""
    it = scene(watch=False, auth=A)
    states: list[State] = []
    got: list[Opened] = []

    def look(state: State) -> None:
        states.append(state)
        if state is State.IDLE and states.count(State.OPEN) == 1:
            it.socket.opens.subscribe(got.append)

    it.socket.state.subscribe(look)
    leave = it.socket.connect()
    clock.advance(2.0)
    leave.dispose()
    clock.advance(2.0)
    assert [event.epoch for event in got] == [2]
    assert it.dials == [(0.0, "a"), (2.0, "a")]


def test_a_bystander_can_hold_the_connection_in_the_last_moment(
    clock: VirtualClock, scene: Make
) -> None:
    """One who subscribes in the emission in which the last one leaves gets the same connection."""
    it = scene(watch=False, auth=A)
    late: list[str] = []
    first = it.socket.messages.subscribe(lambda _: first.dispose())
    second = it.socket.messages.subscribe(
        lambda _: (second.dispose(), it.socket.messages.subscribe(late.append))
    )
    clock.advance(1.0)
    it.peer.push("1")
    clock.advance(1.0)
    it.peer.push("2")
    clock.advance(1.0)
    assert (it.credentials, late, it.peer.live) == (["a"], ["2"], 1)


def test_each_session_is_shared_too(clock: VirtualClock, scene: Make) -> None:
    """A session's messages come from the same connection; subscribing to it holds nothing."""
    it = scene(watch=False, auth=A)
    sessions: list[Session[str]] = []
    leave = it.socket.sessions.subscribe(sessions.append)
    clock.advance(1.0)
    got: list[str] = []
    sessions[0].subscribe(got.append)
    sessions[0].subscribe(got.append)
    it.peer.push("m")
    clock.advance(0.0)
    assert (got, it.credentials) == (["m", "m"], ["a"])
    leave.dispose()
    clock.advance(1.0)
    assert it.peer.live == 0


def test_two_sockets_share_nothing(clock: VirtualClock) -> None:
    """Each socket has a connection of its own, to the same server too."""
    peer = fake()
    one, two = (Socket(peer.url, auth=auth, transport=peer) for auth in (A, B))
    events: list[Event] = []
    one.events.subscribe(events.append)
    two.connect()
    clock.advance(1.0)
    two.close()
    clock.advance(1.0)
    peer.push("m")
    clock.advance(0.0)
    assert events == [connecting(1), opened(1), Message(epoch=1, data="m")]
    assert [handshake.credential for handshake in peer.handshakes] == ["a", "b"]
    one.close()
    clock.advance(2.0)


def test_connect_holds_while_others_come_and_go(clock: VirtualClock, scene: Make) -> None:
    """Subscribers that leave take nothing away from who called ``connect()``."""
    it = scene(watch=False, auth=A)
    hold = it.socket.connect()
    for _ in range(3):
        leave = it.socket.messages.subscribe()
        clock.advance(1.0)
        leave.dispose()
        clock.advance(1.0)
        assert it.peer.live == 1
    hold.dispose()
    clock.advance(0.0)
    assert (it.peer.closes, it.credentials) == ([(1, 1000, "")], ["a"])


@pytest.mark.parametrize("linger", [0.0, 30.0])
def test_a_with_block_that_raises_closes_too(
    clock: VirtualClock, scene: Make, linger: float
) -> None:
    """The exception goes on, and the connection is closed with 1000 without lingering."""
    it = scene(watch=False, auth=A, linger=linger)
    with pytest.raises(KeyError, match="mine"), it.socket:
        clock.advance(1.0)
        raise KeyError("mine")
    clock.advance(0.0)
    assert (it.peer.closes, it.socket.state.value) == ([(1, 1000, "")], State.CLOSED)
    assert (clock.pending, clock.tasks) == (0, set())


def test_leaving_a_with_block_ends_it_for_all(clock: VirtualClock, scene: Make) -> None:
    """Who is still subscribed at the end of the block sees the Closed, and then the completion."""
    it = scene(watch=False, auth=A)
    log: list[object] = []
    with it.socket as socket:
        socket.closes.subscribe(log.append, on_completed=lambda: log.append("completed"))
        clock.advance(1.0)
    assert log == [left(1, Cause.CLOSE), "completed"]


def test_an_attempt_lingers_as_well(clock: VirtualClock, scene: Make) -> None:
    """Who leaves while it connects: it goes on for ``linger``, and is given up then."""
    it = scene(hang(), watch=False, auth=A, linger=3.0)
    seen: list[tuple[float, Event]] = []
    it.socket.events.passive().subscribe(lambda event: seen.append((clock.time(), event)))
    leave = it.socket.connect()
    clock.advance(1.0)
    leave.dispose()
    clock.advance(30.0)
    assert seen == [(0.0, connecting(1)), (4.0, Aborted(epoch=1, cause=Cause.LEFT))]
    assert (clock.pending, it.socket.state.value) == (0, State.IDLE)


def test_the_peer_may_end_it_while_it_lingers(clock: VirtualClock, scene: Make) -> None:
    """The peer's 1000 ends the lingering too: no timer is left that could stop the next life."""
    it = scene(accept().wait(2.0).close(), watch=False, auth=A, linger=10.0)
    it.socket.connect().dispose()
    clock.advance(3.0)
    assert (it.socket.state.value, clock.pending) == (State.CLOSED, 0)
    it.socket.connect()
    clock.advance(60.0)
    assert (it.dials, it.peer.live) == ([(0.0, "a"), (3.0, "a")], 1)


STARTS: dict[str, Callable[[Socket], Any]] = {
    "connect": lambda socket: socket.connect(),
    "with": lambda socket: socket.__enter__(),
    "messages": lambda socket: socket.messages.subscribe(),
    "behind an operator": lambda socket: socket.messages.pipe(ops.map(str)).subscribe(),
    "on_message": lambda socket: socket.on_message(print),
    "listener": lambda socket: socket.listener("a").subscribe(),
    "channel": lambda socket: socket.channel(subscribe="a", match=bool).subscribe(),
}
USES: dict[str, Callable[[Socket], Any]] = {
    "send": lambda socket: socket.send("a"),
    "send, behind outgoing": lambda socket: reactivex.of("a").subscribe(socket.outgoing),
    "emitter": lambda socket: socket.emitter("a").emit(1),
    "request": lambda socket: socket.request("?", match=bool).subscribe(None, print),
    "set_auth": lambda socket: socket.set_auth(B),
    "reconnect": lambda socket: socket.reconnect(),
    "state": lambda socket: socket.state.subscribe(),
}
ENDS: dict[str, Callable[[Scene], Any]] = {
    "close()": lambda it: it.socket.close(),
    "the peer": lambda it: it.peer.close(1000),
}


@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize("name", [*STARTS, *USES])
def test_what_starts_an_ended_socket(clock: VirtualClock, scene: Make, name: str, end: str) -> None:
    """What is to hold it open does; what only uses it does not bring back what was closed."""
    it = scene(watch=False, auth=A)
    it.socket.connect()
    clock.advance(1.0)
    ENDS[end](it)
    clock.advance(2.0)
    assert it.socket.state.value is State.CLOSED
    {**STARTS, **USES}[name](it.socket)
    clock.advance(2.0)
    expected = State.OPEN if name in STARTS else State.CLOSED
    assert it.socket.state.value is expected
    assert len(it.dials) == 1 + (name in STARTS)


def test_what_only_uses_an_ended_socket_fails_at_once(clock: VirtualClock, scene: Make) -> None:
    """With the same reason, each time, and whoever else asked before."""
    it = scene(watch=False, auth=A)
    it.socket.close()
    errors: list[Exception] = []
    for _ in range(2):
        it.socket.send("a").subscribe(None, errors.append)
        it.socket.request("?", match=bool).subscribe(None, errors.append)
    clock.advance(0)
    assert [type(error) for error in errors] == [NotConnected] * 4
    assert all("the socket has ended; connect() or subscribe first" in str(e) for e in errors)


AGAIN: dict[str, list[Any]] = {
    "repeat": [ops.repeat()],
    "repeat and retry": [ops.repeat(), ops.retry()],
    "map and repeat": [ops.map(str), ops.repeat()],
    "concat": [lambda source: reactivex.concat(source, source)],
}


@pytest.mark.parametrize("operators", AGAIN)
def test_an_operator_does_not_bring_back_what_was_closed(
    clock: VirtualClock, scene: Make, caplog: pytest.LogCaptureFixture, operators: str
) -> None:
    """``repeat()`` subscribes again when the peer is done, and not after ``close()``."""
    it = scene(accept().send("1").wait(1).close(1000), accept().send("2"), watch=False, auth=A)
    errors: list[Exception] = []
    it.socket.messages.pipe(ops.repeat(), ops.retry()).subscribe()
    it.socket.messages.pipe(*AGAIN[operators]).subscribe(None, errors.append)
    it.socket.messages.pipe(*AGAIN[operators]).subscribe()
    clock.advance(10.0)
    assert (it.socket.state.value, len(it.dials)) == (State.OPEN, 2)
    it.socket.close()
    clock.advance(10.0)
    assert (it.socket.state.value, len(it.dials)) == (State.CLOSED, 2)
    if operators in ("repeat", "map and repeat"):
        assert [str(error) for error in errors] == ["not subscribed again: the socket was closed"]
    assert "raised" not in caplog.text


@pytest.mark.parametrize("ends", [True, False])
def test_waiting_for_what_never_started(clock: VirtualClock, scene: Make, ends: bool) -> None:
    """``wait()`` and ``wait_closed()`` say so; of what was closed there is nothing to say."""
    it = scene(watch=False)
    if ends:
        it.socket.close()
        clock.run(it.socket.wait_closed())
        return
    with pytest.raises(RuntimeError, match="nothing to wait for: subscribe"):
        clock.run(it.socket.wait_closed())
    with pytest.raises(RuntimeError, match="nothing to wait for: subscribe"):
        it.socket.wait()


def test_a_send_to_what_is_just_started_again(clock: VirtualClock, scene: Make) -> None:
    """Once it is held again it has not ended any more, though nothing was dialled yet."""
    it = scene(accept().echo(), watch=False, auth=A)
    it.socket.close()
    clock.advance(2.0)
    it.socket.connect()
    sent = it.socket.send("a")
    answers: list[Any] = []
    it.socket.request("b", match=lambda message: message == "b").subscribe(answers.append)
    clock.advance(2.0)
    assert sent.result() == Sent(1) and answers == ["b"]
