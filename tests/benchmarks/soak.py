"""One socket under random faults, random changes of credential, and numbered messages both ways.

    python tests/benchmarks/soak.py --seconds 300 --seed 1

The server runs in another process. Every 50 to 500 ms something happens: the connection is cut, or
closed with some code; the process is frozen for a moment; the next handshakes are refused, dropped,
answered with garbage, or not at all; a credential is set, good or bad. At the end the faults stop,
and what was counted is printed as a table. The exit code says whether everything adds up.
"""

from __future__ import annotations

import argparse
import gc
import itertools
import logging
import random
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

sys.path.insert(0, str(Path(__file__).parents[1]))
from faults.server_process import Process, until

from rxsocket import Backoff, Event, InEffect, Socket, SocketError, State
from rxsocket.testing import Grammar

GARBAGE = {"do": "bytes", "hex": b"\xff\xff".hex()}
PLAYS: list[dict[str, Any]] = [
    {"do": "cut"},
    {"do": "refuse"},
    {"do": "answer", "text": "HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n"},
    {"do": "answer", "text": "hello\r\n\r\n"},
    {"do": "hang"},
    {"do": "drip", "pause": 0.01},
]
CODES = (1000, 1001, 1005, 1011, 1012, 1013, 1014, 3000, 4000, 4401, 4999)
EVERY = 0.01
"""Seconds between two messages, each way."""


@dataclass
class Report:
    """What was counted.

    Attributes:
        rows: What the table shows.
        problems: What does not add up.
    """

    rows: dict[str, object] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)

    def row(self, name: str, value: object, holds: bool = True) -> None:
        """Add a row, and a problem if it is not as it must be."""
        self.rows[name] = value
        if not holds:
            self.problems.append(f"{name}: {value}")

    def __str__(self) -> str:
        width = max(map(len, self.rows))
        lines = [f"{name:{width}}  {value}" for name, value in self.rows.items()]
        return "\n".join([*lines, *(f"PROBLEM {problem}" for problem in self.problems)])


class TickChecker:
    """Checks the server's numbers: without a hole, and one connection after the other."""

    def __init__(self) -> None:
        self.ticks = 0
        self.echoes = 0
        self.wrong: list[str] = []
        self._last = (0, 0)

    def __call__(self, message: str) -> None:
        if not message.startswith("tick "):
            self.echoes += 1
            return
        self.ticks += 1
        connection, count = map(int, message.split()[1:])
        before, last = self._last
        follows = count == last + 1 if connection == before else connection > before and count == 1
        if not follows and len(self.wrong) < 10:
            self.wrong.append(f"{connection}.{count} after {before}.{last}")
        self._last = connection, count


class NumberSender:
    """Sends numbers, and keeps account of each by its receipt."""

    def __init__(self, socket: Socket) -> None:
        self._socket = socket
        self._numbers = itertools.count(1)
        self._lock = threading.Lock()
        self.count = 0
        self.sent: set[int] = set()
        self.failed: dict[int, str] = {}
        self.twice = 0

    def send(self) -> None:
        """Send the next number."""
        self.count = number = next(self._numbers)
        receipt = self._socket.send(str(number))
        receipt.subscribe(
            lambda _: self._settled(number, None), lambda error: self._settled(number, error)
        )

    @property
    def open(self) -> int:
        """How many have no outcome yet."""
        return self.count - len(self.sent) - len(self.failed)

    def _settled(self, number: int, error: Exception | None) -> None:
        with self._lock:
            if number in self.sent or number in self.failed:
                self.twice += 1
            elif error is None:
                self.sent.add(number)
            else:
                assert isinstance(error, SocketError)
                self.failed[number] = type(error).__name__


def soak(seconds: float, seed: int) -> Report:
    """Run it; see the module."""
    far = Process()
    try:
        return _soak(far, seconds, random.Random(seed))
    finally:
        far.stop()


