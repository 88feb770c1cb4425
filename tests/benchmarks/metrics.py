"""What ``measure(socket)`` costs at 100,000 messages a second, beside the same without it.

    python tests/benchmarks/metrics.py [--rate N] [--slices N] [--seconds S] [--scrape S]

One socket receives messages of 64 bytes, paced, from a server in another process. Slices of time
with and without ``measure()`` take turns on that one connection. In those with it the SDK's own
Prometheus exporter is scraped, in the same process, every 5 s; usual are 15 s to a minute. Compared
is the processor time for a message: the median over pairs of slices. A scrape is all that there is
to pay for, a few milliseconds of the exporter's, so the ratio depends on how often that is.
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


async def cost(socket: Socket, seconds: float, scrape: float | None) -> float:
    """Microseconds of processor time for a message, over some seconds."""
    before, spent = socket.stats.messages_received, -time.process_time()
    end = time.perf_counter() + seconds
    while (left := end - time.perf_counter()) > 0:
        await asyncio.sleep(left if scrape is None else min(left, scrape))
        if scrape is not None:
            assert b"rxsocket_messages_total" in generate_latest(REGISTRY)
    spent += time.process_time()
    return spent / (socket.stats.messages_received - before) * 1e6


async def compare(url: str, slices: int, seconds: float, scrape: float) -> list[tuple[float, ...]]:
    """The costs without and with it, of each pair of slices; the first pair warms up."""
    meters, tracers = MeterProvider(metric_readers=[PrometheusMetricReader()]), TracerProvider()
    socket = Socket(url, name="bench", compression=None)
    opened = asyncio.Event()
    socket.on_open(opened.set)
    socket.messages.subscribe(lambda message: None)
    await opened.wait()
    pairs: list[tuple[float, ...]] = []
    for number in range(slices + 1):
        costs = {}
        for measured in (False, True) if number % 2 else (True, False):
            if not measured:
                costs[measured] = await cost(socket, seconds, None)
                continue
            with measure(socket, meter_provider=meters, tracer_provider=tracers):
                costs[measured] = await cost(socket, seconds, scrape)
        if number:
            pairs.append((costs[False], costs[True]))
    await socket.close()
    return pairs


def main() -> int:
    """Measure, print, and say whether it costs less than 3 %."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--rate", type=int, default=100_000, help="messages a second")
    parser.add_argument("--slices", type=int, default=10, help="pairs of slices")
    parser.add_argument("--seconds", type=float, default=5.0, help="of a slice")
    parser.add_argument("--scrape", type=float, default=5.0, help="seconds between two scrapes")
    given = parser.parse_args()
    pin(0)
    with peer() as far:
        url = far.url("paced", frames="raw-64", rate=given.rate)
        pairs = asyncio.run(compare(url, given.slices, given.seconds, given.scrape))
    without, measured = (statistics.median(column) for column in zip(*pairs, strict=True))
    ratio = statistics.median(one / other for other, one in pairs)
    print(f"without measure()  {without:7.3f} us a message")
    print(f"with it            {measured:7.3f} us a message")
    print(f"ratio              {ratio:7.3f}")
    return 0 if ratio <= MOST else 1


if __name__ == "__main__":
    sys.exit(main())
