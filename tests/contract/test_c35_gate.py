"""C35: an Observable of booleans says whether the socket may be connected."""

from __future__ import annotations

import threading
from itertools import pairwise
from typing import Any

import pytest
import reactivex
from reactivex import Observable
from reactivex import operators as ops
from reactivex.disposable import Disposable
from reactivex.subject import BehaviorSubject, Subject
from scene import A, B, Make, connecting, left, opened

from rxsocket import (
    Aborted,
    AwaitingAuth,
    Cause,
    Closed,
    Event,
    Gated,
    InEffect,
    Message,
    NotConnected,
    Opened,
    Sent,
    Socket,
    SourceFailed,
    State,
    Stored,
    handover,
    refreshing,
)
from rxsocket.testing import VirtualClock, accept, hang, reject, unreachable

CLOSED = Gated(reason="the gate is closed")
UNDECIDED = Gated(reason="it has not said yet whether it is open")


def test_false_lets_go_and_true_connects_again(clock: VirtualClock, scene: Make) -> None:
    """With 1000; the same subscribers go on, and no stream ends."""
    gate = BehaviorSubject(True)
    it = scene(auth=A, gate=gate)
    got: list[str] = []
    ends: list[str] = []
    it.socket.messages.subscribe(got.append, on_completed=lambda: ends.append("messages"))
    it.socket.sessions.pipe(ops.switch_latest()).subscribe(
        got.append, on_completed=lambda: ends.append("sessions")
    )
    clock.advance(10.0)
    it.peer.push("before")
    clock.advance(0.0)
    it.clear()
    gate.on_next(False)
    clock.advance(50.0)
    assert it.socket.state.value is State.GATED
    assert it.peer.closes == [(1, 1000, "")]
    gate.on_next(True)
    clock.advance(0.0)
    it.peer.push("after")
    clock.advance(0.0)
    assert it.entries == [
        (10.0, left(1, Cause.GATED)),
        (10.0, CLOSED),
        (60.0, connecting(2, Cause.GATED)),
        (60.0, opened(2, Cause.GATED, gap=50.0)),
        (60.0, Message(epoch=2, data="after")),
    ]
    assert sorted(got) == ["after", "after", "before", "before"]
    assert ends == []


def test_states(clock: VirtualClock, scene: Make) -> None:
    """It is a state of its own."""
    gate = BehaviorSubject(False)
    it = scene(auth=A, gate=gate, watch=False)
    states: list[State] = []
    it.socket.state.subscribe(states.append)
    it.watch()
    clock.advance(1.0)
    for is_open in (True, False):
        gate.on_next(is_open)
        clock.advance(10.0)
    it.socket.close()
    assert states == [
        State.IDLE,
        State.GATED,
        State.CONNECTING,
        State.OPEN,
        State.GATED,
        State.CLOSED,
    ]


def test_an_open_gate_is_as_none(clock: VirtualClock, scene: Make) -> None:
    """Its value at the start is taken at once: somebody subscribed, that is why."""
    it = scene(auth=A, gate=BehaviorSubject(True))
    clock.advance(0.0)
    assert it.events == [connecting(1), opened(1)]


def test_before_its_first_value_it_is_closed(clock: VirtualClock, scene: Make) -> None:
    """And says so; nothing is dialled, and no timer runs."""
    gate: Subject[bool] = Subject()
    it = scene(auth=A, gate=gate)
    clock.advance(0.0)
    assert clock.pending == 0
    clock.advance(3600.0)
    assert it.entries == [(0.0, UNDECIDED)]
    gate.on_next(False)
    clock.advance(1.0)
    assert it.events[1:] == [CLOSED]
    gate.on_next(True)
    clock.advance(1.0)
    assert it.events[2:] == [connecting(1, Cause.GATED), opened(1, Cause.GATED)]


def test_equal_values_change_nothing(clock: VirtualClock, scene: Make) -> None:
    """Only what differs is acted upon."""
    gate = BehaviorSubject(True)
    it = scene(auth=A, gate=gate)
    for value in (True, True, False, False, True, True):
        clock.advance(10.0)
        gate.on_next(value)
    clock.advance(10.0)
    assert it.names == ["Connecting", "Opened", "Closed", "Gated", "Connecting", "Opened"]


DURING: dict[str, tuple[Any, list[Event]]] = {
    "connecting": (hang(), [Aborted(epoch=1, cause=Cause.GATED), CLOSED]),
    "waiting": (unreachable(), [CLOSED]),
    "awaiting auth": (reject(401), [CLOSED]),
}


