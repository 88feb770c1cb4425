"""C13: handover and in-band changes of the credential on a connection that is open."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any

import pytest
from reactivex.subject import BehaviorSubject
from scene import A, B, C, Make, connecting, opened

from rxsocket import (
    Aborted,
    AuthChange,
    Backoff,
    Cause,
    Closed,
    ConnectFailed,
    Credential,
    InEffect,
    Message,
    Opened,
    Overtaken,
    Receipt,
    Refused,
    Rejected,
    RenewalFailed,
    Renewed,
    State,
    SubscriptionRefused,
    Verdict,
    handover,
    in_band,
    reconnect,
)
from rxsocket.testing import VirtualClock, accept, hang, reject


def same(_: Any) -> str:
    """One and the same identity, whatever the credential."""
    return "the same"


def number(message: str) -> int:
    """The key of a numbered message."""
    return int(message)


HANDED_OVER = Closed(epoch=1, sent=1000, cause=Cause.HANDED_OVER)


# --- handover


def test_the_new_connection_is_made_beside_the_old_one(clock: VirtualClock, scene: Make) -> None:
    """Connecting, then one switch point: Closed of the old one, Opened of the new one, no gap."""
    it = scene(auth=A, on_auth_change=handover(), identity=same, latency=0.1)
    clock.advance(10.0)
    it.clear()
    change = it.socket.set_auth(B)
    clock.advance(1.0)
    assert it.entries == [
        (10.0, connecting(2, Cause.AUTH_CHANGED)),
        # The handshake takes 0.1 s, both are silent for 0.1 s, a ping over the old one takes 0.1 s.
        (10.3, HANDED_OVER),
        (10.3, opened(2, Cause.AUTH_CHANGED, gap=0.0)),
    ]
    assert it.socket.state.value is State.OPEN
    assert change.result() == InEffect(epoch=2)
    assert it.peer.connections == 1
    assert it.peer.closes == [(1, 1000, "")]


def test_the_state_stays_open(clock: VirtualClock, scene: Make) -> None:
    """Nobody who looks at the state sees that there was a change."""
    it = scene(auth=A, on_auth_change=handover(), identity=same, latency=0.1)
    clock.advance(10.0)
    states: list[State] = []
    it.socket.state.subscribe(states.append)
    it.socket.set_auth(B)
    clock.advance(1.0)
    assert states == [State.OPEN]


def test_the_credential_shows_when_it_is_in_use(clock: VirtualClock, scene: Make) -> None:
    """``auth`` emits the new credential at the switch, not before."""
    it = scene(auth=A, on_auth_change=handover(), identity=same, latency=0.1)
    clock.advance(10.0)
    shown: list[float] = []
    it.socket.auth.subscribe(lambda _: shown.append(clock.time()))
    it.socket.set_auth(B)
    clock.advance(1.0)
    assert shown == [10.0, 10.3]


def test_the_old_one_delivers_until_the_switch(clock: VirtualClock, scene: Make) -> None:
    """What the new connection receives before waits; without a key, nothing is taken for double."""
    it = scene(auth=A, on_auth_change=handover(ready="message"), identity=same)
    clock.advance(10.0)
    it.clear()
    it.socket.set_auth(B)
    clock.advance(1.0)
    old, new = it.peer.visits
    old.deliver("1")
    clock.advance(1.0)
    assert it.names == ["Connecting", "Message"]
    new.deliver("2")
    old.deliver("2")
    clock.advance(0.0)
    assert it.events[1:] == [
        Message(epoch=1, data="1"),
        Message(epoch=1, data="2"),
        HANDED_OVER,
        opened(2, Cause.AUTH_CHANGED, gap=0.0),
        Message(epoch=2, data="2"),
    ]


@pytest.mark.parametrize(
    "behind", [{1: 0, 2: 3}, {1: 0, 2: 0}, {1: 3, 2: 0}], ids=["old first", "level", "new first"]
)
def test_nothing_is_missing_and_nothing_is_double(
    clock: VirtualClock, scene: Make, behind: dict[int, int]
) -> None:
    """Numbers that both connections get, one some steps behind the other: each once, in order."""
    it = scene(auth=A, on_auth_change=handover(dedupe=number), identity=same, latency=0.01)
    clock.advance(10.0)
    received: list[int] = []
    it.socket.messages.subscribe(lambda message: received.append(int(message)))
    it.socket.set_auth(B)
    for step in range(100):
        clock.advance(0.001)
        for visit in it.peer.visits:
            if step >= behind[visit.number] and not visit.closing:
                visit.deliver(str(step - behind[visit.number]))
    clock.advance(1.0)
    assert it.names.count("Opened") == 2
    assert received == list(range(received[-1] + 1))
    assert received[-1] >= 96


def test_a_predicate_says_when_it_is_ready(clock: VirtualClock, scene: Make) -> None:
    """``ready=`` is asked about each message of the new connection."""
    ready = handover(ready=lambda message: message == "synced")
    it = scene(auth=A, on_auth_change=ready, identity=same)
    clock.advance(10.0)
    it.socket.set_auth(B)
    clock.advance(1.0)
    new = it.peer.visits[1]
    new.deliver("loading")
    clock.advance(1.0)
    assert it.names.count("Opened") == 1
    new.deliver("synced")
    clock.advance(0.0)
    assert it.names[-3:] == ["Opened", "Message", "Message"]


def test_not_ready_in_time(clock: VirtualClock, scene: Make) -> None:
    """The old connection goes on and says so; it is tried again after a backoff."""
    patience = handover(ready="message", timeout=3.0)
    it = scene(auth=A, on_auth_change=patience, identity=same)
    clock.advance(10.0)
    it.clear()
    change = it.socket.set_auth(B)
    clock.advance(4.0)
    failed = it.events[-1]
    assert [type(event) for event in it.events[1:]] == [ConnectFailed, RenewalFailed]
    assert isinstance(failed, RenewalFailed)
    assert (failed.epoch, failed.refused, failed.retry_in) == (1, False, 2.0)
    assert isinstance(failed.error, TimeoutError)
    assert it.socket.state.value is State.OPEN
    assert not change.done
    clock.advance(1.1)
    it.peer.visits[-1].deliver("welcome")
    clock.advance(0.5)
    assert change.result() == InEffect(epoch=3)


@pytest.mark.parametrize("refusal", [reject(401), accept().close(4403)], ids=["handshake", "close"])
def test_a_refused_credential_leaves_the_old_one_working(
    clock: VirtualClock, scene: Make, refusal: Any
) -> None:
    """Rejected, RenewalFailed, and messages go on; there is no second try while the link lives."""
    patience = handover(ready="message")
    it = scene(accept(), refusal, auth=A, on_auth_change=patience, identity=same)
    clock.advance(10.0)
    it.clear()
    change = it.socket.set_auth(B)
    clock.advance(60.0)
    assert [type(event) for event in it.events] == [
        type(connecting(2, Cause.AUTH_CHANGED)),
        Rejected,
        RenewalFailed,
    ]
    assert isinstance(change.result(), Refused)
    assert it.socket.auth.value == Credential.of(A)
    it.peer.push("still here")
    clock.advance(0.0)
    assert it.events[-1] == Message(epoch=1, data="still here")


def test_the_newest_credential_is_used_when_the_old_connection_ends(
    clock: VirtualClock, scene: Make
) -> None:
    """A server that allows one session lets B in when A's connection is gone."""
    it = scene(accept(), reject(403), auth=A, on_auth_change=handover(), identity=same)
    clock.advance(10.0)
    it.socket.set_auth(B)
    clock.advance(10.0)
    it.peer.drop()
    clock.advance(3.0)
    assert [token for _, token in it.dials] == ["a", "b", "b"]
    assert it.socket.state.value is State.OPEN


