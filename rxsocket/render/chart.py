"""The lines of a plot at one moment, and a view that is drawn of them in the browser."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from rxsocket.render.live_view import LiveView
from rxsocket.render.view import TimeWindow

COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")
"""Okabe and Ito's, which people who see colours differently can tell apart."""


@dataclass(frozen=True, slots=True)
class Chart:
    """What is drawn.

    Attributes:
        names: What each line is called.
        points: Of each line the places on both axes as float64, first x then y; NaN is a gap.
        begin: The place on the x axis where it begins.
        end: That where it ends.
        is_time: Whether the x axis is one of time, in seconds since 1970.
        x: What the x axis is called.
        y: What the y axis is called.
        version: Differs when the points do.
    """

    names: Sequence[str]
    points: Sequence[tuple[bytes, bytes]] = field(repr=False)
    begin: float
    end: float
    is_time: bool
    x: str
    y: str
    version: Any


class ChartView(LiveView):
    """A view whose widget draws lines itself; what it renders is the text below them."""

    @abstractmethod
    def chart(self, window: TimeWindow) -> Chart:
        """The lines, as far as they can be seen; from any thread."""
