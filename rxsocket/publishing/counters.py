"""What a socket counts, always, whoever looks: one place, written on the loop, read anywhere (C45).

Messages are counted once for each read from the network, so a message costs nothing here. What can
be asked for elsewhere is not counted again: what waits is known by the outbox, the state by events.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias, cast

from rxsocket.codecs import size_in_bytes
from rxsocket.events import (
    Aborted,
    AwaitingAuth,
    Cause,
    Closed,
    ConnectFailed,
    Connecting,
    DecodeFailed,
    Dropped,
    Event,
    Missed,
    Opened,
    Rejected,
    RenewalFailed,
    Renewed,
    SendFailed,
)
from rxsocket.policy.verdicts import Verdict
from rxsocket.state import State
from rxsocket.transports.base import Batch

Lasting: TypeAlias = tuple[float, float | None]
"""Seconds that are over, and since when another span of them lasts: replaced as a whole, so that a
thread that reads it meanwhile sees no span twice."""

_NEVER: Lasting = (0.0, None)
_WANTED = (State.CONNECTING, State.WAITING, State.AWAITING_AUTH)
"""States in which there should be a connection, and is none; see ``Counters.outage``."""
_NOBODY_LOGGED_IN = (Cause.LOGGED_OUT, Cause.NO_CREDENTIAL)
_FEW = 8
"""Messages whose sizes are added up one by one; more of them are joined, which is faster."""


class Counters:
    """The counters of one socket, since it was made: no reconnect and no new start resets them.

    Attributes:
        messages_received, bytes_received: Each message of each connection, until that is left.
        messages_sent, bytes_sent: Each message that was handed to the transport.
        attempts, connections, failures, refusals, renewals: What came of them; see ``Stats``.
        dropped, missed, undecodable, unsent: Messages that did not get where they were to.
        outage: How long there was no connection though one was wanted.
        paused: How long reading was paused while there was a connection.
        state: The state, and the wall time since when; ``None`` before the first change.
    """

    __slots__ = (
        "_rejected",
        "attempts",
        "bytes_received",
        "bytes_sent",
        "connections",
        "dropped",
        "failures",
        "messages_received",
        "messages_sent",
        "missed",
        "outage",
        "paused",
        "refusals",
        "renewals",
        "state",
        "undecodable",
        "unsent",
    )

    def __init__(self) -> None:
        self.messages_received = self.bytes_received = 0
        self.messages_sent = self.bytes_sent = 0
        self.attempts = self.connections = self.failures = self.refusals = self.renewals = 0
        self.dropped = self.missed = self.undecodable = self.unsent = 0
        self.outage: Lasting = _NEVER
        self.paused: Lasting = _NEVER
        self.state: tuple[State, float | None] = (State.IDLE, None)
        self._rejected: Exception | None = None

    def on_read(self, messages: list[str | bytes]) -> None:
        """Messages of one read came."""
        self.messages_received += len(messages)
        self.bytes_received += messages.size if type(messages) is Batch else _size_of(messages)

    def on_written(self, count: int, size: int) -> None:
        """So many messages, of so many bytes, were handed to the transport."""
        self.messages_sent += count
        self.bytes_sent += size

    def on_sent(self, message: Any) -> None:
        """One message was: what a part of the socket says by itself, as ``Link.send`` takes it."""
        if isinstance(message, (list, tuple)):
            self.on_written(1, sum(map(_size, cast("list[str | bytes]", message))))
        else:
            text_or_bytes: Any = message
            is_whole = isinstance(message, (str, bytes, bytearray, memoryview))
            self.on_written(1, _size(text_or_bytes) if is_whole else 0)

    def on_event(self, event: Event) -> None:
        """Something happened; before anybody is told."""
        match event:
            case Connecting():
                self.attempts += 1
            case Opened():
                self.connections += 1
            case ConnectFailed():
                self.failures += 1
            case Rejected():
                self.refusals += 1
                self._rejected = event.error
            case Closed(verdict=verdict, cause=cause):
                self.refusals += verdict is Verdict.AWAIT_AUTH
                self.renewals += cause is Cause.HANDED_OVER
            case Renewed():
                self.renewals += 1
            case RenewalFailed(refused=True, error=error):
                # If the next connection was rejected, that was counted.
                self.refusals += error is not self._rejected
            case Dropped(count=count):
                self.dropped += count
            case Missed(first=first, last=last):
                self.missed += last - first + 1
            case DecodeFailed():
                self.undecodable += 1
            case SendFailed():
                self.unsent += 1
            case _:
                pass

    def on_state(self, state: State, event: Event | None, now: float, wall_time: float) -> None:
        """The state that is led to, maybe the same as before.

        Args:
            state: The state.
            event: What led to it, if that was an event.
            now: The time of the loop.
            wall_time: That of people.
        """
        if state is not self.state[0]:
            self.state = state, wall_time
        is_wanted = state in _WANTED
        if state is State.AWAITING_AUTH:
            if not isinstance(event, (AwaitingAuth, Closed, Rejected, Aborted)):
                return  # it says nothing about that
            is_wanted = getattr(event, "cause", None) not in _NOBODY_LOGGED_IN
        self.outage = _lasts(self.outage, is_wanted, now)

    def on_reading(self, *, is_paused: bool, now: float) -> None:
        """Reading from an open connection is paused, or goes on."""
        self.paused = _lasts(self.paused, is_paused, now)

    def forget(self) -> None:
        """In a forked child: what lasts is the parent's."""
        self.state = State.CLOSED, None
        self.outage, self.paused = (self.outage[0], None), (self.paused[0], None)


def _lasts(lasting: Lasting, is_on: bool, now: float) -> Lasting:
    seconds, since = lasting
    if is_on:
        return lasting if since is not None else (seconds, now)
    return lasting if since is None else (seconds + max(0.0, now - since), None)


def seconds_of(lasting: Lasting, now: float) -> float:
    """How long it was in all, what lasts included."""
    seconds, since = lasting
    return seconds if since is None else seconds + max(0.0, now - since)


def _size_of(messages: Sequence[str | bytes]) -> int:
    """Bytes of messages: of text those of UTF-8."""
    if len(messages) > _FEW:
        try:
            first = messages[0]
            whole: Any = "" if isinstance(first, str) else b""
            return _size(whole.join(messages))
        except TypeError:  # text and binary ones
            pass
    return sum(map(_size, messages))


def _size(message: str | bytes) -> int:
    try:
        return size_in_bytes(message)
    except UnicodeEncodeError:  # of a transport that makes text of something else
        return len(str(message).encode(errors="surrogatepass"))