def test_a_server_that_refuses_a_second_connection_is_tried_again(
    clock: VirtualClock, scene: Make
) -> None:
    """A 503 is no refusal: each failure says when it is tried again, and one succeeds."""
    scripts = (accept(), reject(503), reject(503))
    it = scene(*scripts, auth=A, on_auth_change=handover(), identity=same)
    clock.advance(10.0)
    it.clear()
    change = it.socket.set_auth(B)
    clock.advance(60.0)
    failures = [event for event in it.events if isinstance(event, RenewalFailed)]
    assert [failure.retry_in for failure in failures] == [2.0, 4.0]
    assert it.dials == [(0.0, "a"), (10.0, "b"), (12.0, "b"), (16.0, "b")]
    assert change.result() == InEffect(epoch=4)


def test_another_identity_never_hands_over(clock: VirtualClock, scene: Make) -> None:
    """C14: what cannot be told to be the same somebody gets a fresh connection."""
    it = scene(auth=A, on_auth_change=handover())
    clock.advance(10.0)
    it.clear()
    it.socket.set_auth(B)
    clock.advance(1.0)
    assert it.events[0] == Closed(epoch=1, sent=1000, cause=Cause.AUTH_CHANGED)


def test_an_identity_function_that_raises_means_another_one(
    clock: VirtualClock, scene: Make
) -> None:
    """C14, C23: the safe answer, and the failure is reported."""

    def broken(_: Any) -> str:
        raise LookupError("no such user")

    it = scene(auth=A, on_auth_change=handover(), identity=broken)
    clock.advance(10.0)
    it.clear()
    it.socket.set_auth(B)
    clock.advance(1.0)
    assert Closed(epoch=1, sent=1000, cause=Cause.AUTH_CHANGED) in it.events
    assert "ObserverFailed" in it.names


