"""What goes to ``logging.getLogger("rxsocket")``: one line an event, never a secret (C28).

INFO for each open and close; WARNING for the first failure of an outage, the first of each kind in
a run that is tolerated only because a connection was stable before, a refused credential, a raising
observer and a message that does not decode; ERROR when the socket fails for good; DEBUG for the
rest. What a server can cause at will has one line a minute and connection, and one with the number
of the others.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass

from rxsocket.errors import NoMoreEvents
from rxsocket.events import (
    AwaitingAuth,
    Cause,
    ChannelFailed,
    ChannelStale,
    Closed,
    ConnectFailed,
    Connecting,
    DecodeFailed,
    Dropped,
    Ended,
    Event,
    Fresh,
    Gated,
    Missed,
    ObserverFailed,
    Opened,
    Rejected,
    Resumed,
    SlowConsumer,
    SourceFailed,
    Stale,
    TopicFailed,
)
from rxsocket.explain.wording import advice, sentence
from rxsocket.policy.verdicts import Verdict
from rxsocket.texts import traceback_text

logger = logging.getLogger("rxsocket")

LEVELS: Mapping[type[Event], int] = {
    Opened: logging.INFO,
    Closed: logging.INFO,
    Gated: logging.INFO,
    ConnectFailed: logging.WARNING,
    Rejected: logging.WARNING,
    Stale: logging.WARNING,
    Fresh: logging.INFO,
    Resumed: logging.INFO,
    ObserverFailed: logging.WARNING,
    SourceFailed: logging.WARNING,
    DecodeFailed: logging.WARNING,
    TopicFailed: logging.WARNING,
    ChannelFailed: logging.WARNING,
    ChannelStale: logging.WARNING,
    Dropped: logging.WARNING,
    Missed: logging.WARNING,
    SlowConsumer: logging.WARNING,
}
"""The level of an event, unless more of it is known; of others, DEBUG."""

WITH_ADVICE = (ConnectFailed, AwaitingAuth, DecodeFailed, SlowConsumer)
PERIOD = 60.0
"""Seconds in which what a server can cause at will has one line; the next one has their number."""


class EventLog:
    """Writes the log of one socket.

    Args:
        label: Its name and its address, without secrets.
    """

    def __init__(self, label: str) -> None:
        self._label = label
        self._in_outage = False
        self._tolerated: frozenset[object] = frozenset()  # kinds of failure, in this run
        self._repeated: dict[object, _Repeated] | None = None

    def write(self, event: Event) -> None:
        level, more, subject = self._level(event), "", _subject(event)
        if subject is not None:
            level, more = self._once(event, subject, level)
        elif isinstance(event, (Opened, Closed, Ended)):
            self._say_how_often()
        if logger.isEnabledFor(level):  # the words take longer than the rest
            error = event.error if isinstance(event, ObserverFailed) else None
            self._log(level, _line(event) + more, error)

    def _once(self, event: Event, subject: object, level: int) -> tuple[int, str]:
        """The level of an event that repeats itself, and how many there were without a line."""
        repeated = self._repeated = self._repeated or {}
        before = repeated.get(subject)
        if before is not None and event.at - before.at < PERIOD:
            before.count, before.latest = before.count + 1, event
            return logging.DEBUG, ""
        repeated[subject] = _Repeated(event.at, level)
        return level, f" ({before.count:,} more before this)" if before and before.count else ""

    def _say_how_often(self) -> None:
        repeated, self._repeated = self._repeated, None
        for one in (repeated or {}).values():
            if one.latest is not None and logger.isEnabledFor(one.level):
                self._log(one.level, f"{one.count:,} more like this one: {sentence(one.latest)}")

    def _log(self, level: int, line: str, error: BaseException | None = None) -> None:
        if error is None:
            logger.log(level, "%s: %s", self._label, line)
            return
        caught = (type(error), error, error.__traceback__)
        where = (logger.name, level, __file__, 0, "%s: %s", (self._label, line))
        record = logger.makeRecord(*where, caught, "write")
        record.exc_text = traceback_text(error)  # what it says may be a server's
        logger.handle(record)

    def _level(self, event: Event) -> int:
        match event:
            case Connecting(cause=Cause.STARTED):
                self._in_outage = False  # of an earlier run
                self._tolerated = frozenset()
            case Opened():
                self._in_outage = False
            case Closed(tolerated=True):
                if self._is_news(event.sent or event.code):
                    return logging.WARNING
            case ConnectFailed(error=NoMoreEvents()):
                return logging.INFO  # it is an end, and no failure
            case ConnectFailed(tolerated=tolerated):
                is_news = tolerated and self._is_news(event.status or type(event.error))
                if self._in_outage and not is_news:
                    return logging.DEBUG
                self._in_outage = True
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


@dataclass(slots=True)
class _Repeated:
    """An event of a kind that has its line: when that was, and what came of it since."""

    at: float
    level: int
    count: int = 0
    latest: Event | None = None


def _subject(event: Event) -> object:
    """What a server can cause as often as it likes, and one line is enough of; ``None`` else."""
    match event:
        case ObserverFailed(detached=False) | SlowConsumer():
            return type(event), event.observer, event.stream
        case DecodeFailed() | Dropped() | Fresh() | Missed() | Stale() | TopicFailed():
            return type(event)
        case ChannelFailed() | ChannelStale():
            return type(event)
        case _:
            return None


def _line(event: Event) -> str:
    text = sentence(event)
    is_tolerated = isinstance(event, (Closed, ConnectFailed)) and event.tolerated
    if is_tolerated:
        text += "; trying again, as a connection was stable before"
    elif isinstance(event, ConnectFailed) and event.verdict is Verdict.RECONNECT:
        text += "; trying again"
    hint = advice(event) if is_tolerated or isinstance(event, WITH_ADVICE) else ""
    return f"{text} ({hint})" if hint else text
