"""How a connection ended: from what happened to the event that tells of it (C2, C16, C18).

::

    before it opened    Rejected, ConnectFailed        the dial failed, or who judges it said no
                        Aborted                        we let it go
    open                Closed                         by the server, by us, or by nobody
"""

from __future__ import annotations

from typing import Any, Protocol

from rxsocket.engine.engine import Engine
from rxsocket.errors import ConnectionLost, CredentialRefused, HandshakeRefused
from rxsocket.events import Aborted, Cause, Closed, ConnectFailed, Rejected
from rxsocket.explain.causes import blocked
from rxsocket.policy.verdicts import End, Verdict
from rxsocket.transports.base import PeerClosed

__all__ = ["TIMEOUT", "Ending"]

JUST_NOW = 2.0
"""Seconds after a block in which an end may be due to it."""
LONG = 5.0
"""Seconds of a block after which a server may have given us up."""
TIMEOUT = 3008
"""The registered close code for a peer that took too long (IANA)."""


class Judged(Protocol):
    """What an ending needs to know of the attempt; see ``Attempt``."""

    number: int

    def judge(self, end: End, stable: bool) -> Verdict:
        """The verdict about an end, and whether the connection was stable before it."""
        ...


class Ending:
    """The end of one connection, now. Each method is one way to it.

    Args:
        attempt: Whose connection it is.
        engine: Of the socket.
        opened_at: When it opened, on the loop's clock; ``None`` if it did not.
        stable: Whether it counted as stable.
    """

    def __init__(
        self, attempt: Judged, engine: Engine, opened_at: float | None, stable: bool
    ) -> None:
        self._attempt = attempt
        self._engine = engine
        self._opened_at = opened_at
        self._stable = stable
        self._at = engine.loop.wall_time()

    def failed(self, error: Exception, end: End) -> Rejected | ConnectFailed:
        """It did not open."""
        status = None
        if isinstance(error, HandshakeRefused):
            status = error.status
            if error.retry_after is not None:
                error.retry_after = self._masked(error.retry_after)
        verdict = self._attempt.judge(end, False)
        kind = Rejected if verdict is Verdict.AWAIT_AUTH else ConnectFailed
        return kind(
            epoch=self._attempt.number, error=error, status=status, verdict=verdict, at=self._at
        )

    def lost(
        self, signal: PeerClosed, cause: Cause | None = None
    ) -> Closed | Rejected | ConnectFailed:
        """The server closed it, or it is gone."""
        reason = self._masked(signal.reason)
        end = End(code=signal.sent or signal.code, reason=reason)
        if self._opened_at is None:
            said = f"closed with {signal.code} {reason}".rstrip()
            return self.failed(ConnectionLost(f"the server let the link open, then {said}"), end)
        if cause is None:
            cause = Cause.LOST if signal.lost else Cause.PEER
            block = self._blocked() if signal.lost or signal.code == 1011 else ""
            if block:
                reason = f"{block}; {reason}" if reason else block
                if signal.code == 1011:  # it gave us up while we did not look
                    cause = Cause.BLOCKED
        return self._closed(
            code=signal.code,
            reason=reason,
            sent=signal.sent,
            cause=cause,
            verdict=self._attempt.judge(end, self._stable),
        )

    def refused(self) -> Closed:
        """A message said that the credential is not good."""
        return self._closed(
            reason="a message said so",
            sent=1000,
            cause=Cause.REFUSED,
            verdict=self._attempt.judge(End(error=CredentialRefused()), False),
        )

    def no_use(self, cause: Cause, reason: str) -> Closed:
        """It is open, and we close it; what follows is what follows a lost link."""
        verdict = self._attempt.judge(End(code=1006, reason=reason), self._stable)
        return self._closed(reason=reason, sent=TIMEOUT, cause=cause, verdict=verdict)

    def let_go(self) -> Closed | Aborted:
        """It is not wanted any more."""
        run_state = self._engine.run_state
        if self._opened_at is None:
            return Aborted(epoch=self._attempt.number, cause=run_state.cause, at=self._at)
        code, reason = run_state.farewell
        return self._closed(reason=reason, sent=code, cause=run_state.cause)

    def _closed(self, **how: Any) -> Closed:
        """From here on the socket is without a connection."""
        now = self._engine.run_state.closed_at = self._engine.loop.event_loop.time()
        uptime = now - (self._opened_at or 0.0)
        return Closed(epoch=self._attempt.number, uptime=uptime, at=self._at, **how)

    def _masked(self, text: str) -> str:
        return self._engine.publisher.history.masked(text)

    def _blocked(self) -> str:
        """That the loop was blocked until just now, if so; longer than servers may put up with."""
        since = self._engine.loop.event_loop.time() - JUST_NOW
        seconds = self._engine.loop_listener.blocked_since(since)
        return blocked(seconds) if seconds >= LONG else ""