def test_a_newer_credential_overtakes_a_handover(clock: VirtualClock, scene: Make) -> None:
    """B is not ready yet when C comes: B's connection is given up, C's is made."""
    strategy = handover(ready="message")
    it = scene(auth=A, on_auth_change=strategy, identity=same)
    clock.advance(10.0)
    it.clear()
    first = it.socket.set_auth(B)
    clock.advance(1.0)
    second = it.socket.set_auth(C)
    clock.advance(1.0)
    assert Aborted(epoch=2, cause=Cause.AUTH_CHANGED) in it.events
    it.peer.visits[-1].deliver("welcome")
    clock.advance(1.0)
    assert (first.result(), second.result()) == (Overtaken(), InEffect(epoch=3))
    assert it.peer.connections == 1


@pytest.mark.parametrize("source", ["set_auth", "an Observable"])
def test_a_switch_to_an_older_one_overtakes_nothing(
    clock: VirtualClock, scene: Make, source: str
) -> None:
    """C20: C is set in the moment in which B's connection is ready: B is used, then C is."""
    changes: list[Receipt[AuthChange]] = []
    auth = BehaviorSubject(A)
    it = scene(auth=auth, on_auth_change=handover(dedupe=number), identity=same)
    it.socket.messages.subscribe(lambda _: changes.append(it.socket.set_auth(C)))
    clock.advance(10.0)
    if source == "set_auth":
        first = it.socket.set_auth(B).result
    else:
        auth.on_next(B)
        first = Overtaken
    clock.advance(1.0)
    old, new = it.peer.visits
    new.deliver("7")
    clock.advance(0.1)
    old.deliver("7")  # it came over both: the new one has caught up
    clock.advance(1.0)
    assert it.credentials == ["a", "b", "c"]
    it.peer.visits[-1].deliver("8")
    clock.advance(10.0)
    epochs = [event.epoch for event in it.events if isinstance(event, Opened)]
    assert epochs == [1, 2, 3] and it.socket.auth.value == Credential.of(C)
    assert (first(), changes[0].result()) == (Overtaken(), InEffect(epoch=3))


def test_back_to_the_one_in_use(clock: VirtualClock, scene: Make) -> None:
    """set_auth of the old credential during a handover calls it off."""
    it = scene(auth=A, on_auth_change=handover(ready="message"), identity=same)
    clock.advance(10.0)
    first = it.socket.set_auth(B)
    clock.advance(1.0)
    second = it.socket.set_auth(A)
    clock.advance(1.0)
    assert (first.result(), second.result()) == (Overtaken(), InEffect(epoch=1))
    assert it.peer.connections == 1
    assert len(it.dials) == 2


def test_the_one_in_use_after_a_refused_handover(clock: VirtualClock, scene: Make) -> None:
    """C20: the outcome names the connection that is open, not the one that was refused."""
    it = scene(accept(), reject(403), auth=A, on_auth_change=handover(), identity=same)
    clock.advance(10.0)
    it.socket.set_auth(B)
    clock.advance(1.0)
    it.socket.set_auth(A)
    clock.advance(1.0)
    again = it.socket.set_auth(A)
    assert again.result() == InEffect(epoch=1)


def test_a_burst_makes_at_most_two_handshakes(clock: VirtualClock, scene: Make) -> None:
    """C7: the first goes at once, the newest 50 ms later."""
    it = scene(auth=A, on_auth_change=handover(), identity=same, latency=0.2)
    clock.advance(10.0)
    for count in range(100):
        it.socket.set_auth({"token": f"t{count}"})
        clock.advance(0.0004)
    clock.advance(2.0)
    tokens = [token for _, token in it.dials]
    assert tokens[0] == "a"
    assert tokens[-1] == "t99"
    assert len(tokens) <= 3


def test_the_old_one_drops_before_the_new_one_is_ready(clock: VirtualClock, scene: Make) -> None:
    """The new connection takes over at once; its Opened says how long there was none."""
    strategy = handover(ready="message")
    it = scene(auth=A, on_auth_change=strategy, identity=same)
    clock.advance(10.0)
    it.clear()
    change = it.socket.set_auth(B)
    clock.advance(1.0)
    it.peer.visits[0].drop()
    clock.advance(1.0)
    lost = Closed(epoch=1, code=1006, cause=Cause.LOST, verdict=Verdict.RECONNECT)
    assert it.events[1:] == [lost, opened(2, Cause.AUTH_CHANGED, gap=0.0)]
    assert change.result() == InEffect(epoch=2)


