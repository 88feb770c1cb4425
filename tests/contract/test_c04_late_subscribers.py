"""C4: late subscribers, and the first messages of an epoch."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest
import reactivex
from reactivex import operators as ops
from scene import A, B, Make, Scene

from rxsocket import Dropped, Message, Session, State
from rxsocket.testing import VirtualClock, accept, hang, reject, unreachable

MIB = 2**20

STATES: dict[State, tuple[Any, ...]] = {
    State.CONNECTING: (hang(),),
    State.OPEN: (accept(),),
    State.WAITING: (unreachable(),),
    State.AWAITING_AUTH: (reject(401),),
    State.CLOSED: (accept().close(),),
}


@pytest.mark.parametrize("state", STATES)
def test_late_to_state(clock: VirtualClock, scene: Make, state: State) -> None:
    """Who subscribes to ``state`` gets the current value within the call, then the changes."""
    it = scene(*STATES[state], watch=False, auth=A)
    seen: list[State] = []
    it.socket.state.subscribe(seen.append)
    assert seen == [State.IDLE]
    it.socket.connect()
    clock.advance(1.0)
    late: list[State] = []
    it.socket.state.subscribe(late.append)
    assert late == [state] == [it.socket.state.value]


def test_each_change_of_state_comes_once(clock: VirtualClock, scene: Make) -> None:
    """Changes only: no value comes twice in a row."""
    it = scene(unreachable(), unreachable(), accept(), watch=False, auth=A)
    seen: list[State] = []
    it.socket.state.subscribe(seen.append)
    it.socket.connect()
    clock.advance(10.0)
    it.socket.set_auth(B)
    clock.advance(1.0)
    dialling = [State.CONNECTING, State.WAITING]
    opening = [State.CONNECTING, State.OPEN]
    assert seen == [State.IDLE, *dialling, *dialling, *opening, *opening]


def test_late_to_auth(clock: VirtualClock, scene: Make) -> None:
    """``auth`` gives the current credential first, masked, then each change."""
    it = scene(watch=False, auth=A)
    seen: list[str] = []
    it.socket.auth.pipe(ops.map(repr)).subscribe(seen.append)
    it.socket.set_auth("other")
    it.socket.set_auth(None)
    late: list[str] = []
    it.socket.auth.pipe(ops.map(repr)).subscribe(late.append)
    assert seen == ["Credential(token=***)", "Credential(***)", "Credential(logged out)"]
    assert late == ["Credential(logged out)"]


@pytest.mark.parametrize("stream", ["events", "opens", "closes", "sessions", "errors", "messages"])
def test_late_to_other_streams(clock: VirtualClock, scene: Make, stream: str) -> None:
    """What came before is not repeated."""
    it = scene(accept().send("1").wait(1.0).drop(), accept().send("2"), auth=A)
    it.socket.messages.subscribe()
    clock.advance(10.0)
    late: list[object] = []
    getattr(it.socket, stream).subscribe(late.append)
    clock.advance(10.0)
    assert late == []


def test_a_subscriber_in_the_middle_of_an_emission_is_late(
    clock: VirtualClock, scene: Make
) -> None:
    """Who is subscribed by an observer gets what comes after that value, not the value."""
    it = scene(accept().send("1", "2"), watch=False, auth=A)
    late: list[str] = []
    count: list[str] = []

    def first(message: str) -> None:
        count.append(message)
        if message == "1":
            it.socket.messages.subscribe(late.append)

    it.socket.messages.subscribe(first)
    clock.advance(1.0)
    assert (count, late) == (["1", "2"], ["2"])


def test_a_welcome_is_held_for_the_first_subscriber(clock: VirtualClock, scene: Make) -> None:
    """The first messages go to the first who subscribes, in order, and to nobody after that."""
    it = scene(accept().send("hello", b"1").wait(3.0).send("2"), watch=False, auth=A)
    it.socket.connect()
    problems: list[object] = []
    it.socket.errors.subscribe(problems.append)
    clock.advance(2.0)
    first: list[object] = []
    second: list[object] = []
    it.socket.messages.subscribe(first.append)
    assert first == ["hello", b"1"]
    it.socket.messages.subscribe(second.append)
    clock.advance(10.0)
    assert (first, second, problems) == (["hello", b"1", "2"], ["2"], [])


def test_who_subscribes_when_told_of_the_open_misses_nothing(
    clock: VirtualClock, scene: Make
) -> None:
    """``on_open`` is early enough to subscribe to ``messages``, at each connection."""
    it = scene(accept().send("1").wait(5.0).drop(), accept().send("2"), watch=False, auth=A)
    got: list[str] = []
    it.socket.on_open(lambda: it.socket.messages.pipe(ops.take(1)).subscribe(got.append))
    clock.advance(20.0)
    assert got == ["1", "2"]


def hold(clock: VirtualClock, scene: Make, *messages: str | bytes) -> tuple[Scene, list[Any]]:
    """A connection to which messages came, and what went wrong."""
    it = scene(accept().send(*messages), watch=False, auth=A)
    problems: list[Any] = []
    it.socket.errors.subscribe(problems.append)
    it.socket.connect()
    clock.advance(1.0)
    return it, problems


def late(it: Scene) -> list[Any]:
    got: list[Any] = []
    it.socket.messages.subscribe(got.append)
    return got


def test_256_messages_are_held(clock: VirtualClock, scene: Make) -> None:
    """As many as that wait for the first subscriber."""
    messages = [str(n) for n in range(256)]
    it, problems = hold(clock, scene, *messages)
    assert late(it) == messages
    assert problems == []


@pytest.mark.parametrize("count", [257, 300])
def test_one_more_drops_all_that_were_held(clock: VirtualClock, scene: Make, count: int) -> None:
    """The 257th drops them all, with one counted event; there is no second one."""
    it, problems = hold(clock, scene, *[str(n) for n in range(count)])
    [dropped] = problems
    assert isinstance(dropped, Dropped)
    assert (dropped.epoch, dropped.count) == (1, 257)
    assert "256 messages" in dropped.reason
    assert late(it) == []
    clock.advance(20.0)
    assert len(problems) == 1


def test_1_mib_is_held(clock: VirtualClock, scene: Make) -> None:
    """Bytes are counted, of text those of its encoding."""
    messages = [b"x" * (MIB // 2), "é" * (MIB // 4)]
    it, problems = hold(clock, scene, *messages)
    assert late(it) == messages
    assert problems == []


@pytest.mark.parametrize("last", [b"x", "x"])
def test_one_more_byte_drops_all(clock: VirtualClock, scene: Make, last: Any) -> None:
    """Past 1 MiB all are dropped, with one event."""
    it, problems = hold(clock, scene, b"x" * (MIB // 2), "é" * (MIB // 4), last)
    [dropped] = problems
    assert dropped == Dropped(
        epoch=1, count=3, reason=f"more than {MIB} bytes came before anybody subscribed"
    )
    assert late(it) == []


def test_messages_are_held_for_5_s(clock: VirtualClock, scene: Make) -> None:
    """From the first message on; one who comes a moment earlier gets them all."""
    it = scene(accept().wait(10.0).send("1").wait(4.9).send("2"), watch=False, auth=A)
    it.socket.connect()
    clock.advance(14.95)
    assert late(it) == ["1", "2"]
    clock.advance(10.0)


def test_after_5_s_they_are_dropped(clock: VirtualClock, scene: Make) -> None:
    """All that were held, with one event, 5 s after the first; what comes then is not held."""
    it = scene(accept().wait(10.0).send("1").wait(4.9).send("2").wait(5.0).send("3"), auth=A)
    it.end()
    problems: list[tuple[float, Any]] = []
    it.socket.errors.subscribe(lambda problem: problems.append((clock.time(), problem)))
    start = clock.time()
    it.socket.connect()
    clock.advance(30.0)
    [(at, dropped)] = problems
    assert isinstance(dropped, Dropped) and dropped.count == 2
    assert at == start + 15.0
    assert late(it) == []


def test_what_was_dropped_is_an_event_too(clock: VirtualClock, scene: Make) -> None:
    """``Dropped`` comes on ``events`` and on ``errors``, once each; a recorder only looks."""
    it, problems = hold(clock, scene, "1", "2")
    events: list[object] = []
    it.socket.events.passive(audience=False).subscribe(events.append)
    clock.advance(10.0)
    assert events == problems == [Dropped(epoch=1, count=2, reason="nobody subscribed within 5 s")]


def test_the_next_epoch_holds_its_own(clock: VirtualClock, scene: Make) -> None:
    """What an epoch held is dropped and counted when the next one opens, which holds anew."""
    it = scene(accept().send("1", "2").wait(1.0).drop(), accept().send("3"), watch=False, auth=A)
    problems: list[object] = []
    it.socket.errors.subscribe(problems.append)
    it.socket.connect()
    clock.advance(3.5)
    dropped = [problem for problem in problems if isinstance(problem, Dropped)]
    assert dropped == [Dropped(epoch=1, count=2, reason="nobody subscribed")]
    assert late(it) == ["3"]


def test_what_is_held_outlives_the_connection(clock: VirtualClock, scene: Make) -> None:
    """A peer that says something and goes away is heard by who comes before the next open."""
    it = scene(accept().send("1").wait(1.0).drop(), unreachable(), watch=False, auth=A)
    it.socket.connect()
    clock.advance(2.0)
    assert late(it) == ["1"]


def test_nothing_is_held_once_somebody_was_there(clock: VirtualClock, scene: Make) -> None:
    """Who was subscribed at the open and left ends the holding: later ones get what comes then."""
    it = scene(accept().send("1").wait(2.0).send("2").wait(10.0).send("3"), watch=False, auth=A)
    problems: list[object] = []
    it.socket.errors.subscribe(problems.append)
    it.socket.connect()
    it.socket.messages.subscribe().dispose()
    leave = it.socket.messages.subscribe()
    clock.advance(1.0)
    leave.dispose()
    clock.advance(2.0)
    got = late(it)
    clock.advance(20.0)
    assert got == ["3"]
    assert problems == []


def test_nothing_is_held_for_who_sees_events(clock: VirtualClock, scene: Make) -> None:
    """``events`` has payloads: while it is subscribed to, late ones get what comes from then on."""
    it = scene(accept().send("1").wait(2.0).send("2"), auth=A)
    clock.advance(1.0)
    got = late(it)
    clock.advance(2.0)
    assert got == ["2"]
    assert [event.data for event in it.events if isinstance(event, Message)] == ["1", "2"]


def test_late_to_events_and_the_first(clock: VirtualClock, scene: Make) -> None:
    """It gets what is held, with the times that it came, as if it had been there; then the rest."""
    it, problems = hold(clock, scene, "1", "2")
    came, events = clock.wall_time(), []
    clock.advance(2.0)
    it.socket.events.subscribe(events.append)
    assert [(event.epoch, event.data) for event in events] == [(1, "1"), (1, "2")]
    assert all(came - 1.0 <= event.at <= came for event in events)
    assert late(it) == []
    it.peer.push("3")
    clock.advance(10.0)
    assert [event.data for event in events] == ["1", "2", "3"]
    assert problems == []


def test_late_to_events_after_somebody_else(clock: VirtualClock, scene: Make) -> None:
    """Whoever comes to ``messages`` first has what was held; ``events`` gives what comes then."""
    it, problems = hold(clock, scene, "1", "2")
    events: list[Any] = []
    assert late(it) == ["1", "2"]
    it.socket.events.subscribe(events.append)
    it.peer.push("3")
    clock.advance(10.0)
    assert [event.data for event in events] == ["3"]
    assert problems == []


def test_a_recorder_does_not_take_the_welcome(clock: VirtualClock, scene: Make) -> None:
    """Who looks at ``events`` without being audience leaves what is held where it is."""
    it, problems = hold(clock, scene, "1", "2")
    events: list[Any] = []
    it.socket.events.passive(audience=False).subscribe(events.append)
    clock.advance(1.0)
    assert (events, late(it)) == ([], ["1", "2"])
    clock.advance(10.0)
    assert (events, problems) == ([], [])


def test_late_to_events_is_told_of_a_lost_connection_that_it_was(
    clock: VirtualClock, scene: Make
) -> None:
    """Messages of a connection that is gone keep its number, and one that leaves gets no more."""
    it = scene(accept().send("1", "2").wait(1.0).drop(), unreachable(), watch=False, auth=A)
    it.socket.connect()
    clock.advance(2.0)
    events: list[Any] = []
    it.socket.events.pipe(ops.take(1)).subscribe(events.append)
    assert [(event.epoch, event.data) for event in events] == [(1, "1")]


def test_what_looks_does_not_take_the_welcome(clock: VirtualClock, scene: Make) -> None:
    """Subscribers to ``state``, ``opens``, ``closes``, ``errors`` or ``auth`` see no payloads."""
    it = scene(accept().send("hello"), watch=False, auth=A)
    for stream in ("state", "opens", "closes", "errors", "auth"):
        getattr(it.socket, stream).subscribe()
    clock.advance(3.0)
    assert late(it) == ["hello"]


def test_who_leaves_at_a_held_message_gets_no_other(clock: VirtualClock, scene: Make) -> None:
    """``take(1)`` on held messages takes one; nothing comes after the dispose."""
    it, problems = hold(clock, scene, "1", "2", "3")
    got: list[str] = []
    it.socket.messages.pipe(ops.take(1)).subscribe(got.append)
    clock.advance(20.0)
    assert (got, problems) == (["1"], [])
    assert it.socket.state.value is State.OPEN


ACTS: dict[str, Callable[[Scene], Any]] = {
    "set_auth": lambda it: it.socket.set_auth(B),
    "reconnect": lambda it: it.socket.reconnect(),
    "close": lambda it: it.socket.close(),
}


@pytest.mark.parametrize("act", ACTS)
def test_what_is_asked_at_a_held_message_comes_after_them(
    clock: VirtualClock, scene: Make, act: str
) -> None:
    """All that was held is one emission: who acts in it gets the rest first, then the change."""
    it, _ = hold(clock, scene, "1", "2")
    got: list[tuple[str, State]] = []

    def on_next(message: str) -> None:
        got.append((message, it.socket.state.value))
        if message == "1":
            ACTS[act](it)

    it.socket.messages.subscribe(on_next)
    assert got == [("1", State.OPEN), ("2", State.OPEN)]
    clock.advance(2.0)
    assert it.socket.state.value is (State.CLOSED if act == "close" else State.OPEN)
    assert it.credentials == ["a", *{"set_auth": ["b"], "reconnect": ["a"], "close": []}[act]]


def test_the_last_one_leaving_lets_go_of_what_is_held(clock: VirtualClock, scene: Make) -> None:
    """What nobody took is dropped, counted, and no timer is left."""
    it = scene(accept().send("1"), watch=False, auth=A)
    problems: list[object] = []
    it.socket.errors.subscribe(problems.append)
    leave = it.socket.connect()
    clock.advance(1.0)
    leave.dispose()
    clock.advance(0.0)
    assert clock.pending == 0
    assert [type(problem) for problem in problems] == [Dropped]
    assert late(it) == []


@pytest.mark.parametrize("name", ["state", "auth"])
def test_the_value_can_be_read_in_any_thread(clock: VirtualClock, scene: Make, name: str) -> None:
    """``.value`` needs no loop and no subscription."""
    it = scene(auth=A)
    clock.advance(1.0)
    read: list[object] = []
    thread = threading.Thread(target=lambda: read.append(getattr(it.socket, name).value))
    thread.start()
    thread.join(5.0)
    assert read == [getattr(it.socket, name).value]


def test_the_value_of_auth_is_new_at_once(clock: VirtualClock, scene: Make) -> None:
    """``set_auth`` shows before it is dialled, running or not."""
    it = scene(watch=False, auth=A)
    shown = [it.socket.auth.value]
    it.socket.set_auth(B)
    shown.append(it.socket.auth.value)
    it.socket.connect()
    clock.advance(1.0)
    it.socket.set_auth("third")
    shown.append(it.socket.auth.value)
    assert len(set(shown)) == 3
    assert it.credentials == ["b"]


def test_a_passive_subscriber_takes_what_is_held(clock: VirtualClock, scene: Make) -> None:
    """``messages.passive()`` gives the payloads as well, so it is the first one, too."""
    it, problems = hold(clock, scene, "1", "2")
    got: list[str] = []
    it.socket.messages.passive().subscribe(got.append)
    assert got == ["1", "2"]
    assert late(it) == []
    clock.advance(10.0)
    assert problems == []


@pytest.mark.parametrize("stream", ["events", "messages"])
def test_nothing_is_held_for_who_is_there_without_connecting(
    clock: VirtualClock, scene: Make, stream: str
) -> None:
    """A passive subscriber sees the payloads: nothing is held beside it, nothing is dropped."""
    it = scene(accept().send("1").wait(2.0).send("2"), watch=False, auth=A)
    problems: list[object] = []
    seen: list[object] = []
    it.socket.errors.subscribe(problems.append)
    getattr(it.socket, stream).passive().subscribe(seen.append)
    it.socket.connect()
    clock.advance(1.0)
    got = late(it)
    clock.advance(10.0)
    assert (got, problems) == (["2"], [])
    payloads = [event.data if isinstance(event, Message) else event for event in seen]
    assert payloads[-2:] == ["1", "2"]


@pytest.mark.parametrize("stream", ["messages", "batches"])
def test_an_onlooker_hears_what_is_held_for_others(
    clock: VirtualClock, scene: Make, stream: str
) -> None:
    """``passive(audience=False)`` hears what comes, and it is held all the same."""
    it = scene(accept().send("1").wait(2.0).send("2"), watch=False, auth=A)
    seen: list[str | list[str]] = []
    getattr(it.socket, stream).passive(audience=False).subscribe(seen.append)
    it.socket.connect()
    clock.advance(1.0)
    assert late(it) == ["1"]
    clock.advance(10.0)
    assert seen == (["1", "2"] if stream == "messages" else [["1"], ["2"]])


@pytest.mark.parametrize("stream", ["messages", "batches"])
def test_a_late_onlooker_takes_nothing(clock: VirtualClock, scene: Make, stream: str) -> None:
    """Who subscribes with ``passive(audience=False)`` leaves what is held where it is."""
    it, problems = hold(clock, scene, "1", "2")
    seen: list[object] = []
    getattr(it.socket, stream).passive(audience=False).subscribe(seen.append)
    assert (seen, late(it)) == ([], ["1", "2"])
    clock.advance(10.0)
    assert problems == []


def test_who_looks_at_sessions_is_told_of_a_loss_once(clock: VirtualClock, scene: Make) -> None:
    """An onlooker of ``sessions`` has the messages held once, by the session that it may read."""
    it = scene(accept().send("1", "2"), watch=False, auth=A)
    problems: list[Any] = []
    it.socket.errors.subscribe(problems.append)
    it.socket.sessions.passive(audience=False).subscribe()
    it.socket.connect()
    clock.advance(10.0)
    assert [problem.count for problem in problems] == [2]


def test_what_is_held_at_the_end_is_counted_before_errors_completes(
    clock: VirtualClock, scene: Make
) -> None:
    """The peer's 1000 ends the socket: one Dropped for what nobody took, then the completion."""
    it = scene(accept().send("1", "2").wait(1.0).close(), watch=False, auth=A)
    log: list[object] = []
    it.socket.errors.subscribe(log.append, on_completed=lambda: log.append("completed"))
    it.socket.connect()
    clock.advance(10.0)
    assert log == [Dropped(epoch=1, count=2, reason="nobody subscribed"), "completed"]


