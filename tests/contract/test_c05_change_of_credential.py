"""C5: a change of credential closes at once and dials within 50 ms."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from reactivex import operators as ops
from scene import WENT, A, B, C, Make, Scene, connecting, left, opened

from rxsocket import (
    AwaitingAuth,
    Cause,
    Closed,
    ConnectFailed,
    Connecting,
    Event,
    InEffect,
    Message,
    NotInEffect,
    Opened,
    Overtaken,
    Refused,
    Rejected,
    Socket,
    State,
    Stored,
    Verdict,
    Waiting,
    standard,
)
from rxsocket.testing import VirtualClock, accept, fake, hang, reject, server, unreachable


def test_closed_comes_before_anything_of_the_next(clock: VirtualClock) -> None:
    """The old connection's Closed comes first, then the new epoch; no old message follows."""
    peer = fake()
    socket = Socket(peer.url, auth={"token": "a"}, transport=peer)
    events: list[Event] = []
    socket.events.subscribe(events.append)
    clock.advance(1.0)
    peer.push("old")
    clock.advance(0.0)
    peer.push("too late")
    socket.set_auth({"token": "b"})
    clock.advance(1.0)
    peer.push("new")
    clock.advance(0.0)
    after = events[events.index(Closed(epoch=1, sent=1000, cause=Cause.AUTH_CHANGED)) :]
    names = [type(event).__name__ for event in after]
    assert names == ["Closed", "Connecting", "Opened", "Message"]
    assert after[-1] == Message(epoch=2, data="new")
    assert [handshake.credential for handshake in peer.handshakes] == ["a", "b"]
    socket.close()
    clock.advance(2.0)


def test_a_mute_peer_holds_the_next_dial_up_for_50_ms(clock: VirtualClock) -> None:
    """A peer that never answers our close delays the next dial by 50 ms; it is dropped in 2 s."""
    peer = fake()
    socket = Socket(peer.url, auth={"token": "a"}, transport=peer)
    socket.messages.subscribe()
    clock.advance(10.0)
    peer.freeze()
    socket.set_auth({"token": "b"})
    clock.advance(1.0)
    assert [handshake.at for handshake in peer.handshakes] == [0.0, 10.05]
    assert peer.connections == 2
    clock.advance(1.0)
    assert peer.connections == 1
    socket.close()
    clock.advance(2.0)


def dialled(it: Scene) -> list[float]:
    """When each attempt began."""
    return [at for at, event in it.entries if isinstance(event, Connecting)]


def test_a_change_while_open_says_so_in_order(clock: VirtualClock, scene: Make) -> None:
    """Closed, Connecting and Opened, all with the cause, in the same instant."""
    it = scene(auth=A)
    clock.advance(10.0)
    it.clear()
    it.socket.set_auth(B)
    assert it.entries == [(10.0, left(1, Cause.AUTH_CHANGED))]
    assert it.socket.state.value is State.CONNECTING
    clock.advance(0.0)
    assert it.entries[1:] == [
        (10.0, connecting(2, Cause.AUTH_CHANGED)),
        (10.0, opened(2, Cause.AUTH_CHANGED, gap=0.0)),
    ]
    assert it.peer.closes == [(1, 1000, "")]
    assert it.dials == [(0.0, "a"), (10.0, "b")]


def test_every_stream_sees_the_close_first(clock: VirtualClock, scene: Make) -> None:
    """``closes`` before ``opens``; the session completes before the next one begins."""
    it = scene(auth=A)
    log: list[object] = []
    it.socket.opens.subscribe(lambda event: log.append(("open", event.epoch)))
    it.socket.closes.subscribe(lambda event: log.append(("close", event.epoch)))
    it.socket.sessions.subscribe(
        lambda session: session.subscribe(
            on_completed=lambda: log.append(("session over", session.epoch))
        )
    )
    clock.advance(1.0)
    it.socket.set_auth(B)
    clock.advance(1.0)
    assert log == [("open", 1), ("close", 1), ("session over", 1), ("open", 2)]


