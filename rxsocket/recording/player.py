"""When recorded entries are played: at the pace of then, faster, slower, or without waits."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any, Literal, TypeAlias

from reactivex import abc
from reactivex.disposable import Disposable, SerialDisposable
from reactivex.scheduler import CurrentThreadScheduler, TimeoutScheduler
from reactivex.scheduler.eventloop import AsyncIOThreadSafeScheduler

from rxsocket.recording.format import Entry
from rxsocket.runtime.threads import running_loop

Speed: TypeAlias = float | Literal["max"]

AT_A_TIME = 256
"""Entries that are played in one go; in between, whatever else waits has its turn."""


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


class _LoopScheduler(AsyncIOThreadSafeScheduler):
    """Its time is the loop's, which may be virtual; that of RxPY's own is the wall clock's."""

    @property
    def now(self) -> datetime:
        return self.to_datetime(self._loop.time())


def scheduler_or_default(
    scheduler: abc.SchedulerBase | None, *, blocking: bool = False
) -> abc.SchedulerBase:
    """The scheduler that was given, or else that of the loop that runs here.

    Args:
        scheduler: The one that was given, if any.
        blocking: Where no loop runs, play on this very thread instead of another one.
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
    """Call ``on_next`` with each entry, as long after the first as it was then.

    Where a loop runs, the functions are called on it, whatever thread the scheduler uses.

    Args:
        entries: What to play.
        scheduler: What to play by.
        speed: Times that of the recording; ``None`` for no waits at all.
        on_next: Called with each entry.
        on_completed: Called after the last one.
        since: The recorded time that is now; ``None`` for that of the first entry.

    Returns:
        A Disposable that stops it, also in the middle of a call of ``on_next``.
    """
    loop = running_loop()
    timer = SerialDisposable()
    start, origin = scheduler.to_seconds(scheduler.now), since
    early: Entry | None = None
    stopped = False

    def schedule(delay: float) -> None:
        if delay > 0:
            timer.disposable = scheduler.schedule_relative(delay, run)
        else:
            timer.disposable = scheduler.schedule(run)

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
