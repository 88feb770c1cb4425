"""A fleet beside a venue that counts, in tables.

    python tests/benchmarks/fleet.py [converge] [rotate] [cost] [places] [--short]

- ``converge``: 5,000 channels, 200 a connection, 10 connects a second. From nothing, after all
  sockets dropped at once, and with 1 % of the subscribes failing: how long until each channel is on
  one socket, the most connects in any window, and what went over a cap.
- ``rotate``: 50 credentials, one after the other, over 20 sockets at 1,000 messages a second each,
  or half of that and so on until it keeps up, on one loop and in 2 processes: what is missing or
  double, at what pace the sockets were handed over, and who was busy meanwhile.
- ``cost``: processor time of a message through ``fleet.channel(key)``, beside ``socket.channel``,
  in turn; ``instructions.py "a message of one of 100 channels" "the same"`` counts instructions.
- ``places``: messages a second by shards, on one loop, in processes and on Ray, and what limits it.

The venue runs in another process. The exit code says whether anything is wrong: a cap exceeded,
messages missing or double that no event told of, a message that costs over 1.3 times as much.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import statistics
import sys
import time
from collections import Counter
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import psutil
from bench_server import Peer, allow_files, peer, pin

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from exchange import MANY
from reactivex import Subject
from venue import Caps, Ledger, sequence
from venue_process import venue_process

from rxsocket import Limits, Socket
from rxsocket.fleet import (
    ChannelSpec,
    Fleet,
    FleetEvent,
    Lost,
    Processes,
    Ray,
    Restored,
)

SPEC = ChannelSpec(**MANY, acknowledged_within=2.0)
KEY = '{"key": "'
"""How each message of a channel of the venue begins."""


def key_in(message: str) -> str | None:
    """Its channel, without a parser: at 20,000 messages a second they are what is measured."""
    return message[len(KEY) : message.index('"', len(KEY))] if message.startswith(KEY) else None


def number_in(message: str) -> str | None:
    """Its number, likewise."""
    return message[message.rindex(" ") + 1 : -1] if message.startswith(KEY) else None


def answer_in(message: str) -> Any:
    """What the venue says to a subscription."""
    return None if message.startswith(KEY) else MANY["acknowledged"](message)


class Numbers(Ledger):
    """The same ledger, at less cost."""

    def __call__(self, message: str) -> None:
        key, number = key_in(message), number_in(message)
        if key is not None and number is not None:
            self.count += 1
            self.take(key, int(number))


FAST = ChannelSpec(**{**MANY, "by": key_in, "acknowledged": answer_in}, acknowledged_within=2.0)


@dataclass(frozen=True)
class Scale:
    """How much is measured."""

    channels: int = 5000
    each: int = 200
    connects: int = 10
    sockets: int = 20
    rate: int = 1000
    rotations: int = 50
    messages: int = 200_000
    rounds: int = 7
    seconds: float = 5.0


ROTATING = "10/s"
"""Dials of a rotation: while a socket hands over, each of its messages comes twice."""
MOST_COST = 1.3
"""How many times the cost of a message of ``socket.channel`` one of ``fleet.channel`` may have."""
FULL = Scale()
SHORT = Scale(
    channels=600, each=60, connects=20, sockets=4, rate=100, rotations=3, messages=20_000,
    rounds=3, seconds=1.0,
)  # fmt: skip


def table(*rows: tuple[object, ...]) -> None:
    """Print rows, the first of which has the heads."""
    texts = [[f"{cell:,.2f}" if isinstance(cell, float) else str(cell) for cell in r] for r in rows]
    widths = [max(map(len, column)) for column in zip(*texts, strict=True)]
    for text in texts:
        first, *others = (cell.ljust(width) for cell, width in zip(text, widths, strict=True))
        print("  ".join([first, *(cell.strip().rjust(len(cell)) for cell in others)]), flush=True)
    print(flush=True)


class Watched:
    """A fleet, what it delivers, and what it tells."""

    def __init__(self, fleet: Any, ledger: Ledger | None = None) -> None:
        self.fleet = fleet
        self.ledger = ledger or Ledger()
        self.events: list[FleetEvent] = []
        fleet.messages.subscribe(self.ledger)
        fleet.events.subscribe(self.events.append)

    def untold(self) -> list[tuple[str, int, int]]:
        """What is missing of channels that were never lost, or more often than they were."""
        lost = Counter(k for one in self.events if isinstance(one, Lost) for k in one.keys)
        found: list[tuple[str, int, int]] = []
        for key, first, last in self.ledger.missing:
            lost[key] -= 1
            if lost[key] < 0:
                found.append((key, first, last))
        return found

    def gap(self) -> float:
        """The longest that a channel was lost."""
        return max((one.gap for one in self.events if isinstance(one, Restored)), default=0.0)

    def clear(self) -> None:
        """Forget what is missing, double, and was told so far."""
        self.events.clear()
        self.ledger.missing.clear()
        self.ledger.late.clear()


async def until(
    condition: Callable[[], object], seconds: float, what: str, every: float = 0.1
) -> float:
    """Seconds until something is so."""
    began = time.perf_counter()
    while not condition():
        if time.perf_counter() - began > seconds:
            raise SystemExit(f"not within {seconds:g} s: {what}")
        await asyncio.sleep(every)
    return time.perf_counter() - began


def names(count: int) -> list[str]:
    """Keys of channels."""
    return [f"K{number}" for number in range(count)]


# --- converge


async def converge(scale: Scale) -> list[str]:
    """From nothing; after a drop of all; with subscribes that fail. Return what is wrong."""
    keys = names(scale.channels)
    caps = Caps(
        channels=scale.each,
        connects=f"{scale.connects}/s",
        sends="5/s",
        over_channels="dead",
        slack=0.2,
    )
    limits = Limits(channels=scale.each, connects=f"{scale.connects}/s", pace="4/s", batch=50)
    rows: list[tuple[object, ...]] = [
        ("what", "s", "connects in 1 s", "channels of one", "over a cap", "untold", "double",
         "longest gap, s"),
    ]  # fmt: skip
    wrong: list[str] = []
    with venue_process(caps, (1.0, 0.1)) as venue:
        fleet = Fleet(venue.url, channel=SPEC, limits=limits, dedupe=sequence)
        watched = Watched(fleet)

        async def measure(what: str, begin: Callable[[], object]) -> None:
            before = len(venue.over())
            watched.clear()
            begin()
            await until(lambda: not venue.has_exactly(keys), 10, f"{what}: begins", 0.01)
            taken = await until(lambda: venue.has_exactly(keys), 300, what)
            await asyncio.sleep(1.5)  # so that a gap shows: each channel has a message a second
            most = max(map(len, venue.ask("channels").values()))
            over, untold = venue.over()[before:], watched.untold()
            late = watched.ledger.late
            rows.append(
                (what, taken, venue.ask("most_connects"), most, len(over), len(untold), len(late),
                 watched.gap())
            )  # fmt: skip
            wrong.extend(f"{what}: {one}" for found in (over, untold, late) for one in found[:5])

        await measure("from nothing", lambda: fleet.want(keys))
        await measure("all sockets drop", venue.drop)

        def failing() -> None:
            venue.set("failing", 0.01)
            venue.drop()

        await measure("1 % of subscribes fail", failing)
        await fleet.close()
    print(
        f"{scale.channels:,} channels, {scale.each} a connection, {scale.connects} connects/s, "
        f"5 sends/s, of 50 channels"
    )
    table(*rows)
    return wrong


# --- rotate


def same_identity(value: object) -> str:
    """Each credential is a renewal of the one before."""
    return "me"


@dataclass(frozen=True)
class Rotations:
    """What came of rotations at one rate.

    Attributes:
        row: The row of the table; its last cells are of who was busy.
        wrong: What is missing, double, or over a cap.
        keeps_up: Whether what was fed came in time.
    """

    row: tuple[object, ...]
    wrong: list[str]
    keeps_up: bool


async def rotations(scale: Scale, rate: int, name: str, on: Any) -> Rotations:
    """Rotations of the credential, one after the other, at a rate of each socket."""
    keys, each = names(scale.sockets * 10), 10
    caps = Caps(channels=each, connects=ROTATING, slack=0.2)
    limits = Limits(channels=each, connects=ROTATING, batch=each)
    credentials: Subject[Any] = Subject()
    took: list[float] = []
    with venue_process(caps, (rate / each, 0.01)) as venue:
        fleet = Fleet(
            venue.url,
            channel=FAST,
            limits=limits,
            dedupe=number_in,
            auth=credentials,
            sockets=scale.sockets,
            on=on,
            options={"identity": same_identity},
        )
        watched = Watched(fleet, Numbers())
        fleet.want(keys)
        credentials.on_next({"token": "0"})
        newest, behind = watched.ledger.newest, scale.sockets * rate / 2

        def has_caught_up() -> bool:
            return sum(venue.ask("numbers").values()) - sum(newest.values()) < behind

        def used() -> tuple[float, float, float, float, float]:
            of_venue, fed = venue.cpu(), sum(venue.ask("numbers").values())
            mine, others = time.process_time(), of_children() - of_venue
            return time.perf_counter(), mine, others, of_venue, fed

        try:
            await until(lambda: venue.has_exactly(keys), 60, "all channels")
            await until(has_caught_up, 60, "what came at the start")
            watched.clear()
            count, before = watched.ledger.count, used()
            for number in range(1, scale.rotations + 1):
                credentials.on_next({"token": str(number)})

                def has_rotated(number: int = number) -> bool:
                    return venue.ask("tokens_of_open") == {str(number): scale.sockets}

                took.append(await until(has_rotated, 60, f"rotation {number}", 0.02))
            await until(has_caught_up, 10, "what came at the end")
            keeps_up = True
        except SystemExit as slow:
            keeps_up = False
            print(f"{rate:,} messages/s of each socket, {name}: {slow}", flush=True)
            before = before if took else used()
        seconds, *shares, fed = (now - then for now, then in zip(used(), before, strict=True))
        came = watched.ledger.count - count if took else 0
        most, over = venue.ask("most_connects"), venue.over()
        await fleet.close()
    ledger = watched.ledger
    row = (
        name, rate, len(took), fed / max(seconds, 1e-9), came / max(seconds, 1e-9),
        len(ledger.missing), len(ledger.late),
        sum(isinstance(one, Lost) for one in watched.events),
        statistics.median(took or [0.0]), max(took, default=0.0), most, len(over),
        *(f"{max(0.0, share) / max(seconds, 1e-9):.0%}" for share in shares),
    )  # fmt: skip
    found = [f"rotate: {one}" for all_ in (ledger.missing, ledger.late, over) for one in all_[:5]]
    return Rotations(row, found, keeps_up)


async def rotate(scale: Scale) -> list[str]:
    """At the highest rate that works, of the one that is asked for and what is half of it.

    Returns:
        What is wrong: at no rate may anything be missing or double, if it keeps up.
    """
    rows: list[tuple[object, ...]] = [
        ("where", "1/s of each", "rotations", "fed, 1/s", "came, 1/s", "missing", "double", "lost",
         "a rotation, s", "longest, s", "connects in 1 s", "over a cap", "this process", "shards",
         "venue"),
    ]  # fmt: skip
    wrong: list[str] = []
    for name, on in (("loop", "loop"), ("2 processes", Processes(2))):
        if on != "loop" and scale.sockets < FULL.sockets:
            continue
        rate = scale.rate
        while True:
            found = await rotations(scale, rate, name, on)
            rows.append(found.row)
            wrong += found.wrong if found.keeps_up else []
            if found.keeps_up or rate < 100:
                break
            rate //= 2
        if not found.keeps_up:
            wrong.append(f"rotate: {name}: no rate works")
    print(f"rotations over {scale.sockets} sockets, {ROTATING} dials allowed")
    table(*rows)
    return wrong


# --- cost


def asking(keys: list[str]) -> str:
    """What the server of the bench takes no notice of."""
    return json.dumps({"sub": keys})


TOPICS = [f"quotes/{number}" for number in range(100)]


@contextmanager
def by_socket(url: str, got: Callable[[Any], None]) -> Iterator[None]:
    """Messages of 100 channels of a socket."""
    socket: Any = Socket(url, open_timeout=None)
    for key in TOPICS:
        socket.channel(key=key, subscribe=asking([key])).subscribe(got)
    yield
    socket.close()


@contextmanager
def by_fleet(url: str, got: Callable[[Any], None]) -> Iterator[None]:
    """The same of a fleet with one socket."""
    fleet: Any = Fleet(url, channel=ChannelSpec(subscribe=asking), options={"open_timeout": None})
    for key in TOPICS:
        fleet.channel(key).subscribe(got)
    yield
    fleet.close()


async def receive(far: Peer, way: Callable[..., Any], count: int) -> float:
    """Microseconds of processor time for each message."""
    done, came, began = asyncio.Event(), 0, 0.0
    warm = count // 10

    def got(_: object) -> None:
        nonlocal came, began
        came += 1
        if came == warm:
            began = time.process_time()
        elif came == count:
            done.set()

    with way(far.url("flood", frames="topics-100", count=count), got):
        await done.wait()
        spent = time.process_time() - began
    await asyncio.sleep(0.1)
    return spent / (count - warm) * 1e6


async def cost(scale: Scale) -> list[str]:
    """Processor time of a message; what is wrong is a ratio of over 1.3."""
    pin(0)
    times: dict[str, list[float]] = {"socket.channel": [], "fleet.channel": []}
    with peer() as far:
        for _ in range(scale.rounds):
            for name, way in (("socket.channel", by_socket), ("fleet.channel", by_fleet)):
                times[name].append(await receive(far, way, scale.messages))
    rows: list[tuple[object, ...]] = [("a message of 100 channels", "us, least", "us, median")]
    rows += [(name, min(all_), statistics.median(all_)) for name, all_ in times.items()]
    ratio = min(times["fleet.channel"]) / min(times["socket.channel"])
    medians = [statistics.median(all_) for all_ in times.values()]
    rows.append(("ratio", ratio, medians[1] / medians[0]))
    table(*rows)
    return [f"cost: {ratio:.2f} times that of socket.channel"] if ratio > MOST_COST else []


# --- places


def module_level(keys: list[str]) -> str:
    """As :func:`asking`: what goes to another process is found there by its name."""
    return asking(keys)


async def flood(far: Peer, on: Any, shards: int, count: int) -> tuple[object, ...]:
    """Messages a second through ``fleet.messages``, and who was busy meanwhile."""
    keys = [f"quotes/{number}" for number in range(100 * shards)]
    fleet: Any = Fleet(
        far.url("channels", count=count // shards),
        channel=ChannelSpec(subscribe=module_level),
        limits=Limits(channels=100, batch=100),
        sockets=shards,
        on=on,
    )
    done, came = asyncio.Event(), 0
    warm, last = count // 10, count // shards * shards
    busy: list[float] = []

    def used() -> list[float]:
        server = far.cpu()
        return [time.process_time(), of_children() - server, server, time.perf_counter()]

    def got(_: object) -> None:
        nonlocal came, busy
        came += 1
        if came == warm:
            busy = used()
        elif came == last:
            done.set()

    fleet.messages.subscribe(got)
    fleet.want(keys)
    await done.wait()
    mine, theirs, server, wall = (now - then for now, then in zip(used(), busy, strict=True))
    await fleet.close()
    rate = (last - warm) / wall
    name = on if isinstance(on, str) else type(on).__name__
    return name, shards, f"{rate:,.0f}", *(f"{part / wall:.0%}" for part in (mine, theirs, server))


def of_children() -> float:
    """Seconds of processor time of every process that this one has started."""
    found = 0.0
    for child in psutil.Process().children(recursive=True):
        with suppress(psutil.Error):
            times = child.cpu_times()
            found += times.user + times.system
    return found


async def places(scale: Scale) -> list[str]:
    """Messages a second by shards; nothing is wrong about it."""
    rows: list[tuple[object, ...]] = [
        ("on", "shards", "messages/s", "this process", "shards", "server"),
    ]
    with peer() as far:
        rows.append(await flood(far, "loop", 1, scale.messages))
        for shards in (1, 2, 4):
            rows.append(await flood(far, Processes(shards), shards, scale.messages))
        if find_spec("ray") is not None:
            for shards in (1, 2, 4):
                rows.append(await flood(far, Ray(shards=shards), shards, scale.messages))
    table(*rows)
    print("A share of 100 % is one processor.\n")
    return []


WHAT: dict[str, Callable[[Scale], Coroutine[Any, Any, list[str]]]] = {
    "converge": converge,
    "rotate": rotate,
    "cost": cost,
    "places": places,
}


def main() -> int:
    """Print the tables, and what is wrong; return 1 if anything is."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("what", nargs="*", choices=[*WHAT, []], help="which tables; default: all")
    parser.add_argument("--short", action="store_true", help="less of everything")
    given = parser.parse_args()
    allow_files(4096)
    print(f"Python {sys.version.split()[0]}, {os.cpu_count()} processors\n")
    wrong: list[str] = []
    for name in given.what or WHAT:
        wrong += asyncio.run(WHAT[name](SHORT if given.short else FULL))
    print("\n".join(wrong) or "nothing is wrong")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
