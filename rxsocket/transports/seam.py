"""The seam between a socket and what moves its bytes.

A transport is a function from a :class:`Request` to a cold Observable of that one connection. It is
subscribed to on the socket's loop, and calls its observer on that loop::

    dial ──── Link ── "text" ── b"binary" ── … ── PeerClosed |     opened, then ended
    dial ──── X                                                    not opened: on_error
    dial ─ ✂                                                       disposed: the dial is aborted

- The first value is the :class:`Link`: the handshake succeeded. Before it, ``on_error`` says why
not.
- Then messages, as plain ``str`` and ``bytes``, each by itself or in lists, such as one list for
  each read from the network: what is done once for a list is not done for each message.
- Then one :class:`PeerClosed` and ``on_completed``, as soon as no more messages can come.
- Disposed before the link is there, it aborts the dial at once. Disposed later, it delivers nothing
  more; the link is then closed by whoever disposed it, through the link's own methods.

This one seam carries the default transport, the fast one, replay, the fake for virtual time, and
what users write.
"""

from __future__ import annotations

import ssl as ssl_module
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Literal, Protocol, TypeAlias

from reactivex import Observable

__all__ = ["Link", "Options", "PeerClosed", "Request", "Signal", "Transport"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """Connection options, with the names and the meaning that ``websockets`` gives them."""

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


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What to dial.

    Attributes:
        url: The whole address, the credential's query parameters included. A secret.
        headers: Headers that carry the credential. A secret.
        subprotocols: Subprotocols that carry the credential, after those of the options. A secret.
        anonymous: Whether no credential is in any of these.
        options: Everything that is the same for each attempt.
        redirected: The same request for another address of the same origin, for a redirect.
    """

    url: str = field(repr=False)
    headers: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    subprotocols: tuple[str, ...] = field(default=(), repr=False)
    anonymous: bool = True
    options: Options = field(default_factory=Options)
    redirected: Callable[[str], Request] | None = field(default=None, repr=False)


class Link(Protocol):
    """One open connection, as the socket sees it. Its methods are called on the socket's loop."""

    @property
    def subprotocol(self) -> str | None:
        """The subprotocol that the server chose."""
        ...

    async def send(self, data: str | bytes) -> None:
        """Write one message; return when the transport can take the next one.

        The message is on its way (or failed) by the first suspension, so calls keep their order.

        Raises:
            ConnectionLost: If the connection is closing or closed.
        """
        ...

    async def ping(self) -> float:
        """Send a ping and wait for its pong; return the round trip in seconds."""
        ...

    def close(self, code: int = 1000, reason: str = "") -> Awaitable[None]:
        """Send a close frame; done when the peer has answered it or the connection is gone."""
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


Signal: TypeAlias = "Link | str | bytes | list[str | bytes] | PeerClosed"
Transport: TypeAlias = Callable[[Request], "Observable[Signal]"]