@pytest.mark.parametrize(
    ("latency", "wait"), [(0.0, 0.0), (0.02, 0.02), (0.05, 0.05), (0.06, 0.05), (1.5, 0.05)]
)
def test_the_next_dial_waits_for_the_answer_or_50_ms(
    clock: VirtualClock, scene: Make, latency: float, wait: float
) -> None:
    """The handshake with B starts when the peer has answered, after 50 ms at the latest."""
    it = scene(latency=latency, auth=A)
    clock.advance(10.0)
    it.socket.set_auth(B)
    clock.advance(5.0)
    assert dialled(it) == [0.0, 10.0]
    assert it.peer.handshakes[1].at == pytest.approx(10.0 + wait + latency)


@pytest.mark.parametrize("close_timeout", [0.5, 2.0, 7.0])
def test_a_mute_peer_is_gone_within_the_limit(
    clock: VirtualClock, scene: Make, close_timeout: float
) -> None:
    """The old connection is closed in the background, and cut at ``close_timeout``."""
    it = scene(accept().freeze(), auth=A, close_timeout=close_timeout)
    clock.advance(10.0)
    it.socket.set_auth(B)
    clock.advance(close_timeout - 0.01)
    assert (it.peer.connections, it.peer.live) == (2, 1)
    clock.advance(0.01)
    assert (it.peer.connections, it.peer.live) == (1, 1)
    assert it.peer.closes == [(1, 1006, "")]
    assert it.socket.state.value is State.OPEN


def test_a_mute_peer_that_was_left_delivers_nothing(clock: VirtualClock, scene: Make) -> None:
    """Whatever the old peer says while it is being closed goes to nobody."""
    it = scene(accept().wait(10.01).send("late").wait(0.1).close(4000), latency=1.0, auth=A)
    got: list[str] = []
    it.socket.messages.subscribe(got.append)
    clock.advance(11.0)
    it.socket.set_auth(B)
    clock.advance(5.0)
    assert got == []
    assert it.names == ["Connecting", "Opened", "Closed", "Connecting", "Opened"]


def test_what_the_peer_answers_is_not_told(clock: VirtualClock, scene: Make) -> None:
    """Only one Closed for A, though the peer's answer and end come later."""
    it = scene(latency=0.5, auth=A)
    clock.advance(10.0)
    it.socket.set_auth(B)
    clock.advance(5.0)
    assert [event for event in it.events if isinstance(event, Closed)] == [
        left(1, Cause.AUTH_CHANGED)
    ]


def test_messages_of_the_same_instant_are_of_the_old_one_or_of_none(
    clock: VirtualClock, scene: Make
) -> None:
    """What came before the change is delivered before Closed; what comes after it never is."""
    it = scene(auth=A)
    clock.advance(1.0)
    it.peer.push("1")
    clock.call_soon(it.socket.set_auth, B)
    clock.call_soon(it.peer.push, "2")
    clock.advance(1.0)
    assert it.events[2:] == [
        Message(epoch=1, data="1"),
        left(1, Cause.AUTH_CHANGED),
        connecting(2, Cause.AUTH_CHANGED),
        opened(2, Cause.AUTH_CHANGED, gap=0.0),
        *[event for event in it.events if isinstance(event, Message) and event.epoch == 2],
    ]


# --- from inside an observer


@pytest.mark.parametrize("stream", ["messages", "events", "opens", "sessions", "state"])
def test_a_change_inside_an_observer_waits_for_the_emission(
    clock: VirtualClock, scene: Make, stream: str
) -> None:
    """The observers behind it get the value first; then comes Closed, before anything else."""
    it = scene(accept().send("go"), watch=False, auth=A)
    log: list[object] = []

    def change(value: object) -> None:
        if it.socket.state.value is State.OPEN and not log:
            it.socket.set_auth(B)
            log.append("asked")

    getattr(it.socket, stream).subscribe(change)
    it.watch()
    getattr(it.socket, stream).subscribe(
        lambda _: log.append(it.socket.state.value) if log else None
    )
    clock.advance(5.0)
    assert log[:2] == ["asked", State.OPEN]
    epochs = [
        (type(event).__name__, event.epoch) for event in it.events if not isinstance(event, Message)
    ]
    assert epochs == [
        ("Connecting", 1), ("Opened", 1), ("Closed", 1), ("Connecting", 2), ("Opened", 2),
    ]  # fmt: skip
    assert it.credentials == ["a", "b"]


