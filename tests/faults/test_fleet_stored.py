"""C40, C43: a shard is killed while a broker stores what it brings."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from brokers import Nats, needs_brokers, running
from deadlines import stretched
from exchange import key_of
from fleet_places import KEYS, FleetWatch, fleet_of, processes_of
from reactivex import operators as ops
from stored import stored_in
from venue import Caps, VenueServer

from rxsocket.fleet import Lost, Processes, Restored
from rxsocket.sinks import Stored, into, jetstream

pytestmark = [
    needs_brokers,
    pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX"),
    pytest.mark.timeout(300),  # each process imports everything
]
FLIGHT = 0.5
"""Seconds between a server's sending and the fleet's hearing of it, on a quiet machine."""


def id_of(message: str) -> str:
    said = json.loads(message)
    return f"{said['key']}:{said['seq']}"


def is_numbered(message: Any) -> bool:
    return '"seq"' in message


@pytest.mark.slow
def test_a_sink_behind_a_killed_shard_has_all_but_the_told_gap_and_nothing_twice(
    tmp_path: Path,
) -> None:
    """C40, C43: what is not stored was sent between ``Lost`` and ``Restored`` of its key."""
    receipts: list[Any] = []

    async def main(broker: Nats) -> None:
        loop, done = asyncio.get_running_loop(), asyncio.Event()
        with VenueServer(Caps(channels=5)) as venue:
            venue.keeps_times = True
            venue.feed(50, 0.02)
            fleet = fleet_of(venue.url, on=Processes(2))
            watch = FleetWatch(fleet)
            sink = jetstream(broker.url, "feed", create=True)
            fleet.messages.pipe(
                ops.filter(is_numbered), into(sink, key=key_of, id=id_of, batch=50)
            ).subscribe(receipts.append, on_completed=lambda: loop.call_soon_threadsafe(done.set))
            await watch.until_live()
            await watch.until(lambda: len(watch.got.newest) == len(KEYS))
            os.kill(processes_of(os.getpid())[0], signal.SIGKILL)
            await watch.until(lambda: bool(watch.of(Restored)))
            await watch.until_live()
            newest = dict(venue.numbers)
            await watch.until(lambda: all(watch.got.newest[key] > newest[key] for key in KEYS))
            await fleet.close()
            async with asyncio.timeout(stretched(30.0)):
                await done.wait()
            times, began = venue.times, time.time() - time.monotonic()
        entries = await stored_in(broker, "feed")
        check(entries, times, began, watch.of(Lost), watch.of(Restored))

    def check(
        entries: list[Any], times: dict[str, list[float]], began: float, lost: Any, restored: Any
    ) -> None:
        ids = [id for id, _, _ in entries]
        assert [id for id, count in Counter(ids).items() if count > 1] == []
        assert all(isinstance(receipt, Stored) for receipt in receipts)  # nothing came twice
        assert sorted(receipt.id for receipt in receipts) == sorted(ids)
        early, late = stretched(FLIGHT), stretched(FLIGHT)
        told = {
            key: (one.since - early, back.at + late)
            for one in lost
            for back in restored
            for key in set(one.keys) & set(back.keys)
        }
        missing: Counter[str] = Counter()
        for key in KEYS:
            numbers = [int(id.rpartition(":")[2]) for id, of, _ in entries if of == key]
            assert numbers == sorted(numbers)
            for number in set(range(numbers[0], numbers[-1])) - set(numbers):
                since, until = told[key]
                assert since <= times[key][number - 1] + began <= until
                missing[key] += 1
        assert missing.keys() == told.keys()  # the process was away for longer than a message
        assert len(told) == 5

    with running(Nats(tmp_path)) as broker:
        asyncio.run(main(broker))
