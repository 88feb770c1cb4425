"""C41: many channels over many sockets, as one stream."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from typing import Any

import pytest
import reactivex
from exchange import MANY, key_of, subscribe
from fleet_scene import MakeFleet, names
from reactivex.subject import BehaviorSubject, Subject
from venue import Caps, Ledger, sequence

from rxsocket import (
    BufferOverflow,
    ChannelFailed,
    Dropped,
    InEffect,
    Limits,
    NotConnected,
    ObserverFailed,
    Refused,
    SlowConsumer,
    SocketFailed,
    SourceFailed,
    State,
    Stored,
    SubscriptionRefused,
    refreshing,
)
from rxsocket.fleet import (
    AnswerMissing,
    Capped,
    ChannelSpec,
    Fleet,
    ImpossiblePlan,
    Lost,
    Moved,
    Placed,
    Restored,
    Throttled,
)
from rxsocket.testing import VirtualClock, accept, reject


def keys_in(*events: Any) -> set[Any]:
    return {key for event in events for key in event.keys}


# --- lazy and shared


def test_stats_have_the_messages_of_all_sockets(clock: VirtualClock, company: MakeFleet) -> None:
    """C45: those of sockets that are gone, and of earlier runs, are among them."""
    it = company(limits=Limits(batch=10, channels=2))
    got: list[str] = []
    running = it.fleet.messages.subscribe(got.append)
    it.fleet.want(names(4))
    clock.advance(5.0)
    before = it.fleet.stats
    assert before.messages_sent > 0 and before.bytes_sent > before.messages_sent
    got.clear()
    for key in names(4):
        it.venue.say(key)
    clock.advance(1.0)
    stats = it.fleet.stats
    assert len(got) == 4 and stats.messages_received - before.messages_received == 4
    assert stats.bytes_received - before.bytes_received == sum(map(len, got))
    it.fleet.want(names(2))  # one socket is not needed any more
    clock.advance(5.0)
    it.venue.drop()
    clock.advance(5.0)
    received = it.fleet.stats.messages_received
    assert received >= stats.messages_received
    running.dispose()
    it.fleet.close()
    clock.advance(5.0)
    assert it.fleet.stats.messages_received == received
    with it.fleet:
        clock.advance(5.0)
        assert it.fleet.stats.messages_sent > stats.messages_sent
    clock.advance(5.0)


def test_making_one_and_wanting_starts_nothing(clock: VirtualClock, company: MakeFleet) -> None:
    it = company(watch=False, limits=Limits(batch=10, channels=2))
    it.fleet.want(names(5))
    assert it.fleet.stats.wanted == 5
    clock.advance(5.0)
    assert it.venue.handshakes == []
    with pytest.raises(RuntimeError, match="nothing to wait for"):
        it.fleet.wait(0.0)
    assert "idle" in str(it.fleet.explain())


@pytest.mark.parametrize("how", ["messages", "events", "channel", "connect", "with"])
def test_what_starts_it(clock: VirtualClock, company: MakeFleet, how: str) -> None:
    """And when that leaves, the sockets are closed with 1000; the set is for the next start."""
    it = company(watch=False, limits=Limits(batch=10, channels=2))
    it.fleet.want(names(4))
    for run in (1, 2):
        starting: Any = {
            "messages": lambda: it.fleet.messages.subscribe(),
            "events": lambda: it.fleet.events.subscribe(),
            "channel": lambda: it.fleet.channel("K0").subscribe(),
            "connect": it.fleet.connect,
            "with": it.fleet.__enter__,
        }[how]()
        clock.advance(1.0)
        assert it.venue.has_exactly(names(4)), run
        if how == "with":
            it.fleet.close()
        else:
            starting.dispose()
        clock.advance(1.0)
        assert it.venue.connections == 0
    assert {close.code for close in it.venue.closes} == {1000} and len(it.venue.closes) == 4


def test_a_fleet_that_ended_starts_afresh(clock: VirtualClock, company: MakeFleet) -> None:
    it = company(watch=False)
    it.fleet.want(["a"])
    ended: list[str] = []
    it.fleet.messages.subscribe(on_completed=lambda: ended.append("messages"))
    it.fleet.events.subscribe(on_completed=lambda: ended.append("events"))
    it.fleet.errors.subscribe(on_completed=lambda: ended.append("errors"))
    it.fleet.channel("b").subscribe(on_completed=lambda: ended.append("b"))
    clock.advance(1.0)
    receipt = it.fleet.close(3000, "enough")
    clock.advance(1.0)
    assert sorted(ended) == ["b", "errors", "events", "messages"]
    assert receipt.done and it.fleet.wait(0.0)
    assert it.venue.closes[-1].code == 3000
    it.fleet.messages.subscribe()
    clock.advance(1.0)
    assert it.venue.has_exactly(["a"])
    it.fleet.close()
    it.fleet.close()


def test_an_operator_that_subscribes_again_does_not_bring_it_back(
    clock: VirtualClock, company: MakeFleet
) -> None:
    it = company(watch=False)
    ends: list[Any] = []
    it.fleet.messages.pipe(reactivex.operators.repeat()).subscribe(on_error=ends.append)
    clock.advance(1.0)
    it.fleet.close()
    clock.advance(1.0)
    assert [type(end) for end in ends] == [NotConnected]
    assert not it.fleet.stats.sockets


# --- what is wanted


def test_channels_are_placed_and_delivered(clock: VirtualClock, company: MakeFleet) -> None:
    it = company(limits=Limits(batch=10, channels=3))
    everything, one = Ledger(), Ledger()
    it.fleet.messages.subscribe(everything)
    it.fleet.channel("X").subscribe(one)
    it.fleet.want(names(7))
    it.venue.feed(rate=1.0)
    clock.advance(5.5)
    assert it.venue.has_exactly([*names(7), "X"]) and it.venue.over() == []
    assert sorted(map(len, it.venue.channels.values())) == [2, 3, 3]
    assert keys_in(*it.of(Placed)) == {*names(7), "X"}
    assert set(one.newest) == {"X"} and set(everything.newest) == {*names(7), "X"}
    assert everything.missing == everything.late == []
    assert it.fleet.stats.live == 8 and it.fleet.stats.open == 3


def test_another_set_touches_what_differs(clock: VirtualClock, company: MakeFleet) -> None:
    """One channel less and one more: one message each, and everything else goes on."""
    it = company(limits=Limits(batch=10, channels=4))
    it.fleet.want(names(8))
    clock.advance(1.0)
    before = it.venue.channels
    it.fleet.want([*names(8)[1:], "new"])
    clock.advance(1.0)
    assert it.venue.has_exactly([*names(8)[1:], "new"])
    changed = [n for n, keys in it.venue.channels.items() if keys != before[n]]
    assert len(changed) == 1 and not it.venue.over()
    assert it.venue.asked["K1"] == 1
    it.fleet.want([])
    clock.advance(1.0)
    assert it.venue.placed == {} and it.fleet.stats.wanted == 0


def test_an_observable_of_sets(clock: VirtualClock, company: MakeFleet) -> None:
    """It is subscribed to while the fleet runs; what cannot be used leaves the set before."""
    it = company(watch=False, limits=Limits(batch=10, channels=2, connections=3))
    sets: BehaviorSubject[Any] = BehaviorSubject(["a", "b"])
    it.fleet.want(sets)
    assert not sets.observers
    subscription = it.fleet.messages.subscribe()
    clock.advance(1.0)
    assert it.venue.has_exactly(["a", "b"])
    sets.on_next({"b", "c"})
    clock.advance(1.0)
    assert it.venue.has_exactly(["b", "c"])
    sets.on_next(7)
    sets.on_next(names(5))
    clock.advance(1.0)
    assert it.venue.has_exactly(["b", "c"])
    wrong = [event.error for event in it.wrong(SourceFailed)]
    assert [type(error) for error in wrong] == [TypeError, ImpossiblePlan]
    assert {event.argument for event in it.wrong(SourceFailed)} == {"want(keys)"}
    it.fleet.want(["d"])  # takes its place
    sets.on_next(["e"])
    clock.advance(1.0)
    assert it.venue.has_exactly(["d"])
    it.fleet.want(sets)
    subscription.dispose()
    assert not sets.observers


def test_an_observable_of_sets_that_fails(clock: VirtualClock, company: MakeFleet) -> None:
    it = company()
    sets: Subject[Any] = Subject()
    it.fleet.want(sets)
    clock.advance(0.1)
    sets.on_next(["a"])
    sets.on_error(ValueError("no more"))
    clock.advance(1.0)
    assert it.venue.has_exactly(["a"])
    assert [str(event.error) for event in it.wrong(SourceFailed)] == ["no more"]


def test_a_channel_is_wanted_as_long_as_it_is_observed(
    clock: VirtualClock, company: MakeFleet
) -> None:
    it = company(limits=Limits(batch=10))
    first = it.fleet.channel("a").subscribe()
    second = it.fleet.channel("a").subscribe()
    it.fleet.want(["b"])
    both = it.fleet.channel("b").subscribe()
    clock.advance(1.0)
    assert it.venue.asked == Counter("ab")
    first.dispose()
    both.dispose()
    clock.advance(1.0)
    assert it.venue.has_exactly(["a", "b"])
    second.dispose()
    clock.advance(1.0)
    assert it.venue.has_exactly(["b"])
    assert it.fleet.channel("b") == it.fleet.channel("b") != it.fleet.channel("a")


def test_the_first_messages_are_held(clock: VirtualClock, company: MakeFleet) -> None:
    """C4: until somebody subscribes, and nobody observes a channel."""
    it = company(watch=False)
    it.fleet.want(["a"])
    it.fleet.connect()
    clock.advance(0.5)
    it.venue.say("a")
    clock.advance(0.5)
    got: list[Any] = []
    it.fleet.messages.subscribe(got.append)
    assert [json.loads(message)["seq"] for message in got if "seq" in message] == [1]
    it.fleet.close()
    clock.advance(1.0)
    with it.fleet.connect():
        clock.advance(0.5)
        it.venue.say("a")
        clock.advance(6.0)
        assert [event.count for event in it.wrong(Dropped)] == []
    assert it.fleet.stats.sockets == 0


def test_what_never_fits(clock: VirtualClock, company: MakeFleet) -> None:
    """A set that does not fit is refused at once; a channel more fails for its observer."""
    it = company(limits=Limits(batch=10, channels=2, connections=3))  # one is for handovers
    with pytest.raises(ImpossiblePlan, match="channels=2") as raised:
        it.fleet.want(names(5))
    assert raised.value.needed == 3 and raised.value.allowed == 2
    it.fleet.want(names(4))
    clock.advance(1.0)
    errors: list[Any] = []
    it.fleet.channel("X").subscribe(on_error=errors.append)
    clock.advance(1.0)
    assert [type(error) for error in errors] == [ImpossiblePlan]
    assert it.venue.has_exactly(names(4)) and it.venue.over() == []
    it.fleet.want(names(3))
    it.fleet.channel("X").subscribe(on_error=errors.append)
    clock.advance(1.0)
    assert it.venue.has_exactly([*names(3), "X"]) and len(errors) == 1


# --- failures of channels


def test_a_refused_channel_fails_alone(clock: VirtualClock, company: MakeFleet) -> None:
    """Its observers are told; one of the set is asked for again after a while."""
    it = company(limits=Limits(batch=10, channels=5))
    it.venue.refused = {"bad", "worse"}
    errors: list[Any] = []
    good = Ledger()
    it.fleet.messages.subscribe(good)
    it.fleet.channel("bad").subscribe(on_error=errors.append)
    it.fleet.want([*names(3), "worse"])
    clock.advance(1.0)
    assert [type(error) for error in errors] == [SubscriptionRefused]
    assert sorted(event.channel for event in it.wrong(ChannelFailed)) == ["'bad'", "'worse'"]
    assert it.venue.has_exactly(names(3))
    assert it.fleet.stats.refused == 1 and "'worse'" in str(it.fleet.explain())
    it.venue.refused = ()
    clock.advance(30.0)
    assert it.venue.has_exactly([*names(3), "worse"])
    it.fleet.channel("bad").subscribe(on_error=errors.append)
    clock.advance(1.0)
    assert it.venue.has_exactly([*names(3), "worse", "bad"]) and len(errors) == 1


def test_it_is_asked_less_often_for_what_is_refused(
    clock: VirtualClock, company: MakeFleet
) -> None:
    it = company()
    it.venue.refused = {"bad"}
    it.fleet.want(["bad"])
    clock.advance(29.0)
    assert it.venue.asked["bad"] == 1
    clock.advance(2.0)
    assert it.venue.asked["bad"] == 2
    clock.advance(57.0)
    assert it.venue.asked["bad"] == 2
    clock.advance(4.0)
    assert it.venue.asked["bad"] == 3
    it.fleet.want([])
    clock.advance(500.0)
    assert it.venue.asked["bad"] == 3


# --- connections that end


def test_lost_and_restored(clock: VirtualClock, company: MakeFleet) -> None:
    """What a lost connection carried is told in one event, and so is the gap that it left."""
    it = company(limits=Limits(batch=10, channels=3))
    it.fleet.want(names(6))
    clock.advance(10.0)
    it.entries.clear()
    first = min(it.venue.channels)
    carried = it.venue.channels[first]
    it.venue.drop_some(first)
    clock.advance(10.0)
    assert it.names == ["Lost", "Restored"]
    [lost], [restored] = it.of(Lost), it.of(Restored)
    assert set(lost.keys) == set(restored.keys) == carried
    assert (lost.shard, lost.socket) == (restored.shard, restored.socket)
    assert lost.why == "the link was lost"
    assert restored.gap == pytest.approx(restored.at - lost.since) and restored.gap > 0.0
    assert it.venue.has_exactly(names(6))
    assert repr(lost).startswith("Lost(keys=<3>, shard='loop', socket=")


@pytest.mark.parametrize(
    ("count", "cap"),
    [
        pytest.param(300, 20, id="scaled"),
        pytest.param(5000, 200, id="whole", marks=[pytest.mark.slow]),
    ],
)
@pytest.mark.parametrize("fails_by", ["silence", "refusal"])
def test_all_drop_at_once(
    clock: VirtualClock, company: MakeFleet, count: int, cap: int, fails_by: Any
) -> None:
    """No cap is exceeded in any window, and 1 % of what is asked for fails."""
    caps = Caps(channels=cap, connects="10/s", sends="5/s")
    limits = Limits("5/s", batch=100, channels=cap, connects="10/s")
    it = company(
        caps=caps, limits=limits, latency=0.05, spec={"acknowledged_within": 5.0}, watch=False
    )
    it.venue.failing, it.venue.fails_by = 0.01, fails_by
    it.watch()
    it.fleet.want(names(count))
    clock.advance(100.0)
    for _ in range(2):
        assert it.venue.has_exactly(names(count))
        assert it.fleet.stats.live == count
        it.entries.clear()
        it.venue.drop()
        clock.advance(200.0)
        assert keys_in(*it.of(Lost)) == keys_in(*it.of(Restored)) == set(names(count))
    assert it.venue.over() == [] and it.venue.most_connects <= 10


def test_one_that_ends_for_good_is_replaced(clock: VirtualClock, company: MakeFleet) -> None:
    """While others are open: the address is good, and its channels are wanted."""
    it = company(limits=Limits(batch=10, channels=2), options={"verdicts": _fails_at_4000})
    it.fleet.want(names(4))
    clock.advance(10.0)
    it.entries.clear()
    first = it.venue.visits[0]
    first.close(4000, "you are out")
    clock.advance(5.0)
    assert it.venue.has_exactly(names(4)) and it.fleet.stats.open == 2
    assert it.names == ["Lost", "Restored"]
    assert it.of(Restored)[0].socket == 3


def test_it_fails_when_the_last_one_fails(clock: VirtualClock, company: MakeFleet) -> None:
    it = company(options={"verdicts": _fails_at_4000})
    ends: list[Any] = []
    it.fleet.messages.subscribe(on_error=ends.append)
    it.fleet.want(["a"])
    clock.advance(1.0)
    it.venue.close(4000, "out")
    clock.advance(1.0)
    assert [type(end) for end in ends] == [SocketFailed]
    with pytest.raises(SocketFailed):
        it.fleet.wait(0.0)
    assert "ended with an error" in str(it.fleet.explain())


def _fails_at_4000(end: Any) -> Any:
    from rxsocket import Verdict, standard

    return Verdict.FAIL if end.code == 4000 else standard()(end)


# --- what is learnt


def test_a_server_that_lets_fewer_connect(clock: VirtualClock, company: MakeFleet) -> None:
    """429: slower, and, as it goes on, as many connections as there are; the rest has room."""
    caps = Caps(connections=3, over_connections=429)
    it = company(caps=caps, limits=Limits(batch=10, channels=10, connects="5/s"), sockets=5)
    it.fleet.want(names(20))
    clock.advance(600.0)
    assert it.of(Throttled)
    [capped, *_] = it.of(Capped)
    assert (capped.what, capped.cap) == ("connections", 3)
    assert it.venue.has_exactly(names(20))
    assert it.fleet.stats.sockets == 2  # and one for handovers
    assert "learnt: loop: HTTP 429" in str(it.fleet.explain())


def test_a_channel_too_many_is_dead(clock: VirtualClock, company: MakeFleet) -> None:
    """It is acknowledged and says nothing, while others do: it goes somewhere else."""
    caps = Caps(channels=8, over_channels="dead")
    it = company(caps=caps, limits=Limits(batch=20), spec={"stale_after": 5.0})
    heard = Ledger()
    it.fleet.messages.subscribe(heard)
    it.venue.feed(rate=1.0)
    it.fleet.want(names(10))
    clock.advance(120.0)
    [capped, *_] = it.of(Capped)
    assert (capped.what, capped.cap) == ("channels", 8)
    assert set(heard.newest) == set(names(10))
    assert it.fleet.stats.sockets == 2


def test_a_403_to_one_socket_while_others_are_open_is_looked_into(
    clock: VirtualClock, company: MakeFleet
) -> None:
    """It is dialled once more, which tells a cap of connections from a bad credential."""
    caps = Caps(connections=2, over_connections=403)
    it = company(caps=caps, limits=Limits(batch=10, channels=5))
    it.fleet.want(names(15))
    clock.advance(1.0)
    (capped,) = it.of(Capped)
    assert capped.what == "connections" and capped.cap == 2
    assert it.fleet.stats.states.keys() == {State.OPEN}
    explained = str(it.fleet.explain())
    assert "there can be 2 connections, and 3 would be needed (the server takes 2 at" in explained
    assert repr(it.fleet).endswith("10 of 15 channels live on 2 sockets>")


def test_a_403_to_one_socket_is_looked_into_once(clock: VirtualClock, company: MakeFleet) -> None:
    """Two dials tell, and there are no more."""
    it = company(caps=Caps(connections=1), limits=Limits(batch=10, channels=5))
    it.fleet.want(names(5))
    clock.advance(1.0)
    it.venue.caps = Caps(connections=1, over_connections=403)
    it.fleet.want(names(10))
    clock.advance(600.0)
    dials = len(it.venue.handshakes)
    assert dials == 3 and len(it.of(Capped)) == 1


def test_what_keeps_sockets_from_connecting_is_explained(
    clock: VirtualClock, company: MakeFleet
) -> None:
    """As long as it does; and which channels are without an answer on those that are open."""
    it = company(limits=Limits(batch=10, channels=2), latency=0.5)
    it.venue.default = reject(503)
    it.fleet.want(names(4))
    clock.advance(1.2)
    explained = it.fleet.explain()
    assert any("2 sockets not connected: " in line and "503" in line for line in explained.why)
    assert explained.next == "4 channels as sockets open and the limits allow it"
    it.venue.default = accept()
    it.venue.refused, it.venue.failing = (), 1.0
    clock.advance(60.0)
    explained = it.fleet.explain()
    assert [line.partition(":")[0] for line in explained.why] == [
        "no answer to 4 channels for 10 s or longer"
    ]
    assert explained.next == "4 channels as they are asked for and answered"


# --- moves


def test_a_move_loses_nothing(clock: VirtualClock, company: MakeFleet) -> None:
    """Make, then break: whatever the new place lags behind the old one, or runs ahead of it."""
    it = company(limits=Limits(batch=50, channels=40), dedupe=sequence, latency=0.05, sockets=2)
    got = Ledger()
    it.fleet.messages.subscribe(got)
    it.venue.lag = lambda number: 0.1 * (number % 3)
    it.venue.feed(rate=10.0)
    it.fleet.want(names(40))
    clock.advance(5.0)
    it.fleet.want(names(10))  # those of one socket are fewer
    clock.advance(1.0)
    loads = sorted(map(len, it.venue.channels.values()))
    it.fleet.want([*names(8)])
    clock.advance(1.0)
    it.fleet.rebalance()
    clock.advance(10.0)
    for key in names(40)[8:]:
        got.forget(key)
    after = sorted(map(len, it.venue.channels.values()))
    assert loads[-1] - loads[0] <= 10 and after[-1] - after[0] <= 1
    assert it.venue.has_exactly(names(8))
    assert [one for one in got.missing if one[0] in names(8)] == [] and got.late == []


def test_an_answer_that_is_missed_is_said(
    clock: VirtualClock, company: MakeFleet, caplog: pytest.LogCaptureFixture
) -> None:
    """By ``acknowledged=``, or by the server: ten seconds later, once; its messages come."""

    def misses_one(message: str) -> Any:
        answer = MANY["acknowledged"](message)
        return answer if answer is None else {key: it for key, it in answer.items() if key != "K1"}

    it = company(spec={"acknowledged": misses_one}, limits=Limits(batch=10, channels=5))
    got = Ledger()
    it.fleet.messages.subscribe(got)
    it.venue.feed(1.0)
    it.fleet.want(names(10))
    clock.advance(9.0)
    assert it.of(AnswerMissing) == []
    clock.advance(60.0)
    (event,) = it.of(AnswerMissing)
    assert (event.keys, event.shard, event.socket, event.seconds) == (("K1",), "loop", 2, 10.0)
    missed = "acknowledged= must tell it, of the message that accepts them"
    assert f"why: no answer to 1 channel for 10 s or longer: {missed}" in str(it.fleet.explain())
    assert f"loop/2: no answer to 1 channel for 10 s: {missed}" in caplog.text
    assert it.fleet.stats.live == 9 and got.newest["K1"] > 50
    it.venue.drop()
    clock.advance(60.0)
    assert len(it.of(AnswerMissing)) == 2
    it.fleet.want(names(1))
    assert "no answer" not in str(it.fleet.explain())


# --- the credential


def test_a_handover_whose_dial_does_not_open_in_time_is_tried_again(
    clock: VirtualClock, company: MakeFleet
) -> None:
    """The old connection delivers meanwhile, and the rotation ends when all have followed."""
    it = company(
        caps=Caps(channels=5),
        latency=0.05,
        limits=Limits(batch=5, channels=5, connects="4/s"),
        auth={"token": "0"},
        dedupe=sequence,
        options={"identity": lambda _: "me", "open_timeout": 2.0},
    )
    got = Ledger()
    it.fleet.messages.subscribe(got)
    it.venue.feed(4.0)
    it.fleet.want(names(20))
    clock.advance(5.0)
    for number in range(1, 4):
        dials = len(it.venue.handshakes)
        it.venue.is_ignored = lambda number, dials=dials: (
            number in (dials + 1, dials + 3, dials + 5)
        )
        outcomes: list[Any] = []
        it.fleet.set_auth({"token": str(number)}).subscribe(outcomes.append)
        clock.advance(30.0)
        assert [type(outcome) for outcome in outcomes] == [InEffect]
        assert it.venue.tokens_of_open == {str(number): 4}
        assert len(it.venue.handshakes) == dials + 7
    assert got.missing == got.late == [] and it.of(Lost) == []
    assert min(got.newest.values()) > 300


def test_a_rotation_at_the_pace_of_the_limits(clock: VirtualClock, company: MakeFleet) -> None:
    """Socket after socket hands over; nothing is missing, double or late."""
    caps = Caps(connects="2/s")
    it = company(
        caps=caps,
        limits=Limits(batch=50, channels=5, connects="2/s"),
        dedupe=sequence,
        auth={"token": "first"},
        options={"identity": lambda _: "me"},
    )
    got = Ledger()
    it.fleet.messages.subscribe(got)
    it.venue.feed(rate=10.0)
    it.fleet.want(names(40))
    clock.advance(10.0)
    it.entries.clear()
    outcomes: list[Any] = []
    it.fleet.set_auth({"token": "second"}).subscribe(outcomes.append)
    clock.advance(20.0)
    assert [handshake.credential for handshake in it.venue.handshakes[8:]] == ["second"] * 8
    assert it.venue.over() == [] and it.entries == [] and it.problems == []
    assert got.missing == got.late == []
    assert [type(outcome) for outcome in outcomes] == [InEffect]
    it.fleet.want(names(45))
    clock.advance(5.0)
    assert it.venue.handshakes[-1].credential == "second"


@pytest.mark.parametrize("asked_later", [0.0, 0.4, 1.2])
@pytest.mark.parametrize("lag", [0.0, 0.5, 1.1])
def test_a_channel_that_is_asked_for_during_a_handover_keeps_its_order(
    clock: VirtualClock, company: MakeFleet, asked_later: float, lag: float
) -> None:
    """The new connection may have it before the old one has, or be behind."""
    it = company(
        limits=Limits("2/s", batch=5, channels=20),
        auth={"token": "0"},
        dedupe=sequence,
        options={"identity": lambda _: "me"},
        latency=0.05,
    )
    got = Ledger()
    it.fleet.messages.subscribe(got)
    it.venue.lag = lambda number: lag * (number % 2)
    it.venue.feed(10.0)
    it.fleet.want(names(10))
    clock.advance(5.0)
    for number in range(1, 5):
        it.fleet.set_auth({"token": str(number)})
        clock.advance(asked_later)
        it.fleet.want(names(10 + number))
        clock.advance(20.0)
        assert it.venue.tokens_of_open == {str(number): 1}
    assert got.late == [] and got.missing == []
    assert got.newest.keys() == set(names(14))


class KeyEnvelope:
    """Messages of the venue, whose topic is the key."""

    def wrap(self, topic: str, data: Any) -> Any:
        return data

    def unwrap(self, message: Any) -> tuple[Any, Any]:
        return key_of(message), message


@pytest.mark.parametrize("how", ["by", "envelope"])
def test_a_key_is_unique_within_its_channel(
    clock: VirtualClock, company: MakeFleet, how: str
) -> None:
    """The same number in two channels is no double, over two connections either."""
    it = company(
        limits=Limits(batch=50, channels=5),
        dedupe=lambda message: json.loads(message).get("seq"),
        auth={"token": "first"},
        spec={} if how == "by" else {"by": None},
        options={"identity": lambda _: "me", "envelope": KeyEnvelope()},
        latency=0.05,
    )
    got = Ledger()
    it.fleet.messages.subscribe(got)
    it.venue.lag = lambda number: 0.1 * (number % 3)
    it.venue.feed(rate=10.0)
    it.fleet.want(names(10))
    clock.advance(5.0)
    it.fleet.set_auth({"token": "second"})
    clock.advance(10.0)
    assert len(it.venue.handshakes) == 4 and set(got.newest) == set(names(10))
    assert got.missing == got.late == []


def test_a_refused_credential_waits_for_another(clock: VirtualClock, company: MakeFleet) -> None:
    it = company(auth={"token": "bad"}, limits=Limits(batch=5, channels=2))
    it.venue.tokens = {"good"}
    it.fleet.want(names(4))
    clock.advance(5.0)
    assert it.fleet.stats.states == {State.AWAITING_AUTH: 2}
    assert "call set_auth" in str(it.fleet.explain())
    outcomes: list[Any] = []
    it.fleet.set_auth({"token": "worse"}).subscribe(outcomes.append)
    clock.advance(5.0)
    it.fleet.set_auth({"token": "good"}).subscribe(outcomes.append)
    clock.advance(5.0)
    assert [type(outcome) for outcome in outcomes] == [Refused, InEffect]
    assert it.venue.has_exactly(names(4))
    it.fleet.close()
    clock.advance(1.0)
    it.fleet.set_auth({"token": "good"}).subscribe(outcomes.append)
    assert type(outcomes[-1]) is Stored


def test_a_source_is_shared(clock: VirtualClock, company: MakeFleet) -> None:
    """An Observable has one subscriber, ``refreshing()`` makes one call, a function one a dial."""
    subscribed: list[Any] = []
    values: BehaviorSubject[Any] = BehaviorSubject({"token": "one"})

    def subscribe_to(observer: Any, scheduler: Any = None) -> Any:
        subscribed.append(observer)
        return values.subscribe(observer)

    limits = Limits(batch=5, channels=2)
    it = company(auth=reactivex.create(subscribe_to), limits=limits)
    it.fleet.want(names(6))
    clock.advance(1.0)
    values.on_next({"token": "two"})
    clock.advance(5.0)
    assert len(subscribed) == 1
    credentials = [handshake.credential for handshake in it.venue.handshakes]
    assert credentials == ["one"] * 3 + ["two"] * 3
    it.fleet.close()
    clock.advance(1.0)
    assert not values.observers

    asked: list[int] = []

    def mint() -> dict[str, str]:
        asked.append(1)
        return {"token": str(len(asked))}

    for auth, calls in ((mint, 3), (refreshing(mint), 1)):
        asked.clear()
        other = company(auth=auth, limits=limits)
        other.fleet.want(names(6))
        clock.advance(1.0)
        assert len(asked) == calls and other.venue.has_exactly(names(6))


def test_connections_of_an_age_are_renewed(clock: VirtualClock, company: MakeFleet) -> None:
    """``lifetime=``: by a handover, before the server ends them, when the limits allow it."""
    caps = Caps(connects="1/s")
    limits = Limits(batch=50, channels=5, connects="1/s", lifetime=60.0)
    it = company(caps=caps, limits=limits, dedupe=sequence)
    got = Ledger()
    it.fleet.messages.subscribe(got)
    it.venue.feed(rate=5.0)
    it.fleet.want(names(20))
    clock.advance(100.0)
    assert len(it.venue.handshakes) == 8 and it.venue.over() == []
    assert not it.of(Lost) and got.missing == got.late == []


# --- observers


def test_async_for_is_lossless(clock: VirtualClock, company: MakeFleet) -> None:
    """C27: it pauses all sockets, and goes on."""
    it = company(watch=False, limits=Limits(batch=10, channels=2))
    it.fleet.want(names(6))
    it.venue.feed(rate=20.0)
    got = Ledger()

    async def read() -> None:
        async for message in it.fleet.messages:
            got(message)
            if got.count % 300 == 0:
                await asyncio.sleep(20.0)
            if got.count >= 1500:
                break

    clock.run(read())
    assert got.missing == got.late == [] and set(got.newest) == set(names(6))


def test_overflow_is_by_a_policy(clock: VirtualClock, company: MakeFleet) -> None:
    it = company(watch=False)
    it.fleet.want(["a"])
    it.venue.feed(rate=20.0)

    async def read() -> None:
        async for _ in it.fleet.messages.iterate(high_water=10, overflow="error"):
            await asyncio.sleep(5.0)

    with pytest.raises(BufferOverflow):
        clock.run(read())


def test_what_an_observer_raises_is_told_once(clock: VirtualClock, company: MakeFleet) -> None:
    """C23: it is detached, and all others go on."""
    it = company()
    got = Ledger()

    def bad(message: Any) -> None:
        raise ValueError("mine")

    it.fleet.messages.subscribe(bad)
    it.fleet.channel("a").subscribe(bad)
    it.fleet.messages.subscribe(got)
    it.fleet.channel("a").subscribe(got)
    it.venue.feed(rate=1.0)
    it.fleet.want(["a", "b"])
    clock.advance(5.5)
    told = it.wrong(ObserverFailed)
    assert [str(event.error) for event in told] == ["mine", "mine"]
    assert sorted(event.stream for event in told) == ["channel 'a'", "messages"]
    assert all("bad" in event.observer for event in told)
    assert set(got.newest) == {"a", "b"} and min(got.newest.values()) >= 5


def test_a_weight_that_raises_fails_its_channel_alone(
    clock: VirtualClock, company: MakeFleet
) -> None:
    """It is told once, one that has a place keeps it, and what is wanted later is planned."""
    bad = {"K9"}

    def weigh(key: str) -> float:
        if key in bad:
            raise ValueError(f"no weight of {key}")
        return 1.0

    it = company(limits=Limits(batch=10, bytes=4), weight=weigh)
    with pytest.raises(ValueError, match="no weight of K9"):
        it.fleet.want(["K9"])
    it.fleet.want(names(3))
    errors: list[Exception] = []
    it.fleet.channel("K9").subscribe(on_error=errors.append)
    clock.advance(1.0)
    assert [str(error) for error in errors] == ["no weight of K9"]
    bad.add("K0")
    it.fleet.channel("K5").subscribe()
    clock.advance(1.0)
    assert it.venue.has_exactly([*names(3), "K5"])
    assert [event.observer for event in it.wrong(ObserverFailed)] == ["weight"]
    bad.clear()
    it.fleet.channel("K9").subscribe()
    clock.advance(1.0)
    assert it.venue.has_exactly([*names(3), "K5", "K9"])


def test_a_weight_that_fails_later_is_tried_again(clock: VirtualClock, company: MakeFleet) -> None:
    """A channel of the set waits for it, whatever is raised."""

    class Mine(BaseException):
        pass

    raises = False

    def weigh(key: str) -> float:
        if raises and key == "K1":
            raise Mine
        return 1.0

    it = company(limits=Limits(batch=10, bytes=4), weight=weigh)
    it.fleet.want(names(2))  # it is checked here, and planned in the next turn
    raises = True
    clock.advance(1.0)
    assert it.venue.has_exactly(["K0"]) and it.fleet.stats.refused == 1
    assert "weight(key): raised Mine" in str(it.fleet.explain())
    raises = False
    clock.advance(31.0)
    assert it.venue.has_exactly(names(2))


def test_a_dedupe_that_raises_is_told_once(clock: VirtualClock, company: MakeFleet) -> None:
    def bad(message: Any) -> Any:
        raise ValueError("mine")

    it = company(limits=Limits(batch=10, channels=4), dedupe=bad, sockets=2)
    got: set[Any] = set()
    it.fleet.messages.subscribe(lambda message: got.add(key_of(message)))
    it.venue.feed(rate=1.0)
    it.fleet.want(names(8))
    clock.advance(2.0)
    it.fleet.want([key for key in names(8) if key in it.venue.channels[1]])
    clock.advance(2.0)
    it.fleet.rebalance()
    clock.advance(20.0)
    assert it.of(Moved)
    assert [event.observer for event in it.wrong(ObserverFailed)] == ["dedupe"]


def test_what_an_observer_asks_for_comes_after_the_message(
    clock: VirtualClock, company: MakeFleet
) -> None:
    """C24: everybody has had the message before the streams end."""
    it = company()
    story: list[str] = []
    for name in ("one", "two"):
        it.fleet.channel("a").subscribe(
            lambda _, name=name: (story.append(name), it.fleet.close()),
            on_completed=lambda name=name: story.append(f"{name} ends"),
        )
    clock.advance(1.0)
    it.venue.say("a")
    clock.advance(1.0)
    assert story == ["one", "two", "one ends", "two ends"]


def test_who_holds_the_loop_is_named(
    clock: VirtualClock, company: MakeFleet, caplog: pytest.LogCaptureFixture
) -> None:
    """C27: the observer of the fleet, not what the fleet has on its sockets."""
    it = company()

    def slow(message: Any) -> None:
        clock.block(0.2)

    it.fleet.messages.subscribe(slow)
    it.venue.feed(rate=5.0)
    it.fleet.want(["a"])
    clock.advance(5.0)
    [told] = it.wrong(SlowConsumer)
    assert "test_who_holds_the_loop" in told.observer and told.stream == "messages"
    assert sum("held the loop" in record.getMessage() for record in caplog.records) == 1


def test_who_pauses_reading_is_named(clock: VirtualClock, company: MakeFleet) -> None:
    it = company()
    it.fleet.messages.subscribe()
    it.venue.feed(rate=20.0)
    it.fleet.want(["a"])

    async def read() -> None:
        async for _ in it.fleet.channel("a").iterate(high_water=5):
            await asyncio.sleep(5.0)
            return

    clock.run(read())
    [told] = it.wrong(SlowConsumer)
    assert "read" in told.observer and told.stream == "channel 'a'" and told.waiting


# --- arguments


@pytest.mark.parametrize(
    ("arguments", "error", "text"),
    [
        ({"channel": 7}, TypeError, "channel: pass a ChannelSpec"),
        ({"limits": 7}, TypeError, "limits: pass Limits"),
        ({"dedupe": 7}, TypeError, "dedupe"),
        ({"weight": len}, ValueError, "weight: goes with Limits"),
        ({"limits": Limits(bytes=10)}, ValueError, "weight: goes with Limits"),
        ({"sockets": 0}, ValueError, "sockets: pass 1 or more"),
        ({"on": "the moon"}, ValueError, "on: pass"),
        ({"options": 7}, TypeError, "options: pass a mapping"),
        ({"options": {"auth": 1}}, ValueError, "options: 'auth' is none of them"),
        ({"options": {"clean_close": "complete"}}, ValueError, "options: 'clean_close'"),
        ({"options": {"nonsense": 1}}, TypeError, "nonsense"),
        ({"options": {"max_size": -1}}, ValueError, "max_size"),
        (
            {"limits": Limits(lifetime=5), "options": {"max_age": 5}},
            ValueError,
            "leave out 'max_age'",
        ),
        ({"auth": 7}, TypeError, "auth"),
        ({"name": ""}, ValueError, "name"),
        ({"loop": 7}, TypeError, "loop"),
    ],
)
def test_bad_arguments(arguments: dict[str, Any], error: type[Exception], text: str) -> None:
    given = {"channel": ChannelSpec(**MANY), **arguments}
    with pytest.raises(error, match=text):
        Fleet("ws://example.com/", **given)


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ({"subscribe": 7}, TypeError),
        ({"subscribe": lambda a, b, c: 1}, TypeError),
        ({"unsubscribe": 7}, TypeError),
        ({"by": 7}, TypeError),
        ({"acknowledged": 7}, TypeError),
        ({"acknowledged_within": 5.0}, ValueError),
        ({"stale_after": 0}, ValueError),
    ],
)
def test_a_bad_spec(arguments: dict[str, Any], error: type[Exception]) -> None:
    with pytest.raises(error):
        ChannelSpec(**{"subscribe": subscribe, **arguments})


def test_bad_keys(company: MakeFleet) -> None:
    fleet = company(watch=False).fleet
    for keys in ("abc", 7, [[]], [None]):
        with pytest.raises((TypeError, ValueError), match="want"):
            fleet.want(keys)
    with pytest.raises(TypeError, match="channel"):
        fleet.channel([])
    with pytest.raises(ValueError, match="None is no key"):
        fleet.channel(None)
    with pytest.raises(TypeError):
        fleet.set_auth(7)  # type: ignore[arg-type]
    assert "0 of 0 channels" in repr(fleet)