def test_a_change_at_a_message_holds_back_the_next_one(clock: VirtualClock, scene: Make) -> None:
    """Two messages in one instant, a change at the first: the second is never delivered."""
    it = scene(accept().wait(1.0).send("1", "2"), watch=False, auth=A)
    got: list[list[str]] = [[], []]
    it.socket.messages.subscribe(lambda message: (got[0].append(message), it.socket.set_auth(B)))
    it.socket.messages.subscribe(got[1].append)
    clock.advance(3.0)
    assert got == [["1"], ["1"]]


def test_a_change_at_the_close_of_a_change(clock: VirtualClock, scene: Make) -> None:
    """An observer of ``closes`` that sets the next credential: B is never dialled."""
    it = scene(auth=A)
    outcomes: list[object] = []
    it.socket.closes.subscribe(lambda _: it.socket.set_auth(C).subscribe(outcomes.append))
    clock.advance(10.0)
    it.socket.set_auth(B).subscribe(outcomes.append)
    clock.advance(1.0)
    assert it.dials == [(0.0, "a"), (10.0, "c")]
    assert outcomes == [Overtaken(), InEffect(epoch=2)]


@pytest.mark.parametrize("at", [Closed, Connecting])
@pytest.mark.parametrize("last", ["close", "leave"])
def test_ending_it_in_the_middle_of_a_change(
    clock: VirtualClock, scene: Make, at: type, last: str
) -> None:
    """Who closes or leaves at Closed or Connecting of a change: B is not dialled."""
    it = scene(watch=False, auth=A)

    def end(event: Event) -> None:
        if isinstance(event, at) and it.credentials == ["a"] and clock.time() == 10.0:
            it.socket.close() if last == "close" else leave.dispose()

    leave = it.socket.events.subscribe(end)
    clock.advance(10.0)
    it.socket.set_auth(B)
    clock.advance(5.0)
    assert it.credentials == ["a"]
    assert it.socket.state.value is (State.CLOSED if last == "close" else State.IDLE)


def test_an_observer_that_leaves_at_the_close_takes_nobody_along(
    clock: VirtualClock, scene: Make
) -> None:
    """``take_until(closes)`` style leaving in the middle of a change: the others go on."""
    it = scene(auth=A)
    mine: list[Opened] = []
    it.socket.opens.pipe(ops.take_until(it.socket.closes)).subscribe(mine.append)
    clock.advance(1.0)
    it.socket.set_auth(B)
    clock.advance(1.0)
    assert mine == [opened(1)]
    assert it.credentials == ["a", "b"]


# --- servers that allow one session


def one_session(*scripts: Any) -> tuple[Any, ...]:
    """A peer that does not answer the first close, then these."""
    return (accept().freeze(), *scripts)


def test_a_refusal_while_the_old_close_is_unanswered_gets_one_more_try(
    clock: VirtualClock, scene: Make
) -> None:
    """B is refused while A is still there for the server: tried again when A is gone."""
    it = scene(*one_session(reject(401)), auth=A)
    clock.advance(10.0)
    it.clear()
    change = it.socket.set_auth(B)
    clock.advance(3.0)
    assert it.dials == [(0.0, "a"), (10.05, "b"), (12.0, "b")]
    failed = it.events[2]
    assert isinstance(failed, ConnectFailed)
    assert (failed.status, failed.verdict) == (401, Verdict.RECONNECT)
    assert "AwaitingAuth" not in it.names
    assert it.events[-1] == opened(3, Cause.FAILED, gap=2.0, attempts=2)
    assert change.result() == InEffect(epoch=3)


def test_a_close_as_refusal_gets_one_more_try_too(clock: VirtualClock, scene: Make) -> None:
    """A server that lets B in and then closes with 4403 means the same."""
    it = scene(*one_session(accept().close(4403)), auth=A)
    clock.advance(10.0)
    it.clear()
    change = it.socket.set_auth(B)
    clock.advance(3.0)
    assert it.dials == [(0.0, "a"), (10.05, "b"), (12.0, "b")]
    assert Closed(epoch=2, code=4403, verdict=Verdict.RECONNECT) in it.events
    assert change.result() == InEffect(epoch=3)


