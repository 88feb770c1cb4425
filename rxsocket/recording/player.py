"""When what was recorded is told: at its pace, faster or slower, or as fast as it goes.

A recording, dealt out to the connections that it is about.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Generator, Iterator
from typing import Any, Literal, Protocol, TypeAlias

from reactivex import abc
from reactivex.disposable import Disposable, SerialDisposable
from reactivex.scheduler import CurrentThreadScheduler, TimeoutScheduler

from rxsocket.auth.credentials import ANONYMOUS, LOGGED_OUT, PENDING, Credential
from rxsocket.events import (
    AwaitingAuth,
    Connecting,
    EpochEnd,
    EpochEvent,
    Opened,
)
from rxsocket.recording.format import AuthSeen, Entry
from rxsocket.runtime.threads import running_loop

__all__ = [
    "Reel",
    "Speed",
    "Ticker",
    "play",
    "recorded_credential",
    "speed_of",
    "ticker",
]

Speed: TypeAlias = float | Literal["max"]

AT_A_TIME = 256
"""Entries that are told in one go; in between, whatever else waits has its turn."""


def speed_of(value: Any) -> float | None:
    """Check a speed: times that of the recording, ``None`` for ``"max"``.

    Raises:
        TypeError: If it is neither a number nor ``"max"``.
        ValueError: If it is a number that is not more than 0.
    """
    if value == "max":
        return None
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise TypeError(f"speed: pass a number such as 2.0, or 'max', not {value!r}")
    if not 0 < value < float("inf"):
        raise ValueError(f"speed: pass a number that is more than 0, or 'max', not {value!r}")
    return float(value)


class Ticker(Protocol):
    """A clock with timers."""

    def now(self) -> float:
        """The time, in seconds."""
        ...

    def later(self, seconds: float, action: Callable[[], None]) -> abc.DisposableBase:
        """Call back after some seconds, unless disposed before."""
        ...


def ticker(scheduler: abc.SchedulerBase | None, *, at_once: bool = False) -> Ticker:
    """The clock to play by.

    Args:
        scheduler: The one that was asked for, if any; else it is the loop that runs here.
        at_once: Whether to play on this very thread where no loop runs.
    """
    loop = running_loop()
    if scheduler is not None:
        return _Scheduled(scheduler, loop)
    if loop is not None:
        return _Looped(loop)
    return _Scheduled(
        CurrentThreadScheduler.singleton() if at_once else TimeoutScheduler.singleton(), None
    )


class _Looped:
    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop

    def now(self) -> float:
        return self._loop.time()

    def later(self, seconds: float, action: Callable[[], None]) -> abc.DisposableBase:
        return Disposable(self._loop.call_later(seconds, action).cancel)


class _Scheduled:
    """The time of a scheduler, with what it calls back brought to the loop that plays."""

    def __init__(
        self, scheduler: abc.SchedulerBase, loop: asyncio.AbstractEventLoop | None
    ) -> None:
        self._scheduler = scheduler
        self._loop = loop

    def now(self) -> float:
        return self._scheduler.to_seconds(self._scheduler.now)

    def later(self, seconds: float, action: Callable[[], None]) -> abc.DisposableBase:
        def due(scheduler: abc.SchedulerBase, state: object = None) -> None:
            if self._loop is None or running_loop() is self._loop:
                action()
            elif not self._loop.is_closed():
                self._loop.call_soon_threadsafe(action)

        if seconds <= 0:
            return self._scheduler.schedule(due)
        return self._scheduler.schedule_relative(seconds, due)


def play(
    entries: Iterator[Entry],
    time: Ticker,
    speed: float | None,
    tell: Callable[[Entry], None],
    over: Callable[[], None],
    *,
    since: float | None = None,
) -> abc.DisposableBase:
    """Tell entries, each as long after the first as it was then, divided by the speed.

    Args:
        entries: What to tell.
        time: The clock.
        speed: Times that of the recording; ``None`` for no waits at all.
        tell: Called with each.
        over: Called after the last one.
        since: The recorded time that is now; ``None`` for that of the first entry.

    Returns:
        A Disposable that stops it, also in the middle of a call of ``tell``.
    """
    timer = SerialDisposable()
    start, origin = time.now(), since
    waiting: Entry | None = None
    stopped = False

    def go_on() -> None:
        nonlocal waiting, origin
        for _ in range(AT_A_TIME):
            if stopped:
                return
            entry = waiting or next(entries, None)
            if entry is None:
                over()
                return
            waiting = None
            if speed is not None:
                origin = entry.at if origin is None else origin
                # The wall clock that was recorded may have been set back.
                due = start + max(0.0, round(entry.at - origin, 6)) / speed
                left = due - time.now()
                if left > 1e-6:
                    waiting = entry
                    timer.disposable = time.later(left, go_on)
                    return
            tell(entry)
        if not stopped:
            timer.disposable = time.later(0.0, go_on)

    def stop() -> None:
        nonlocal stopped
        stopped = True
        timer.dispose()

    timer.disposable = time.later(0.0, go_on)
    return Disposable(stop)


_WITHOUT_VALUE = {"anonymous": ANONYMOUS, "logged out": LOGGED_OUT, "none yet": PENDING}


def recorded_credential(seen: AuthSeen, again: int = 0) -> Credential:
    """A credential that stands for a recorded one: equal if that was, of the same names.

    ``again`` makes it another one.
    """
    known = _WITHOUT_VALUE.get(seen.kind)
    if known is not None:
        return known
    value = f"recorded-{seen.credential}" + (f"-{again}" if again else "")
    return Credential.of(value if seen.names is None else dict.fromkeys(seen.names, value))


class Reel:
    """The entries of a recording, each read once; those of several connections may alternate.

    Args:
        entries: What was recorded.
    """

    def __init__(self, entries: Iterator[Entry]) -> None:
        self._entries = entries
        self._queues: dict[int, deque[Entry]] = {}
        self._waiting: deque[int] = deque()
        self._begun: set[int] = set()
        self._seen = AuthSeen(at=0.0, credential=0, kind="anonymous")
        # What was read and is not taken yet.
        self._ahead: deque[Entry] = self._until_the_first_credential()

    @property
    def first(self) -> AuthSeen:
        """The credential to begin with; a provider's is known only in the first attempt."""
        return self._seen

    def begin(self) -> int | None:
        """The next connection's epoch; ``None`` when there is none left."""
        while not self._waiting:
            entry = self._read()
            if entry is None:
                return None
            if isinstance(entry, EpochEvent):
                self._put(entry)
        return self._waiting.popleft()

    @property
    def more(self) -> bool:
        """Whether there is another connection."""
        return bool(self._waiting) or any(map(self._begins, self._upcoming()))

    @property
    def dials(self) -> bool:
        """Whether the credential of this moment was dialled with."""
        for entry in self._upcoming():
            if isinstance(entry, (Connecting, AwaitingAuth, AuthSeen)):
                return isinstance(entry, Connecting)
        return False

    def take(self, epoch: int | None) -> Generator[EpochEvent | AuthSeen, None, None]:
        """What happened to one connection up to its end, and to the credential meanwhile."""
        if epoch is None:
            return
        queue = self._queues[epoch]
        try:
            while True:
                entry = queue.popleft() if queue else self._read()
                if entry is None:
                    return
                if isinstance(entry, AuthSeen):
                    yield entry
                elif isinstance(entry, EpochEvent):
                    if entry.epoch != epoch:
                        self._put(entry)
                        continue
                    yield entry
                    if isinstance(entry, EpochEnd):
                        return
        finally:
            del self._queues[epoch]

    def until_next(self) -> Iterator[AuthSeen | Connecting]:
        """The changes of the credential before the next connection begins, and that beginning."""
        while not self._waiting:
            entry = self._read()
            if isinstance(entry, AuthSeen):
                yield entry
            elif isinstance(entry, EpochEvent):
                self._put(entry)
                if isinstance(entry, Connecting):
                    yield entry
                    return
            elif entry is None:
                return

    def _upcoming(self) -> Iterator[Entry]:
        """What comes next, without taking it."""
        yield from tuple(self._ahead)
        for entry in self._entries:
            self._ahead.append(entry)
            yield entry

    def _read(self) -> Entry | None:
        return self._ahead.popleft() if self._ahead else next(self._entries, None)

    def _begins(self, entry: Entry) -> bool:
        return isinstance(entry, EpochEvent) and entry.epoch not in self._begun

    def _put(self, entry: EpochEvent) -> None:
        epoch = entry.epoch
        if self._begins(entry):
            self._begun.add(epoch)
            self._queues[epoch] = deque()
            self._waiting.append(epoch)
        if epoch in self._queues:  # not one that was left before its end
            self._queues[epoch].append(entry)

    def _until_the_first_credential(self) -> deque[Entry]:
        read: deque[Entry] = deque()
        for entry in self._entries:
            if isinstance(entry, AuthSeen):
                if entry.kind != "none yet":
                    self._seen = entry
                    break
                continue
            read.append(entry)
            if isinstance(entry, (Opened, EpochEnd)):
                break
        return read