# --- sessions


def test_a_session_holds_for_a_slow_snapshot(clock: VirtualClock, scene: Make) -> None:
    """``sessions`` with a snapshot that takes 3 s, then its messages: none is missing."""
    it = scene(accept().send("1").wait(1.0).send("2").wait(3.0).send("3"), watch=False, auth=A)
    got: list[str] = []

    def with_snapshot(session: Session[str]) -> reactivex.Observable[str]:
        snapshot = reactivex.timer(3.0, scheduler=clock.scheduler).pipe(ops.map(lambda _: "0"))
        return reactivex.concat(snapshot, session)

    it.socket.sessions.pipe(ops.map(with_snapshot), ops.switch_latest()).subscribe(got.append)
    clock.advance(3.5)
    assert got == ["0", "1", "2"]
    clock.advance(1.0)
    assert got == ["0", "1", "2", "3"]


def test_a_session_completes_with_its_connection(clock: VirtualClock, scene: Make) -> None:
    """The messages of one epoch, then on_completed; the next epoch is another session."""
    it = scene(accept().send("1").wait(1.0).drop(), accept().send("2"), watch=False, auth=A)
    log: list[object] = []

    def follow(session: Session[str]) -> None:
        log.append(session.epoch)
        session.subscribe(log.append, on_completed=lambda: log.append("completed"))

    it.socket.sessions.subscribe(follow)
    clock.advance(10.0)
    assert log == [1, "1", "completed", 2, "2"]


