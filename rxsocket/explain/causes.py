"""The table of causes: for each way in which something can end, what it means and what helps.

Keys are those of the verdict table (close codes, HTTP statuses, exception classes) and the causes
of events.
"""

from __future__ import annotations

import socket
import ssl
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, cast

from rxsocket.errors import (
    AddressFailed,
    CredentialRefused,
    HandshakeFailed,
    HandshakeInvalid,
    HandshakeRefused,
    NotAnEventStream,
    ProviderFailed,
    RedirectRefused,
    SocketFailed,
    Unauthorized,
)
from rxsocket.events import Cause, Closed, Remembered
from rxsocket.explain.format import span
from rxsocket.texts import LONGEST, printable, quoted

MEANINGS: Mapping[int, str] = {
    # RFC 6455, section 7.4.1, and the IANA registry
    1000: "normal closure",
    1001: "going away",
    1002: "protocol error",
    1003: "unsupported data",
    1007: "invalid payload",
    1008: "policy violation",
    1009: "message too big",
    1010: "mandatory extension",
    1011: "internal error",
    1012: "service restart",
    1013: "try again later",
    1014: "bad gateway",
    1015: "TLS failure",
    3000: "unauthorized",
    3003: "forbidden",
    3008: "timeout",
}
"""What the registered close codes stand for."""

NEW_CREDENTIAL = (
    "call set_auth(...) with another credential, or reconnect() to try the same one again"
)

CODES: Mapping[int, str] = {
    1002: "check that both ends speak the same protocol; a proxy in between may break frames",
    1003: "send the kind of message that the server takes: text (str) or binary (bytes)",
    1007: "check the encoding: a text message must be UTF-8",
    1008: "read the server's documentation: what was sent is against its rules",
    1009: "send smaller messages: the server does not take ones that large",
    1010: "pass compression=None, or talk to a server that has the extension",
    1011: "look into the server's log: an error there ended the connection",
    1015: "check the certificates of both sides",
    3000: NEW_CREDENTIAL,
    3003: NEW_CREDENTIAL,
    4401: NEW_CREDENTIAL,
    4403: NEW_CREDENTIAL,
}
"""What helps when the server closed with a code."""

OUR_CODES: Mapping[int, str] = {
    1002: "check what stands between you and the server: what came was no valid WebSocket frame",
    1007: "tell the server's operator: a text message came that was not UTF-8",
    1009: "raise max_size= if messages may be that large",
}
"""What helps when we closed with a code because of what the server sent."""

STATUSES: Mapping[int, str] = {
    400: "compare the URL, headers and subprotocols with what the server expects",
    401: NEW_CREDENTIAL,
    403: NEW_CREDENTIAL,
    404: "check the path in the URL",
    405: "check the URL: what is there takes no GET request",
    407: "pass the proxy's user and password: proxy='http://user:password@host:port'",
    410: "find the new URL: this endpoint was removed for good",
    426: "offer what the server asks for: check subprotocols= and the URL",
    429: "connect less often: the server limits it",
}
"""What helps when the server refused the handshake with a status."""

EXCEPTIONS: Mapping[type[Exception], str] = {
    socket.gaierror: "check the host name in the URL, and the network",
    ConnectionRefusedError: "check that the server runs, and the port in the URL",
    TimeoutError: "check that the server can be reached; raise open_timeout= if it is slow",
    ssl.SSLCertVerificationError: "check the host name, or trust the certificate's authority: ssl=",
    ssl.SSLError: "check that the port speaks TLS; an address without it begins with ws://",
    OSError: "check the network",
    HandshakeInvalid: "check that a WebSocket server answers at this URL, and nothing else",
    HandshakeFailed: (
        "look into the console of the browser and the log of the server; if the credential is the "
        "reason, call set_auth(...) with another one"
    ),
    NotAnEventStream: "check the URL; if the server speaks WebSocket, begin it with wss://",
    RedirectRefused: "use the URL that it redirects to, if you trust it",
    CredentialRefused: NEW_CREDENTIAL,
    ProviderFailed: "look into what was given as auth=",
    AddressFailed: "look into what was given as url=, and at the hosts that endpoint() allows",
    Unauthorized: "call reconnect() to ask it again, or set_auth(...) with another credential",
}
"""What helps when an attempt failed so; the nearest class decides."""

