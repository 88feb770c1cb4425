"""The last values of a stream as a table: a DataFrame of pandas or polars."""

from __future__ import annotations

import dataclasses
import importlib
from collections.abc import Mapping
from html import escape
from typing import Any

import msgspec
from reactivex import Observable

from rxsocket.notebook.stream_view import StreamView
from rxsocket.render.mimebundle import mimebundle
from rxsocket.render.view import Rendering, TimeWindow
from rxsocket.validation import instance, is_list, whole_number


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


SHOWN = 10
"""Rows that are shown."""
AS_OUTPUT = 'class="jp-RenderedHTMLCommon" style="width:max-content;max-width:100%"'
"""The style of a cell's output in JupyterLab."""
LIBRARIES = ("pandas", "polars")


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
        return mimebundle(self, {"text/plain": repr(self), "text/html": html})

    def render(self, window: TimeWindow) -> Rendering:
        """Draw its last rows for a page."""
        tail = self._tail()
        table: str = self._table(tail)._repr_html_()
        note = f"rows: {self.status}" + (f"; the last {len(tail)}:" if self.count > SHOWN else "")
        return Rendering(f"<div {AS_OUTPUT}>{escape(note)}{table}</div>")

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
        rows: How many rows to keep.

    Raises:
        TypeError: If ``stream`` is no Observable.
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