def test_the_old_one_drops_while_the_new_one_is_dialled(clock: VirtualClock, scene: Make) -> None:
    """The attempt that is under way becomes the connection: no backoff, no second handshake."""
    it = scene(auth=A, on_auth_change=handover(), identity=same, latency=0.5)
    clock.advance(10.0)
    it.clear()
    it.socket.set_auth(B)
    clock.advance(0.2)
    it.peer.visits[0].drop()
    clock.advance(0.0)
    assert it.socket.state.value is State.CONNECTING
    clock.advance(1.0)
    assert it.names == ["Connecting", "Closed", "Opened"]
    last = it.events[-1]
    assert isinstance(last, Opened)
    assert last.gap == pytest.approx(0.3)
    assert len(it.dials) == 2


@pytest.mark.parametrize("end", ["close", "log out", "leave"])
def test_the_socket_ends_during_a_handover(clock: VirtualClock, scene: Make, end: str) -> None:
    """C26: both connections are closed."""
    it = scene(auth=A, watch=False, on_auth_change=handover(ready="message"), identity=same)
    holding = it.socket.connect()
    clock.advance(10.0)
    it.socket.set_auth(B)
    clock.advance(1.0)
    assert it.peer.connections == 2
    actions: dict[str, Callable[[], object]] = {
        "close": it.socket.close,
        "log out": lambda: it.socket.set_auth(None),
        "leave": holding.dispose,
    }
    actions[end]()
    clock.advance(2.0)
    assert it.peer.connections == 0


def test_a_hanging_handshake_is_given_up(clock: VirtualClock, scene: Make) -> None:
    """Within the strategy's time, not open_timeout's."""
    it = scene(accept(), hang(), auth=A, on_auth_change=handover(timeout=1.0), identity=same)
    clock.advance(10.0)
    it.clear()
    it.socket.set_auth(B)
    clock.advance(1.5)
    assert it.story[1:] == [(11.0, "ConnectFailed"), (11.0, "RenewalFailed")]


def test_a_key_function_that_raises_loses_nothing(clock: VirtualClock, scene: Make) -> None:
    """C23: the messages are delivered, and the failure is reported."""
    it = scene(auth=A, on_auth_change=handover(dedupe=number), identity=same)
    clock.advance(10.0)
    it.socket.set_auth(B)
    clock.advance(0.0)
    it.peer.push("not a number")
    clock.advance(5.0)
    assert Message(epoch=1, data="not a number") in it.events
    assert "ObserverFailed" in it.names
    assert it.socket.state.value is State.OPEN


def test_reconnect_is_never_a_handover(clock: VirtualClock, scene: Make) -> None:
    """``reconnect()`` of the socket breaks, then makes."""
    it = scene(auth=A, on_auth_change=handover(), identity=same)
    clock.advance(10.0)
    it.clear()
    it.socket.reconnect()
    clock.advance(2.0)
    assert it.names == ["Closed", "Connecting", "Opened"]


# --- handover of channels (C22)


def acknowledging(it: Any, name: str) -> Any:
    """A channel of ``name``, whose subscribe message the server answers."""
    said = {f"ok {name}": True, f"no {name}": False}
    return it.socket.channel(
        subscribe=f"sub {name}",
        unsubscribe=f"unsub {name}",
        match=lambda message: message.startswith(f"{name}:"),
        acknowledged=said.get,
    )


def heard(it: Any) -> list[tuple[int, Any]]:
    """What the peer received, and on which connection."""
    return [tuple(message) for message in it.peer.received]


@pytest.mark.parametrize("ready", ["open", "message", "acknowledged", lambda message: message])
def test_the_next_connection_is_asked_for_the_channels(
    clock: VirtualClock, scene: Make, ready: Any
) -> None:
    """C22: once on each connection, before it delivers; the queue is not written before that."""
    it = scene(auth=A, on_auth_change=handover(ready=ready), identity=same, latency=0.01)
    acknowledging(it, "t").subscribe()
    clock.advance(10.0)
    it.peer.push("ok t")
    it.socket.set_auth(B)
    clock.advance(0.025)
    assert heard(it) == [(1, "sub t"), (2, "sub t")]
    it.peer.visits[1].deliver("ok t")
    clock.advance(1.0)
    assert it.names.count("Opened") == 2
    it.socket.send("after")
    clock.advance(1.0)
    assert heard(it) == [(1, "sub t"), (2, "sub t"), (2, "after")]


