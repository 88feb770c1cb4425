"""C41: whatever happens to a fleet, in whatever order, its channels are there in the end."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest
from fleet_scene import FleetScene, MakeFleet, names
from venue import Caps, Ledger, sequence

from rxsocket import Limits
from rxsocket.testing import VirtualClock

KEYS = names(24)


class Chance:
    """What users and servers do, one thing at a time."""

    def __init__(self, it: FleetScene, random: Random) -> None:
        self._it = it
        self._random = random
        self._set: set[str] = set()
        self._observed: dict[str, Any] = {}
        self.rotations = 0

    @property
    def wanted(self) -> set[str]:
        return self._set | set(self._observed)

    def act(self) -> None:
        """Do something, and let some time pass."""
        actions = (
            (self.want, 6),
            (self.observe, 3),
            (self.cut, 3),
            (self.rotate, 2),
            (self._it.fleet.rebalance, 3),
            (self.close_one, 1),
            (self.refuse, 1),
        )
        functions, weights = zip(*actions, strict=True)
        self._random.choices(functions, weights)[0]()

    def want(self) -> None:
        self._set = set(self._random.sample(KEYS, self._random.randrange(20)))
        self._it.fleet.want(sorted(self._set))

    def observe(self) -> None:
        key = self._random.choice(KEYS)
        if key in self._observed:
            self._observed.pop(key).dispose()
        else:
            self._observed[key] = self._it.fleet.channel(key).subscribe(
                on_error=lambda _: self._observed.pop(key, None)
            )

    def cut(self) -> None:
        live = [*self._it.venue.channels]
        if live:
            self._it.venue.drop_some(*self._random.sample(live, self._random.randint(1, len(live))))

    def rotate(self) -> None:
        self.rotations += 1
        self._it.fleet.set_auth({"token": str(self.rotations)})

    def close_one(self) -> None:
        live = [one for one in self._it.venue.visits if not one.closing]
        if live:
            self._random.choice(live).close(self._random.choice([1000, 1001, 1011, 4000]), "x")

    def refuse(self) -> None:
        self._it.venue.refused = set(self._random.sample(KEYS, 2))

    def relent(self) -> None:
        self._it.venue.refused = ()


@pytest.mark.parametrize(
    "seed",
    [*range(3), *(pytest.param(seed, marks=[pytest.mark.slow]) for seed in range(3, 60))],
)
def test_all_is_there_in_the_end(clock: VirtualClock, company: MakeFleet, seed: int) -> None:
    """No cap is exceeded meanwhile, no channel is asked for twice, and no message comes late."""
    random = Random(seed)
    cap = random.choice([3, 5, 8])
    batch = random.choice([1, 4, 100])
    it = company(
        caps=Caps(channels=cap, connects="5/s", sends="10/s"),
        latency=random.choice([0.0, 0.03]),
        limits=Limits("10/s", batch=batch, channels=cap, connects="5/s"),
        dedupe=sequence,
        auth={"token": "0"},
        options={"identity": lambda _: "me", "stable_after": 1.0},
        spec={"acknowledged_within": 3.0},
    )
    it.venue.feed(rate=random.choice([2.0, 5.0]))
    got, chance = Ledger(), Chance(it, random)
    it.fleet.messages.subscribe(got)
    for _ in range(25):
        chance.act()
        clock.advance(random.choice([0.0, 0.01, 0.2, 1.0, 3.0]))
    chance.relent()
    clock.advance(150.0)
    wanted, stats = chance.wanted, it.fleet.stats
    assert it.venue.has_exactly(wanted)
    assert (stats.live, stats.moving, stats.refused) == (len(wanted), 0, 0)
    assert it.venue.over() == []
    # A channel that begins beside a handover may begin with what the old connection had not.
    assert got.late == [] or chance.rotations
