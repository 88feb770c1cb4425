"""Why a connection is made, and why it ends."""

from __future__ import annotations

from enum import Enum


class Cause(Enum):
    """Why an epoch began, or ended.

    Attributes:
        STARTED: The first subscriber came.
        AUTH_CHANGED: There is another credential.
        ADDRESS_CHANGED: What was passed as ``url=`` gave another address.
        MAX_AGE: The connection was open for ``max_age`` seconds, and is renewed.
        HANDED_OVER: The next connection took over, without a gap.
        LOGGED_OUT: The credential is ``None``.
        NO_CREDENTIAL: The source of credentials has not given one yet.
        RECONNECT: ``reconnect()`` was called.
        RENEW: ``renew()`` was called.
        GATED: ``gate=`` says that there may be no connection now.
        CLOSE: ``close()`` was called.
        LEFT: The last subscriber left.
        LOOP_ENDED: The event loop that the socket lived on ended.
        PEER: The server closed the connection.
        LOST: The link was lost without a word of the server.
        SILENT: No ping was answered within ``ping_timeout``.
        BLOCKED: No pong was seen, perhaps because this side's event loop did not read.
        STALE: No message came for ``stale_after``, with ``on_stale="reconnect"``.
        HEARTBEAT: The server did not answer what ``heartbeat=`` sends.
        FAILED: The attempt failed, or the one before it.
        REFUSED: The server refused the credential.
        RECORDING_OVER: Nothing more was recorded; see ``rxsocket.recording``.
    """

    STARTED = "started"
    AUTH_CHANGED = "the credential changed"
    ADDRESS_CHANGED = "the address changed"
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
    STALE = "no data came"
    HEARTBEAT = "the heartbeat was not answered"
    FAILED = "the attempt failed"
    REFUSED = "the credential was refused"
    RECORDING_OVER = "the recording is over"

    def __repr__(self) -> str:
        return self.name


FAULTS = frozenset(
    (Cause.LOST, Cause.SILENT, Cause.BLOCKED, Cause.STALE, Cause.HEARTBEAT, Cause.REFUSED)
)
"""Causes of an unwanted end."""