_NOT_TRUSTED = "the server does not take the certificate of the client"
CLIENT_CERTIFICATE: Mapping[str, str] = {
    "TLSV13_ALERT_CERTIFICATE_REQUIRED": "the server wants a certificate of the client",
    "SSLV3_ALERT_HANDSHAKE_FAILURE": (
        "the server broke off the TLS handshake; it may want a certificate of the client"
    ),
    "SSLV3_ALERT_BAD_CERTIFICATE": _NOT_TRUSTED,
    "SSLV3_ALERT_CERTIFICATE_UNKNOWN": _NOT_TRUSTED,
    "TLSV1_ALERT_UNKNOWN_CA": _NOT_TRUSTED,
    "TLSV1_ALERT_ACCESS_DENIED": "the server does not let this certificate of the client in",
    "SSLV3_ALERT_CERTIFICATE_EXPIRED": "the certificate of the client has expired",
    "SSLV3_ALERT_CERTIFICATE_REVOKED": "the certificate of the client is revoked",
    "SSLV3_ALERT_UNSUPPORTED_CERTIFICATE": "the server cannot use the certificate of the client",
}
"""What the alerts of a server mean that asks clients for a certificate (RFC 8446, section 6.2)."""

UNANSWERED = "maybe the server does not take the certificate of the client"
"""What to say of a server that hung up when it was shown one."""

CHECK_CERTIFICATE = (
    "pass as auth= a certificate that the server trusts: many hang up at another one without a "
    "word; if it does trust this one, check the network"
)
"""What helps then."""

_UNCERTAIN = "SSLV3_ALERT_HANDSHAKE_FAILURE"
"""It may as well be about ciphers."""

PROXY = (
    "check the proxy, which proxy= or the environment names (HTTPS_PROXY, ALL_PROXY); to use none, "
    "pass proxy=None, or name the server in NO_PROXY"
)
"""What helps when an attempt through a proxy failed so."""

OF_OURS: Mapping[str, str] = {
    "local_address ": "check local_address= of endpoint(): it names an address of this machine",
    "unix socket '": "check that the server runs, and the path in the URL",
}
"""What helps when a text of ours says what the network failed at."""

CAUSES: Mapping[Cause, str] = {
    Cause.LOST: "",  # it happens, and the socket sees to it
    Cause.SILENT: "check the network; a peer that is merely slow needs a longer ping_timeout=",
    Cause.BLOCKED: "keep blocking calls off the event loop: asyncio.to_thread(...)",
    Cause.REFUSED: NEW_CREDENTIAL,
    Cause.STALE: "check that the server still has something to send; raise stale_after= if not",
    Cause.HEARTBEAT: "check that expect= matches what the server answers to the heartbeat",
}
"""What helps when a connection ended so, without a close code that says more."""

BEGUN: Mapping[Cause, str] = {
    Cause.STARTED: "somebody subscribed",
    Cause.REFUSED: "there is another credential than the one refused",
    Cause.GATED: "the gate has opened",
}
"""Why there is an attempt, where the cause's own words do not say it."""


def attempt_reason(cause: Cause, said: str = "") -> str:
    """Why there is an attempt.

    Args:
        cause: Why.
        said: What ``renew()`` was told.
    """
    text = BEGUN.get(cause, cause.value)
    return f"{text}: {quoted(said)}" if said else text


def meaning(code: int) -> str:
    """A close code and its meaning: ``1012 (service restart)``."""
    return f"{code} ({MEANINGS[code]})" if code in MEANINGS else str(code)


def closing(event: Closed) -> str:
    said = f" {quoted(event.reason)}" if event.reason else ""
    cause: str = event.cause.value
    if event.cause in (Cause.PEER, Cause.LOST) and event.sent is not None and event.code != 1000:
        return f"closed by us with {meaning(event.sent)}{said}"
    if event.cause is Cause.PEER and event.code == 1005:
        return "closed by the server without a code"
    if event.cause is Cause.PEER and event.code is not None:
        return f"closed by the server with {event.code}{said or _in_brackets(event.code)}"
    if event.cause is Cause.LOST:
        return "the link was lost" + (f": {event.reason}" if event.reason else "")
    if event.cause in (Cause.BLOCKED, Cause.STALE, Cause.HEARTBEAT):
        return event.reason or cause
    if event.cause is Cause.SILENT and event.reason == "keepalive ping timeout":
        return cause
    if event.cause is Cause.GATED:
        return "the gate was closed"
    if event.cause in (Cause.RENEW, Cause.HANDED_OVER) and said:
        return f"{cause}:{said}"
    if event.cause in (Cause.REFUSED, Cause.SILENT):
        return cause + (f": {event.reason}" if event.reason else "")
    return cause + said


def describe(error: Exception) -> str:
    """An exception in one line."""
    text = printable(str(error), LONGEST)
    return text if text else type(error).__name__


def kind_and_text(error: BaseException) -> str:
    """An exception of a user's function, in one line: ``KeyError: 'px'``."""
    if isinstance(error, Remembered):
        return str(error)
    text, kind = printable(str(error), LONGEST), type(error).__name__
    return f"{kind}: {text}" if text else kind


def socket_failure(error: Exception) -> str:
    """Why a socket failed, without the name and the address that its error begins with."""
    text = describe(error)
    if isinstance(error, SocketFailed):
        return text.partition(f"{error.url}: ")[2] or text
    return text


