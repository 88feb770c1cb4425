"""What happens to a socket, as frozen values (C2).

For each epoch (one connection, numbered from 1, never reused)::

    Connecting (Opened Message* Closed | ConnectFailed | Rejected | Aborted)

and, of the socket as a whole: ``Waiting``, ``AwaitingAuth``, ``Gated`` and ``Ended`` between
epochs, ``Renewed``, ``Stale``, ``Fresh`` and ``ChannelStale`` while one is open, ``Resumed`` at any
time. Whatever went wrong without ending a stream is a value too: ``RenewalFailed``,
``ObserverFailed``, ``SourceFailed``, ``SendFailed``, ``DecodeFailed``, ``TopicFailed``,
``ChannelFailed``, ``Dropped``, ``Missed``, ``SlowConsumer``.

``at`` is the wall time in seconds since the epoch; it takes no part in comparisons. An exception in
an event is compared by its kind and its text.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field, fields
from typing import Any, TypeAlias

from rxsocket.cause import FAULTS as FAULTS
from rxsocket.cause import Cause as Cause
from rxsocket.policy.verdicts import Verdict


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
        url: Address, without user info or query values. If it has to be asked for, that of the
            attempt before, or the name of what is asked.
        proxy: Address of the proxy that it goes through, without its password, if there is one.
        reason: What ``renew(why=...)`` was told.
    """

    epoch: int
    cause: Cause
    attempt: int
    url: str
    proxy: str | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened(_Event):
    """The connection is open (rule C18, gap).

    Attributes:
        gap: Seconds the socket was without a connection since the one before, or ``None`` for the
            first one since it started.
        cause: Why there had to be a new connection.
        attempts: Attempts it took, this one included.
        subprotocol: What the server chose, if anything.
        url: Address, without user info or query values.
        moved: Whether ``url`` is another one than of the connection before, or than was known when
            the socket was made (rule C33, an endpoint for each attempt).
    """

    epoch: int
    gap: float | None = None
    cause: Cause = Cause.STARTED
    attempts: int = 1
    subprotocol: str | None = None
    url: str = field(default="", compare=False)
    moved: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Message(_Event):
    """A message arrived.

    ``data`` is what the codec made of it; without codec ``str`` for text, ``bytes`` for binary.
    """

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
        cause: What ended it.
        verdict: What the policy says follows; ``None`` when it was our own doing.
        uptime: Seconds the connection was open.
        tolerated: True if it is tried again only because a connection of this run was stable;
            before that, it would not be.
    """

    epoch: int
    code: int | None = None
    reason: str = ""
    sent: int | None = None
    cause: Cause = Cause.PEER
    verdict: Verdict | None = None
    uptime: float = field(default=0.0, compare=False)
    tolerated: bool = False


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ConnectFailed(_Failure):
    """The connection was not opened, for a reason other than the credential.

    Attributes:
        error: What it failed with.
        status: The HTTP status of the server's answer, if it gave one.
        tolerated: True if it is tried again only because a connection of this run was stable;
            before that, it would not be.
    """

    epoch: int
    error: Exception
    verdict: Verdict
    status: int | None = None
    tolerated: bool = False


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Rejected(_Failure):
    """The server refused the credential at the handshake, or the provider gave up
    (rule C9, refused credentials are remembered).
    """

    epoch: int
    error: Exception
    verdict: Verdict
    status: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Aborted(_Event):
    """The attempt was given up before it opened, by our own doing (rule C8, during anything)."""

    epoch: int
    cause: Cause


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting(_Event):
    """The next attempt comes after ``delay`` seconds; ``failures`` in a row led to it
    (rule C15, backoff).

    Attributes:
        delay: Seconds from ``at`` to the attempt.
        failures: Waits since the last stable connection, this one included.
        cause: Why there has to be another attempt.
        retry_after: Seconds that the server asked for, if it did.
    """

    delay: float
    failures: int
    cause: Cause
    retry_after: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AwaitingAuth(_Event):
    """No attempt is made until another credential comes (rules C9, refused credentials are
    remembered; C11, nobody and logged out).

    Attributes:
        reason: Why, in words.
        cause: Why.
        asks: True if the provider is asked for one meanwhile.
        retry_in: Seconds until the same one is tried again, as it was accepted before; ``None`` if
            it is not.
        credential: Where the refused one went, as in ``"in the header 'Authorization'"``.
    """

    reason: str
    cause: Cause
    asks: bool = False
    retry_in: float | None = None
    credential: str = field(default="", compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Gated(_Event):
    """The gate is closed: no attempt is made until it opens (rule C35, a gate).

    Attributes:
        reason: Why, in words: it said so, or it has said nothing yet.
    """

    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Stale(_Event):
    """The connection is open and answers, but no message came for ``silence`` seconds
    (rule C17, silent links).
    """

    epoch: int
    silence: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Fresh(_Event):
    """A message came again, after ``silence`` seconds without one (rule C17, silent links)."""

    epoch: int
    silence: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Resumed(_Event):
    """Time jumped: the computer slept, or its clock was set, by ``slept`` seconds
    (rule C17, silent links).

    An open link is probed at once, and a wait for the next attempt is over.
    """

    slept: float


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Ended(_Failure):
    """The socket ended: its streams complete, or fail with ``error`` (rule C3, ends)."""

    verdict: Verdict
    cause: Cause
    error: Exception | None = None


class Remembered(Exception):
    """Stands in ``history()`` for what an observer raised: its text, without the traceback.

    A traceback would keep alive all that its frames hold.
    """


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ObserverFailed(_Failure):
    """An observer raised and was detached; everybody else goes on
    (rule C23, one bad subscriber harms nobody).

    Attributes:
        error: What it raised, with its traceback.
        observer: Its name.
        stream: The stream it was subscribed to, or ``"scheduler"``.
        detached: True if it gets nothing more. About what an operator runs on
            ``socket.scheduler``, the operator decides; an envelope, or another function that
            messages go through, is called for the next one again.
    """

    error: BaseException
    observer: str
    stream: str
    detached: bool = True


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SourceFailed(_Failure):
    """An Observable or a provider failed or gave something unusable; what it gave before stays.

    Attributes:
        error: What was wrong.
        argument: What it was given as: ``"auth"``
            (rule C10, every attempt carries the current credential), ``"url"``
            (rule C33, an endpoint for each attempt), ``"renew(url)"`` (rule C34, renewed when told)
            or ``"gate"`` (rule C35, a gate).
    """

    error: Exception
    argument: str = "auth"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SendFailed(_Failure):
    """A message was not sent; its receipt says the same (rule C20, receipts)."""

    error: Exception
    epoch: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Renewed(_Event):
    """The credential was changed on ``epoch``, and the connection stays (rule C13, strategies)."""

    epoch: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RenewalFailed(_Event):
    """The connection ``epoch`` could not be renewed, and goes on as it is
    (rules C13, strategies; C34, renewed when told).

    Attributes:
        epoch: Number of the connection that goes on, with the credential it had.
        error: Why.
        refused: True if the server refused the new credential, or a second connection.
        retry_in: Seconds until it is tried again; ``None`` if it waits for the next attempt to
            connect.
        cause: Why it was to be renewed.
    """

    epoch: int
    error: Exception
    refused: bool
    retry_in: float | None = None
    cause: Cause = Cause.AUTH_CHANGED


@dataclass(frozen=True, slots=True, kw_only=True)
class DecodeFailed(_Event):
    """The codec could not make a value of a message: nobody got it, everything else goes on
    (rule C3, ends).

    Attributes:
        error: What was wrong, without anything that the message holds (rule C28, secrets).
        excerpt: The shape of its first 80 characters, letters as ``x`` and digits as ``0``; empty
            for a message that is not text.
    """

    epoch: int
    error: Exception
    excerpt: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Dropped(_Event):
    """Messages without a subscriber were dropped (rule C4, late subscribers)."""

    epoch: int
    count: int
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Missed(_Event):
    """Messages did not come: their numbers, by ``cursor=``, are missing (rule C38, resuming).

    Attributes:
        epoch: Number of the connection that went on with the number after ``last``.
        first: The first number that is missing.
        last: The last one.
    """

    epoch: int
    first: int
    last: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SlowConsumer(_Event):
    """An observer held the loop: meanwhile nothing was read, answered or sent
    (rule C27, backpressure is explicit).

    It is named when it does so again within 10 s, and then once a minute at most. So is the body of
    an ``async for``, or a sink, for which reading was paused for over 1 s while others wait for
    messages, too.

    Attributes:
        observer: What subscribed it: function, line and module; of one that paused reading, how,
            too.
        stream: The stream it is subscribed to.
        seconds: How long it took for the messages that had been read in one go, over 0.1; or how
            long reading has been paused.
        waiting: How many values wait for one that paused reading; ``None`` for one that held the
            loop.
    """

    observer: str
    stream: str
    seconds: float
    waiting: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TopicFailed(_Event):
    """A payload of a topic did not decode into the type of its listeners.

    Attributes:
        topic: The topic.
        error: What was wrong, without anything that the payload holds (rule C28, secrets).
    """

    topic: str
    error: Exception


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ChannelFailed(_Failure):
    """A channel was refused, or could not be asked for; all others go on
    (rules C22, channels; C37, many channels).

    Attributes:
        channel: Its key, or what else it is called.
        error: Why.
    """

    epoch: int
    channel: str
    error: Exception


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelStale(_Event):
    """A channel was silent for too long on a connection that lives; it is asked for again
    (rule C37, many channels).

    Attributes:
        channel: Its key, or what else it is called.
        silence: Seconds since its last message, or since it was asked for.
        answered: False if it was asked for and the server has not answered that.
    """

    epoch: int
    channel: str
    silence: float
    answered: bool = True


EpochEnd: TypeAlias = Closed | ConnectFailed | Rejected | Aborted
"""The last event of an epoch."""

EpochEvent: TypeAlias = Connecting | Opened | Message | EpochEnd
"""The events that an epoch is made of."""

Problem: TypeAlias = (
    ConnectFailed
    | Rejected
    | Closed
    | RenewalFailed
    | ObserverFailed
    | SourceFailed
    | SendFailed
    | DecodeFailed
    | TopicFailed
    | ChannelFailed
    | Dropped
    | Missed
    | SlowConsumer
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
    | Gated
    | Stale
    | Fresh
    | Resumed
    | Ended
    | Renewed
    | RenewalFailed
    | ObserverFailed
    | SourceFailed
    | SendFailed
    | DecodeFailed
    | Dropped
    | Missed
    | SlowConsumer
    | TopicFailed
    | ChannelFailed
    | ChannelStale
)
"""What ``socket.events`` emits, a closed union for ``match``."""