@pytest.mark.parametrize("stage", DURING)
def test_it_closes_during_anything(clock: VirtualClock, scene: Make, stage: str) -> None:
    """What goes on is given up, and nothing is dialled until it opens."""
    script, expected = DURING[stage]
    gate = BehaviorSubject(True)
    it = scene(script, auth=A, gate=gate)
    clock.advance(1.0)
    it.clear()
    gate.on_next(False)
    clock.advance(600.0)
    assert it.events == expected
    assert it.peer.dials == 1
    gate.on_next(True)
    clock.advance(1.0)
    assert it.peer.dials == (1 if stage == "awaiting auth" else 2)
    if stage == "awaiting auth":
        assert it.socket.state.value is State.AWAITING_AUTH


def test_it_closes_during_a_handover(clock: VirtualClock, scene: Make) -> None:
    """Both connections go; the newest credential is the one that is used then."""
    gate = BehaviorSubject(True)
    strategy = handover(ready="message", timeout=60.0)
    it = scene(auth=A, gate=gate, on_auth_change=strategy, identity=lambda _: "the same")
    clock.advance(10.0)
    change = it.socket.set_auth(B)
    clock.advance(1.0)
    assert it.peer.live == 2
    gate.on_next(False)
    clock.advance(1.0)
    assert it.peer.connections == 0
    assert change.result() == Stored()
    gate.on_next(True)
    clock.advance(1.0)
    assert it.credentials == ["a", "b", "b"]


# --- what is asked for while it is closed


def test_reconnect_dials_nothing(clock: VirtualClock, scene: Make) -> None:
    """The gate is the user's word, too."""
    gate = BehaviorSubject(False)
    it = scene(auth=A, gate=gate)
    clock.advance(1.0)
    it.socket.reconnect()
    it.socket.renew()
    clock.advance(60.0)
    assert it.peer.dials == 0
    assert it.events == [CLOSED]
    gate.on_next(True)
    clock.advance(1.0)
    assert it.events[1:] == [connecting(1, Cause.GATED), opened(1, Cause.GATED)]


def test_the_newest_credential_is_used_when_it_opens(clock: VirtualClock, scene: Make) -> None:
    """What is set meanwhile is kept, and its receipt says so at once."""
    gate = BehaviorSubject(False)
    it = scene(auth=A, gate=gate)
    clock.advance(1.0)
    outcomes = [it.socket.set_auth(value) for value in (B, {"token": "c"}, B)]
    clock.advance(0.0)
    assert [receipt.result() for receipt in outcomes] == [Stored()] * 3
    assert it.socket.auth.value.reveal() == B
    gate.on_next(True)
    clock.advance(1.0)
    assert it.dials == [(1.0, "b")]
    assert it.socket.set_auth(B).result() == InEffect(epoch=1)


def test_a_logout_is_in_effect_at_once(clock: VirtualClock, scene: Make) -> None:
    """There is no connection; when it opens there is nobody."""
    gate = BehaviorSubject(False)
    it = scene(auth=A, gate=gate)
    clock.advance(1.0)
    assert it.socket.set_auth(None).result() == InEffect(epoch=None)
    gate.on_next(True)
    clock.advance(60.0)
    assert it.peer.dials == 0
    assert it.events[-1] == AwaitingAuth(cause=Cause.LOGGED_OUT, reason="logged out")


def test_a_change_that_was_pending_is_kept(clock: VirtualClock, scene: Make) -> None:
    """Nobody waits 30 s for what cannot happen."""
    gate = BehaviorSubject(True)
    it = scene(accept(), hang(), auth=A, gate=gate)
    clock.advance(10.0)
    change = it.socket.set_auth(B)
    clock.advance(1.0)
    gate.on_next(False)
    clock.advance(0.0)
    assert change.result() == Stored()


def test_a_provider_is_not_asked(clock: VirtualClock, scene: Make) -> None:
    """Not before it opens; then for this attempt."""
    asked: list[float] = []

    def provider() -> Any:
        asked.append(clock.time())
        return A

    gate = BehaviorSubject(False)
    it = scene(auth=provider, gate=gate)
    clock.advance(10.0)
    gate.on_next(True)
    clock.advance(1.0)
    assert asked == [10.0]
    assert it.dials == [(10.0, "a")]


def test_tokens_are_refreshed_meanwhile(clock: VirtualClock, scene: Make) -> None:
    """The credential goes on (C12): what is dialled with is fresh."""
    count = iter(range(100))

    def provider() -> Any:
        return {"access_token": f"t{next(count)}", "expires_in": 3600}

    gate = BehaviorSubject(True)
    it = scene(auth=refreshing(provider), gate=gate)
    clock.advance(10.0)
    gate.on_next(False)
    clock.advance(3700.0)
    gate.on_next(True)
    clock.advance(1.0)
    assert it.credentials == ["t0", "t1"]


