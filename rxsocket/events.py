"""What happens to a socket, as frozen values, and the state each of them leads to (C2).

For each epoch (one connection, numbered from 1, never reused)::

    Connecting (Opened Message* Closed | ConnectFailed | Rejected | Aborted)

and between epochs, of the socket as a whole: ``Waiting``, ``AwaitingAuth``, ``Ended``. Whatever
went wrong without ending a stream is a value too: ``ObserverFailed``, ``SourceFailed``,
``SendFailed``, ``Dropped``.

``at`` is the wall time in seconds since the epoch; it takes no part in comparisons. An exception in
an event is compared by its kind and its text.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from enum import Enum
from types import MappingProxyType
from typing import Any, TypeAlias

from rxsocket.policy.verdicts import Verdict

__all__ = [
    "Aborted",
    "AwaitingAuth",
    "Cause",
    "Closed",
    "ConnectFailed",
    "Connecting",
    "Dropped",
    "Ended",
    "Event",
    "Message",
    "ObserverFailed",
    "Opened",
    "Problem",
    "Rejected",
    "SendFailed",
    "SourceFailed",
    "State",
    "Waiting",
]


class State(Enum):
    """What a socket is doing."""

    IDLE = "idle"
    """Nobody is subscribed; nothing runs."""
    CONNECTING = "connecting"
    OPEN = "open"
    WAITING = "waiting"
    """Between two attempts."""
    AWAITING_AUTH = "awaiting auth"
    """The credential was refused, or there is none: another one is needed."""
    CLOSED = "closed"
    """Ended. A new subscriber starts it afresh."""

    def __repr__(self) -> str:
        return self.name


class Cause(Enum):
    """Why an epoch began, or ended."""

    STARTED = "started"
    """The first subscriber came."""
    AUTH_CHANGED = "auth changed"
    LOGGED_OUT = "logged out"
    NO_CREDENTIAL = "no credential yet"
    RECONNECT = "reconnect() was called"
    CLOSE = "close() was called"
    LEFT = "the last subscriber left"
    LOOP_ENDED = "the event loop ended"
    PEER = "closed by the server"
    LOST = "the link was lost"
    SILENT = "the peer stopped answering pings"
    FAILED = "the attempt failed"
    REFUSED = "the credential was refused"
    RECORDING_OVER = "the recording is over"
    """Nothing more was recorded; see ``rxsocket.recording``."""

    def __repr__(self) -> str:
        return self.name


@dataclass(frozen=True, slots=True, kw_only=True)
class _Event:
    at: float = field(default_factory=time.time, compare=False, repr=False)


class _Failure(_Event):
    """An event about an exception: equal when that is of the same kind and says the same."""

    __slots__ = ()

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and _values(self) == _values(other)

    def __hash__(self) -> int:
        return hash(_values(self))


def _values(event: _Event) -> tuple[Any, ...]:
    values = (getattr(event, item.name) for item in fields(event) if item.compare)
    return tuple((type(v).__name__, str(v)) if isinstance(v, Exception) else v for v in values)


@dataclass(frozen=True, slots=True, kw_only=True)
class Connecting(_Event):
    """An attempt begins: the credential is resolved, then the server is dialled.

    Attributes:
        epoch: Number of the attempt and of the connection it may become.
        cause: Why there is an attempt.
        attempt: How many attempts there were since the last stable connection, this one included.
        url: Address, without user info or query values.
    """

    epoch: int
    cause: Cause
    attempt: int
    url: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened(_Event):
    """The connection is open (C18).

    Attributes:
        gap: Seconds the socket was without a connection since the one before, or ``None`` for the
            first one since it started.
        cause: Why there had to be a new connection.
        attempts: Attempts it took, this one included.
        subprotocol: What the server chose, if anything.
    """

    epoch: int
    gap: float | None = None
    cause: Cause = Cause.STARTED
    attempts: int = 1
    subprotocol: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Message(_Event):
    """A message arrived. ``data`` is ``str`` for a text frame, ``bytes`` for a binary one."""

    epoch: int
    data: Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Closed(_Event):
    """An opened connection ended.

    Attributes:
        code: The peer's close code: 1005 when its close frame had none, 1006 when the link was lost
            without one, ``None`` when we closed before the peer answered.
        reason: The peer's text, or ours when it had none.
        sent: The code that we sent first, if we did.
        cause: Who or what ended it.
        verdict: What the policy says follows; ``None`` when it was our own doing.
        uptime: Seconds the connection was open.
    """

    epoch: int
    code: int | None = None
    reason: str = ""
    sent: int | None = None
    cause: Cause = Cause.PEER
    verdict: Verdict | None = None
    uptime: float = field(default=0.0, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ConnectFailed(_Failure):
    """The connection was not opened, for a reason other than the credential.

    Attributes:
        error: What it failed with.
        status: The HTTP status of the server's answer, if it gave one.
    """

    epoch: int
    error: Exception
    verdict: Verdict
    status: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Rejected(_Failure):
    """The server refused the credential at the handshake, or the provider gave up (C9)."""

    epoch: int
    error: Exception
    verdict: Verdict
    status: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Aborted(_Event):
    """The attempt was given up before it opened, by our own doing (C8)."""

    epoch: int
    cause: Cause


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting(_Event):
    """The next attempt comes after ``delay`` seconds; ``failures`` in a row led to it (C15)."""

    delay: float
    failures: int
    cause: Cause


@dataclass(frozen=True, slots=True, kw_only=True)
class AwaitingAuth(_Event):
    """No attempt is made until another credential comes (C9, C11). ``reason`` says why."""

    reason: str
    cause: Cause


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Ended(_Failure):
    """The socket ended: its streams complete, or fail with ``error`` (C3)."""

    verdict: Verdict
    cause: Cause
    error: Exception | None = None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ObserverFailed(_Failure):
    """An observer raised and was detached; everybody else goes on (C23).

    Attributes:
        error: What it raised, with its traceback.
        observer: Its name.
        stream: The stream it was subscribed to.
    """

    error: Exception
    observer: str
    stream: str


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SourceFailed(_Failure):
    """The source of credentials failed or gave something unusable; the credential stays (C10)."""

    error: Exception


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SendFailed(_Failure):
    """A message was not sent; its receipt says the same (C20)."""

    error: Exception
    epoch: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Dropped(_Event):
    """Messages that nobody was subscribed to were dropped (C4)."""

    epoch: int
    count: int
    reason: str


Problem: TypeAlias = (
    ConnectFailed | Rejected | Closed | ObserverFailed | SourceFailed | SendFailed | Dropped
)
"""What ``socket.errors`` emits."""

Event: TypeAlias = (
    Connecting
    | Opened
    | Message
    | Closed
    | ConnectFailed
    | Rejected
    | Aborted
    | Waiting
    | AwaitingAuth
    | Ended
    | ObserverFailed
    | SourceFailed
    | SendFailed
    | Dropped
)
"""What ``socket.events`` emits: a closed union, for ``match``."""

LEADS_TO: Mapping[type[Any], State] = MappingProxyType(
    {
        Connecting: State.CONNECTING,
        Opened: State.OPEN,
        Closed: State.WAITING,
        ConnectFailed: State.WAITING,
        Rejected: State.WAITING,
        Aborted: State.WAITING,
        Waiting: State.WAITING,
        AwaitingAuth: State.AWAITING_AUTH,
        Ended: State.CLOSED,
    }
)
"""The state that each event leads to; the others change nothing."""
