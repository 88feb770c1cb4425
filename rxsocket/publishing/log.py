"""What goes to ``logging.getLogger("rxsocket")``: one line an event, never a secret (C28).

INFO for each open and close; WARNING for the first failure of an outage, a refused credential, a
raising observer and the first message of a connection that does not decode; ERROR when the socket
fails for good; DEBUG for the rest.
"""

from __future__ import annotations

import logging
from typing import Any

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
    Message,
    ObserverFailed,
    Opened,
    Rejected,
    Resumed,
    SendFailed,
    SlowConsumer,
    SourceFailed,
    Stale,
    TopicFailed,
)
from rxsocket.explain.causes import advice_about, closing, describe, failure
from rxsocket.explain.format import amount, span
from rxsocket.policy.verdicts import Verdict

__all__ = ["EventLog"]

logger = logging.getLogger("rxsocket")


WAITING = (
    "waiting for another credential (%s): call set_auth(), or reconnect() to try this one again"
)
ASKING = "waiting for another credential (%s): the function given as auth= is asked for one"


class EventLog:
    """Writes the log of one socket.

    Args:
        address: Its address, without secrets.
    """

    def __init__(self, address: str) -> None:
        self._address = address
        self._outage = False
        self._garbled = False

    def tell(self, event: Event) -> None:
        """Write the line for an event."""
        match event:
            case Message():
                return
            case Connecting(cause=Cause.STARTED):
                self._outage = False  # of an earlier life
                self._log(logging.DEBUG, "%s", event)
            case Opened(epoch=epoch):
                self._outage = self._garbled = False
                self._log(logging.INFO, "connection %d open", epoch)
            case Closed(verdict=Verdict.AWAIT_AUTH):
                self._log(logging.WARNING, "credential refused: %s", closing(event))
            case Closed(epoch=epoch):
                if logger.isEnabledFor(logging.INFO):  # the words take longer than the rest
                    self._log(logging.INFO, "connection %d closed: %s", epoch, closing(event))
            case ConnectFailed(error=error, verdict=verdict):
                level, self._outage = (logging.DEBUG if self._outage else logging.WARNING), True
                then = "; trying again" if verdict is Verdict.RECONNECT else ""
                hint = advice_about(error)
                hint = f" ({hint})" if hint else ""
                self._log(level, "cannot connect: %s%s%s", failure(error), then, hint)
            case Rejected(error=error):
                self._log(logging.WARNING, "credential refused: %s", failure(error))
            case AwaitingAuth(reason=reason, cause=Cause.REFUSED, asks=asks):
                self._log(logging.WARNING, ASKING if asks else WAITING, reason)
            case ObserverFailed(observer=observer, stream=stream, error=error):
                detached = " and was detached" if event.detached else ""
                text = "observer %s of %s raised%s; the others go on"
                self._log(logging.WARNING, text, observer, stream, detached, exc_info=error)
            case Stale(epoch=epoch, silence=silence):
                text = "connection %d is open, but no message came for %s"
                self._log(logging.WARNING, text, epoch, span(silence))
            case Fresh(epoch=epoch, silence=silence):
                text = "connection %d has messages again, after %s"
                self._log(logging.INFO, text, epoch, span(silence))
            case Resumed(slept=slept):
                self._log(logging.INFO, "time jumped by %s: looking at the link", span(slept))
            case SourceFailed(error=error):
                self._log(logging.WARNING, "the source of credentials failed: %s", describe(error))
            case DecodeFailed(error=error, excerpt=excerpt):
                level, self._garbled = (logging.DEBUG if self._garbled else logging.WARNING), True
                self._log(level, "%s; its shape: %s", error, excerpt)
            case Dropped(count=count, reason=reason):
                self._log(logging.WARNING, "%s dropped: %s", amount(count, "message"), reason)
            case SlowConsumer(observer=observer, stream=stream, seconds=seconds):
                text = "the observer of %s subscribed by %s held the loop for %.1f s; see "
                text += "rxsocket.operators for those that need long"
                self._log(logging.WARNING, text, stream, observer, seconds)
            case Ended(verdict=Verdict.FAIL, error=error):
                logger.error("%s", error)  # it has the address already
            case SendFailed(error=error):
                self._log(logging.DEBUG, "not sent: %s", error)
            case TopicFailed(topic=topic, error=error):
                self._log(logging.DEBUG, "a message of %s did not decode: %s", topic, error)
            case _:
                self._log(logging.DEBUG, "%s", event)

    def _log(self, level: int, text: str, *arguments: Any, **options: Any) -> None:
        logger.log(level, "%s: " + text, self._address, *arguments, **options)
