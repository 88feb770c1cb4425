"""C41 on real connections: many channels over many sockets, as one stream."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
from deadlines import stretched
from exchange import MANY
from venue import Caps, Ledger, VenueServer, sequence

from rxsocket import Limits
from rxsocket.fleet import ChannelSpec, Fleet, Lost, Moved, Restored
from rxsocket.testing import server

from .secret_surfaces import Canary, Surfaces


def names(count: int) -> list[str]:
    return [f"K{number}" for number in range(count)]


def fleet_on(venue: Any, **arguments: Any) -> Fleet:
    given = {"limits": Limits(batch=100, channels=20), **arguments}
    return Fleet(venue.url, channel=ChannelSpec(**MANY), **given)


def wait_until(venue: VenueServer, keys: list[str]) -> None:
    venue.wait_for(lambda _: venue.has_exactly(keys), timeout=stretched(10))


def until(fleet: Fleet, predicate: Callable[[], object]) -> None:
    """Wait until something is so; it is looked at with each event of the fleet."""
    is_so = threading.Event()

    def look(_: object = None) -> None:
        if predicate():
            is_so.set()

    with fleet.events.subscribe(look), fleet.errors.subscribe(look):
        look()
        assert is_so.wait(stretched(10)), str(fleet.explain())


def test_a_plain_script() -> None:
    """Lost links, another set, a rebalance: everything is back, and nothing is left at the end."""
    with VenueServer(Caps(channels=20, connects="20/s", slack=0.1)) as venue:
        venue.feed(rate=20.0)
        limits = Limits(batch=100, channels=20, connects="20/s")
        fleet = fleet_on(venue, limits=limits, dedupe=sequence, sockets=3, name="quotes")
        got, events = Ledger(), list[Any]()
        fleet.events.subscribe(events.append)
        fleet.messages.subscribe(got)
        fleet.want(names(60))
        wait_until(venue, names(60))
        assert fleet.stats.sockets == 3 and got.missing == got.late == []
        kept = sorted(min(venue.channels.items())[1])  # those of one socket
        fleet.want(kept)
        wait_until(venue, kept)
        fleet.rebalance()
        until(fleet, lambda: any(isinstance(event, Moved) for event in events))
        wait_until(venue, kept)
        venue.drop()
        until(fleet, lambda: any(isinstance(event, Lost) for event in events))
        until(fleet, lambda: fleet.stats.live == len(kept))
        restored = {key for one in events if isinstance(one, Restored) for key in one.keys}
        lost = {key for one in events if isinstance(one, Lost) for key in one.keys}
        assert lost == restored == set(kept)
        assert venue.over("channels", "connects", "twice") == []
        assert "<Fleet quotes ws://127.0.0.1" in repr(fleet)
        fleet.close().result(stretched(5))
        assert fleet.wait(stretched(5)) and fleet.stats.sockets == 0


def test_a_rotation_loses_nothing() -> None:
    """Each socket hands over, at the pace of the limits; the messages are one stream."""
    with VenueServer(Caps(connects="10/s", slack=0.2)) as venue:
        venue.feed(rate=50.0)
        fleet = fleet_on(
            venue,
            limits=Limits(batch=100, channels=5, connects="10/s"),
            dedupe=sequence,
            auth={"token": "first"},
            options={"identity": lambda _: "me"},
        )
        got = Ledger()
        fleet.messages.subscribe(got)
        fleet.want(names(20))
        wait_until(venue, names(20))
        fleet.set_auth({"token": "second"}).result(stretched(20))
        used = [handshake.credential for handshake in venue.handshakes]
        assert used == ["first"] * 4 + ["second"] * 4
        assert got.missing == got.late == [] and set(got.newest) == set(names(20))
        fleet.close().result(stretched(5))
        assert venue.over("connects") == []


def test_any_thread(each_loop: str) -> None:
    """C24, C25: what other threads ask for happens on the loop of the fleet."""

    async def main(venue: VenueServer) -> None:
        loop, threads_seen = asyncio.get_running_loop(), set[int]()
        async with fleet_on(venue, loop=loop) as fleet:
            fleet.messages.subscribe(lambda _: threads_seen.add(threading.get_ident()))

            def work(number: int) -> None:
                fleet.channel(f"T{number}").subscribe(lambda _: None)
                fleet.want(names(30))
                assert fleet.stats.wanted >= 0 and str(fleet.explain())

            await asyncio.gather(*(asyncio.to_thread(work, number) for number in range(5)))
            keys = [*names(30), *(f"T{number}" for number in range(5))]
            await asyncio.to_thread(wait_until, venue, keys)
            async for message in fleet.channel("T1"):
                assert message
                break
        await fleet.wait_closed()
        assert threads_seen <= {threading.get_ident()}

    with VenueServer() as venue:
        venue.feed(rate=10.0)
        asyncio.run(main(venue))


def test_the_loop_ends_with_a_fleet_on_it() -> None:
    """C26: as after ``asyncio.run``; its streams complete, and nothing is left."""
    ends: list[str] = []

    async def main(venue: VenueServer) -> None:
        fleet = fleet_on(venue)
        fleet.messages.subscribe(on_completed=lambda: ends.append("messages"))
        fleet.want(names(30))
        await asyncio.to_thread(wait_until, venue, names(30))

    with VenueServer() as venue:
        asyncio.run(main(venue))
        venue.wait_for(lambda _: venue.connections == 0, timeout=stretched(5))
    assert ends == ["messages"]


def test_nothing_shows_a_secret(canary: Canary, surfaces: Surfaces) -> None:
    """C28: also where a channel is called as the credential is, and the server repeats it."""
    with server(tokens={canary.text}) as peer:
        fleet = Fleet(
            peer.url,
            channel=ChannelSpec(**{**MANY, "by": lambda message: canary.text}),
            auth={"token": canary.text},
            name="quiet",
        )
        seen: list[Any] = []
        fleet.events.subscribe(seen.append)
        fleet.errors.subscribe(seen.append)
        channel = fleet.channel(canary.text)

        def bad(message: Any) -> None:
            raise ValueError("mine")

        channel.subscribe(bad)
        fleet.want([canary.text, "b"])
        # In one message or in two: as the fleet's loop comes to it.
        peer.wait_for(
            lambda peer: (
                {key for _, text in peer.received for key in json.loads(text)["args"]}
                == {canary.text, "b"}
            ),
            timeout=stretched(5),
        )
        peer.push(json.dumps({"re": "sub", "ok": ["b"], "no": [canary.text]}))
        until(fleet, lambda: fleet.stats.refused == 1)
        peer.push("{}")
        for thing in (fleet, channel, fleet.messages, fleet.explain(), fleet.stats):
            surfaces.show("fleet", thing)
        peer.close(4000, canary.text)
        until(fleet, lambda: any(isinstance(event, Lost) for event in seen))
        fleet.set_auth({"token": "x" + canary.text}).result(stretched(5))
        for event in seen:
            surfaces.everything("event", event)
        for thing in (fleet, fleet.explain()):
            surfaces.show("fleet", thing)
        fleet.close().result(stretched(5))


def test_an_interrupt_does_not_wait_for_a_server_that_is_silent() -> None:
    """C26: a Ctrl-C ends it within a second, whatever the closing handshakes may take."""
    with VenueServer() as venue:
        fleet = fleet_on(venue)
        fleet.want(names(30))

        def main() -> None:
            with fleet:
                wait_until(venue, names(30))
                venue.freeze()
                raise KeyboardInterrupt

        began = time.monotonic()
        with pytest.raises(KeyboardInterrupt):
            main()
        assert time.monotonic() - began < stretched(1.5)
        assert fleet.stats.sockets == 0


@pytest.mark.slow
def test_many_channels_on_the_wire() -> None:
    with VenueServer(Caps(channels=100)) as venue:
        fleet = fleet_on(venue, limits=Limits(batch=100, channels=100))
        fleet.messages.subscribe(lambda _: None)
        fleet.want(names(2000))
        wait_until(venue, names(2000))
        venue.drop()
        wait_until(venue, names(2000))
        fleet.close().result(stretched(5))
        assert venue.over() == []
