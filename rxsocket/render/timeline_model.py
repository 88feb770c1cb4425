"""What happened to a socket, as stretches of time: credentials, connections, pauses (C2)."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Self

from rxsocket.auth.credentials import ANONYMOUS, LOGGED_OUT, PENDING, Credential
from rxsocket.events import (
    FAULTS,
    Aborted,
    AwaitingAuth,
    Cause,
    Closed,
    ConnectFailed,
    Connecting,
    Ended,
    EpochEnd,
    Event,
    Fresh,
    ObserverFailed,
    Opened,
    Rejected,
    RenewalFailed,
    Renewed,
    Resumed,
    SlowConsumer,
    Stale,
    Waiting,
)
from rxsocket.explain.causes import meaning
from rxsocket.explain.format import span
from rxsocket.explain.wording import sentence
from rxsocket.validation import is_mapping

__all__ = ["Connection", "Note", "Pause", "Story", "Token"]

KEPT = 300
"""Connections, pauses and notes; older ones are forgotten."""

SHORT = {
    Cause.AUTH_CHANGED: "new credential",
    Cause.HANDED_OVER: "handed over",
    Cause.LOGGED_OUT: "logged out",
    Cause.CLOSE: "close()",
    Cause.RECONNECT: "reconnect()",
    Cause.LEFT: "nobody left",
    Cause.LOST: "lost",
    Cause.SILENT: "no pong",
    Cause.BLOCKED: "loop blocked",
    Cause.STALE: "no data",
    Cause.HEARTBEAT: "no heartbeat",
    Cause.LOOP_ENDED: "loop ended",
    Cause.MAX_AGE: "max_age",
    Cause.RECORDING_OVER: "recording over",
}
"""Ends of our own making, in as few words as stand under a bar."""

LABELS: Mapping[type[Event], str] = {
    RenewalFailed: "not renewed",
    Stale: "stale",
    Fresh: "fresh",
    Resumed: "time jumped",
    ObserverFailed: "observer failed",
    SlowConsumer: "slow observer",
}
"""What happens at one moment, as briefly."""


@dataclass(frozen=True, slots=True)
class Token:
    """A credential came into use; equal ones have the same number, none has the number 0."""

    at: float
    number: int
    label: str


@dataclass(slots=True)
class Connection:
    """One epoch.

    Attributes:
        tokens: The credential that it began with, and those it was renewed to: when, which.
        ended: When it ended; ``None`` while it lives.
        label: How, in few words.
        detail: How, in all words.
        fault: Whether nobody wanted that.
        handed_over: Whether the next one took its place.
    """

    epoch: int
    dialled: float
    tokens: tuple[tuple[float, int], ...]
    opened: float | None = None
    ended: float | None = None
    label: str = ""
    detail: str = ""
    fault: bool = False
    handed_over: bool = False


@dataclass(slots=True)
class Pause:
    """No attempt is made meanwhile."""

    begin: float
    label: str
    detail: str
    asleep: bool
    end: float | None = None


@dataclass(frozen=True, slots=True)
class Note:
    """Something that happened at one moment."""

    at: float
    label: str
    detail: str


@dataclass(slots=True)
class Story:
    """Follows the events of one socket."""

    tokens: deque[Token] = field(default_factory=lambda: deque[Token](maxlen=KEPT))
    connections: deque[Connection] = field(default_factory=lambda: deque[Connection](maxlen=KEPT))
    pauses: deque[Pause] = field(default_factory=lambda: deque[Pause](maxlen=KEPT))
    notes: deque[Note] = field(default_factory=lambda: deque[Note](maxlen=KEPT))
    _numbers: dict[str, int] = field(default_factory=dict[str, int])

    def copy(self) -> Self:
        """As it is now; later events do not change it."""
        return replace(
            self,
            tokens=deque(self.tokens),
            connections=deque(replace(one) for one in self.connections),
            pauses=deque(replace(one) for one in self.pauses),
            notes=deque(self.notes),
        )

    def uses(self, credential: Credential, at: float) -> None:
        """A credential is in use from now on."""
        number = 0
        if credential.known:
            number = self._numbers.setdefault(credential.fingerprint, len(self._numbers) + 1)
        self.tokens.append(Token(at, number, _masked(credential)))
        dialling = self._connection(None)
        if dialling is not None and dialling.opened is None:
            dialling.tokens = ((dialling.dialled, number),)

    def tell(self, event: Event) -> None:
        """Take an event that is no message."""
        match event:
            case Connecting(epoch=epoch, at=at):
                self._resume(at)
                number = self.tokens[-1].number if self.tokens else 0
                self.connections.append(Connection(epoch, at, ((at, number),)))
            case Opened(epoch=epoch, at=at):
                one = self._connection(epoch)
                if one is not None:
                    one.opened = at
            case Closed() | ConnectFailed() | Rejected() | Aborted():
                self._end(event)
            case Waiting(delay=delay, at=at):
                self._pause(at, f"wait {span(delay)}", sentence(event))
            case AwaitingAuth(at=at):
                self._pause(at, "awaiting a credential", sentence(event), asleep=True)
            case Ended(at=at):
                self._resume(at)
                self.notes.append(Note(at, "ended", sentence(event)))
            case Renewed(epoch=epoch, at=at):
                one = self._connection(epoch)
                if one is not None and self.tokens:
                    one.tokens = (*one.tokens, (at, self.tokens[-1].number))
            case _:
                if type(event) in LABELS:
                    self.notes.append(Note(event.at, LABELS[type(event)], sentence(event)))

    def _end(self, event: EpochEnd) -> None:
        one = self._connection(event.epoch)
        if one is None:
            return
        one.ended, one.detail = event.at, sentence(event)
        match event:
            case Closed(cause=cause):
                one.label = _short(event)
                one.handed_over = cause is Cause.HANDED_OVER
                one.fault = cause not in SHORT or cause in FAULTS
            case Aborted():
                one.label = "given up"
            case ConnectFailed(error=error, status=status) | Rejected(error=error, status=status):
                one.label = f"HTTP {status}" if status else type(error).__name__
                one.fault = True

    def _pause(self, at: float, label: str, detail: str, *, asleep: bool = False) -> None:
        self._resume(at)
        self.pauses.append(Pause(at, label, detail, asleep))

    def _resume(self, at: float) -> None:
        if self.pauses and self.pauses[-1].end is None:
            self.pauses[-1].end = at

    def _connection(self, epoch: int | None) -> Connection | None:
        """The one of that number, or the newest, if it is there and has not ended."""
        for one in reversed(self.connections):
            if one.ended is None and epoch in (None, one.epoch):
                return one
        return None


def _short(event: Closed) -> str:
    if event.code is None or event.cause not in (Cause.PEER, Cause.REFUSED):
        return SHORT.get(event.cause, event.cause.value)
    return f"{event.code} {event.reason}" if event.reason else meaning(event.code)


def _masked(credential: Credential) -> str:
    if credential is ANONYMOUS:
        return "anonymous"
    if credential is LOGGED_OUT:
        return "logged out"
    if credential is PENDING:
        return "none yet"
    value = credential.reveal()
    return ", ".join(f"{name}=***" for name in value) if is_mapping(value) else "***"