def test_a_session_that_ended_gives_what_it_held(clock: VirtualClock, scene: Make) -> None:
    """Who subscribes after the close gets what nobody took, then on_completed; nobody else does."""
    it = scene(accept().send("1", "2").wait(1.0).drop(), watch=False, auth=A)
    sessions: list[Session[str]] = []
    it.socket.sessions.subscribe(sessions.append)
    clock.advance(2.0)
    log: list[object] = []
    for _ in range(2):
        sessions[0].subscribe(log.append, on_completed=lambda: log.append("completed"))
    assert log == ["1", "2", "completed", "completed"]
    clock.advance(20.0)


def test_a_session_holds_as_much_as_messages(clock: VirtualClock, scene: Make) -> None:
    """256 messages and 5 s, each session its own; past it one ``Dropped``."""
    it = scene(accept().send(*["x"] * 257), watch=False, auth=A)
    problems: list[object] = []
    it.socket.errors.subscribe(problems.append)
    sessions: list[Session[str]] = []
    it.socket.sessions.subscribe(sessions.append)
    clock.advance(1.0)
    [dropped] = problems
    assert isinstance(dropped, Dropped) and (dropped.epoch, dropped.count) == (1, 257)
    it.peer.push("y")
    got: list[str] = []
    sessions[0].subscribe(got.append)
    clock.advance(0.0)
    assert got == ["y"]
    it.peer.drop()
    clock.advance(3.0)
    it.peer.push("1", "2")
    clock.advance(5.0)
    assert [(p.epoch, p.count) for p in problems if isinstance(p, Dropped)] == [(1, 257), (2, 2)]


