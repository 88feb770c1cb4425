"""The lines of a plot as SVG, which is what is saved: it costs little, and is sharp at any size."""

from __future__ import annotations

import math
import time
from array import array
from collections.abc import Iterator

from rxsocket.render.chart import COLOURS, Chart
from rxsocket.render.scene import SAVED, Theme, clock_time, dark_page, ticks
from rxsocket.render.svg import text_width
from rxsocket.texts import markup

WIDTH, PLOT = 880, 230
"""Pixels: the width of the picture, and the height of what is in the axes."""
MARGIN = 14.0
ROW = 20.0
FEW = 100
"""Points of a line that are dots, too."""
DASHES = ("", "6 4", "2 3")
"""Of the first lines, of those after them, and so on: there are fewer colours than lines."""


def chart_svg(chart: Chart, title: str, status: str, hint: str = "", theme: Theme = SAVED) -> str:
    """Draw lines.

    Args:
        chart: The lines.
        title: What it is, for those who do not see it.
        status: What stands below them.
        hint: What stands in their place, if there is something to say instead.
        theme: The colours of all else.
    """
    return _ChartRenderer(chart, theme).document(title, status, hint)


class _ChartRenderer:
    def __init__(self, chart: Chart, theme: Theme) -> None:
        self._chart, self._theme = chart, theme
        self._lines = [tuple(map(_floats, line)) for line in chart.points]
        values = [y for _, ys in self._lines for y in ys if y == y]
        self._low, self._high, self._step = value_scale(
            min(values, default=0.0), max(values, default=1.0)
        )
        self._y_texts = [
            (y, _number(y, self._step)) for y in _steps(self._low, self._high, self._step)
        ]
        self._left = MARGIN + ROW + max(text_width(text) for _, text in self._y_texts)
        self._right = WIDTH - MARGIN
        self._top = MARGIN

    def document(self, title: str, status: str, hint: str) -> str:
        legend = list(self._legend()) if len(self._lines) > 1 else []
        bottom = self._top + PLOT
        height = round(bottom + 3 * ROW)
        theme = self._theme
        head = (
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" '
            f'viewBox="0 0 {WIDTH} {height}" style="max-width:100%;height:auto" role="img" '
            f'font-family="system-ui,-apple-system,Segoe UI,Roboto,sans-serif" font-size="11" '
            f'fill="{theme.text}" class="rx-picture">'
            f"<title>{markup(title)}</title>{dark_page(theme)}"
            f'<rect x=".5" y=".5" width="{WIDTH - 1}" height="{height - 1}" rx="6" '
            f'fill="{theme.background}" stroke="{theme.line}"/>'
        )
        middle = self._top + PLOT / 2
        notes = [
            _text(
                MARGIN + 6,
                middle,
                self._chart.y,
                "middle",
                f' transform="rotate(-90 {MARGIN + 6:.0f} {middle:.0f})"',
            ),
            _text(self._right, height - 10, status, "end"),
        ]
        if hint:
            notes.append(_text((self._left + self._right) / 2, middle, hint, "middle"))
        drawn = any(len(x) for x, _ in self._lines)
        axes = [*self._y_axis(), *self._x_axis(bottom)] if drawn else []
        return "".join([head, *legend, *axes, *self._paths(), *notes, "</svg>"])

    def _legend(self) -> Iterator[str]:
        x = self._left
        for number, name in enumerate(self._chart.names):
            width = 26 + text_width(name) + 14
            if x + width > self._right:
                x, self._top = self._left, self._top + ROW
            y = self._top + 6
            yield f'<path d="M{x:.0f} {y - 4:.0f}h20" {_stroke(number)} stroke-width="2.5"/>'
            yield _text(x + 26, y, name)
            x += width
        self._top += ROW

    def _y_axis(self) -> Iterator[str]:
        for value, text in self._y_texts:
            y = self._y(value)
            across = f"M{self._left:.1f} {y:.1f}H{self._right:.1f}"
            yield f'<path d="{across}" stroke="{self._theme.line}"/>'
            yield _text(self._left - 6, y + 4, text, "end")

    def _x_axis(self, bottom: float) -> Iterator[str]:
        chart = self._chart
        zone = float(time.localtime(chart.end).tm_gmtoff) if chart.is_time else 0.0
        if chart.is_time:
            found = [
                (at, clock_time(at, zone, chart.end - chart.begin))
                for at, _ in ticks(chart.begin, chart.end, zone)
            ]
        else:
            low, high, step = value_scale(chart.begin, chart.end)
            found = [(x, _number(x, step)) for x in _steps(low, high, step)]
        last = -math.inf
        for at, text in found:
            x, half = self._x(at), text_width(text) / 2
            if x - half < last + 10 or x + half > self._right + MARGIN or x < self._left - 1:
                continue
            last = x + half
            yield f'<path d="M{x:.1f} {self._top:.1f}V{bottom:.1f}" stroke="{self._theme.line}"/>'
            yield _text(x, bottom + 16, text, "middle")
        if not chart.is_time:
            yield _text((self._left + self._right) / 2, bottom + 34, chart.x, "middle")

    def _paths(self) -> Iterator[str]:
        for number, (x, y) in enumerate(self._lines):
            parts: list[str] = []
            pen = "M"
            for at, value in zip(x, y, strict=True):
                if value != value:
                    pen = "M"
                    continue
                parts.append(f"{pen}{self._x(at):.1f} {self._y(value):.1f}")
                pen = "L"
            yield (
                f'<path d="{"".join(parts)}" fill="none" {_stroke(number)} stroke-width="1.4" '
                'stroke-linejoin="round"/>'
            )
            if len(x) <= FEW:
                colour = COLOURS[number % len(COLOURS)]
                for at, value in zip(x, y, strict=True):
                    if value == value:
                        place = f'cx="{self._x(at):.1f}" cy="{self._y(value):.1f}"'
                        yield f'<circle {place} r="2" fill="{colour}"/>'

    def _x(self, at: float) -> float:
        part = (at - self._chart.begin) / ((self._chart.end - self._chart.begin) or 1.0)
        return self._left + min(1.0, max(0.0, part)) * (self._right - self._left)

    def _y(self, value: float) -> float:
        part = (value - self._low) / (self._high - self._low)
        return self._top + (1.0 - part) * PLOT


