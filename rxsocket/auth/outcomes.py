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
    Ended,
    Event,
    Message,
    Opened,
    Rejected,
    RenewalFailed,
    Renewed,
)
from rxsocket.policy.verdicts import Verdict
from rxsocket.runtime.loop import SocketLoop
from rxsocket.runtime.reporting import Report
from rxsocket.streams.receipts import Receipt

# An open does not prove that the credential was good: many servers accept, then close at once.
GRACE = 0.25


@dataclass(frozen=True, slots=True)
class InEffect:
    """The connection ``epoch`` was opened with it; ``None`` when it was a logout."""

    epoch: int | None


@dataclass(frozen=True, slots=True)
class Refused:
    """The server refused it; ``reason`` says how."""

    reason: str


@dataclass(frozen=True, slots=True)
class Overtaken:
    """A newer credential came before it was in effect."""


@dataclass(frozen=True, slots=True)
class Stored:
    """The socket is not running: it will be used when the socket starts."""


AuthChange: TypeAlias = InEffect | Refused | Overtaken | Stored


class AuthChanges:
    """The changes of the credential that somebody waits for.

    A change is in effect when its connection is open and the first message came, or when
    0.25 s passed without a refusal. What comes into use supersedes the changes before it, not one
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
        self._timer: asyncio.TimerHandle | None = None

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
            self._after = after
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
        match event:
            case Opened() | Closed() | Rejected() if event.epoch <= self._after:
                pass  # of the credential before
            case Opened(epoch=epoch):
                self._epoch = epoch
                self._timer = self._loop.event_loop.call_later(GRACE, self._settle, InEffect(epoch))
            case Message(epoch=epoch) if epoch == self._epoch:
                self._settle(InEffect(epoch))
            case Closed(verdict=Verdict.AWAIT_AUTH, cause=Cause.REFUSED, reason=reason):
                self._settle(Refused(reason))
            case Closed(verdict=Verdict.AWAIT_AUTH, code=code, reason=reason):
                self._settle(Refused(f"closed with {code} {reason}".rstrip()))
            case Closed():
                self._wait_for_opened()
            case Rejected(error=error):
                self._settle(Refused(str(error)))
            case Renewed(epoch=epoch):
                self._settle(InEffect(epoch))
            case RenewalFailed(epoch=epoch, error=error, retry_in=None):
                self._settle(Refused(f"{error}; connection {epoch} goes on as it is"))
            case AwaitingAuth(cause=Cause.LOGGED_OUT):
                self._settle(InEffect(None))
            case AwaitingAuth(reason=reason):
                self._settle(Refused(reason))
            case Ended():
                self.on_stop()
            case _:
                pass

    def on_stop(self) -> None:
        """The socket stopped: what was asked for is kept for its next start."""
        self._settle(Stored())

    def _settle(self, outcome: AuthChange) -> None:
        self._wait_for_opened()
        self._wanted = None
        pending, self._pending = self._pending, ()
        for receipt in pending:
            receipt.settle(outcome)

    def _wait_for_opened(self) -> None:
        self._epoch = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
