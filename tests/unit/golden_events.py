"""What may have happened to a socket by time 1000, while it is connected or about to be."""

from __future__ import annotations

from typing import Any

from rxsocket import (
    AddressFailed,
    AwaitingAuth,
    Cause,
    ChannelFailed,
    ChannelStale,
    Closed,
    ConnectFailed,
    Connecting,
    DecodeFailed,
    Dropped,
    Event,
    Fresh,
    Gated,
    HandshakeRefused,
    IdentityChanged,
    Missed,
    ObserverFailed,
    Opened,
    ProviderFailed,
    Rejected,
    RenewalFailed,
    Renewed,
    Resumed,
    SendFailed,
    SlowConsumer,
    SocketFailed,
    SourceFailed,
    Stale,
    State,
    SubscriptionRefused,
    TopicFailed,
    Undecodable,
    Verdict,
    Waiting,
)
from rxsocket.events import Remembered

RECONNECT, AWAIT, COMPLETE, FAIL = (
    Verdict.RECONNECT,
    Verdict.AWAIT_AUTH,
    Verdict.COMPLETE,
    Verdict.FAIL,
)


def opened(epoch: int, at: float, **more: Any) -> Opened:
    return Opened(epoch=epoch, at=at, **more)


def dialled(
    epoch: int,
    at: float,
    attempt: int = 1,
    cause: Cause = Cause.FAILED,
    url: str = "wss://h/",
    reason: str = "",
) -> Connecting:
    return Connecting(epoch=epoch, cause=cause, attempt=attempt, url=url, reason=reason, at=at)


def started(at: float = 100.0) -> Connecting:
    return dialled(1, at, cause=Cause.STARTED)


def closed(epoch: int, at: float, code: int | None, uptime: float, **more: Any) -> Closed:
    return Closed(epoch=epoch, code=code, at=at, uptime=uptime, **{"verdict": RECONNECT, **more})


def failed(epoch: int, at: float, error: Exception) -> ConnectFailed:
    return ConnectFailed(epoch=epoch, error=error, verdict=RECONNECT, at=at)


def rejected(epoch: int, at: float, status: int = 403) -> Rejected:
    error = HandshakeRefused(status)
    return Rejected(epoch=epoch, error=error, verdict=AWAIT, status=status, at=at)


def waiting(at: float, delay: float, failures: int = 1, **more: Any) -> Waiting:
    return Waiting(delay=delay, failures=failures, cause=Cause.FAILED, at=at, **more)


def awaiting(at: float, cause: Cause = Cause.REFUSED, **more: Any) -> AwaitingAuth:
    return AwaitingAuth(reason="refused", cause=cause, at=at, **more)


MOVED = "wss://b.example/feed"
NOT_ALLOWED = AddressFailed("the host 'c.example' is not allowed, only h")
REFUSED = ConnectionRefusedError(111, "Connection refused")
GONE = SocketFailed(
    "wss://h/: gave up after attempt 1, it cannot succeed: HTTP 410", url="wss://h/"
)
LIMIT = SocketFailed(
    "wss://h/: gave up after attempt 3, max_attempts=3 is reached: timed out", url="wss://h/"
)
OUT_OF_TIME = SocketFailed(
    "wss://h/: gave up after attempt 3, give_up_after=10 is reached: refused", url="wss://h/"
)
LIVED: list[Event] = [started(), opened(1, 100.0)]