@pytest.mark.parametrize(("answer", "again"), [(0.4, 11.05), (1.5, 11.5)])
def test_the_one_more_try_comes_when_a_late_answer_does(
    clock: VirtualClock, answer: float, again: float
) -> None:
    """B is refused before the old peer answers: dialled again then, and 1 s later at least."""
    old, new = fake(latency=answer), fake(reject(401))
    peers = iter([old])
    socket = Socket(old.url, auth=A, transport=lambda request: next(peers, new)(request))
    socket.messages.subscribe()
    clock.advance(10.0)
    change = socket.set_auth(B)
    clock.advance(60.0)
    assert [(one.at, one.credential) for one in new.handshakes] == [(10.05, "b"), (again, "b")]
    assert change.result() == InEffect(epoch=3)
    assert old.connections == 0
    socket.close()
    clock.advance(2.0)


def test_a_second_refusal_after_a_late_answer_parks(clock: VirtualClock) -> None:
    """Refused again when the old peer has answered: B is parked and not dialled any more."""
    old, new = fake(latency=0.4), fake(reject(401), reject(401))
    peers = iter([old])
    socket = Socket(old.url, auth=A, transport=lambda request: next(peers, new)(request))
    socket.messages.subscribe()
    clock.advance(10.0)
    change = socket.set_auth(B)
    clock.advance(600.0)
    assert [(one.at, one.credential) for one in new.handshakes] == [(10.05, "b"), (11.05, "b")]
    assert isinstance(change.result(), Refused)
    assert socket.state.value is State.AWAITING_AUTH
    socket.close()
    clock.advance(2.0)


def test_there_is_no_third_try(clock: VirtualClock, scene: Make) -> None:
    """Refused again when A is gone: B is refused for good."""
    it = scene(*one_session(reject(401), reject(401)), auth=A)
    clock.advance(10.0)
    change = it.socket.set_auth(B)
    clock.advance(60.0)
    assert it.dials == [(0.0, "a"), (10.05, "b"), (12.0, "b")]
    assert change.result() == Refused(f"the server refused the handshake with HTTP 401{WENT}")
    assert [type(event) for event in it.events[-2:]] == [Rejected, AwaitingAuth]
    assert it.socket.state.value is State.AWAITING_AUTH


def test_a_refusal_after_the_answer_is_one(clock: VirtualClock, scene: Make) -> None:
    """A peer that answered the close is no excuse: one handshake with B."""
    it = scene(accept(), reject(401), auth=A)
    clock.advance(10.0)
    it.socket.set_auth(B)
    clock.advance(60.0)
    assert it.dials == [(0.0, "a"), (10.0, "b")]
    assert it.socket.state.value is State.AWAITING_AUTH


def test_the_old_close_may_end_before_the_second_is_due(clock: VirtualClock, scene: Make) -> None:
    """A close that is answered after 0.2 s: the one more try comes then, at most 1 s later."""
    it = scene(accept(), reject(401), auth=A, latency=0.2)
    clock.advance(10.0)
    it.socket.set_auth(B)
    clock.advance(10.0)
    assert len(it.dials) == 2  # refused at 10.25, when the answer had come at 10.2
    assert it.socket.state.value is State.AWAITING_AUTH


def test_another_change_while_waiting_for_the_old_close(clock: VirtualClock, scene: Make) -> None:
    """C overtakes B's second try, and has a second try of its own."""
    it = scene(*one_session(reject(401), reject(401)), auth=A)
    clock.advance(10.0)
    first = it.socket.set_auth(B)
    clock.advance(1.0)
    second = it.socket.set_auth(C)
    clock.advance(5.0)
    assert it.dials == [(0.0, "a"), (10.05, "b"), (11.0, "c"), (12.0, "c")]
    assert (first.result(), second.result()) == (Overtaken(), InEffect(epoch=4))


def test_the_one_more_try_excuses_no_later_close(clock: VirtualClock, scene: Make) -> None:
    """A silent peer, dropped without an answer later on: that attempt waits its turn, as ever."""
    quiet = accept().send("1").wait(2.0).freeze()
    it = scene(
        *one_session(reject(401), quiet), auth=A, stale_after=3.0, on_stale="reconnect", linger=0
    )
    clock.advance(2.0)
    it.socket.set_auth(B)
    clock.advance(10.0)
    stale = it.names.index("Stale")
    assert it.names[stale : stale + 3] == ["Stale", "Closed", "Waiting"]


def test_an_outage_while_the_old_close_is_unanswered_is_one(
    clock: VirtualClock, scene: Make
) -> None:
    """What is no refusal goes by the backoff, as ever."""
    it = scene(*one_session(unreachable()), auth=A)
    clock.advance(10.0)
    it.socket.set_auth(B)
    clock.advance(10.0)
    assert dialled(it) == [0.0, 10.0, 12.05]
    assert Waiting(delay=2.0, failures=1, cause=Cause.FAILED) in it.events


