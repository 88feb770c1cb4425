"""The content of a picture over time, before it is drawn: data, colours, times on the axis.

The colours are those of Okabe and Ito, which people who see colours differently can tell apart;
besides, each thing is named by a number or a text. A saved picture has a background of its own,
which is dark on a dark page. A live picture takes the colours of the page.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from rxsocket.render.histogram import Bin

BarStyle = Literal["full", "thin", "dashed", "hatched"]
MarkShape = Literal["marble", "cross", "tick", "sent", "end", "start"]


@dataclass(frozen=True, slots=True)
class Bar:
    """A span of wall time.

    Attributes:
        colour: Number of its colour; 0 for none.
        text: Written on it, if there is room.
        detail: Shown when the mouse is on it.
        row: Number of its row in the lane.
        ongoing: Whether it has not ended.
        short_text: Written on it if there is too little room for ``text``.
    """

    begin: float
    end: float
    colour: int = 0
    text: str = ""
    detail: str = ""
    style: BarStyle = "full"
    row: int = 0
    ongoing: bool = False
    short_text: str = ""


@dataclass(frozen=True, slots=True)
class Mark:
    """A moment."""

    at: float
    shape: MarkShape
    colour: int = 0
    text: str = ""
    detail: str = ""
    row: int = 0


@dataclass(frozen=True, slots=True)
class Label:
    """A text under a lane, at a moment; of two that would overlap, the urgent one stays."""

    at: float
    text: str
    urgent: bool = False


@dataclass(frozen=True, slots=True)
class Density:
    """Things that are too many for a mark each, as a plot of their number over time.

    Attributes:
        bins: Their number in each bin of time.
        colours: The times from which they have a colour, and its number.
        spans: When there can be any, as while there is a connection; empty for always.
    """

    bins: tuple[Bin, ...]
    colours: tuple[tuple[float, int], ...] = ()
    spans: tuple[tuple[float, float], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Lane:
    """One line of the picture.

    Attributes:
        name: Written before it.
        note: Written below the name.
        rows: The number of rows of its bars.
        labelled: Whether there is room for labels under it.
        density: Drawn instead of marks.
        until: The wall time up to which its line is drawn.
    """

    name: str
    note: str = ""
    rows: int = 1
    labelled: bool = False
    bars: tuple[Bar, ...] = ()
    marks: tuple[Mark, ...] = ()
    labels: tuple[Label, ...] = ()
    density: Density | None = None
    until: float = float("inf")


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """Lanes over one span of wall time, from top to bottom.

    Attributes:
        zone: Seconds that local time is ahead of UTC.
    """

    title: str
    begin: float
    end: float
    lanes: tuple[Lane, ...]
    zone: float = 0.0


PALETTE = (
    ("#0072b2", "#ffffff"),
    ("#e69f00", "#000000"),
    ("#009e73", "#000000"),
    ("#cc79a7", "#000000"),
    ("#56b4e9", "#000000"),
)
"""Colours of credentials, and of the text on them."""
NEUTRAL = ("#8c959f", "#000000")
FAULT = "#d55e00"


@dataclass(frozen=True, slots=True)
class Theme:
    """The background, the text on it, and lines."""

    background: str
    text: str
    muted: str
    line: str


SAVED = Theme("#fff", "#1f2328", "#59636e", "#d1d9e0")
"""For a picture that is saved. Each colour is written as no other of a picture is."""
DARK = Theme("#16181c", "#e6e8eb", "#a0a9b3", "#3a4149")
"""For one that is saved, on a dark page."""
LIVE = Theme(
    "var(--rx-paper,#ffffff)",
    "var(--rx-ink,#1f2328)",
    "var(--rx-muted,#59636e)",
    "var(--rx-line,#d1d9e0)",
)
"""For a picture in a page: the colours of the page."""


def dark_page(theme: Theme) -> str:
    """What makes a saved picture dark where the page is, as an element of SVG; none of a live one.

    What does not know it, such as a converter to PDF, draws the light one.
    """
    if theme is not SAVED:
        return ""
    names = ("background", "text", "muted", "line")
    pairs = [(getattr(SAVED, name), getattr(DARK, name)) for name in names]
    rules = "".join(
        f':is(.rx-picture,.rx-picture *)[{part}="{light}"]{{{part}:{dark}}}'
        for light, dark in pairs
        for part in ("fill", "stroke")
    )
    return f"<style>@media (prefers-color-scheme:dark){{{rules}}}</style>"


def colour_of(number: int) -> tuple[str, str]:
    """The colour with a number, and that of the text on it."""
    return PALETTE[(number - 1) % len(PALETTE)] if number else NEUTRAL


STEPS = (
    *(0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5),
    *(1.0, 2.0, 5.0, 10.0, 20.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1200.0, 1800.0),
    *(3600.0, 7200.0, 10800.0, 21600.0, 43200.0, 86400.0),
)
MAX_TICKS = 10
RELATIVE = 120.0
"""Seconds up to which ticks count from the beginning of the picture, not by the clock."""
DAY = 86400.0


def ticks(begin: float, end: float, zone: float) -> Iterator[tuple[float, str]]:
    """The ticks of a time axis: their times, and their texts."""
    span = max(end - begin, 1e-6)
    days = math.ceil(span / MAX_TICKS / DAY)
    step = next((step for step in STEPS if span / step <= MAX_TICKS), days * DAY)
    relative = span <= RELATIVE
    # Ticks by the clock are at whole steps of local time.
    first = begin if relative else math.ceil((begin + zone) / step) * step - zone
    for number in range(int((end - first) / step + 1e-9) + 1):
        at = first + number * step
        yield at, _seconds(number * step, step) if relative else clock_time(at, zone, span, step)


def clock_time(at: float, zone: float, span: float, step: float = 1.0) -> str:
    """A wall time as a clock shows it; with the day if the span is longer than one."""
    local = at + zone
    seconds = local % DAY
    text = f"{int(seconds // 3600):02d}:{int(seconds % 3600 // 60):02d}"
    if step < 60 or step % 60:
        text += f":{int(seconds % 60):02d}"
    if span > DAY:
        text = f"day {int(local // DAY) % 1000} {text}" if step < DAY else text
    return text


def _seconds(value: float, step: float) -> str:
    digits = max(0, math.ceil(-math.log10(step))) if step < 1 else 0
    return f"{value:.{digits}f} s"
