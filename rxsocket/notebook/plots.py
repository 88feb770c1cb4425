"""A live plot of a stream: lines that the browser draws, and a picture that is saved."""

from __future__ import annotations

import io
import threading
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

from reactivex import Observable

from rxsocket.explain.format import amount
from rxsocket.notebook.column_hints import ColumnHints
from rxsocket.notebook.rates import seconds_of
from rxsocket.notebook.stream_view import StreamView
from rxsocket.render.chart import Chart, ChartView
from rxsocket.render.chart_svg import chart_svg
from rxsocket.render.view import Rendering, TimeWindow, nothing_yet
from rxsocket.socket import Socket
from rxsocket.tables.rows import nested
from rxsocket.texts import markup, printable
from rxsocket.validation import instance, is_list, more_than_zero

if TYPE_CHECKING:
    from rxsocket.notebook.line_points import LinePoints
    from rxsocket.render.live import LiveWidget

Column: TypeAlias = str | Callable[[Any], Any] | None

LINES = 12
"""Lines that are drawn."""
LEFT_OUT = 1000
"""Values of ``by`` without a line that are counted."""
LONGEST = 24
"""Characters of the name of a line."""
COLUMNS = 720
"""Columns of pixels of a page that says nothing of its width."""
SAVED_COLUMNS = 400
"""Those of the picture that is saved, which a notebook has to hold."""
POINTS = 6000
"""Points that are drawn of all lines together."""
LEAST = 0.1
"""Seconds between two drawings, at least."""