def test_ready_when_the_channels_are_acknowledged(clock: VirtualClock, scene: Make) -> None:
    """The old one delivers until the last answer; what the new one says waits for the switch."""
    it = scene(auth=A, on_auth_change=handover(ready="acknowledged"), identity=same)
    got: list[str] = []
    for name in "tu":
        acknowledging(it, name).subscribe(got.append)
    it.socket.channel(subscribe="sub v", match=lambda _: False).subscribe()  # has no answer
    clock.advance(10.0)
    it.peer.push("ok t", "ok u")
    clock.advance(0.0)
    it.clear()
    change = it.socket.set_auth(B)
    clock.advance(1.0)
    old, new = it.peer.visits
    new.deliver("ok u")
    new.deliver("u:early")
    old.deliver("t:old")
    clock.advance(1.0)
    assert (got, it.names) == (["t:old"], ["Connecting", "Message"])
    new.deliver("ok t")
    clock.advance(1.0)
    assert it.names[2:] == ["Closed", "Opened", "Message", "Message", "Message"]
    assert got == ["t:old", "u:early"]
    assert change.result() == InEffect(epoch=2)


def test_without_a_channel_that_is_answered_it_is_ready_when_open(
    clock: VirtualClock, scene: Make
) -> None:
    """There is nothing to wait for."""
    it = scene(auth=A, on_auth_change=handover(ready="acknowledged"), identity=same)
    it.socket.channel(subscribe="sub", match=bool).subscribe()
    clock.advance(10.0)
    assert it.socket.set_auth(B).done is False
    clock.advance(1.0)
    assert it.names[-2:] == ["Closed", "Opened"]


def test_a_server_that_does_not_acknowledge_in_time(clock: VirtualClock, scene: Make) -> None:
    """The old one goes on with its channels, and it is tried again."""
    patience = handover(ready="acknowledged", timeout=3.0)
    it = scene(auth=A, on_auth_change=patience, identity=same)
    got: list[str] = []
    acknowledging(it, "t").subscribe(got.append)
    clock.advance(10.0)
    it.peer.push("ok t")
    it.socket.set_auth(B)
    clock.advance(4.0)
    failed = it.events[-1]
    assert isinstance(failed, RenewalFailed)
    assert isinstance(failed.error, TimeoutError)
    it.peer.visits[0].deliver("t:1")
    clock.advance(2.0)
    assert got == ["t:1"]
    it.peer.visits[-1].deliver("ok t")
    clock.advance(1.0)
    assert [epoch for epoch, text in heard(it) if text == "sub t"] == [1, 2, 3]
    assert it.names[-2:] == ["Opened", "Message"]


@pytest.mark.parametrize("switches", [True, False])
def test_a_subscription_that_the_next_connection_refuses(
    clock: VirtualClock, scene: Make, switches: bool
) -> None:
    """Its channel fails at the switch; when there is none, the old connection still carries it."""
    strategy = handover(ready="acknowledged", timeout=3.0)
    it = scene(auth=A, on_auth_change=strategy, identity=same)
    got: list[Any] = []
    acknowledging(it, "t").subscribe(got.append, lambda error: got.append(type(error)))
    acknowledging(it, "u").subscribe(got.append)
    clock.advance(10.0)
    it.peer.push("ok t", "ok u")
    it.socket.set_auth(B)
    clock.advance(1.0)
    old, new = it.peer.visits
    new.deliver("no t")
    old.deliver("t:1")
    clock.advance(0.0)
    assert got == ["t:1"]
    if switches:
        new.deliver("ok u")
        clock.advance(1.0)
        assert got == ["t:1", SubscriptionRefused]
    else:
        clock.advance(2.5)
        old.deliver("t:2")
        clock.advance(0.0)
        assert got == ["t:1", "t:2"]


def test_a_channel_that_is_left_during_a_handover(clock: VirtualClock, scene: Make) -> None:
    """C22: it is ended on both connections, as both carried it; nobody waits for its answer."""
    it = scene(auth=A, on_auth_change=handover(ready="acknowledged"), identity=same)
    leaving = acknowledging(it, "t").subscribe()
    clock.advance(10.0)
    it.peer.push("ok t")
    it.socket.set_auth(B)
    clock.advance(1.0)
    leaving.dispose()
    it.peer.visits[1].deliver("noise")
    clock.advance(1.0)
    assert heard(it) == [(1, "sub t"), (2, "sub t"), (1, "unsub t"), (2, "unsub t")]
    assert it.names.count("Opened") == 2


def test_a_channel_that_comes_during_a_handover(clock: VirtualClock, scene: Make) -> None:
    """C22: it is asked for on the old connection, and on the new one at the switch."""
    it = scene(auth=A, on_auth_change=handover(ready="message"), identity=same)
    clock.advance(10.0)
    it.socket.set_auth(B)
    clock.advance(1.0)
    acknowledging(it, "t").subscribe()
    clock.advance(1.0)
    assert heard(it) == [(1, "sub t")]
    it.peer.visits[1].deliver("hello")
    clock.advance(1.0)
    assert heard(it) == [(1, "sub t"), (2, "sub t")]


