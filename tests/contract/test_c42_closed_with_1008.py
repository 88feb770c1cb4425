"""C42: what a server closes with 1008: a connection too many, channels too many, sends too many."""

from __future__ import annotations

from typing import Any

import pytest
from fleet_scene import MakeFleet, names
from venue import Caps, Ledger

from rxsocket import Limits, State
from rxsocket.fleet import Capped, Throttled
from rxsocket.testing import VirtualClock

UNANSWERED: dict[str, Any] = {"acknowledged": None}
BOTH = pytest.mark.parametrize("spec", [{}, UNANSWERED], ids=["acknowledged", "not"])


@BOTH
def test_a_connection_too_many_is_a_cap(
    clock: VirtualClock, company: MakeFleet, spec: dict[str, Any]
) -> None:
    """As many as were live go on; the others are left out, and nobody is dialled in vain."""
    it = company(
        caps=Caps(connections=2, over_connections=1008),
        limits=Limits(batch=10, channels=5, connects="1/10s"),
        latency=0.05,
        spec=spec,
    )
    it.fleet.want(names(15))
    clock.advance(120.0)
    (capped,) = it.of(Capped)
    assert (capped.what, capped.cap, capped.socket) == ("connections", 2, None)
    assert it.fleet.stats.live == 10 and it.fleet.stats.states.keys() == {State.OPEN}
    assert it.fleet.stats.left_out == 5
    explained = str(it.fleet.explain())
    assert f"learnt: loop: {capped.why}: the address may have 2 connections" in explained
    dials = len(it.venue.handshakes)
    clock.advance(600.0)
    assert len(it.venue.handshakes) == dials == 4
    assert it.fleet.stats.live == 10


@BOTH
def test_the_very_first_subscribe_may_be_for_too_much(
    clock: VirtualClock, company: MakeFleet, spec: dict[str, Any]
) -> None:
    """Nothing was live then: a connection on which nothing is asked for says what it was."""
    it = company(
        caps=Caps(channels=6, over_channels=1008),
        limits=Limits(batch=20, channels=20),
        latency=0.05,
        spec=spec,
    )
    it.venue.feed(1.0)
    it.fleet.want(names(60))
    clock.advance(300.0)
    assert it.venue.has_exactly(names(60)) and it.fleet.stats.live == 60
    assert {event.what for event in it.of(Capped)} == {"channels"}
    assert 1 <= min(event.cap for event in it.of(Capped)) <= 6
    before = len(it.venue.handshakes)
    clock.advance(300.0)
    assert len(it.venue.handshakes) == before


def test_a_refused_credential_is_dialled_with_once_more(
    clock: VirtualClock, company: MakeFleet
) -> None:
    """By one socket of many; then it awaits another one, which it asks for everything with."""
    it = company(
        caps=Caps(connections=0, over_connections=1008),
        limits=Limits(batch=10, channels=5, connects="1/10s"),
        latency=0.05,
        auth={"token": "bad"},
    )
    it.fleet.want(names(10))
    clock.advance(300.0)
    assert len(it.venue.handshakes) == 3 and it.of(Capped) == []
    assert it.fleet.stats.states == {State.AWAITING_AUTH: 2}
    it.venue.caps = Caps()
    it.fleet.set_auth({"token": "good"})
    clock.advance(60.0)
    assert it.fleet.stats.live == 10 and it.venue.has_exactly(names(10))


@pytest.mark.parametrize("pace", [None, "20/s"])
def test_sends_too_many_lower_the_pace(
    clock: VirtualClock, company: MakeFleet, pace: str | None
) -> None:
    """Of that socket, and of those that connect later; no cap of channels is made of it."""
    it = company(
        caps=Caps(sends="5/s", slack=0.05),
        limits=Limits(pace, batch=2, channels=40),
        latency=0.05,
    )
    it.fleet.want(names(40))
    clock.advance(120.0)
    assert it.fleet.stats.live == 40 and it.venue.has_exactly(names(40))
    throttled = it.of(Throttled)
    assert {event.what for event in throttled} == {"sends"} and it.of(Capped) == []
    assert throttled[-1].rate is not None and throttled[-1].rate <= 5.0
    said = f"{throttled[-1].why}: sends at {throttled[-1].rate:.3g}/s"
    assert said in str(it.fleet.explain())
    before = len(it.venue.over())
    it.venue.drop()
    clock.advance(120.0)
    assert it.venue.has_exactly(names(40)) and len(it.venue.over()) == before


def test_a_learnt_cap_takes_no_live_channel_away(clock: VirtualClock, company: MakeFleet) -> None:
    """The one that is left for handovers is used, if else a channel had no place."""
    it = company(
        caps=Caps(connections=3, over_connections=403),
        limits=Limits(batch=10, channels=5, connects="5/s"),
        latency=0.05,
    )
    got = Ledger()
    it.fleet.messages.subscribe(got)
    it.venue.feed(4.0)
    it.fleet.want(names(20))
    clock.advance(60.0)
    assert [event.cap for event in it.of(Capped)] == [3]
    live = {key for keys in it.venue.channels.values() for key in keys}
    assert it.fleet.stats.live == len(live) == 15
    before = dict(got.newest)
    it.fleet.want([*names(5, 100), *names(20)])  # what comes first in the set is not there yet
    clock.advance(60.0)
    assert {key for keys in it.venue.channels.values() for key in keys} == live
    assert all(got.newest[key] > before[key] for key in live) and got.missing == []
