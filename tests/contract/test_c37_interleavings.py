"""C22, C36, C37: keys that come and go, cuts, renewals and silence in random order."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable
from random import Random
from typing import Any

import pytest
from exchange import MANY, Exchange, key_of, subscribe, unsubscribe
from reactivex.abc import DisposableBase
from scene import Make

from rxsocket import ChannelFailed, ChannelStale, Limits, State, handover, reconnect
from rxsocket.testing import VirtualClock

KEYS = [f"K{number}" for number in range(12)]


class Observers:
    """Who observes which keys."""

    def __init__(self, channels: list[Any]) -> None:
        self._channels = channels
        self.known: list[tuple[DisposableBase, set[str], list[Any]]] = []

    def add(self, chance: Random) -> None:
        channels, ends = chance.choice(self._channels), list[Any]()
        observed = channels
        if chance.random() < 0.8:
            observed = channels[chance.choice(channels.keys)]
        keys = set(channels.keys if observed is channels else observed._hub.keys)
        self.known.append((observed.subscribe(None, ends.append), keys, ends))

    def remove(self, chance: Random) -> None:
        if self.known:
            one, _, _ = self.known.pop(chance.randrange(len(self.known)))
            one.dispose()

    @property
    def wanted(self) -> set[str]:
        return {key for _, keys, ends in self.known if not ends for key in keys}


@pytest.mark.parametrize(
    "seed", [*range(25), *(pytest.param(n, marks=pytest.mark.slow) for n in range(25, 400))]
)
def test_whatever_happens_what_is_wanted_is_live(
    clock: VirtualClock, scene: Make, caplog: pytest.LogCaptureFixture, seed: int
) -> None:
    """And nothing else; each key once, and never faster than was said."""
    chance = Random(seed)
    count, burst = chance.choice(((5, 1), (5, 5), (2, 1), (20, 3)))
    pace = chance.choice((None, f"{count}/s"))
    limits = Limits(pace, burst if pace else 1, chance.choice((1, 3, 200)))
    ready: Any = chance.choice(("open", "acknowledged", "message"))
    strategy: Any = chance.choice((reconnect(), handover(ready, timeout=20.0)))
    it = scene(
        auth="0",
        identity=lambda _: "me",
        on_auth_change=strategy,
        limits=limits,
        latency=chance.choice((0.0, 0.05)),
        ping_interval=None,
    )
    held = it.socket.connect()
    refused = set(chance.sample(KEYS, chance.choice((0, 2))))
    exchange = Exchange(it.peer, refused=refused)
    how: dict[str, Any] = dict(MANY)
    if chance.random() < 0.5:
        how["stale_after"] = chance.choice((3.0, 10.0))
    if chance.random() < 0.5:
        how["acknowledged_within"] = chance.choice((2.0, 5.0))
    others = {"subscribe": lambda keys: subscribe(keys), "unsubscribe": unsubscribe, "by": key_of}
    observers = Observers(
        [
            it.socket.channels(KEYS[:8], **how),
            it.socket.channels(KEYS[4:8], **how),  # of the same group
            it.socket.channels(KEYS[8:], **others),  # of another one, without answers
        ]
    )
    receipts: list[Any] = []

    def some(function: Callable[[Random], None]) -> None:
        for _ in range(chance.choice((1, 1, 2, 6))):
            function(chance)

    actions: list[Callable[[], object]] = [
        lambda: some(observers.add),
        lambda: some(observers.add),
        lambda: some(observers.remove),
        lambda: clock.advance(chance.uniform(0.0, 1.0)),
        lambda: clock.advance(chance.uniform(0.0, 15.0)),
        lambda: exchange.say(*chance.sample(KEYS, 3)),
        lambda: exchange.ignored.update(
            chance.sample(KEYS[:8], 2) if "acknowledged_within" in how else []
        ),
        it.peer.drop,
        lambda: it.peer.close(1012),
        lambda: it.socket.set_auth(str(chance.randrange(100))),
        lambda: receipts.append(it.socket.send("mine")),
        it.socket.reconnect,
        lambda: it.socket.renew(within=chance.choice((None, 0.5, 5.0))),
    ]
    for _ in range(80):
        chance.choice(actions)()
        assert exchange.most <= 1
    exchange.ignored.clear()
    clock.advance(300.0)
    for _ in range(40):  # one that is silent is ended before it is asked for again
        exchange.say(*KEYS)
        clock.advance(1.0)
    assert it.socket.state.value is State.OPEN
    assert len(exchange.live.keys() & {one.number for one in it.peer.visits}) <= 1
    number = max(one.number for one in it.peer.visits)
    assert exchange.live_on(number) == observers.wanted - refused
    assert exchange.most <= 1
    if pace is not None:
        assert exchange.most_within(1.0 - 1e-4) <= count
    assert all(receipt.done for receipt in receipts)
    kinds = Counter(type(event) for event in it.events)
    assert not kinds[ChannelFailed] or refused
    assert not kinds[ChannelStale] or how.keys() & {"stale_after", "acknowledged_within"}
    assert [record for record in caplog.records if record.levelno >= logging.ERROR] == []
    held.dispose()
    it.end()
    assert clock.pending == 0 and not clock.tasks