LIVE: dict[str, tuple[list[Event], State]] = {
    "never used": ([], State.IDLE),
    "left": (
        [*LIVED, closed(1, 990.0, None, 890.0, cause=Cause.LEFT, verdict=None)],
        State.IDLE,
    ),
    "first dial": ([started(999.6)], State.CONNECTING),
    "slow dial": ([started(990.0)], State.CONNECTING),
    "dial after a failure": (
        [started(995.0), failed(1, 996.0, REFUSED), waiting(996.0, 3.0), dialled(2, 999.0, 2)],
        State.CONNECTING,
    ),
    "dial after a change of credential": (
        [
            *LIVED,
            closed(1, 999.9, None, 899.9, cause=Cause.AUTH_CHANGED, verdict=None),
            dialled(2, 999.9, cause=Cause.AUTH_CHANGED),
        ],
        State.CONNECTING,
    ),
    "dial with the first credential": (
        [awaiting(100.0, Cause.NO_CREDENTIAL), dialled(1, 999.9, cause=Cause.AUTH_CHANGED)],
        State.CONNECTING,
    ),
    "open": ([started(150.0), opened(1, 150.0)], State.OPEN),
    "open again": (
        [
            *LIVED,
            closed(1, 950.0, 1012, 850.0),
            waiting(950.0, 1.5),
            dialled(2, 951.5),
            opened(2, 951.5, gap=1.5, cause=Cause.PEER),
        ],
        State.OPEN,
    ),
    "open again after several attempts": (
        [
            *LIVED,
            closed(1, 950.0, 1006, 850.0, cause=Cause.LOST),
            waiting(950.0, 1.5),
            dialled(2, 951.5),
            failed(2, 951.5, REFUSED),
            waiting(951.5, 3.0, 2),
            dialled(3, 954.5, 2),
            opened(3, 954.5, gap=4.5, attempts=2, cause=Cause.FAILED),
        ],
        State.OPEN,
    ),
    "open, stale": ([*LIVED, Stale(epoch=1, silence=60.0, at=940.0)], State.OPEN),
    "open, fresh again": (
        [*LIVED, Stale(epoch=1, silence=60.0, at=900.0), Fresh(epoch=1, silence=80.0, at=920.0)],
        State.OPEN,
    ),
    "open, after sleep": ([*LIVED, Resumed(slept=7200.0, at=990.0)], State.OPEN),
    "open, an observer raised": (
        [
            *LIVED,
            ObserverFailed(
                error=Remembered("KeyError: 'px'"), observer="show", stream="messages", at=988.0
            ),
        ],
        State.OPEN,
    ),
    "open, messages dropped": (
        [*LIVED, Dropped(epoch=1, count=256, reason="nobody subscribed within 5 s", at=105.0)],
        State.OPEN,
    ),
    "open, took over": (
        [
            *LIVED,
            dialled(2, 950.0, cause=Cause.AUTH_CHANGED),
            closed(1, 950.2, None, 850.2, cause=Cause.HANDED_OVER, sent=1000, verdict=None),
            opened(2, 950.2, gap=0.0, cause=Cause.AUTH_CHANGED),
        ],
        State.OPEN,
    ),
    "open, took over at max_age": (
        [
            *LIVED,
            dialled(2, 950.0, cause=Cause.MAX_AGE),
            closed(1, 950.2, None, 850.2, cause=Cause.HANDED_OVER, sent=1000, verdict=None),
            opened(2, 950.2, gap=0.0, cause=Cause.MAX_AGE),
        ],
        State.OPEN,
    ),
    "open at another address": (
        [
            *LIVED,
            dialled(2, 950.0, cause=Cause.ADDRESS_CHANGED, url=MOVED),
            closed(1, 950.2, None, 850.2, cause=Cause.HANDED_OVER, sent=1000, verdict=None),
            opened(2, 950.2, gap=0.0, cause=Cause.ADDRESS_CHANGED, url=MOVED, moved=True),
        ],
        State.OPEN,
    ),
    "dial at another address": (
        [
            *LIVED,
            closed(1, 999.9, None, 899.9, cause=Cause.ADDRESS_CHANGED, verdict=None),
            dialled(2, 999.9, cause=Cause.ADDRESS_CHANGED, url=MOVED),
        ],
        State.CONNECTING,
    ),
    "waiting, the address is not allowed": (
        [
            *LIVED,
            closed(1, 998.0, None, 898.0, cause=Cause.LOST),
            dialled(2, 998.0, cause=Cause.LOST),
            failed(2, 998.1, NOT_ALLOWED),
            waiting(998.1, 4.0),
            SourceFailed(
                error=AddressFailed("<Endpoint of an Observable> failed"), argument="url", at=999.0
            ),
        ],
        State.WAITING,
    ),
    "dial at max_age": (
        [
            *LIVED,
            closed(1, 999.9, None, 899.9, cause=Cause.MAX_AGE, verdict=None),
            dialled(2, 999.9, cause=Cause.MAX_AGE),
        ],
        State.CONNECTING,
    ),
    "dial at request": (
        [
            *LIVED,
            closed(1, 999.9, None, 899.9, cause=Cause.RECONNECT, verdict=None),
            dialled(2, 999.9, cause=Cause.RECONNECT),
        ],
        State.CONNECTING,
    ),
    "open, took over as told": (
        [
            *LIVED,
            dialled(2, 950.0, cause=Cause.RENEW, reason="GoAway"),
            closed(
                1,
                950.2,
                None,
                850.2,
                cause=Cause.HANDED_OVER,
                sent=1000,
                reason="GoAway",
                verdict=None,
            ),
            opened(2, 950.2, gap=0.0, cause=Cause.RENEW),
        ],
        State.OPEN,
    ),
    "dial as told": (
        [
            *LIVED,
            closed(1, 999.9, None, 899.9, cause=Cause.RENEW, reason="GoAway", verdict=None),
            dialled(2, 999.9, cause=Cause.RENEW, reason="GoAway"),
        ],
        State.CONNECTING,
    ),
    "first dial after the gate": (
        [Gated(reason="the gate is closed", at=900.0), dialled(1, 999.9, cause=Cause.GATED)],
        State.CONNECTING,
    ),
    "open, not renewed as told": (
        [
            *LIVED,
            RenewalFailed(
                epoch=1,
                error=HandshakeRefused(429),
                refused=False,
                retry_in=1.0,
                cause=Cause.RENEW,
                at=999.0,
            ),
        ],
        State.OPEN,
    ),
    "open, the gate failed": (
        [*LIVED, SourceFailed(error=OSError("no lease"), argument="gate", at=990.0)],
        State.OPEN,
    ),
    "open, renewed": ([*LIVED, Renewed(epoch=1, at=950.0)], State.OPEN),
    "open, renewal failed": (
        [
            *LIVED,
            RenewalFailed(epoch=1, error=REFUSED, refused=False, retry_in=4.0, at=999.0),
        ],
        State.OPEN,
    ),
    "open, renewal refused": (
        [
            *LIVED,
            dialled(2, 990.0, cause=Cause.AUTH_CHANGED),
            rejected(2, 990.0),
            RenewalFailed(epoch=1, error=HandshakeRefused(403), refused=True, at=990.0),
        ],
        State.OPEN,
    ),
    "open, renewed after a failure": (
        [
            *LIVED,
            RenewalFailed(epoch=1, error=REFUSED, refused=False, retry_in=4.0, at=980.0),
            Renewed(epoch=1, at=984.0),
        ],
        State.OPEN,
    ),
    "open, the source failed": (
        [*LIVED, SourceFailed(error=ProviderFailed("the provider raised KeyError"), at=990.0)],
        State.OPEN,
    ),
    "open, messages not sent": (
        [
            *LIVED,
            SendFailed(error=IdentityChanged("not sent: somebody else's now"), at=980.0),
            SendFailed(error=IdentityChanged("not sent: somebody else's now"), at=990.0),
        ],
        State.OPEN,
    ),
    "open, not decoded": (
        [
            *LIVED,
            DecodeFailed(
                epoch=1,
                error=Undecodable("a text message of 3 characters does not decode: no JSON"),
                excerpt="",
                at=980.0,
            ),
            TopicFailed(topic="trades", error=ValueError("price: no number"), at=990.0),
        ],
        State.OPEN,
    ),
    "open, numbers missing": (
        [
            *LIVED,
            Missed(epoch=1, first=7, last=7, at=980.0),
            Missed(epoch=1, first=11, last=14, at=990.0),
        ],
        State.OPEN,
    ),
    "open, channels failed": (
        [
            *LIVED,
            *(
                ChannelFailed(epoch=1, channel=f"'K{at}'", error=SubscriptionRefused("no"), at=at)
                for at in (970.0, 980.0)
            ),
            ChannelStale(epoch=1, channel="'BTC'", silence=30.0, at=990.0),
        ],
        State.OPEN,
    ),
    "open, slow consumer": (
        [*LIVED, SlowConsumer(observer="show", stream="messages", seconds=0.52, at=990.0)],
        State.OPEN,
    ),
}
