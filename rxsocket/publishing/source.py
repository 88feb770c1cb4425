"""What is known of the socket that a stream comes from: its secrets, and its connection."""

from __future__ import annotations

from typing import Any

from reactivex import Observable

from rxsocket.events import Cause, Closed, Opened
from rxsocket.publishing.publisher import Publisher
from rxsocket.runtime.threads import running_loop, wall_clock


class StreamSource:
    """The socket behind a stream, also one that was piped; or none, of any other Observable."""

    __slots__ = ("_loop", "_publisher")

    def __init__(self, stream: Observable[Any]) -> None:
        origin: Any = getattr(stream, "_origin", None)
        self._loop: Any = getattr(origin, "loop", None)
        # Whatever a socket or a fleet emits, its publisher is told of observers that raise.
        self._publisher: Any = getattr(getattr(origin, "report", None), "__self__", None)

    def redact(self, value: Any) -> Any:
        """A text without the secrets of the socket (C28)."""
        masked = getattr(self._publisher, "masked", None)
        return value if masked is None else masked(value)

    @property
    def epoch(self) -> int | None:
        """The number of the connection whose messages are delivered now."""
        publisher = self._publisher
        return publisher.delivering_epoch if isinstance(publisher, Publisher) else None

    def was_out_since(self, epoch: int) -> bool:
        """Whether there was no connection for a while since that one: none took over.

        Where that is forgotten, there was none.
        """
        publisher, current = self._publisher, epoch
        if not isinstance(publisher, Publisher):
            return False
        for event in publisher.history.events:
            if isinstance(event, Opened) and event.epoch > current:
                current = event.epoch
            elif (
                isinstance(event, Closed)
                and event.epoch == current
                and event.cause is not Cause.HANDED_OVER
            ):
                return True
        return current == epoch

    def wall_time(self) -> float:
        """The time now; the recorded one, of a socket that is replayed."""
        loop = self._loop
        return wall_clock(running_loop())() if loop is None else loop.wall_time()
