"""What a socket was told: its options, checked when it is made.

The names are those that ``websockets`` uses.
"""

from __future__ import annotations

import ssl as ssl_module
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, TypeAlias
from urllib.parse import urlsplit

from rxsocket.auth.carrier import Carried, Carrier, carry
from rxsocket.auth.carriers import with_cookies
from rxsocket.auth.credentials import Credential, Identity
from rxsocket.auth.strategies import Reconnect, Strategy
from rxsocket.codecs import Codec
from rxsocket.liveness.heartbeat import Heartbeat
from rxsocket.liveness.stability import StableAfter
from rxsocket.policy.backoff import Backoff, Limits
from rxsocket.policy.verdicts import Judge
from rxsocket.transports.base import Options, Request, Transport, at_once
from rxsocket.url import Address
from rxsocket.validation import header_name, header_value, is_mapping, seconds, seconds_or_none
from rxsocket.version import VERSION

__all__ = ["USER_AGENT", "Headers", "SocketOptions", "connection_options"]

Headers: TypeAlias = Mapping[str, str] | Iterable[tuple[str, str]]


USER_AGENT = f"rxsocket/{VERSION}"


def connection_options(
    address: Address,
    *,
    ssl: ssl_module.SSLContext | None,
    proxy: str | Literal[True] | None,
    additional_headers: Headers | None,
    subprotocols: Sequence[str] | None,
    compression: Literal["deflate"] | None,
    max_size: int | None,
    open_timeout: float | None,
    close_timeout: float,
    origin: str | None,
    user_agent_header: str | None,
) -> Options:
    """Check the options of a socket.

    Raises:
        TypeError: If one is of a wrong type.
        ValueError: If one cannot be used; the text names it and says what to pass.
    """
    if ssl is not None and not isinstance(ssl, ssl_module.SSLContext):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise TypeError(
            f"ssl: pass an ssl.SSLContext or None for the default one, not {type(ssl).__name__}"
        )
    if ssl is not None and not address.secure:
        raise ValueError("ssl: goes with a wss:// address; this one is ws://")
    if compression not in ("deflate", None):
        raise ValueError(f"compression: pass 'auto', 'deflate' or None, not {compression!r}")
    for name, value in (("origin", origin), ("user_agent_header", user_agent_header)):
        if value is not None:
            header_value(name, value)
    return Options(
        additional_headers=_headers(additional_headers),
        subprotocols=_subprotocols(subprotocols),
        origin=origin,
        user_agent_header=user_agent_header,
        compression=compression,
        max_size=_size(max_size),
        open_timeout=seconds_or_none("open_timeout", open_timeout),
        close_timeout=seconds("close_timeout", close_timeout),
        ssl=ssl,
        proxy=_proxy(proxy),
    )


def _headers(headers: Headers | None) -> tuple[tuple[str, str], ...]:
    if headers is None:
        return ()
    if isinstance(headers, str):
        raise TypeError(
            "additional_headers: pass a mapping or pairs of name and value, not a string"
        )
    given: Any = headers.items() if is_mapping(headers) else headers
    try:
        listed: list[tuple[Any, Any]] = [(name, value) for name, value in given]
    except (TypeError, ValueError):
        raise TypeError("additional_headers: pass a mapping or pairs of name and value") from None
    return tuple(
        (
            header_name("additional_headers", name),
            header_value(f"additional_headers[{name!r}]", value),
        )
        for name, value in listed
    )


def _subprotocols(subprotocols: Sequence[str] | None) -> tuple[str, ...]:
    if subprotocols is None:
        return ()
    if isinstance(subprotocols, str) or not isinstance(subprotocols, Iterable):  # pyright: ignore[reportUnnecessaryIsInstance]
        kind = type(subprotocols).__name__
        raise TypeError(f"subprotocols: pass a list of names, not {kind}")
    return tuple(header_name("subprotocols", name) for name in subprotocols)


def _size(max_size: Any) -> int | None:
    if max_size is None:
        return None
    if isinstance(max_size, bool) or not isinstance(max_size, int):
        raise TypeError(f"max_size: pass a number of bytes or None, not {type(max_size).__name__}")
    if max_size <= 0:
        raise ValueError(f"max_size: pass a number of bytes that is more than 0, not {max_size}")
    return max_size


def _proxy(proxy: Any) -> str | Literal[True] | None:
    if proxy is None or proxy is True:
        return proxy
    if not isinstance(proxy, str):
        raise TypeError("proxy: pass an address, True for the environment's, or None for no proxy")
    parts = urlsplit(proxy)
    if (
        parts.scheme not in ("http", "https", "socks4", "socks4a", "socks5", "socks5h")
        or not parts.hostname
    ):
        raise ValueError("proxy: pass an address such as 'http://proxy.example:3128'")
    return proxy


@dataclass(frozen=True, slots=True, kw_only=True)
class SocketOptions:
    """What a socket was told; it never changes."""

    address: Address
    name: str | None
    carrier: Carrier
    transport: Transport
    handshake: Options
    verdicts: Judge
    backoff: Backoff
    limits: Limits
    stable_after: StableAfter
    codec: Codec[Any, Any] | None
    rejected: Callable[[str | bytes], object] | None
    clean_close: Literal["complete", "reconnect"]
    auth_timeout: float | None
    on_auth_change: Strategy
    identity: Identity | None
    max_age: float | None
    linger: float
    ping_interval: float | None
    ping_timeout: float | None
    queue_for: float
    heartbeat: Heartbeat | None
    stale_after: float | None
    on_stale: Literal["event", "reconnect"]

    @property
    def label(self) -> str:
        """What the socket is called where people read of it: its name, if any, and its address."""
        return f"{self.name} {self.address.shown}" if self.name else self.address.shown

    @property
    def renewable(self) -> bool:
        """Whether an open connection may be renewed, rather than just closed."""
        return self.max_age is not None or not isinstance(self.on_auth_change, Reconnect)

    def request(
        self, credential: Credential, go: Callable[[], Awaitable[None]] = at_once
    ) -> Request:
        """What to dial with a credential, as soon as ``go()`` returns."""
        return self.request_at(self.address, credential, go)

    def request_at(
        self, address: Address, credential: Credential, go: Callable[[], Awaitable[None]]
    ) -> Request:
        """The same for another address of the origin."""
        redirected = _Redirected(self, address, credential, go)
        if not credential.known:
            return Request(url=address.url, options=self.handshake, go=go, redirected=redirected)
        carried = carry(self.carrier, credential.reveal())
        return Request(
            url=address.with_query(carried.query),
            headers=carried.headers,
            subprotocols=carried.subprotocols,
            anonymous=False,
            greeting=carried.greeting,
            options=_with(self.handshake, carried),
            go=go,
            redirected=redirected,
        )


@dataclass(frozen=True, slots=True, repr=False)
class _Redirected:
    """Makes the request for where a redirect leads to."""

    options: SocketOptions
    address: Address
    credential: Credential
    go: Callable[[], Awaitable[None]]

    def __call__(self, location: str) -> Request:
        return self.options.request_at(self.address.join(location), self.credential, self.go)


def _with(options: Options, carried: Carried) -> Options:
    """The options with what a credential adds to a header that they may have already."""
    if carried.fixed:
        offered = dict.fromkeys(options.subprotocols + carried.fixed)
        options = replace(options, subprotocols=tuple(offered))
    if carried.cookies:
        headers = with_cookies(options.additional_headers, carried.cookies)
        options = replace(options, additional_headers=headers)
    return options
