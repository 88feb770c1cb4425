"""rxsocket beside what else there is, in one run.

    python tests/benchmarks/bench.py [--quick] [--json FILE] [--only WORD] [--markdown]

Processor time and wall time of the client for each message, the least and the median of five
rounds; in each round every contestant has its turn, so that what else the machine does hits all of
them. The server runs in another process and writes frames that were made before. Whether it is what
is waited for is shown at the end: how fast it is when nobody parses what it writes, and its share
of a processor while the fastest contestant was measured. Processor time is the client's alone.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import multiprocessing
import os
import platform
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from importlib.metadata import PackageNotFoundError, version
from multiprocessing.connection import Connection
from pathlib import Path

import msgspec
from bench_server import Peer, allow_files, messages, peer, pin
from contestants import CHANGING, CONTESTANTS, ChangeTimer, Contestant, Decode, Meter, Quote

MICRO = 1e6
PAGE = os.sysconf("SC_PAGE_SIZE") if hasattr(os, "sysconf") else 0


@dataclass(frozen=True)
class Scale:
    """How much is measured."""

    rounds: int
    seconds: float
    echoes: int
    sends: int
    sockets: int
    openings: int
    changes: int
    topics: tuple[int, ...] = (1, 10, 100, 1000)


FULL = Scale(
    rounds=5, seconds=0.4, echoes=2000, sends=10_000, sockets=1000, openings=3, changes=100
)
QUICK = Scale(rounds=2, seconds=0.05, echoes=100, sends=1000, sockets=50, openings=1, changes=3)


@dataclass
class Result:
    """One contestant at one workload; a figure for each round."""

    workload: str
    contestant: str
    unit: str
    cpu: list[float] = field(default_factory=list)
    wall: list[float] = field(default_factory=list)
    server_share: float = 0.0
    server_alone: float | None = None


class Bench:
    """Runs the workloads and keeps the rows."""

    def __init__(self, server: Peer, contestants: list[Contestant], scale: Scale) -> None:
        self._server = server
        self._contestants = contestants
        self._scale = scale
        self.rows: list[Result] = []

    def floods(self) -> Iterator[tuple[str, Callable[[], None]]]:
        """Inbound messages, as fast as they are taken."""
        for name in ("raw", "json"):
            for size in (64, 1024, 65536):
                kind = f"{name}-{size}"
                yield f"flood {name} {_size(size)}", lambda kind=kind: self._flood(kind)

    def others(self) -> Iterator[tuple[str, Callable[[], None]]]:
        """Everything else."""
        for topics in self._scale.topics:
            yield f"{topics} topics", lambda topics=topics: self._topics(topics)
        for others in (0, 9, 99):
            yield f"{others + 1} observers", lambda others=others: self._share(others)
        yield "echo 64 B", self._echo
        yield "send 64 B", self._send
        yield "change of credential", self._change
        yield f"idle, {self._scale.sockets} sockets", self._idle

    def _flood(self, kind: str) -> None:
        name, size = kind.split("-")
        decode: Decode | None = msgspec.json.Decoder(Quote).decode if name == "json" else None
        label = f"flood {name} {_size(int(size))}"
        rate = 1.5e9 / (int(size) + 5_000)  # about what bare websockets takes here
        count = max(100, int(self._scale.seconds * rate))
        alone = max(self._server.rate(kind, 4 * count) for _ in range(self._scale.rounds))
        rows = self._start(label, "us a message")
        for row in rows:
            row.server_alone = alone
        for contestant, row in self._turns(rows):
            meter = self._timed(
                row,
                lambda contestant=contestant: self._receive(contestant, kind, count, decode),
            )
            row.cpu.append(meter.cpu / meter.count * MICRO)
            row.wall.append(meter.wall / meter.count * MICRO)

    async def _receive(
        self, contestant: Contestant, kind: str, count: int, decode: Decode | None
    ) -> Meter:
        meter = Meter(count, warm=max(1, count // 20))
        url = self._server.url("flood", frames=kind, count=meter.last)
        await contestant.receive(url, meter, decode)
        return meter

    def _topics(self, topics: int) -> None:
        named = [f"quotes/{number}" for number in range(topics)]
        most = max(200, int(self._scale.seconds * 150_000))

        async def receive(contestant: Contestant, count: int) -> Meter:
            meter = Meter(count, warm=max(1, count // 20))
            url = self._server.url("flood", frames=f"topics-{topics}", count=meter.last)
            await contestant.topics(url + "&", meter, named)
            return meter

        for contestant, row in self._turns(self._start(f"{topics} topics", "us a message")):
            # A filter for each topic asks all of them about each message.
            count = max(200, most // topics) if contestant.name == "RxPY pipeline" else most
            run = lambda contestant=contestant, count=count: receive(contestant, count)  # noqa: E731
            meter = self._timed(row, run)
            row.cpu.append(meter.cpu / count * MICRO)
            row.wall.append(meter.wall / count * MICRO)

    def _share(self, others: int) -> None:
        count = max(100, int(self._scale.seconds * 200_000 / (others + 1)))
        sharing = [contestant for contestant in self._contestants if contestant.shares]

        async def share(contestant: Contestant) -> Meter:
            meter = Meter(count, warm=max(1, count // 20))
            url = self._server.url("flood", frames="raw-64", count=meter.last)
            await contestant.share(url, meter, others)
            return meter

        label = f"{others + 1} observers, raw 64 B"
        for contestant, row in self._turns(self._start(label, "us a call", sharing)):
            meter = self._timed(row, lambda contestant=contestant: share(contestant))
            row.cpu.append(meter.cpu / count / (others + 1) * MICRO)
            row.wall.append(meter.wall / count / (others + 1) * MICRO)

    def _echo(self) -> None:
        rounds = self._scale.echoes
        for contestant, row in self._turns(self._start("echo 64 B", "us, p50")):
            used = -time.process_time()
            url = self._server.url("echo")
            taken = asyncio.run(contestant.echo(url, rounds))
            used += time.process_time()
            row.cpu.append(used / rounds * MICRO)
            row.wall.append(statistics.median(taken) * MICRO)

    def _send(self) -> None:
        (message,), count = messages("raw-64"), self._scale.sends
        url = self._server.url("sink", bytes=count * (2 + 4 + 64))

        async def send(contestant: Contestant) -> Meter:
            meter = Meter(count, warm=1)
            await contestant.send(url, message, meter)
            return meter

        for contestant, row in self._turns(self._start("send 64 B", "us a message")):
            meter = self._timed(row, lambda contestant=contestant: send(contestant))
            row.cpu.append(meter.cpu / count * MICRO)
            row.wall.append(meter.wall / count * MICRO)

    def _change(self) -> None:
        changing = [one for one in CHANGING if one.available()]
        rows = self._start("change of credential", "us, wall", changing)
        missed = {
            one.name: Result(rows[0].workload, one.name, "messages missed") for one in changing
        }
        named = {contestant.name: contestant for contestant in changing}
        each = max(1, self._scale.changes // self._scale.rounds)
        for _ in range(self._scale.rounds):
            for row in rows:
                url = self._server.url("ticks") + "&"
                found: ChangeTimer = asyncio.run(named[row.contestant].change(url, each))
                row.wall += [taken * MICRO for taken in found.taken]
                missed[row.contestant].wall += found.missed
        self.rows += missed.values()

    def _idle(self) -> None:
        number = self._scale.sockets
        rows = self._start(f"idle, {number} sockets", "us to open one")
        sizes = [
            Result(f"idle, {number} sockets", contestant.name, "KiB of memory each")
            for contestant in self._contestants
        ]
        for contestant, row in self._turns(rows, self._scale.openings):
            seconds, kib = _in_a_process(contestant.name, self._server.url("idle"), number)
            row.cpu.append(seconds / number * MICRO)
            size = next(size for size in sizes if size.contestant == contestant.name)
            size.cpu.append(kib / number)
        self.rows += sizes

    def _start(
        self, workload: str, unit: str, contestants: list[Contestant] | None = None
    ) -> list[Result]:
        chosen = self._contestants if contestants is None else contestants
        rows = [Result(workload, contestant.name, unit) for contestant in chosen]
        self.rows += rows
        return rows

    def _turns(
        self, rows: list[Result], rounds: int | None = None
    ) -> Iterator[tuple[Contestant, Result]]:
        named = {contestant.name: contestant for contestant in self._contestants}
        for _ in range(rounds or self._scale.rounds):
            for row in rows:
                gc.collect()
                yield named[row.contestant], row

    def _timed(self, row: Result, run: Callable[[], object]) -> Meter:
        used, start = self._server.cpu(), time.perf_counter()
        meter: Meter = asyncio.run(run())  # type: ignore[arg-type]
        share = (self._server.cpu() - used) / (time.perf_counter() - start)
        row.server_share = max(row.server_share, share)
        return meter


def _in_a_process(name: str, url: str, number: int) -> tuple[float, float]:
    """Seconds of processor time to open connections, and the KiB that they take, afresh."""
    ours, theirs = multiprocessing.Pipe()
    context = multiprocessing.get_context("spawn")
    process = context.Process(target=_open_idle, args=(theirs, name, url, number))
    process.start()
    seconds, kib = ours.recv()
    process.join()
    return seconds, kib


def _open_idle(pipe: Connection, name: str, url: str, number: int) -> None:
    contestant = next(one for one in CONTESTANTS if one.name == name)
    allow_files(4096)

    async def run() -> None:
        drop = await contestant.idle(url, 2)  # whatever is loaded or set up for the first one
        gc.collect()
        size, used = _resident(), time.process_time()
        drop_all = await contestant.idle(url, number)
        used = time.process_time() - used
        gc.collect()
        pipe.send((used, _resident() - size))
        drop()
        drop_all()
        pipe.close()
        os._exit(0)  # closing all of them in order is not measured

    asyncio.run(run())


def _resident() -> float:
    """KiB of memory that this process has now; 0 where that is not told."""
    try:
        return int(Path("/proc/self/statm").read_text().split()[1]) * PAGE / 1024
    except OSError:
        return 0.0


def _size(size: int) -> str:
    return f"{size} B" if size < 1024 else f"{size // 1024} KiB"


def _table(rows: list[Result]) -> Iterator[str]:
    """A table of the least and the median, and how they compare with the first contestant."""
    width = max(len(row.contestant) for row in rows)
    workload = None
    for row in rows:
        if (row.workload, row.unit) != workload:
            workload = (row.workload, row.unit)
            yield f"\n{row.workload} ({row.unit})"
            heads = (
                f"{'cpu least':>10} {'median':>9} {'ratio':>6}  {'wall least':>10} {'median':>9}"
            )
            yield f"  {'':{width}}  {heads}"
        first = next(
            one for one in rows if (one.workload, one.unit) == workload and (one.cpu or one.wall)
        )
        cells = [_figures(row.cpu), _ratio(row.cpu, first.cpu), " ", _figures(row.wall)]
        yield f"  {row.contestant:{width}}  {' '.join(cells)}"


def _figures(values: list[float]) -> str:
    if not values:
        return f"{'-':>10} {'-':>9}"
    return f"{min(values):10.2f} {statistics.median(values):9.2f}"


def _ratio(values: list[float], others: list[float]) -> str:
    return f"{min(values) / min(others):6.2f}" if values and others and min(others) else f"{'-':>6}"


def _markdown(rows: list[Result]) -> Iterator[str]:
    """The least of each row, or the median where only time was taken; a column a contestant."""
    names = list(dict.fromkeys(row.contestant for row in rows))
    yield f"| | {' | '.join(names)} |"
    yield f"|---|{'---:|' * len(names)}"
    for workload, unit in dict.fromkeys((row.workload, row.unit) for row in rows):
        found = {
            row.contestant: _cell(row)
            for row in rows
            if (row.workload, row.unit) == (workload, unit) and (row.cpu or row.wall)
        }
        cells = " | ".join(found.get(name, "") for name in names)
        yield f"| {workload}, {unit} | {cells} |"


def _cell(row: Result) -> str:
    if "p50" in row.unit:
        return f"{min(row.wall):.0f}"
    if not row.cpu:
        return f"{statistics.median(row.wall):.0f}"
    least = min(row.cpu)
    return f"{least:.2f}" if least < 100 else f"{least:.0f}"


def _server(rows: list[Result]) -> Iterator[str]:
    """How it is known that the server was not what was waited for."""
    yield "\nthe server, in messages a second: alone (a client that only reads bytes), the fastest"
    yield "contestant, and the server's share of a processor while that one was measured"
    for name in dict.fromkeys(row.workload for row in rows if row.server_alone):
        best = min((row for row in rows if row.workload == name), key=lambda row: min(row.wall))
        rates = f"{best.server_alone:12,.0f} {MICRO / min(best.wall):12,.0f}"
        late = "; the server was waited for: look at cpu" if best.server_share > 0.9 else ""
        yield f"  {name:18} {rates} {best.server_share:5.0%} {best.contestant}{late}"


def _machine() -> dict[str, str]:
    found = {"python": platform.python_version(), "system": platform.platform()}
    found["processors"] = str(os.cpu_count())
    for name in ("websockets", "reactivex", "aiohttp", "picows", "msgspec"):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def _result(rows: list[Result], scale: Scale) -> dict[str, object]:
    return {
        "machine": _machine(),
        "scale": asdict(scale),
        "rows": [
            {
                **asdict(row),
                "cpu_least": min(row.cpu, default=None),
                "wall_least": min(row.wall, default=None),
            }
            for row in rows
        ],
    }


def main(arguments: list[str] | None = None) -> None:
    """Measure, print a table, and write it as JSON if asked."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])  # type: ignore[union-attr]
    parser.add_argument("--quick", action="store_true", help="to see that it works; not to compare")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there, too")
    parser.add_argument(
        "--only", default="", metavar="WORD", help="workloads with this in the name"
    )
    parser.add_argument("--markdown", action="store_true", help="a table to be pasted, too")
    options = parser.parse_args(arguments)
    scale = QUICK if options.quick else FULL
    contestants = [one for one in CONTESTANTS if one.available()]
    with peer() as server:
        pin(0)  # now: a process begins where its parent may run, and the server has another core
        bench = Bench(server, contestants, scale)
        for name, measure in (*bench.floods(), *bench.others()):
            if options.only in name:
                print(name, end=" … ", flush=True, file=sys.stderr)
                measure()
        print(file=sys.stderr)
    rows = bench.rows
    print(", ".join(f"{name} {value}" for name, value in _machine().items()))
    for line in (*_table(rows), *_server(rows)):
        print(line)
    for line in _markdown(rows) if options.markdown else ():
        print(line)
    if options.json:
        options.json.write_text(json.dumps(_result(rows, scale), indent=1))


if __name__ == "__main__":
    main()
