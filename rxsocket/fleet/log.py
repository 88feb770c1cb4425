"""What a fleet writes to the log ``rxsocket``; its sockets write for themselves (C41)."""

from __future__ import annotations

import logging

from rxsocket.events import ObserverFailed
from rxsocket.fleet.events import (
    Capped,
    FleetEvent,
    Lost,
    Moved,
    Placed,
    Restored,
    ShardFailed,
    Throttled,
)
from rxsocket.runtime.threads import log
from rxsocket.texts import printable


class FleetLog:
    """Writes events.

    Args:
        label: What the fleet is called, without secrets.
    """

    def __init__(self, label: str) -> None:
        self._label = label

    def write(self, event: FleetEvent) -> None:
        """Write what the log of no socket says."""
        match event:
            case Throttled(shard=shard, why=why) | Capped(shard=shard, why=why):
                text = "%s: %s: %s; the plan follows it"
                log(logging.WARNING, text, self._label, shard, printable(why))
            case ShardFailed(shard=shard, error=error, restarts=restarts):
                then = "it is started again" if restarts else "others take its channels"
                text = "%s: the shard %s failed; %s"
                log(logging.ERROR, text, self._label, shard, then, error=error)
            case Lost() | Restored() | Placed() | Moved():
                log(logging.DEBUG, "%s: %r", self._label, event)

    def write_failed(self, event: ObserverFailed) -> None:
        """Write that a function of the user's raised."""
        text = "%s: %s of %s raised; the others go on"
        log(logging.WARNING, text, self._label, event.observer, event.stream, error=event.error)
