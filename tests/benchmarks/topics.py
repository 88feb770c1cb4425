"""Messages a second to the listeners of topics, by the number of topics that are listened to.

Run it with ``python tests/benchmarks/topics.py [messages]``. Messages go in where the transport
hands them over, so what is measured is the way from there to the listener. The best of five runs.
"""

from __future__ import annotations

import json
import sys
import time
from collections import deque

from rxsocket import Socket
from rxsocket.testing import clock, fake

RUNS = 5
TOPICS = (1, 10, 100, 1000)


def rate(topics: int, count: int) -> float:
    """Messages a second, each to one of the topics in turn."""
    with clock() as virtual:
        peer = fake()
        socket = Socket(peer.url, transport=peer)
        heard: deque[object] = deque(maxlen=1)  # kept ones would be walked through by the collector
        for number in range(topics):
            socket.listener(f"trades/{number}").subscribe(heard.append)
        virtual.advance(1.0)
        messages = [
            json.dumps({"topic": f"trades/{number % topics}", "data": {"price": 1.5}})
            for number in range(1000)
        ]
        deliver = socket._engine.publisher.deliver
        start = time.thread_time()  # what else the machine does is not counted
        for _ in range(count // 1000):
            deliver(messages)
        spent = time.thread_time() - start
        assert heard
        socket.close()
        virtual.advance(2.0)
    return count // 1000 * 1000 / spent


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 100_000
    rates: dict[int, list[float]] = {topics: [] for topics in TOPICS}
    for _ in range(RUNS):
        for topics in TOPICS:
            rates[topics].append(rate(topics, count))
    best = {topics: max(found) for topics, found in rates.items()}
    for topics, most in best.items():
        print(f"{topics:5d} topics  {most:9.0f} messages/s  {most / best[1]:5.2f} x")


if __name__ == "__main__":
    main()
