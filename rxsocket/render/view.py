"""Pictures in a notebook: drawn once, and again after changes while they are visible."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from reactivex import abc


@dataclass(frozen=True, slots=True)
class TimeWindow:
    """The span of time that the user zoomed to.

    Attributes:
        last: Seconds that are shown; ``None`` for everything.
        ago: Seconds from their end to now.
    """

    last: float | None = None
    ago: float = 0.0


@dataclass(frozen=True, slots=True)
class Rendering:
    """A picture at one moment.

    Attributes:
        html: The picture, everything in it escaped.
        redraw_after: Seconds after which it looks different without a change; ``None`` if never.
        span: Seconds that it shows; ``None`` if it cannot be zoomed.
    """

    html: str
    redraw_after: float | None = None
    span: float | None = None


class View(ABC):
    """A picture that can be drawn again after each change.

    Attributes:
        widget: Its widget in the front end, once it has one.
    """

    widget: Any = None

    @abstractmethod
    def subscribe_changes(self, on_change: Callable[[], None]) -> abc.DisposableBase:
        """Call back after each change, on whatever thread, until disposed."""

    @abstractmethod
    def render(self, window: TimeWindow) -> Rendering:
        """Draw it for a page, in the page's own colours; from any thread."""
