"""What a picture over time consists of, before anything is drawn; plain data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

__all__ = ["Bar", "Density", "Lane", "Look", "Mark", "Scene", "Shape", "Words"]

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
