"""The exceptions of rxsocket, one small tree.

::

    SocketError                  everything rxsocket raises on its own account
    ├── SocketFailed             on_error of the streams: the verdict was FAIL
    ├── HandshakeError           the connection was not opened
    │   ├── HandshakeRefused     the server answered with an HTTP status instead of 101
    │   ├── HandshakeInvalid     the answer was no WebSocket handshake
    │   ├── HandshakeFailed      a browser could not open it, and does not tell why
    │   ├── NotAnEventStream     the answer was no text/event-stream
    │   ├── NoMoreEvents         the server says with 204 that there are none
    │   └── RedirectRefused      following the redirect would have been unsafe
    ├── CredentialRefused        the server said so in a message, or an alert of TLS
    ├── NotConnected             no connection: a message was not sent, or opened() ended
    ├── ReceiveOnly              a message was not sent: the server only sends here
    ├── QueueFull                a message was not sent: too many wait already
    ├── IdentityChanged          a message was not sent: the credential is somebody else's now
    ├── SubscriptionRefused      the server refused a channel's subscription
    ├── ConnectionLost           the connection ended before the work was done
    ├── BufferOverflow           a consumer was slower than buffer_up_to(overflow="error") allows
    ├── Undecodable              the codec could not make a value of a message
    ├── ProviderFailed           the credential provider raised, hung or gave something unusable
    │   └── AddressFailed        no address to dial: its source failed, or it is not allowed
    └── Unauthorized             raised *by a provider*: "I give up, wait for set_auth"

What the network raises (``OSError``, ``TimeoutError``, ``ssl.SSLError``) stays what it is: it
arrives as a value on ``socket.errors``. Bad arguments raise ``TypeError`` or ``ValueError`` at
once.

No message, attribute or chained exception here holds a credential (C28).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from html import unescape
from typing import Any


class SocketError(Exception):
    """Base class of everything rxsocket raises on its own account."""

    def __reduce__(self) -> tuple[Any, ...]:
        # Python would call the class with the text alone, which a class with other arguments does
        # not take: so it could be pickled, but not unpickled, and a pool of processes would break.
        return _made_again, (type(self), self.args, self.__dict__)


def _made_again(kind: type[SocketError], args: Any, attributes: dict[str, Any]) -> SocketError:
    error = kind.__new__(kind)
    error.args = args
    error.__dict__.update(attributes)
    return error


@dataclass(frozen=True, slots=True)
class Attempted:
    """One attempt of an outage, and what it ended with.

    Attributes:
        number: Its number in the outage, from 1.
        at: Wall time at which it began, in seconds since the epoch.
        outcome: What it ended with, in words.
        error: What it failed with, when it never opened.
        code: Close code, when it opened.
    """

    number: int
    at: float
    outcome: str
    error: Exception | None = None
    code: int | None = None


class SocketFailed(SocketError):
    """The socket ended because it cannot succeed, or not in time; ``on_error``
    (rules C3, ends; C15, backoff; C16, verdicts).

    Attributes:
        url: Address of the socket, without user info or query values.
        cause: What the last attempt ended with, when that was an exception.
        tried: The attempts of this outage, oldest first; the last 20 of them. The text has the
            last five, with the seconds since the first one shown.
    """

    def __init__(
        self,
        message: str,
        *,
        url: str,
        cause: Exception | None = None,
        tried: Sequence[Attempted] = (),
    ) -> None:
        super().__init__(message + _listed(tried))
        self.url = url
        self.cause = cause
        self.tried = tuple(tried)


SHOWN = 5


def _listed(tried: Sequence[Attempted]) -> str:
    """The last few attempts in words, when there was more than one."""
    if len(tried) < 2:
        return ""
    last = tried[-SHOWN:]
    since = last[0].at
    shown = "; ".join(f"{one.number}. +{one.at - since:.1f} s {one.outcome}" for one in last)
    return f" (tried: {'...; ' if len(tried) > SHOWN else ''}{shown})"


class HandshakeError(SocketError):
    """The connection was not opened."""


_ABOUT_CREDENTIALS = (400, 401, 403)
_MARKUP = re.compile("(?s)<(script|style).*?</\\1>|<[^>]*>?")
QUOTED = 200


def _quoted(body: str) -> str:
    """What an answer says, on one line and without markup."""
    text = unescape(_MARKUP.sub(" ", body)) if body.lstrip().startswith("<") else body
    text = " ".join(text.split())
    if not text:
        return ""
    return f" {text!r}" if len(text) <= QUOTED else f" {text[:QUOTED]!r}..."


class HandshakeRefused(HandshakeError):
    """The server answered the opening handshake with an HTTP status other than 101.

    Attributes:
        status: The HTTP status code.
        retry_after: The ``Retry-After`` header as it was sent, if any.
        proxy: Address of the proxy that answered in place of the server, without its password.
        body: The first KiB of the answer's body, of what came together with its headers: nobody
            waits for a body.
        credential: Where the credential went, as in ``"in the header 'Authorization'"``; empty if
            there was none.
    """

    def __init__(
        self,
        status: int,
        *,
        retry_after: str | None = None,
        proxy: str | None = None,
        body: str = "",
        credential: str = "",
    ) -> None:
        super().__init__(status)
        self.status = status
        self.retry_after = retry_after
        self.proxy = proxy
        self.body = body
        self.credential = credential

    @property
    def answer(self) -> str:
        """Who answered what, in words."""
        who = "the server refused the handshake"
        if self.proxy is not None:
            who = f"the proxy {self.proxy} answered"
        return f"{who} with HTTP {self.status}{_quoted(self.body)}"

    def __str__(self) -> str:
        is_about = self.proxy is None and self.status in _ABOUT_CREDENTIALS
        went = f"; the credential went {self.credential}"
        return self.answer + (went if is_about and self.credential else "")


class HandshakeInvalid(HandshakeError):
    """What answered does not speak WebSocket, or speaks it wrongly (RFC 6455, section 4.1)."""


class HandshakeFailed(HandshakeError):
    """A browser could not open the connection. It tells no page why, nor any status
    (rule C57, in the browser).
    """

    def __init__(
        self,
        text: str = (
            "the browser could not open the connection, and tells no page why (1006): the server "
            "may have refused it, for the credential or the Origin of the page; or it cannot be "
            "reached, redirects, or has a certificate that the browser does not trust"
        ),
    ) -> None:
        super().__init__(text)


class NotAnEventStream(HandshakeError):
    """What answered is not ``text/event-stream`` (rule C50, server-sent events)."""


class NoMoreEvents(HandshakeError):
    """The server answered with HTTP 204: nothing more will come (rule C50, server-sent events)."""

    def __init__(
        self, text: str = "the server says that there are no more events (HTTP 204)"
    ) -> None:
        super().__init__(text)


class RedirectRefused(HandshakeError):
    """A redirect was not followed, because it would have been unsafe or endless
    (rule C28, secrets).
    """


class CredentialRefused(SocketError):
    """The server refused the credential in a message, or in an alert of TLS (rules C9, refused
    credentials are remembered; C39, a client certificate as the credential).
    """

    def __init__(self, text: str = "the server refused the credential in a message") -> None:
        super().__init__(text)


class NotConnected(SocketError):
    """A message was not sent, or ``opened()`` waits in vain: there is no open connection."""


class ReceiveOnly(SocketError):
    """A message was not sent: over this transport nothing can be (rule C50, server-sent events)."""


class QueueFull(SocketError):
    """A message was not sent: as many as may wait for the connection wait already
    (rule C21, while not open).
    """


class IdentityChanged(SocketError):
    """A message was not sent: the credential it was queued under is another identity's
    (rule C14, identity).
    """


class SubscriptionRefused(SocketError):
    """The server refused a channel's subscription; ``on_error`` of that channel alone
    (rule C22, channels).
    """


class ConnectionLost(SocketError):
    """The connection ended before the work was done."""


class BufferOverflow(SocketError):
    """More values waited for a consumer than were allowed (rule C27, backpressure is explicit).

    Attributes:
        count: How many may wait.
    """

    def __init__(self, count: int) -> None:
        super().__init__(
            f"more than {count} values waited for a consumer that cannot keep up: make it faster, "
            "allow more, or choose a policy that drops"
        )
        self.count = count


class Undecodable(SocketError):
    """The codec could not make a value of a message; its text holds nothing of the message."""


class ProviderFailed(SocketError):
    """The credential provider raised, took too long, or gave something that is not a credential."""


class AddressFailed(ProviderFailed):
    """There was no address to dial: its source failed, or gave one that is not allowed
    (rule C33, an endpoint for each attempt).
    """


class Unauthorized(SocketError):
    """Raise this from a provider to say that no credential can be had.

    The socket then waits for ``set_auth``, instead of asking again
    (rule C10, every attempt carries the current credential).

    Attributes:
        argument: What the function that raised it was passed as: ``"auth"`` or ``"url"``.
    """

    argument: str = "auth"
