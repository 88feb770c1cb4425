"""Sockets under random faults and changes from many threads, with every message accounted for.

    python tests/benchmarks/soak.py --seconds 600 --seed 1 --transport picows

Eight sockets, with each strategy, through a proxy or not, live on three loops and on the shared
thread. Eight threads send numbers over them, set credentials, good and bad, subscribe observers
that raise, and make sockets of their own, to addresses that do not answer, too. The server runs in
another process. Every 50 to 500 ms something happens to it: connections are cut, or closed with
some code; it is frozen for a moment; the next handshakes are refused, dropped, answered with
garbage, with a body that never ends, or not at all; for a while it answers everybody with a 302 or
a 404. Threads change places every 10 microseconds. At the end the faults stop, and what was counted
is printed as a table. The exit code says whether everything adds up.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import itertools
import logging
import random
import socket as sockets
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

sys.path.insert(0, str(Path(__file__).parents[1]))
from faults.server_process import Process, until

from rxsocket import (
    AuthChange,
    Backoff,
    Connecting,
    Event,
    InEffect,
    Receipt,
    Socket,
    SocketError,
    SocketFailed,
    State,
    handover,
    in_band,
    reconnect,
)
from rxsocket.testing import Grammar

EMPTY = "HTTP/1.1 {}\r\nContent-Length: 0\r\n\r\n"
ENDLESS = "HTTP/1.1 {}\r\nContent-Length: 1000000\r\n\r\nand so on"
PLAYS: list[dict[str, Any]] = [
    {"do": "cut"},
    {"do": "leave"},
    {"do": "refuse"},
    {"do": "answer", "text": EMPTY.format("502 Bad Gateway")},
    {"do": "answer", "text": EMPTY.format("400 Bad Request")},
    {"do": "answer", "text": EMPTY.format("429 Slow Down\r\nRetry-After: 0")},
    {"do": "answer", "text": ENDLESS.format("503 Busy"), "stays": True},
    {"do": "answer", "text": "hello\r\n\r\n"},
    {"do": "hang"},
    {"do": "drip", "pause": 0.01},
    {"do": "bytes", "hex": b"\xff\xff".hex()},
]
ANSWERS = (
    EMPTY.format("404 Not Found"),
    EMPTY.format("302 Found\r\nLocation: http://login.invalid/"),
    EMPTY.format("426 Upgrade Required"),
    ENDLESS.format("200 OK"),
)
"""What is said to everybody for a while."""
CODES = (1000, 1001, 1005, 1009, 1011, 1012, 1013, 1014, 3000, 4000, 4401, 4999)
CLIENTS, THREADS, LOOPS = 8, 8, 3
EVERY = 0.05
"""Seconds between two messages of the server's on a connection, and of a thread's over a socket."""
SWITCH_INTERVAL = 1e-5


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

    def __init__(self, socket: Socket, name: str) -> None:
        self._socket = socket
        self._name = name
        self._lock = threading.Lock()
        self._order = threading.Lock()
        self.count = 0
        self.sent: set[int] = set()
        self.failed: dict[int, str] = {}
        self.twice = 0

    def send(self) -> None:
        """Send the next number."""
        with self._order:
            self.count = number = self.count + 1
            receipt = self._socket.send(f"{self._name} {number}")
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


class Client:
    """One of the sockets, and what is known of it."""

    def __init__(
        self,
        far: Process,
        number: int,
        transport: str,
        loop: asyncio.AbstractEventLoop | None,
        chance: random.Random,
    ) -> None:
        strategies = (
            reconnect(),
            handover(),
            handover(ready="message"),
            in_band(lambda value: f"auth {value}", accepted=lambda text: text.startswith("auth ")),
        )
        self.strategy = strategies[number % 4]
        self.number = number
        self.grammar, self.inbox = Grammar(), TickChecker()
        self.kinds: Counter[str] = Counter()
        self.changes: list[Receipt[AuthChange]] = []
        self.ended: list[Exception] = []
        self.tokens = itertools.count(1)
        self.socket: Socket = Socket(
            f"{far.url}/{number}",
            auth=None,  # until everybody is there
            transport=transport,  # type: ignore[arg-type]
            loop=loop,
            proxy=far.url.replace("ws:", "http:").removesuffix("/feed") if number % 3 else None,
            identity=lambda _: "the same",
            on_auth_change=self.strategy,
            max_age=5.0,
            backoff=Backoff(first=0.05, base=0.05, cap=0.2, spacing=0.02, random=chance),
            clean_close="reconnect",
            stable_after=0.1,
            open_timeout=0.5,
            ping_interval=0.3,
            ping_timeout=0.3,
            close_timeout=0.5,
        )
        self.socket.events.subscribe(self._on_event, on_error=self.ended.append)
        self.socket.messages.subscribe(self.inbox, on_error=lambda _: None)
        self.outbox = NumberSender(self.socket, str(number))
        self.change()

    def _on_event(self, event: Event) -> None:
        self.grammar(event)
        self.kinds[type(event).__name__] += 1

    def change(self, kind: str = "good") -> None:
        """Set another credential."""
        token = f"{kind}-{self.number}-{next(self.tokens)}"
        self.changes.append(self.socket.set_auth({"token": token}))

    def settle(self) -> AuthChange:
        """The outcome of one more change, when nothing is in its way any more."""
        self.change()
        return self.changes[-1].result(30)


class Bad(BaseException):
    """What an observer raises that is no Exception."""


class Worker(threading.Thread):
    """Does whatever a user may do, to any of the sockets."""

    def __init__(
        self,
        clients: list[Client],
        make: Callable[[], Socket],
        hole: str,
        seed: int,
        ends: threading.Event,
    ) -> None:
        super().__init__(name=f"worker {seed}")
        self._clients = clients
        self._make = make
        self._hole = hole
        self._chance = random.Random(seed)
        self._ends = ends
        self.done: Counter[str] = Counter()
        self.dials = 0
        self.failures: list[str] = []

    def run(self) -> None:
        actions = [
            *[self.send] * 40,
            *(self.change, self.bad_token, self.again, self.observe, self.look),
            *(self.own_socket, self.own_loop, self.black_hole),
        ]
        while not self._ends.wait(self._chance.uniform(0, 2 * EVERY / CLIENTS * THREADS)):
            action = self._chance.choice(actions)
            self.done[action.__name__] += 1
            try:
                action(self._chance.choice(self._clients))
            except BaseException as error:
                self.failures.append(f"{action.__name__}: {type(error).__name__}: {error}")

    def send(self, client: Client) -> None:
        client.outbox.send()

    def change(self, client: Client) -> None:
        for _ in range(self._chance.choice((1, 1, 5))):
            client.change()

    def bad_token(self, client: Client) -> None:
        client.change("bad")
        self._ends.wait(0.1)
        client.change()

    def again(self, client: Client) -> None:
        client.socket.reconnect()

    def observe(self, client: Client) -> None:
        """Subscribe one that raises what is no ``Exception``, and one that leaves."""
        error = self._chance.choice((Bad(), GeneratorExit(), asyncio.CancelledError(), OSError()))

        def raises(_: object) -> None:
            raise error

        stream = self._chance.choice((client.socket.messages, client.socket.events))
        stream.subscribe(raises, on_error=lambda _: None)
        with client.socket.state.subscribe(lambda _: None):
            self._ends.wait(0.02)

    def look(self, client: Client) -> None:
        assert client.socket.explain()
        assert repr(client.socket)

    def own_socket(self, _: Client) -> None:
        """One that is sent to and closed."""
        socket = self._make()
        socket.events.subscribe(self._count, on_error=lambda _: None)
        receipt = socket.send("other")
        self._ends.wait(self._chance.uniform(0, 0.1))
        socket.close().result(5)
        until(lambda: receipt.done)

    def own_loop(self, _: Client) -> None:
        """One in a program that ends in the middle of it."""

        async def main() -> None:
            socket = self._make()
            socket.events.subscribe(self._count, on_error=lambda _: None)
            if self._chance.random() < 0.5:
                await asyncio.sleep(self._chance.uniform(0, 0.05))
            else:
                async with asyncio.timeout(0.2):
                    async for _ in socket.messages:
                        break

        with suppress(TimeoutError, SocketFailed):  # its first dial may be told what ends it
            asyncio.run(main())

    def black_hole(self, _: Client) -> None:
        """One whose dial nobody answers."""
        socket: Socket = Socket(self._hole)
        with socket.connect():
            receipt = socket.send("nobody hears this")
            self._ends.wait(self._chance.uniform(0, 0.1))
        socket.close().result(5)
        until(lambda: receipt.done)

    def _count(self, event: Event) -> None:
        self.dials += isinstance(event, Connecting)


@contextmanager
def black_hole() -> Iterator[str]:
    """An address where a connection attempt is not answered: its queue is full."""
    with ExitStack() as stack:
        listening = stack.enter_context(sockets.socket())
        listening.bind(("127.0.0.1", 0))
        listening.listen(0)
        for _ in range(3):
            waiting = stack.enter_context(sockets.socket())
            waiting.setblocking(False)
            waiting.connect_ex(listening.getsockname())
        yield f"ws://127.0.0.1:{listening.getsockname()[1]}/"


class LoopThread:
    """A loop of a user's own, and what asyncio complained of."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever, name="a user's loop")
        self._thread.start()

    def stop(self) -> list[str]:
        """End it; what was left on it, in words."""
        left: list[str] = []

        def finish() -> None:
            left.extend(map(repr, asyncio.all_tasks(self.loop)))
            self.loop.stop()

        if not self._thread.is_alive():
            return ["the loop had ended"]
        self.loop.call_soon_threadsafe(finish)
        self._thread.join()
        self.loop.close()
        return left


