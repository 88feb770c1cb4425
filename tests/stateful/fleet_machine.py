"""Random interleavings of everything that happens to a fleet and its venue, in virtual time."""

from __future__ import annotations

from random import Random
from typing import Any

from exchange import MANY
from fleet_watch import FleetWatch
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule
from venue import Caps, VenueFake, sequence

from rxsocket import Backoff, Limits
from rxsocket.fleet import ChannelSpec, Fleet
from rxsocket.testing import clock, hang, reject

__all__ = ["FleetMachine"]

KEYS = [f"K{number}" for number in range(24)]
SETS = st.sets(st.sampled_from(KEYS), max_size=len(KEYS))
PLACES = st.integers(min_value=0, max_value=9)
TIMES = st.sampled_from([0.0, 0.03, 0.2, 0.7, 1.9, 5.0, 17.0])
LATENCY = 0.02
FEED = 2.0, 0.1
"""Messages a second of each channel, and the tick of the venue."""
EACH = 6
"""Channels a connection may have."""
QUIET = 180.0
"""Virtual seconds after which everything has its place: backoffs, admission and patience."""


class FleetMachine(RuleBasedStateMachine):
    """A fleet of up to 24 channels, 6 a connection, over a venue that counts."""

    @initialize(
        acknowledges=st.booleans(),
        unsubscribes=st.sampled_from([True, True, False]),
        lag=st.sampled_from([0.0, 0.0, 0.4]),
        seed=st.integers(min_value=0, max_value=2**16),
    )
    def start(self, acknowledges: bool, unsubscribes: bool, lag: float, seed: int) -> None:
        self.time = clock()
        self.time.__enter__()
        random = Random(seed)
        caps = Caps(channels=EACH, connects="3/s", sends="4/s")
        self.venue = VenueFake(caps, latency=LATENCY)
        self.venue.lag = lambda number: random.choice([0.0, lag])
        self.venue.feed(*FEED)
        self.token = 0
        spec = dict(MANY)
        if not unsubscribes:
            del spec["unsubscribe"]
        if not acknowledges:
            del spec["acknowledged"]
        within = {"acknowledged_within": 3.0} if acknowledges else {}
        self.acknowledges, self.unsubscribes, self.lag = acknowledges, unsubscribes, lag
        self.fleet: Any = Fleet(
            self.venue.url,
            auth={"token": "0"},
            channel=ChannelSpec(**spec, **within),
            limits=Limits(channels=EACH, connects="3/s", pace="4/s", batch=4),
            dedupe=sequence,
            options={
                "transport": self.venue,
                "identity": lambda _: "me",
                "backoff": Backoff(random=Random(seed)),
            },
        )
        self.watch = FleetWatch(
            self.fleet, self.venue, flight=lag, unheard=0.0 if acknowledges else LATENCY
        )
        self.wanted: set[str] = set()
        self.observed: dict[str, Any] = {}
        self.heard: dict[str, list[str]] = {}

    # --- what is wanted

    @rule(keys=SETS)
    def want(self, keys: set[str]) -> None:
        self.wanted = keys
        self.fleet.want(sorted(keys))
        self._now_wanted()

    @rule(key=st.sampled_from(KEYS))
    def want_or_not(self, key: str) -> None:
        self.want(self.wanted ^ {key})

    @rule(key=st.sampled_from(KEYS))
    def observe_or_not(self, key: str) -> None:
        if key in self.observed:
            self.observed.pop(key).dispose()
        else:
            heard = self.heard.setdefault(key, [])
            self.observed[key] = self.fleet.channel(key).subscribe(heard.append)
        self._now_wanted()

    def _now_wanted(self) -> None:
        self.time.advance(0)  # what is wanted in one turn is one plan
        self.watch.want(self.wanted | self.observed.keys())

    @rule()
    def rebalance(self) -> None:
        self.fleet.rebalance()

    # --- what happens to connections

    @rule()
    def drop_all(self) -> None:
        self.venue.drop()
        self.time.advance(0)

    @rule(place=PLACES)
    def drop_one(self, place: int) -> None:
        numbers = sorted(self.venue.channels)
        if numbers:
            self.venue.drop_some(numbers[place % len(numbers)])

    @rule()
    def close_all(self) -> None:
        self.venue.close(1012, "restart")
        self.time.advance(0)

    @rule(
        script=st.sampled_from(
            [reject(503), reject(503), reject(429, {"Retry-After": "2"}), hang()]
        )
    )
    def refuse_the_next(self, script: Any) -> None:
        self.venue.script(script)

    @precondition(lambda self: self.acknowledges)
    @rule(share=st.sampled_from([0.0, 0.01, 0.3]))
    def fail_subscribes(self, share: float) -> None:
        """Not heard of; without an answer nobody would know."""
        self.venue.failing = share

    @precondition(lambda self: not self.lag)
    @rule()
    def rotate(self) -> None:
        """Not where one connection lags: of a channel that is new in the middle of a handover,
        the next connection may have the first message later than the old one (C13).
        """
        self.token += 1
        self.fleet.set_auth({"token": str(self.token)})

    # --- time

    @rule(seconds=TIMES)
    def advance(self, seconds: float) -> None:
        self.time.advance(seconds)

    @rule()
    def quiet(self) -> None:
        """Nothing happens for a while: then everything is in its place."""
        self.venue.failing = 0.0
        self.venue.feed(0.1, tick=2.0)
        self.time.advance(QUIET)
        self.venue.feed(*FEED)
        self.time.advance(3.0)
        wanted = self.wanted | self.observed.keys()
        placed = self.venue.placed
        if self.unsubscribes:
            wrong = {key: where for key, where in placed.items() if len(where) > 1}
            assert not wrong and placed.keys() == wanted, (wrong, placed.keys() ^ wanted)
        else:
            assert placed.keys() >= wanted
        assert self.watch.live == wanted
        self._check()

    def _check(self) -> None:
        over = self.venue.over()
        if not self.unsubscribes:  # the venue has what nobody can end, when it is wanted again
            over = [one for one in over if one.cap != "twice"]
        assert over == [], over[:5]
        self.watch.check()
        assert self.watch.wrong == [], self.watch.wrong[:5]

    def teardown(self) -> None:
        if not hasattr(self, "time"):
            return
        try:
            self.quiet()
            self.venue.quiet()
            self.fleet.close()
            self.time.advance(5.0)
            assert self.venue.live == 0
            assert not self.time.tasks
        finally:
            self.time.__exit__(None, None, None)
