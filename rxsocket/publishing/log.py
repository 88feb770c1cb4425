"""What goes to ``logging.getLogger("rxsocket")``: one line an event, never a secret (C28).

INFO for each open and close; WARNING for the first failure of an outage, the first of each kind in
a run that is tolerated only because a connection was stable before, a refused credential, a raising
observer, and once for each connection a function that may raise at every message and a message that
does not decode; ERROR when the socket fails for good; DEBUG for the rest.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping

from rxsocket.events import (
    AwaitingAuth,
    Cause,
    Closed,
    ConnectFailed,
    Connecting,
    DecodeFailed,
    Dropped,
    Ended,
    Event,
    Fresh,
    ObserverFailed,
    Opened,
    Rejected,
    Resumed,
    SlowConsumer,
    SourceFailed,
    Stale,
)
from rxsocket.explain.wording import advice, sentence
from rxsocket.policy.verdicts import Verdict

logger = logging.getLogger("rxsocket")

LEVELS: Mapping[type[Event], int] = {
    Opened: logging.INFO,
    Closed: logging.INFO,
    ConnectFailed: logging.WARNING,
    Rejected: logging.WARNING,
    Stale: logging.WARNING,
    Fresh: logging.INFO,
    Resumed: logging.INFO,
    ObserverFailed: logging.WARNING,
    SourceFailed: logging.WARNING,
    DecodeFailed: logging.WARNING,
    Dropped: logging.WARNING,
    SlowConsumer: logging.WARNING,
}
"""The level of an event, unless more of it is known; of others, DEBUG."""

WITH_ADVICE = (ConnectFailed, AwaitingAuth, DecodeFailed, SlowConsumer)


class EventLog:
    """Writes the log of one socket.

    Args:
        label: Its name and its address, without secrets.
    """

    def __init__(self, label: str) -> None:
        self._label = label
        self._in_outage = False
        self._has_undecodable = False
        self._tolerated: frozenset[object] = frozenset()  # kinds of failure, in this run
        self._raised: frozenset[tuple[str, str]] = frozenset()  # on this connection

    def write(self, event: Event) -> None:
        level = self._level(event)
        if logger.isEnabledFor(level):  # the words take longer than the rest
            error = event.error if isinstance(event, ObserverFailed) else None
            logger.log(level, "%s: %s", self._label, _line(event), exc_info=error)

    def _level(self, event: Event) -> int:
        match event:
            case Connecting(cause=Cause.STARTED):
                self._in_outage = False  # of an earlier run
                self._tolerated = frozenset()
            case Opened():
                self._in_outage = self._has_undecodable = False
                self._raised = frozenset()
            case Closed(tolerated=True):
                if self._is_news(event.sent or event.code):
                    return logging.WARNING
            case ConnectFailed(tolerated=tolerated):
                is_news = tolerated and self._is_news(event.status or type(event.error))
                if self._in_outage and not is_news:
                    return logging.DEBUG
                self._in_outage = True
            case DecodeFailed():
                if self._has_undecodable:
                    return logging.DEBUG
                self._has_undecodable = True
            case ObserverFailed(observer=observer, stream=stream, detached=False):
                if (observer, stream) in self._raised:
                    return logging.DEBUG
                self._raised |= {(observer, stream)}
            case Closed(verdict=Verdict.AWAIT_AUTH) | AwaitingAuth(cause=Cause.REFUSED):
                return logging.WARNING
            case Ended(verdict=Verdict.FAIL):
                return logging.ERROR
            case _:
                pass
        return LEVELS.get(type(event), logging.DEBUG)

    def _is_news(self, kind: object) -> bool:
        known, self._tolerated = self._tolerated, self._tolerated | {kind}
        return kind not in known


def _line(event: Event) -> str:
    text = sentence(event)
    is_tolerated = isinstance(event, (Closed, ConnectFailed)) and event.tolerated
    if is_tolerated:
        text += "; trying again, as a connection was stable before"
    elif isinstance(event, ConnectFailed) and event.verdict is Verdict.RECONNECT:
        text += "; trying again"
    hint = advice(event) if is_tolerated or isinstance(event, WITH_ADVICE) else ""
    return f"{text} ({hint})" if hint else text