def test_what_after_receive_makes_of_an_answer(clock: VirtualClock, scene: Make) -> None:
    """``acknowledged`` is asked about the same messages as on any other connection."""
    it = scene(auth=A, on_auth_change=handover(ready="acknowledged"), identity=same)
    it.socket.after_receive(lambda message: message.removeprefix(">"))
    acknowledging(it, "t").subscribe()
    clock.advance(10.0)
    it.peer.push(">ok t")
    it.socket.set_auth(B)
    clock.advance(1.0)
    it.peer.visits[1].deliver(">ok t")
    clock.advance(1.0)
    assert it.names.count("Opened") == 2


# --- in band

YES, NO = "yes", "no"


def strategy(**options: Any) -> Any:
    return in_band(
        lambda value: f"auth {value['token']}",  # type: ignore[call-overload,index]
        accepted=lambda message: message == YES,
        rejected=lambda message: message == NO,
        **options,
    )


def test_the_credential_goes_over_the_open_connection(clock: VirtualClock, scene: Make) -> None:
    """Sent, accepted, in effect; the connection never closed, the answer is not delivered."""
    it = scene(auth=A, on_auth_change=strategy(), identity=same)
    clock.advance(10.0)
    it.clear()
    change = it.socket.set_auth(B)
    clock.advance(1.0)
    assert [heard.message for heard in it.peer.received] == ["auth b"]
    assert not change.done
    it.peer.push(YES)
    clock.advance(0.0)
    assert it.events == [Renewed(epoch=1)]
    assert change.result() == InEffect(epoch=1)
    assert len(it.dials) == 1


def test_without_an_answer_to_wait_for_it_is_in_effect_at_once(
    clock: VirtualClock, scene: Make
) -> None:
    """``accepted`` left out: sending it is all."""
    silent = in_band(lambda value: f"auth {value['token']}")  # type: ignore[call-overload,index]
    it = scene(auth=A, on_auth_change=silent, identity=same)
    clock.advance(10.0)
    change = it.socket.set_auth(B)
    clock.advance(0.0)
    assert change.result() == InEffect(epoch=1)


@pytest.mark.parametrize("answer", [NO, None], ids=["no", "silence"])
def test_otherwise_keep(clock: VirtualClock, scene: Make, answer: str | None) -> None:
    """The connection goes on with what it has; the outcome and an event say so."""
    it = scene(auth=A, on_auth_change=strategy(otherwise="keep", timeout=2.0), identity=same)
    clock.advance(10.0)
    it.clear()
    change = it.socket.set_auth(B)
    clock.advance(1.0)
    if answer is not None:
        it.peer.push(answer)
    clock.advance(2.0)
    (failed,) = it.events
    assert isinstance(failed, RenewalFailed)
    assert (failed.epoch, failed.refused) == (1, answer is not None)
    assert isinstance(change.result(), Refused)
    it.peer.drop()
    clock.advance(3.0)
    assert it.dials[-1][1] == ("a" if answer is not None else "b")


@pytest.mark.parametrize("answer", [NO, None], ids=["no", "silence"])
def test_otherwise_reconnect(clock: VirtualClock, scene: Make, answer: str | None) -> None:
    """The new credential is tried at a handshake."""
    it = scene(auth=A, on_auth_change=strategy(timeout=2.0), identity=same)
    clock.advance(10.0)
    it.clear()
    change = it.socket.set_auth(B)
    clock.advance(1.0)
    if answer is not None:
        it.peer.push(answer)
    clock.advance(3.0)
    assert it.names == ["Closed", "Connecting", "Opened"]
    assert [token for _, token in it.dials] == ["a", "b"]
    assert change.result() == InEffect(epoch=2)


@pytest.mark.parametrize("accepted", [None, lambda message: message == YES], ids=["sent", "asked"])
def test_a_message_that_cannot_be_made_says_so(
    clock: VirtualClock, scene: Make, accepted: Any
) -> None:
    """With ``otherwise="keep"`` the error is the function's, not a server's silence."""

    def encode(value: Any) -> str:
        raise KeyError("user")

    kept = in_band(encode, accepted=accepted, otherwise="keep", timeout=2.0)
    it = scene(auth=A, on_auth_change=kept, identity=same)
    clock.advance(10.0)
    it.clear()
    change = it.socket.set_auth(B)
    clock.advance(0.0)
    (failed,) = (event for event in it.events if isinstance(event, RenewalFailed))
    assert str(failed.error) == "in_band(encode) raised KeyError: 'user'"
    assert isinstance(change.result(), Refused)


def test_a_lost_link_while_waiting_for_the_answer(clock: VirtualClock, scene: Make) -> None:
    """The next handshake carries the new credential."""
    it = scene(auth=A, on_auth_change=strategy(), identity=same)
    clock.advance(10.0)
    change = it.socket.set_auth(B)
    clock.advance(1.0)
    it.peer.drop()
    clock.advance(3.0)
    assert [token for _, token in it.dials] == ["a", "b"]
    assert change.result() == InEffect(epoch=2)


