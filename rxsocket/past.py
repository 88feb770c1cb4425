"""The last events of a socket, without its messages."""

from __future__ import annotations

from collections import deque
from dataclasses import replace

from rxsocket.events import Event, ObserverFailed
from rxsocket.explaining.causes import describe

__all__ = ["Past", "Remembered"]

KEPT = 100


class Remembered(Exception):
    """Stands for an exception whose traceback, and all that its frames hold, was let go."""


class Past:
    """The last 100 events; one ``append`` each is what it costs."""

    __slots__ = ("_events",)

    def __init__(self) -> None:
        self._events: deque[Event] = deque(maxlen=KEPT)

    def remember(self, event: Event) -> None:
        """Keep an event that is no message."""
        if isinstance(event, ObserverFailed):
            error = event.error
            event = replace(event, error=Remembered(f"{type(error).__name__}: {describe(error)}"))
        self._events.append(event)

    @property
    def events(self) -> tuple[Event, ...]:
        """What is kept, oldest first; may be read from any thread."""
        return tuple(self._events.copy())  # in one step, unlike an iteration
