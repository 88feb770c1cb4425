"""The last values of a stream as a table: a DataFrame of pandas or polars, or one of Arrow."""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Callable
from typing import Any

from reactivex import Observable, abc
from reactivex import operators as ops
from reactivex.subject import Subject

from rxsocket.explain.causes import describe
from rxsocket.publishing.source import StreamSource
from rxsocket.render.live_view import LiveView
from rxsocket.render.table import AS_OUTPUT, html_table, text_table
from rxsocket.render.view import Rendering, TimeWindow
from rxsocket.runtime.threads import running_loop, wall_clock
from rxsocket.socket import Socket
from rxsocket.tables.dataframes import Library, library_or_default, table, to_parquet
from rxsocket.tables.rows import COLUMNS, Arrival, cell, own_names, row, time_of_day
from rxsocket.texts import markup
from rxsocket.validation import instance, whole_number

SHOWN = 10
"""Rows that are shown."""


class StreamView(LiveView):
    """Keeps the last values of a stream, with when they came.

    Args:
        stream: The stream, subscribed to at once.
        rows: The number of values to keep.
        seconds: The time to keep them; ``None`` for ever.

    Attributes:
        count: The number of all values so far.
        error: The error of the stream.
        is_ended: Whether the stream ended.
    """

    def __init__(self, stream: Observable[Any], rows: int, seconds: float | None = None) -> None:
        self._values: deque[tuple[float, Any]] = deque(maxlen=rows)
        self._seconds = seconds
        self._lock = threading.Lock()
        self._changes: Subject[None] = Subject()
        self.count = 0
        self.error: Exception | None = None
        self.is_ended = False
        self._subscription = stream.subscribe(self._on_next, self._on_end, self._on_end)

    def dispose(self) -> None:
        """Unsubscribe from the stream; the values that came are kept."""
        self._subscription.dispose()
        self._on_end()

    def values(self) -> list[tuple[float, Any]]:
        """The values that are kept, each with its wall time."""
        with self._lock:
            self._drop_old(wall_clock(running_loop())())
            return list(self._values)

    @property
    def status(self) -> str:
        """The number of values, and the end of the stream, if it ended."""
        kept = len(self._values)
        if self.error is not None:
            end = f"; failed: {type(self.error).__name__}: {describe(self.error)}"
        else:
            end = "; ended" if self.is_ended else ""
        return (f"{kept:,} of {self.count:,}" if kept < self.count else f"{kept:,}") + end

    def subscribe_changes(self, on_change: Callable[[], None]) -> abc.DisposableBase:
        """Call back after each value and after the end, until disposed."""
        return self._changes.subscribe(lambda _: on_change())

    def _on_next(self, value: Any) -> None:
        now = wall_clock(running_loop())()
        with self._lock:
            self.count += 1
            self._values.append((now, value))
            self._drop_old(now)
        self._changes.on_next(None)

    def _drop_old(self, now: float) -> None:
        if self._seconds is not None and not self.is_ended:
            while self._values and self._values[0][0] < now - self._seconds:
                self._values.popleft()

    def _on_end(self, error: Exception | None = None) -> None:
        if not self.is_ended:
            self.is_ended, self.error = True, error
            self._changes.on_next(None)


