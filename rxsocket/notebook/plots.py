"""A live plot of a stream, drawn by Matplotlib."""

from __future__ import annotations

import base64
import importlib
import io
import threading
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any, TypeAlias

from reactivex import Observable
from reactivex import operators as ops

from rxsocket.notebook.column_hints import ColumnHints
from rxsocket.notebook.frames import StreamView
from rxsocket.render.view import Rendering, TimeWindow
from rxsocket.socket import Socket
from rxsocket.tables.rows import nested
from rxsocket.validation import instance, is_list, more_than_zero

Column: TypeAlias = str | Callable[[Any], Any] | None

POINTS = 20_000
"""Values that are kept at most."""
GREY = "#808080"
"""Of all text and lines in a page, whose own colours are not known here."""
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")
"""Okabe and Ito's, which people who see colours differently can tell apart."""


class Plot(StreamView):
    """A plot of the last values of a stream. Made by :func:`plot`; dispose it to unsubscribe."""

    def __init__(
        self,
        stream: Observable[Any],
        x: Column,
        lines: tuple[Column, ...],
        window: float | None,
        figure: Callable[..., Any],
    ) -> None:
        self._x, self._lines, self._figure = x, lines, figure
        self._hints = ColumnHints(
            column for column in (*lines, *([x] if x else [])) if not callable(column)
        )
        self._drawing = threading.Lock()  # Matplotlib is not for two threads at once
        super().__init__(stream.pipe(ops.map(self._point)), POINTS, window)

    @property
    def figure(self) -> Any:
        """The plot as it is now, as a ``matplotlib.figure.Figure`` of its own."""
        figure = self._figure(figsize=(7.5, 2.8), dpi=100, layout="constrained")
        axes = figure.add_subplot()
        values = [
            (datetime.fromtimestamp(at).astimezone() if self._x is None else x, ys)
            for at, (x, ys) in self.values()
        ]
        for number, line in enumerate(self._lines):
            points = [(x, ys[number]) for x, ys in values if None not in (x, ys[number])]
            axes.plot(
                [x for x, _ in points],
                [y for _, y in points],
                color=COLOURS[number % len(COLOURS)],
                linewidth=1.2,
                marker="." if len(points) < 100 else "",
                label=_name(line),
            )
        if self._x is not None:
            axes.set_xlabel(_name(self._x))
        elif values:
            _time_axis(axes, values[0][0], values[-1][0])
        if len(self._lines) > 1:
            above = {"loc": "lower left", "bbox_to_anchor": (0.0, 1.0), "borderaxespad": 0.0}
            axes.legend(**above, ncols=6, fontsize=9, frameon=False)
        else:
            axes.set_ylabel(", ".join(map(_name, self._lines)))
        axes.grid(alpha=0.25)
        axes.spines[["top", "right"]].set_visible(False)
        axes.set_title(self.status, loc="right", fontsize=8, color="gray")
        if self._hints.text:
            axes.text(
                0.5, 0.5, self._hints.text, transform=axes.transAxes, ha="center", va="center",
                fontsize=9, color=GREY, wrap=True,
            )  # fmt: skip
        return figure

    def png(self) -> bytes:
        """The plot as it is now, as a picture on white."""
        return self._png()

    def _png(self, *, on_page: bool = False) -> bytes:
        with self._drawing:
            figure, picture = self.figure, io.BytesIO()
            if on_page:
                _recolour_for_page(figure.axes[0])
            figure.savefig(picture, format="png", transparent=on_page)
            return picture.getvalue()

    def __repr__(self) -> str:
        hint = f"; {self._hints.text}" if self._hints.text else ""
        return f"<Plot of {', '.join(map(_name, self._lines))}: {self.status}{hint}>"

    def static(self) -> dict[str, Any]:
        """It as it is now, as a picture and as text."""
        return {"text/plain": repr(self), "image/png": base64.b64encode(self.png()).decode()}

    def render(self, window: TimeWindow) -> Rendering:
        """Draw it for a page, light or dark."""
        png = base64.b64encode(self._png(on_page=True)).decode()
        moves = self._seconds is not None and not self.is_ended and bool(self._values)
        return Rendering(f'<img src="data:image/png;base64,{png}"/>', 1.0 if moves else None)

    def _point(self, value: Any) -> tuple[Any, tuple[Any, ...]]:
        self._hints.look_at(value)
        x = None if self._x is None else _value_of(self._x, value)
        return x, tuple(_number_of(line, value) for line in self._lines)


