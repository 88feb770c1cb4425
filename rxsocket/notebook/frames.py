"""The last values of a stream as a table: a DataFrame of pandas or polars."""

from __future__ import annotations

import dataclasses
import importlib
import threading
from abc import abstractmethod
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any

import msgspec
from reactivex import Observable, abc
from reactivex.subject import Subject

from rxsocket.explain.causes import describe
from rxsocket.render.mimebundle import mimebundle
from rxsocket.render.view import Rendering, TimeWindow, View
from rxsocket.runtime.threads import running_loop, wall_clock
from rxsocket.texts import markup
from rxsocket.validation import instance, is_list, whole_number

SHOWN = 10
"""Rows that are shown."""
AS_OUTPUT = 'class="jp-RenderedHTMLCommon" style="width:max-content;max-width:100%"'
"""The style of a cell's output in JupyterLab."""
LIBRARIES = ("pandas", "polars")


class StreamView(View):
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

    @abstractmethod
    def _repr_mimebundle_(self, **_: Any) -> dict[str, Any]: ...

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


def row(value: Any) -> dict[str, Any]:
    """The columns of a value, by name.

    Mappings, ``msgspec`` structs, dataclasses and named tuples have names; the columns of a list or
    a tuple are ``0``, ``1``, ...; anything else is one column, ``value``.
    """
    if isinstance(value, Mapping):
        return {str(name): entry for name, entry in value.items()}  # pyright: ignore[reportUnknownVariableType,reportUnknownArgumentType]
    if isinstance(value, msgspec.Struct):
        return msgspec.structs.asdict(value)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {one.name: getattr(value, one.name) for one in dataclasses.fields(value)}
    named: dict[str, Any] | None = getattr(value, "_asdict", dict)() or None
    if named is not None:  # a named tuple
        return named
    if is_list(value):
        return {str(number): entry for number, entry in enumerate(value)}
    return {"value": value}


class Frame(StreamView):
    """The last values of a stream as a table. Made by :func:`frame`; dispose it to unsubscribe."""

    def __init__(self, stream: Observable[Any], rows: int, library: Any) -> None:
        self._library = library
        super().__init__(stream, rows)

    @property
    def df(self) -> Any:
        """The table as it is now, a DataFrame of its own; the last value is its last row."""
        return self._table([value for _, value in self.values()])

    def __len__(self) -> int:
        return len(self._values)

    def __repr__(self) -> str:
        return f"<Frame {self.status}>\n{self._table(self._tail())}"

    def _repr_mimebundle_(self, **_: Any) -> dict[str, Any]:
        html = self.render(TimeWindow()).html
        return mimebundle(self, {"text/plain": _encodable(repr(self)), "text/html": html})

    def render(self, window: TimeWindow) -> Rendering:
        """Draw its last rows for a page."""
        tail = self._tail()
        table = _encodable(self._table(tail)._repr_html_())
        note = f"rows: {self.status}" + (f"; the last {len(tail)}:" if self.count > SHOWN else "")
        return Rendering(f"<div {AS_OUTPUT}>{markup(note)}{table}</div>")

    def _tail(self) -> list[Any]:
        return [value for _, value in self.values()[-SHOWN:]]

    def _table(self, values: list[Any]) -> Any:
        rows = [row(value) for value in values]
        if self._library.__name__ == "polars":
            return self._library.DataFrame(rows, infer_schema_length=None, strict=False)
        return self._library.DataFrame(rows)


def frame(stream: Observable[Any], rows: int = 5000) -> Frame:
    """Keep the last values of a stream as a table.

    It subscribes at once. Each value is a row: the columns are those of a mapping, a ``msgspec``
    struct, a dataclass or a named tuple; one that a row lacks is empty. Memory is bounded by
    ``rows``. In a notebook with ``rxsocket[notebook]`` its last rows are live; ``.df`` is a
    DataFrame of pandas, or of polars where pandas is not installed.

    ::

        stream     --{a: 1}--{a: 2}--{a: 3}--
        rows=2       a       a       a
                     1       1       2
                             2       3

    Args:
        stream: Any Observable.
        rows: The number of rows to keep.

    Raises:
        TypeError: If ``stream`` is not an Observable.
        ValueError: If ``rows`` is less than 1.
        ModuleNotFoundError: If there is neither pandas nor polars.

    Examples:
        >>> trades = frame(socket.messages)
        >>> trades.df.groupby("symbol")["price"].mean()
    """
    instance("frame(stream)", stream, Observable, "an Observable")
    return Frame(stream, whole_number("rows", rows), _library())


def _library() -> Any:
    for name in LIBRARIES:
        try:
            return importlib.import_module(name)
        except ImportError:
            continue
    raise ModuleNotFoundError(
        "frame: it needs pandas or polars; run pip install 'rxsocket[notebook]'"
    )


def _encodable(text: str) -> str:
    """JSON may hold halves of surrogates, which no front end can be sent."""
    return text.encode(errors="backslashreplace").decode()