class Plot(StreamView, ChartView):
    """A plot of the last values of a stream. Made by :func:`plot`; dispose it to unsubscribe."""

    def __init__(
        self,
        stream: Observable[Any],
        x: Column,
        ys: tuple[Column, ...],
        by: Column,
        window: float | None,
        points: Callable[[float | None], LinePoints],
        reduce: Callable[..., tuple[Any, Any]],
    ) -> None:
        self._x, self._ys, self._by, self._seconds = x, ys, by, window
        self._new_points, self._reduce = points, reduce
        self._hints = (
            ColumnHints(_names(ys), lambda value: number_of(value) is not None),
            ColumnHints(_names([x] if x else []), lambda value: place_of(value) is not None),
            ColumnHints(_names([by] if by else []), lambda value: value is not None),
        )
        self._drawing = threading.Lock()  # Matplotlib is not for two threads at once
        self._lines: dict[tuple[str, int], LinePoints] = {}
        self._keys: dict[str, None] = {}
        self._left_out: set[str] = set()
        self._is_time: bool | None = True if x is None else None
        self._epoch: int | None = None
        self._stretch = 0
        self._drawn = 0
        self._newest = 0.0
        super().__init__(stream)

    @property
    def figure(self) -> Any:
        """The plot as it is now, as a ``matplotlib.figure.Figure`` of its own.

        Raises:
            ModuleNotFoundError: If Matplotlib is not installed.
        """
        from rxsocket.notebook.plot_figure import Drawing, drawn, new_figure

        _, _, lines = self._seen(TimeWindow())
        drawing = Drawing(
            [(name, x, y) for name, x, y in lines if len(x)],
            bool(self._is_time),
            "" if self._x is None else name_of(self._x),
            self._y_name,
            self.status,
            self._hint,
        )
        return drawn(drawing, new_figure())

    def png(self) -> bytes:
        """The plot as it is now, drawn by Matplotlib, as a picture on white.

        Raises:
            ModuleNotFoundError: If Matplotlib is not installed.
        """
        with self._drawing:
            picture = io.BytesIO()
            self.figure.savefig(picture, format="png")
            return picture.getvalue()

    def svg(self) -> str:
        """The plot as it is now, as SVG for a file."""
        chart = self.chart(TimeWindow(width=SAVED_COLUMNS))
        return chart_svg(chart, repr(self)[1:-1], self.status if self.count else "", self._hint)

    @property
    def title(self) -> str:
        """What it is, in a few words."""
        return f"plot of {self._y_name}"

    @property
    def status(self) -> str:
        """How many values came, what of them is not drawn, and how it ended."""
        if not self.count:
            return nothing_yet(self._since) + self.ending
        text = amount(self.count, "value")
        if self._drawn < self.count * len(self._ys) and len(self._ys) == 1:
            text = f"{self._drawn:,} of {text}"
        if self._left_out:
            count = len(self._left_out)
            others = f"{count:,}" + (" or more" if count >= LEFT_OUT else "")
            text += f"; of {name_of(self._by)} the first {len(self._keys)}, without {others} others"
        return text + self.ending

    def __repr__(self) -> str:
        hint = f"; {self._hint}" if self._hint and self.count else ""
        return f"<Plot of {self._y_name}: {self.status}{hint}>"

    def static(self) -> dict[str, Any]:
        """It as it is now, as a picture and as text."""
        return {"text/plain": repr(self), "image/svg+xml": self.svg()}

    def render(self, window: TimeWindow) -> Rendering:
        """The text below the lines."""
        text = f"{self.status}; {self._hint}" if self._hint and self.count else self.status
        moves = self._seconds is not None and not self.is_ended and self._drawn > 0
        seconds = window.last or self._seconds or 0.0
        return Rendering(
            f'<div style="font:12px system-ui,sans-serif;color:var(--rx-muted,#666)">'
            f"{markup(text)}</div>",
            max(LEAST, seconds / COLUMNS) if moves else None,
            newest=self._end(),
        )

    def chart(self, window: TimeWindow) -> Chart:
        """The lines, as far as they can be seen."""
        drawn = self._drawn
        begin, end, lines = self._seen(window)
        return Chart(
            names=[name for name, _, _ in lines],
            points=[(x.tobytes(), y.tobytes()) for _, x, y in lines],
            begin=begin,
            end=end,
            is_time=bool(self._is_time),
            x="time" if self._x is None else name_of(self._x),
            y=self._y_name,
            version=(drawn, window),
        )

    def _widget_class(self) -> type[LiveWidget]:
        from rxsocket.render.chart_widget import ChartWidget

        return ChartWidget

    # --- on the loop of the stream

    def _keep(self, value: Any) -> None:
        for hints in self._hints:
            hints.look_at(value)
        now, epoch = self._source.wall_time(), self._source.epoch
        x = now if self._x is None else self._place(value_of(self._x, value))
        key = "" if self._by is None else str(value_of(self._by, value))[:LONGEST]
        ys = [number_of(value_of(column, value)) for column in self._ys]
        if epoch != self._epoch:
            if self._epoch is not None and self._source.was_out_since(self._epoch):
                self._stretch += 1
            self._epoch = epoch
        if x is None or all(y is None for y in ys):
            return
        if key not in self._keys:
            if len(self._keys) >= max(1, LINES // len(ys)):
                if len(self._left_out) < LEFT_OUT:
                    self._left_out.add(key)
                return
            self._keys[key] = None
        with self._lock:
            for place, y in enumerate(ys):
                if y is not None:
                    self._add(self._line(key, place), now, x, y)

    def _line(self, key: str, place: int) -> LinePoints:
        line = self._lines.get((key, place))
        if line is None:
            line = self._lines[key, place] = self._new_points(self._seconds)
            line.stretch = self._stretch
        return line

    def _add(self, line: LinePoints, now: float, x: float, y: float) -> None:
        if line.stretch != self._stretch:
            line.stretch = self._stretch
            line.add_gap(now, x)
        line.add(now, x, y)
        self._drawn += 1
        self._newest = now

    def _place(self, found: Any) -> float | None:
        if self._is_time is None and place_of(found) is not None:
            self._is_time = seconds_of(found) is not None
        return seconds_of(found) if self._is_time else number_of(found)

    # --- from any thread

    @property
    def _hint(self) -> str:
        if not self.count:
            return nothing_yet(self._since)
        return str(self._source.redact(next((one.text for one in self._hints if one.text), "")))

    @property
    def _y_name(self) -> str:
        return ", ".join(map(name_of, self._ys))

    def _end(self) -> float:
        """The wall time at which it ends."""
        if self._seconds is None:
            return self._newest
        return self._source.wall_time() if self._ended_at is None else self._ended_at

    def _seen(self, window: TimeWindow) -> tuple[float, float, list[tuple[str, Any, Any]]]:
        """The place where it begins and where it ends, and the name and points of each line."""
        now = self._end()
        with self._lock:
            lines = list(self._lines.items())
            since = 0.0 if self._seconds is None else now - self._seconds
            points = [line.points(since) for _, line in lines]
        begin = min((float(x[0]) for x, _ in points if len(x)), default=now)
        end = max((float(x[-1]) for x, _ in points if len(x)), default=now)
        if self._x is None:
            end = now
            begin = min(begin, end)
        if window.last is not None and self._is_time:
            end = window.until or end
            begin = end - window.last
        columns = max(100, min(window.width or COLUMNS, POINTS // 2 // max(1, len(lines))))
        seen = [self._reduce(x, y, columns, begin, end) for x, y in points]
        labels = [self._label(key, place) for (key, place), _ in lines]
        return begin, end, [(name, *line) for name, line in zip(labels, seen, strict=True)]

    def _label(self, key: str, place: int) -> str:
        y = name_of(self._ys[place])
        if self._by is None:
            return y
        key = printable(str(self._source.redact(key)))
        return key if len(self._ys) == 1 else f"{key} {y}"


def plot(
    stream: Observable[Any],
    x: Column = None,
    y: Column | list[str | Callable[[Any], Any]] = None,
    *,
    by: Column = None,
    window: float | None = 60.0,
) -> Plot:
    """Plot the values of a stream as they come.

    ::

        stream         --{A, 1}--{B, 5}--{A, 2}----{B, 4}--
        by="symbol"   A      1---------------2
                      B              5---------------4

    It subscribes at once. In a notebook with ``rxsocket[notebook]`` it is live: drawn by the
    browser up to 10 times a second while it is visible, of as many points as can be seen, so that
    no extreme is missing. Drag over it to look closer, double-click to see all again; click a name
    to hide its line. Saved, it is a picture. Memory is bounded: of each line the newest 4,000
    values are kept as they are, of those before them the least and the greatest of each part of
    the time. Points of one connection are not joined with those of the next, if there was none
    meanwhile.

    Args:
        stream: Any Observable.
        x: The place of a value on the x axis: the name of a field, also of a nested one, such as
            ``"data.ts"``, or a function; a number, or a time (as ``rates`` has it). Left out, the
            time at which it came.
        y: Its place on the y axis: a name, a function, or a list of these for a line each; left
            out, the value itself. A number may be written as text. A value without one is left out,
            and if none has had it the plot says what there is; a function that raises ends the
            plot, which says so.
        by: A line for each value of this: a name or a function. The first 12 have one, fewer with
            several ``y``; the plot says how many are left out.
        window: Seconds that are shown; ``None`` for everything.

    Raises:
        TypeError: If ``stream`` is not an Observable, or ``x``, ``y`` or ``by`` is not a name or a
            function.
        ValueError: If ``window`` is not more than 0.
        ModuleNotFoundError: If NumPy is not installed.

    Examples:
        >>> plot(socket.messages, y="price", by="symbol", window=30)
    """
    if isinstance(stream, Socket):
        raise TypeError("plot(stream): pass its messages, socket.messages, not the socket")
    instance("plot(stream)", stream, Observable, "an Observable")
    ys = _columns(y)
    for name, column in (("x", x), ("by", by), *(("y", column) for column in ys)):
        if not (column is None or isinstance(column, str) or callable(column)):
            raise TypeError(
                f"plot({name}): pass the name of a column or a function, "
                f"not {type(column).__name__}"
            )
    try:
        from rxsocket.notebook.line_points import LinePoints, seen
    except ImportError:
        raise ModuleNotFoundError(
            "plot: it needs numpy; run pip install 'rxsocket[notebook]'"
        ) from None
    return Plot(stream, x, ys, by, more_than_zero("window", window), LinePoints, seen)


def _columns(y: Any) -> tuple[Column, ...]:
    if not is_list(y):
        return (y,)
    if not y:
        raise ValueError("plot(y): pass at least one name or function")
    if len(y) > LINES:
        raise ValueError(f"plot(y): pass at most {LINES} names or functions, not {len(y)}")
    return tuple(y)


def _names(columns: Sequence[Column]) -> list[str | None]:
    return [column for column in columns if not callable(column)]


def value_of(column: Column, value: Any) -> Any:
    """A column of a value; itself, of none."""
    if column is None:
        return value
    if not isinstance(column, str):
        return column(value)
    if type(value) is dict and column in value:  # most are
        return value[column]  # pyright: ignore[reportUnknownVariableType]
    return nested(column, value)


def number_of(value: Any) -> float | None:
    """What is drawn; a number that is written as text, too, and nothing that is not finite."""
    if isinstance(value, (bytes, bytearray)):
        return None
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        return None
    return number if number - number == 0 else None


def place_of(value: Any) -> float | None:
    """A number, or a time in seconds."""
    found = number_of(value)
    return seconds_of(value) if found is None else found


def name_of(column: Column) -> str:
    """What a column is called."""
    if column is None:
        return "value"
    return column if isinstance(column, str) else getattr(column, "__name__", type(column).__name__)