def plot(
    stream: Observable[Any],
    x: Column = None,
    y: Column | list[str | Callable[[Any], Any]] = None,
    *,
    window: float | None = 60.0,
) -> Plot:
    """Plot the values of a stream as they come.

    It subscribes at once. In a notebook with ``rxsocket[notebook]`` it is live, drawn at most 4
    times a second while it is visible; saved, it is a picture.

    Args:
        stream: Any Observable.
        x: The place of a value on the x axis: the name of a column (see ``frame``) or a function;
            left out, the time at which it came.
        y: Its place on the y axis: a name, a function, or a list of these for a line each; left
            out, the value itself. A number may be written as text. A value without one is left out,
            and if none has had it the plot says what there is; a function that raises ends the
            plot, which says so.
        window: Seconds that are shown; ``None`` for everything, up to 20,000 values.

    Raises:
        TypeError: If ``stream`` is not an Observable, or ``x`` or ``y`` is not a name or function.
        ValueError: If ``window`` is not more than 0.
        ModuleNotFoundError: If Matplotlib is not installed.

    Examples:
        >>> plot(socket.messages, y="price", window=30)
    """
    if isinstance(stream, Socket):
        raise TypeError("plot(stream): pass its messages, socket.messages, not the socket")
    instance("plot(stream)", stream, Observable, "an Observable")
    lines = _lines(y)
    for name, column in (("x", x), *(("y", line) for line in lines)):
        if not (column is None or isinstance(column, str) or callable(column)):
            raise TypeError(
                f"plot({name}): pass the name of a column or a function, "
                f"not {type(column).__name__}"
            )
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise ModuleNotFoundError(
            "plot: it needs matplotlib; run pip install 'rxsocket[notebook]'"
        ) from None
    return Plot(stream, x, lines, more_than_zero("window", window), Figure)


def _time_axis(axes: Any, begin: datetime, end: datetime) -> None:
    """Show the local time; the date stands once, at the end of the axis."""
    dates: Any = importlib.import_module("matplotlib.dates")  # it has no types
    locator = dates.AutoDateLocator(tz=begin.tzinfo)
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(dates.ConciseDateFormatter(locator, tz=begin.tzinfo))
    if begin == end:  # Matplotlib would show years around a single point
        axes.set_xlim(begin, begin + timedelta(seconds=0.1))


def _recolour_for_page(axes: Any) -> None:
    axes.tick_params(colors=GREY, which="both")
    for axis in (axes.xaxis, axes.yaxis):
        axis.label.set_color(GREY)
        axis.get_offset_text().set_color(GREY)
    for spine in axes.spines.values():
        spine.set_edgecolor(GREY)
    legend = axes.get_legend()
    for text in () if legend is None else legend.get_texts():
        text.set_color(GREY)


def _lines(y: Any) -> tuple[Column, ...]:
    if not is_list(y):
        return (y,)
    if not y:
        raise ValueError("plot(y): pass at least one name or function")
    return tuple(y)


def _value_of(column: Column, value: Any) -> Any:
    if column is None:
        return value
    return nested(column, value) if isinstance(column, str) else column(value)


def _number_of(column: Column, value: Any) -> Any:
    """What is drawn; a number that is written as text, too, and nothing that is nested."""
    found = _value_of(column, value)
    if isinstance(found, str):
        with suppress(ValueError):
            return float(found)
    return None if isinstance(found, (str, bytes, dict, list, tuple)) else found


def _name(column: Column) -> str:
    if column is None:
        return "value"
    return column if isinstance(column, str) else getattr(column, "__name__", type(column).__name__)
