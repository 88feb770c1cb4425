"""An observer to pipe a stream into (C20)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from reactivex import abc

from rxsocket.events import SendFailed

if TYPE_CHECKING:
    from rxsocket.engine import Engine

__all__ = ["Outgoing"]


class Outgoing(abc.ObserverBase[Any]):
    """Sends every value of a stream; ``socket.outgoing``.

    The stream's end is not the socket's: its completion does nothing, its error is reported on
    ``errors``. So is every message that is not sent.

    ::

        numbers    --1--2--X
        sent       --1--2----
        errors     --------e-

    Examples:
        >>> readings.pipe(ops.map(json.dumps)).subscribe(socket.outgoing)
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def on_next(self, value: Any) -> None:
        """Send a value."""
        try:
            self._engine.send(value)
        except Exception as error:  # what cannot be sent is no reason to stop the stream
            self._report(error)

    def on_error(self, error: Exception) -> None:
        """Report it: nothing more comes from that stream."""
        self._report(error)

    def on_completed(self) -> None:
        """Nothing more comes from that stream; the socket goes on."""

    def _report(self, error: Exception) -> None:
        home, publisher = self._engine.home, self._engine.publisher
        home.run(lambda: publisher.publish(SendFailed(error=error, at=home.wall_time())))
