"""What can be shown in a notebook: drawn once, and live where there is a front end for it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from reactivex import abc

__all__ = ["Drawn", "View", "Window"]


@dataclass(frozen=True, slots=True)
class Window:
    """What somebody zoomed to.

    Attributes:
        last: Seconds that are shown; ``None`` for everything.
        ago: How many seconds before now they end.
    """

    last: float | None = None
    ago: float = 0.0


@dataclass(frozen=True, slots=True)
class Drawn:
    """A picture at one moment.

    Attributes:
        html: The picture, everything in it escaped.
        again: Seconds after which it looks different although nothing happened; ``None`` if it does
            not.
        span: Seconds that it shows; ``None`` if it cannot be zoomed.
    """

    html: str
    again: float | None = None
    span: float | None = None


class View(ABC):
    """Something that can be drawn whenever it changed.

    Attributes:
        widget: Its widget in the front end, once it has one.
    """

    widget: Any = None

    @abstractmethod
    def watch(self, changed: Callable[[], None]) -> abc.DisposableBase:
        """Call back after each change, on whatever thread, until disposed."""

    @abstractmethod
    def drawn(self, window: Window) -> Drawn:
        """Draw it for a page, in the page's own colours; from any thread."""