def _soak(far: Process, seconds: float, chance: random.Random) -> Report:
    report, grammar, inbox = Report(), Grammar(), TickChecker()
    kinds: Counter[str] = Counter()
    done: Counter[str] = Counter()

    def happened(event: Event) -> None:
        grammar(event)
        kinds[type(event).__name__] += 1

    far.ask(do="tick", every=EVERY)
    socket = Socket(
        far.url,
        auth=None,  # until everybody is there
        backoff=Backoff(first=0.05, base=0.05, cap=0.2, spacing=0.02, random=chance),
        clean_close="reconnect",
        stable_after=0.1,
        open_timeout=0.5,
        ping_interval=0.3,
        ping_timeout=0.3,
        close_timeout=0.5,
    )
    socket.events.subscribe(happened, on_error=lambda error: report.row("ended", error, False))
    socket.messages.subscribe(inbox, on_error=lambda _: None)
    socket.set_auth({"token": "good-0"})
    outbox = NumberSender(socket)
    pause = threading.Event()
    tokens = itertools.count(1)
    actions = _actions(far, socket, chance, pause, tokens)
    started, measured = time.monotonic(), (0, 0)
    warm, ends = started + seconds / 4, started + seconds
    while (now := time.monotonic()) < ends:
        if measured == (0, 0) and now >= warm:
            measured = _resources()
        until_next = now + chance.uniform(0.05, 0.5)
        while time.monotonic() < min(until_next, ends):
            outbox.send()
            pause.wait(EVERY)
        action = chance.choice(list(actions))
        done[action] += 1
        actions[action]()

    far.ask(do="forget")
    last = f"good-{next(tokens)}"
    outcome = socket.set_auth({"token": last}).result(20)
    until(lambda: socket.state.value is State.OPEN)
    echoes = inbox.echoes
    for _ in range(20):
        outbox.send()
    until(lambda: inbox.echoes >= echoes + 20)
    until(lambda: outbox.open == 0)
    far.ask(do="tick", every=0.0)
    until(lambda: far.seen["open"] == 1)
    seen = far.seen
    after = _resources()

    report.row("seconds", f"{seconds:g}, with {done.total()} faults")
    report.row("faults", ", ".join(f"{name} {count}" for name, count in sorted(done.items())))
    report.row("events", ", ".join(f"{name} {kinds[name]}" for name in sorted(kinds)))
    report.row("handshakes", seen["dials"])
    _account(report, outbox, inbox, seen["received"])
    report.row("connections at the end", seen["open"], seen["open"] == 1)
    shown = seen["requests"][-1]
    report.row("credential at the end", shown, shown.endswith(f"token={last}"))
    report.row("outcome of the last set_auth", outcome, isinstance(outcome, InEffect))
    _flat(report, measured, after)

    before = kinds.total()
    socket.close().result(5)
    report.row("events of the end", kinds.total() - before, kinds.total() - before == 2)
    try:
        grammar.done()
        report.row("grammar", "kept")
    except AssertionError as error:
        report.row("grammar", error, False)
    until(lambda: far.seen["open"] == 0)
    return report


def _actions(
    far: Process,
    socket: Socket,
    chance: random.Random,
    pause: threading.Event,
    tokens: itertools.count[int],
) -> dict[str, Callable[[], object]]:
    def frozen() -> None:
        far.freeze()
        pause.wait(chance.uniform(0.05, 0.5))
        far.thaw()

    def silent() -> None:
        far.freeze()
        pause.wait(1.0)  # longer than the keepalive takes
        far.thaw()

    def change() -> None:
        socket.set_auth({"token": f"good-{next(tokens)}"})

    def burst() -> None:
        for _ in range(5):
            change()

    return {
        "cut": lambda: far.ask(do="drop"),
        "close": lambda: far.ask(do="close", code=chance.choice(CODES)),
        "play": lambda: (
            far.ask(do="play", play=chance.choice(PLAYS)),
            far.ask(do="drop"),
        ),
        "garbage": lambda: (far.ask(do="play", play=GARBAGE), far.ask(do="drop")),
        "freeze": frozen,
        "silence": silent,
        "good token": change,
        "burst of tokens": burst,
        "bad token": lambda: (
            socket.set_auth({"token": f"bad-{next(tokens)}"}),
            pause.wait(0.1),
            change(),
        ),
        "reconnect()": socket.reconnect,
    }


def _account(report: Report, outbox: NumberSender, inbox: TickChecker, received: list[str]) -> None:
    """What was sent: delivered, lost on the way, or reported failed; and what came."""
    arrived = Counter(int(text) for text in received)
    lost = len(outbox.sent - arrived.keys())
    report.row("messages sent", outbox.count)
    report.row("  delivered", len(arrived))
    report.row("  written, lost with their link", lost)
    report.row("  reported failed", dict(Counter(outbox.failed.values())))
    report.row("  without an outcome", outbox.open, outbox.open == 0)
    report.row("  with two outcomes", outbox.twice, outbox.twice == 0)
    both = len(outbox.failed.keys() & arrived.keys())
    report.row("  failed, and delivered all the same", both, both == 0)
    doubled = sum(count > 1 for count in arrived.values())
    report.row("  delivered twice", doubled, doubled == 0)
    order = [int(text) for text in received]
    report.row("  in order", order == sorted(order), order == sorted(order))
    report.row("messages received", inbox.ticks + inbox.echoes)
    report.row("  out of order, or missing", inbox.wrong or 0, not inbox.wrong)


def _resources() -> tuple[int, int]:
    """File descriptors, and bytes of memory."""
    gc.collect()
    process = psutil.Process()
    return process.num_fds(), process.memory_info().rss


def _flat(report: Report, before: tuple[int, int], after: tuple[int, int]) -> None:
    report.row("file descriptors", f"{before[0]} -> {after[0]}", after[0] <= before[0] + 2)
    grown = (after[1] - before[1]) / 2**20
    report.row("memory (MiB)", f"{before[1] / 2**20:.1f} {grown:+.1f}", grown < 8.0)
    threads = threading.active_count()
    report.row("threads", threads, threads <= 3)


def main() -> int:
    """Read the arguments, run, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=300.0)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    logging.getLogger("rxsocket").setLevel(logging.ERROR)
    report = soak(arguments.seconds, arguments.seed)
    print(report)
    return 1 if report.problems else 0


if __name__ == "__main__":
    sys.exit(main())
