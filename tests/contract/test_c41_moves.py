"""C41: no connection carries a channel too many while others leave it, and what is told is so."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest
from exchange import MANY
from fleet_scene import MakeFleet, names
from venue import Caps, Ledger, VenueFake, sequence

from rxsocket import Limits, RenewalFailed, Socket
from rxsocket.fleet import Lost, Moved, Placed, Restored
from rxsocket.testing import VirtualClock

CAPS = Caps(channels=4)
LIMITS = Limits("4/s", batch=2, channels=4)


def test_what_ends_goes_before_what_begins(clock: VirtualClock) -> None:
    """A connection that is full has room for what is asked for next, at any pace."""
    venue = VenueFake(CAPS)
    socket: Socket[Any, Any] = Socket(venue.url, transport=venue, limits=Limits("1/s", batch=2))
    socket.connect()
    clock.advance(1.0)
    leaving = [socket.channels([key], **MANY).subscribe() for key in names(4)]
    clock.advance(5.0)
    assert venue.channels == {1: {*names(4)}}
    for one in leaving:
        one.dispose()
    socket.channels(names(4, 10), **MANY).subscribe()
    clock.advance(10.0)
    assert venue.channels == {1: {*names(4, 10)}} and venue.over() == []
    socket.close()
    clock.advance(2.0)


def test_a_channel_that_leaves_takes_its_room_until_it_has_left(
    clock: VirtualClock, company: MakeFleet
) -> None:
    """What is wanted meanwhile goes where there is room, not where there will be."""
    it = company(caps=CAPS, limits=LIMITS, dedupe=sequence, sockets=2)
    it.venue.feed(0.2)
    it.fleet.want(names(8))
    clock.advance(10.0)
    [one, two] = it.venue.channels
    kept = [*it.venue.channels[one], *sorted(it.venue.channels[two])[:1]]
    it.fleet.want(kept)
    clock.advance(5.0)
    assert [len(keys) for keys in it.venue.channels.values()] == [4, 1]
    it.fleet.rebalance()
    clock.advance(0.5)
    assert [len(keys) for keys in it.venue.channels.values()] == [4, 2]  # one is on its way
    it.fleet.want([*kept, *names(3, 20)])
    clock.advance(60.0)
    assert it.venue.has_exactly([*kept, *names(3, 20)]) and it.venue.over() == []
    assert len(it.of(Moved)) == 1


def test_a_channel_that_is_lost_as_it_moves_is_restored_where_it_goes(
    clock: VirtualClock, company: MakeFleet
) -> None:
    """It did not move without a gap, so it is not told so."""
    asked_again = {"acknowledged_within": 3.0}
    it = company(caps=CAPS, limits=LIMITS, dedupe=sequence, sockets=2, spec=asked_again)
    it.venue.feed(2.0)
    it.fleet.want(names(4))
    clock.advance(5.0)
    it.fleet.want(["K0", "K2"])  # both are on the first socket
    clock.advance(5.0)
    placed = it.venue.placed
    assert placed["K0"] == placed["K2"]
    it.venue.failing = 1.0  # the new place is not heard
    it.fleet.rebalance()
    clock.advance(1.0)
    it.venue.drop_some(*placed["K0"])
    it.venue.failing = 0.0
    clock.advance(60.0)
    assert it.of(Moved) == [] and len(it.of(Placed)) == 2
    assert sorted(key for event in it.of(Lost) for key in event.keys) == ["K0", "K2"]
    assert sorted(key for event in it.of(Restored) for key in event.keys) == ["K0", "K2"]
    assert it.venue.has_exactly(["K0", "K2"])


def test_a_handover_waits_for_the_answer_to_each_channel(
    clock: VirtualClock, company: MakeFleet
) -> None:
    """The first message is of one channel; another one is not live there yet."""
    it = company(
        caps=CAPS,
        limits=LIMITS,
        dedupe=sequence,
        auth={"token": "a"},
        options={"identity": lambda _: "me"},
    )
    it.venue.feed(5.0)
    got = Ledger()
    it.fleet.messages.subscribe(got)
    it.fleet.want(names(4))
    clock.advance(5.0)
    it.venue.failing = 0.5  # some of them are not heard over the next connection
    it.fleet.set_auth({"token": "b"})
    clock.advance(5.0)
    assert got.missing == got.late == [] and it.venue.live == 2
    it.venue.failing = 0.0
    clock.advance(60.0)
    assert it.venue.tokens_of_open == {"b": 1}
    assert got.missing == got.late == [] and it.of(Lost) == []
    assert any(isinstance(problem, RenewalFailed) for problem in it.problems)


@pytest.mark.parametrize("seed", range(3))
def test_a_channel_that_has_just_moved_and_is_dropped_leaves_its_old_place(
    clock: VirtualClock, company: MakeFleet, caplog: pytest.LogCaptureFixture, seed: int
) -> None:
    """The set changes with each message, also in the turn in which channels switch."""
    random = Random(seed)
    keys = names(12)
    it = company(limits=Limits(batch=50, channels=6), dedupe=sequence, sockets=3, latency=0.01)
    is_changing = True

    def change(_: Any) -> None:
        if is_changing and random.random() < 0.3:
            it.fleet.want(random.sample(keys, random.randrange(1, 12)))
            it.fleet.rebalance()

    it.fleet.messages.subscribe(change)
    it.venue.feed(rate=20.0, tick=0.01)
    it.fleet.want(keys)
    clock.advance(10.0)
    assert it.of(Moved)
    is_changing = False
    it.fleet.want(keys[:2])
    clock.advance(10.0)
    assert it.venue.has_exactly(keys[:2])
    assert [record for record in caplog.records if record.levelname == "ERROR"] == []
