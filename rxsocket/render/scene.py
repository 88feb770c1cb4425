"""What a picture over time consists of, before anything is drawn; plain data.

Colours of pictures.

They are those of Okabe and Ito, which can be told apart by those who see colours differently; each
is named by a number or a text besides. A picture that is saved has a ground of its own, so that it
can be read on a dark page as on a light one; where it is shown live it takes the colours of the
page.

Where the ticks of a time axis are, and what is written at them.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

__all__ = [
    "FAULT",
    "PAGE",
    "PAPER",
    "Bar",
    "Density",
    "Lane",
    "Look",
    "Mark",
    "Scene",
    "Shape",
    "Theme",
    "Words",
    "clock_time",
    "colour_of",
    "ticks",
]

Look = Literal["full", "thin", "dashed", "hatched"]
Shape = Literal["marble", "cross", "tick", "sent", "end", "start"]


@dataclass(frozen=True, slots=True)
class Bar:
    """A stretch of time.

    Attributes:
        begin: Where it begins, as wall time.
        end: Where it ends.
        colour: Number of its colour; 0 for none.
        text: Written on it, if there is room.
        brief: Written there instead if there is less room.
        detail: Shown when somebody points at it.
        look: How it is drawn.
        row: Which row of its lane.
        goes_on: Whether it has not ended.
    """

    begin: float
    end: float
    colour: int = 0
    text: str = ""
    detail: str = ""
    look: Look = "full"
    row: int = 0
    goes_on: bool = False
    brief: str = ""


@dataclass(frozen=True, slots=True)
class Mark:
    """A moment."""

    at: float
    shape: Shape
    colour: int = 0
    text: str = ""
    detail: str = ""
    row: int = 0


@dataclass(frozen=True, slots=True)
class Words:
    """A label under a lane, at a moment; of two that would overlap the more urgent one stays."""

    at: float
    text: str
    urgent: bool = False


@dataclass(frozen=True, slots=True)
class Density:
    """Things too many to mark each.

    Attributes:
        bins: When, the width of the bin in seconds, how many.
        colours: From when on which colour.
    """

    bins: tuple[tuple[float, float, int], ...]
    colours: tuple[tuple[float, int], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Lane:
    """One line of the picture; it is drawn up to ``until``, a wall time."""

    name: str
    note: str = ""
    rows: int = 1
    labelled: bool = False
    bars: tuple[Bar, ...] = ()
    marks: tuple[Mark, ...] = ()
    words: tuple[Words, ...] = ()
    density: Density | None = None
    until: float = float("inf")


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """A picture: lanes over one span of time.

    Attributes:
        title: What it is a picture of.
        begin: Where the span begins, as wall time.
        end: Where it ends.
        lanes: From top to bottom.
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
    ("#009e73", "#ffffff"),
    ("#cc79a7", "#000000"),
    ("#56b4e9", "#000000"),
)
"""Colours of credentials and what is written on them."""
NEUTRAL = ("#8c959f", "#ffffff")
FAULT = "#d55e00"


@dataclass(frozen=True, slots=True)
class Theme:
    """Colours of the ground and of what is written on it."""

    paper: str
    ink: str
    muted: str
    line: str


PAPER = Theme("#ffffff", "#1f2328", "#59636e", "#d1d9e0")
"""For a picture that is saved."""
PAGE = Theme(
    "var(--rx-paper,#ffffff)",
    "var(--rx-ink,#1f2328)",
    "var(--rx-muted,#59636e)",
    "var(--rx-line,#d1d9e0)",
)
"""For one that is shown in a page: the page's own colours."""


def colour_of(number: int) -> tuple[str, str]:
    """The colour with a number and the one to write on it."""
    return PALETTE[(number - 1) % len(PALETTE)] if number else NEUTRAL


STEPS = (
    *(0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5),
    *(1.0, 2.0, 5.0, 10.0, 20.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1200.0, 1800.0),
    *(3600.0, 7200.0, 10800.0, 21600.0, 43200.0, 86400.0),
)
MOST = 10
RELATIVE = 120.0
"""Seconds up to which ticks count from the beginning of the picture; longer ones are o'clock."""
DAY = 86400.0


def ticks(begin: float, end: float, zone: float) -> Iterator[tuple[float, str]]:
    """The ticks of a span: where, and their text."""
    span = max(end - begin, 1e-6)
    step = next((step for step in STEPS if span / step <= MOST), math.ceil(span / MOST / DAY) * DAY)
    relative = span <= RELATIVE
    # Ticks that are o'clock are at whole steps of local time.
    first = begin if relative else math.ceil((begin + zone) / step) * step - zone
    for number in range(int((end - first) / step + 1e-9) + 1):
        at = first + number * step
        yield at, _seconds(number * step, step) if relative else clock_time(at, zone, span, step)


def clock_time(at: float, zone: float, span: float, step: float = 1.0) -> str:
    """A wall time as a clock shows it; with the day where the span has more than one."""
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
