"""Where the values of one connection go, with nothing in between.

RxPY puts an observer of its own between a source and whoever subscribes, which asks before each
value whether it is over. An outlet asks nothing: when it is over, its functions are exchanged.
"""

from __future__ import annotations

from typing import Any

from reactivex import abc

from rxsocket.transports.seam import Signal

__all__ = ["Outlet"]


class Outlet:
    """An observer whose functions are called as they are.

    Args:
        on_next: A function, or an observer that has all three.
        on_error: Takes the failure; without it, the failure is raised.
        on_completed: Takes the end.
    """

    __slots__ = ("on_completed", "on_error", "on_next")

    def __init__(
        self,
        on_next: abc.ObserverBase[Signal] | abc.OnNext[Signal] | None = None,
        on_error: abc.OnError | None = None,
        on_completed: abc.OnCompleted | None = None,
    ) -> None:
        function: Any = on_next
        if hasattr(on_next, "on_next"):
            function, on_error, on_completed = (
                getattr(on_next, name) for name in ("on_next", "on_error", "on_completed")
            )
        self.on_next: abc.OnNext[Signal] = function or _ignore
        self.on_error: abc.OnError = on_error or _raise
        self.on_completed: abc.OnCompleted = on_completed or _ignore

    def leave(self) -> None:
        """Deliver nothing more."""
        self.on_next = self.on_error = self.on_completed = _ignore


def _ignore(_: object = None) -> None:
    """Nobody wants it."""


def _raise(error: Exception) -> None:
    raise error
