"""The events of a socket as spans of time: credentials, connections, pauses (C2)."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Self

from rxsocket.auth.credentials import Credential
from rxsocket.events import (
    FAULTS,
    Aborted,
    AwaitingAuth,
    Cause,
    ChannelFailed,
    ChannelStale,
    Closed,
    ConnectFailed,
    Connecting,
    Ended,
    EpochEnd,
    Event,
    Fresh,
    Gated,
    Missed,
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

KEPT = 300
"""Credentials, connections, pauses and notes; older ones are forgotten."""

APART = 60.0
"""Seconds between two notes about numbers that are missing."""

END_LABELS: Mapping[Cause, str] = {
    Cause.AUTH_CHANGED: "new credential",
    Cause.ADDRESS_CHANGED: "new address",
    Cause.HANDED_OVER: "handed over",
    Cause.LOGGED_OUT: "logged out",
    Cause.CLOSE: "close()",
    Cause.RECONNECT: "reconnect()",
    Cause.RENEW: "renew()",
    Cause.GATED: "gate closed",
    Cause.LEFT: "no subscribers",
    Cause.LOST: "lost",
    Cause.SILENT: "no pong",
    Cause.BLOCKED: "loop blocked",
    Cause.STALE: "no data",
    Cause.HEARTBEAT: "no heartbeat",
    Cause.LOOP_ENDED: "loop ended",
    Cause.MAX_AGE: "max_age",
    Cause.RECORDING_OVER: "recording over",
}
"""Why this side ended a connection, in words that fit under a bar."""

NOTE_LABELS: Mapping[type[Event], str] = {
    RenewalFailed: "not renewed",
    Stale: "stale",
    Fresh: "fresh",
    ChannelFailed: "channel failed",
    ChannelStale: "channel stale",
    Resumed: "time jumped",
    Missed: "missed",
    ObserverFailed: "observer failed",
    SlowConsumer: "slow observer",
}
"""Events of one moment, as briefly."""


@dataclass(frozen=True, slots=True)
class CredentialUse:
    """A credential came into use; equal ones have the same number, a missing one has 0."""

    at: float
    number: int
    label: str


@dataclass(slots=True)
class ConnectionSpan:
    """One epoch.

    Attributes:
        credentials: The time and number of its first credential, and of each renewal.
        ended: The time of its end; ``None`` before.
        label: The cause of its end, in few words.
        detail: The cause of its end, in a sentence.
        fault: Whether it ended against the user's will.
    """

    epoch: int
    dialled: float
    credentials: tuple[tuple[float, int], ...]
    opened: float | None = None
    ended: float | None = None
    label: str = ""
    detail: str = ""
    fault: bool = False


@dataclass(slots=True)
class Pause:
    """A span without an attempt to connect: until a delay is over, or a credential comes."""

    begin: float
    label: str
    detail: str
    awaits_credential: bool
    end: float | None = None


@dataclass(frozen=True, slots=True)
class TimelineNote:
    """Something that happened at one moment."""

    at: float
    label: str
    detail: str


@dataclass(slots=True)
class TimelineModel:
    """The spans of one socket, brought up to date by each credential and event."""

    credentials: deque[CredentialUse] = field(
        default_factory=lambda: deque[CredentialUse](maxlen=KEPT)
    )
    connections: deque[ConnectionSpan] = field(
        default_factory=lambda: deque[ConnectionSpan](maxlen=KEPT)
    )
    pauses: deque[Pause] = field(default_factory=lambda: deque[Pause](maxlen=KEPT))
    notes: deque[TimelineNote] = field(default_factory=lambda: deque[TimelineNote](maxlen=KEPT))
    _numbers: dict[str, int] = field(default_factory=dict[str, int])

    def copy(self) -> Self:
        """The model as it is now, which later events do not change."""
        return replace(
            self,
            credentials=deque(self.credentials),
            connections=deque(replace(connection) for connection in self.connections),
            pauses=deque(replace(pause) for pause in self.pauses),
            notes=deque(self.notes),
        )

    def on_credential(self, credential: Credential, at: float) -> None:
        number = 0
        if credential.known:
            number = self._numbers.setdefault(credential.fingerprint, len(self._numbers) + 1)
        self.credentials.append(CredentialUse(at, number, credential.masked))
        newest = self._living()
        if newest is not None and newest.opened is None:
            newest.credentials = ((newest.dialled, number),)

    def on_event(self, event: Event) -> None:
        """Take an event that is not a message."""
        match event:
            case Connecting(epoch=epoch, at=at):
                self._end_pause(at)
                self.connections.append(ConnectionSpan(epoch, at, ((at, self._number),)))
            case Opened(epoch=epoch, at=at):
                connection = self._living(epoch)
                if connection is not None:
                    connection.opened = at
                if event.moved:
                    self.notes.append(TimelineNote(at, "moved", sentence(event)))
            case Closed() | ConnectFailed() | Rejected() | Aborted():
                self._end_connection(event)
            case Waiting(delay=delay, at=at):
                self._begin_pause(at, f"wait {span(delay)}", sentence(event))
            case AwaitingAuth(at=at):
                label = "awaiting a credential"
                self._begin_pause(at, label, sentence(event), awaits_credential=True)
            case Gated(at=at):
                self._begin_pause(at, "gate closed", sentence(event))
            case Ended(at=at):
                self._end_pause(at)
                self.notes.append(TimelineNote(at, "ended", sentence(event)))
            case Renewed(epoch=epoch, at=at):
                connection = self._living(epoch)
                if connection is not None and self.credentials:
                    connection.credentials = (*connection.credentials, (at, self._number))
            case _:
                label = NOTE_LABELS.get(type(event), "")
                if label and not self._is_told(event):
                    self.notes.append(TimelineNote(event.at, label, sentence(event)))

    def _is_told(self, event: Event) -> bool:
        """Whether a note stands for it already: a server that leaves numbers out does so often."""
        if not isinstance(event, Missed) or not self.notes:
            return False
        last = self.notes[-1]
        return last.label == NOTE_LABELS[Missed] and event.at - last.at < APART

    @property
    def _number(self) -> int:
        return self.credentials[-1].number if self.credentials else 0

    def _end_connection(self, event: EpochEnd) -> None:
        connection = self._living(event.epoch)
        if connection is None:
            return
        connection.ended, connection.detail = event.at, sentence(event)
        match event:
            case Closed(cause=cause):
                connection.label = _end_label(event)
                connection.fault = cause not in END_LABELS or cause in FAULTS
            case Aborted():
                connection.label = "given up"
            case ConnectFailed(error=error, status=status) | Rejected(error=error, status=status):
                connection.label = f"HTTP {status}" if status else _error_label(error)
                connection.fault = True

    def _begin_pause(
        self, at: float, label: str, detail: str, *, awaits_credential: bool = False
    ) -> None:
        self._end_pause(at)
        self.pauses.append(Pause(at, label, detail, awaits_credential))

    def _end_pause(self, at: float) -> None:
        if self.pauses and self.pauses[-1].end is None:
            self.pauses[-1].end = at

    def _living(self, epoch: int | None = None) -> ConnectionSpan | None:
        """The connection of an epoch, or the newest one, if it has not ended."""
        for connection in reversed(self.connections):
            if connection.ended is None and epoch in (None, connection.epoch):
                return connection
        return None


ERROR_LABELS: Mapping[str, str] = {
    "ConnectionRefusedError": "connection refused",
    "ConnectionResetError": "connection reset",
    "TimeoutError": "no answer",
    "gaierror": "host not found",
    "SSLCertVerificationError": "certificate refused",
}
"""What attempts fail with most often, in few words."""


def _error_label(error: BaseException) -> str:
    name = type(error).__name__
    return ERROR_LABELS.get(name, name)


def _end_label(event: Closed) -> str:
    if event.code is None or event.cause not in (Cause.PEER, Cause.REFUSED):
        return END_LABELS.get(event.cause, event.cause.value)
    return f"{event.code} {event.reason}" if event.reason else meaning(event.code)