class Frame(StreamView):
    """The last values of a stream as a table. Made by :func:`frame`; dispose it to unsubscribe."""

    def __init__(self, stream: Observable[Any], rows: int, library: Library) -> None:
        self._library: Library = library
        self._columns: dict[str, None] = {}
        source = StreamSource(stream)

        def arrival(value: Any) -> Arrival:
            self._note_columns(value)
            return Arrival(source.wall_time(), source.epoch, value)

        super().__init__(stream.pipe(ops.map(arrival)), rows)

    @property
    def df(self) -> Any:
        """The table as it is now, of its own: its last row is the last value.

        With the columns ``arrived``, the time in UTC, and ``connection``, the number of that, where
        it came over one. In pandas, the index is the number of the value in the stream, from 0.
        """
        kept, first = self._kept()
        return table(kept, self._library, first)

    def to_parquet(self, path: str | os.PathLike[str]) -> None:
        """Write the table as it is now to a Parquet file.

        Values that are of several types in one column are written as JSON text.

        Raises:
            ModuleNotFoundError: If there is neither polars nor pyarrow.
            OSError: If the file cannot be written.

        Examples:
            >>> trades.to_parquet("trades.parquet")
        """
        to_parquet(self._kept()[0], path)

    def __len__(self) -> int:
        return len(self._values)

    def __repr__(self) -> str:
        headings, rows = self._shown()
        return "\n".join([f"<Frame {self.status}>", *text_table([headings, *rows])])

    def static(self) -> dict[str, Any]:
        """It as it is now, as a page shows it and as text."""
        return {"text/plain": repr(self), "text/html": self.render(TimeWindow()).html}

    def render(self, window: TimeWindow) -> Rendering:
        """Draw its last rows for a page."""
        headings, rows = self._shown()
        note = f"rows: {self.status}" + (f"; the last {len(rows)}:" if self.count > SHOWN else "")
        return Rendering(f"<div {AS_OUTPUT}>{markup(note)}{html_table(headings, rows)}</div>")

    def _note_columns(self, value: Any) -> None:
        names = value if type(value) is dict else row(value)  # pyright: ignore[reportUnknownVariableType]
        if not self._columns.keys() >= names.keys() and len(self._columns) < COLUMNS:  # pyright: ignore[reportUnknownMemberType]
            self._columns |= dict.fromkeys(map(str, names))  # pyright: ignore[reportUnknownArgumentType]

    def _kept(self) -> tuple[list[Arrival], int]:
        """The values that are kept, and the number of the first of them."""
        with self._lock:
            return [arrival for _, arrival in self._values], self.count - len(self._values)

    def _shown(self) -> tuple[list[str], list[list[str]]]:
        """The last rows, in all columns that were seen so far, so that these stay in place."""
        kept, first = self._kept()
        tail = kept[-SHOWN:]
        cells = [row(arrival.value) for arrival in tail]
        columns = list(self._columns)[:COLUMNS]
        arrived, connection = own_names(columns)
        headings = ["", arrived, *([connection] if any(one.epoch for one in tail) else [])]
        rows = [
            [
                str(first + len(kept) - len(tail) + number),
                time_of_day(arrival.at),
                *([str(arrival.epoch or "")] if len(headings) > 2 else []),
                *(cell(names[name]) if name in names else "" for name in columns),
            ]
            for number, (arrival, names) in enumerate(zip(tail, cells, strict=True))
        ]
        return [*headings, *columns], rows


def frame(stream: Observable[Any], rows: int = 5000, *, library: Library | None = None) -> Frame:
    """Keep the last values of a stream as a table.

    It subscribes at once. Each value is a row: the columns are those of a mapping, a ``msgspec``
    struct, a dataclass or a named tuple; one that a row lacks is empty. Memory is bounded by
    ``rows``. In a notebook with ``rxsocket[notebook]`` its last rows are live. ``.df`` is a
    DataFrame of pandas or polars or a table of Arrow, with the time at which each value arrived and
    the number of its connection; ``.to_parquet(path)`` writes it to a file.

    ::

        stream     --{a: 1}--{a: 2}--{a: 3}--
        rows=2       a       a       a
                     1       1       2
                             2       3

    Args:
        stream: Any Observable.
        rows: The number of rows to keep.
        library: ``"pandas"``, ``"polars"`` or ``"arrow"``; left out, the first of these that is
            installed.

    Raises:
        TypeError: If ``stream`` is not an Observable.
        ValueError: If ``rows`` is less than 1, or there is no such library.
        ModuleNotFoundError: If the library is not installed.

    Examples:
        >>> trades = frame(socket.messages)
        >>> trades.df.groupby("symbol")["price"].mean()
        >>> frame(socket.messages, library="polars").df
    """
    if isinstance(stream, Socket):
        raise TypeError("frame(stream): pass its messages, socket.messages, not the socket")
    instance("frame(stream)", stream, Observable, "an Observable")
    return Frame(stream, whole_number("rows", rows), library_or_default("frame", library))
