"""A plot as Matplotlib draws it."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from rxsocket.render.chart import COLOURS

STYLES = ("solid", "dashed", "dotted")
"""Of the first lines, of those after them, and so on: there are fewer colours than lines."""
MUTED = "#595959"


@dataclass(frozen=True, slots=True)
class Drawing:
    """What is drawn.

    Attributes:
        lines: The name of each line, and its points.
        is_time: Whether the x axis is one of time, in seconds since 1970.
        x: What the x axis is called; empty for the time.
        y: What the y axis is called.
        status: What stands above it.
        hint: What stands in it, where nothing else does.
    """

    lines: Sequence[tuple[str, Any, Any]]
    is_time: bool
    x: str
    y: str
    status: str
    hint: str


def new_figure() -> Any:
    """An empty ``matplotlib.figure.Figure``."""
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise ModuleNotFoundError(
            "plot: its figure needs matplotlib; run pip install 'rxsocket[notebook]'"
        ) from None
    return Figure(figsize=(7.5, 2.8), dpi=100, layout="constrained")


def drawn(drawing: Drawing, figure: Any) -> Any:
    """Draw it into a ``matplotlib.figure.Figure``."""
    axes = figure.add_subplot()
    for number, (name, x, y) in enumerate(drawing.lines):
        axes.plot(
            [datetime.fromtimestamp(at).astimezone() for at in x] if drawing.is_time else x,
            y,
            color=COLOURS[number % len(COLOURS)],
            linestyle=STYLES[number // len(COLOURS) % len(STYLES)],
            linewidth=1.2,
            marker="." if len(x) < 100 else "",
            label=name,
        )
    places = [x for _, x, _ in drawing.lines if len(x)]
    if drawing.is_time and places:
        _time_axis(axes, min(x[0] for x in places), max(x[-1] for x in places))
    if drawing.x:
        axes.set_xlabel(drawing.x)
    if len(drawing.lines) > 1:
        above = {"loc": "lower left", "bbox_to_anchor": (0.0, 1.0), "borderaxespad": 0.0}
        axes.legend(**above, ncols=6, fontsize=9, frameon=False)
    axes.set_ylabel(drawing.y)
    axes.grid(alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)
    figure.text(0.995, 0.005, drawing.status, ha="right", va="bottom", fontsize=8, color=MUTED)
    figure.get_layout_engine().set(rect=(0, 0.05, 1, 0.95))
    if not places:
        axes.set_xticks([])
        axes.set_yticks([])
    if drawing.hint:
        axes.text(
            0.5, 0.5, drawing.hint, transform=axes.transAxes, ha="center", va="center",
            fontsize=9, color=MUTED, wrap=True,
        )  # fmt: skip
    return figure


def _time_axis(axes: Any, begin: float, end: float) -> None:
    """Show the local time; the date stands once, at the end of the axis."""
    dates: Any = importlib.import_module("matplotlib.dates")  # it has no types
    first = datetime.fromtimestamp(begin).astimezone()
    locator = dates.AutoDateLocator(tz=first.tzinfo)
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(dates.ConciseDateFormatter(locator, tz=first.tzinfo))
    if begin == end:  # Matplotlib would show years around a single point
        axes.set_xlim(first, first + timedelta(seconds=0.1))