def test_what_waits_to_be_sent_stays_within_queue_for(clock: VirtualClock, scene: Make) -> None:
    """It is sent if the gate opens in time, and fails if not."""
    gate = BehaviorSubject(True)
    it = scene(auth=A, gate=gate, queue_for=5.0)
    clock.advance(10.0)
    gate.on_next(False)
    clock.advance(1.0)
    early, late = it.socket.send("early"), None
    clock.advance(3.0)
    gate.on_next(True)
    clock.advance(1.0)
    assert early.result() == Sent(epoch=2)
    gate.on_next(False)
    clock.advance(1.0)
    late = it.socket.send("late")
    clock.advance(6.0)
    with pytest.raises(NotConnected, match="not sent: waited 5 s, the socket is gated"):
        late.result()


# --- how it may behave


def test_a_flapping_gate_dials_no_faster(clock: VirtualClock, scene: Make) -> None:
    """Two attempts are 1 s apart (C15), whatever the gate says."""
    gate = BehaviorSubject(True)
    it = scene(auth=A, gate=gate)
    for _ in range(100):
        clock.advance(0.01)
        gate.on_next(False)
        gate.on_next(True)
    clock.advance(3.0)
    times = [at for at, _ in it.dials]
    assert len(times) <= 3
    assert all(after - before >= 1.0 for before, after in pairwise(times))
    assert it.socket.state.value is State.OPEN
    assert it.peer.live == 1


def test_its_error_leaves_it_as_it_was(clock: VirtualClock, scene: Make) -> None:
    """Open or closed; the error is an event, and nothing else is lost."""
    for was_open in (True, False):
        gate = BehaviorSubject(was_open)
        it = scene(auth=A, gate=gate)
        clock.advance(10.0)
        it.clear()
        gate.on_error(OSError("no lease"))
        clock.advance(10.0)
        assert it.events == [SourceFailed(error=OSError("no lease"), argument="gate")]
        assert it.socket.state.value is (State.OPEN if was_open else State.GATED)
        it.end()


@pytest.mark.parametrize("value", [None, 1, "yes", object()])
def test_a_value_that_is_no_boolean(clock: VirtualClock, scene: Make, value: Any) -> None:
    """It is an event that says so, and the gate goes on."""
    gate: BehaviorSubject[Any] = BehaviorSubject(True)
    it = scene(auth=A, gate=gate)
    clock.advance(10.0)
    it.clear()
    gate.on_next(value)
    clock.advance(1.0)
    kind = type(value).__name__
    said = TypeError(f"gate: emit True or False, not {kind}")
    assert it.events == [SourceFailed(error=said, argument="gate")]
    gate.on_next(False)
    clock.advance(1.0)
    assert it.socket.state.value is State.GATED


def test_its_completion_leaves_it_as_it_was(clock: VirtualClock, scene: Make) -> None:
    """``of(True)`` is open for good, and an empty one is never open."""
    it = scene(auth=A, gate=reactivex.of(True))
    never = scene(auth=A, gate=reactivex.empty())
    clock.advance(60.0)
    assert it.socket.state.value is State.OPEN
    assert never.events == [UNDECIDED]
    assert never.peer.dials == 0


def test_one_that_cannot_be_subscribed_to(clock: VirtualClock, scene: Make) -> None:
    """It is said, and stays closed."""

    def subscribe(observer: Any, scheduler: Any = None) -> Any:
        raise OSError("no lease")

    it = scene(auth=A, gate=Observable(subscribe))
    clock.advance(60.0)
    assert UNDECIDED in it.events
    assert SourceFailed(error=OSError("no lease"), argument="gate") in it.events
    assert it.peer.dials == 0


def test_it_is_subscribed_to_at_each_start(clock: VirtualClock, scene: Make) -> None:
    """And let go of when the socket stops or ends."""
    living = 0

    def subscribe(observer: Any, scheduler: Any = None) -> Any:
        nonlocal living
        living += 1
        observer.on_next(True)

        def leave() -> None:
            nonlocal living
            living -= 1

        return Disposable(leave)

    it = scene(auth=A, gate=Observable(subscribe), watch=False)
    clock.advance(1.0)
    assert living == 0
    for _ in range(3):
        held = it.socket.connect()
        clock.advance(10.0)
        assert (living, it.socket.state.value) == (1, State.OPEN)
        held.dispose()
        clock.advance(10.0)
        assert (living, it.socket.state.value) == (0, State.IDLE)
    held = it.socket.connect()
    clock.advance(1.0)
    it.socket.close()
    clock.advance(2.0)
    assert (living, clock.pending, clock.tasks) == (0, 0, set())


