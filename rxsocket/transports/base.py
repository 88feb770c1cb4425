"""The seam between a socket and what moves its bytes.

A transport is a function from a :class:`Request` to a cold Observable of that one connection. It is
subscribed to on the socket's loop, and calls its observer on that loop::

    dial ──── Link ── "text" ── b"binary" ── … ── PeerClosed |     opened, then ended
    dial ──── X                                                    not opened: on_error
    dial ─ ✂                                                       disposed: the dial is aborted

- It may look names up, connect TCP and agree on TLS as soon as it is subscribed to, but waits for
  ``Request.go()`` before it sends the request: the connection before this one may still be closing.

- The first value is the :class:`Link`: the handshake succeeded. Before it, ``on_error`` says why
not.
- Then messages, as ``str`` and ``bytes``, each by itself or in lists, such as one list for
  each read from the network: what is done once for a list is not done for each message. A
  :class:`Batch` is such a list that says its bytes, too; those of others are added up.
- Between them, a :class:`StreamNotice` of what is no message.
- Then one :class:`PeerClosed` and ``on_completed``, as soon as no more messages can come.
- Disposed before the link is there, it aborts the dial at once. Disposed later, it delivers nothing
  more; the link is then closed by whoever disposed it, through the link's own methods.

A function that wraps another transport has that, or its name, as its attribute ``wraps``: what is
known of a transport by its name then holds for it, too.

A transport on which nothing can be sent has an attribute ``receives_only`` that is true: then a
socket says so as soon as somebody wants to (C50).

This one seam carries the default transport, the fast one, server-sent events, replay, the fake for
virtual time, and what users write.
"""

from __future__ import annotations

import ssl as ssl_module
from collections.abc import AsyncIterable, Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol, TypeAlias

from reactivex import Observable

from rxsocket.auth.carrier import FirstMessage

Fragments: TypeAlias = Iterable[str] | Iterable[bytes] | AsyncIterable[str] | AsyncIterable[bytes]


async def at_once() -> None:
    """Wait for nothing."""


@dataclass(slots=True, kw_only=True)
class Options:
    """Connection options, with the names and the meaning that ``websockets`` gives them.

    Nobody changes them. They are not declared to be frozen: making them would take more than twice
    as long, and each socket has some.
    """

    additional_headers: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    subprotocols: tuple[str, ...] = ()
    origin: str | None = None
    user_agent_header: str | None = None
    compression: Literal["deflate"] | None = "deflate"
    max_size: int | None = 2**20
    open_timeout: float | None = 10.0
    close_timeout: float = 2.0
    ssl: ssl_module.SSLContext | None = None
    proxy: str | Literal[True] | None = field(default=True, repr=False)
    local_address: tuple[str, int] | None = None
    tcp_keepalive: tuple[float, float | None] | None = None
    """Seconds after which the system asks a silent peer, and those it has to answer."""


@dataclass(slots=True, kw_only=True)
class Request:
    """What to dial. Nobody changes it; it is not declared to be frozen, as each attempt has one.

    Attributes:
        url: The whole address, the credential's query parameters included. A secret. It begins with
            ``ws://``, ``wss://``, ``http://``, ``https://``, or, of a unix socket, with ``unix:``
            or ``ws+unix:``.
        headers: Headers that carry the credential. A secret.
        subprotocols: Subprotocols that hold the credential, after those of the options. A secret.
        anonymous: Whether no credential is in any of these.
        credential: Where the credential is, in words; empty if there is none.
        has_certificate: Whether the credential is a certificate, which is in ``options.ssl``.
        first_message: What the socket sends as soon as the link is there. It is no concern of the
            transport's.
        options: The options of the socket, with the cookies and fixed subprotocols that go with the
            credential.
        go: To be awaited before the request of the handshake is sent; it returns when that may be.
        last_event_id: Of an event stream, the id of the event to go on after; empty without one.
        redirected: The same request for another address of the same origin, for a redirect.
    """

    url: str = field(repr=False)
    headers: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    subprotocols: tuple[str, ...] = field(default=(), repr=False)
    anonymous: bool = True
    credential: str = ""
    has_certificate: bool = False
    first_message: FirstMessage | None = field(default=None, repr=False)
    options: Options = field(default_factory=Options)
    go: Callable[[], Awaitable[None]] = field(default=at_once, repr=False)
    last_event_id: str = field(default="", repr=False)
    redirected: Callable[[str], Request] | None = field(default=None, repr=False)

    def shown(self, subprotocol: str | None) -> str | None:
        """The subprotocol that the server chose, to be shown.

        A server may choose the one that holds the credential, and that is never shown
        (rule C28, secrets).
        """
        hidden = bool(self.subprotocols) and subprotocol not in self.options.subprotocols
        return "***" if subprotocol is not None and hidden else subprotocol


