"""What is said about each end and each state, as a table of causes and as golden texts."""

from __future__ import annotations

import random
import socket
import ssl
from pathlib import Path
from typing import Any, get_args

import pytest

from rxsocket import (
    Aborted,
    AwaitingAuth,
    Cause,
    Closed,
    ConnectFailed,
    Connecting,
    CredentialRefused,
    DecodeFailed,
    Dropped,
    Ended,
    Event,
    Fresh,
    HandshakeInvalid,
    HandshakeRefused,
    IdentityChanged,
    Message,
    ObserverFailed,
    Opened,
    ProviderFailed,
    RedirectRefused,
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
    TopicFailed,
    Unauthorized,
    Undecodable,
    Verdict,
    Waiting,
    standard,
)
from rxsocket.events import Remembered
from rxsocket.explain.causes import (
    NEW_CREDENTIAL,
    advice_about,
    advice_about_closing,
    closing,
    failure,
)
from rxsocket.explain.explanation import explain
from rxsocket.explain.format import span
from rxsocket.policy.verdicts import End

RECONNECT, AWAIT, COMPLETE, FAIL = (
    Verdict.RECONNECT,
    Verdict.AWAIT_AUTH,
    Verdict.COMPLETE,
    Verdict.FAIL,
)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-1, "0.0 s"),
        (0, "0.0 s"),
        (0.42, "0.4 s"),
        (9.949, "9.9 s"),
        (9.96, "10 s"),
        (59.4, "59 s"),
        (59.6, "1 min"),
        (61, "1 min 1 s"),
        (125, "2 min 5 s"),
        (599.6, "10 min"),
        (850, "14 min"),
        (3600, "1 h"),
        (7300, "2 h 1 min"),
        (86400, "1 d"),
        (190_000, "2 d 4 h"),
    ],
)
def test_spans_of_time(seconds: float, text: str) -> None:
    """Two units at most, and never 60 of one."""
    assert span(seconds) == text


def by_peer(code: int, reason: str = "") -> Closed:
    return Closed(epoch=1, code=code, reason=reason, cause=Cause.PEER, verdict=RECONNECT)


def by_us(sent: int, reason: str, cause: Cause = Cause.LOST) -> Closed:
    return Closed(epoch=1, code=1006, reason=reason, sent=sent, cause=cause, verdict=RECONNECT)


def because(cause: Cause, reason: str = "", code: int | None = 1006) -> Closed:
    return Closed(epoch=1, code=code, reason=reason, cause=cause, verdict=RECONNECT)