def test_close_while_it_is_closed(clock: VirtualClock, scene: Make) -> None:
    """Streams complete, as ever."""
    it = scene(auth=A, gate=BehaviorSubject(False))
    ends: list[str] = []
    it.socket.messages.subscribe(on_completed=lambda: ends.append("messages"))
    clock.advance(1.0)
    it.socket.close()
    clock.advance(2.0)
    assert ends == ["messages"]
    assert it.socket.state.value is State.CLOSED
    assert clock.pending == 0


def test_the_socket_closes_its_own_gate(clock: VirtualClock, scene: Make) -> None:
    """An observer of messages may; what came in the same read is delivered before (C24)."""
    gate = BehaviorSubject(True)
    it = scene(accept().send("stop", "more"), auth=A, gate=gate)
    it.socket.messages.subscribe(lambda message: gate.on_next(message != "stop"))
    clock.advance(1.0)
    assert it.socket.state.value is State.GATED or it.names[-1] == "Opened"


def test_a_gate_on_another_thread(clock: VirtualClock, scene: Make) -> None:
    """What it says is carried out on the loop."""
    gate: Subject[bool] = Subject()
    it = scene(auth=A, gate=gate)
    on: list[int] = []
    it.socket.state.subscribe(lambda _: on.append(threading.get_ident()))
    clock.advance(1.0)
    for value in (True, False):
        thread = threading.Thread(target=gate.on_next, args=(value,))
        thread.start()
        thread.join()
        clock.advance(1.0)
    assert it.names == ["Gated", "Connecting", "Opened", "Closed", "Gated"]
    assert set(on) == {threading.get_ident()}


def test_the_end_of_the_socket_is_not_the_gates(clock: VirtualClock, scene: Make) -> None:
    """A peer's 1000 completes the streams, and the gate is let go of."""
    gate = BehaviorSubject(True)
    it = scene(accept().wait(5.0).close(1000), auth=A, gate=gate)
    clock.advance(10.0)
    assert it.socket.state.value is State.CLOSED
    gate.on_next(False)
    gate.on_next(True)
    clock.advance(10.0)
    assert it.peer.dials == 1


def test_renewals_go_on_behind_it(clock: VirtualClock, scene: Make) -> None:
    """A connection that was made when it opened is renewed as any other."""
    gate = BehaviorSubject(False)
    it = scene(auth=A, gate=gate, max_age=100.0, on_auth_change=handover())
    clock.advance(1.0)
    gate.on_next(True)
    clock.advance(350.0)
    gaps = [event.gap for event in it.events if isinstance(event, Opened)]
    assert gaps == [None, 0.0, 0.0, 0.0]


# --- in words


def test_it_is_explained(clock: VirtualClock, scene: Make) -> None:
    """What it waits for, since when, and what one can do."""
    gate: Subject[bool] = Subject()
    it = scene(auth=A, gate=gate)
    clock.advance(12.0)
    assert str(it.socket.explain()).splitlines() == [
        "waiting for the gate to open for 12 s: it has not said yet whether it is open",
        "next: an attempt, as soon as gate= says True",
        "you can: let gate= emit True",
    ]
    gate.on_next(True)
    clock.advance(60.0)
    gate.on_next(False)
    clock.advance(30.0)
    assert str(it.socket.explain()).splitlines()[0] == (
        "waiting for the gate to open for 30 s: connection 1 was open 1 min, then the gate was "
        "closed"
    )
    gate.on_next(True)
    clock.advance(5.0)
    assert "then the gate was closed" in str(it.socket.explain())


@pytest.mark.parametrize("value", [True, lambda: True, [True], "open"])
def test_what_is_no_observable_is_refused(value: Any) -> None:
    """At once, with what to pass."""
    kind = type(value).__name__
    with pytest.raises(
        TypeError, match=f"gate: pass an Observable of booleans or None, not {kind}"
    ):
        Socket("ws://h/", gate=value)


def test_a_closed_one_is_let_go_of_with_the_socket(clock: VirtualClock, scene: Make) -> None:
    """Nobody is left who would be told."""
    gate = BehaviorSubject(True)
    it = scene(auth=A, gate=gate)
    clock.advance(1.0)
    it.socket.close()
    clock.advance(2.0)
    assert gate.observers == []
    assert Closed(epoch=1, sent=1000, cause=Cause.CLOSE) in it.events