# --- the outcome


def settled(clock: VirtualClock, receipt: Any) -> list[tuple[float, object]]:
    log: list[tuple[float, object]] = []
    receipt.subscribe(lambda outcome: log.append((clock.time(), outcome)))
    return log


def test_in_effect_after_a_quarter_of_a_second(clock: VirtualClock, scene: Make) -> None:
    """An open proves nothing yet: 0.25 s without a refusal do."""
    it = scene(auth=A)
    clock.advance(10.0)
    log = settled(clock, it.socket.set_auth(B))
    clock.advance(0.249)
    assert log == []
    clock.advance(1.0)
    assert log == [(10.25, InEffect(epoch=2))]


def test_in_effect_at_the_first_message(clock: VirtualClock, scene: Make) -> None:
    """A message of the new connection proves it at once."""
    it = scene(accept(), accept().wait(0.1).send("welcome"), auth=A)
    clock.advance(10.0)
    log = settled(clock, it.socket.set_auth(B))
    clock.advance(1.0)
    assert log == [(10.1, InEffect(epoch=2))]


@pytest.mark.parametrize(
    ("script", "at", "reason"),
    [
        (reject(403), 10.0, f"the server refused the handshake with HTTP 403{WENT}"),
        (accept().wait(0.2).close(4401, "expired"), 10.2, "closed with 4401 expired"),
        (accept().wait(0.2).close(1008), 10.2, "closed with 1008"),
    ],
    ids=["403", "4401", "1008"],
)
def test_refused_at_the_refusal(
    clock: VirtualClock, scene: Make, script: Any, at: float, reason: str
) -> None:
    """By a status or by a close within the grace; the reason is the server's."""
    it = scene(accept(), script, auth=A)
    clock.advance(10.0)
    log = settled(clock, it.socket.set_auth(B))
    clock.advance(1.0)
    assert log == [(at, Refused(reason))]


def test_an_outage_settles_nothing(clock: VirtualClock, scene: Make) -> None:
    """As long as the server is away nobody knows; then it is in effect."""
    it = scene(accept(), unreachable(), accept().wait(0.1).drop(), auth=A)
    clock.advance(10.0)
    log = settled(clock, it.socket.set_auth(B))
    clock.advance(16.0)
    assert dialled(it) == [0.0, 10.0, 12.0, 16.1]
    assert log == [(16.35, InEffect(epoch=4))]


AT_ONCE = accept().wait(0.1)
NO_EFFECT = {
    "4500 at once": ([AT_ONCE.close(4500, "busy")] * 9, {}, 12.2, "4500 'busy'; it is tried again"),
    "1011 at once": ([accept().close(1011)] * 9, {}, 12.0, "1011 (internal error); it is tried"),
    "no answer": ([hang()] * 9, {"open_timeout": 60.0}, 40.0, "no connection was open with it wit"),
    "away": ([unreachable()] * 9, {}, 40.0, "the fake server is unreachable; it is tried again"),
    "links that are lost": ([AT_ONCE.drop()] * 9, {}, 40.0, "the link was lost"),
    "503": ([reject(503)] * 9, {}, 40.0, "HTTP 503; it is tried again"),
    "1000": ([accept().close(1000)], {}, 10.0, "the socket ended: closed by the server with 1000"),
    "a verdict": (
        [accept().close(4404)],
        {},
        10.0,
        "the socket ended: gave up after attempt 1, it",
    ),
    "a limit": ([reject(503)] * 2, {"max_attempts": 2}, 12.0, "the socket ended: gave up after"),
}


@pytest.mark.parametrize("name", NO_EFFECT)
def test_nobody_waits_for_ever(clock: VirtualClock, scene: Make, name: str) -> None:
    """C20: it says what happened to the attempts with it, and that it is tried on, or the end."""
    scripts, options, at, reason = NO_EFFECT[name]
    verdicts = standard().override({4404: Verdict.FAIL})
    it = scene(accept(), *scripts, auth=A, verdicts=verdicts, **options)
    clock.advance(10.0)
    log = settled(clock, it.socket.set_auth(B))
    clock.advance(60.0)
    [(when, outcome)] = log
    assert isinstance(outcome, NotInEffect)
    assert reason in outcome.reason
    assert when == pytest.approx(at)


