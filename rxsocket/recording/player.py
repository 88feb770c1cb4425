"""Plays recorded entries: at the recorded pace, faster, slower, or without waits, by connection."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterator
from datetime import datetime
from typing import Any, Literal, TypeAlias

from reactivex import abc
from reactivex.disposable import Disposable, SerialDisposable
from reactivex.scheduler import CurrentThreadScheduler, TimeoutScheduler
from reactivex.scheduler.eventloop import AsyncIOThreadSafeScheduler

from rxsocket.events import AwaitingAuth, Connecting, EpochEnd, EpochEvent, Opened
from rxsocket.recording.format import AuthSeen, Entry
from rxsocket.runtime.threads import running_loop

Speed: TypeAlias = float | Literal["max"]

AT_A_TIME = 256
"""Entries that are played in one turn of the loop."""


def speed_of(value: Any) -> float | None:
    """Check a speed; ``None`` stands for ``"max"``."""
    if value == "max":
        return None
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise TypeError(f"speed: pass a number such as 2.0, or 'max', not {value!r}")
    if not 0 < value < float("inf"):
        raise ValueError(f"speed: pass a number that is more than 0, or 'max', not {value!r}")
    return float(value)


class _LoopScheduler(AsyncIOThreadSafeScheduler):
    """Its time is the loop's, which may be virtual; RxPY's own has the wall clock's."""

    @property
    def now(self) -> datetime:
        return self.to_datetime(self._loop.time())


def scheduler_or_default(
    scheduler: abc.SchedulerBase | None, *, blocking: bool = False
) -> abc.SchedulerBase:
    """The given scheduler, or else one of the running loop.

    Without a loop, it runs on another thread, or on this one if ``blocking``.
    """
    if scheduler is not None:
        return scheduler
    loop = running_loop()
    if loop is not None:
        return _LoopScheduler(loop)
    return CurrentThreadScheduler.singleton() if blocking else TimeoutScheduler.singleton()


def play(
    entries: Iterator[Entry],
    scheduler: abc.SchedulerBase,
    speed: float | None,
    on_next: Callable[[Entry], None],
    on_completed: Callable[[], None],
    *,
    since: float | None = None,
) -> abc.DisposableBase:
    """Call ``on_next`` with each entry, as long after the first as it was recorded.

    If a loop runs, the functions are called on it, on whatever thread the scheduler runs.

    Args:
        entries: The entries.
        scheduler: Its time is that of the player.
        speed: Factor to the recorded speed; ``None`` for no waits.
        on_next: Called with each entry.
        on_completed: Called after the last one.
        since: The recorded time of the start; ``None`` for that of the first entry.

    Returns:
        A Disposable that stops it, also in the middle of a call of ``on_next``.
    """
    loop = running_loop()
    timer = SerialDisposable()
    start, origin = scheduler.to_seconds(scheduler.now), since
    early: Entry | None = None
    stopped = False

    def schedule(delay: float) -> None:
        timer.disposable = scheduler.schedule_relative(delay, run)

    def run(_: abc.SchedulerBase, state: object = None) -> None:
        if loop is None or running_loop() is loop:
            play_due()
        elif not loop.is_closed():
            loop.call_soon_threadsafe(play_due)

    def play_due() -> None:
        nonlocal early, origin
        for _ in range(AT_A_TIME):
            if stopped:
                return
            entry = early or next(entries, None)
            if entry is None:
                on_completed()
                return
            early = None
            if speed is not None:
                origin = entry.at if origin is None else origin
                # The wall clock that was recorded may have been set back.
                due = start + max(0.0, round(entry.at - origin, 6)) / speed
                delay = due - scheduler.to_seconds(scheduler.now)
                if delay > 1e-6:
                    early = entry
                    schedule(delay)
                    return
            on_next(entry)
        if not stopped:
            schedule(0.0)

    def stop() -> None:
        nonlocal stopped
        stopped = True
        timer.dispose()

    schedule(0.0)
    return Disposable(stop)


class RecordedConnections:
    """The connections of a recording, one after the other.

    The file is read once and only as far as needed. Entries of several connections may alternate
    in it: those of later connections wait in a queue.

    Attributes:
        first_credential: The credential to start with. A provider's is known only in the first
            attempt.
    """

    def __init__(self, entries: Iterator[Entry]) -> None:
        self._entries = entries
        self._queues: dict[int, deque[Entry]] = {}
        self._waiting: deque[int] = deque()
        self._begun: set[int] = set()
        self._read_ahead: deque[Entry] = deque()
        self.first_credential = self._find_first_credential()

    def next_epoch(self) -> int | None:
        """The epoch of the next connection; ``None`` after the last one."""
        while not self._waiting:
            entry = self._next_entry()
            if entry is None:
                return None
            if isinstance(entry, EpochEvent):
                self._enqueue(entry)
        return self._waiting.popleft()

    @property
    def has_more(self) -> bool:
        return bool(self._waiting) or any(map(self._is_new, self._peek()))

    @property
    def dials_next(self) -> bool:
        """True if a connection was attempted before the credential changed again."""
        for entry in self._peek():
            if isinstance(entry, (Connecting, AwaitingAuth, AuthSeen)):
                return isinstance(entry, Connecting)
        return False

    def entries_of(self, epoch: int | None) -> Generator[EpochEvent | AuthSeen, None, None]:
        """The entries of one connection up to its end, and the credentials meanwhile."""
        if epoch is None:
            return
        queue = self._queues[epoch]
        try:
            while True:
                entry = queue.popleft() if queue else self._next_entry()
                if entry is None:
                    return
                if isinstance(entry, AuthSeen):
                    yield entry
                elif isinstance(entry, EpochEvent):
                    if entry.epoch != epoch:
                        self._enqueue(entry)
                        continue
                    yield entry
                    if isinstance(entry, EpochEnd):
                        return
        finally:
            del self._queues[epoch]

    def between_connections(self) -> Iterator[AuthSeen | Connecting]:
        """The credentials up to the next connection, and its first entry."""
        while not self._waiting:
            entry = self._next_entry()
            if isinstance(entry, AuthSeen):
                yield entry
            elif isinstance(entry, EpochEvent):
                self._enqueue(entry)
                if isinstance(entry, Connecting):
                    yield entry
                    return
            elif entry is None:
                return

    def _peek(self) -> Iterator[Entry]:
        yield from tuple(self._read_ahead)
        for entry in self._entries:
            self._read_ahead.append(entry)
            yield entry

    def _next_entry(self) -> Entry | None:
        return self._read_ahead.popleft() if self._read_ahead else next(self._entries, None)

    def _is_new(self, entry: Entry) -> bool:
        return isinstance(entry, EpochEvent) and entry.epoch not in self._begun

    def _enqueue(self, entry: EpochEvent) -> None:
        epoch = entry.epoch
        if self._is_new(entry):
            self._begun.add(epoch)
            self._queues[epoch] = deque()
            self._waiting.append(epoch)
        if epoch in self._queues:  # else the socket closed it before its recorded end
            self._queues[epoch].append(entry)

    def _find_first_credential(self) -> AuthSeen:
        for entry in self._entries:
            if isinstance(entry, AuthSeen):
                if entry.kind != "none yet":
                    return entry
                continue
            self._read_ahead.append(entry)
            if isinstance(entry, (Opened, EpochEnd)):
                break
        return AuthSeen(at=0.0, credential=0, kind="anonymous")