def test_a_newer_credential_waits_for_the_answer(clock: VirtualClock, scene: Make) -> None:
    """What the server says to one credential is never taken for what it says to the next."""
    it = scene(auth=A, identity=same, on_auth_change=strategy())
    clock.advance(10.0)
    first = it.socket.set_auth(B)
    clock.advance(1.0)
    second = it.socket.set_auth(C)
    clock.advance(1.0)
    assert (first.result(), second.done, len(it.peer.received)) == (Overtaken(), False, 1)
    it.peer.push(YES)
    clock.advance(1.0)
    assert (second.done, len(it.peer.received)) == (False, 2)
    it.peer.push(NO)
    clock.advance(1.0)
    assert second.result() == InEffect(epoch=2)
    assert not [event for event in it.events if isinstance(event, Message)]


def test_back_to_the_first_one_in_band(clock: VirtualClock, scene: Make) -> None:
    """The server has the other one by then: the first one is sent, too."""
    it = scene(auth=A, identity=same, on_auth_change=strategy())
    clock.advance(10.0)
    it.socket.set_auth(B)
    clock.advance(1.0)
    back = it.socket.set_auth(A)
    it.peer.push(YES)
    clock.advance(1.0)
    assert back.done is False
    it.peer.push(YES)
    clock.advance(1.0)
    assert back.result() == InEffect(epoch=1)
    assert [message for _, message in it.peer.received] == ["auth b", "auth a"]
    assert it.names.count("Renewed") == 1


def test_another_identity_is_never_sent_in_band(clock: VirtualClock, scene: Make) -> None:
    """C14: it gets a connection of its own."""
    it = scene(auth=A, on_auth_change=strategy())
    clock.advance(10.0)
    it.socket.set_auth(B)
    clock.advance(1.0)
    assert it.peer.received == []
    assert [token for _, token in it.dials] == ["a", "b"]


def test_an_encoder_that_raises(clock: VirtualClock, scene: Make) -> None:
    """It is reported, and the fall-back holds."""
    broken = in_band(lambda _: 1 / 0)
    it = scene(auth=A, on_auth_change=broken, identity=same)
    clock.advance(10.0)
    it.clear()
    it.socket.set_auth(B)
    clock.advance(1.0)
    assert "ObserverFailed" in it.names
    assert [token for _, token in it.dials] == ["a", "b"]


def test_the_old_one_is_refused_before_the_next_one_is_dialled(
    clock: VirtualClock, scene: Make
) -> None:
    """The new credential is used when the old connection has ended, also by a refusal."""
    it = scene(
        *[accept(), accept().wait(0.01).close(4403)],
        auth=A,
        on_auth_change=handover(),
        identity=lambda value: value["token"] == "a",
    )
    clock.advance(10.0)
    it.socket.set_auth(B)
    clock.advance(0.0)
    change = it.socket.set_auth(C)  # within 50 ms of the last dial (C7)
    clock.advance(1.0)
    assert [token for _, token in it.dials] == ["a", "b", "c"]
    assert it.socket.state.value is State.OPEN
    assert change.result() == InEffect(epoch=3)


def test_the_old_one_is_refused_before_it_answers(clock: VirtualClock, scene: Make) -> None:
    """In band: the new credential is used on a connection of its own."""
    mute = in_band(lambda token: "AUTH", accepted=lambda _: False)
    it = scene(accept().wait(10.5).close(4403), auth=A, on_auth_change=mute, identity=same)
    clock.advance(10.0)
    change = it.socket.set_auth(B)
    clock.advance(2.0)
    assert it.credentials == ["a", "b"]
    assert it.socket.state.value is State.OPEN
    assert change.result() == InEffect(epoch=2)


# --- max_age


def test_max_age_with_reconnect(clock: VirtualClock, scene: Make) -> None:
    """Before the server's cap the connection is closed and made again."""
    it = scene(auth=A, max_age=100.0)
    clock.advance(101.0)
    assert it.names == ["Connecting", "Opened", "Closed", "Connecting", "Opened"]
    closed = it.events[2]
    assert isinstance(closed, Closed)
    assert (closed.cause, it.entries[2][0]) == (Cause.MAX_AGE, 100.0)


def test_max_age_with_handover(clock: VirtualClock, scene: Make) -> None:
    """No gap, again and again; a provider gives a fresh credential each time."""
    count = iter(range(100))
    it = scene(auth=lambda: {"token": f"t{next(count)}"}, max_age=100.0, on_auth_change=handover())
    clock.advance(350.0)
    gaps = [event.gap for event in it.events if isinstance(event, Opened)]
    assert gaps == [None, 0.0, 0.0, 0.0]
    assert it.credentials == ["t0", "t1", "t2", "t3"]