def value_scale(low: float, high: float, most: int = 6) -> tuple[float, float, float]:
    """The ends of an axis that holds these values, and the step of its ticks, in round numbers."""
    span = high - low
    greatest = max(abs(low), abs(high))
    if span <= greatest * 1e-9 or span < 1e-300:
        span = greatest * 0.1 if greatest > 1e-300 else 1.0
        low, high = low - span / 2, high + span / 2
    rough = span / most
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(one * power for one in (1, 2, 2.5, 5, 10) if one * power >= rough * (1 - 1e-9))
    return math.floor(low / step) * step, math.ceil(high / step) * step, step


def _steps(low: float, high: float, step: float) -> Iterator[float]:
    first = round(low / step)
    for number in range(round((high - low) / step) + 1):
        yield (first + number) * step


def _number(value: float, step: float) -> str:
    if abs(value) >= 1e12 or 0 < step < 1e-6:
        return f"{value:.6g}"
    digits = max(0, -math.floor(math.log10(step) + 1e-9))
    if digits and step * 10**digits % 1 > 1e-6:
        digits += 1  # 2.5
    return f"{value + 0.0:,.{digits}f}"


def _floats(part: bytes) -> array[float]:
    numbers = array("d")
    numbers.frombytes(part)
    return numbers


def _stroke(number: int) -> str:
    dash = DASHES[number // len(COLOURS) % len(DASHES)]
    return f'stroke="{COLOURS[number % len(COLOURS)]}"' + (
        f' stroke-dasharray="{dash}"' if dash else ""
    )


def _text(x: float, y: float, text: str, anchor: str = "start", more: str = "") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"{more}>{markup(text)}</text>'
