"""From what happened to a connection to the event that says how it ended (C2, C16).

::

    before it opened    Rejected, ConnectFailed        the dial failed, or the server said no
                        Aborted                        we closed it
    open                Closed                         by the server, by us, or by nobody
"""

from __future__ import annotations

from rxsocket.auth.carrier import IN_FIRST_MESSAGE
from rxsocket.errors import HandshakeRefused
from rxsocket.events import Cause, ConnectFailed, Rejected
from rxsocket.explain.causes import blocked
from rxsocket.policy.verdicts import Judgement, Verdict
from rxsocket.publishing.history import History
from rxsocket.texts import LONGEST, change_texts, printable
from rxsocket.transports.base import PeerClosed

JUST_NOW = 2.0
"""Seconds after a block in which an end may be due to it."""
LONG = 5.0
"""Seconds of a block after which a server may have given us up."""
TIMEOUT = 3008
"""The registered close code for a peer that took too long (IANA)."""
INTERNAL_ERROR = 1011


def is_unsent(sent_as: str, link: object) -> bool:
    """Whether the credential had not gone anywhere: it goes in the first message alone."""
    return link is None and sent_as == IN_FIRST_MESSAGE


def mask_error(error: Exception, history: History, sent_as: str, link: object) -> None:
    """Mask what a dial failed with (C28), and say in a refusal where the credential went (C9).

    Its texts may be the server's, as the host of a redirect is, or quote the request.
    """
    mask = history.mask
    change_texts(error, lambda text: printable(mask(text), LONGEST))
    if isinstance(error, HandshakeRefused):
        if error.retry_after is not None:
            error.retry_after = history.as_read(error.retry_after)
        not_yet = f"nowhere yet: it goes {sent_as}"
        error.credential = not_yet if is_unsent(sent_as, link) else sent_as
        error.body = mask.in_reason(error.body)


def did_not_open(
    epoch: int, error: Exception, judgement: Judgement, at: float
) -> Rejected | ConnectFailed:
    """The end of a connection that did not open."""
    status = error.status if isinstance(error, HandshakeRefused) else None
    verdict = judgement.verdict
    if verdict is Verdict.AWAIT_AUTH:
        return Rejected(epoch=epoch, error=error, status=status, verdict=verdict, at=at)
    tolerated = judgement.tolerated
    return ConnectFailed(
        epoch=epoch, error=error, status=status, verdict=verdict, tolerated=tolerated, at=at
    )


def lost_why(signal: PeerClosed, reason: str, blocked_for: float) -> tuple[Cause, str]:
    """Why a connection ended that the peer closed, or that was lost.

    Args:
        signal: What the transport says.
        reason: The peer's text, masked.
        blocked_for: Seconds that the loop was blocked just before.
    """
    cause = Cause.LOST if signal.lost else Cause.PEER
    if blocked_for < LONG or not (signal.lost or signal.code == INTERNAL_ERROR):
        return cause, reason
    why = blocked(blocked_for)
    if signal.code == INTERNAL_ERROR:  # it gave us up while we did not look
        cause = Cause.BLOCKED
    return cause, f"{why}; {reason}" if reason else why