def test_who_takes_the_session_at_once_waits_for_nothing(clock: VirtualClock, scene: Make) -> None:
    """A session that is subscribed to when it is emitted holds nothing and drops nothing."""
    it = scene(accept().send(*["x"] * 300), watch=False, auth=A)
    problems: list[object] = []
    it.socket.errors.subscribe(problems.append)
    got: list[str] = []
    it.socket.sessions.pipe(ops.merge_all()).subscribe(got.append)
    clock.advance(10.0)
    assert (len(got), problems) == (300, [])


def unread(
    clock: VirtualClock, scene: Make, script: Any
) -> tuple[Scene, list[Session[Any]], list[tuple[float, Any]]]:
    """Sessions that nobody reads, and what was dropped when."""
    it = scene(script, watch=False, auth=A)
    sessions: list[Session[Any]] = []
    dropped: list[tuple[float, Any]] = []
    it.socket.sessions.subscribe(sessions.append)
    it.socket.errors.subscribe(
        lambda event: dropped.append((clock.time(), event)) if isinstance(event, Dropped) else 0
    )
    return it, sessions, dropped


def read(session: Session[Any]) -> list[Any]:
    log: list[Any] = []
    session.subscribe(log.append, on_completed=lambda: log.append("completed"))
    return log


def test_a_session_holds_256_messages_in_order(clock: VirtualClock, scene: Make) -> None:
    """As many as that, to the first who reads it, and what comes then right behind them."""
    messages = [str(n) for n in range(256)]
    it, sessions, dropped = unread(clock, scene, accept().send(*messages))
    clock.advance(1.0)
    log = read(sessions[0])
    it.peer.push("next")
    clock.advance(0.0)
    assert (log, dropped) == ([*messages, "next"], [])


