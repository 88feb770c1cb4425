"""The last values of a stream as a table: a DataFrame of pandas or polars, or one of Arrow."""

from __future__ import annotations

import os
from collections import OrderedDict, deque
from collections.abc import Callable, Hashable
from typing import Any, NamedTuple

from reactivex import Observable

from rxsocket.explain.format import amount
from rxsocket.notebook.column_hints import ColumnHints
from rxsocket.notebook.stream_view import StreamView
from rxsocket.render.table import AS_OUTPUT, html_table, text_table
from rxsocket.render.view import Rendering, TimeWindow, nothing_yet
from rxsocket.socket import Socket
from rxsocket.tables.dataframes import Library, library_or_default, table, to_parquet
from rxsocket.tables.rows import (
    COLUMNS,
    Arrival,
    cell,
    json_text,
    nested,
    own_names,
    row,
    time_of_day,
)
from rxsocket.texts import markup
from rxsocket.validation import instance, whole_number

SHOWN = 10
"""Rows that are shown, where nothing scrolls."""
KEYS = 20
"""Those of which each has a key."""


class _Kept(NamedTuple):
    """A row: the number of its value in the stream, and that of the first with its key."""

    number: int
    first: int
    arrival: Arrival


class Frame(StreamView):
    """The last values of a stream as a table. Made by :func:`frame`; dispose it to unsubscribe."""

    def __init__(
        self,
        stream: Observable[Any],
        rows: int,
        library: Library,
        key: str | Callable[[Any], Any] | None,
    ) -> None:
        self._library: Library = library
        self._rows, self._key = rows, key
        self._hints = ColumnHints(
            [key] if isinstance(key, str) else [], lambda value: value is not None
        )
        self._columns: dict[str, None] = {}
        self._last: deque[_Kept] = deque(maxlen=rows)
        self._latest: OrderedDict[Hashable, _Kept] = OrderedDict()
        self._number = 0
        super().__init__(stream)

    @property
    def df(self) -> Any:
        """The table as it is now, of its own: its last row is the last value.

        With the columns ``arrived``, the time in UTC, and ``connection``, the number of that, where
        it came over one. In pandas, the index is the number of the value in the stream, from 0;
        with ``key``, that of the row.
        """
        kept = self._kept()
        first = kept[0].number if kept and self._key is None else 0
        return table([one.arrival for one in kept], self._library, first)

    def to_parquet(self, path: str | os.PathLike[str]) -> None:
        """Write the table as it is now to a Parquet file.

        Values that are of several types in one column are written as JSON text.

        Raises:
            ModuleNotFoundError: If there is neither polars nor pyarrow.
            OSError: If the file cannot be written.

        Examples:
            >>> trades.to_parquet("trades.parquet")
        """
        to_parquet([one.arrival for one in self._kept()], path)

    def __len__(self) -> int:
        return len(self._last) or len(self._latest)

    @property
    def title(self) -> str:
        """What it is, in a few words."""
        return "table of a stream"

    @property
    def status(self) -> str:
        """The number of rows, and of the values that they are of, and how it ended."""
        if not self.count:
            return nothing_yet(self._since) + self.ending
        kept = f"{len(self):,}"
        if self._key is not None:
            text = f"{kept} of {amount(self.count, 'value')}, the latest of each key"
        else:
            text = f"{kept} of {self.count:,}" if len(self) < self.count else kept
        hint = self._source.redact(self._hints.text)
        return text + (f"; {hint}" if hint else "") + self.ending

    def __repr__(self) -> str:
        headings, rows = self._shown()
        return "\n".join([f"<Frame {self.status}>", *text_table([headings, *rows])])

    def static(self) -> dict[str, Any]:
        """It as it is now, as a page shows it and as text."""
        return {"text/plain": repr(self), "text/html": self.render(TimeWindow()).html}

    def render(self, window: TimeWindow) -> Rendering:
        """Draw its last rows for a page."""
        headings, rows = self._shown()
        which = "first" if self._key is not None else "last"
        more = f"; the {which} {len(rows)}:" if len(self) > len(rows) else ""
        note = markup(f"rows: {self.status}{more}")
        return Rendering(f"<div {AS_OUTPUT}>{note}{html_table(headings, rows)}</div>")

    # --- what is kept

    def _keep(self, value: Any) -> None:
        arrival = Arrival(self._source.wall_time(), self._source.epoch, value)
        key: Any = None
        if self._key is not None:
            self._hints.look_at(value)
            key = self._key(value) if callable(self._key) else nested(self._key, value)
            if not isinstance(key, Hashable):
                key = json_text(key)
        names = value if type(value) is dict else row(value)  # pyright: ignore[reportUnknownVariableType]
        is_new = not self._columns.keys() >= names.keys()  # pyright: ignore[reportUnknownMemberType]
        with self._lock:
            number = self._number
            self._number += 1
            if is_new and len(self._columns) < COLUMNS:
                self._columns |= dict.fromkeys(map(str, names))  # pyright: ignore[reportUnknownArgumentType]
            if self._key is None:
                self._last.append(_Kept(number, number, arrival))
            elif key is not None:
                before = self._latest.pop(key, None)
                self._latest[key] = _Kept(number, before.first if before else number, arrival)
                if len(self._latest) > self._rows:
                    self._latest.popitem(last=False)

    def _kept(self) -> list[_Kept]:
        """The rows: the oldest first, or with a key, in the order in which the keys came."""
        with self._lock:
            if self._key is None:
                return list(self._last)
            return sorted(self._latest.values(), key=lambda one: one.first)

    def _shown(self) -> tuple[list[str], list[list[str]]]:
        """Some rows, in all columns that were seen so far, so that these stay in place."""
        kept = self._kept()
        some = kept[-SHOWN:] if self._key is None else kept[:KEYS]
        columns = list(self._columns)[:COLUMNS]
        arrived, connection = own_names(columns)
        has_epoch = any(one.arrival.epoch for one in some)
        rows: list[list[str]] = []
        for one in some:
            names = row(one.arrival.value)
            epoch = [str(one.arrival.epoch or "")] if has_epoch else []
            cells = (cell(names[name]) if name in names else "" for name in columns)
            rows.append([str(one.number), time_of_day(one.arrival.at), *epoch, *cells])
        return ["", arrived, *([connection] if has_epoch else []), *columns], rows


