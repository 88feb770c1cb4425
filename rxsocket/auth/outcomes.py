"""What became of a change of credential: the outcomes of ``set_auth`` (C5, C20)."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TypeAlias

from rxsocket.auth.credentials import Credential
from rxsocket.events import (
    AwaitingAuth,
    Cause,
    Closed,
    ConnectFailed,
    Connecting,
    Ended,
    Event,
    Gated,
    Message,
    Opened,
    Rejected,
    RenewalFailed,
    Renewed,
)
from rxsocket.explain.causes import closing, describe, socket_failure
from rxsocket.policy.verdicts import Verdict
from rxsocket.runtime.loop import SocketLoop
from rxsocket.runtime.reporting import Report
from rxsocket.streams.receipts import Receipt

# An open does not prove that the credential was good: many servers accept, then close at once.
GRACE = 0.25
PATIENCE = 30.0
"""Seconds in which a connection must be open with it: nobody waits for ever."""
ENOUGH = 2
"""Connections with it that were closed at once, after which it is told."""
NOT_OPEN = f"no connection was open with it within {PATIENCE:g} s"


@dataclass(frozen=True, slots=True)
class InEffect:
    """It is in use on the connection ``epoch``; ``None`` when it was a logout.

    The connection was opened with it, and then a message came, or 0.25 s passed without a close.
    """

    epoch: int | None


@dataclass(frozen=True, slots=True)
class Refused:
    """The server refused it; ``reason`` says how."""

    reason: str


@dataclass(frozen=True, slots=True)
class NotInEffect:
    """It is kept, but no connection is in use with it; ``reason`` says what happened.

    The server closed two connections with it at once, without a word of the credential; none was
    open within 30 s; or the socket ended. While the socket runs, further attempts use it.
    """

    reason: str


@dataclass(frozen=True, slots=True)
class Overtaken:
    """A newer credential came before it was in effect."""


@dataclass(frozen=True, slots=True)
class Stored:
    """The socket is not running, or its gate is closed: it is kept for when it starts or opens."""


AuthChange: TypeAlias = InEffect | Refused | NotInEffect | Overtaken | Stored


class AuthChanges:
    """The changes of the credential that somebody waits for.

    A change is in effect when its connection is open and the first message came, or when
    0.25 s passed without a close. What comes into use supersedes the changes before it, not one
    that was made since.
    """

    def __init__(self, loop: SocketLoop, report: Report) -> None:
        self._loop = loop
        self._report = report
        self._order: tuple[Credential, ...] = ()  # the one in use, and the changes since
        self._wanted: Credential | None = None
        self._pending: tuple[Receipt[AuthChange], ...] = ()
        self._epoch: int | None = None
        self._after = 0
        self._is_tried = False
        self._closed_early = 0
        self._failure = NOT_OPEN
        self._timer: asyncio.TimerHandle | None = None
        self._deadline: asyncio.TimerHandle | None = None

    def receipt(self) -> Receipt[AuthChange]:
        """A receipt for a change that is about to be made."""
        return Receipt(self._loop, self._report)

    def is_pending(self, credential: Credential) -> bool:
        """Whether somebody waits for a change to this credential."""
        return bool(self._pending) and credential == self._wanted

    @property
    def awaits_message(self) -> bool:
        """Whether the next message would settle something."""
        return self._epoch is not None and bool(self._pending)

    def add(self, credential: Credential, receipt: Receipt[AuthChange], after: int) -> None:
        """Settle a receipt when it is known what became of the change.

        Args:
            credential: What to change to.
            receipt: To be settled.
            after: The last epoch that is not about it.
        """
        self.on_change(credential)
        if not self.is_pending(credential):
            self._after, self._is_tried, self._closed_early = after, False, 0
            self._failure = NOT_OPEN
            self._deadline = self._loop.event_loop.call_later(PATIENCE, self._give_up)
        self._wanted = credential
        self._pending = (*self._pending, receipt)

    def on_change(self, credential: Credential) -> None:
        """The credential is changed: this is the newest, those before it are superseded."""
        self._order = (*(one for one in self._order if one != credential), credential)
        if credential != self._wanted:
            self._settle(Overtaken())

    def on_use(self, credential: Credential) -> None:
        """A credential comes into use, which may be one that was changed to some time ago."""
        is_known = credential in self._order
        self._order = self._order[self._order.index(credential) :] if is_known else (credential,)
        if self._wanted is not None and self._wanted not in self._order:
            self._settle(Overtaken())

    def on_event(self, event: Event) -> None:
        """Learn from an event what became of the changes."""
        if not self._pending:
            return
        if isinstance(event, (Connecting, Opened, Closed, ConnectFailed, Rejected)):
            if event.epoch <= self._after:
                return  # of the credential before
            self._is_tried = True
        match event:
            case Opened(epoch=epoch):
                self._epoch = epoch
                self._timer = self._loop.event_loop.call_later(GRACE, self._settle, InEffect(epoch))
            case Message(epoch=epoch) if epoch == self._epoch:
                self._settle(InEffect(epoch))
            case Closed(verdict=Verdict.AWAIT_AUTH, cause=Cause.REFUSED, reason=reason):
                self._settle(Refused(reason))
            case Closed(verdict=Verdict.AWAIT_AUTH, code=code, reason=reason):
                self._settle(Refused(f"closed with {code} {reason}".rstrip()))
            case Closed(verdict=verdict, cause=cause):
                self._wait_for_opened()
                self._failure = closing(event)
                self._closed_early += verdict is Verdict.RECONNECT and cause is Cause.PEER
                if self._closed_early >= ENOUGH:
                    self._settle(NotInEffect(f"{self._failure}; it is tried again"))
            case ConnectFailed(error=error) | RenewalFailed(error=error, retry_in=float()):
                self._failure = f"{describe(error)}; it is tried again"
            case Rejected(error=error):
                self._settle(Refused(str(error)))
            case Renewed(epoch=epoch):
                self._settle(InEffect(epoch))
            case RenewalFailed(epoch=epoch, error=error):
                self._settle(Refused(f"{error}; connection {epoch} goes on as it is"))
            case AwaitingAuth(cause=Cause.LOGGED_OUT):
                self._settle(InEffect(None))
            case AwaitingAuth(reason=reason):
                self._settle(Refused(reason))
            case Gated():
                self.on_stop()
            case Ended(error=error, cause=cause):
                if not self._is_tried or (error is None and cause is not Cause.PEER):
                    self.on_stop()
                    return
                why = self._failure if error is None else socket_failure(error)
                self._settle(NotInEffect(f"the socket ended: {why}"))
            case _:
                pass

    def on_stop(self) -> None:
        """The socket stopped: what was asked for is kept for its next start."""
        self._settle(Stored())

    def _give_up(self) -> None:
        with self._loop.turn():
            self._settle(NotInEffect(self._failure))

    def _settle(self, outcome: AuthChange) -> None:
        self._wait_for_opened()
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None
        self._wanted = None
        pending, self._pending = self._pending, ()
        for receipt in pending:
            receipt.settle(outcome)

    def _wait_for_opened(self) -> None:
        self._epoch = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
