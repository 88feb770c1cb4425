"""What a fleet writes to the log ``rxsocket``; its sockets write for themselves (C41)."""

from __future__ import annotations

import logging

from rxsocket.events import Event, ObserverFailed
from rxsocket.explain.format import amount
from rxsocket.explain.wording import sentence
from rxsocket.fleet.events import (
    AnswerMissing,
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

ANSWER = "acknowledged= must tell it, of the message that accepts them"
_TAKES = {
    "channels": "that connection takes {} channels",
    "connections": "the address may have {} connections",
    "connections_per_credential": "the credential may have {} connections",
}


def learnt_in_words(event: Throttled | Capped) -> str:
    """What an answer of the server's taught, and what follows."""
    if isinstance(event, Capped):
        place = event.shard if event.socket is None else f"{event.shard}/{event.socket}"
        return f"{place}: {printable(event.why)}: {_TAKES[event.what].format(event.cap)}"
    then = [] if event.retry_after is None else [f"nobody dials for {event.retry_after:g} s"]
    if event.rate is not None:
        does, until = ("dials", " for a while") if event.what == "dials" else ("sends", "")
        then.append(f"{'then ' if then else ''}{does} at {event.rate:.3g}/s{until}")
    return f"{event.shard}: {printable(event.why)}: {', '.join(then)}"


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
            case Throttled() | Capped():
                log(logging.WARNING, "%s: %s", self._label, learnt_in_words(event))
            case ShardFailed(shard=shard, error=error, restarts=restarts):
                then = "it is started again" if restarts else "others take its channels"
                text = "%s: the shard %s failed; %s"
                log(logging.ERROR, text, self._label, shard, then, error=error)
            case AnswerMissing(keys=keys, shard=shard, socket=socket, seconds=seconds):
                text = "%s: %s/%s: no answer to %s for %g s: %s"
                count = amount(len(keys), "channel")
                log(logging.WARNING, text, self._label, shard, socket, count, seconds, ANSWER)
            case Lost() | Restored() | Placed() | Moved():
                log(logging.DEBUG, "%s: %r", self._label, event)

    def write_problem(self, event: Event) -> None:
        """Write what went wrong with the fleet itself."""
        error = event.error if isinstance(event, ObserverFailed) else None
        log(logging.WARNING, "%s: %s", self._label, sentence(event), error=error)