@pytest.mark.parametrize(
    ("event", "text", "advice"),
    [
        (by_peer(1000), "closed by the server with 1000 (normal closure)", ""),
        (by_peer(1001), "closed by the server with 1001 (going away)", ""),
        (by_peer(1001, "deploy"), "closed by the server with 1001 'deploy'", ""),
        (
            by_peer(1002),
            "closed by the server with 1002 (protocol error)",
            "check that both ends speak the same protocol; a proxy in between may break frames",
        ),
        (
            by_peer(1003),
            "closed by the server with 1003 (unsupported data)",
            "send the kind of message that the server takes: text (str) or binary (bytes)",
        ),
        (by_peer(1005), "closed by the server without a code", ""),
        (
            by_peer(1007),
            "closed by the server with 1007 (invalid payload)",
            "check the encoding: a text message must be UTF-8",
        ),
        (
            by_peer(1008),
            "closed by the server with 1008 (policy violation)",
            "read the server's documentation: what was sent is against its rules",
        ),
        (
            by_peer(1009),
            "closed by the server with 1009 (message too big)",
            "send smaller messages: the server does not take ones that large",
        ),
        (
            by_peer(1010),
            "closed by the server with 1010 (mandatory extension)",
            "pass compression=None, or talk to a server that has the extension",
        ),
        (
            by_peer(1011),
            "closed by the server with 1011 (internal error)",
            "look into the server's log: an error there ended the connection",
        ),
        (by_peer(1012), "closed by the server with 1012 (service restart)", ""),
        (by_peer(1013), "closed by the server with 1013 (try again later)", ""),
        (by_peer(1014), "closed by the server with 1014 (bad gateway)", ""),
        (
            by_peer(1015),
            "closed by the server with 1015 (TLS failure)",
            "check the certificates of both sides",
        ),
        (by_peer(3000), "closed by the server with 3000 (unauthorized)", NEW_CREDENTIAL),
        (by_peer(3003), "closed by the server with 3003 (forbidden)", NEW_CREDENTIAL),
        (by_peer(4000), "closed by the server with 4000", ""),
        (
            by_peer(4401, "token expired"),
            "closed by the server with 4401 'token expired'",
            NEW_CREDENTIAL,
        ),
        (
            by_us(1009, "over size limit (2 > 1 bytes)", Cause.PEER),
            "closed by us with 1009 (message too big) 'over size limit (2 > 1 bytes)'",
            "raise max_size= if messages may be that large",
        ),
        (
            by_us(1002, "invalid opcode"),
            "closed by us with 1002 (protocol error) 'invalid opcode'",
            "check what stands between you and the server: what came was no valid WebSocket frame",
        ),
        (
            by_us(1007, "invalid start byte at position 0", Cause.PEER),
            "closed by us with 1007 (invalid payload) 'invalid start byte at position 0'",
            "tell the server's operator: a text message came that was not UTF-8",
        ),
        (because(Cause.LOST), "the link was lost", ""),
        (
            because(Cause.LOST, "[Errno 104] Connection reset by peer"),
            "the link was lost: [Errno 104] Connection reset by peer",
            "",
        ),
        (
            because(Cause.SILENT, "keepalive ping timeout"),
            "the peer stopped answering pings",
            "check the network; a peer that is merely slow needs a longer ping_timeout=",
        ),
        (
            because(Cause.SILENT, "no pong within 2.0 s after time jumped by 2 h"),
            "the peer stopped answering pings: no pong within 2.0 s after time jumped by 2 h",
            "check the network; a peer that is merely slow needs a longer ping_timeout=",
        ),
        (
            because(Cause.BLOCKED, "the event loop was blocked for at least 31 s"),
            "the event loop was blocked for at least 31 s",
            "keep blocking calls off the event loop: asyncio.to_thread(...)",
        ),
        (
            because(Cause.STALE, "no message came for 60 s", None),
            "no message came for 60 s",
            "check that the server still has something to send; raise stale_after= if not",
        ),
        (
            because(Cause.HEARTBEAT, "no answer to the heartbeat within 10 s", None),
            "no answer to the heartbeat within 10 s",
            "check that expect= matches what the server answers to the heartbeat",
        ),
        (
            because(Cause.REFUSED, "a message said so", None),
            "the credential was refused: a message said so",
            NEW_CREDENTIAL,
        ),
        (because(Cause.AUTH_CHANGED, code=None), "the credential changed", ""),
        (because(Cause.LOGGED_OUT, code=None), "logged out", ""),
        (because(Cause.RECONNECT, code=None), "reconnect() was called", ""),
        (because(Cause.CLOSE, code=None), "close() was called", ""),
        (because(Cause.CLOSE, "bye", None), "close() was called 'bye'", ""),
        (because(Cause.LEFT, code=None), "the last subscriber left", ""),
    ],
)
def test_the_table_of_closes(event: Closed, text: str, advice: str) -> None:
    """C16: every close has words of its own, and what helps, if anything but time does."""
    assert closing(event) == text
    assert advice_about_closing(event) == advice


