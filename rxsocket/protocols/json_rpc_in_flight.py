"""What waits for an answer of JSON-RPC, for errors that do not say whose they are (C48).

::

    sum#1  ----------error(id: null)     the only one in flight: it is that one's
    sum#1  sum#2  ---error(id: null)     nobody can know: it is in the log
"""

from __future__ import annotations

import logging
from typing import Any
from weakref import WeakSet

from rxsocket.protocols.json_rpc_messages import error_of, id_of
from rxsocket.runtime.threads import log
from rxsocket.socket import Socket
from rxsocket.validation import is_mapping


class InFlight:
    """The requests of one socket that are not answered; on its loop.

    Args:
        socket: The socket.

    Attributes:
        waiting: The numbers of requests; of a batch, the batch.
        others: What has more of them, as ``asked``, by their numbers.
    """

    def __init__(self, socket: Socket[Any, Any]) -> None:
        self.waiting: dict[object, None] = {}
        self.others: WeakSet[Any] = WeakSet()
        self._socket = socket
        self._said: Any = None

    def id_of(self, message: Any) -> Any:
        """The id of a message; of an error without one, that of the only request in flight."""
        if not is_error_of_unknown(message):
            return id_of(message)
        everybody = [*self.waiting, *(number for one in self.others for number in one.asked)]
        if len(everybody) == 1:
            return everybody[0] if isinstance(everybody[0], int) else None
        if self._said is not message:
            self._said = message
            engine = self._socket._engine  # pyright: ignore[reportPrivateUsage]
            text = "%s: the server sent an error that does not say which request it is of: %s"
            error = error_of(self._socket, message["error"])
            log(logging.WARNING, text, engine.label, error)
        return None


def is_error_of_unknown(message: Any) -> bool:
    """Whether it is an error of a request whose id the server could not read."""
    return is_mapping(message) and "error" in message and message.get("id") is None


def in_flight_of(socket: Socket[Any, Any]) -> InFlight:
    """What is in flight on a socket, whatever asks for it."""
    engine = socket._engine  # pyright: ignore[reportPrivateUsage]
    with engine.loop.lock:
        found = engine.hooks.attached.setdefault(InFlight, InFlight(socket))
    assert isinstance(found, InFlight)
    return found
