"""The state of a socket: what follows from each event, as a table (C2).

An epoch that ends leads to what its verdict says; one that we end ourselves, to what we end it for.
While a connection is open, whatever happens to the next one beside it changes nothing (C13).
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from types import MappingProxyType

from rxsocket.events import (
    Aborted,
    AwaitingAuth,
    Cause,
    Closed,
    ConnectFailed,
    Connecting,
    Ended,
    Event,
    Gated,
    Opened,
    Rejected,
    Waiting,
)
from rxsocket.policy.verdicts import Verdict


class State(Enum):
    """What a socket is doing.

    Attributes:
        IDLE: Nobody is subscribed; nothing runs.
        CONNECTING: An attempt is under way.
        OPEN: There is a connection.
        WAITING: Between two attempts: the next one comes after a backoff.
        AWAITING_AUTH: The credential was refused, or there is none: another one is needed.
        GATED: The gate is closed: it waits until ``gate=`` says ``True``.
        CLOSED: Ended. A new subscriber starts it afresh.
    """

    IDLE = "idle"
    CONNECTING = "connecting"
    OPEN = "open"
    WAITING = "waiting"
    AWAITING_AUTH = "awaiting auth"
    GATED = "gated"
    CLOSED = "closed"

    def __repr__(self) -> str:
        return self.name


BY_VERDICT: Mapping[Verdict, State] = MappingProxyType(
    {
        Verdict.RECONNECT: State.WAITING,
        Verdict.AWAIT_AUTH: State.AWAITING_AUTH,
        Verdict.COMPLETE: State.WAITING,  # for Ended, which comes at once
        Verdict.FAIL: State.WAITING,
    }
)

OUR_OWN_DOING: Mapping[Cause, State] = MappingProxyType(
    {
        Cause.AUTH_CHANGED: State.CONNECTING,
        Cause.ADDRESS_CHANGED: State.CONNECTING,
        Cause.RECONNECT: State.CONNECTING,
        Cause.MAX_AGE: State.CONNECTING,
        Cause.RENEW: State.CONNECTING,
        Cause.HANDED_OVER: State.OPEN,
        Cause.LOGGED_OUT: State.AWAITING_AUTH,
        Cause.REFUSED: State.AWAITING_AUTH,
        Cause.GATED: State.GATED,
        Cause.LEFT: State.IDLE,
        Cause.CLOSE: State.CLOSED,
        Cause.LOOP_ENDED: State.CLOSED,
        Cause.RECORDING_OVER: State.CLOSED,
    }
)


class States:
    """Follows the events of one socket."""

    def __init__(self) -> None:
        self._open: int | None = None
        self._dialling: tuple[int, ...] = ()

    def after(self, event: Event) -> State | None:
        """The state that an event leads to; ``None`` if it changes nothing."""
        match event:
            case Connecting(epoch=epoch):
                self._dialling = (*self._dialling, epoch)
                return self._or(State.CONNECTING)
            case Opened(epoch=epoch):
                self._dialled(epoch)
                self._open = epoch
                return State.OPEN
            case Closed(verdict=verdict, cause=cause):
                self._open = None
                ended = BY_VERDICT[verdict] if verdict else OUR_OWN_DOING[cause]
                return self._or(ended)
            case (
                ConnectFailed(epoch=epoch, verdict=verdict) | Rejected(epoch=epoch, verdict=verdict)
            ):
                self._dialled(epoch)
                return self._or(BY_VERDICT[verdict])
            case Aborted(epoch=epoch, cause=cause):
                self._dialled(epoch)
                return self._or(OUR_OWN_DOING[cause])
            case Waiting():
                return State.WAITING
            case AwaitingAuth():
                return State.AWAITING_AUTH
            case Gated():
                return State.GATED
            case Ended():
                return State.CLOSED
            case _:
                return None

    def _dialled(self, epoch: int) -> None:
        self._dialling = tuple(other for other in self._dialling if other != epoch)

    def _or(self, otherwise: State) -> State:
        if self._open is not None:
            return State.OPEN
        if self._dialling and otherwise in (State.WAITING, State.AWAITING_AUTH):
            return State.CONNECTING
        return otherwise