class Batch(list["str | bytes"]):
    """Messages in a list, from a transport that knows how many bytes they have.

    Attributes:
        size: Bytes of their payloads, of text those of UTF-8.
    """

    __slots__ = ("size",)

    def __init__(self) -> None:
        super().__init__()
        self.size = 0


class Link(Protocol):
    """One open connection, as the socket sees it. Its methods are called on the socket's loop."""

    @property
    def subprotocol(self) -> str | None:
        """The subprotocol that the server chose."""
        ...

    @property
    def reads(self) -> int:
        """How many times bytes came: a peer that sends lives, and its pong may be behind them."""
        ...

    def write(self, messages: Sequence[str | bytes]) -> bool:
        """Hand whole messages to the transport, in order, with as few system calls as it can.

        Returns:
            Whether it can take more now; when it cannot, wait for ``drain()``.

        Raises:
            ConnectionLost: If the connection is closing or closed; none of them was written.
        """
        ...

    async def drain(self) -> None:
        """Return when the transport can take more."""
        ...

    async def send(self, data: str | bytes | Fragments) -> None:
        """Write one message; return when the transport can take the next one.

        The message is on its way (or failed) by the first suspension, so calls keep their order.
        An iterable is one message in fragments (RFC 6455, section 5.4); when it raises after the
        first fragment, the connection fails with 1011.

        Raises:
            ConnectionLost: If the connection is closing or closed.
        """
        ...

    def pause(self) -> None:
        """Stop reading from the network; what was read already is still emitted
        (rule C27, backpressure is explicit).
        """
        ...

    def resume(self) -> None:
        """Read on. Called on a connection that is not paused, or gone, it does nothing."""
        ...

    async def ping(self) -> float:
        """Send a ping and wait for its pong; return the round trip in seconds."""
        ...

    def close(self, code: int = 1000, reason: str = "") -> None:
        """Send a close frame, unless one was sent already."""
        ...

    async def answered(self) -> None:
        """Return when the peer has sent its close frame, or the connection is gone.

        Several may wait for it.
        """
        ...

    async def wait_closed(self) -> None:
        """Return when nothing of the connection is left."""
        ...

    def abort(self) -> None:
        """Drop the connection at once, without a close frame."""
        ...


@dataclass(frozen=True, slots=True)
class PeerClosed:
    """The connection ended.

    Attributes:
        code: The peer's code, 1005 when its close frame had none, 1006 when there was none.
        reason: The peer's text.
        sent: The code that this side sent *first*, e.g. 1009 for a message that was too big.
        lost: Whether the link was lost without a close frame from the peer.
    """

    code: int
    reason: str = ""
    sent: int | None = None
    lost: bool = False


@dataclass(frozen=True, slots=True)
class StreamNotice:
    """The peer lives, and what it may say beside its messages (rule C50, server-sent events).

    Attributes:
        wait: Seconds to wait at least before the next connection, if it said so.
        place: The newest place in the stream, if it moved without a message; ``""`` for none.
    """

    wait: float | None = None
    place: str | None = None


Signal: TypeAlias = "Link | str | bytes | list[str | bytes] | StreamNotice | PeerClosed"
Transport: TypeAlias = Callable[[Request], "Observable[Signal]"]
