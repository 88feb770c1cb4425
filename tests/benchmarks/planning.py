"""How long a plan of a fleet takes, for so many channels.

    python tests/benchmarks/planning.py [CHANNELS ...]

Processor time, the least of three. A plan of 200 channels a connection over three places; then
one channel comes, one goes, nothing changes, a place goes, and comes again; and a fresh one with
weights.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from functools import partial

from rxsocket import Limits
from rxsocket.fleet.plan import Place, Plan, changes
from rxsocket.fleet.planner import plan

PLACES = [Place("a"), Place("b"), Place("c")]
LIMITS = Limits(channels=200)


def weight(key: str) -> float:
    """Bytes a second of a channel: few have most of them."""
    return 100_000 / (1 + int(key[1:]) % 1000)


def cases(count: int) -> dict[str, Callable[[], object]]:
    """What is timed."""
    keys = [f"K{number}" for number in range(count)]
    made = plan(keys, None, PLACES, LIMITS)
    more = plan([*keys, "K_"], made, PLACES, LIMITS)
    fewer = plan(keys, made, PLACES[:2], LIMITS)
    again = partial(plan, limits=LIMITS)

    def of(wanted: list[str], current: Plan | None, places: list[Place]) -> Callable[[], Plan]:
        return partial(again, wanted, current, places)

    return {
        "a fresh plan": of(keys, None, PLACES),
        "one channel more": of([*keys, "K_"], made, PLACES),
        "one channel less": of(keys[1:], made, PLACES),
        "nothing changes": of(keys, made, PLACES),
        "what that changes": partial(changes, made, more),
        "a place goes": of(keys, made, PLACES[:2]),
        "it comes again": of(keys, fewer, PLACES),
        "a fresh plan, weighed": partial(
            plan, keys, None, PLACES, Limits(channels=200, bytes=500_000), weights=weight
        ),
    }


def least(function: Callable[[], object]) -> float:
    """Seconds of processor time."""
    times: list[float] = []
    for _ in range(3):
        began = time.process_time()
        function()
        times.append(time.process_time() - began)
    return min(times)


def main() -> None:
    """Print a table."""
    counts = [int(argument) for argument in sys.argv[1:]] or [1000, 5000, 50_000]
    rows = {count: cases(count) for count in counts}
    print(f"{'':24}" + "".join(f"{count:>12,}" for count in counts))
    for name in rows[counts[0]]:
        times = (f"{least(rows[count][name]) * 1000:9.2f} ms" for count in counts)
        print(f"{name:24}" + "".join(times))


if __name__ == "__main__":
    main()
