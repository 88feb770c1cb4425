"""Pictures in a notebook: drawn once, and again after changes while they are visible."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from reactivex import abc

from rxsocket.render.scene import clock_time


@dataclass(frozen=True, slots=True)
class TimeWindow:
    """The part of a picture that the user looks at.

    Attributes:
        last: Seconds that are shown; ``None`` for everything.
        until: The wall time of their end, which stays; ``None`` for now.
        width: Pixels that there is room for; ``None`` if nobody said.
    """

    last: float | None = None
    until: float | None = None
    width: int | None = None


@dataclass(frozen=True, slots=True)
class Rendering:
    """A picture at one moment.

    Attributes:
        html: The picture, everything in it escaped.
        redraw_after: Seconds after which it looks different without a change; ``None`` if never.
        span: Seconds that it shows; ``None`` if it cannot be zoomed.
        until: The wall time of their end.
        newest: The latest end that there is.
        status: What a screen reader says when it changes, as the state of a socket; a few words.
    """

    html: str
    redraw_after: float | None = None
    span: float | None = None
    until: float | None = None
    newest: float | None = None
    status: str = ""


@dataclass(frozen=True, slots=True)
class Action:
    """Something that a button beside a live picture does.

    Attributes:
        name: What :meth:`View.act` is called with.
        label: The text of the button.
        title: What it does, in a sentence.
        asks: What the user is asked for first, without echo; empty for nothing.
    """

    name: str
    label: str
    title: str
    asks: str = ""


class View(ABC):
    """A picture that can be drawn again after each change."""

    @abstractmethod
    def subscribe_changes(self, on_change: Callable[[], None]) -> abc.DisposableBase:
        """Call back after each change, on whatever thread, until disposed."""

    @abstractmethod
    def render(self, window: TimeWindow) -> Rendering:
        """Draw it for a page, in the page's own colours; from any thread."""

    @abstractmethod
    def static(self) -> dict[str, Any]:
        """It as it is now in each form that can be saved, by MIME type; from any thread."""

    @property
    def title(self) -> str:
        """What it is, in a few words: its name for those who do not see it."""
        return type(self).__name__.removesuffix("View").lower()

    @property
    def actions(self) -> tuple[Action, ...]:
        """What its buttons do."""
        return ()

    def hold(self, is_held: bool) -> None:  # noqa: B027 - most views have nothing to keep
        """Keep what is shown, as somebody reads it, or go on."""

    def act(self, name: str, value: Any) -> str:
        """Do what a button says.

        Args:
            name: That of one of the actions, or of something in the picture.
            value: What the user gave for it.

        Returns:
            What the user is told; it may be long, and is text.
        """
        raise ValueError(f"there is no {name} here")


def nothing_yet(since: float) -> str:
    """What an empty picture says, that waits since a wall time."""
    zone = time.localtime(since).tm_gmtoff
    return f"nothing yet, since {clock_time(since, zone, 0.0)}"
