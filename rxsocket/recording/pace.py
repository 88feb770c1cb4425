"""When what was recorded is told: at its pace, faster or slower, or as fast as it goes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import Any, Literal, Protocol, TypeAlias

from reactivex import abc
from reactivex.disposable import Disposable, SerialDisposable
from reactivex.scheduler import CurrentThreadScheduler, TimeoutScheduler

from rxsocket.recording.lines import Entry
from rxsocket.runtime.threads import running_loop

__all__ = ["Speed", "Ticker", "play", "speed_of", "ticker"]

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
