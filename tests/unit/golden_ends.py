"""What may have happened to a socket by time 1000, where it waits or has ended."""

from __future__ import annotations

import socket

from golden_events import (
    AWAIT,
    COMPLETE,
    FAIL,
    GONE,
    LIMIT,
    LIVE,
    LIVED,
    OUT_OF_TIME,
    REFUSED,
    awaiting,
    closed,
    dialled,
    failed,
    opened,
    rejected,
    started,
    waiting,
)

from rxsocket import (
    Aborted,
    Cause,
    Ended,
    Event,
    Gated,
    HandshakeRefused,
    ProviderFailed,
    Rejected,
    SourceFailed,
    State,
    Unauthorized,
)

GOLDEN: dict[str, tuple[list[Event], State]] = {
    **LIVE,
    "gated": (
        [
            *LIVED,
            closed(1, 988.0, None, 888.0, cause=Cause.GATED, sent=1000, verdict=None),
            Gated(reason="the gate is closed", at=988.0),
        ],
        State.GATED,
    ),
    "gated after a failure": (
        [started(900.0), failed(1, 901.0, REFUSED), Gated(reason="the gate is closed", at=988.0)],
        State.GATED,
    ),
    "gated from the start": (
        [Gated(reason="it has not said yet whether it is open", at=988.0)],
        State.GATED,
    ),
    "waiting, link lost": (
        [*LIVED, closed(1, 999.0, 1006, 899.0, cause=Cause.LOST), waiting(999.0, 1.7)],
        State.WAITING,
    ),
    "waiting, peer silent": (
        [*LIVED, closed(1, 999.0, 1006, 899.0, cause=Cause.SILENT), waiting(999.0, 1.7)],
        State.WAITING,
    ),
    "waiting, loop blocked": (
        [
            *LIVED,
            closed(
                1,
                999.0,
                1006,
                899.0,
                cause=Cause.BLOCKED,
                reason="the event loop was blocked for at least 31 s",
            ),
            waiting(999.0, 1.7),
        ],
        State.WAITING,
    ),
    "waiting, host mistyped": (
        [
            started(999.0),
            failed(1, 999.0, socket.gaierror(-2, "no address found for 'exmple.com': unknown")),
            waiting(999.0, 1.7),
        ],
        State.WAITING,
    ),
    "waiting, nothing listens": (
        [
            started(900.0),
            failed(1, 900.0, REFUSED),
            waiting(900.0, 1.0),
            dialled(2, 901.0, 2),
            failed(2, 901.0, REFUSED),
            waiting(901.0, 3.0, 2),
            dialled(3, 904.0, 3),
            failed(3, 904.0, REFUSED),
            waiting(988.0, 32.0, 3),
        ],
        State.WAITING,
    ),
    "waiting, outage": (
        [
            *LIVED,
            closed(1, 980.0, 1012, 880.0),
            waiting(980.0, 1.0),
            dialled(2, 981.0, 1),
            failed(2, 981.0, HandshakeRefused(502)),
            waiting(981.0, 3.0, 2),
            dialled(3, 984.0, 2),
            failed(3, 984.0, HandshakeRefused(503)),
            waiting(996.0, 7.0, 3),
        ],
        State.WAITING,
    ),
    "waiting, outage longer than the history": (
        [
            dialled(80, 904.0, 80),
            failed(80, 904.0, REFUSED),
            waiting(904.0, 40.0, 80),
            dialled(81, 944.0, 81),
            failed(81, 944.0, REFUSED),
            waiting(984.0, 40.0, 81),
        ],
        State.WAITING,
    ),
    "waiting, Retry-After": (
        [
            started(999.0),
            failed(1, 999.0, HandshakeRefused(429)),
            waiting(999.0, 120.0, retry_after=120.0),
        ],
        State.WAITING,
    ),
    "waiting, unstable": (
        [
            started(900.0),
            opened(1, 900.0),
            closed(1, 900.5, 4000, 0.5, reason="full"),
            waiting(900.5, 1.0),
            dialled(2, 901.5, 2),
            opened(2, 901.5, gap=1.0),
            closed(2, 998.0, 4000, 0.5, reason="full"),
            waiting(998.0, 4.0, 2),
        ],
        State.WAITING,
    ),
    "about to connect": (
        [*LIVED, closed(1, 1000.0, 1012, 900.0)],
        State.WAITING,
    ),
    "provider fails": (
        [
            started(999.0),
            failed(1, 999.0, ProviderFailed("the provider raised KeyError: 'token'")),
            waiting(999.0, 1.7),
        ],
        State.WAITING,
    ),
    "refused at the door": (
        [started(988.0), rejected(1, 988.0, 401), awaiting(988.0)],
        State.AWAITING_AUTH,
    ),
    "expired, then the renewed one refused": (
        [
            *LIVED,
            closed(1, 988.0, 4401, 850.0, reason="token expired", verdict=AWAIT),
            awaiting(988.0, asks=True),
            dialled(2, 988.0, cause=Cause.REFUSED),
            rejected(2, 988.0),
            awaiting(988.0),
        ],
        State.AWAITING_AUTH,
    ),
    "refused in a message": (
        [
            started(988.0),
            opened(1, 988.0),
            closed(1, 988.2, None, 0.2, cause=Cause.REFUSED, reason="a message said so", sent=1000),
            awaiting(988.2),
        ],
        State.AWAITING_AUTH,
    ),
    "refused, a provider is asked": (
        [started(988.0), rejected(1, 988.0), awaiting(988.0, asks=True)],
        State.AWAITING_AUTH,
    ),
    "refused, the provider fails": (
        [
            started(988.0),
            rejected(1, 988.0),
            awaiting(988.0, asks=True),
            SourceFailed(error=ProviderFailed("the provider took longer than 10 s"), at=999.0),
        ],
        State.AWAITING_AUTH,
    ),
    "the provider gave up": (
        [
            started(988.0),
            Rejected(epoch=1, error=Unauthorized("no refresh token"), verdict=AWAIT, at=988.0),
            awaiting(988.0),
        ],
        State.AWAITING_AUTH,
    ),
    "logged out": (
        [
            *LIVED,
            closed(1, 940.0, None, 840.0, cause=Cause.LOGGED_OUT, verdict=None),
            awaiting(940.0, Cause.LOGGED_OUT),
        ],
        State.AWAITING_AUTH,
    ),
    "the provider says logged out": (
        [
            started(940.0),
            Aborted(epoch=1, cause=Cause.LOGGED_OUT, at=940.0),
            awaiting(940.0, Cause.LOGGED_OUT, asks=True),
        ],
        State.AWAITING_AUTH,
    ),
    "no credential yet": ([awaiting(940.0, Cause.NO_CREDENTIAL)], State.AWAITING_AUTH),
    "closed": (
        [
            *LIVED,
            closed(1, 997.0, None, 897.0, cause=Cause.CLOSE, verdict=None),
            Ended(verdict=COMPLETE, cause=Cause.CLOSE, at=997.0),
        ],
        State.CLOSED,
    ),
    "closed before it was used": ([], State.CLOSED),
    "done": (
        [
            *LIVED,
            closed(1, 997.0, 1000, 897.0, verdict=COMPLETE),
            Ended(verdict=COMPLETE, cause=Cause.PEER, at=997.0),
        ],
        State.CLOSED,
    ),
    "gone for good": (
        [
            started(997.0),
            failed(1, 997.0, HandshakeRefused(410)),
            Ended(verdict=FAIL, cause=Cause.FAILED, error=GONE, at=997.0),
        ],
        State.CLOSED,
    ),
    "limit reached": (
        [
            dialled(3, 987.0, 3),
            failed(3, 997.0, TimeoutError("timed out")),
            Ended(verdict=FAIL, cause=Cause.FAILED, error=LIMIT, at=997.0),
        ],
        State.CLOSED,
    ),
    "message too big": (
        [
            *LIVED,
            closed(1, 997.0, 1006, 897.0, sent=1009, reason="too big", verdict=FAIL),
            Ended(verdict=FAIL, cause=Cause.PEER, error=GONE, at=997.0),
        ],
        State.CLOSED,
    ),
    "the loop ended": (
        [
            *LIVED,
            closed(1, 997.0, None, 897.0, cause=Cause.LOOP_ENDED, verdict=None),
            Ended(verdict=COMPLETE, cause=Cause.LOOP_ENDED, at=997.0),
        ],
        State.CLOSED,
    ),
    "waiting, stale": (
        [
            *LIVED,
            closed(1, 999.0, None, 899.0, cause=Cause.STALE, reason="no message came for 60 s"),
            waiting(999.0, 1.7),
        ],
        State.WAITING,
    ),
    "waiting, heartbeat not answered": (
        [
            *LIVED,
            closed(1, 999.0, None, 899.0, cause=Cause.HEARTBEAT, reason="no answer within 10 s"),
            waiting(999.0, 1.7),
        ],
        State.WAITING,
    ),
    "out of time": (
        [
            dialled(3, 987.0, 3),
            failed(3, 997.0, REFUSED),
            Ended(verdict=FAIL, cause=Cause.FAILED, error=OUT_OF_TIME, at=997.0),
        ],
        State.CLOSED,
    ),
    "the recording is over": (
        [
            *LIVED,
            closed(1, 997.0, None, 897.0, cause=Cause.RECORDING_OVER, verdict=None),
            Ended(verdict=COMPLETE, cause=Cause.RECORDING_OVER, at=997.0),
        ],
        State.CLOSED,
    ),
}
"""``explanations.txt`` has what a user reads then."""
