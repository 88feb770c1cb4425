"""Why a connection is made, and why it ends."""

from __future__ import annotations

from enum import Enum


class Cause(Enum):
    """Why an epoch began, or ended."""

    STARTED = "started"
    """The first subscriber came."""
    AUTH_CHANGED = "the credential changed"
    ADDRESS_CHANGED = "the address changed"
    """What was passed as ``url=`` gave another one (C33)."""
    MAX_AGE = "max_age was reached"
    HANDED_OVER = "handed over to the next connection"
    LOGGED_OUT = "logged out"
    NO_CREDENTIAL = "no credential yet"
    RECONNECT = "reconnect() was called"
    RENEW = "renew() was called"
    GATED = "the gate is closed"
    CLOSE = "close() was called"
    LEFT = "the last subscriber left"
    LOOP_ENDED = "the event loop ended"
    PEER = "closed by the server"
    LOST = "the link was lost"
    SILENT = "the peer stopped answering pings"
    BLOCKED = "the event loop was blocked"
    """No pong was seen, perhaps because this side did not read."""
    STALE = "no data came"
    HEARTBEAT = "the heartbeat was not answered"
    FAILED = "the attempt failed"
    REFUSED = "the credential was refused"
    RECORDING_OVER = "the recording is over"
    """Nothing more was recorded; see ``rxsocket.recording``."""

    def __repr__(self) -> str:
        return self.name


FAULTS = frozenset(
    (Cause.LOST, Cause.SILENT, Cause.BLOCKED, Cause.STALE, Cause.HEARTBEAT, Cause.REFUSED)
)
"""Causes of an unwanted end."""
