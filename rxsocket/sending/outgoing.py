"""An observer to pipe a stream into (C20)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from reactivex import abc

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

    def __init__(
        self, send: Callable[[Any], object], not_sent: Callable[[Exception], None]
    ) -> None:
        self._send = send
        self._not_sent = not_sent

    def on_next(self, value: Any) -> None:
        """Send a value."""
        try:
            self._send(value)
        except Exception as error:  # what cannot be sent is no reason to stop the stream
            self._not_sent(error)

    def on_error(self, error: Exception) -> None:
        """Report it: nothing more comes from that stream."""
        self._not_sent(error)

    def on_completed(self) -> None:
        """Nothing more comes from that stream; the socket goes on."""
