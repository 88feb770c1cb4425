"""What ``measure(socket)`` costs at 100,000 messages a second, beside the same without it.

    python tests/benchmarks/metrics.py [--rate N] [--slices N] [--seconds S]

One socket receives messages of 64 bytes, paced, from a server in another process. Slices of time
with and without ``measure()`` take turns on that one connection. Compared is the processor time for
a message: the median over pairs of slices. After each slice with it the SDK's own Prometheus
exporter is scraped, in the same process, and that is timed by itself. The last line is what both
come to with a scrape every 15 s.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import sys
import time

from bench_server import peer, pin
from opentelemetry.exporter.prometheus import PrometheusMetricReader
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.trace import TracerProvider
from prometheus_client import REGISTRY, generate_latest

from rxsocket import Socket
from rxsocket.metrics import measure

MOST = 1.03
"""Processor time with ``measure()``, as a multiple of that without."""
INTERVAL = 15
"""Seconds between two scrapes."""


async def cost(socket: Socket, seconds: float) -> float:
    """Microseconds of processor time for a message, over some seconds."""
    before, spent = socket.stats.messages_received, -time.process_time()
    await asyncio.sleep(seconds)
    spent += time.process_time()
    return spent / (socket.stats.messages_received - before) * 1e6


def scrape() -> float:
    """Seconds of processor time that a scrape takes."""
    spent = -time.process_time()
    assert b"rxsocket_messages_total" in generate_latest(REGISTRY)
    return spent + time.process_time()


async def compare(
    url: str, slices: int, seconds: float
) -> tuple[list[tuple[float, float]], list[float]]:
    """The costs without and with it, of each pair of slices, and of scrapes; the first warm up."""
    meters, tracers = MeterProvider(metric_readers=[PrometheusMetricReader()]), TracerProvider()
    socket = Socket(url, name="bench", compression=None)
    opened = asyncio.Event()
    socket.on_open(opened.set)
    socket.messages.subscribe(lambda message: None)
    await opened.wait()
    pairs: list[tuple[float, float]] = []
    scrapes: list[float] = []
    for number in range(slices + 1):
        costs: dict[bool, float] = {}
        for measured in (False, True) if number % 2 else (True, False):
            if not measured:
                costs[measured] = await cost(socket, seconds)
                continue
            with measure(socket, meter_provider=meters, tracer_provider=tracers):
                costs[measured] = await cost(socket, seconds)
                scrapes.append(scrape())
        pairs.append((costs[False], costs[True]))
    await socket.close()
    return pairs[1:], scrapes[1:]


def main() -> int:
    """Measure, print, and say whether it costs less than 3 %."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--rate", type=int, default=100_000, help="messages a second")
    parser.add_argument("--slices", type=int, default=20, help="pairs of slices")
    parser.add_argument("--seconds", type=float, default=1.0, help="of a slice")
    given = parser.parse_args()
    pin(0)
    with peer() as far:
        url = far.url("paced", frames="raw-64", rate=given.rate)
        pairs, scrapes = asyncio.run(compare(url, given.slices, given.seconds))
    without, measured = (statistics.median(column) for column in zip(*pairs, strict=True))
    ratio = statistics.median(one / other for other, one in pairs)
    each = statistics.median(scrapes)
    total = ratio + each * 1e6 / (INTERVAL * given.rate * without)
    print(f"without measure()         {without:7.3f} us a message")
    print(f"with it                   {measured:7.3f} us a message, {ratio:.3f} times as much")
    print(f"a scrape                  {each * 1e3:7.2f} ms")
    print(f"with one every {INTERVAL} s      {total:7.3f} times as much")
    return 0 if total <= MOST else 1


if __name__ == "__main__":
    sys.exit(main())