def test_what_had_no_attempt_is_stored(clock: VirtualClock, scene: Make) -> None:
    """C20: an end that is not its own leaves it for the next start."""
    it = scene(accept(), hang(), accept(), auth=A)
    clock.advance(10.0)
    log = settled(clock, it.socket.set_auth(B))
    clock.advance(1.0)
    it.socket.close()
    clock.advance(1.0)
    assert log == [(11.0, Stored())]


def test_what_ended_the_socket_is_used_by_its_next_start(clock: VirtualClock, scene: Make) -> None:
    """C3: it was kept: an ended socket starts afresh with the newest credential."""
    it = scene(accept(), accept().close(1000), accept(), auth=A)
    clock.advance(10.0)
    change = it.socket.set_auth(B)
    clock.advance(1.0)
    assert isinstance(change.result(), NotInEffect)
    it.watch()
    clock.advance(2.0)
    assert it.credentials == ["a", "b", "b"]
    assert it.socket.state.value is State.OPEN


OVERTAKE: dict[str, Callable[[Scene], Any]] = {
    "by a value": lambda it: it.socket.set_auth(C),
    "by a logout": lambda it: it.socket.set_auth(None),
    "by the one before": lambda it: it.socket.set_auth(A),
}


@pytest.mark.parametrize("by", OVERTAKE)
@pytest.mark.parametrize("opened", [False, True])
def test_overtaken_by_a_newer_one(clock: VirtualClock, scene: Make, by: str, opened: bool) -> None:
    """Before it was in effect: the receipt says so at once, the newer one has its own."""
    it = scene(auth=A)
    clock.advance(10.0)
    log = settled(clock, it.socket.set_auth(B))
    if opened:
        clock.advance(0.0)
    newer = OVERTAKE[by](it)
    assert log == [(10.0, Overtaken())]
    clock.advance(1.0)
    expected = None if by == "by a logout" else 3 if opened else 2
    assert newer.result() == InEffect(epoch=expected)


def test_two_who_set_the_same_are_told_the_same(clock: VirtualClock, scene: Make) -> None:
    """Asking twice for B is one change with two receipts."""
    it = scene(auth=A)
    clock.advance(10.0)
    logs = [settled(clock, it.socket.set_auth(B)) for _ in range(2)]
    clock.advance(0.1)
    logs.append(settled(clock, it.socket.set_auth(B)))
    clock.advance(1.0)
    assert logs[:2] == [[(10.25, InEffect(epoch=2))]] * 2
    assert [outcome for _, outcome in logs[2]] == [InEffect(epoch=2)]
    assert it.credentials == ["a", "b"]


def test_an_unused_receipt_harms_nobody(clock: VirtualClock, scene: Make) -> None:
    """Dropping receipts, and cancelling who awaits one, changes nothing."""
    it = scene(auth=A)
    clock.advance(1.0)
    it.socket.set_auth(B)

    async def impatient() -> None:
        await asyncio.wait_for(it.socket.set_auth(C), timeout=0.1)

    with pytest.raises(TimeoutError):
        clock.run(impatient())
    clock.advance(1.0)
    assert it.credentials[-1] == "c"
    assert it.socket.state.value is State.OPEN


def test_on_a_real_connection() -> None:
    """On loopback: messages under the first token, then under the second, to the same observer."""
    with server(tokens={"a", "b"}) as peer:

        async def main() -> None:
            socket = Socket(peer.url, auth={"token": "a"})
            messages: list[str] = []
            arrived = asyncio.Event()
            socket.messages.subscribe(lambda message: (messages.append(message), arrived.set()))
            await peer.await_for(lambda peer: peer.connections == 1)
            peer.push("under a")
            await arrived.wait()
            arrived.clear()
            changing = socket.set_auth({"token": "b"})
            await peer.await_for(lambda peer: len(peer.handshakes) == 2)
            await peer.await_for(lambda peer: peer.connections == 1)
            peer.push("under b")
            assert await changing == InEffect(epoch=2)
            await arrived.wait()
            assert messages == ["under a", "under b"]
            await socket.close()

        asyncio.run(main())
        assert [handshake.credential for handshake in peer.handshakes] == ["a", "b"]
