"""The venue counts what it says it counts, in virtual time and on the wire."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import pytest
from exchange import MANY
from venue import Caps, Ledger, VenueFake, VenueServer, Violation, sequence

from rxsocket import (
    ChannelFailed,
    ConnectFailed,
    Limits,
    Rejected,
    Socket,
    SubscriptionRefused,
    handover,
)
from rxsocket.testing import VirtualClock


def names(count: int, first: int = 0) -> list[str]:
    return [f"K{number}" for number in range(first, first + count)]


def socket_of(venue: VenueFake, **options: Any) -> Socket[Any, Any]:
    return Socket(venue.url, transport=venue, **options)


def heard(venue: VenueFake, keys: list[str], **options: Any) -> tuple[Socket[Any, Any], Ledger]:
    """A socket that is subscribed to channels, and what it gets."""
    socket, ledger = socket_of(venue, **options), Ledger()
    socket.channels(keys, **MANY).subscribe(ledger)
    return socket, ledger


def end(clock: VirtualClock, venue: VenueFake, *sockets: Socket[Any, Any]) -> None:
    venue.quiet()
    for socket in sockets:
        socket.close()
    clock.advance(2.0)


# --- the feed


def test_each_channel_has_its_numbers(clock: VirtualClock) -> None:
    """1,000 channels, once a second each, whoever listens."""
    venue = VenueFake()
    venue.feed(1.0)
    socket, ledger = heard(venue, names(1000), limits=Limits(batch=100))
    clock.advance(10.05)
    assert ledger.count == pytest.approx(10_000, abs=101)
    assert ledger.missing == ledger.late == []
    assert Counter(ledger.newest.values()).keys() <= {9, 10, 11}
    venue.drop()
    clock.advance(10.0)
    assert ledger.missing and ledger.late == []
    end(clock, venue, socket)


def test_connections_have_the_same_messages(clock: VirtualClock) -> None:
    """One of them later, as long as it was told to, and in the same order."""
    venue = VenueFake()
    venue.feed(10.0)
    venue.lag = lambda number: 0.35 if number == 2 else 0.0
    one, first = heard(venue, names(3))
    two, second = heard(venue, names(3))
    clock.advance(5.03)
    assert first.newest["K1"] - second.newest["K1"] in (3, 4)
    assert first.late == second.late == first.missing == second.missing == []
    assert venue.most == Counter(dict.fromkeys(names(3), 2)) and not venue.has_exactly(names(3))
    two.close()
    clock.advance(1.0)
    assert venue.has_exactly(names(3)) and venue.placed["K1"] == [1]
    end(clock, venue, one)


def test_a_key_tells_the_same_message() -> None:
    assert sequence(json.dumps({"key": "a", "seq": 3})) == ("a", 3)
    assert sequence(json.dumps({"re": "sub", "ok": ["a"], "no": []})) is None


def test_a_ledger_finds_what_is_missing_double_and_out_of_order() -> None:
    ledger = Ledger()
    for key, number in [("a", 5), ("a", 6), ("b", 1), ("a", 9), ("a", 9), ("a", 7), ("b", 2)]:
        ledger(json.dumps({"key": key, "seq": number}))
    assert ledger.missing == [("a", 7, 8)]
    assert ledger.late == [("a", 9), ("a", 7)]
    ledger.forget("b")
    ledger(json.dumps({"key": "b", "seq": 9}))
    assert ledger.missing == [("a", 7, 8)] and ledger.count == 8


# --- caps


@pytest.mark.parametrize("over", ["dead", "ignored", "refused", 1008])
def test_channels_of_a_connection(clock: VirtualClock, over: Any) -> None:
    venue = VenueFake(Caps(channels=3, over_channels=over))
    venue.feed(1.0)
    socket, ledger = heard(venue, names(4), limits=Limits(batch=4))
    failed: list[Any] = []
    socket.errors.subscribe(failed.append)
    clock.advance(1.0)
    assert venue.over()[0] == Violation(pytest.approx(0.0, abs=0.1), "channels", 1, 4)
    if over == 1008:
        assert failed[0].code == 1008
    else:
        clock.advance(5.0)
        assert venue.channels == {1: set(names(3))} and ledger.newest.keys() == set(names(3))
        refusals = [one.error for one in failed if isinstance(one, ChannelFailed)]
        assert [type(one) for one in refusals] == [SubscriptionRefused] * (over == "refused")
        assert len(venue.over()) == 1
    end(clock, venue, socket)


def test_a_channel_that_went_away_makes_room(clock: VirtualClock) -> None:
    venue = VenueFake(Caps(channels=2))
    socket = socket_of(venue)
    socket.connect()
    first = socket.channels(names(2), **MANY).subscribe()
    clock.advance(1.0)
    first.dispose()
    socket.channels(names(2, first=2), **MANY).subscribe()
    clock.advance(1.0)
    assert venue.channels == {1: {"K2", "K3"}} and venue.over() == []
    end(clock, venue, socket)


def test_connects_of_an_address(clock: VirtualClock) -> None:
    """Each counts in any window, refused ones, too; another address has its own."""
    venue = VenueFake(Caps(connects="3/s", retry_after=7))
    sockets = [socket_of(venue) for _ in range(4)]
    other = socket_of(venue, additional_headers={"X-Forwarded-For": "10.0.0.2"})
    failed: list[Any] = []
    for socket in (*sockets, other):
        socket.errors.subscribe(failed.append)
        socket.connect()
    clock.advance(0.5)
    assert [(one.cap, one.where, one.count) for one in venue.over()] == [("connects", "here", 4)]
    assert [(type(one), one.status) for one in failed] == [(ConnectFailed, 429)]
    assert failed[0].error.retry_after == "7" and venue.live == 4
    clock.advance(10.0)
    assert venue.live == 5 and len(venue.over()) == 1 and venue.most_connects == 4
    end(clock, venue, *sockets, other)


@pytest.mark.parametrize(
    ("cap", "answer", "kind"),
    [
        ("connections", 429, ConnectFailed),
        ("connections", 403, Rejected),
        ("credential", 403, Rejected),
    ],
)
def test_connections(clock: VirtualClock, cap: str, answer: Any, kind: type[Any]) -> None:
    venue = VenueFake(Caps(over_connections=answer, **{cap: 2}))
    sockets = [socket_of(venue, auth={"token": "a"}) for _ in range(3)]
    failed: list[Any] = []
    for socket in sockets:
        socket.errors.subscribe(failed.append)
        socket.connect()
    clock.advance(0.5)
    [violation] = venue.over(cap)
    assert violation.count == 3 and violation.where == ("a" if cap == "credential" else "here")
    assert [(type(one), one.status) for one in failed] == [(kind, answer)]
    assert venue.live == 2
    sockets[0].close()
    sockets[2].reconnect()
    clock.advance(5.0)
    assert venue.live == 2 and len(venue.over()) == 1
    end(clock, venue, *sockets)


def test_a_connection_too_many_is_closed(clock: VirtualClock) -> None:
    venue = VenueFake(Caps(connections=1, over_connections=1008))
    sockets = [socket_of(venue) for _ in range(2)]
    closed: list[Any] = []
    for socket in sockets:
        socket.closes.subscribe(closed.append)
    clock.advance(0.5)
    assert [one.code for one in closed] == [1008] and venue.live == 1
    end(clock, venue, *sockets)


def test_sends_over_a_connection(clock: VirtualClock) -> None:
    venue = VenueFake(Caps(sends="2/s"))
    good = socket_of(venue, limits=Limits(pace="2/s"))
    bad = socket_of(venue)
    closed: list[Any] = []
    for socket in (good, bad):
        socket.closes.subscribe(closed.append)
        for number in range(4):
            socket.send(str(number))
    clock.advance(3.0)
    assert [one.code for one in closed] == [1008]
    assert [(one.cap, one.count) for one in venue.over()] == [("sends", 3)]
    end(clock, venue, good, bad)


# --- what fails


def test_one_subscribe_in_a_hundred_is_not_heard(clock: VirtualClock) -> None:
    """Asked again, it is; or refused, if so told."""
    venue = VenueFake()
    venue.failing = 0.01
    socket = socket_of(venue, limits=Limits(batch=100))
    socket.channels(names(2000), **MANY, acknowledged_within=1.0).subscribe()
    clock.advance(0.5)
    assert 1950 < len(venue.placed) < 2000
    clock.advance(60.0)
    assert venue.has_exactly(names(2000)) and venue.over() == []
    venue.fails_by, venue.failing = "refusal", 1.0
    failed: list[Any] = []
    socket.channel(
        key="X",
        subscribe={"op": "sub", "args": ["X"]},
        by=MANY["by"],
        acknowledged=MANY["acknowledged"],
    ).subscribe(on_error=failed.append)
    clock.advance(0.5)
    assert [type(error) for error in failed] == [SubscriptionRefused]
    end(clock, venue, socket)


def test_a_second_subscription_of_a_connection(clock: VirtualClock) -> None:
    venue = VenueFake()
    socket = socket_of(venue)
    socket.send(json.dumps({"op": "sub", "args": ["A", "A"]}))
    socket.connect()
    clock.advance(0.5)
    assert [(one.cap, one.where) for one in venue.over()] == [("twice", 1)]
    end(clock, venue, socket)


# --- sockets by hand, on the wire


@pytest.mark.parametrize("count", [2, pytest.param(6, marks=pytest.mark.slow)])
def test_the_same_on_the_wire(count: int) -> None:
    """100 channels on each of some sockets, and a handover of one of them."""
    many = 100 * count
    with VenueServer(Caps(channels=100, connects="20/s", sends="50/s", slack=0.5)) as venue:
        venue.feed(10.0)
        ledger = Ledger()
        sockets: list[Socket[Any, Any]] = []
        for first in range(0, many, 100):
            socket: Socket[Any, Any] = Socket(
                venue.url,
                limits=Limits(pace="20/s", batch=50),
                identity=lambda _: "me",
                on_auth_change=handover(dedupe=sequence),
                auth={"token": "a"},
            )
            socket.channels(names(100, first), **MANY).subscribe(ledger)
            sockets.append(socket)
        venue.wait_for(lambda venue: venue.has_exactly(names(many)), 20)
        sockets[0].set_auth({"token": "b"}).result(20)
        venue.wait_for(lambda venue: len(venue.handshakes) == count + 1 and venue.live == count, 20)
        assert venue.has_exactly(names(many)) and venue.over() == []
        assert ledger.missing == ledger.late == [] and ledger.newest.keys() <= set(names(many))
        for socket in sockets:
            socket.close().result(5)