def frame(
    stream: Observable[Any],
    rows: int = 5000,
    *,
    key: str | Callable[[Any], Any] | None = None,
    library: Library | None = None,
) -> Frame:
    """Keep the last values of a stream as a table.

    It subscribes at once. Each value is a row: the columns are those of a mapping, a ``msgspec``
    struct, a dataclass or a named tuple; one that a row lacks is empty. Memory is bounded by
    ``rows``. In a notebook with ``rxsocket[notebook]`` its last 10 rows are live, with ``key`` the
    first 20. ``.df`` is a DataFrame of pandas or polars or a table of Arrow, with the time at which
    each value arrived and the number of its connection; ``.to_parquet(path)`` writes it to a file.

    ::

        stream     --{a: 1}--{a: 2}--{a: 3}--
        rows=2       a       a       a
                     1       1       2
                             2       3

    Args:
        stream: Any Observable.
        rows: The number of rows to keep.
        key: Keep the latest row of each value of this alone: the name of a field, also of a nested
            one, such as ``"data.symbol"``, or a function. A value without one is left out. Of more
            than ``rows`` keys those go first that were not renewed for longest.
        library: ``"pandas"``, ``"polars"`` or ``"arrow"``; left out, the first of these that is
            installed.

    Raises:
        TypeError: If ``stream`` is not an Observable, or ``key`` is not a name or a function.
        ValueError: If ``rows`` is less than 1, or there is no such library.
        ModuleNotFoundError: If the library is not installed.

    Examples:
        >>> trades = frame(socket.messages)
        >>> trades.df.groupby("symbol")["price"].mean()
        >>> frame(socket.messages, key="symbol")        # as the last line of a cell
        >>> frame(socket.messages, library="polars").df
    """
    if isinstance(stream, Socket):
        raise TypeError("frame(stream): pass its messages, socket.messages, not the socket")
    instance("frame(stream)", stream, Observable, "an Observable")
    if not (key is None or isinstance(key, str) or callable(key)):
        raise TypeError(
            f"frame(key): pass the name of a field or a function, not {type(key).__name__}"
        )
    return Frame(stream, whole_number("rows", rows), library_or_default("frame", library), key)
