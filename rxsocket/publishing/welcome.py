"""Who looks at ``events`` first gets what was held for whoever comes first (C4).

::

    connection        --hello--a--------b--
    late to events             |hello,a-b--      as Message events, with the times that they came
    late to messages                |---b--      somebody was there before
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TypeVar

from rxsocket.events import Event
from rxsocket.runtime.home import Home
from rxsocket.streams.fence import Fence
from rxsocket.streams.flow import Brake
from rxsocket.streams.held import Dropping, HoldingStream
from rxsocket.streams.stream import Hold, Report, Stream

__all__ = ["EventStream", "MessageStream"]

T = TypeVar("T")


class MessageStream(HoldingStream[T]):
    """The messages, of which it knows when those came that it holds."""

    def __init__(
        self,
        name: str,
        home: Home,
        report: Report,
        owner: Dropping,
        hold: Hold,
        brake: Brake,
    ) -> None:
        super().__init__(name, home, report, owner, hold, brake)
        self._came: list[float] | None = None

    def hold(self) -> None:
        """From now on hold what comes, until the first observer does."""
        super().hold()
        self._came = None

    def hand_out(self) -> list[tuple[T, float]]:
        """Stop holding; return what was held, and when it came."""
        return list(zip(self.release(), self._came or (), strict=False))

    def _keep(self, value: T, raw: str | bytes | None) -> None:
        self._came = self._came or []
        self._came.append(self._home.wall_time())
        super()._keep(value, raw)


class EventStream(Stream[Event]):
    """The stream of everything. What its first observer is given first is for no other stream.

    Args:
        earlier: Takes the messages that are held.
    """

    def __init__(
        self,
        name: str,
        home: Home,
        report: Report,
        hold: Hold,
        brake: Brake,
        earlier: Callable[[], Iterable[Event]],
    ) -> None:
        super().__init__(name, home, report, hold, brake)
        self._earlier = earlier

    def _admit(self, fence: Fence[Event]) -> None:
        if fence.audience:
            for event in self._earlier():
                fence.on_next(event)
        super()._admit(fence)