def test_max_age_comes_again_when_the_next_connection_is_refused(
    clock: VirtualClock, scene: Make
) -> None:
    """The old one goes on, and is to be renewed again when as much time has passed."""
    it = scene(accept(), reject(401), auth=A, max_age=100.0, on_auth_change=handover())
    clock.advance(101.0)
    (failed,) = (event for event in it.events if isinstance(event, RenewalFailed))
    assert (failed.epoch, failed.refused, failed.retry_in) == (1, True, None)
    clock.advance(100.0)
    assert [token for _, token in it.dials] == ["a", "a", "a"]
    assert isinstance(it.events[-1], Opened)


def test_a_provider_that_logs_out_during_a_handover_is_named(
    clock: VirtualClock, scene: Make
) -> None:
    """No connection was made, and the event says why."""
    answers = iter([{"token": "a"}, None])
    it = scene(auth=lambda: next(answers), max_age=100.0, on_auth_change=handover())
    clock.advance(101.0)
    (failed,) = (event for event in it.events if isinstance(event, RenewalFailed))
    assert str(failed.error) == f"no connection was made: {Cause.LOGGED_OUT.value}"


def test_an_attempt_has_no_age(clock: VirtualClock, scene: Make) -> None:
    """What got old is gone: the attempt that follows it is not given up for that."""
    it = scene(accept().wait(95.0).drop(), hang(), auth=A, max_age=100.0, open_timeout=20.0)
    clock.advance(110.0)
    assert it.names == ["Connecting", "Opened", "Closed", "Waiting", "Connecting"]


def test_a_change_in_band_does_not_put_off_the_age(clock: VirtualClock, scene: Make) -> None:
    """At the same moment: the next connection carries the new credential."""
    strategy = in_band(lambda token: "AUTH")
    it = scene(auth=A, max_age=100.0, on_auth_change=strategy, identity=same)
    clock.call_later(100.0, lambda: it.socket.set_auth(B))
    clock.advance(110.0)
    assert it.dials == [(0.0, "a"), (100.0, "b")]
    assert it.peer.received == []


def test_max_age_is_spread(clock: VirtualClock, scene: Make) -> None:
    """Between 0.9 and 1 times max_age, so that sockets opened together are not renewed together."""
    at = []
    for seed in range(20):
        it = scene(auth=A, max_age=100.0, backoff=Backoff(random=Random(seed)))
        start = clock.time()
        clock.advance(100.5)
        at.append(next(when for when, event in it.entries if isinstance(event, Closed)) - start)
        it.socket.close()
        clock.advance(2.0)
    assert all(90.0 <= when <= 100.0 for when in at)
    assert len(set(at)) == 20


@pytest.mark.parametrize(
    ("option", "value", "error"),
    [
        ("max_age", 0, ValueError),
        ("max_age", "1", TypeError),
        ("on_auth_change", "handover", TypeError),
        ("identity", 3, TypeError),
    ],
)
def test_wrong_options(scene: Make, option: str, value: Any, error: type[Exception]) -> None:
    """They fail at once, naming the argument."""
    with pytest.raises(error, match=option):
        scene(auth=A, **{option: value})


@pytest.mark.parametrize(
    ("make", "error", "names"),
    [
        (lambda: handover(ready="soon"), ValueError, "ready"),  # type: ignore[arg-type]
        (lambda: handover(dedupe=3), TypeError, "dedupe"),  # type: ignore[arg-type]
        (lambda: handover(timeout=-1), ValueError, "timeout"),
        (lambda: in_band(3), TypeError, "encode"),  # type: ignore[arg-type]
        (lambda: in_band(str, accepted=3), TypeError, "accepted"),  # type: ignore[arg-type]
        (lambda: in_band(str, otherwise="die"), ValueError, "otherwise"),  # type: ignore[arg-type]
    ],
)
def test_wrong_strategies(make: Callable[[], object], error: type[Exception], names: str) -> None:
    """They fail at once, naming the argument."""
    with pytest.raises(error, match=names):
        make()


def test_reconnect_is_the_default(clock: VirtualClock, scene: Make) -> None:
    """``on_auth_change=reconnect()`` and leaving it out are the same."""
    stories = []
    for options in ({}, {"on_auth_change": reconnect()}):
        it = scene(auth=A, identity=same, **options)
        start = clock.time()
        clock.advance(10.0)
        it.socket.set_auth(B)
        clock.advance(1.0)
        stories.append([(at - start, name) for at, name in it.story])
        it.socket.close()
        clock.advance(2.0)
    assert stories[0] == stories[1]