def how_ended(error: Exception | None) -> str:
    """How a socket ended, and why if it failed: ``was closed``, ``ended: ...``."""
    return "was closed" if error is None else f"ended: {socket_failure(error)}"


def certificate_refusal(error: Exception) -> str | None:
    """That a server refuses the certificate of the client, in words, if an alert says so."""
    reason: str = getattr(error, "reason", None) or "" if isinstance(error, ssl.SSLError) else ""
    if reason == _UNCERTAIN or reason not in CLIENT_CERTIFICATE:
        return None
    return f"{CLIENT_CERTIFICATE[reason]} ({reason})"


def mention_certificate(error: Exception) -> Exception:
    """The same error, if it is that the peer hung up: it says that a certificate was shown to it.

    It cannot be told whether that was the reason; ``certificate`` of the error is true then.
    """
    if not isinstance(error, ConnectionError) or isinstance(error, ConnectionRefusedError):
        return error
    more = f"{error.strerror or str(error) or 'the connection was closed'}; {UNANSWERED}"
    told: Any = type(error)(more) if error.errno is None else type(error)(error.errno, more)
    told.certificate = True
    return cast(Exception, told)


def failure(error: Exception) -> str:
    """Why an attempt failed, as a clause."""
    match error:
        case HandshakeRefused(status=status):
            number = f"HTTP {status}"
            return describe(error).replace(number, f"{number}{_phrase(status)}", 1)
        case OSError() if _about_ours(error):
            return error.strerror or describe(error)
        case ConnectionRefusedError():
            return f"nothing listens at that address ({error.strerror or describe(error)})"
        case ssl.SSLCertVerificationError():
            said: str = getattr(error, "verify_message", "") or describe(error)
            return f"the certificate is not valid ({said})"
        case ssl.SSLError(reason=reason) if reason in CLIENT_CERTIFICATE:
            return f"{CLIENT_CERTIFICATE[reason]} ({reason})"
        case ssl.SSLError():
            return f"the TLS handshake failed ({error.strerror or describe(error)})"
        case Unauthorized(argument=argument):
            return f"the function given as {argument}= gave up" + (
                f": {describe(error)}" if str(error) else ""
            )
        case socket.gaierror() | TimeoutError():
            return error.strerror or describe(error)
        case ConnectionError() if getattr(error, "certificate", False):
            return error.strerror or describe(error)
        case OSError():
            return f"the network failed ({error.strerror or describe(error)})"
        case _:
            return describe(error)


def _about_ours(error: Exception) -> str:
    """What helps against an error of the network whose text is ours; empty for others."""
    text = str(error) if isinstance(error, OSError) else ""
    return next((advice for what, advice in OF_OURS.items() if what in text), "")


def advice_about(error: Exception) -> str:
    """What helps against a failed attempt; empty when only time does."""
    if isinstance(error, HandshakeRefused):
        if error.status < 300:
            return "check the URL: what answered is no WebSocket endpoint"
        if error.status < 400:
            return "use the URL that it redirects to"
        return STATUSES.get(error.status, "")
    if ours := _about_ours(error):
        return ours
    if getattr(error, "proxy", None) and isinstance(error, (OSError, HandshakeInvalid)):
        return PROXY
    if getattr(error, "certificate", False):
        return CHECK_CERTIFICATE
    if isinstance(error, ssl.SSLError) and getattr(error, "reason", "") in CLIENT_CERTIFICATE:
        return "pass carrier=client_certificate(), and as auth= one that it trusts"
    for cls in type(error).__mro__:
        if cls in EXCEPTIONS:
            return EXCEPTIONS[cls]
    return ""


def advice_about_refusal(error: Exception) -> str:
    """What helps when an attempt failed so, and the credential is taken for the reason."""
    about = advice_about(error)
    if about == NEW_CREDENTIAL or isinstance(error, Unauthorized):
        return about
    return f"{NEW_CREDENTIAL}; or {about}" if about else NEW_CREDENTIAL


def advice_about_closing(event: Closed) -> str:
    """What helps against a close; empty when only time does."""
    if event.sent is not None and event.sent in OUR_CODES and event.verdict is not None:
        return OUR_CODES[event.sent]
    if event.cause in CAUSES:
        return CAUSES[event.cause]
    return CODES.get(event.code or 0, "")


def blocked(seconds: float) -> str:
    """What to say of a loop that was blocked; it is not known to the second when that began."""
    return f"the event loop was blocked for at least {span(seconds)}"


def _in_brackets(code: int) -> str:
    return f" ({MEANINGS[code]})" if code in MEANINGS else ""


def _phrase(status: int) -> str:
    try:
        return f" ({HTTPStatus(status).phrase})"
    except ValueError:
        return ""
