"""How often messages come, how long it is between them, and how old they are."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeAlias

from reactivex import Observable, abc
from reactivex import operators as ops
from reactivex.disposable import Disposable

from rxsocket.explain.causes import describe
from rxsocket.explain.format import amount
from rxsocket.notebook.column_hints import ColumnHints
from rxsocket.publishing.source import StreamSource
from rxsocket.recording.replay import Replay
from rxsocket.render.durations import Durations, brief
from rxsocket.render.live_view import LiveView
from rxsocket.render.table import AS_OUTPUT, html_table, text_table
from rxsocket.render.view import Rendering, TimeWindow, nothing_yet
from rxsocket.schema.notes import epoch_unit
from rxsocket.socket import Socket
from rxsocket.tables.rows import Arrival, nested
from rxsocket.texts import markup, printable
from rxsocket.validation import is_observable

Part: TypeAlias = str | Callable[[Any], Any] | None

KEYS = 1000
"""Keys that are told apart."""
SHOWN = 25
"""Keys that are shown."""
RECENTLY = 10
"""Seconds of the newest rate."""
LONGEST = 60
"""Characters of a key."""
ALL, OTHERS = "all", "(others)"


@dataclass(frozen=True, slots=True)
class Rate:
    """The messages of one key.

    Attributes:
        key: The topic, symbol or the like; ``"all"`` without ``by``.
        count: How many there were.
        rate: How many a second, from the first to the last; 0 of a single one.
        recent: How many a second in the last 10 s.
        between: The time from each to the next, in seconds, as a histogram.
        age: How old each was when it arrived: the time then, minus its own; empty without
            ``time``.
    """

    key: str
    count: int
    rate: float
    recent: float
    between: Durations
    age: Durations


class _Counter:
    """Counts the messages of one key."""

    __slots__ = ("age", "between", "count", "first", "last", "recent")

    def __init__(self, now: float) -> None:
        self.count = 0
        self.first = self.last = now
        self.recent: dict[int, int] = {}
        self.between, self.age = Durations(), Durations()

    def add(self, now: float, age: float | None) -> None:
        if self.count:
            self.between.add(max(0.0, now - self.last))
        self.count += 1
        self.last = now
        second = int(now)
        if second not in self.recent:
            self.recent = {
                one: count for one, count in self.recent.items() if one > second - RECENTLY
            }
        self.recent[second] = self.recent.get(second, 0) + 1
        if age is not None:
            self.age.add(age)

    def rate(self, key: str, now: float) -> Rate:
        seconds = self.last - self.first
        recent = sum(count for one, count in self.recent.items() if one > int(now) - RECENTLY)
        spanned = min(float(RECENTLY), max(now - self.first, 1.0))
        return Rate(
            key,
            self.count,
            (self.count - 1) / seconds if seconds > 0 else 0.0,
            recent / spanned,
            self.between.copy(),
            self.age.copy(),
        )


class Rates(LiveView):
    """How often messages come. Made by :func:`rates`; dispose it to unsubscribe.

    Attributes:
        count: How many messages came.
        error: The error of the stream, or of a function of yours.
        is_ended: Whether nothing more is counted.
    """

    def __init__(
        self, by: Part, time: Part, redact: Callable[[Any], Any], now: Callable[[], float] | None
    ) -> None:
        self._by, self._time, self._redact, self._now = by, time, redact, now
        names = [part for part in (by, time) if isinstance(part, str)]
        self._hints = ColumnHints(names, lambda value: value is not None)
        self._lock = threading.Lock()
        self._counters: dict[str, _Counter] = {}
        self._observers: tuple[Callable[[], None], ...] = ()
        self._subscription: abc.DisposableBase = Disposable()
        self._last = 0.0
        self._began = None if now is None else now()
        self.count = 0
        self.error: Exception | None = None
        self.is_ended = False

    @property
    def rows(self) -> tuple[Rate, ...]:
        """The rates of the keys, the most frequent first."""
        with self._lock:
            now = self._last if self._now is None or self.is_ended else self._now()
            found = [counter.rate(key, now) for key, counter in self._counters.items()]
        return tuple(sorted(found, key=lambda rate: -rate.count))

    def add(self, arrival: Arrival) -> None:
        """Count one more message."""
        value = arrival.value
        self._hints.look_at(value)
        key = ALL if self._by is None else str(_part(self._by, value))[:LONGEST]
        at = None if self._time is None else seconds_of(_part(self._time, value))
        with self._lock:
            self.count += 1
            self._last = arrival.at
            counter = self._counters.get(key)
            if counter is None:
                key = key if len(self._counters) < KEYS else OTHERS
                counter = self._counters.setdefault(key, _Counter(arrival.at))
            counter.add(arrival.at, None if at is None else arrival.at - at)

    def subscribe_to(self, stream: Observable[Any], source: StreamSource) -> None:
        """Count what a stream emits, until it ends or this is disposed."""

        def on_next(value: Any) -> None:
            self.add(Arrival(source.wall_time(), None, value))

        self._subscription = stream.pipe(ops.map(on_next)).subscribe(
            lambda _: self._changed(), self.end, self.end
        )

    def dispose(self) -> None:
        """Count no more; what was counted stays."""
        self._subscription.dispose()
        self.end()

    def end(self, error: Exception | None = None) -> None:
        """Count no more, as there is nothing more to count."""
        if not self.is_ended:
            self.is_ended, self.error = True, error
            self._changed()

    def _changed(self) -> None:
        for on_change in self._observers:
            on_change()

    @property
    def status(self) -> str:
        """How many messages came, of how many keys, and how it ended."""
        if not self.count and self._began is not None and not self.is_ended:
            return f"messages: {nothing_yet(self._began)}"
        text = amount(self.count, "message")
        if self._by is not None:
            keys = len(self._counters)
            text += f", {amount(min(keys, KEYS), 'key')}" + (" and others" if keys > KEYS else "")
        if self._hints.text:
            text += f"; {self._redact(self._hints.text)}"
        elif (
            self._time is not None
            and self.count
            and not any(counter.age.count for counter in tuple(self._counters.values()))
        ):
            text += "; no time was found in them: pass time= of what counts from 1970, or RFC 3339"
        if self.error is not None:
            why = self._redact(describe(self.error))
            text += f"; failed: {type(self.error).__name__}: {why}"
        return text

    def __repr__(self) -> str:
        headings, cells = self._cells()
        return "\n".join([f"<Rates of {self.status}>", *text_table([headings, *cells])])

    def static(self) -> dict[str, Any]:
        """It as it is now, as a page shows it and as text."""
        return {"text/plain": repr(self), "text/html": self.render(TimeWindow()).html}

    def render(self, window: TimeWindow) -> Rendering:
        """Draw it for a page."""
        headings, cells = self._cells()
        table = html_table(headings, cells)
        note = markup(f"Rates of {self.status}")
        after = None if self.is_ended or not self.count else 1.0
        return Rendering(f"<div {AS_OUTPUT}>{note}{table}</div>", after)

    def subscribe_changes(self, on_change: Callable[[], None]) -> abc.DisposableBase:
        """Call back after each message and after the end, until disposed."""
        self._observers = (*self._observers, on_change)

        def remove() -> None:
            self._observers = tuple(one for one in self._observers if one is not on_change)

        return Disposable(remove)

    def _cells(self) -> tuple[list[str], list[list[str]]]:
        headings = ["key", "number", "a second", f"last {RECENTLY} s", *_headings("between")]
        with_age = self._time is not None
        headings += _headings("age") if with_age else []
        cells = [
            [
                printable(str(self._redact(rate.key))),
                f"{rate.count:,}",
                f"{rate.rate:,.3g}" if rate.rate < 1000 else f"{rate.rate:,.0f}",
                f"{rate.recent:,.3g}" if rate.recent < 1000 else f"{rate.recent:,.0f}",
                *_durations(rate.between),
                *(_durations(rate.age) if with_age else ()),
            ]
            for rate in self.rows
        ]
        if len(cells) > SHOWN:
            rest = ["…", f"{len(cells) - SHOWN} more"]
            cells[SHOWN:] = [rest + [""] * (len(headings) - len(rest))]
        return headings, cells


def _headings(name: str) -> list[str]:
    return [f"{name}: median", "90 %", "99 %", "longest", "shortest to longest"]


def _durations(found: Durations) -> list[str]:
    if not found.count:
        return [""] * 5
    quantiles = [brief(found.quantile(part)) for part in (0.5, 0.9, 0.99)]
    return [*quantiles, brief(found.longest), found.sparkline()]


def _part(part: str | Callable[[Any], Any], value: Any) -> Any:
    if callable(part):
        return part(value)
    return nested(part, value)


def seconds_of(value: Any) -> float | None:
    """A time in seconds since the epoch, of what counts s, ms, µs or ns, or is RFC 3339."""
    if isinstance(value, datetime):
        return value.timestamp()
    if isinstance(value, str):
        try:
            return datetime.fromisoformat(value).timestamp()
        except ValueError:
            pass
        try:
            value = float(value)
        except ValueError:
            return None
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        return None
    unit = epoch_unit(value, value)
    return None if unit is None else value / unit[0]


def rates(
    source: Observable[Any] | Socket[Any, Any] | Replay, by: Part = None, *, time: Part = None
) -> Rates:
    """Count how often messages come, how long it is between them, and how old they are.

    ::

        stream          --a--b-a-------a--b--
        rates(by=...)     a: 3, 0.3/s, 2 to 8 s between two
                          b: 2, 0.1/s

    It counts at once, until the stream ends or it is disposed. In a notebook with
    ``rxsocket[notebook]`` it is live. Memory is bounded: 1,000 keys are told apart, and durations
    are counted in bins, so that a quantile is right to within an eighth. No secret of the socket's
    credential is in what it shows (rule C28, secrets).

    Args:
        source: A socket, for its messages; an Observable; or ``replay(file)``, for the times of a
            recording.
        by: What messages are told apart by: the name of a field, also of a nested one, such as
            ``"data.symbol"``, or a function; left out, all are counted as one.
        time: Where a message says what time it is of: a name or a function, likewise. It may count
            s, ms, µs or ns since 1970, or be a text as in RFC 3339. A clock that differs from the
            server's makes all messages older, or younger, by as much.

    Raises:
        TypeError: If it is none of these, or ``by`` or ``time`` is no name or function.

    Examples:
        >>> rates(socket, by="symbol", time="ts")       # as the last line of a cell
        >>> slow = [rate for rate in rates(replay("s.jsonl"), "symbol").rows if rate.rate < 1]
    """
    for name, part in (("by", by), ("time", time)):
        if not (part is None or isinstance(part, str) or callable(part)):
            raise TypeError(
                f"rates({name}): pass the name of a field or a function, not {type(part).__name__}"
            )
    if isinstance(source, Replay):
        return _of_all(source.arrivals(), by, time)
    stream = source.messages if isinstance(source, Socket) else source
    if not is_observable(stream):
        raise TypeError(
            "rates(source): pass a socket, an Observable such as socket.messages, or "
            f"replay(file), not {type(source).__name__}"
        )
    origin = StreamSource(stream)
    found = Rates(by, time, origin.redact, origin.wall_time)
    found.subscribe_to(stream, origin)
    return found


def _of_all(arrivals: Iterable[Arrival], by: Part, time: Part) -> Rates:
    found = Rates(by, time, lambda value: value, None)
    for arrival in arrivals:
        found.add(arrival)
    found.end()
    return found