def test_a_session_holds_1_mib(clock: VirtualClock, scene: Make) -> None:
    """One byte more drops all of it, with one Dropped."""
    script = accept().send("é" * (MIB // 2)).wait(1.0).send(b"x").wait(1.0).send("2")
    _, sessions, dropped = unread(clock, scene, script)
    clock.advance(10.0)
    reason = f"more than {MIB} bytes came before anybody subscribed"
    assert dropped == [(1.0, Dropped(epoch=1, count=2, reason=reason))]
    assert read(sessions[0]) == []


def test_a_session_holds_for_5_s(clock: VirtualClock, scene: Make) -> None:
    """From its first message on; then all are dropped, with one Dropped."""
    script = accept().wait(10.0).send("1").wait(4.0).send("2").wait(4.0).send("3")
    _, sessions, dropped = unread(clock, scene, script)
    clock.advance(30.0)
    reason = "nobody subscribed within 5 s"
    assert dropped == [(15.0, Dropped(epoch=1, count=2, reason=reason))]
    assert read(sessions[0]) == []


@pytest.mark.parametrize("after", [0.0, 4.0, 3600.0])
def test_a_session_that_ended_waits_for_its_reader(
    clock: VirtualClock, scene: Make, after: float
) -> None:
    """However long after its close: its messages, then the completion, and nothing is dropped."""
    _, sessions, dropped = unread(clock, scene, accept().send("1", "2").wait(1.0).drop())
    clock.advance(1.0 + after)
    assert read(sessions[0]) == ["1", "2", "completed"]
    assert read(sessions[0]) == ["completed"]
    assert dropped == []


def test_each_session_keeps_its_own(clock: VirtualClock, scene: Make) -> None:
    """Read late and in the wrong order, no session has a message of another one."""
    it = scene(*[accept().send(f"{n}").wait(1.0).drop() for n in (1, 2)], watch=False, auth=A)
    sessions: list[Session[Any]] = []
    it.socket.sessions.subscribe(sessions.append)
    clock.advance(20.0)
    assert [session.epoch for session in sessions] == [1, 2, 3]
    assert [read(session) for session in reversed(sessions)] == [
        [],
        ["2", "completed"],
        ["1", "completed"],
    ]