class Complaints(logging.Handler):
    """What asyncio says, and what is a bug by our own account."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.texts: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        text = record.getMessage()
        ours = record.name.startswith("rxsocket")
        if not ours or "unexpected" in text or "a bug in" in text or "internal" in text:
            self.texts.append(f"{record.name}: {text}"[:300])


def soak(seconds: float, seed: int, transport: str = "websockets") -> Report:
    """Run it; see the module."""
    complaints, interval = Complaints(), sys.getswitchinterval()
    logs = [logging.getLogger("rxsocket"), logging.getLogger("asyncio")]
    far = Process()
    for log in logs:
        log.addHandler(complaints)
    logs[0].propagate = False  # thousands of faults are a line each
    sys.setswitchinterval(SWITCH_INTERVAL)
    try:
        with black_hole() as hole:
            report = _soak(far, seconds, seed, transport, hole)
        gc.collect()
        report.row("complaints", complaints.texts or 0, not complaints.texts)
        return report
    finally:
        sys.setswitchinterval(interval)
        for log in logs:
            log.removeHandler(complaints)
        logs[0].propagate = True
        far.stop()


def _soak(far: Process, seconds: float, seed: int, transport: str, hole: str) -> Report:
    report, chance = Report(), random.Random(seed)
    far.ask(do="tick", every=EVERY)
    files, loops = psutil.Process().num_fds(), [LoopThread() for _ in range(LOOPS)]
    homes = [None, *(loop.loop for loop in loops)]
    clients = [
        Client(far, number, transport, homes[number % len(homes)], random.Random(seed + number))
        for number in range(CLIENTS)
    ]
    _until_open(clients)
    time.sleep(0.2)  # stable: from here on nothing ends them

    def make() -> Socket:
        backoff = Backoff(first=0.05, base=0.05, cap=0.2, spacing=0.02)
        name = f"{far.url}/other"
        return Socket(name, auth={"token": "good"}, transport=transport, backoff=backoff)  # type: ignore[arg-type]

    ends = threading.Event()
    workers = [Worker(clients, make, hole, seed * 100 + n, ends) for n in range(THREADS)]
    for worker in workers:
        worker.start()
    done: Counter[str] = Counter()
    actions = _faults(far, chance)
    started, measured = time.monotonic(), (0, 0)
    warm, until_then = started + seconds / 4, started + seconds
    while (now := time.monotonic()) < until_then:
        if measured == (0, 0) and now >= warm:
            measured = _resources()
        time.sleep(chance.uniform(0.05, 0.5))
        action = chance.choice(list(actions))
        done[action] += 1
        actions[action]()
    ends.set()
    for worker in workers:
        worker.join()
        done += worker.done

    far.ask(do="forget")
    outcomes = [client.settle() for client in clients]
    _until_open(clients)
    echoes = [client.inbox.echoes for client in clients]
    for client in clients:
        for _ in range(20):
            client.outbox.send()
    for client, before in zip(clients, echoes, strict=True):
        until(lambda client=client, before=before: client.inbox.echoes >= before + 20, 20)  # type: ignore[misc]
        until(lambda client=client: client.outbox.open == 0)  # type: ignore[misc]
    far.ask(do="tick", every=0.0)
    until(lambda: far.ask(do="open") <= CLIENTS)
    seen, after = far.seen, _resources()

    kinds: Counter[str] = sum((client.kinds for client in clients), Counter())
    report.row("seconds", f"{seconds:g}, with {done.total()} actions and faults")
    report.row("actions and faults", ", ".join(f"{name} {n}" for name, n in sorted(done.items())))
    report.row("events", ", ".join(f"{name} {kinds[name]}" for name in sorted(kinds)))
    dials = kinds["Connecting"] + sum(worker.dials for worker in workers)
    report.row("handshakes", f"{seen['dials']} of {dials} dials", seen["dials"] <= dials)
    _account(report, clients, seen)
    report.row("connections at the end", seen["open"], seen["open"] == CLIENTS)
    settled = all(isinstance(outcome, InEffect) for outcome in outcomes)
    report.row("outcomes of the last changes", Counter(type(o).__name__ for o in outcomes), settled)
    changes = [change for client in clients for change in client.changes]
    until(lambda: all(change.done for change in changes), 20)
    report.row("changes of the credential", len(changes))
    ended = [error for client in clients for error in client.ended]
    report.row("ended by a fault", ended or 0, not ended)
    failures = [text for worker in workers for text in worker.failures]
    report.row("actions that raised", failures[:10] or 0, not failures)
    _flat(report, measured, after, done.total())
    _close(report, far, clients, loops, files)
    return report


def _until_open(clients: list[Client]) -> None:
    try:
        until(lambda: all(client.socket.state.value is State.OPEN for client in clients), 20)
    except AssertionError:
        for client in clients:
            print(client.number, client.socket.explain())
        raise


def _close(
    report: Report, far: Process, clients: list[Client], loops: list[LoopThread], files: int
) -> None:
    """Close everything; nothing may be left."""
    before = [client.kinds.total() for client in clients]
    for receipt in [client.socket.close() for client in clients]:
        receipt.result(5)
    told = [client.kinds.total() - n for client, n in zip(clients, before, strict=True)]
    report.row("events of the end", told, told == [2] * CLIENTS)  # Closed, Ended
    broken: list[str] = []
    for client in clients:
        try:
            client.grammar.done()
        except AssertionError as error:
            broken.append(str(error))
    report.row("grammar", broken or "kept", not broken)
    until(lambda: far.ask(do="open") == 0)
    left = [text for loop in loops for text in loop.stop()]
    report.row("tasks left", left or 0, not left)
    for thread in threading.enumerate():
        if thread.name.startswith("rxsocket"):
            thread.join(5)
    names = [thread.name for thread in threading.enumerate() if "rxsocket" in thread.name]
    report.row("threads left", names or 0, not names)
    gc.collect()
    now = psutil.Process().num_fds()
    report.row("file descriptors left", now - files, now <= files)


def _faults(far: Process, chance: random.Random) -> dict[str, Callable[[], object]]:
    def frozen() -> None:
        far.freeze()
        time.sleep(chance.uniform(0.05, 0.5))
        far.thaw()

    def silent() -> None:
        far.freeze()
        time.sleep(1.0)  # longer than the keepalive takes
        far.thaw()

    def plays() -> None:
        for _ in range(CLIENTS):
            far.ask(do="play", play=chance.choice(PLAYS))
        far.ask(do="drop")

    def answers() -> None:
        far.ask(do="answers", text=chance.choice(ANSWERS))
        far.ask(do="drop")
        time.sleep(chance.uniform(0.1, 2.0))
        far.ask(do="answers", text=None)

    return {
        "cut": lambda: far.ask(do="drop"),
        "close": lambda: far.ask(do="close", code=chance.choice(CODES)),
        "play": plays,
        "answer": answers,
        "freeze": frozen,
        "silence": silent,
    }


def _account(report: Report, clients: list[Client], seen: dict[str, Any]) -> None:
    """What was sent: delivered, lost on the way, or reported failed; and what came."""
    arrived: dict[int, list[tuple[int, int]]] = {client.number: [] for client in clients}
    for source, text in zip(seen["sources"], seen["received"], strict=True):
        name, _, number = text.partition(" ")
        if name.isdigit():
            arrived[int(name)].append((source, int(number)))
    failed: Counter[str] = Counter()
    counts: Counter[str] = Counter()
    wrong: list[str] = []
    shown: list[str] = []
    for client in clients:
        outbox, came = client.outbox, arrived[client.number]
        numbers = Counter(number for _, number in came)
        failed += Counter(outbox.failed.values())
        counts["sent"] += outbox.count
        counts["delivered"] += len(numbers)
        counts["lost"] += len(outbox.sent - numbers.keys())
        counts["open"] += outbox.open
        counts["twice"] += outbox.twice
        counts["both"] += len(outbox.failed.keys() & numbers.keys())
        counts["doubled"] += sum(count > 1 for count in numbers.values())
        counts["unordered"] += came != sorted(came, key=lambda item: item[0]) and sorted(
            came, key=lambda item: item[0]
        ) != sorted(came)
        counts["received"] += client.inbox.ticks + client.inbox.echoes
        wrong += client.inbox.wrong
        last = [text for text in seen["requests"] if f"/feed/{client.number}?" in text][-1]
        newest = f"token=good-{client.number}-{next(client.tokens) - 1}"
        if client.number % 4 != 3 and not last.endswith(newest):  # in band, it is in no request
            shown.append(f"{last}, not {newest}")
    report.row("messages sent", counts["sent"])
    report.row("  delivered", counts["delivered"])
    report.row("  written, lost with their link", counts["lost"])
    report.row("  reported failed", dict(failed))
    report.row("  without an outcome", counts["open"], counts["open"] == 0)
    report.row("  with two outcomes", counts["twice"], counts["twice"] == 0)
    report.row("  failed, and delivered all the same", counts["both"], counts["both"] == 0)
    report.row("  delivered twice", counts["doubled"], counts["doubled"] == 0)
    report.row("  out of order", counts["unordered"], counts["unordered"] == 0)
    report.row("messages received", counts["received"])
    report.row("  out of order, or missing", wrong or 0, not wrong)
    report.row("credentials at the end", shown or "the newest", not shown)


def _resources() -> tuple[int, int]:
    """File descriptors, and bytes of memory."""
    gc.collect()
    process = psutil.Process()
    return process.num_fds(), process.memory_info().rss


def _flat(report: Report, before: tuple[int, int], after: tuple[int, int], actions: int) -> None:
    """Memory does not grow, but for what is kept here of each action."""
    grown = (after[1] - before[1]) / 2**20
    report.row(
        "memory (MiB)",
        f"{before[1] / 2**20:.1f} {grown:+.1f}",
        grown < 16.0 + actions * 200 / 2**20,
    )


def main() -> int:
    """Read the arguments, run, print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=300.0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--transport", default="websockets", choices=("websockets", "picows"))
    arguments = parser.parse_args()
    report = soak(arguments.seconds, arguments.seed, arguments.transport)
    print(report)
    return 1 if report.problems else 0


if __name__ == "__main__":
    sys.exit(main())
