"""C42: sockets of one address dial as a server allows, and what it answers is learnt from."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pytest
from fleet_scene import MakeFleet, names
from internals import Admission, admitted_by
from scene import known
from venue import Caps, Ledger, VenueFake, sequence

from rxsocket import Event, Limits, Opened, Socket, State, handover, reconnect
from rxsocket.fleet import Capped, ImpossiblePlan, Throttled
from rxsocket.testing import VirtualClock


class Many:
    """Sockets of one address, and the venue that they connect to.

    Attributes:
        events: What happened to them, with the number of the socket.
        learnt: What is said to have been learnt.
    """

    def __init__(
        self, clock: VirtualClock, count: int, caps: Caps, limits: Limits, **options: Any
    ) -> None:
        self.clock = clock
        self.venue = VenueFake(caps, latency=0.2)
        self.learnt: list[Throttled | Capped] = []
        self.events: list[tuple[int, Event]] = []
        self.admission = Admission(limits, clock, shard="here", on_learnt=self.learnt.append)
        self.sockets: list[Socket[Any, Any]] = []
        for number in range(count):
            url = admitted_by(self.admission.of(number), self.venue.url)
            options = {"backoff": known(), "auth": {"token": "a"}, **options}
            self.sockets.append(Socket(url, transport=self.venue, **options))
            self.sockets[-1].events.subscribe(partial(self._on_event, number))

    def _on_event(self, number: int, event: Event) -> None:
        self.events.append((number, event))
        self.admission.on_event(number, event)

    @property
    def open(self) -> int:
        return sum(socket.state.value is State.OPEN for socket in self.sockets)

    def drop(self) -> None:
        """All connections at once."""
        self.venue.drop_some(*self.venue.channels)


MakeMany = Callable[..., Many]


@pytest.fixture
def many(clock: VirtualClock) -> Iterator[MakeMany]:
    made: list[Many] = []

    def make(*arguments: Any, **options: Any) -> Many:
        made.append(Many(clock, *arguments, **options))
        return made[-1]

    yield make
    for one in made:
        for socket in one.sockets:
            socket.close()
        clock.advance(5.0)
        assert one.admission.open == one.admission.waiting == 0


def test_no_window_has_more_dials_also_when_all_are_lost(
    clock: VirtualClock, many: MakeMany
) -> None:
    """And the pace is used: 50 sockets at 10 a second take 5 s and little more."""
    it = many(50, Caps(connects="10/s"), Limits(connects="10/s"))
    clock.advance(6.5)
    assert it.open == 50
    for _ in range(3):
        it.drop()
        clock.advance(0.1)
        assert it.open == 0
        clock.advance(10.5)
        assert it.open == 50
    assert it.venue.over() == [] and it.venue.most_connects == 10
    assert it.learnt == []


def test_a_rotation_goes_on_at_the_pace_and_within_the_connections(
    clock: VirtualClock, many: MakeMany
) -> None:
    """One connection is left for it, so the sockets hand over one after the other."""
    caps = Caps(connects="2/s", connections=5)
    it = many(
        4,
        caps,
        Limits(connects="2/s", connections=5),
        on_auth_change=handover(timeout=2.0),
        identity=lambda _: 0,
    )
    clock.advance(5.0)
    for number in range(5):
        for socket in it.sockets:
            socket.set_auth({"token": f"rotated {number}"})
        clock.advance(1.0)
        assert it.open == 4
        clock.advance(19.0)
        tokens = [handshake.credential for handshake in it.venue.handshakes[-4:]]
        assert tokens == [f"rotated {number}"] * 4
    assert it.venue.over() == []
    kinds = {type(event).__name__ for _, event in it.events}
    assert kinds == {"Connecting", "Opened", "Closed"}, "nothing failed, or was given up"


def test_credentials_that_follow_quickly_keep_nobody_waiting_for_ever(
    clock: VirtualClock, many: MakeMany
) -> None:
    """A socket keeps its place while its credential changes again and again."""
    it = many(
        10,
        Caps(connects="1/s"),
        Limits(connects="1/s"),
        on_auth_change=handover(),
        identity=lambda _: 0,
    )
    clock.advance(15.0)
    it.events.clear()
    for number in range(20):
        for socket in it.sockets:
            socket.set_auth({"token": f"{number}"})
        clock.advance(3.0)  # in which three of the ten have their turn
    opened = Counter(number for number, event in it.events if isinstance(event, Opened))
    assert len(opened) == 10 and min(opened.values()) >= 3, opened
    assert it.venue.over() == []


def test_a_single_use_token_is_minted_when_it_may_be_used(
    clock: VirtualClock, many: MakeMany
) -> None:
    """One for each dial that is made, however long the sockets wait, and anew after a refusal."""
    minted: list[float] = []

    def mint() -> dict[str, str]:
        minted.append(clock.time())
        return {"token": f"single use {len(minted)}"}

    it = many(20, Caps(connects="5/10s"), Limits(connects="5/10s"), auth=mint)
    clock.advance(5.0)
    assert len(minted) == 5
    clock.advance(60.0)
    tokens = [handshake.credential for handshake in it.venue.handshakes]
    assert tokens == [f"single use {number}" for number in range(1, 21)]
    assert it.open == len(minted) == 20 and it.venue.over() == []


def test_a_server_that_takes_less_is_learnt_from(clock: VirtualClock, many: MakeMany) -> None:
    """Its 429 halves the pace; all are open in the end, and then nothing is refused any more."""
    it = many(30, Caps(connects="2/s"), Limits(connects="20/s"))
    clock.advance(300.0)
    assert it.open == 30
    throttled = [event for event in it.learnt if isinstance(event, Throttled)]
    assert throttled and throttled[0].rate is not None and throttled[0].why == "HTTP 429"
    assert len(throttled) < 10
    refused = [one for one in it.venue.over("connects") if one.at > clock.time() - 200.0]
    assert refused == []


def test_a_server_that_says_how_long_is_left_alone(clock: VirtualClock, many: MakeMany) -> None:
    """By all sockets of the address, not by the one alone that it said so to."""
    caps = Caps(connects="2/10s", retry_after=20)
    it = many(4, caps, Limits(), stable_after=1.0)
    clock.advance(1.0)
    refused_at = it.venue.over()[-1].at
    clock.advance(200.0)
    assert it.open == 4
    after = [one.at for one in it.venue.handshakes if one.at > refused_at + 1.0]
    assert min(after) >= refused_at + 20.0


def test_connections_that_are_refused_while_others_are_open_are_a_cap(
    clock: VirtualClock, many: MakeMany
) -> None:
    it = many(10, Caps(connections=7), Limits())
    clock.advance(600.0)
    assert it.open == 7
    (capped,) = [event for event in it.learnt if isinstance(event, Capped)]
    assert (capped.what, capped.cap) == ("connections", 7)
    assert capped.why == "HTTP 429 3 times in a row, while 7 connections were open"
    dials = len(it.venue.handshakes)
    clock.advance(1200.0)
    assert len(it.venue.handshakes) == dials, "those without one wait"
    assert "there are 7 connections, and there may be 7" in it.admission.explain()


def test_what_is_closed_while_it_waits_is_no_dial(clock: VirtualClock, many: MakeMany) -> None:
    it = many(20, Caps(connects="2/10s"), Limits(connects="2/10s"))
    clock.advance(1.0)
    for socket in it.sockets[2:19]:
        socket.close()
    clock.advance(1.0)
    assert it.admission.waiting == 1
    clock.advance(15.0)
    assert it.open == 3 and len(it.venue.handshakes) == 3


def test_a_fleet_leaves_room_for_a_handover(clock: VirtualClock, company: MakeFleet) -> None:
    """So a rotation goes socket after socket, and no channel misses anything."""
    it = company(
        caps=Caps(channels=10, connections=5, connects="5/s"),
        limits=Limits(batch=10, channels=10, connections=5, connects="5/s"),
        latency=0.05,
        auth={"token": "0"},
        dedupe=sequence,
        options={"identity": lambda _: 0},
    )
    with pytest.raises(ImpossiblePlan, match=r"connections=5 .* of which 1 each is left for hand"):
        it.fleet.want(names(41))
    got = Ledger()
    it.fleet.messages.subscribe(got)
    it.venue.feed(4.0)
    it.fleet.want(names(40))
    clock.advance(5.0)
    assert it.fleet.stats.live == 40
    for number in range(1, 4):
        it.fleet.set_auth({"token": str(number)})
        clock.advance(10.0)
        tokens = [handshake.credential for handshake in it.venue.handshakes[-4:]]
        assert tokens == [str(number)] * 4
    assert got.missing == got.late == [] and it.venue.over() == []
    assert min(got.newest.values()) > 120


def test_a_fleet_that_reconnects_needs_no_room(clock: VirtualClock, company: MakeFleet) -> None:
    it = company(
        caps=Caps(channels=10, connections=5),
        limits=Limits(batch=10, channels=10, connections=5),
        latency=0.05,
        options={"on_auth_change": reconnect(), "identity": lambda _: 0},
        auth={"token": "0"},
    )
    it.fleet.want(names(50))
    clock.advance(5.0)
    it.fleet.set_auth({"token": "1"})
    clock.advance(10.0)
    assert it.venue.has_exactly(names(50)) and it.venue.over() == []


@pytest.mark.parametrize("over", ["dead", "ignored", 1008])
def test_what_a_connection_takes_is_learnt(
    clock: VirtualClock, company: MakeFleet, over: Any
) -> None:
    """By silence, with and without an answer, and by what it is closed with; once for each."""
    it = company(
        caps=Caps(channels=15, over_channels=over),
        limits=Limits(batch=5, channels=20),
        latency=0.05,
        spec={"acknowledged_within": 2.0, "stale_after": 10.0},
    )
    it.venue.feed(0.5, tick=1.0)
    it.fleet.want(names(60))
    clock.advance(100.0)
    assert it.venue.has_exactly(names(60))
    capped = it.of(Capped)
    assert {(event.what, event.cap) for event in capped} == {("channels", 15)}
    assert len(capped) == len({event.socket for event in capped}) <= 4
    place = f"loop/{capped[0].socket}"
    said = f"learnt: {place}: {capped[0].why}: that connection takes 15 channels"
    assert said in str(it.fleet.explain())
    before = len(it.venue.over())
    clock.advance(60.0)
    assert len(it.venue.over()) == before and it.venue.has_exactly(names(60))


def test_a_fleet_that_starts_afresh_counts_on(clock: VirtualClock, company: MakeFleet) -> None:
    """A server does not know that it is another start."""
    it = company(
        caps=Caps(connects="2/10s", channels=10),
        limits=Limits(batch=10, channels=10, connects="2/10s"),
        latency=0.05,
        watch=False,
    )
    it.fleet.want(names(20))
    for _ in range(3):
        leaving = it.fleet.messages.subscribe()
        clock.advance(1.0)
        leaving.dispose()
        clock.advance(1.0)
    assert len(it.venue.handshakes) == 2 and it.venue.over() == []
    it.fleet.messages.subscribe()
    clock.advance(15.0)
    assert it.fleet.stats.live == 20 and it.venue.over() == []


def test_what_answers_teach_is_said(clock: VirtualClock, company: MakeFleet) -> None:
    """By ``explain()``, with what follows."""
    it = company(
        caps=Caps(connections=3, retry_after=5),
        limits=Limits(batch=10, channels=10, connects="10/s"),
        latency=0.05,
    )
    it.fleet.want(names(40))
    clock.advance(300.0)
    said = str(it.fleet.explain())
    wait = "learnt: loop: HTTP 429, which asks to wait for 5 s"
    assert f"{wait}: nobody dials for 5 s" in said
    assert (
        f"{wait}, 2 times in a row: nobody dials for 5 s, then dials at 1.25/s for a while" in said
    )
    row = "HTTP 429 3 times in a row, while 3 connections were open"
    assert f"learnt: loop: {row}: the address may have 3 connections" in said