@pytest.mark.parametrize(
    ("error", "text", "advice"),
    [
        (
            HandshakeRefused(200),
            "the server refused the handshake with HTTP 200 (OK)",
            "check the URL: what answered is no WebSocket endpoint",
        ),
        (
            HandshakeRefused(301),
            "the server refused the handshake with HTTP 301 (Moved Permanently)",
            "use the URL that it redirects to",
        ),
        (
            HandshakeRefused(400),
            "the server refused the handshake with HTTP 400 (Bad Request)",
            "compare the URL, headers and subprotocols with what the server expects",
        ),
        (
            HandshakeRefused(401),
            "the server refused the handshake with HTTP 401 (Unauthorized)",
            NEW_CREDENTIAL,
        ),
        (
            HandshakeRefused(403),
            "the server refused the handshake with HTTP 403 (Forbidden)",
            NEW_CREDENTIAL,
        ),
        (
            HandshakeRefused(404),
            "the server refused the handshake with HTTP 404 (Not Found)",
            "check the path in the URL",
        ),
        (
            HandshakeRefused(405),
            "the server refused the handshake with HTTP 405 (Method Not Allowed)",
            "check the URL: this is no WebSocket endpoint",
        ),
        (
            HandshakeRefused(407),
            "the server refused the handshake with HTTP 407 (Proxy Authentication Required)",
            "pass the proxy's user and password: proxy='http://user:password@host:port'",
        ),
        (
            HandshakeRefused(408),
            "the server refused the handshake with HTTP 408 (Request Timeout)",
            "",
        ),
        (
            HandshakeRefused(410),
            "the server refused the handshake with HTTP 410 (Gone)",
            "find the new URL: this endpoint was removed for good",
        ),
        (HandshakeRefused(425), "the server refused the handshake with HTTP 425 (Too Early)", ""),
        (
            HandshakeRefused(426),
            "the server refused the handshake with HTTP 426 (Upgrade Required)",
            "offer what the server asks for: check subprotocols= and the URL",
        ),
        (
            HandshakeRefused(429),
            "the server refused the handshake with HTTP 429 (Too Many Requests)",
            "connect less often: the server limits it",
        ),
        (
            HandshakeRefused(500),
            "the server refused the handshake with HTTP 500 (Internal Server Error)",
            "",
        ),
        (HandshakeRefused(502), "the server refused the handshake with HTTP 502 (Bad Gateway)", ""),
        (
            HandshakeRefused(503),
            "the server refused the handshake with HTTP 503 (Service Unavailable)",
            "",
        ),
        (
            HandshakeRefused(504),
            "the server refused the handshake with HTTP 504 (Gateway Timeout)",
            "",
        ),
        (HandshakeRefused(599), "the server refused the handshake with HTTP 599", ""),
        (
            socket.gaierror(-2, "no address found for 'exmple.com': unknown"),
            "no address found for 'exmple.com': unknown",
            "check the host name in the URL, and the network",
        ),
        (
            ConnectionRefusedError(111, "Connection refused"),
            "nothing listens at that address (Connection refused)",
            "check that the server runs, and the port in the URL",
        ),
        (
            ConnectionResetError(104, "Connection reset by peer"),
            "the network failed (Connection reset by peer)",
            "check the network",
        ),
        (
            OSError(101, "Network is unreachable"),
            "the network failed (Network is unreachable)",
            "check the network",
        ),
        (
            OSError("no address found for 'h'"),
            "the network failed (no address found for 'h')",
            "check the network",
        ),
        (
            TimeoutError("the handshake took longer than open_timeout"),
            "the handshake took longer than open_timeout",
            "check that the server can be reached; raise open_timeout= if it is slow",
        ),
        (
            ssl.SSLCertVerificationError(1, "certificate verify failed"),
            "the certificate is not valid (certificate verify failed)",
            "check the host name, or trust the certificate's authority: ssl=",
        ),
        (
            ssl.SSLError(1, "WRONG_VERSION_NUMBER"),
            "the TLS handshake failed (WRONG_VERSION_NUMBER)",
            "check that the port speaks TLS; an address without it begins with ws://",
        ),
        (
            HandshakeInvalid("the answer to the handshake is not valid (InvalidMessage)"),
            "the answer to the handshake is not valid (InvalidMessage)",
            "check that a WebSocket server answers at this URL, and nothing else",
        ),
        (
            RedirectRefused("redirected from wss:// to ws://, which is not safe to follow"),
            "redirected from wss:// to ws://, which is not safe to follow",
            "use the URL that it redirects to, if you trust it",
        ),
        (CredentialRefused(), "the server refused the credential in a message", NEW_CREDENTIAL),
        (
            ProviderFailed("the provider raised KeyError: 'token'"),
            "the provider raised KeyError: 'token'",
            "look into the function given as auth=",
        ),
        (
            Unauthorized("no refresh token"),
            "the function given as auth= gave up: no refresh token",
            "call set_auth(...) with a credential",
        ),
        (ValueError(), "ValueError", ""),
    ],
)
def test_the_table_of_failures(error: Exception, text: str, advice: str) -> None:
    """C16: every failed attempt has a clause of its own, and what helps."""
    assert failure(error) == text
    assert advice_about(error) == advice


