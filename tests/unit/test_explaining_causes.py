"""What is said about each way in which something ends, as a table, and what helps."""

from __future__ import annotations

import socket
import ssl

import pytest

from rxsocket import (
    Cause,
    Closed,
    CredentialRefused,
    HandshakeInvalid,
    HandshakeRefused,
    ProviderFailed,
    RedirectRefused,
    Unauthorized,
    Verdict,
    standard,
)
from rxsocket.explain.causes import (
    CHECK_CERTIFICATE,
    CLIENT_CERTIFICATE,
    NEW_CREDENTIAL,
    advice_about,
    advice_about_closing,
    certificate_refusal,
    closing,
    failure,
    mention_certificate,
)
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
            "check the URL: what is there takes no GET request",
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
            socket.gaierror(-2, "local_address 'nowhere' cannot be used: unknown"),
            "local_address 'nowhere' cannot be used: unknown",
            "check local_address= of endpoint(): it names an address of this machine",
        ),
        (
            socket.gaierror(-2, "no address found for 'local_address': unknown"),
            "no address found for 'local_address': unknown",
            "check the host name in the URL, and the network",
        ),
        (
            OSError(99, "cannot connect from local_address ('203.0.113.9', 0): not ours"),
            "cannot connect from local_address ('203.0.113.9', 0): not ours",
            "check local_address= of endpoint(): it names an address of this machine",
        ),
        (
            FileNotFoundError(2, "nothing listens at the unix socket '/run/a.sock': No such file"),
            "nothing listens at the unix socket '/run/a.sock': No such file",
            "check that the server runs, and the path in the URL",
        ),
        (
            ConnectionResetError(104, "Connection reset by peer"),
            "the network failed (Connection reset by peer)",
            "check the network",
        ),
        (
            mention_certificate(ConnectionResetError(104, "Connection reset by peer")),
            "Connection reset by peer; maybe the server does not take the certificate of the "
            "client",
            CHECK_CERTIFICATE,
        ),
        (
            mention_certificate(ConnectionResetError()),
            "the connection was closed; maybe the server does not take the certificate of the "
            "client",
            CHECK_CERTIFICATE,
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
            "look into what was given as auth=",
        ),
        (
            Unauthorized("no refresh token"),
            "the function given as auth= gave up: no refresh token",
            "call reconnect() to ask it again, or set_auth(...) with another credential",
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


@pytest.mark.parametrize("reason", [*CLIENT_CERTIFICATE, "WRONG_VERSION_NUMBER", None])
def test_which_alerts_are_about_the_certificate(reason: str | None) -> None:
    """C39: all but that which may be about ciphers, and no other failure of TLS."""
    error = ssl.SSLError(1, "an alert")
    error.reason = reason  # type: ignore[assignment]
    refusal = certificate_refusal(error)
    if reason in ("SSLV3_ALERT_HANDSHAKE_FAILURE", "WRONG_VERSION_NUMBER", None):
        assert refusal is None
    else:
        assert refusal is not None and refusal.endswith(f"({reason})")
        assert "certificate" in refusal
    assert certificate_refusal(ConnectionResetError()) is None
