"""What it costs to store messages with into(), beside the broker's client alone; and an outage.

    python tests/benchmarks/sinks.py [--messages N] [--rounds N] [--seconds S] [--rate N]

The first table has the processor time of this process for a message of 100 bytes: each row is the
median of its rounds, which are taken in turn. The brokers are processes of their own, on loopback.
``client`` is what the documentation of the client does: ``publish_async`` with 500 answers
outstanding and an id in the header; a pipeline of 100 ``XADD``, which removes no duplicates.

In the second one messages come at a rate, and the broker stands still for a while in between. What
is stored is read back and counted.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import statistics
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import reactivex
from reactivex import operators as ops
from reactivex.subject import Subject

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from brokers import Broker, Nats, Valkey, running
from stored import stored_in

from rxsocket.sinks import Duplicate, Sink, Stored, into, jetstream, redis_streams

DATA = b"x" * 100
TICK = 0.01


def sink_of(broker: Broker, stream: str) -> Sink:
    if isinstance(broker, Nats):
        return jetstream(broker.url, stream, create=True)
    return redis_streams(broker.url, stream)


async def publish_async(broker: Broker, stream: str, count: int) -> float:
    import nats

    client = await nats.connect(broker.url)
    await client.jetstream().add_stream(name=stream, subjects=[f"{stream}.>"])
    context = client.jetstream(publish_async_max_pending=500)
    start = time.process_time()
    answers = []
    for number in range(count):
        headers = {"Nats-Msg-Id": str(number)}
        answers.append(await context.publish_async(f"{stream}.key", DATA, headers=headers))
    await asyncio.gather(*answers)
    spent = time.process_time() - start
    await client.close()
    return spent


async def pipeline(broker: Broker, stream: str, count: int) -> float:
    from redis.asyncio import Redis

    async with Redis.from_url(broker.url) as client:
        await client.ping()
        start = time.process_time()
        for first in range(0, count, 100):
            pipe = client.pipeline(transaction=False)
            for number in range(first, min(first + 100, count)):
                pipe.xadd(stream, {"id": str(number), "key": "key", "data": DATA})
            await pipe.execute()
        return time.process_time() - start


async def ours(broker: Broker, stream: str, count: int) -> float:
    """All of them wait from the start on, so that the sink is what is slow."""
    ids = iter(range(count))
    storing = into(
        sink_of(broker, stream),
        key=lambda message: "key",
        id=lambda message: next(ids),
        high_water=count,
    )
    start = time.process_time()
    messages = reactivex.from_iterable([DATA] * count)
    stored = await messages.pipe(
        storing, ops.filter(lambda one: isinstance(one, Stored)), ops.count()
    )
    assert stored == count, stored
    return time.process_time() - start


Way = Callable[[Broker, str, int], Awaitable[float]]
WAYS: tuple[tuple[str, type[Broker], Way], ...] = (
    ("jetstream  client", Nats, publish_async),
    ("jetstream  into()", Nats, ours),
    ("redis      client", Valkey, pipeline),
    ("redis      into()", Valkey, ours),
)


def costs(brokers: dict[type[Broker], Broker], count: int, rounds: int) -> dict[str, float]:
    """Seconds of processor time for a message; the first round warms up."""
    spent: dict[str, list[float]] = {name: [] for name, _, _ in WAYS}
    for number in range(rounds + 1):
        for name, kind, way in WAYS:
            stream = f"{name.replace(' ', '_').replace('()', '')}_{number}"
            seconds = asyncio.run(way(brokers[kind], stream, count))  # type: ignore[arg-type]
            if number:
                spent[name].append(seconds / count)
    return {name: statistics.median(times) for name, times in spent.items()}


async def outage(broker: Broker, rate: int, seconds: float) -> dict[str, Any]:
    """Messages at a rate for three times so long; in the second third the broker stands still."""
    loop = asyncio.get_running_loop()
    source: Subject[bytes] = Subject()
    receipts: list[Any] = []
    done = asyncio.Event()
    ids = itertools.count()
    storing = into(
        sink_of(broker, "outage"),
        key=lambda message: "key",
        id=lambda message: next(ids),
        high_water=4 * round(rate * seconds),
    )
    source.pipe(storing).subscribe(receipts.append, print, done.set)
    began, cpu = loop.time(), time.process_time()
    frozen = thawed = False
    came = 0
    while (now := loop.time() - began) < 3 * seconds:
        if now >= seconds and not frozen:
            broker.freeze()
            frozen = True
        if now >= 2 * seconds and not thawed:
            broker.thaw()
            thawed = True
        due = round(now * rate)
        for _ in range(due - came):
            source.on_next(DATA)
        came = due
        await asyncio.sleep(TICK)
    behind = came - len(receipts)
    source.on_completed()
    await done.wait()
    total = loop.time() - began
    spent = time.process_time() - cpu
    entries = [id for id, _, _ in await stored_in(broker, "outage")]
    kinds = [type(one) for one in receipts]
    return {
        "came": len(kinds),
        "stored": kinds.count(Stored),
        "duplicates": kinds.count(Duplicate),
        "other": len(kinds) - kinds.count(Stored) - kinds.count(Duplicate),
        "entries": len(entries),
        "ids": len(set(entries)),
        "behind": behind,
        "late": total - 3 * seconds,
        "cpu": spent / total,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--messages", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--rate", type=int, default=20_000)
    parser.add_argument("--seconds", type=float, default=5.0)
    arguments = parser.parse_args()
    with TemporaryDirectory() as folder:
        made = {kind: kind(Path(folder)) for kind in (Nats, Valkey)}
        with running(made[Nats]), running(made[Valkey]):
            found = costs(made, arguments.messages, arguments.rounds)
            for name, seconds in found.items():
                beside = seconds / found[f"{name[:10]} client"]
                print(f"{name:20} {seconds * 1e6:6.1f} us a message {beside:6.2f} x")
            print()
            print(f"{arguments.rate:,} messages/s, the broker stopped for {arguments.seconds:g} s")
            for broker in made.values():
                row = asyncio.run(outage(broker, arguments.rate, arguments.seconds))
                print(
                    f"{type(broker).__name__:8}"
                    f" came {row['came']:,}, stored {row['stored']:,},"
                    f" duplicates {row['duplicates']:,}, other {row['other']:,};"
                    f" entries {row['entries']:,}, ids {row['ids']:,};"
                    f" {row['behind']:,} behind at the end, made up in {row['late']:.1f} s;"
                    f" {row['cpu']:.0%} of a processor"
                )


if __name__ == "__main__":
    main()