def test_whoever_must_act_is_told_how() -> None:
    """C16: what ends the socket, or awaits a credential, is never left without advice."""
    verdicts = standard()
    for code in range(1001, 5000):
        if verdicts(End(code=code)) in (FAIL, AWAIT):
            assert advice_about_closing(by_peer(code)), code
    for status in range(400, 600):
        error = HandshakeRefused(status)
        if verdicts(End(error=error)) in (FAIL, AWAIT):
            assert advice_about(error), status
    for cls in (Unauthorized, CredentialRefused, RedirectRefused, ssl.SSLCertVerificationError):
        assert advice_about(cls()), cls


# --- golden texts: what a user reads at time 1000


def opened(epoch: int, at: float, **more: Any) -> Opened:
    return Opened(epoch=epoch, at=at, **more)


def dialled(epoch: int, at: float, attempt: int = 1, cause: Cause = Cause.FAILED) -> Connecting:
    return Connecting(epoch=epoch, cause=cause, attempt=attempt, url="wss://h/", at=at)


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

GOLDEN: dict[str, tuple[list[Event], State]] = {
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
    "open, slow consumer": (
        [*LIVED, SlowConsumer(observer="show", stream="messages", seconds=0.52, at=990.0)],
        State.OPEN,
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

TEXTS: dict[str, str] = {}
for section in Path(__file__).with_name("explanations.txt").read_text("utf-8").split("## ")[1:]:
    title, _, body = section.partition("\n")
    TEXTS[title] = body.strip()


@pytest.mark.parametrize("name", GOLDEN)
def test_what_a_user_reads(name: str) -> None:
    """C3, C9, C15, C17: exact, short, and with what to do, for each thing that a socket may do."""
    events, state = GOLDEN[name]
    assert str(explain(events, state, 1000.0)) == TEXTS[name]


def test_each_event_and_each_cause_has_a_text() -> None:
    """C2: whatever may happen to a socket is among the golden texts; messages are not kept."""
    shown = [event for events, _ in GOLDEN.values() for event in events]
    assert {type(event) for event in shown} == set(get_args(Event)) - {Message}
    causes = {getattr(event, "cause", None) for event in shown} - {None}
    assert causes == set(Cause)
    assert set(TEXTS) == set(GOLDEN)


def test_the_latest_three_notes_are_told() -> None:
    """C3: an explanation stays short, however much went wrong."""
    events = [*LIVED]
    for at in range(900, 910):
        events.append(TopicFailed(topic=f"t{at}", error=ValueError("no"), at=float(at)))
    notes = explain(events, State.OPEN, 1000.0).notes
    assert [note.split("'")[1] for note in notes] == ["t907", "t908", "t909"]


def test_the_fields_say_the_same() -> None:
    """C3: a program reads state, since and due; the text is made of the same fields."""
    events, state = GOLDEN["waiting, Retry-After"]
    told = explain(events, state, 1000.0)
    assert (told.state, told.since, told.due) == (State.WAITING, 999.0, 1119.0)
    for part in (told.doing, told.why, told.next, told.advice):
        assert part and part in str(told)


@pytest.mark.parametrize("seed", range(20))
def test_it_never_fails_whatever_happened(seed: int) -> None:
    """C2: also for events in an order that cannot be, and for a history that lost its beginning."""
    chance = random.Random(seed)
    known = [event for events, _ in GOLDEN.values() for event in events]
    for _ in range(200):
        events = chance.choices(known, k=chance.randrange(12))
        for state in State:
            text = str(explain(events, state, chance.uniform(0.0, 2000.0)))
            assert text.strip() and "None" not in text and len(text) < 1000, text
